"""Parameters: where their data and gradients lie, and how gradients arrive."""

import copy
import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import dense_gradient, leaf, parameter

from fedgdl.autograd import GradientVector, Parameter, SparseGradient, embedding_bag
from fedgdl.autograd.blas import axpy
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


# What a gradient of a table (4, 2) may arrive as, and what it is in full.
A, B = np.array([[1.0, 2], [0, 1], [3, 0], [1, 1]]), np.array([[1.0, -1], [2, 5]])
THIN, WIDE = np.array([[1.0], [2], [3], [4]]), np.array([[10.0, 20]])
ARRIVALS: dict[str, tuple[Any, npt.NDArray[np.float64]]] = {
    "dense": (lambda table: table.receive(np.full((4, 2), 3.0)), np.full((4, 2), 3.0)),
    "product": (lambda table: table.receive_product(A, B), A @ B),
    "thin product": (lambda table: table.receive_product(THIN, WIDE), THIN * WIDE),
    "rows": (
        lambda table: table.receive_rows(np.array([1, 3, 1]), np.array([[1.0, 2], [3, 4], [5, 6]])),
        np.array([[0, 0], [6, 8], [0, 0], [3, 4]]),
    ),
    "bags": (
        lambda table: table.receive_rows(np.array([0, 3, 3]), np.array([[1.0, 1], [7, 8]]), np.array([2, 1])),
        np.array([[1, 1], [0, 0], [0, 0], [8, 9]]),
    ),
}


def in_a_vector(*clients: int) -> Parameter:
    """A table of zeros (4, 2) in a vector, or of K clients in a stack, beside others; old gradients hold NaN."""
    layout = Layout.of({"before": (3,), "table": (4, 2), "after": (1,)}, "float64")
    gradients = GradientVector(layout, *clients)
    gradients.vector.fill(np.nan)
    table = Parameter(np.zeros((*clients, 4, 2)))
    table.bind("table", Parameters(layout, np.ones((*clients, layout.size))), gradients)
    return table


