"""Each operation: its gradient in odd shapes, its values, its dtype, and what it refuses."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import leaf

from fedgdl.autograd import (
    Tensor,
    add,
    gradcheck,
    matmul,
    mean,
    mul,
    neg,
    reshape,
    sigmoid,
    squared_error,
    sub,
)
from fedgdl.autograd import sum as sum_
from fedgdl.errors import GraphError

Shape = tuple[int, ...]

# Pairs of shapes: equal, broadcast on either side and on both, without axes, of size 0 and of size 1.
PAIRS: list[tuple[Shape, Shape]] = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((2, 3), (2, 1)),
    ((4, 1, 3), (2, 1)),
    ((), (2, 2)),
    ((2, 2), ()),
    ((), ()),
    ((1,), (1, 1)),
    ((1,), (5,)),
    ((0,), (0,)),
    ((0, 3), (3,)),
    ((1, 3), (0, 3)),
    ((2, 0), (1,)),
    ((1, 1, 1), (2, 3)),
]

UNARY: list[tuple[str, Callable[[Tensor], Tensor], Shape]] = [
    *(("neg", neg, shape) for shape in ((), (1,), (0,), (2, 3))),
    *(("sigmoid", sigmoid, shape) for shape in ((), (1,), (0, 2), (2, 3))),
    *(("sum", sum_, shape) for shape in ((), (1,), (0,), (2, 3))),
    *(("mean", mean, shape) for shape in ((), (1,), (2, 3))),
    ("sum last", lambda x: sum_(x, -1), (2, 3)),
    ("sum two", lambda x: sum_(x, (0, -1)), (2, 3, 4)),
    ("sum none", lambda x: sum_(x, ()), (2, 3)),
    ("sum keepdims", lambda x: sum_(x, 1, keepdims=True), (2, 3, 4)),
    ("sum of no rows", lambda x: sum_(x, 0), (0, 3)),
    ("sum keepdims of all", lambda x: sum_(x, keepdims=True), (2, 3)),
    ("mean first", lambda x: mean(x, 0), (4, 3)),
    ("mean keepdims", lambda x: mean(x, (0, 2), keepdims=True), (2, 3, 4)),
    ("mean over other axis", lambda x: mean(x, 1), (0, 3)),
    ("reshape", lambda x: reshape(x, (3, 2)), (2, 3)),
    ("reshape -1", lambda x: reshape(x, (-1,)), (2, 3)),
    ("reshape to none", lambda x: reshape(x, ()), (1, 1)),
    ("reshape empty", lambda x: reshape(x, (3, 0)), (0, 2)),
    ("transposed columns", lambda x: reshape(x * x, (-1, 1)) * reshape(x, (1, -1)), (3,)),
]

PRODUCTS: list[tuple[Shape, Shape]] = [
    ((2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 1)),
]


def ids(cases: list[tuple[Shape, Shape]]) -> list[str]:
    return [f"{a}-{b}" for a, b in cases]


@pytest.mark.parametrize("operation", [add, sub, mul])
@pytest.mark.parametrize(("a", "b"), PAIRS, ids=ids(PAIRS))
def test_gradients_of_pairs(operation: Callable[[Tensor, Tensor], Tensor], a: Shape, b: Shape) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        gradcheck(operation, [rng.normal(size=a), rng.normal(size=b)], rng)
        constant = rng.normal(size=b)
        gradcheck(lambda x, c=constant: operation(x, Tensor(c)), [rng.normal(size=a)], rng)
        gradcheck(lambda x, c=constant: operation(Tensor(c), x), [rng.normal(size=a)], rng)


@pytest.mark.parametrize(("function", "shape"), [case[1:] for case in UNARY], ids=[f"{c[0]} {c[2]}" for c in UNARY])
def test_gradients_of_one_operand(function: Callable[[Tensor], Tensor], shape: Shape) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3):
        gradcheck(function, [rng.normal(size=shape)], rng)


@pytest.mark.parametrize(("a", "b"), PRODUCTS, ids=ids(PRODUCTS))
def test_gradients_of_matrix_products(a: Shape, b: Shape) -> None:
    rng = np.random.default_rng(3)
    gradcheck(matmul, [rng.normal(size=a), rng.normal(size=b)], rng)
    constant = rng.normal(size=b)
    gradcheck(lambda x: x @ constant, [rng.normal(size=a)], rng)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (4,), (2, 3)])
def test_gradients_of_the_squared_error(shape: Shape) -> None:
    rng = np.random.default_rng(4)
    gradcheck(squared_error, [rng.normal(size=shape), rng.normal(size=shape)], rng)
    target = rng.normal(size=shape)
    gradcheck(lambda x: squared_error(x, target), [rng.normal(size=shape)], rng)
    gradcheck(lambda x: squared_error(Tensor(target), x), [rng.normal(size=shape)], rng)


def test_gradients_of_one_tensor_in_both_places() -> None:
    rng = np.random.default_rng(5)
    for function in (lambda x: x * x, lambda x: x - x * x, lambda x: x @ x, lambda x: squared_error(x, x.sigmoid())):
        gradcheck(function, [rng.normal(size=(3, 3))], rng)


@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=3, min_side=0, max_side=3),
    st.sampled_from([add, sub, mul]),
    st.integers(0, 2**32),
)
def test_gradients_of_any_shapes_that_broadcast(
    shapes: hnp.BroadcastableShapes, operation: Callable[[Tensor, Tensor], Tensor], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(size=shape) for shape in shapes.input_shapes)
    assert operation(Tensor(a), Tensor(b)).shape == shapes.result_shape
    gradcheck(operation, [a, b], rng)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.integers(0, 3))
def test_shapes_that_numpy_refuses_are_refused(shapes: hnp.BroadcastableShapes, extra: int) -> None:
    a, b = shapes.input_shapes
    b = (*b, extra)
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(GraphError, match=r"add: shapes .* do not broadcast"):
            add(Tensor(np.zeros(a)), Tensor(np.zeros(b)))
    else:
        assert add(Tensor(np.zeros(a)), Tensor(np.zeros(b))).shape == expected


def test_values() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for found, expected in (
        (sum_(Tensor(x)), x.sum()),
        (sum_(Tensor(x), -1), [3, 12]),
        (sum_(Tensor(x), 0, keepdims=True), [[3, 5, 7]]),
        (mean(Tensor(x), 1), [1, 4]),
        (mean(Tensor(x)), 2.5),
        (matmul(Tensor(x), Tensor(x.T.copy())), [[5, 14], [14, 50]]),
        (squared_error(Tensor(x), np.ones((2, 3))), 1 + 0 + 1 + 4 + 9 + 16),
    ):
        assert type(found.data) is np.ndarray
        np.testing.assert_array_equal(found.data, expected)
    assert Tensor(x).sum(1).shape == Tensor(x).mean(1).shape == (2,)
    assert Tensor(x).reshape(3, -1).shape == (3, 2)


FLOAT32_RESULTS: list[tuple[str, Callable[[Tensor], Tensor]]] = [
    ("number", lambda x: x + 1),
    ("float", lambda x: 0.1 * x - 1.5),
    ("NumPy float64", lambda x: np.float64(0.1) * x),
    ("NumPy int64", lambda x: x * np.int64(3)),
    ("neg", neg),
    ("matmul", lambda x: x @ x),
    ("sum", sum_),
    ("mean", mean),
    ("mean rows", lambda x: mean(x, 0)),
    ("sigmoid", sigmoid),
    ("error", lambda x: squared_error(x, np.ones(x.shape, "float32"))),
    ("scaled error", lambda x: squared_error(x, np.ones(x.shape, "float32")) * (1 / 3)),
]


@pytest.mark.parametrize("function", [case[1] for case in FLOAT32_RESULTS], ids=[case[0] for case in FLOAT32_RESULTS])
def test_float32_stays_float32(function: Callable[[Tensor], Tensor]) -> None:
    x = leaf(3, 3, dtype="float32")
    y = function(x)
    assert y.dtype == np.float32
    y.backward(np.float64(0.5))
    assert x.grad is not None
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_large_numbers_is_right_and_silent(dtype: str) -> None:
    x = Tensor(np.array([-np.inf, -1e30, -1000, -50, 0, 50, 1000, 1e30, np.inf], dtype), requires_grad=True)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = sigmoid(x)
        y.sum().backward()
    np.testing.assert_allclose(y.data[:3], 0, atol=1e-37)
    np.testing.assert_allclose(y.data[3], np.exp(-50), rtol=1e-6)  # 1 / (1 + e^50) is e^-50 to 21 digits
    np.testing.assert_array_equal(y.data[4:], [0.5, 1, 1, 1, 1])
    assert isinstance(x.grad, np.ndarray)
    assert np.isfinite(x.grad).all()
    np.testing.assert_allclose(x.grad[[0, -1]], 0, atol=1e-37)
    assert np.isnan(sigmoid(Tensor(np.array([np.nan], dtype))).item())


@given(st.floats(-80, 80))
def test_sigmoid_is_symmetric_and_accurate(x: float) -> None:
    y, mirrored = sigmoid(Tensor([x, -x])).data
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_allclose(y + mirrored, 1, rtol=1e-15)


def test_operations_leave_inputs_and_incoming_gradients_alone() -> None:
    rng = np.random.default_rng(6)
    a, b, seed = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    for array in (a, b, seed):
        array.setflags(write=False)
    for pair in (add, sub, mul, matmul):
        pair(Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)).backward(seed)
    for single in (neg, sigmoid, lambda x: reshape(x, (3, 3))):
        single(Tensor(a, requires_grad=True)).backward(seed)
    squared_error(Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)).backward()


@pytest.mark.parametrize("operation", [add, sub, mul, matmul, squared_error])
def test_wrong_operands_are_named(operation: Callable[[object, object], Tensor]) -> None:
    x = Tensor(np.ones((2, 2)))
    name = operation.__name__
    with pytest.raises(GraphError, match=rf"{name}: operands must be float32 or float64, got int64 of shape \(2, 2\)"):
        operation(x, np.ones((2, 2), np.int64))
    with pytest.raises(GraphError, match=rf"{name}: .* float64 of shape \(2, 2\) and float32 of shape \(2, 2\)"):
        operation(x, Tensor(np.ones((2, 2), "float32")))
    with pytest.raises(GraphError, match=rf"{name}: .*\(2, 2\).*\(3, 5\)"):
        operation(x, np.ones((3, 5)))
    with pytest.raises(GraphError, match=f"{name}: operands are .*; got str"):
        operation(x, "2")


def test_two_numbers_are_no_operands() -> None:
    with pytest.raises(GraphError, match=r"add: .* got float"):
        add(1.0, 2.0)


def test_squared_error_does_not_broadcast() -> None:
    with pytest.raises(GraphError, match=r"prediction has shape \(3, 1\), but target \(3,\)"):
        squared_error(Tensor(np.ones((3, 1))), np.ones(3))


def test_matmul_wants_matrices() -> None:
    for a, b in itertools.product([(3,), (2, 3)], [(3,), (3, 2)]):
        if len(a) == len(b) == 2:
            continue
        with pytest.raises(GraphError, match="matmul: needs shapes"):
            matmul(Tensor(np.ones(a)), Tensor(np.ones(b)))
    with pytest.raises(GraphError, match="matmul: needs shapes"):
        matmul(Tensor(np.ones((4, 2, 3))), Tensor(np.ones((5, 3, 2))))


@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, -2)])
def test_wrong_axes_are_told(axis: int | tuple[int, ...]) -> None:
    for name, function in (("sum", sum_), ("mean", mean)):
        with pytest.raises(GraphError, match=rf"{name}: a tensor of shape \(2, 3\) has no axes"):
            function(Tensor(np.ones((2, 3))), axis)


def test_impossible_means_and_shapes_are_told() -> None:
    with pytest.raises(GraphError, match="mean: there are no elements"):
        mean(Tensor(np.ones((0, 3))), 0)
    with pytest.raises(GraphError, match=r"reshape: \(2, 3\) holds 6 elements"):
        reshape(Tensor(np.ones((2, 3))), (4, 2))
