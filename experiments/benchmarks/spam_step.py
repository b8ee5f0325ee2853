"""How long one training step of the spam model takes on the autograd core, against NumPy written by hand.

The step by hand is as fast as this machine's NumPy allows for this one model: buffers that are
kept, gradients worked out on paper, ids trusted. What the autograd core takes beyond it is the
price of the tape, the checks and the general optimiser.

Not here: how fast a whole federation is.

Example:
    >>> report = run(repeats=4)
    >>> [timing.dtype for timing in report.timings]
    ['float64', 'float32']
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.hand_bags import SpamBag
from experiments.benchmarks.measure import Timing, peak_bytes, take_turns
from experiments.benchmarks.words import draw_bags
from experiments.environment import blas_libraries, machine, versions
from fedgdl.autograd import squared_error
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.models import SpamModel
from fedgdl.optim import SGD
from fedgdl.parameters import DType
from fedgdl.runtime import one_blas_thread
from fedgdl.seeding import stream

__all__ = ["SpamStepReport", "SpamStepTiming", "run"]

_VOCABULARY_SIZE: Final = 50_635
"""The words of chapter 15's e-mails, with the padding token."""
_BATCH_SIZE: Final = 500
_BAG_SIZES: Final = (20, 200)
"""Distinct words of the smallest and the largest bag; 110 in the middle, as in the e-mails."""
_NUM_BATCHES: Final = 4
_LEARNING_RATE: Final = 0.01
_SEED: Final = 12345
_TOLERANCE: Final = {"float64": 1e-12, "float32": 1e-5}
"""How far the weights of both sides may lie apart after one pass over the batches: the order of
some products differs, nothing else."""


@dataclass(frozen=True, slots=True)
class SpamStepTiming:
    """One dtype's result.

    Attributes:
        dtype: of the weights.
        autograd_us: median microseconds of a step on the autograd core.
        by_hand_us: median microseconds of the step by hand.
        ratio: the first over the second.
        autograd_peak_bytes: the most that one step holds beyond the weights, the batch and what is kept.
        by_hand_peak_bytes: the same of the step by hand, with the buffers that it keeps.
        largest_difference: between the weights of both sides after one pass over the batches.
    """

    dtype: DType
    autograd_us: float
    by_hand_us: float
    ratio: float
    autograd_peak_bytes: int
    by_hand_peak_bytes: int
    largest_difference: float


@dataclass(frozen=True, slots=True)
class SpamStepReport:
    """What was measured, and where.

    Attributes:
        repeats: how many steps of each side were timed for each dtype.
        vocabulary_size: weights of the model.
        batch_size: bags of a batch.
        tokens_per_bag: mean number of distinct words in a bag.
        timings: one for each dtype.
        machine: processor and operating system.
        blas: the linear-algebra libraries, with the number of threads that the steps had.
        versions: of Python, NumPy and fedgdl.
    """

    repeats: int
    vocabulary_size: int
    batch_size: int
    tokens_per_bag: float
    timings: tuple[SpamStepTiming, ...]
    machine: str
    blas: tuple[dict[str, Any], ...]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)


def run(repeats: int) -> SpamStepReport:
    """Times steps of both sides in turn, once both are shown to give the same weights.

    Args:
        repeats: how many steps of each side to time for each dtype, at least 1.

    Raises:
        ConfigError: `repeats` is not positive.
        RunFailed: the two sides give different weights.
    """
    if repeats < 1:
        message = f"a benchmark needs at least 1 repeat, got {repeats}"
        raise ConfigError(message)
    with one_blas_thread():
        batches = _batches(stream(_SEED, "benchmark"))
        return SpamStepReport(
            repeats=repeats,
            vocabulary_size=_VOCABULARY_SIZE,
            batch_size=_BATCH_SIZE,
            tokens_per_bag=sum(batch.token_ids.size for batch in batches) / (_NUM_BATCHES * _BATCH_SIZE),
            timings=tuple(_time(dtype, batches, repeats) for dtype in ("float64", "float32")),
            machine=machine(),
            blas=tuple(blas_libraries()),
            versions=versions(),
        )


@dataclass(frozen=True, slots=True)
class _Mails:
    """A batch: `token_ids` (n,) and `offsets` (b + 1,) int64, `labels` (b,) of the weights' dtype."""

    token_ids: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[Any]


class _Autograd:
    """The step as every training loop of this project takes it."""

    def __init__(self, dtype: DType) -> None:
        self._model = SpamModel(_VOCABULARY_SIZE, dtype=dtype)
        self.weights = self._model.flatten().vector
        self._optimizer = SGD(self._model.parameters(), lr=_LEARNING_RATE)

    def __call__(self, mails: _Mails) -> float:
        prediction = self._model(mails.token_ids, mails.offsets)
        loss = squared_error(prediction, mails.labels)
        loss.backward()
        self._optimizer.step()
        return loss.item()


def _batches(rng: np.random.Generator) -> list[_Mails]:
    """Returns batches of bags of distinct words."""
    batches = []
    for _ in range(_NUM_BATCHES):
        sizes = rng.integers(*_BAG_SIZES, size=_BATCH_SIZE, endpoint=True)
        batches.append(_Mails(*draw_bags(rng, _VOCABULARY_SIZE, sizes), np.arange(_BATCH_SIZE) % 2))
    return batches


def _time(dtype: DType, batches: Sequence[_Mails], repeats: int) -> SpamStepTiming:
    mails = [_Mails(batch.token_ids, batch.offsets, batch.labels.astype(dtype)) for batch in batches]
    autograd = _Autograd(dtype)
    by_hand = SpamBag(
        {"words.weight": np.zeros((_VOCABULARY_SIZE, 1), dtype)}, batch_size=_BATCH_SIZE, learning_rate=_LEARNING_RATE
    )
    prepared = [by_hand.prepare((batch.token_ids, batch.offsets, batch.labels)) for batch in mails]
    for batch, same in zip(mails, prepared, strict=True):
        autograd(batch)
        by_hand.step(*same)
    difference = float(np.abs(autograd.weights - by_hand.weights()["words.weight"][:, 0]).max())
    if not difference <= _TOLERANCE[dtype]:
        message = f"after {len(mails)} steps in {dtype} the weights of both sides differ by {difference}"
        raise RunFailed(message)
    seconds = take_turns(
        {
            "autograd": lambda index: autograd(mails[index % _NUM_BATCHES]),
            # Never the batch that was just in the cache.
            "by hand": lambda index: by_hand.step(*prepared[(index + _NUM_BATCHES // 2) % _NUM_BATCHES]),
        },
        repeats,
        settling=0,
    )
    ours, hand = Timing.of(seconds["autograd"]), Timing.of(seconds["by hand"])
    return SpamStepTiming(
        dtype=dtype,
        autograd_us=ours.median_us,
        by_hand_us=hand.median_us,
        ratio=ours.median_us / hand.median_us,
        autograd_peak_bytes=peak_bytes(lambda: autograd(mails[0])),
        by_hand_peak_bytes=by_hand.kept_bytes + peak_bytes(lambda: by_hand.step(*prepared[0])),
        largest_difference=difference,
    )
