"""Activations and the softmax: gradients, extreme inputs, the table that fused operations use, stacks."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import Shape, assert_inputs_are_left_alone, assert_stack_equals_alone, dense_gradient, leaf

from fedgdl.autograd import Tensor, gradcheck, log_softmax, relu, sigmoid, softmax, tanh
from fedgdl.autograd.activation import ACTIVATIONS
from fedgdl.errors import GraphError

SINGLE = {"relu": relu, "tanh": tanh, "sigmoid": sigmoid}
ALONG_AN_AXIS = [softmax, log_softmax]
SIZES = [(), (1,), (0,), (0, 2), (2, 3), (130, 128)]  # the last is large enough for memory that is used again


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("shape", SIZES)
def test_gradients_of_activations(name: str, shape: Shape) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = rng.normal(size=shape)
        gradcheck(SINGLE[name], [x + np.copysign(0.01, x)], rng)  # away from relu's kink


@pytest.mark.parametrize("function", ALONG_AN_AXIS)
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((3,), -1), ((1,), 0), ((2, 3), -1), ((2, 3), 0), ((2, 3, 4), 1), ((0, 3), -1), ((3, 0), -1), ((130, 128), 1)],
)
def test_gradients_along_an_axis(function: Callable[[Tensor, int], Tensor], shape: Shape, axis: int) -> None:
    rng = np.random.default_rng(2)
    for _ in range(3):
        gradcheck(lambda x: function(x, axis), [rng.normal(size=shape)], rng)


@given(
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
    st.integers(0, 2),
    st.sampled_from(ALONG_AN_AXIS),
    st.integers(0, 2**32),
)
def test_softmax_of_any_shape(shape: Shape, axis: int, function: Callable[[Tensor, int], Tensor], seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis %= len(shape)
    x = rng.normal(size=shape)
    gradcheck(lambda t: function(t, axis), [x], rng)
    expected = np.exp(x) / np.exp(x).sum(axis, keepdims=True)
    found = function(Tensor(x), axis).data
    np.testing.assert_allclose(np.exp(found) if function is log_softmax else found, expected, rtol=1e-13)


def test_relu_at_zero_and_its_bits() -> None:
    x = Tensor([-2.0, -0.0, 0.0, 3.0], requires_grad=True)
    y = relu(x)
    y.backward(np.array([5.0, 5.0, 5.0, 5.0]))
    np.testing.assert_array_equal(y.data, [0, 0, 0, 3])
    np.testing.assert_array_equal(dense_gradient(x), [0, 0, 0, 5])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_and_small_arrays_have_the_same_bits(dtype: str) -> None:
    # Large arrays take another way through relu's slope.
    rng = np.random.default_rng(3)
    y = np.maximum(rng.normal(size=1 << 15), 0).astype(dtype)
    g = rng.normal(size=1 << 15).astype(dtype)
    for function in ACTIVATIONS.values():
        whole = function.slope_times(g, y)
        pieces = [function.slope_times(g[i : i + 1024], y[i : i + 1024]) for i in range(0, y.size, 1024)]
        np.testing.assert_array_equal(whole, np.concatenate(pieces))
        assert whole.dtype == dtype


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (7,), (4, 5)])
def test_the_table_has_the_bits_of_the_operations(name: str, dtype: str, shape: Shape) -> None:
    x = leaf(*shape, dtype=dtype, seed=4)
    g = np.random.default_rng(5).normal(size=shape).astype(dtype)
    g.setflags(write=False)
    y = SINGLE[name](x)
    y.backward(g)
    in_place = x.data.copy()
    ACTIVATIONS[name].apply(in_place)
    np.testing.assert_array_equal(in_place, y.data)
    np.testing.assert_array_equal(ACTIVATIONS[name].slope_times(g, in_place), dense_gradient(x))


def test_values_of_activations() -> None:
    x = np.array([-1.5, 0.0, 0.5])
    np.testing.assert_array_equal(relu(Tensor(x)).data, [0, 0, 0.5])
    np.testing.assert_array_equal(tanh(Tensor(x)).data, np.tanh(x))
    np.testing.assert_allclose(sigmoid(Tensor(x)).data, 1 / (1 + np.exp(-x)), rtol=1e-15)
    for name, function in SINGLE.items():
        np.testing.assert_array_equal(getattr(Tensor(x), name)().data, function(x).data)
    np.testing.assert_array_equal(Tensor(x).softmax().data, softmax(x).data)
    np.testing.assert_array_equal(Tensor(x).log_softmax(0).data, log_softmax(x).data)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_large_numbers_is_right_and_silent(dtype: str) -> None:
    x = Tensor(np.array([-np.inf, -1e30, -1000, -50, 0, 50, 1000, 1e30, np.inf], dtype), requires_grad=True)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        y = sigmoid(x)
        y.sum().backward()
    np.testing.assert_allclose(y.data[:3], 0, atol=1e-37)
    np.testing.assert_allclose(y.data[3], np.exp(-50), rtol=1e-6)  # 1 / (1 + e^50) is e^-50 to 21 digits
    np.testing.assert_array_equal(y.data[4:], [0.5, 1, 1, 1, 1])
    assert np.isfinite(dense_gradient(x)).all()
    np.testing.assert_allclose(dense_gradient(x)[[0, -1]], 0, atol=1e-37)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_stays_nan(name: str, dtype: str) -> None:
    assert np.isnan(SINGLE[name](Tensor(np.array([np.nan], dtype))).item())


@given(st.floats(-80, 80))
def test_sigmoid_is_symmetric_and_accurate(x: float) -> None:
    y, mirrored = sigmoid(Tensor([x, -x])).data
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_allclose(y + mirrored, 1, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_extreme_logits_is_right_and_silent(dtype: str) -> None:
    logits = np.array([[1e4, -1e4, 0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4], [1e30, -1e30, 0]], dtype)
    third = np.full(3, 1 / 3)
    shares = [[1, 0, 0], [0.5, 0.5, 0], third, [1, 0, 0]]
    logarithms = [[0, -2e4, -1e4], [-np.log(2), -np.log(2), -2e4 - np.log(2)], np.log(third), [0, -2e30, -1e30]]
    for function, expected in ((softmax, shares), (log_softmax, logarithms)):
        x = Tensor(logits, requires_grad=True)
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            y = function(x)
            y.backward(np.ones(logits.shape, dtype))
        np.testing.assert_allclose(y.data, np.asarray(expected, dtype), rtol=1e-6)
        assert np.isfinite(dense_gradient(x)).all()
        assert y.dtype == dense_gradient(x).dtype == dtype


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("shape", [(3,), (1, 1), (7, 13), (10, 10), (130, 31)])
@pytest.mark.parametrize("function", [relu, tanh, sigmoid, softmax, log_softmax])
def test_stacked_clients_have_the_bits_they_have_alone(
    function: Callable[[Tensor], Tensor], shape: Shape, num_clients: int
) -> None:
    rng = np.random.default_rng(6)
    data = (4 * rng.normal(size=(num_clients, *shape))).astype("float32")
    assert_stack_equals_alone(function, lambda x, _: function(x), data, rng)


@pytest.mark.parametrize("function", [relu, tanh, sigmoid, softmax, log_softmax])
@pytest.mark.parametrize("shape", [(3, 3), (130, 128)])
def test_inputs_and_incoming_gradients_are_left_alone(function: Callable[[Tensor], Tensor], shape: Shape) -> None:
    assert_inputs_are_left_alone(function, np.random.default_rng(7).normal(size=shape))


@pytest.mark.parametrize("function", [relu, tanh, sigmoid, softmax, log_softmax])
def test_wrong_operands_are_named(function: Callable[[object], Tensor]) -> None:
    with pytest.raises(GraphError, match=f"{function.__name__}: operands must be float32 or float64, got int64"):
        function(np.ones(2, np.int64))
    with pytest.raises(GraphError, match=f"{function.__name__}: operands are .*; got list"):
        function([1.0])


@pytest.mark.parametrize("function", ALONG_AN_AXIS)
def test_wrong_axes_are_told(function: Callable[..., Tensor]) -> None:
    for shape, axis in (((2, 3), 2), ((2, 3), -3), ((), -1)):
        with pytest.raises(GraphError, match=rf"{function.__name__}: a tensor of shape .* has no axis {axis}"):
            function(Tensor(np.ones(shape)), axis)
    with pytest.raises(GraphError, match=f"{function.__name__}: an axis is an integer, not tuple"):
        function(Tensor(np.ones((2, 3))), (0, 1))


@pytest.mark.parametrize("size", [10, 20_000])
def test_no_gradient_goes_through_a_rectifier_that_is_off(size: int) -> None:
    x = Tensor(np.full(size, np.nan), requires_grad=True)
    y = relu(x)
    y.backward(np.ones(size))
    assert np.isnan(y.data).all()
    np.testing.assert_array_equal(x.grad, 0)  # by one rule for few and for many
