"""embedding and embedding_linear against plain indexing, their gradients, stacks, and what they refuse."""

import numpy as np
import pytest
from stacks import stacked_parameter
from tensors import dense_gradient, leaf, parameter

from fedgdl.autograd import Parameter, SparseGradient, Tensor, gradcheck
from fedgdl.autograd.embedding import embedding, embedding_linear
from fedgdl.autograd.product import linear
from fedgdl.errors import GraphError

IDS = {
    "no id": np.zeros(0, np.int64),
    "one id": np.array([3]),
    "a number": np.array(2),
    "repeats": np.array([1, 4, 1, 1, 0, 4, 1]),
    "two axes": np.array([[0, 1, 2], [2, 2, 4]]),
    "three axes, one empty": np.zeros((2, 0, 3), np.int64),
    "a view": np.arange(15).reshape(3, 5).T[::2] % 5,
}


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize("width", [1, 3])
def test_rows_and_gradient(ids: np.ndarray, width: int) -> None:
    rng = np.random.default_rng(1)
    for table in (leaf(5, width), parameter(5, width)):
        np.testing.assert_array_equal(embedding(table, ids).data, table.data[ids])
        gradcheck(lambda t: embedding(t, ids), [table], rng)
        gradcheck(lambda t: embedding(t * t, ids).sigmoid(), [table], rng)


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
@pytest.mark.parametrize("with_bias", [False, True])
def test_rows_of_the_product_and_gradient(ids: np.ndarray, with_bias: bool) -> None:
    rng = np.random.default_rng(1)
    for table, weight, bias in (
        (leaf(5, 2), leaf(2, 3), leaf(3)),
        (parameter(5, 2), parameter(2, 3), parameter(3)),
    ):
        operands = [table, weight, bias] if with_bias else [table, weight]
        expected = linear(embedding(table, ids), weight, bias if with_bias else None)
        result = embedding_linear(table, ids, weight, bias if with_bias else None)
        np.testing.assert_allclose(result.data, expected.data, rtol=1e-13, atol=1e-13)
        gradcheck(lambda t, w, *b: embedding_linear(t, ids, w, *b).sigmoid(), operands, rng)


def test_a_parameter_gets_a_sparse_gradient_from_rows_and_a_dense_one_from_products() -> None:
    weight = parameter(2, 3)
    for ids in (np.array([1, 1]), np.arange(5)):
        table = parameter(5, 2)
        embedding(table, ids).backward(1.0)
        assert isinstance(table.grad, SparseGradient)
        np.testing.assert_array_equal(dense_gradient(table)[:, 0], np.bincount(ids, minlength=5))
        table.grad = None
        embedding_linear(table, ids, weight).backward(1.0)
        assert isinstance(table.grad, np.ndarray)


def test_a_table_read_in_three_ways_adds_up() -> None:
    table, weight = parameter(3, 2), parameter(2, 2)
    first, second = embedding(table, np.array([0, 2])), embedding_linear(table, np.array([2, 1, 2]), weight)
    (first.sum() + second.sum() + (2 * table).sum()).backward()
    expected = 2 + np.array([[1.0], [0], [1]]) + np.array([[0.0], [1], [2]]) * weight.data.sum(axis=1)
    np.testing.assert_allclose(dense_gradient(table), expected, rtol=1e-13)


