"""Sparse gradients and the addition of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.autograd.sparse import SparseGradient, add_rows
from fedgdl.errors import GraphError


@given(
    st.lists(st.integers(0, 4), max_size=12),
    st.sampled_from([(), (1,), (3,), (2, 3), (0,)]),
    st.sampled_from([1.0, -0.5]),
    st.sampled_from(["C", "F"]),
)
def test_adding_rows_is_the_loop(ids: list[int], row_shape: tuple[int, ...], scale: float, order: str) -> None:
    rng = np.random.default_rng(len(ids))
    array = np.asarray(rng.normal(size=(5, *row_shape)), order=order)  # type: ignore[call-overload]
    rows = rng.normal(size=(len(ids), *row_shape))
    rows.setflags(write=False)
    expected = array.copy()
    for index, row in zip(ids, rows, strict=True):
        expected[index] += scale * row
    add_rows(array, np.array(ids, np.int64), rows, scale=scale)
    np.testing.assert_allclose(array, expected, rtol=1e-13, atol=1e-13)


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
    array = np.zeros((2, 1), "float32")
    add_rows(array, np.array([1, 1]), np.ones((2, 1), "float32"), scale=0.25)
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
