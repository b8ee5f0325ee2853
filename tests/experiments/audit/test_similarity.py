"""The most similar pair against the loop over all pairs."""

import itertools

import numpy as np
import pytest

from experiments.audit.similarity import Similarities


def test_the_largest_pair_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(1)
    vectors = {(index, name): rng.random(500) for index in (1, 2, 3) for name in "abcde"}
    similarities = Similarities()
    for (index, name), values in vectors.items():
        similarities.add(index, name, values)
    found = similarities.largest()
    pairs = [
        (np.corrcoef(vectors[one], vectors[other])[0, 1], one, other)
        for one, other in itertools.combinations(vectors, 2)
        if abs(one[0] - other[0]) <= 1
    ]
    value, one, other = max(pairs, key=lambda pair: abs(pair[0]))
    assert found is not None
    assert found.value == pytest.approx(value, abs=1e-6)
    assert found.num_pairs == len(pairs)
    assert one[1] in found.where
    assert other[1] in found.where
    assert 0.01 < found.p_value <= 1


def test_long_vectors_are_compared_by_some_of_their_elements() -> None:
    similarities, rng = Similarities(), np.random.default_rng(1)
    same = rng.random(50_000)
    for name, values in (("a", same), ("b", rng.random(50_000)), ("c", same + 1e-3 * rng.random(50_000))):
        similarities.add(1, name, values)
    found = similarities.largest()
    assert found is not None
    assert found.where == "a and c, round 1"
    assert found.value > 0.999


def test_one_vector_or_short_ones_tell_nothing() -> None:
    alone, short = Similarities(), Similarities()
    alone.add(1, "a", np.arange(100.0))
    for name in "ab":
        short.add(1, name, np.arange(10.0))
    assert alone.largest() is None
    assert short.largest() is None
