"""Parameters: where their data and gradients lie, and how gradients arrive."""

import copy
import pickle

import numpy as np
import pytest
from tensors import dense_gradient, leaf, parameter

from fedgdl.autograd import GradientVector, Parameter, SparseGradient, embedding_bag
from fedgdl.errors import GraphError, ParameterError
from fedgdl.parameters import Layout, Parameters

LAYOUT = Layout.of({"bias": (3,), "table": (4, 2)}, "float32")


def bound(name: str, shape: tuple[int, ...]) -> tuple[Parameter, Parameters, GradientVector]:
    """A parameter of ones that lies in a vector."""
    one, parameters, gradients = Parameter(np.ones(shape, "float32")), Parameters(LAYOUT), GradientVector(LAYOUT)
    one.bind(name, parameters, gradients)
    return one, parameters, gradients


def test_binding_moves_the_values_into_the_vector_without_further_copies() -> None:
    table, parameters, _ = bound("table", (4, 2))
    np.testing.assert_array_equal(parameters.vector, [0] * 3 + [1] * 8)
    assert np.shares_memory(table.data, parameters.vector)
    parameters.load(np.arange(11, dtype="float32"))
    np.testing.assert_array_equal(table.data[0], [3, 4])
    table.data[3, 1] = -1
    assert parameters.vector[-1] == -1
    assert (table.name, table.parameters) == ("table", parameters)


def test_binding_to_an_unknown_name_is_refused() -> None:
    with pytest.raises(ParameterError, match="there is no parameter 'other'"):
        bound("other", (3,))


def test_dense_gradients_lie_in_the_gradient_vector() -> None:
    bias, _, gradients = bound("bias", (3,))
    assert gradients._views is None  # nothing is allocated before it is needed
    (bias * 2).sum().backward()
    assert bias.grad is gradients.view("bias") or np.shares_memory(dense_gradient(bias), gradients.view("bias"))
    np.testing.assert_array_equal(gradients.view("bias"), [2, 2, 2])


def test_sparse_gradients_allocate_no_gradient_vector() -> None:
    table, _, gradients = bound("table", (4, 2))
    embedding_bag(table, np.array([1]), np.array([0, 1])).sum().backward()
    assert isinstance(table.grad, SparseGradient)
    assert gradients._views is None


def test_the_first_gradient_overwrites_and_later_ones_add() -> None:
    for bias in (bound("bias", (3,))[0], Parameter(np.ones(3, "float32"))):
        (bias * 2).sum().backward()
        buffer = bias.grad
        (bias * 3).sum().backward()
        np.testing.assert_array_equal(dense_gradient(bias), [5, 5, 5])
        bias.grad = None
        (bias * 7).sum().backward()
        np.testing.assert_array_equal(dense_gradient(bias), [7, 7, 7])
        assert bias.grad is buffer  # one buffer, used again


def test_gradients_of_tied_uses_arrive_once_each() -> None:
    one = parameter(2, 2)
    (one @ one + one * one + one).sum().backward()
    ones = np.ones((2, 2))
    expected = ones @ one.data.T + one.data.T @ ones + 2 * one.data + 1
    np.testing.assert_allclose(dense_gradient(one), expected, rtol=1e-14)


@pytest.mark.parametrize("order", ["sparse dense", "dense sparse", "sparse dense sparse", "sparse sparse dense dense"])
def test_rows_and_dense_gradients_mix(order: str) -> None:
    table = parameter(4, 2)
    expected = np.zeros((4, 2))
    for kind in order.split():
        if kind == "sparse":
            embedding_bag(table, np.array([1, 1, 3]), np.array([0, 2, 3])).sum().backward()
            expected += [[0, 0], [2, 2], [0, 0], [1, 1]]
        else:
            (3 * table).sum().backward()
            expected += 3
    np.testing.assert_array_equal(dense_gradient(table), expected)


def test_a_gradient_of_the_wrong_shape_or_dtype_is_refused() -> None:
    one = parameter(3)
    for wrong in (np.ones(2), np.ones((1, 3)), np.ones(3, "float32")):
        with pytest.raises(GraphError, match=r"came for data of shape \(3,\) and float64"):
            one.receive(wrong)
    assert one.grad is None


def test_frozen_parameters_get_no_gradient() -> None:
    frozen, x = Parameter(np.ones(2), requires_grad=False), leaf(2)
    (frozen * x).sum().backward()
    assert frozen.grad is None
    assert not (frozen * 2).requires_grad


def test_data_are_made_contiguous() -> None:
    one = Parameter(np.ones((2, 3)).T)
    assert one.data.flags.c_contiguous
    array = np.ones((2, 3))
    assert Parameter(array).data is array


def test_copies_are_free_of_the_vector() -> None:
    table, parameters, _ = bound("table", (4, 2))
    for other in (copy.deepcopy(table), copy.copy(table), pickle.loads(pickle.dumps(table))):
        assert type(other) is Parameter
        assert other.parameters is None
        other.data[...] = 5
    np.testing.assert_array_equal(parameters["table"], np.ones((4, 2)))


def test_repr_tells_name_and_shape() -> None:
    assert repr(bound("table", (4, 2))[0]) == "Parameter(table: (4, 2) float32)"
    assert repr(Parameter([1.0])) == "Parameter(unnamed: (1,) float64)"
