"""Convolution with pooling inside: as the operations one by one, for each way of taking products, and for stacks."""

from collections.abc import Callable

import numpy as np
import pytest
from tensors import Shape, assert_inputs_are_left_alone, dense_gradient, leaf

from fedgdl.autograd import Tensor, conv2d, gradcheck, max_pool2d, relu, sigmoid, tanh
from fedgdl.errors import GraphError

ACTIVATIONS = {None: lambda x: x, "relu": relu, "tanh": tanh, "sigmoid": sigmoid}

# Images, kernels, stride, padding, pool: by taps, by rows and by tiles; with rows and columns that fill no window.
CASES: list[tuple[Shape, Shape, int, int, int]] = [
    ((3, 6, 8, 1), (3, 3, 1, 4), 1, 0, 2),
    ((2, 7, 6, 2), (2, 2, 2, 3), 1, 1, 3),
    ((2, 9, 9, 1), (3, 2, 1, 2), 2, 0, 2),
    ((2, 7, 6, 16), (2, 2, 16, 3), 1, 0, 2),
    ((1, 9, 8, 16), (3, 3, 16, 2), 2, 1, 2),
    ((2, 9, 8, 11), (3, 3, 11, 8), 1, 1, 2),
    ((1, 8, 9, 7), (5, 5, 7, 8), 1, 2, 3),
    ((0, 6, 6, 1), (3, 3, 1, 2), 1, 0, 2),
    ((2, 4, 4, 1), (3, 3, 1, 2), 1, 1, 4),  # one window
    ((9, 28, 28, 1), (3, 3, 1, 6), 1, 1, 2),  # more than one part
]


def operands(images: Shape, kernels: Shape, *clients: int, dtype: str = "float64") -> list[np.ndarray]:
    """Images, kernels and a bias of normal values."""
    rng = np.random.default_rng(1)
    shapes = ((*clients, *images), (*clients, *kernels), (*clients, kernels[-1]))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("images", "kernels", "stride", "padding", "pool"), CASES)
def test_it_is_pooling_then_the_activation(
    images: Shape, kernels: Shape, stride: int, padding: int, pool: int, activation: str | None
) -> None:
    fused, apart = (
        [Tensor(array, requires_grad=True) for array in operands(images, kernels, dtype="float32")] for _ in range(2)
    )
    one = conv2d(*fused, stride, padding, activation, pool)
    function: Callable[[Tensor], Tensor] = ACTIVATIONS[activation]
    three = function(max_pool2d(conv2d(*apart, stride, padding), pool))
    g = leaf(*one.shape, dtype="float32", seed=2).data
    one.backward(g)
    three.backward(g)
    # The products of a part have its own order of addition where rows or columns that fill no window are left out.
    np.testing.assert_allclose(one.data, three.data, rtol=1e-5, atol=1e-5)
    for a, b in zip(fused, apart, strict=True):
        expected = dense_gradient(b)
        np.testing.assert_allclose(
            dense_gradient(a), expected, rtol=1e-4, atol=1e-5 * max(1, abs(expected).max(initial=0))
        )


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
@pytest.mark.parametrize(("images", "kernels", "stride", "padding", "pool"), CASES[:-1])
def test_gradients(images: Shape, kernels: Shape, stride: int, padding: int, pool: int, activation: str) -> None:
    rng = np.random.default_rng(2)
    for clients in ((), (2,)):
        x, w, b = operands(images, kernels, *clients)
        gradcheck(lambda *tensors: conv2d(*tensors, stride, padding, activation, pool), [x, w, b], rng)
        gradcheck(lambda *tensors: conv2d(*tensors, None, stride, padding, None, pool), [x, w], rng)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize(("images", "kernels", "stride", "padding", "pool"), CASES)
def test_a_stack_has_the_bits_of_each_client(
    images: Shape, kernels: Shape, stride: int, padding: int, pool: int, num_clients: int
) -> None:
    arrays = operands(images, kernels, num_clients, dtype="float32")
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    y = conv2d(*tensors, stride, padding, "relu", pool)
    g = np.random.default_rng(3).normal(size=y.shape).astype("float32")
    y.backward(g)
    for client in range(num_clients):
        own = [Tensor(array[client].copy(), requires_grad=True) for array in arrays]
        alone = conv2d(*own, stride, padding, "relu", pool)
        alone.backward(g[client])
        np.testing.assert_array_equal(alone.data, y.data[client])
        for one, together in zip(own, tensors, strict=True):
            np.testing.assert_array_equal(dense_gradient(one), dense_gradient(together)[client])


def test_the_first_of_equal_sums_gets_the_gradient() -> None:
    x = Tensor(np.zeros((1, 4, 4, 1)), requires_grad=True)
    y = conv2d(x, Tensor(np.ones((1, 1, 1, 1))), Tensor(np.array([3.0])), pool=2)
    np.testing.assert_array_equal(y.data, np.full((1, 2, 2, 1), 3.0))
    y.backward(np.arange(1.0, 5.0).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(
        dense_gradient(x)[0, :, :, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    )


def test_inputs_and_incoming_gradients_are_left_alone() -> None:
    for images, kernels, stride, padding, pool in (CASES[0], CASES[3], CASES[5]):
        assert_inputs_are_left_alone(
            lambda x, w, b, rest=(stride, padding, "tanh", pool): conv2d(x, w, b, *rest), *operands(images, kernels)
        )


@pytest.mark.parametrize("pool", [0, -1, 5, 7])
def test_impossible_windows_are_told(pool: int) -> None:
    x, weight, bias = leaf(2, 6, 6, 1), leaf(3, 3, 1, 2), leaf(2)
    with pytest.raises(GraphError, match=f"conv2d: no windows of side {pool} in the result of x") as caught:
        conv2d(x, weight, bias, pool=pool)
    assert str(caught.value).endswith("(2, 6, 6, 1) and weight (3, 3, 1, 2)")
