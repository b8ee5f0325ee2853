"""A task of one's own, from nothing: five clients fit one line to their own points.

Run it with `python own_task.py`. Workers import this script, hence the last two lines' guard.
"""

from dataclasses import dataclass

import numpy as np

from experiments import RunHistory, load_config, simulate
from fedgdl import Tensor, nn
from fedgdl.autograd import Parameter, squared_error

CONFIG = [
    "name=line",
    "rounds=15",
    "training.batch_size=20",
    "training.epochs=5",
    "training.learning_rate=0.5",
    "training.loss_reduction=mean",
    "engine.workers=2",
]


@dataclass(frozen=True)
class Points:
    """Examples, and a batch of them: x and y are float32 arrays of shape (examples,)."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        """Returns the number of points."""
        return len(self.x)

    def slice(self, start: int, stop: int) -> "Points":
        """Returns some points in order."""
        return Points(self.x[start:stop], self.y[start:stop])

    def take(self, rows: np.ndarray) -> "Points":
        """Returns the points of the given rows."""
        return Points(self.x[rows], self.y[rows])


class Line(nn.Module):
    """y = slope * x + shift."""

    def __init__(self) -> None:
        self.slope = Parameter(np.zeros(1, np.float32))
        self.shift = Parameter(np.zeros(1, np.float32))

    def forward(self, x: np.ndarray) -> Tensor:
        """Returns the line's height at each x, shape (examples,)."""
        return self.slope * x + self.shift


class LineData:
    """Each client knows its own stretch of y = 3 x - 1; the test set is all of it."""

    client_ids = ("client-1", "client-2", "client-3", "client-4", "client-5")
    fingerprint = "a line"
    description = "points on the line y = 3 x - 1 (synthetic)"
    is_synthetic = True
    test = Points(np.linspace(-1, 1, 50, dtype=np.float32), 3 * np.linspace(-1, 1, 50, dtype=np.float32) - 1)

    def client(self, client_id: str) -> Points:
        """Returns 40 points around the client's own middle."""
        middle = (int(client_id[-1]) - 3) / 3
        x = (middle + np.linspace(-0.3, 0.3, 40)).astype(np.float32)
        return Points(x, 3 * x - 1)


class LineTask:
    """Fits the line."""

    def load_data(self, experiment: object) -> LineData:
        """Returns every client's points."""
        return LineData()

    def build_model(self, data: LineData, experiment: object, rng: np.random.Generator) -> Line:
        """Returns a flat line."""
        return Line()

    def predict(self, model: nn.Module, batch: Points) -> Tensor:
        """Returns the heights at the batch's x."""
        heights: Tensor = model(batch.x)
        return heights

    def loss(self, prediction: Tensor, batch: Points) -> Tensor:
        """Returns the sum of the squared errors."""
        return squared_error(prediction, batch.y)

    def count_correct(self, prediction: np.ndarray, batch: Points) -> int:
        """Returns how many heights are within 0.1."""
        return int((np.abs(prediction - batch.y) < 0.1).sum())


def main() -> RunHistory:
    """Runs the federation and prints what came out."""
    history = simulate(load_config("spam", CONFIG), task=LineTask())
    slope, shift = history.model["slope"][0], history.model["shift"][0]
    print(f"after {len(history.rounds)} rounds: y = {slope:.2f} x + {shift:.2f}")  # noqa: T201 (an example)
    return history


if __name__ == "__main__":
    main()
