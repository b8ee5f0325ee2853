"""What a check is, and the tallies that most of them are made of: correlations, bytes, distances from uniform.

A tally takes the figures of one vector after another in, and judges the least likely of them and all of them together.

Not here: which figures are taken (`experiments.audit.checks`, `experiments.audit.ciphertexts`).

Example:
    >>> from experiments.audit.randomness import byte_counts
    >>> tally, words = ByteTally(2), np.random.default_rng(5).integers(0, 2**16, 2_000, dtype=np.uint16)
    >>> tally.add(byte_counts(words, 2), "alice, round 1")
    >>> tally.check("bytes", "Is any value of a byte more frequent than the others?", alarm=1e-6).is_alarm
    False
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.audit.randomness import (
    MIN_WORDS,
    SmallestP,
    deviation,
    deviation_p,
    distance_of_counts,
    distance_p,
    uniformity,
)
from experiments.audit.similarity import Similarities

__all__ = [
    "FALSE_ALARM_RATE",
    "ByteTally",
    "Check",
    "Correlation",
    "CorrelationTally",
    "DistanceTally",
    "check_of_pairs",
    "either",
]

FALSE_ALARM_RATE: Final = 1e-6
"""The probability that any of the statistical checks of a run with right masks or ciphertexts raises an alarm."""

_TOO_FEW: Final = "too few elements"


@dataclass(frozen=True, slots=True)
class Check:
    """What one check saw.

    Attributes:
        name: a few words.
        question: what it asks, in a sentence.
        is_alarm: whether what came is other than right masks or ciphertexts; none where there is too little to tell.
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
class CorrelationTally:
    """Correlations in standard deviations: the largest, and all of them together."""

    smallest: SmallestP = field(default_factory=SmallestP)
    largest: float = 0.0
    total: float = 0.0
    num_elements: int = 0

    def add(self, value: float, num_elements: int, where: str) -> None:
        """Takes the correlation of one vector in."""
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

    def check(self, name: str, question: str, *, alarm: float, uses_truth: bool = False) -> Check:
        """Returns the check of these; no verdict where even full correlation would raise no alarm."""
        if deviation_p(math.sqrt(self.num_elements)) >= alarm / 2:
            return Check(name, question, None, _TOO_FEW, uses_truth=uses_truth)
        p_value = either(self.smallest.adjusted, deviation_p(self.pooled))
        found = (
            f"largest of {self.smallest.count:,}: {self.largest:+.4f} ({self.smallest.where}); all together "
            f"{self.pooled:+.2f} standard deviations"
        )
        return Check(name, question, p_value < alarm, found, p_value, uses_truth)


class ByteTally:
    """How often each byte of a word has each value.

    Args:
        num_bytes: of a word.

    Attributes:
        counts: (num_bytes, 256) in all vectors together.
    """

    def __init__(self, num_bytes: int) -> None:
        self.counts = np.zeros((num_bytes, 256), np.int64)
        self._smallest = SmallestP()

    @property
    def num_words(self) -> int:
        """How many words there were."""
        return int(self.counts[0].sum())

    def add(self, counts: npt.NDArray[np.int64], where: str) -> None:
        """Takes the counts (num_bytes, 256) of one vector's words in."""
        self.counts += counts
        if int(counts[0].sum()) >= MIN_WORDS:
            self._smallest.add(uniformity(counts).p_value, where)

    def check(self, name: str, question: str, *, alarm: float, uses_truth: bool = False) -> Check:
        """Returns whether any value of a byte is more frequent than the others."""
        if self.num_words < MIN_WORDS:
            return Check(name, question, None, _TOO_FEW, uses_truth=uses_truth)
        pooled = uniformity(self.counts)
        p_value = either(pooled.p_value, self._smallest.adjusted)
        found = f"chi-square of all together {pooled.value:,.0f} at {pooled.degrees:,} degrees of freedom"
        if self._smallest.count:
            found += f"; least likely of {self._smallest.count:,}: {self._smallest.where}"
        return Check(name, question, p_value < alarm, found, p_value, uses_truth)


class DistanceTally:
    """How far the numbers of each vector are from uniform."""

    def __init__(self) -> None:
        self._smallest = SmallestP()
        self._largest = 0.0

    def add(self, value: float, num_words: int, where: str) -> None:
        """Takes Kolmogorov and Smirnov's distance of one vector's numbers in."""
        self._largest = max(self._largest, value)
        self._smallest.add(distance_p(value, num_words), where)

    def check(self, name: str, question: str, leading: npt.NDArray[np.int64], *, alarm: float) -> Check:
        """Returns whether large or small numbers are more frequent than the others, alone or in all together.

        Args:
            name: of the check.
            question: likewise.
            leading: (256,) how many numbers of all vectors lie in each 256th of the range.
            alarm: the probability below which it is one.
        """
        num_words = int(leading.sum())
        if num_words < MIN_WORDS:
            return Check(name, question, None, _TOO_FEW)
        pooled = distance_of_counts(leading)
        p_value = either(distance_p(pooled, num_words), self._smallest.adjusted)
        found = (
            f"Kolmogorov and Smirnov's distance from uniform: {pooled:.5f} of all {num_words:,} together, at "
            f"most {self._largest:.5f} of a single vector"
        )
        return Check(name, question, p_value < alarm, found, p_value)


def check_of_pairs(similarities: Similarities, question: str, *, alarm: float) -> Check:
    """Returns the check of the most similar two vectors."""
    name, largest = "correlation between vectors", similarities.largest()
    if largest is None:
        return Check(name, question, None, "too few vectors or elements")
    found = f"largest of {largest.num_pairs:,} pairs: {largest.value:+.4f} ({largest.where})"
    return Check(name, question, largest.p_value < alarm, found, largest.p_value)


def either(*p_values: float) -> float:
    """Returns a bound on the probability that the smallest of some p-values is as small as it is."""
    return min(1.0, len(p_values) * min(p_values))
