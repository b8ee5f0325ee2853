"""Drawn digits by imaginary writers: the seed, the numbers, and habits that tell writers apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgdl.config import DataConfig
from fedgdl.data.drawn_digits import Hand
from fedgdl.data.sources.synthetic_digits import SOURCE, TEST_WRITERS, TRAIN_WRITERS, draw_parts


@given(st.integers(1, 300), st.integers(0, 5))
@settings(max_examples=15)
def test_there_are_as_many_as_asked_for_and_test_digits_are_by_others(num_train: int, seed: int) -> None:
    train, test = draw_parts(num_train, seed)
    assert train.images.shape == (num_train, 28, 28)
    assert len(test.labels) == max(1, num_train // 6)
    for part in (train, test):
        assert len(part.images) == len(part.labels) == len(part.writers)
        assert (part.images.dtype, part.labels.dtype, part.writers.dtype) == (np.uint8, np.uint8, np.int32)
        assert part.labels.max() <= 9
    assert len(np.unique(train.writers)) == min(num_train, TRAIN_WRITERS)
    assert set(train.writers.tolist()).isdisjoint(test.writers.tolist())


def test_the_seed_decides_all() -> None:
    first, again, other = (draw_parts(120, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.writers, again.writers)
    assert not np.array_equal(first.images, other.images)


def test_writers_are_of_all_sizes_and_in_no_order() -> None:
    train, test = draw_parts(3_000, 1)
    sizes = np.bincount(train.writers, minlength=TRAIN_WRITERS)
    assert sizes.min() >= 20  # half of the mean of 50, and then some for the sum of weights
    assert sizes.max() > 1.5 * sizes.min()
    assert len(np.unique(train.writers[:60])) > 20  # sixty in order would be by three
    assert len(np.unique(test.writers)) == TEST_WRITERS


def test_a_writer_keeps_to_a_part_of_each_habit() -> None:
    everybody = Hand()
    for seed in range(20):
        hand = everybody.narrowed(np.random.default_rng(seed), 0.25)
        for habit in ("turn", "slant", "width", "height", "pen"):
            (low, high), (least, most) = getattr(hand, habit), getattr(everybody, habit)
            assert least <= low < high <= most + 1e-12
            assert high - low == pytest.approx(0.25 * (most - least))


def test_writers_differ_in_their_ink() -> None:
    train, _ = draw_parts(6_000, 1)
    ink = train.images.reshape(len(train.images), -1).mean(1)
    within = np.mean([ink[train.writers == writer].var() for writer in range(TRAIN_WRITERS)])
    # Were there no habits, the variance within writers would be 99 % of that of all (100 digits each).
    assert within < 0.8 * ink.var()


def test_the_split_is_scaled_by_the_configuration() -> None:
    split = SOURCE.split((), DataConfig("synthetic-digits", examples=120), 1)
    assert (len(split.train_rows), len(split.test_rows)) == (120, 20)
    assert split.groups is not None
    assert len(split.groups.names) == TRAIN_WRITERS
    assert SOURCE.settings == ("examples",)
    assert SOURCE.is_seeded
