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

import statistics
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

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

_Step = Callable[["_Mails"], float]


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


class _ByHand:
    """The same step, written for this model alone; no bag may be empty."""

    def __init__(self, dtype: DType, most_tokens: int) -> None:
        self.weights = np.zeros(_VOCABULARY_SIZE, dtype)
        self._words = np.empty(most_tokens, dtype)
        self._prediction = np.empty(_BATCH_SIZE, dtype)
        self._slope = np.empty(_BATCH_SIZE, dtype)
        self._largest_exponent = 88.0 if dtype == "float32" else 709.0
        self.kept_bytes = self._words.nbytes + self._prediction.nbytes + self._slope.nbytes

    def __call__(self, mails: _Mails) -> float:
        words = self._words[: mails.token_ids.size]
        prediction, slope = self._prediction, self._slope
        self.weights.take(mails.token_ids, out=words, mode="clip")  # the other modes buffer `out`
        np.add.reduceat(words, mails.offsets[:-1], out=prediction)
        np.negative(prediction, out=prediction)
        np.minimum(prediction, self._largest_exponent, out=prediction)
        np.exp(prediction, out=prediction)
        prediction += 1
        np.reciprocal(prediction, out=prediction)
        np.subtract(1, prediction, out=slope)
        slope *= prediction
        prediction -= mails.labels
        slope *= prediction
        slope *= 2 * _LEARNING_RATE
        sizes = mails.offsets[1:] - mails.offsets[:-1]
        np.subtract.at(self.weights, mails.token_ids, slope.repeat(sizes))
        return float(prediction @ prediction)


def _batches(rng: np.random.Generator) -> list[_Mails]:
    """Returns batches of bags of distinct words, drawn as often as Zipf's law says (1 / rank)."""
    cumulative = np.cumsum(1 / np.arange(1, _VOCABULARY_SIZE + 1))
    batches = []
    for _ in range(_NUM_BATCHES):
        bags = []
        for size in rng.integers(*_BAG_SIZES, size=_BATCH_SIZE, endpoint=True):
            draws = np.searchsorted(cumulative, cumulative[-1] * rng.random(3 * size), side="right")
            words, first = np.unique(draws, return_index=True)
            bags.append(words[np.argsort(first)][:size])
        offsets = np.concatenate(([0], np.cumsum([len(bag) for bag in bags])))
        labels = np.arange(_BATCH_SIZE) % 2
        batches.append(_Mails(np.concatenate(bags).astype(np.int64), offsets.astype(np.int64), labels))
    return batches


def _time(dtype: DType, batches: Sequence[_Mails], repeats: int) -> SpamStepTiming:
    mails = [_Mails(batch.token_ids, batch.offsets, batch.labels.astype(dtype)) for batch in batches]
    autograd, by_hand = _Autograd(dtype), _ByHand(dtype, max(batch.token_ids.size for batch in mails))
    for batch in mails:
        autograd(batch)
        by_hand(batch)
    difference = float(np.abs(autograd.weights - by_hand.weights).max())
    if not difference <= _TOLERANCE[dtype]:
        message = f"after {len(mails)} steps in {dtype} the weights of both sides differ by {difference}"
        raise RunFailed(message)
    seconds: dict[_Step, list[float]] = {autograd: [], by_hand: []}
    for repeat in range(repeats):
        for step, shift in ((autograd, 0), (by_hand, _NUM_BATCHES // 2)):  # never a batch that was just in the cache
            batch = mails[(repeat + shift) % _NUM_BATCHES]
            start = time.perf_counter()
            step(batch)
            seconds[step].append(time.perf_counter() - start)
    medians = {step: statistics.median(times) for step, times in seconds.items()}
    return SpamStepTiming(
        dtype=dtype,
        autograd_us=1e6 * medians[autograd],
        by_hand_us=1e6 * medians[by_hand],
        ratio=medians[autograd] / medians[by_hand],
        autograd_peak_bytes=_peak_bytes(autograd, mails[0]),
        by_hand_peak_bytes=by_hand.kept_bytes + _peak_bytes(by_hand, mails[0]),
        largest_difference=difference,
    )


def _peak_bytes(step: _Step, batch: _Mails) -> int:
    """Returns the most that one step allocates at a time."""
    tracemalloc.start()
    try:
        step(batch)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
