"""Elementwise sums, products and powers: gradients in odd shapes, values, dtypes, and what they refuse."""

import operator
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import PAIRS, Shape, assert_inputs_are_left_alone, dense_gradient, leaf, shape_ids

from fedgdl.autograd import Tensor, add, div, exp, gradcheck, log, mul, neg, sub
from fedgdl.autograd import pow as pow_
from fedgdl.errors import GraphError

Pair = Callable[[Tensor, Tensor], Tensor]
BINARY = [add, sub, mul, div, pow_]
POWERS = [-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, np.float64(2.5), np.int64(3)]


def positive(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Numbers from 0.5 to 2: every base has every power there, and every divisor a quotient."""
    return rng.uniform(0.5, 2, size=shape)


@pytest.mark.parametrize("operation", BINARY)
@pytest.mark.parametrize(("a", "b"), PAIRS, ids=shape_ids(PAIRS))
def test_gradients_of_pairs(operation: Pair, a: Shape, b: Shape) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        gradcheck(operation, [positive(rng, a), positive(rng, b)], rng)
        constant = positive(rng, b)
        gradcheck(lambda x, c=constant: operation(x, Tensor(c)), [positive(rng, a)], rng)
        gradcheck(lambda x, c=constant: operation(Tensor(c), x), [positive(rng, a)], rng)


@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=3, min_side=0, max_side=3),
    st.sampled_from(BINARY),
    st.integers(0, 2**32),
)
def test_gradients_of_any_shapes_that_broadcast(shapes: hnp.BroadcastableShapes, operation: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (positive(rng, shape) for shape in shapes.input_shapes)
    assert operation(Tensor(a), Tensor(b)).shape == shapes.result_shape
    gradcheck(operation, [a, b], rng)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 2), (2, 3)])
def test_gradients_of_one_operand(shape: Shape) -> None:
    rng = np.random.default_rng(2)
    for operation in (neg, exp):
        gradcheck(operation, [rng.normal(size=shape)], rng)
    gradcheck(log, [positive(rng, shape)], rng)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3)])
def test_gradients_of_powers(power: float, shape: Shape) -> None:
    rng = np.random.default_rng(3)
    gradcheck(lambda x: x**power, [positive(rng, shape)], rng)
    if power == int(power):
        gradcheck(lambda x: x**power, [-positive(rng, shape)], rng)
    gradcheck(lambda x: 1.5**x, [rng.normal(size=shape)], rng)


def test_gradients_of_one_tensor_in_both_places() -> None:
    rng = np.random.default_rng(5)
    for function in (lambda x: x * x, lambda x: x - x * x, lambda x: x / x, lambda x: x**x, lambda x: x / (x + x)):
        gradcheck(function, [positive(rng, (3, 3))], rng)


def test_powers_at_zero() -> None:
    x = Tensor([0.0, 2.0], requires_grad=True)
    for power, value, slope in (
        (0, [1, 1], [0, 0]),
        (1, [0, 2], [1, 1]),
        (2, [0, 4], [0, 4]),
        (1.5, [0, 8**0.5], [0, 1.5 * 2**0.5]),
    ):
        x.grad = None
        y = x**power
        y.sum().backward()
        np.testing.assert_allclose(y.data, value, rtol=1e-15)
        np.testing.assert_allclose(dense_gradient(x), slope, rtol=1e-15)


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_values_are_those_of_numpy(operation: Callable[[object, object], object]) -> None:
    rng = np.random.default_rng(4)
    a, b = positive(rng, (2, 3)), positive(rng, (3,))
    for x, y in ((a, b), (a, 2), (a, 0.5), (3, b), (a, a), (a, np.float64(1.5)), (np.int64(2), b)):
        expected = operation(x, y)
        forms = [(x, Tensor(y))] if isinstance(y, np.ndarray) else []
        forms += [(Tensor(x), y)] if isinstance(x, np.ndarray) else []
        for left, right in forms:
            found = operation(left, right)
            assert type(found) is Tensor
            np.testing.assert_allclose(found.data, expected, rtol=1e-15)


FLOAT32_RESULTS: list[tuple[str, Callable[[Tensor], Tensor]]] = [
    ("number", lambda x: x + 1),
    ("float", lambda x: 0.1 * x - 1.5),
    ("NumPy float64", lambda x: np.float64(0.1) * x),
    ("NumPy int64", lambda x: x * np.int64(3)),
    ("quotient", lambda x: x / np.float64(3)),
    ("inverse", lambda x: 1 / x),
    ("power", lambda x: x ** np.float64(2.5)),
    ("cube", lambda x: x**3),
    ("power of a number", lambda x: np.float64(2) ** x),
    ("power of a tensor", lambda x: x**x),
    ("neg", neg),
    ("exp", exp),
    ("log", log),
]


@pytest.mark.parametrize("function", [case[1] for case in FLOAT32_RESULTS], ids=[case[0] for case in FLOAT32_RESULTS])
@pytest.mark.parametrize("shape", [(), (3, 3)])
def test_float32_stays_float32(function: Callable[[Tensor], Tensor], shape: Shape) -> None:
    x = Tensor(positive(np.random.default_rng(6), shape).astype("float32"), requires_grad=True)
    y = function(x)
    assert y.dtype == np.float32
    assert type(y.data) is np.ndarray
    y.backward(np.float64(0.5))
    assert dense_gradient(x).dtype == np.float32


def test_exp_and_log_undo_each_other() -> None:
    x = leaf(4, 5)
    y = log(exp(x))
    np.testing.assert_allclose(y.data, x.data, rtol=1e-14)
    y.sum().backward()
    np.testing.assert_allclose(dense_gradient(x), np.ones((4, 5)), rtol=1e-15)


@pytest.mark.parametrize("operation", BINARY)
def test_pairs_leave_inputs_and_incoming_gradients_alone(operation: Pair) -> None:
    rng = np.random.default_rng(7)
    assert_inputs_are_left_alone(operation, positive(rng, (3, 3)), positive(rng, (3, 3)))


@pytest.mark.parametrize("operation", [neg, exp, log, *(lambda x, n=n: x**n for n in (0, 1, 2, 3, 0.5))])
def test_single_operands_and_incoming_gradients_are_left_alone(operation: Callable[[Tensor], Tensor]) -> None:
    assert_inputs_are_left_alone(operation, positive(np.random.default_rng(8), (3, 3)))


@pytest.mark.parametrize("operation", BINARY)
def test_wrong_operands_are_named(operation: Callable[[object, object], Tensor]) -> None:
    x = Tensor(np.ones((2, 2)))
    name = operation.__name__
    with pytest.raises(GraphError, match=rf"{name}: operands must be float32 or float64, got int64 of shape \(2, 2\)"):
        operation(x, np.ones((2, 2), np.int64))
    with pytest.raises(GraphError, match=rf"{name}: .* float64 of shape \(2, 2\) and float32 of shape \(2, 2\)"):
        operation(x, Tensor(np.ones((2, 2), "float32")))
    with pytest.raises(GraphError, match=rf"{name}: .*\(2, 2\).*\(3, 5\)"):
        operation(x, np.ones((3, 5)))
    for wrong in ("2", None, [1.0], 1j):
        with pytest.raises(GraphError, match=f"{name}: operands are .*; got {type(wrong).__name__}"):
            operation(x, wrong)
        with pytest.raises(GraphError, match=f"{name}: operands are .*; got {type(wrong).__name__}"):
            operation(wrong, x)
    with pytest.raises(GraphError, match=f"{name}: an integer of 401 digits is too large"):
        operation(x, 10**400)
    with pytest.raises(GraphError, match=rf"{name}: .* got float"):
        operation(1.0, 2.0)


@pytest.mark.parametrize("operation", [neg, exp, log])
def test_operations_of_one_operand_take_arrays_as_constants_and_nothing_else(
    operation: Callable[[object], Tensor],
) -> None:
    assert not operation(np.ones(2)).requires_grad
    with pytest.raises(GraphError, match=f"{operation.__name__}: operands must be float32 or float64, got bool"):
        operation(np.ones(2, bool))
    for wrong in (1.0, [1.0]):
        with pytest.raises(GraphError, match=f"{operation.__name__}: operands are .*; got {type(wrong).__name__}"):
            operation(wrong)


def test_bases_without_a_real_power_are_refused() -> None:
    x = Tensor([1.0, -0.25])
    for exponent in (0.5, -1.5, float("inf"), float("nan")):
        with pytest.raises(GraphError, match=rf"pow: the power {exponent} of a tensor of shape \(2,\) needs"):
            pow_(x, exponent)
    for exponent in (x, np.ones(2)):
        with pytest.raises(GraphError, match=r"pow: with a tensor as exponent, every base must be above 0; .* -0\.25"):
            pow_(x, exponent)
    with pytest.raises(GraphError, match=r"every base must be above 0; the least is 0\.0"):
        pow_(0.0, x)
    assert np.isnan(pow_(Tensor([np.nan]), 0.5).item())


@pytest.mark.parametrize("power", range(2, 12))
def test_whole_powers_are_products(power: int) -> None:
    x = Tensor(np.array([-3.0, -1, 0, 2, 5]), requires_grad=True)
    y = x**power
    y.backward(1.0)
    np.testing.assert_array_equal(y.data, [base**power for base in (-3, -1, 0, 2, 5)])  # whole numbers: exact
    np.testing.assert_allclose(x.grad, [power * base ** (power - 1) for base in (-3, -1, 0, 2, 5)], rtol=1e-15)
