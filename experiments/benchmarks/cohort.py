"""How much faster many clients train as one stack than one after another, on the same core with the same bits.

Only what is computed K times with the same shapes can be stacked. It saves what Python and NumPy cost
around each product, so it is worth most where the products are small.

Not here: how a round groups its clients.

Example:
    >>> report = run(repeats=2, cohort_sizes=(2,))
    >>> [row.what for row in report.rows][:2]
    ['logistic 60>10', 'MLP 32>32>10']
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.measure import Timing, take_paced_turns
from experiments.environment import blas_libraries, machine, versions
from fedgdl import nn
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.optim import SGD
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread
from fedgdl.seeding import stream

__all__ = ["CohortReport", "CohortRow", "check_bits", "run"]

_GOAL_GAINS: Final[dict[tuple[int, ...], dict[int, float]]] = {
    (60, 10): {10: 4.9, 100: 8.6},
    (32, 32, 10): {10: 5.3, 100: 9.4},
    (784, 10): {10: 2.2, 100: 2.6},
    (784, 32, 10): {10: 2.5, 100: 2.1},
    (784, 100, 10): {10: 1.7, 100: 1.1},
}
"""For the widths of a model's layers and the number of clients: what stacking gained in steps written by hand in
NumPy for each of these models, the aim for the general core."""
_COHORT_SIZES: Final = (10, 100)
_BATCH_SIZE: Final = 10
_NUM_BATCHES: Final = 2
_LEARNING_RATE: Final = 0.1
_NUM_COMMON_STEPS: Final = 3
_SEED: Final = 12345
_ROW_SECONDS: Final = 3.0

Step = Callable[[int], Sequence[float]]
"""Takes one step of every client, given its index; returns each client's loss."""


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One model trained by one number of clients.

    Attributes:
        what: the model, as the widths of its layers.
        num_weights: of one client's model.
        num_clients: K.
        repeats: how often each side's step of all clients was timed.
        loop: a client's step when the clients take theirs one after another: the loop's time over K.
        stacked: a client's step in the stack: the stack's time over K.
        gain: ratio of medians, loop over stacked.
        goal_gain: what stacking gains by hand; none for other numbers of clients.
        is_goal_met: whether the gain is at least that; none without a goal.
    """

    what: str
    num_weights: int
    num_clients: int
    repeats: int
    loop: Timing
    stacked: Timing
    gain: float
    goal_gain: float | None
    is_goal_met: bool | None


@dataclass(frozen=True, slots=True)
class CohortReport:
    """All rows, and where they were measured.

    Attributes:
        rows: by model and number of clients.
        batch_size: examples of a client's step.
        dtype: of weights and activations.
        machine: processor and operating system.
        blas: the linear-algebra libraries with their kernels, and the number of threads the steps had.
        versions: of Python, NumPy and fedgdl.
    """

    rows: tuple[CohortRow, ...]
    batch_size: int
    dtype: str
    machine: str
    blas: tuple[dict[str, Any], ...]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)


def run(repeats: int | None = None, cohort_sizes: Sequence[int] = _COHORT_SIZES) -> CohortReport:
    """Measures all models for each number of clients.

    Args:
        repeats: how often to time a step of all clients, at least 1; left out, as often as fits into some seconds.
        cohort_sizes: the numbers of clients.

    Raises:
        ConfigError: `repeats` is not positive.
        RunFailed: a client does not get the same bits in the stack as alone.
    """
    if repeats is not None and repeats < 1:
        message = f"a benchmark needs at least 1 repeat, got {repeats}"
        raise ConfigError(message)
    cases = list(itertools.product(_GOAL_GAINS, cohort_sizes))
    with one_blas_thread():
        return CohortReport(
            rows=tuple(_measure(widths, num_clients, repeats) for widths, num_clients in watched(cases, "rows")),
            batch_size=_BATCH_SIZE,
            dtype="float32",
            machine=machine(),
            blas=tuple(blas_libraries()),
            versions=versions(),
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch of each client: inputs (K, n, features) float32, class ids (K, n) int64."""

    inputs: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]


