"""Statistics that tell uniform, independent integers from all others, with the probability of a false alarm.

A masked vector's elements are uniform and independent of the update below the mask, whatever that is. Each statistic
here has a known distribution in that case, or a bound that holds for any number of elements; so a threshold can be
set that is crossed by accident once in a million runs.

Not here: which vectors are tested and what follows (`experiments.audit.checks`).

Example:
    >>> words = np.random.default_rng(5).integers(0, 2**24, 10_000, dtype=np.uint32)
    >>> uniformity(byte_counts(words, 3)).p_value > 0.001
    True
    >>> uniformity(byte_counts(words // 2, 3)).p_value < 1e-100
    True
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "MIN_WORDS",
    "SmallestP",
    "Statistic",
    "byte_counts",
    "chi_square",
    "correlation",
    "deviation",
    "deviation_p",
    "distance",
    "distance_of_counts",
    "distance_of_shares",
    "distance_p",
    "serial_correlation",
    "uniformity",
]

_MIN_EXPECTED: Final = 100
"""So many counts are expected in each bin, or bins are joined: the tail of chi-square fits to 1e-5, as simulated."""

MIN_WORDS: Final = 2 * _MIN_EXPECTED
"""With fewer words than this the distribution of bytes is not tested."""

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A chi-square, how likely a value like it, or a larger one, is by accident, and its degrees of freedom."""

    value: float
    p_value: float
    degrees: int


class SmallestP:
    """The smallest of many p-values, where it came from, and what it is worth among so many.

    Attributes:
        count: how many there were.
        where: the label of the smallest.
    """

    def __init__(self) -> None:
        self.count = 0
        self.where = ""
        self._smallest = 1.0

    def add(self, p_value: float, where: str, *, num_tests: int = 1) -> None:
        """Takes a p-value in; it may stand for the smallest of several tests."""
        self.count += num_tests
        if p_value < self._smallest or not self.where:
            self._smallest, self.where = p_value, where

    @property
    def adjusted(self) -> float:
        """The probability that the smallest of so many p-values is as small as this, or a bound on it; 1 for none.

        Source: Bonferroni's inequality.
        """
        return min(1.0, self.count * self._smallest) if self.count else 1.0


def byte_counts(words: npt.NDArray[Any], num_bytes: int) -> Counts:
    """Returns (num_bytes, 256) how often each byte has each value, the least significant byte first.

    Args:
        words: (d,) unsigned integers.
        num_bytes: how many of the low bytes count.
    """
    little = np.ascontiguousarray(words, words.dtype.newbyteorder("<"))
    planes = little.view(np.uint8).reshape(len(words), words.dtype.itemsize)
    return np.stack([np.bincount(planes[:, index], minlength=256) for index in range(num_bytes)])


def uniformity(counts: Counts) -> Statistic:
    """Returns the chi-square of bytes against equally frequent values, the rows taken as independent.

    With fewer than 25,600 words, values are joined in bins: those that share their highest bits, then those that
    share their lowest ones; what is returned is the less likely of the two, its p-value doubled.

    Args:
        counts: (planes, 256), each row with the same sum.

    Raises:
        ValueError: there are fewer than `MIN_WORDS` words.
    """
    num_words = int(counts[0].sum())
    if num_words < MIN_WORDS:
        message = f"{num_words} words are too few, at least {MIN_WORDS} are needed"
        raise ValueError(message)
    num_bins = min(256, 2 ** int(math.log2(num_words // _MIN_EXPECTED)))
    if num_bins == 256:
        return chi_square(counts)
    high = chi_square(counts.reshape(len(counts), num_bins, -1).sum(axis=2))
    low = chi_square(counts.reshape(len(counts), -1, num_bins).sum(axis=1))
    least = min(high, low, key=lambda statistic: statistic.p_value)
    return replace(least, p_value=min(1.0, 2 * least.p_value))


def chi_square(counts: Counts) -> Statistic:
    """Returns Pearson's chi-square of counts against equal bins; the rows are taken as independent.

    Args:
        counts: (planes, bins), with at least some hundred in each bin expected.

    Source:
        Pearson, "On the criterion that a given system of deviations ...", Philosophical Magazine 50, 1900.
    """
    from scipy.special import chdtrc  # takes a while to load, and only audits need it

    expected = counts.sum(axis=1, keepdims=True) / counts.shape[1]
    value = float(((counts - expected) ** 2 / expected).sum())
    degrees = len(counts) * (counts.shape[1] - 1)
    return Statistic(value, float(chdtrc(degrees, value)), degrees)


def distance(words: npt.NDArray[Any], num_bytes: int) -> float:
    """Returns Kolmogorov and Smirnov's distance of words from the uniform distribution on their range.

    Args:
        words: (d,) unsigned integers below 2**(8 * num_bytes).
        num_bytes: of a word.
    """
    step = 2.0 ** (-8 * num_bytes)  # the distribution jumps at each integer, by this
    return distance_of_shares(words.astype(np.float64) * step, step)


def distance_of_shares(shares: Floats, step: float = 0.0) -> float:
    """Returns Kolmogorov and Smirnov's distance of numbers from the uniform distribution on [0, 1).

    Args:
        shares: (d,) the numbers.
        step: they are multiples of; 0 where they may be any.
    """
    ordered, size = np.sort(shares), len(shares)
    ranks = np.arange(1, size + 1) / size
    return float(max((ranks - ordered - step).max(), (ordered - ranks + 1 / size).max()))


def distance_of_counts(counts: Counts) -> float:
    """Returns the same of counts in equal bins, which is never more than the distance of the words."""
    shares = np.cumsum(counts) / counts.sum()
    return float(np.abs(shares - np.arange(1, len(counts) + 1) / len(counts)).max())


def distance_p(value: float, num_words: int) -> float:
    """Returns a bound on the probability of such a distance, or a larger one, by accident; for any number of words.

    Source:
        Massart, "The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality", Annals of Probability 18, 1990.
    """
    return min(1.0, 2 * math.exp(-2 * num_words * max(value, 0.0) ** 2))


def correlation(first: Floats, second: Floats) -> float | None:
    """Returns Pearson's correlation of two vectors; none where one of them is constant.

    Where one is of independent elements with one distribution, its mean is 0 and its variance 1 / (d - 1), whatever
    the other one is.
    """
    centred, other = first - first.mean(), second - second.mean()
    scale = math.sqrt(float(centred @ centred)) * math.sqrt(float(other @ other))
    return float(centred @ other) / scale if scale > 0 else None


def serial_correlation(values: Floats) -> float | None:
    """Returns the correlation of each element with the next one; none where all are the same.

    The bias of minus 1 / d that independent elements give is added back.
    """
    centred = values - values.mean()
    scale = float(centred @ centred)
    return float(centred[:-1] @ centred[1:]) / scale + 1 / len(values) if scale > 0 else None


def deviation(value: float, num_elements: int) -> float:
    """Returns a correlation in standard deviations of what unrelated vectors of so many elements give."""
    return value * math.sqrt(num_elements - 1)


def deviation_p(value: float) -> float:
    """Returns a bound on the probability of such a deviation, or a larger one, to either side.

    It is that of Hoeffding for sums of bounded values, 2 exp(-z**2 / 2): at z = 5 five times the normal
    distribution's, so that few elements raise no alarm either.

    Source:
        Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58, 1963.
    """
    return min(1.0, 2 * math.exp(-value * value / 2))
