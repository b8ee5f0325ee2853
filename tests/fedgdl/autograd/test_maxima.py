"""Largest values of windows: against loops, in parts, and among equal ones the first, row by row."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.autograd.maxima import WindowMaxima

Array = npt.NDArray[Any]


@given(
    st.integers(0, 5), st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32)
)
def test_the_loop_over_every_window(
    num_samples: int, side: int, rows: int, columns: int, values: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, values, (num_samples, rows * side, columns * side, 2)).astype("float32")  # with many ties
    g = rng.normal(size=(num_samples, rows, columns, 2)).astype("float32")
    maxima = WindowMaxima(x.shape, side, x.dtype)
    y, dx = np.full_like(g, np.nan), np.full_like(x, np.nan)
    parts = [slice(start, min(start + 2, num_samples)) for start in range(0, num_samples, 2)]
    for part in parts:
        maxima.take(part, x[part], y[part])
    for part in parts[::-1]:
        assert maxima.spread(part, g[part], dx[part]) is not None
    expected = np.zeros_like(x)
    for n, i, j, c in np.ndindex(y.shape):
        places = [(n, i * side + di, j * side + dj, c) for di, dj in itertools.product(range(side), repeat=2)]
        first = max(places, key=lambda place: x[place])
        assert y[n, i, j, c] == x[first]
        expected[first] = g[n, i, j, c]
    np.testing.assert_array_equal(dx, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_images_and_results_in_any_memory_order(dtype: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 4, 6, 5)).astype(dtype)
    everything = slice(0, 3)
    results = []
    for order in (np.ascontiguousarray, np.asfortranarray):
        maxima = WindowMaxima(x.shape, 2, x.dtype)
        y, dx = order(np.empty((3, 2, 3, 5), dtype)), order(np.empty_like(x))
        maxima.take(everything, order(x), y)
        maxima.spread(everything, order(y), dx)
        results.append((y, dx))
    for plain, other in zip(*results, strict=True):
        np.testing.assert_array_equal(other, plain)
