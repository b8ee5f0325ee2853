"""Digits drawn by the program: format, seed, variety, and that a picture shows its label."""

import numpy as np
import pytest

from fedgdl.data.drawn_digits import SIDE, Hand, draw_digits
from fedgdl.errors import DataError


def test_format() -> None:
    images, labels = draw_digits(50, np.random.default_rng(1))
    assert images.shape == (50, SIDE, SIDE)
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert images.min() == 0
    assert images.max() == 1
    assert set(labels) <= set(range(10))
    assert [array.shape for array in draw_digits(0, np.random.default_rng(1))] == [(0, SIDE, SIDE), (0,)]


def test_a_seed_gives_the_same_digits_and_leaves_the_global_stream_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (that nobody touches it is what is tested)
    first, second = (draw_digits(20, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert not np.array_equal(first[0], draw_digits(20, np.random.default_rng(8))[0])


def test_every_digit_is_as_likely() -> None:
    _, labels = draw_digits(3_000, np.random.default_rng(3))
    counts = np.bincount(labels, minlength=10)
    # Binomial with n = 3,000 and p = 0.1: standard deviation 16; beyond 5 of them by chance: 6e-7 for each digit.
    assert np.abs(counts - 300).max() < 5 * np.sqrt(3_000 * 0.1 * 0.9)


def test_the_whole_digit_is_on_the_paper() -> None:
    images, _ = draw_digits(500, np.random.default_rng(4))
    edge = images.copy()
    edge[:, 1:-1, 1:-1] = 0
    # Half of 0.66, stretched by 1.05 and turned, with pen and largest move, is 0.51: ink just reaches the edge.
    assert (edge.reshape(500, -1).max(1) > 0).mean() < 0.02
    assert images.reshape(500, -1).sum(1).min() > 20  # the thinnest pen and the shortest path: a 1


def test_pictures_of_one_digit_differ_and_are_nearest_to_their_own_kind() -> None:
    images, labels = draw_digits(600, np.random.default_rng(5))
    others, goals = draw_digits(100, np.random.default_rng(6))
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)
    distances = ((others.reshape(100, 1, -1) - images.reshape(1, 600, -1)) ** 2).sum(-1)
    assert (labels[distances.argmin(1)] == goals).mean() > 0.9  # a guess would be right once in ten


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(DataError, match="cannot draw -1 digits"):
        draw_digits(-1, np.random.default_rng(1))


def test_anybodys_hand_is_the_usual_one() -> None:
    for first, second in zip(
        draw_digits(20, np.random.default_rng(7)), draw_digits(20, np.random.default_rng(7), Hand()), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_a_hand_shows_in_the_picture() -> None:
    leaning = draw_digits(200, np.random.default_rng(1), Hand(slant=(-0.25, -0.2), pen=(0.06, 0.065)))[0]
    upright = draw_digits(200, np.random.default_rng(1), Hand(slant=(0.0, 0.05), pen=(0.035, 0.04)))[0]
    assert leaning.mean() > 1.3 * upright.mean()  # the pen is 1.6 times as wide
    columns = np.arange(SIDE)
    top = slice(4, 12)
    centres = [(ink[:, top] * columns).sum() / ink[:, top].sum() for ink in (leaning, upright)]
    assert centres[0] > centres[1]  # below 0 leans to the right
