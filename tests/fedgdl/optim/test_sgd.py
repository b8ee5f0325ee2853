"""Plain SGD: dense and sparse steps, and a training run with a known end."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Bags, bag_lists, parameter

from fedgdl.autograd import Parameter, Tensor, embedding_bag, squared_error
from fedgdl.optim import SGD


def test_a_dense_step_is_in_place() -> None:
    one = parameter(2, 3)
    data, before = one.data, one.data.copy()
    (one * 4).sum().backward()
    SGD([one], lr=0.25).step()
    assert one.data is data
    np.testing.assert_allclose(one.data, before - 1)


@given(bag_lists(num_words=5), st.sampled_from([1, 3]), st.integers(1, 3))
def test_a_sparse_step_is_the_dense_one(bags: Bags, width: int, times: int) -> None:
    rng = np.random.default_rng(1)
    table = Parameter(rng.normal(size=(5, width)))
    expected = table.data.copy()
    for _ in range(times):
        gradient = rng.normal(size=(len(bags.lists), width))
        embedding_bag(table, bags.token_ids, bags.offsets).backward(gradient)
        for bag, row in zip(bags.lists, gradient, strict=True):
            for word in bag:
                expected[word] -= 0.1 * row
    SGD([table], lr=0.1).step()
    np.testing.assert_allclose(table.data, expected, rtol=1e-12, atol=1e-12)


def test_rows_that_no_bag_names_keep_their_bits() -> None:
    table = parameter(4, 2)
    before = table.data.copy()
    embedding_bag(table, np.array([2]), np.array([0, 1])).backward(1.0)
    SGD([table], lr=0.1).step()
    np.testing.assert_array_equal(table.data[[0, 1, 3]], before[[0, 1, 3]])
    assert (table.data[2] != before[2]).all()


def test_a_step_uses_the_gradient_up() -> None:
    one = Parameter(np.zeros(1))
    optimizer = SGD([one], lr=1.0)
    one.backward(1.0)
    optimizer.step()
    assert one.grad is None
    optimizer.step()
    one.backward(2.0)
    optimizer.step()
    np.testing.assert_array_equal(one.data, [-3])


def test_gradients_of_several_batches_add_up_before_a_step() -> None:
    one = Parameter(np.zeros(1))
    one.backward(1.0)
    one.backward(2.0)
    SGD([one], lr=1.0).step()
    np.testing.assert_array_equal(one.data, [-3])


@pytest.mark.parametrize("lr", [0.1, np.float64(0.1), 1])
def test_float32_stays_float32(lr: float) -> None:
    dense, table = parameter(2, dtype="float32"), parameter(3, 2, dtype="float32")
    (embedding_bag(table, np.array([1, 1]), np.array([0, 2])) * dense).sum().backward()
    optimizer = SGD([dense, table], lr=lr)
    optimizer.step()
    assert type(optimizer.lr) is float
    assert dense.dtype == table.dtype == np.float32


def test_the_learning_rate_may_change_between_steps() -> None:
    one = Parameter(np.zeros(1))
    optimizer = SGD(iter([one]), lr=1)
    for optimizer.lr in (1.0, 0.5):
        one.backward(1.0)
        optimizer.step()
    np.testing.assert_array_equal(one.data, [-1.5])


def test_the_two_layer_network_of_the_book() -> None:
    """Ten steps of a linear network on four rows retrace the published losses.

    Source: Andrew W. Trask, Grokking Deep Learning, 2019, chapter 13, "Adding automatic optimization": the printed
    losses, from the weights that NumPy's legacy generator draws after seed 0.
    """
    published = [0.58128304, 0.48988149, 0.41375111, 0.34489412, 0.28210124]
    published += [0.2254484, 0.17538853, 0.1324231, 0.09682769, 0.06849361]
    first = Parameter(
        [
            [0.7151893663724195, 0.6027633760716439, 0.5448831829968969],
            [0.4236547993389047, 0.6458941130666561, 0.4375872112626925],
        ]
    )
    second = Parameter([[0.05671297731744318], [0.2726562945801132], [0.47766511732134986]])
    rows, target = Tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
    optimizer = SGD([first, second], lr=0.1)
    losses = []
    for _ in published:
        loss = squared_error(rows @ first @ second, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, published, rtol=0, atol=5e-9)
