"""What the received vectors tell: whether they look like noise, and whether the sum is the true one.

In a protected run each check asks a question to which a right mask answers no; a check fails when what it sees would
come about by accident in one of some million runs (`FALSE_ALARM_RATE` for all checks together). A check that passes
proves no secrecy: it finds masks that were left out, reused, too short or of a bad generator. In a run without
protection the same checks show what there is to read.

Vectors come one at a time, in the order of rounds; of each only a few thousand elements are kept until the next
round is over.

Example:
    >>> checks = VectorChecks(num_bytes=3)
    >>> rng, truth = np.random.default_rng(5), np.arange(2_000)
    >>> checks.add(1, "alice", rng.integers(0, 2**24, 2_000, dtype=np.uint32), truth)
    >>> {check.name: check.is_alarm for check in checks.results()}["correlation with the true update"]
    False
    >>> checks.add(1, "bob", truth.astype(np.uint32), truth)
    >>> {check.name: check.is_alarm for check in checks.results()}["correlation with the true update"]
    True
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.audit.randomness import (
    MIN_WORDS,
    SmallestP,
    byte_counts,
    correlation,
    deviation,
    deviation_p,
    distance,
    distance_of_counts,
    distance_p,
    serial_correlation,
    uniformity,
)
from experiments.audit.similarity import Similarities

__all__ = ["FALSE_ALARM_RATE", "Check", "Correlation", "VectorChecks"]

FALSE_ALARM_RATE: Final = 1e-6
"""The probability that any of the statistical checks of a run with right masks raises an alarm."""

_NUM_CHECKS: Final = 6
_ALARM: Final = FALSE_ALARM_RATE / _NUM_CHECKS

Words = npt.NDArray[np.unsignedinteger[Any]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Check:
    """What one check saw.

    Attributes:
        name: a few words.
        question: what it asks, in a sentence.
        is_alarm: whether the vectors are other than right masks make them; none where there is too little to tell.
        found: the figures behind it, in words.
        p_value: a bound on the probability of the like by accident, all vectors considered; none where there is no
            chance in it.
        uses_truth: whether it compares with what only the simulator knows.
    """

    name: str
    question: str
    is_alarm: bool | None
    found: str
    p_value: float | None = None
    uses_truth: bool = False


@dataclass(frozen=True, slots=True)
class Correlation:
    """How one received vector is correlated with the update beneath it."""

    round_index: int
    client_id: str
    value: float
    num_elements: int


@dataclass(slots=True)
class _Deviations:
    """Correlations in standard deviations: the largest, and all of them together."""

    smallest: SmallestP = field(default_factory=SmallestP)
    largest: float = 0.0
    total: float = 0.0
    num_elements: int = 0

    def add(self, value: float, num_elements: int, where: str) -> None:
        z = deviation(value, num_elements)
        self.smallest.add(deviation_p(z), where)
        self.total += z
        self.num_elements += num_elements - 1
        if abs(value) >= abs(self.largest):
            self.largest = value

    @property
    def pooled(self) -> float:
        """The sum of all, in its standard deviations: what each vector hides may show in many."""
        return self.total / math.sqrt(self.smallest.count) if self.smallest.count else 0.0

    def check(self, name: str, question: str, *, uses_truth: bool = False) -> Check:
        """Returns the check of these; no verdict where even full correlation would raise no alarm."""
        if deviation_p(math.sqrt(self.num_elements)) >= _ALARM / 2:
            return Check(name, question, None, "too few elements", uses_truth=uses_truth)
        p_value = _either(self.smallest.adjusted, deviation_p(self.pooled))
        found = (
            f"largest of {self.smallest.count:,}: {self.largest:+.4f} ({self.smallest.where}); all together "
            f"{self.pooled:+.2f} standard deviations"
        )
        return Check(name, question, p_value < _ALARM, found, p_value, uses_truth)


class _Bytes:
    """How often each byte of a word has each value."""

    def __init__(self, num_bytes: int) -> None:
        self.counts = np.zeros((num_bytes, 256), np.int64)
        self._smallest = SmallestP()

    @property
    def num_words(self) -> int:
        """How many words there were."""
        return int(self.counts[0].sum())

    def add(self, words: Words, where: str) -> None:
        """Takes the words of one vector in."""
        counts = byte_counts(words, len(self.counts))
        self.counts += counts
        if len(words) >= MIN_WORDS:
            self._smallest.add(uniformity(counts).p_value, where)

    def check(self, name: str, question: str, *, uses_truth: bool = False) -> Check:
        """Returns whether any value of a byte is more frequent than the others."""
        if self.num_words < MIN_WORDS:
            return Check(name, question, None, "too few elements", uses_truth=uses_truth)
        pooled = uniformity(self.counts)
        p_value = _either(pooled.p_value, self._smallest.adjusted)
        found = f"chi-square of all together {pooled.value:,.0f} at {pooled.degrees:,} degrees of freedom"
        if self._smallest.count:
            found += f"; least likely of {self._smallest.count:,}: {self._smallest.where}"
        return Check(name, question, p_value < _ALARM, found, p_value, uses_truth)


class _Distances:
    """How far the words of each vector are from uniform, as numbers."""

    def __init__(self, num_bytes: int) -> None:
        self._num_bytes = num_bytes
        self._smallest = SmallestP()
        self._largest = 0.0

    def add(self, words: Words, where: str) -> None:
        """Takes the words of one vector in."""
        if len(words):
            value = distance(words, self._num_bytes)
            self._largest = max(self._largest, value)
            self._smallest.add(distance_p(value, len(words)), where)

    def check(self, name: str, question: str, in_all: _Bytes) -> Check:
        """Returns whether large or small words are more frequent than the others, alone or in all together."""
        if in_all.num_words < MIN_WORDS:
            return Check(name, question, None, "too few elements")
        pooled = distance_of_counts(in_all.counts[-1])
        p_value = _either(distance_p(pooled, in_all.num_words), self._smallest.adjusted)
        found = (
            f"Kolmogorov and Smirnov's distance from uniform: {pooled:.5f} of all {in_all.num_words:,} together, at "
            f"most {self._largest:.5f} of a single vector"
        )
        return Check(name, question, p_value < _ALARM, found, p_value)


def _either(*p_values: float) -> float:
    """Returns a bound on the probability that the smallest of some p-values is as small as it is."""
    return min(1.0, len(p_values) * min(p_values))


class VectorChecks:
    """Takes the vectors of a run in, one by one, and says what they tell.

    Args:
        num_bytes: of a word; in a masked vector each of them is uniform.

    Attributes:
        correlations: one for each vector whose true update is known.
    """

    def __init__(self, num_bytes: int) -> None:
        self.correlations: list[Correlation] = []
        self._largest_word = 256**num_bytes - 1
        self._words, self._masks, self._distances = _Bytes(num_bytes), _Bytes(num_bytes), _Distances(num_bytes)
        self._truth, self._serial = _Deviations(), _Deviations()
        self._similarities = Similarities()

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(num_bytes, 256) how often each byte had each value, in all vectors together."""
        return self._words.counts

    def add(
        self,
        round_index: int,
        client_id: str,
        words: Words,
        truth: npt.NDArray[Any] | None,
        values: Floats | None = None,
    ) -> None:
        """Takes one vector in.

        Args:
            round_index: the round; never smaller than that of the vector before.
            client_id: whose it is.
            words: (d,) the received vector as unsigned integers.
            truth: (d,) what is beneath the mask, unsigned integers where the words are a sum of it and a mask; none
                where it is not known.
            values: (d,) the received numbers, where they are not the words themselves.
        """
        where = f"{client_id}, round {round_index}"
        numbers = np.asarray(words if values is None else values, np.float64)
        self._words.add(words, where)
        self._distances.add(words, where)
        serial = serial_correlation(numbers) if len(words) > 2 else None
        if serial is not None:
            self._serial.add(serial, len(words), where)
        if truth is not None and len(words) > 2:
            self._compare(round_index, client_id, words, numbers, truth)
        self._similarities.add(round_index, client_id, numbers)

    def results(self) -> list[Check]:
        """Returns what the vectors so far tell."""
        truth = self._truth.check(
            "correlation with the true update",
            "Does a received vector rise and fall with the update that the client sent?",
            uses_truth=True,
        )
        masks = self._masks.check(
            "masks", "Is what lies between a received vector and its update, the mask, uniform?", uses_truth=True
        )
        return [
            self._words.check("bytes", "Is any value of a byte more frequent than the others?"),
            self._distances.check(
                "distribution", "Are large or small elements more frequent than the others?", self._words
            ),
            truth,
            masks,
            self._between(),
            self._serial.check("serial correlation", "Does an element tell of the next one?"),
        ]

    def _compare(
        self, round_index: int, client_id: str, words: Words, numbers: Floats, truth: npt.NDArray[Any]
    ) -> None:
        """Compares a vector with what is beneath its mask."""
        where = f"{client_id}, round {round_index}"
        if np.issubdtype(truth.dtype, np.unsignedinteger):
            mask = (words - truth.astype(words.dtype)) & words.dtype.type(self._largest_word)
            self._masks.add(mask, where)
        value = correlation(numbers, np.asarray(truth, np.float64))
        if value is not None:
            self._truth.add(value, len(words), where)
            self.correlations.append(Correlation(round_index, client_id, value, len(words)))

    def _between(self) -> Check:
        name, question = "correlation between vectors", "Do two vectors of this or of the next round share a mask?"
        largest = self._similarities.largest()
        if largest is None:
            return Check(name, question, None, "too few vectors or elements")
        found = f"largest of {largest.num_pairs:,} pairs: {largest.value:+.4f} ({largest.where})"
        return Check(name, question, largest.p_value < _ALARM, found, largest.p_value)
