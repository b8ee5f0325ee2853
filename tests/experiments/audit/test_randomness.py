"""The statistics against SciPy's and NumPy's, and how often they raise a false alarm."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.audit.randomness import (
    MIN_WORDS,
    SmallestP,
    byte_counts,
    chi_square,
    correlation,
    deviation,
    deviation_p,
    distance,
    distance_of_counts,
    distance_p,
    serial_correlation,
    uniformity,
)

Words = npt.NDArray[np.uint64]


def uniform(num_words: int, num_bytes: int, seed: int) -> Words:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256**num_bytes, num_words, dtype=np.uint64, endpoint=False)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40), st.integers(1, 4), st.sampled_from("<>"))
def test_byte_counts_are_those_of_a_loop(words: list[int], num_bytes: int, order: str) -> None:
    counts = byte_counts(np.array(words, f"{order}u4"), num_bytes)
    expected = np.zeros((num_bytes, 256), np.int64)
    for word in words:
        for index in range(num_bytes):
            expected[index, word >> (8 * index) & 255] += 1
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize(("num_words", "num_bins"), [(200, 2), (399, 2), (400, 4), (25_599, 128), (25_600, 256)])
def test_values_are_joined_until_a_hundred_are_expected_in_each_bin(num_words: int, num_bins: int) -> None:
    words = uniform(num_words, 1, seed=1)
    found = uniformity(byte_counts(words, 1))
    width = 256 // num_bins
    foldings = [words // width, words % num_bins]
    by_hand = [stats.chisquare(np.bincount(folded.astype(int), minlength=num_bins)) for folded in foldings]
    least = min(by_hand, key=lambda result: result.pvalue)
    assert found.degrees == num_bins - 1
    assert found.value == pytest.approx(least.statistic)
    assert found.p_value == pytest.approx(min(1, least.pvalue * (1 if num_bins == 256 else 2)))


@pytest.mark.parametrize("wrong", [lambda words: words | 1, lambda words: words & 127], ids=["low", "high"])
@pytest.mark.parametrize("num_words", [500, 5_000])
def test_a_stuck_bit_is_found_at_either_end(wrong: Callable[[Words], Words], num_words: int) -> None:
    assert uniformity(byte_counts(wrong(uniform(num_words, 1, seed=1)), 1)).p_value < 1e-30


def test_too_few_words_are_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {MIN_WORDS}"):
        uniformity(byte_counts(uniform(MIN_WORDS - 1, 1, seed=1), 1))


def test_chi_square_adds_up_over_rows() -> None:
    counts = byte_counts(uniform(30_000, 2, seed=2), 2)
    first, second = (stats.chisquare(row) for row in counts)
    both = chi_square(counts)
    assert both.value == pytest.approx(first.statistic + second.statistic)
    assert both.p_value == pytest.approx(stats.chi2.sf(both.value, 2 * 255))


def test_the_distance_of_many_distinct_words_is_scipy_s() -> None:
    words = uniform(5_000, 7, seed=3)
    expected = stats.kstest(words / 2.0**56, "uniform").statistic
    assert distance(words, 7) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60))
def test_the_distance_of_bytes_is_that_of_the_step_functions(words: list[int]) -> None:
    array = np.array(words, np.uint64)
    expected = max(abs((array <= value).mean() - (value + 1) / 256) for value in range(256))
    assert distance(array, 1) == pytest.approx(expected, abs=1e-12)
    assert distance_of_counts(byte_counts(array, 1)[0]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("num_words", [20, 1_000])
def test_the_bound_on_distances_is_no_less_than_their_probability(num_words: int) -> None:
    for value in (0.5, 1.0, 2.0, 3.0):
        exact = stats.kstwo.sf(value / math.sqrt(num_words), num_words)
        assert distance_p(value / math.sqrt(num_words), num_words) >= exact


def test_correlation_is_numpy_s() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random(50), rng.random(50)
    assert correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert correlation(first, 3 - 2 * first) == pytest.approx(-1)
    assert correlation(first, np.ones(50)) is None
    assert serial_correlation(np.ones(50)) is None


def test_unrelated_vectors_deviate_by_one_standard_deviation_whatever_the_other_is() -> None:
    """Means within 5 of their standard errors: a false alarm in one of half a million seeds."""
    rng = np.random.default_rng(5)
    num_trials, size = 4_000, 60
    sparse = np.zeros(size)
    sparse[7] = 1.0
    found: dict[str, list[float]] = {"sparse": [], "serial": []}
    for _ in range(num_trials):
        values = rng.random(size)
        found["sparse"].append(deviation(correlation(values, sparse) or 0.0, size))
        found["serial"].append(deviation(serial_correlation(values) or 0.0, size))
    for deviations in found.values():
        spread = np.std(deviations)
        assert abs(np.mean(deviations)) < 5 * spread / math.sqrt(num_trials)
        assert spread == pytest.approx(1, abs=0.08)


def test_the_bound_on_deviations_is_no_less_than_the_normal_distribution_s() -> None:
    for z in np.linspace(0, 12, 49):
        assert deviation_p(float(z)) >= min(1.0, 2 * stats.norm.sf(z))
    assert deviation_p(-3.0) == deviation_p(3.0)


def test_the_smallest_of_many_is_worth_less() -> None:
    smallest = SmallestP()
    assert smallest.adjusted == 1
    for p_value, where in ((0.2, "a"), (0.001, "b"), (0.5, "c")):
        smallest.add(p_value, where)
    assert (smallest.count, smallest.where) == (3, "b")
    assert smallest.adjusted == pytest.approx(0.003)