@pytest.mark.parametrize("bound_to_a_vector", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_gradients_in_every_order_of_arrival_add_up(number: int, bound_to_a_vector: bool) -> None:
    for names in itertools.product(ARRIVALS, repeat=number):
        table = in_a_vector() if bound_to_a_vector else Parameter(np.zeros((4, 2)))
        for _ in range(2):  # the second time the place of the gradient is known, and holds the first
            table.grad = None
            for name in names:
                ARRIVALS[name][0](table)
            np.testing.assert_array_equal(dense_gradient(table), sum(ARRIVALS[name][1] for name in names))
        sparse = set(names) <= {"rows", "bags"}
        assert isinstance(table.grad, SparseGradient) == sparse
        if bound_to_a_vector:
            assert table.gradients is not None
            np.testing.assert_array_equal(np.isnan(table.gradients.vector), [True] * 3 + [sparse] * 8 + [True])


@given(st.lists(st.lists(st.sampled_from([*ARRIVALS, "rows that are dense by now"]), max_size=6), max_size=4))
def test_gradients_of_any_steps_add_up(steps: list[list[str]]) -> None:
    table = in_a_vector()
    for names in steps:
        table.grad = None
        expected = np.zeros((4, 2))
        for name in names:
            if name in ARRIVALS:
                ARRIVALS[name][0](table)
                expected = expected + ARRIVALS[name][1]
            elif isinstance(table.grad, np.ndarray):
                table.receive_rows(np.array([2]), np.ones((1, 2)))
                expected[2] += 1
        if expected.any():
            np.testing.assert_array_equal(dense_gradient(table), expected)
        assert (table.grad is None) == (not set(names) & set(ARRIVALS))


@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_gradients_of_a_stack_lie_in_the_clients_rows(num_clients: int) -> None:
    table = in_a_vector(num_clients)
    assert table.gradients is not None
    factors = np.arange(1.0, num_clients + 1)[:, np.newaxis, np.newaxis]
    arrivals = {
        "dense": (lambda: table.receive(factors * np.ones((4, 2))), factors * np.ones((4, 2))),
        "product": (lambda: table.receive_product(factors * A, np.tile(B, (num_clients, 1, 1))), factors * (A @ B)),
        "thin product": (
            lambda: table.receive_product(factors * THIN, np.tile(WIDE, (num_clients, 1, 1))),
            factors * THIN * WIDE,
        ),
        # The id of row i of client k is k V + i.
        "rows": (
            lambda: table.receive_rows(
                np.concatenate([4 * client + np.array([3, 3]) for client in range(num_clients)]),
                np.tile([[1.0, 2], [10, 20]], (num_clients, 1)) * np.repeat(factors[:, :, 0], 2, 0),
            ),
            factors * np.array([[0, 0], [0, 0], [0, 0], [11, 22]]),
        ),
    }
    for names in itertools.product(arrivals, repeat=2):
        table.grad = None
        for name in names:
            arrivals[name][0]()
        np.testing.assert_array_equal(dense_gradient(table), sum(arrivals[name][1] for name in names))
        if isinstance(table.grad, np.ndarray):
            assert np.shares_memory(table.grad, table.gradients.vector)
    table.receive(np.ones((num_clients, 4, 2)))
    assert np.isnan(table.gradients.vector[:, [0, 1, 2, 11]]).all()


def test_leading_clients_write_to_their_own_rows_alone() -> None:
    table = in_a_vector(5)
    whole, gradients = table.parameters, table.gradients
    assert whole is not None
    assert gradients is not None
    table.receive(np.ones((5, 4, 2)))
    values = np.arange(40.0).reshape(5, 4, 2)
    table.data[...] = values
    for num_clients in (3, 1, 5):
        gradients.view("table")[...] = -7
        table.look_into(whole if num_clients == 5 else whole.leading(num_clients))
        assert table.grad is None
        assert np.shares_memory(table.data, whole.vector)
        np.testing.assert_array_equal(table.data, values[:num_clients])
        for _ in range(2):
            table.grad = None
            table.receive_product(np.tile(A, (num_clients, 1, 1)), np.tile(B, (num_clients, 1, 1)))
            np.testing.assert_array_equal(table.grad, np.tile(A @ B, (num_clients, 1, 1)))
        np.testing.assert_array_equal(gradients.view("table")[num_clients:], np.full((5 - num_clients, 4, 2), -7))
        np.testing.assert_array_equal(gradients.view("table", num_clients), table.grad)
        with pytest.raises(GraphError, match=r"came for data of shape"):
            table.receive(np.ones((num_clients + 1, 4, 2)))


def test_looking_into_another_vector_copies_nothing_and_drops_the_gradient() -> None:
    table, parameters, _ = bound("table", (4, 2))
    (table * 2).sum().backward()
    other = Parameters(LAYOUT, np.full(11, 5, "float32"))
    table.look_into(other)
    assert (table.parameters, table.grad) == (other, None)
    np.testing.assert_array_equal(table.data, np.full((4, 2), 5))
    table.data[0] = -1
    assert other.vector[3] == -1
    np.testing.assert_array_equal(parameters.vector[3:], np.ones(8))
    (table * 3).sum().backward()
    np.testing.assert_array_equal(dense_gradient(table), np.full((4, 2), 3))
    with pytest.raises(ParameterError, match="there is no parameter 'table'"):
        table.look_into(Parameters(Layout.of({"bias": (3,)})))


def test_binding_drops_a_gradient_that_came_before() -> None:
    one = Parameter(np.ones((4, 2), "float32"))
    (one * 2).sum().backward()
    former = one.grad
    one.bind("table", Parameters(LAYOUT), GradientVector(LAYOUT))
    assert one.grad is None
    (one * 3).sum().backward()
    assert one.grad is not former
    np.testing.assert_array_equal(dense_gradient(one), np.full((4, 2), 3))


@pytest.mark.parametrize("num_clients", [None, 1, 3])
def test_a_gradient_vector_is_laid_out_as_the_parameters(num_clients: int | None) -> None:
    gradients = GradientVector(LAYOUT, num_clients)
    clients = () if num_clients is None else (num_clients,)
    assert gradients.vector.shape == (*clients, 11)
    assert gradients.vector.dtype == np.float32
    gradients.view("bias")[...] = 1
    gradients.view("table")[...] = 2
    np.testing.assert_array_equal(gradients.vector, np.broadcast_to([1] * 3 + [2] * 8, (*clients, 11)))
    assert gradients.view("table").shape == (*clients, 4, 2)
    if num_clients == 3:
        assert gradients.view("table", 2).shape == (2, 4, 2)
        assert np.shares_memory(gradients.view("table", 2), gradients.vector)
    with pytest.raises(ParameterError, match="there is no parameter 'other'"):
        gradients.view("other")


@pytest.mark.parametrize("inner", [1, 2])
def test_products_are_multiplied_straight_into_the_vector(inner: int) -> None:
    table = in_a_vector()
    assert table.gradients is not None
    table.receive_product(A[:, :inner], B[:inner])
    assert np.shares_memory(table.grad, table.gradients.vector)
    place = table.grad
    table.grad = None
    table.receive_product(2 * A[:, :inner], B[:inner])
    assert table.grad is place
    np.testing.assert_array_equal(place, 2 * A[:, :inner] @ B[:inner])


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
        assert other.gradients is None
        assert (other.name, other.grad) == ("", None)
        other.data[...] = 5
        (other * 2).sum().backward()
        np.testing.assert_array_equal(dense_gradient(other), np.full((4, 2), 2))
    np.testing.assert_array_equal(parameters["table"], np.ones((4, 2)))
    frozen = Parameter(np.ones(2), requires_grad=False)
    assert not copy.deepcopy(frozen).requires_grad
    assert not pickle.loads(pickle.dumps(frozen)).requires_grad


def test_repr_tells_name_and_shape() -> None:
    assert repr(bound("table", (4, 2))[0]) == "Parameter(table: (4, 2) float32)"
    assert repr(Parameter([1.0])) == "Parameter(unnamed: (1,) float64)"


def test_data_that_cannot_be_written_to_or_lie_askew_are_copied(tmp_path: Path) -> None:
    values = np.arange(5_000, dtype="float32")
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    frozen = values.copy()
    frozen.setflags(write=False)
    askew = np.frombuffer(bytearray(1) + values.tobytes(), "float32", offset=1)
    for data in (mapped, frozen, askew):
        one = Parameter(data)
        one.backward(1.0)
        axpy(-0.5, one.grad, one.data)
        np.testing.assert_array_equal(one.data, values - np.float32(0.5))
        np.testing.assert_array_equal(data, values)
