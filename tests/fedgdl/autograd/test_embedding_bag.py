"""embedding_bag against the obvious loop, its sparse gradient, and what it refuses."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stacks import stacked_parameter
from tensors import (
    Bags,
    bag_lists,
    dense_gradient,
    leaf,
    parameter,
    slow_bags,
    slow_table_gradient,
)

from fedgdl.autograd import Parameter, SparseGradient, Tensor, embedding_bag, gradcheck
from fedgdl.errors import GraphError

Mode = Literal["sum", "mean"]

CASES = {
    "no bags": Bags(()),
    "one bag of one": Bags(((2,),)),
    "one empty bag": Bags(((),)),
    "only empty bags": Bags(((), (), ())),
    "empty first": Bags(((), (0, 1), (2,))),
    "empty middle": Bags(((0, 1), (), (), (3, 1))),
    "empty last": Bags(((0, 1), (2,), ())),
    "empty everywhere": Bags(((), (0,), (), (1, 2, 4), ())),
    "repeats in a bag": Bags(((1, 1, 1), (0, 1, 0))),
    "repeats across bags": Bags(((1, 2), (2, 1), (1,))),
}


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("bags", CASES.values(), ids=CASES)
def test_gradients(bags: Bags, width: int, mode: Mode) -> None:
    rng = np.random.default_rng(1)
    for table in (leaf(5, width), parameter(5, width)):
        gradcheck(lambda t: embedding_bag(t, bags.token_ids, bags.offsets, mode), [table], rng)
        gradcheck(lambda t: embedding_bag(t * t, bags.token_ids, bags.offsets, mode).sigmoid(), [table], rng)


@given(bag_lists(num_words=6), st.sampled_from([1, 2, 3]), st.sampled_from(["sum", "mean"]), st.integers(0, 99))
def test_values_and_gradient_are_those_of_the_loop(bags: Bags, width: int, mode: Mode, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = Parameter(rng.normal(size=(6, width)))
    y = embedding_bag(table, bags.token_ids, bags.offsets, mode)
    np.testing.assert_allclose(y.data, slow_bags(table.data, bags, mode), rtol=1e-13, atol=1e-13)
    gradient = rng.normal(size=y.shape)
    y.backward(gradient)
    expected = slow_table_gradient((6, width), bags, gradient, mode)
    assert isinstance(table.grad, SparseGradient)
    np.testing.assert_allclose(table.grad.to_dense(), expected, rtol=1e-13, atol=1e-13)


@given(bag_lists(num_words=4), st.sampled_from(["sum", "mean"]))
def test_a_plain_tensor_gets_the_dense_gradient(bags: Bags, mode: Mode) -> None:
    table = leaf(4, 2)
    embedding_bag(table, bags.token_ids, bags.offsets, mode).backward(1.0)
    ones = np.ones((len(bags.lists), 2))
    np.testing.assert_allclose(dense_gradient(table), slow_table_gradient((4, 2), bags, ones, mode), rtol=1e-13)


def test_a_table_read_twice_adds_up() -> None:
    bags = Bags(((0, 1), (1,)))
    table = parameter(3, 1)
    first = embedding_bag(table, bags.token_ids, bags.offsets)
    second = embedding_bag(table, bags.token_ids, bags.offsets)
    (first + 2 * second).sum().backward()
    np.testing.assert_array_equal(dense_gradient(table), [[3], [6], [0]])


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("width", [1, 3])
def test_float32_stays_float32(width: int, mode: Mode) -> None:
    bags = CASES["empty middle"]
    table = parameter(5, width, dtype="float32")
    y = embedding_bag(table, bags.token_ids, bags.offsets, mode)
    y.backward(1.0)
    assert y.dtype == dense_gradient(table).dtype == np.float32


def test_ids_and_offsets_may_be_read_only_views() -> None:
    ids, offsets = np.array([9, 0, 2, 1, 9]), np.array([0, 9, 2, 9, 3])
    ids.setflags(write=False)
    offsets.setflags(write=False)
    table = parameter(3, 1)
    y = embedding_bag(table, ids[1:4], offsets[::2])
    y.backward(1.0)
    np.testing.assert_allclose(y.data, [table.data[0] + table.data[2], table.data[1]])


def test_a_table_that_is_not_contiguous() -> None:
    table = Tensor(np.arange(12.0).reshape(3, 4).T, requires_grad=True)
    assert not table.data.flags.c_contiguous
    embedding_bag(table, np.array([0, 3, 3]), np.array([0, 3])).backward(1.0)
    np.testing.assert_array_equal(dense_gradient(table)[:, 0], [1, 0, 0, 2])


@pytest.mark.parametrize("bad", [-1, -(2**63), 5, 2**62])
def test_ids_out_of_range_are_told(bad: int) -> None:
    with pytest.raises(GraphError, match=r"ids must be 0 to 4 for a table of shape \(5, 2\)"):
        embedding_bag(leaf(5, 2), np.array([0, bad, 1]), np.array([0, 3]))


def test_a_table_without_rows_has_empty_bags_only() -> None:
    assert embedding_bag(leaf(0, 2), np.zeros(0, np.int64), np.array([0, 0])).data.tolist() == [[0, 0]]
    with pytest.raises(GraphError, match="ids must be"):
        embedding_bag(leaf(0, 2), np.array([0]), np.array([0, 1]))


INT = np.int64
REFUSED: list[tuple[str, tuple[int, ...], object, object, str, str]] = [
    (
        "table of one axis",
        (5,),
        [0],
        [0, 1],
        "sum",
        r"table must have shape \(V, D\) or, stacked, \(K, V, D\), got \(5,\)",
    ),
    ("unknown mode", (5, 1), [0], [0, 1], "max", "mode is"),
    ("32-bit ids", (5, 1), np.zeros(1, np.int32), [0, 1], "sum", "must be int64 of one axis, got int32"),
    ("float offsets", (5, 1), [0], [0.0, 1.0], "sum", "and float64 of shape"),
    ("ids of two axes", (5, 1), [[0]], [0, 1], "sum", r"got int64 of shape \(1, 1\)"),
    ("no offsets", (5, 1), np.zeros(0, INT), np.zeros(0, INT), "sum", "offsets must run from 0"),
    ("offsets from 1", (5, 1), [0, 1], [1, 2], "sum", "offsets must run from 0 to the number of ids, 2"),
    ("offsets end early", (5, 1), [0, 1], [0, 1], "sum", "offsets must run"),
    ("falling offsets", (5, 1), [0, 1], [0, 2, 1, 2], "sum", "offsets must never fall"),
]


@pytest.mark.parametrize(
    ("shape", "ids", "offsets", "mode", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_misuse_is_told(shape: tuple[int, ...], ids: object, offsets: object, mode: Mode, message: str) -> None:
    with pytest.raises(GraphError, match=f"^embedding_bag: .*{message}"):
        embedding_bag(leaf(*shape), np.asarray(ids), np.asarray(offsets), mode)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("width", [1, 3, 40])
def test_a_stack_has_the_bits_of_each_client_alone(num_clients: int, mode: Mode, width: int) -> None:
    rng = np.random.default_rng(num_clients)
    lists: list[tuple[int, ...]] = [
        tuple(rng.integers(0, 30, size).tolist()) for size in rng.integers(0, 40, 3 * num_clients)
    ]
    stack = stacked_parameter(rng.normal(size=(num_clients, 30, width)).astype("float32"))
    together = Bags(tuple(lists))
    y = embedding_bag(stack, together.token_ids, together.offsets, mode)
    assert y.shape == (num_clients, 3, width)
    gradient = rng.normal(size=y.shape).astype("float32")
    y.backward(gradient)
    assert isinstance(stack.grad, SparseGradient)
    stepped = stack.data.copy()
    stack.grad.add_to(stepped, -0.1)
    for client in range(num_clients):
        own = Bags(tuple(lists[3 * client : 3 * client + 3]))
        alone = Parameter(stack.data[client].copy())
        own_y = embedding_bag(alone, own.token_ids, own.offsets, mode)
        own_y.backward(gradient[client])
        np.testing.assert_array_equal(y.data[client], own_y.data)
        assert isinstance(alone.grad, SparseGradient)
        np.testing.assert_array_equal(stack.grad.to_dense()[client], alone.grad.to_dense())
        alone.grad.add_to(alone.data, -0.1)
        np.testing.assert_array_equal(stepped[client], alone.data)


def test_stacked_gradients() -> None:
    bags = Bags(((0, 1, 1), (), (2,), (0,), (3, 3), ()))
    for mode in ("sum", "mean"):
        for table in (leaf(2, 4, 3), stacked_parameter(np.random.default_rng(1).normal(size=(2, 4, 3)))):
            gradcheck(
                lambda t, mode=mode: embedding_bag(t, bags.token_ids, bags.offsets, mode).sigmoid(),
                [table],
                np.random.default_rng(1),
            )


def test_a_stack_needs_as_many_bags_for_each_client() -> None:
    with pytest.raises(GraphError, match=r"^embedding_bag: 3 bags are not as many for each of 2 clients"):
        embedding_bag(leaf(2, 5, 1), np.array([0, 0, 0]), np.arange(4))
    with pytest.raises(GraphError, match=r"ids must be 0 to 4 for a table of shape \(2, 5, 1\)"):
        embedding_bag(leaf(2, 5, 1), np.array([0, 5]), np.arange(3))
