"""Touched rows: sums of what arrived, in tables and in stacks of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Bags, bag_lists

from fedgdl.autograd import SparseGradient
from fedgdl.errors import ParameterError
from fedgdl.optim.rows import join_rows, sum_rows


@given(bag_lists(num_words=5), bag_lists(num_words=5), st.sampled_from([(), (1,), (2, 3)]))
def test_each_touched_row_comes_once_with_its_sum(first: Bags, second: Bags, row_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(9)
    gradient = SparseGradient((5, *row_shape), np.dtype("float64"))
    for bags in (first, second):
        repeats = np.array([len(bag) for bag in bags.lists], np.int64)
        gradient.append(bags.token_ids, rng.normal(size=(len(bags.lists), *row_shape)), repeats)
    [(ids, rows)] = sum_rows(gradient)
    assert ids.tolist() == sorted(set(first.token_ids) | set(second.token_ids))
    np.testing.assert_allclose(rows, gradient.to_dense()[ids], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(join_rows([(ids, rows)], gradient.shape, gradient.dtype).to_dense()[ids], rows)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_clients_of_a_stack_have_the_sums_they_have_alone(num_clients: int) -> None:
    rng = np.random.default_rng(10)
    stack = SparseGradient((num_clients, 4, 3), np.dtype("float32"))
    lone = [SparseGradient((4, 3), np.dtype("float32")) for _ in range(num_clients)]
    for _ in range(3):
        sizes = rng.integers(0, 6, size=num_clients)
        ids = [rng.integers(4, size=size) for size in sizes]
        rows = [rng.normal(size=(size, 3)).astype("float32") for size in sizes]
        for gradient, own_ids, own_rows in zip(lone, ids, rows, strict=True):
            gradient.append(own_ids, own_rows)
        stack.append(np.concatenate([4 * k + own for k, own in enumerate(ids)]), np.concatenate(rows))
    tables = sum_rows(stack, num_clients)
    for (own_ids, own_rows), gradient in zip(tables, lone, strict=True):
        [(expected_ids, expected_rows)] = sum_rows(gradient)
        np.testing.assert_array_equal(own_ids, expected_ids)
        np.testing.assert_array_equal(own_rows, expected_rows)
    joined = join_rows(tables, stack.shape, stack.dtype)
    np.testing.assert_allclose(joined.to_dense(), stack.to_dense(), rtol=1e-5)


def test_nothing_arrived_is_no_rows() -> None:
    gradient = SparseGradient((4, 3), np.dtype("float32"))
    [(ids, rows)] = sum_rows(gradient)
    assert (ids.shape, ids.dtype, rows.shape, rows.dtype) == ((0,), np.int64, (0, 3), np.float32)
    assert [own.size for own, _ in sum_rows(SparseGradient((2, 4, 3), np.dtype("float32")), 2)] == [0, 0]


def test_rows_that_are_whole_clients_are_refused() -> None:
    gradient = SparseGradient((2, 4, 3), np.dtype("float32"))
    gradient.append(np.array([1]), np.ones((1, 4, 3), "float32"))
    with pytest.raises(ParameterError, match="must name rows of the clients' tables"):
        sum_rows(gradient, 2)