class _OneByOne:
    """K models, each with its optimiser."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.vectors = [model.flatten().vector for model in models]
        self._loss = nn.CrossEntropyLoss()
        self._clients = [(model, SGD(model.parameters(), lr=_LEARNING_RATE)) for model in models]

    def step(self, batch: _Batch) -> list[float]:
        losses = []
        for (model, optimizer), inputs, class_ids in zip(self._clients, batch.inputs, batch.class_ids, strict=True):
            loss = self._loss(model(inputs), class_ids)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses


class _Stacked:
    """The same K models as one."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self._model = models[0].stack(len(models))
        self._loss = nn.CrossEntropyLoss().stack(len(models))
        self.vectors = self._model.flatten().vector
        for mine, model in zip(self.vectors, models, strict=True):
            mine[...] = model.flatten().vector
        self._optimizer = SGD(self._model.parameters(), lr=_LEARNING_RATE)

    def step(self, batch: _Batch) -> list[float]:
        losses = self._loss(self._model(batch.inputs), batch.class_ids)
        losses.backward(1.0)
        self._optimizer.step()
        return list(losses.data.tolist())


def check_bits(
    steps: tuple[Step, Step], vectors: tuple[Sequence[npt.NDArray[Any]], Sequence[npt.NDArray[Any]]], num_steps: int
) -> None:
    """Takes steps on both sides and compares each client's losses and weights, bit for bit.

    Args:
        steps: of the clients one by one, and of their stack.
        vectors: the weights of each client on either side, which the steps change.
        num_steps: how many to take.

    Raises:
        RunFailed: a client gets other bits; the message says which.
    """
    for index in range(num_steps):
        alone, together = (step(index) for step in steps)
        for client, (own, stacked) in enumerate(zip(alone, together, strict=True)):
            if own != stacked:
                message = f"client {client} has loss {own!r} alone and {stacked!r} in the stack, in step {index + 1}"
                raise RunFailed(message)
    for client, (own_weights, stacked_weights) in enumerate(zip(*vectors, strict=True)):
        if not np.array_equal(own_weights, stacked_weights):
            num_different = int((own_weights != stacked_weights).sum())
            message = (
                f"{num_different} weights of client {client} have other bits in the stack, after {num_steps} steps"
            )
            raise RunFailed(message)


def _measure(widths: tuple[int, ...], num_clients: int, repeats: int | None) -> CohortRow:
    what = f"{'logistic' if len(widths) == 2 else 'MLP'} {'>'.join(map(str, widths))}"
    rng = stream(_SEED, f"benchmark of {what}")
    models = [_model(widths, rng) for _ in range(num_clients)]
    batches = [_draw(widths, num_clients, rng) for _ in range(_NUM_BATCHES)]
    stacked, loop = _Stacked(models), _OneByOne(models)

    def loop_step(index: int) -> list[float]:
        return loop.step(batches[index % _NUM_BATCHES])

    def stacked_step(index: int) -> list[float]:
        return stacked.step(batches[index % _NUM_BATCHES])

    check_bits((loop_step, stacked_step), (loop.vectors, list(stacked.vectors)), _NUM_COMMON_STEPS)
    seconds = take_paced_turns({"loop": loop_step, "stacked": stacked_step}, repeats, _ROW_SECONDS)
    timings = {side: Timing.of([one / num_clients for one in times]) for side, times in seconds.items()}
    gain = timings["loop"].median_us / timings["stacked"].median_us
    goal = _GOAL_GAINS[widths].get(num_clients)
    return CohortRow(
        what=what,
        num_weights=stacked.vectors.shape[1],
        num_clients=num_clients,
        repeats=len(seconds["loop"]),
        loop=timings["loop"],
        stacked=timings["stacked"],
        gain=gain,
        goal_gain=goal,
        is_goal_met=None if goal is None else gain >= goal,
    )


def _model(widths: tuple[int, ...], rng: np.random.Generator) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs, rng=rng), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def _draw(widths: tuple[int, ...], num_clients: int, rng: np.random.Generator) -> _Batch:
    return _Batch(
        rng.random((num_clients, _BATCH_SIZE, widths[0]), np.float32),
        rng.integers(widths[-1], size=(num_clients, _BATCH_SIZE)),
    )
