"""Sparse gradients: the pieces that arrive, in one table and in a stack of tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.autograd import SparseGradient
from fedgdl.errors import GraphError


@given(st.lists(st.lists(st.integers(0, 4), max_size=4), max_size=5), st.sampled_from([1, 3]))
def test_shared_rows_are_added_for_each_of_their_ids(bags: list[list[int]], width: int) -> None:
    rows = np.random.default_rng(1).normal(size=(len(bags), width))
    ids = np.array([index for bag in bags for index in bag], np.int64)
    repeats = np.array([len(bag) for bag in bags], np.int64)
    gradient = SparseGradient((5, width), np.dtype("float64"))
    gradient.append(ids, rows, repeats)
    expected = np.zeros((5, width))
    for bag, row in zip(bags, rows, strict=True):
        for index in bag:
            expected[index] += row
    np.testing.assert_allclose(gradient.to_dense(), expected, rtol=1e-13, atol=1e-13)


def test_float32_is_kept_with_any_scale() -> None:
    gradient = SparseGradient((2, 1), np.dtype("float32"))
    gradient.append(np.array([1, 1]), np.ones((2, 1), "float32"))
    array = np.zeros((2, 1), "float32")
    gradient.add_to(array, 0.25)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[0], [0.5]])


def test_pieces_add_up_and_can_be_scaled() -> None:
    gradient = SparseGradient((3, 2), np.dtype("float64"))
    gradient.append(np.array([0, 2]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    gradient.append(np.array([2]), np.array([[10.0, 20.0]]))
    np.testing.assert_array_equal(gradient.to_dense(), [[1, 2], [0, 0], [13, 24]])
    table = np.ones((3, 2))
    gradient.add_to(table, -2.0)
    np.testing.assert_array_equal(table, [[-1, -3], [1, 1], [-25, -47]])
    assert repr(gradient) == "SparseGradient(3 rows of a (3, 2) table, float64)"


def test_a_stack_of_tables() -> None:
    gradient = SparseGradient((2, 3, 1), np.dtype("float64"))
    gradient.append(np.array([0, 5, 5]), np.array([[1.0], [2.0], [4.0]]))
    gradient.append(np.array([1, 1, 3]), np.array([[8.0], [16.0]]), np.array([2, 1]))
    np.testing.assert_array_equal(gradient.to_dense()[..., 0], [[1, 16, 0], [16, 0, 6]])


def test_pieces_that_do_not_fit_are_refused() -> None:
    gradient = SparseGradient((3, 2), np.dtype("float64"))
    for rows, repeats in (
        (np.ones((2, 3)), None),
        (np.ones((1, 2)), None),
        (np.ones(2), None),
        (np.ones((2, 2), "float32"), None),
        (np.ones((2, 2)), np.array([2])),
    ):
        with pytest.raises(GraphError, match=r"of a \(3, 2\) table of float64 cannot have shape"):
            gradient.append(np.array([0, 1]), rows, repeats)
    assert gradient.pieces == []
    stacked = SparseGradient((4, 3, 2), np.dtype("float64"))
    for rows in (np.ones((2, 3)), np.ones((2, 4, 2)), np.ones(2)):
        with pytest.raises(GraphError, match=r"of a \(4, 3, 2\) table"):
            stacked.append(np.array([0, 1]), rows)