def test_float32_stays_float32() -> None:
    table, weight = parameter(5, 3, dtype="float32"), parameter(3, 2, dtype="float32")
    y = embedding(table, np.array([1, 1]))
    z = embedding_linear(table, np.arange(5), weight)
    y.backward(1.0)
    z.backward(1.0)
    assert y.dtype == z.dtype == dense_gradient(table).dtype == dense_gradient(weight).dtype == np.float32


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("shape", [(7,), (4, 3), (0,), ()])
def test_a_stack_has_the_bits_of_each_client_alone(num_clients: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(num_clients)

    def normal(*sizes: int) -> np.ndarray:
        return rng.normal(size=sizes).astype("float32")

    table, weight = stacked_parameter(normal(num_clients, 6, 4)), stacked_parameter(normal(num_clients, 4, 5))
    bias = stacked_parameter(normal(num_clients, 5))
    ids = rng.integers(0, 6, (num_clients, *shape))
    rows, product = embedding(table, ids), embedding_linear(table, ids, weight, bias)
    g_rows, g_product = normal(*rows.shape), normal(*product.shape)
    rows.backward(g_rows)
    gradient = dense_gradient(table).copy()
    table.grad = None
    product.backward(g_product)
    for client in range(num_clients):
        alone = [Parameter(stack.data[client].copy()) for stack in (table, weight, bias)]
        own_rows = embedding(alone[0], ids[client])
        own_rows.backward(g_rows[client, ...])
        np.testing.assert_array_equal(rows.data[client], own_rows.data)
        np.testing.assert_array_equal(gradient[client], dense_gradient(alone[0]))
        alone[0].grad = None
        own_product = embedding_linear(alone[0], ids[client], alone[1], alone[2])
        own_product.backward(g_product[client, ...])
        np.testing.assert_array_equal(product.data[client], own_product.data)
        for stack, single in zip((table, weight, bias), alone, strict=True):
            np.testing.assert_array_equal(dense_gradient(stack)[client], dense_gradient(single))


def test_stacked_gradients() -> None:
    ids, rng = np.array([[1, 0, 1, 1], [2, 0, 0, 2]]), np.random.default_rng(1)
    gradcheck(lambda t: embedding(t, ids).sigmoid(), [leaf(2, 3, 2)], rng)
    gradcheck(lambda t, w, b: embedding_linear(t, ids, w, b).sigmoid(), [leaf(2, 3, 2), leaf(2, 2, 4), leaf(2, 4)], rng)
    gradcheck(lambda t, w: embedding_linear(t, ids[:, :1], w).sigmoid(), [leaf(2, 3, 2), leaf(2, 2, 4)], rng)


@pytest.mark.parametrize("bad", [-1, -(2**63), 5, 2**62])
def test_ids_out_of_range_are_told(bad: int) -> None:
    for operation in (embedding, lambda table, ids: embedding_linear(table, ids, leaf(2, 1))):
        with pytest.raises(GraphError, match=r"^embedding\w*: ids must be 0 to 4 for a table of shape \(5, 2\), got"):
            operation(leaf(5, 2), np.array([[0, bad], [1, 2]]))


REFUSED: list[tuple[str, tuple[int, ...], object, str]] = [
    ("table of one axis", (5,), [0], r"the table must have shape \(V, D\) or, stacked, \(K, V, D\), got \(5,\)"),
    ("32-bit ids", (5, 1), np.zeros(1, np.int32), r"ids must be int64, got int32 of shape \(1,\)"),
    ("floats", (5, 1), [0.0], "ids must be int64, got float64"),
    (
        "ids of too few clients",
        (3, 5, 1),
        [[0], [1]],
        r"a stack of 3 tables needs ids of shape \(3, \.\.\.\), got \(2, 1",
    ),
    ("one number for a stack", (3, 5, 1), 0, "a stack of 3 tables needs ids"),
]


@pytest.mark.parametrize(("shape", "ids", "message"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_misuse_is_told(shape: tuple[int, ...], ids: object, message: str) -> None:
    with pytest.raises(GraphError, match=f"^embedding: {message}"):
        embedding(leaf(*shape), np.asarray(ids))
    with pytest.raises(GraphError, match=f"^embedding_linear: {message}"):
        embedding_linear(leaf(*shape), np.asarray(ids), leaf(1, 1))


def test_a_table_without_rows() -> None:
    empty = Tensor(np.zeros((0, 2)), requires_grad=True)
    assert embedding(empty, np.zeros((3, 0), np.int64)).shape == (3, 0, 2)
    with pytest.raises(GraphError, match="ids must be"):
        embedding(empty, np.array([0]))
