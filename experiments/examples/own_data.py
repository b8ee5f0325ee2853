"""Data of one's own: four gardens, each with leaves of its own trees, learn to tell the trees by width and height.

Run it with `python own_data.py`, or with a file like `leaves.csv`, which is made up: `python own_data.py FILE.csv`.
A column names the client of each row here; `docs/tasks.md` tells what else there may be.
"""

import sys
from pathlib import Path

import numpy as np

from experiments import load_config, simulate
from fedgdl import nn
from fedgdl.config import Experiment
from fedgdl.data import ArrayExamples
from fedgdl.data.own import OwnDataset, from_csv
from fedgdl.federated import Task

SETTINGS = ["name=leaves", "data.source=own", 'data.partition={kind="natural"}', "engine.workers=2", "rounds=20"]
TRAINING = ["training.learning_rate=0.1", "training.batch_size=8", "training.loss_reduction=mean", "training.epochs=5"]


class LeavesTask(Task[ArrayExamples]):
    """Tells trees apart by their leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load_data(self, experiment: Experiment) -> OwnDataset[ArrayExamples]:
        """Returns each garden's leaves; a fifth of all are kept for testing, as `data.test_fraction` says."""
        features = ["width", "height"]
        return from_csv(self.path, experiment.data, experiment.seed, label="tree", features=features, client="garden")

    def build_model(
        self, data: OwnDataset[ArrayExamples], experiment: Experiment, rng: np.random.Generator
    ) -> nn.Module:
        """Returns a linear classifier."""
        return nn.Sequential(nn.Linear(2, data.num_classes, rng=rng))


def main() -> None:
    """Runs the federation and prints what came out."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("leaves.csv")).resolve()
    history = simulate(load_config("spam", [*SETTINGS, *TRAINING]), task=LeavesTask(path))
    print(history.data_description)  # noqa: T201 (an example)
    print(f"accuracy after {len(history.rounds)} rounds: {history.rounds[-1].accuracy:.2f}")  # noqa: T201


if __name__ == "__main__":  # worker processes import this file
    main()
