"""Max pooling against a loop over every window: ties, gaps, overlaps, leading axes, and what it refuses."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Shape, assert_inputs_are_left_alone, assert_stack_equals_alone, dense_gradient

from fedgdl.autograd import Tensor, gradcheck, max_pool2d, workspace
from fedgdl.errors import GraphError

Array = npt.NDArray[Any]

# Exact cover, pixels left over, gaps, overlaps, a window as large as the image, and windows of one pixel.
WINDOWS: list[tuple[Shape, int, int | None]] = [
    ((2, 4, 6, 3), 2, None),
    ((2, 5, 7, 3), 2, None),
    ((1, 7, 8, 2), 2, 3),
    ((1, 7, 7, 2), 3, 2),
    ((2, 4, 5, 1), 3, 1),
    ((2, 4, 4, 2), 4, None),
    ((2, 4, 4, 2), 4, 1),
    ((1, 3, 5, 2), 1, None),
    ((1, 3, 5, 2), 1, 2),
    ((1, 1, 1, 1), 1, None),
    ((0, 4, 4, 2), 2, None),
    ((4, 4, 2), 2, None),
    ((2, 3, 4, 4, 2), 2, None),
    ((0, 3, 4, 4, 2), 2, 1),
    ((3, 40, 40, 20), 2, None),  # large enough for memory that is used again
    ((3, 41, 40, 20), 3, 2),
]


def distinct(shape: Shape, seed: int = 0) -> Array:
    """Values in any order, none nearer to another than 0.1: a small step changes no maximum."""
    size = int(np.prod(shape))
    return np.random.default_rng(seed).permutation(size).reshape(shape) * 0.1


def slow_pool(x: Array, kernel_size: int, stride: int, g: Array | None) -> tuple[Array, Array]:
    """(N, H, W, C): the largest of each window, and where the gradient of each goes: to the first of the largest."""
    num_samples, height, width, channels = x.shape
    rows, columns = (len(range(0, side - kernel_size + 1, stride)) for side in (height, width))
    y, dx = np.empty((num_samples, rows, columns, channels), x.dtype), np.zeros_like(x)
    for n, i, j, c in np.ndindex(y.shape):
        places = [
            (n, i * stride + di, j * stride + dj, c) for di, dj in itertools.product(range(kernel_size), repeat=2)
        ]
        best = max(places, key=lambda place: x[place])  # the first of equal ones
        y[n, i, j, c] = x[best]
        if g is not None:
            dx[best] += g[n, i, j, c]
    return y, dx


@pytest.mark.parametrize(("shape", "kernel_size", "stride"), WINDOWS)
def test_gradients(shape: Shape, kernel_size: int, stride: int | None) -> None:
    # Differences of the values of a thousand windows of up to 10,000 would drown a derivative of about 1: so scaled.
    x = distinct(shape)
    x /= max(x.max(initial=0), 1)
    if x.size < 5000:
        gradcheck(lambda x: max_pool2d(x, kernel_size, stride), [x], np.random.default_rng(1))
    tensor = Tensor(x, requires_grad=True)
    y = max_pool2d(tensor, kernel_size, stride)
    g = np.random.default_rng(2).integers(-9, 10, y.shape).astype("float64")
    y.backward(g)
    flat = (-1, *shape[-3:])
    expected, gradient = slow_pool(
        x.reshape((int(np.prod(shape[:-3])), *shape[-3:])),
        kernel_size,
        stride or kernel_size,
        g.reshape(-1, *y.shape[-3:]),
    )
    assert y.shape == (*shape[:-3], *expected.shape[1:])
    np.testing.assert_array_equal(y.data.reshape(expected.shape), expected)
    np.testing.assert_array_equal(dense_gradient(tensor).reshape(flat), gradient)


@given(
    st.integers(0, 2),
    st.tuples(*[st.integers(1, 7)] * 2),
    st.integers(1, 2),
    st.integers(1, 4),
    st.integers(1, 4) | st.none(),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_any_windows_with_many_ties(
    num_samples: int,
    sides: tuple[int, int],
    channels: int,
    kernel_size: int,
    stride: int | None,
    values: int,
    seed: int,
) -> None:
    kernel_size = min(kernel_size, *sides)
    rng = np.random.default_rng(seed)
    x = Tensor(rng.integers(0, values, (num_samples, *sides, channels)).astype("float64"), requires_grad=True)
    y = max_pool2d(x, kernel_size, stride)
    g = rng.integers(-9, 10, y.shape).astype("float64")
    y.backward(g)
    expected, gradient = slow_pool(x.data, kernel_size, stride or kernel_size, g)
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(x.grad, gradient)


def test_the_first_of_equal_pixels_gets_the_gradient() -> None:
    x = Tensor(np.zeros((1, 4, 4, 1)), requires_grad=True)
    max_pool2d(x, 2).backward(np.arange(1.0, 5.0).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(
        dense_gradient(x)[0, :, :, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    )


def test_windows_that_overlap_add_up() -> None:
    x = Tensor(np.array([[0.0, 0, 0], [0, 9, 0], [0, 0, 0]]).reshape(1, 3, 3, 1), requires_grad=True)
    max_pool2d(x, 2, 1).backward(np.array([1.0, 10, 100, 1000]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(dense_gradient(x)[0, :, :, 0], [[0, 0, 0], [0, 1111, 0], [0, 0, 0]])


def test_pixels_between_and_beside_windows_get_nothing() -> None:
    x = Tensor(np.ones((1, 6, 6, 1)), requires_grad=True)
    max_pool2d(x, 2, 3).backward(1.0)
    expected = np.zeros((6, 6))
    expected[np.ix_([0, 3], [0, 3])] = 1
    np.testing.assert_array_equal(dense_gradient(x)[0, :, :, 0], expected)


def test_infinities_are_largest_and_smallest() -> None:
    x = Tensor(np.array([[-np.inf, -np.inf], [-np.inf, -np.inf]]).reshape(1, 2, 2, 1), requires_grad=True)
    y = max_pool2d(x, 2)
    y.backward()
    assert y.item() == -np.inf
    np.testing.assert_array_equal(dense_gradient(x).ravel(), [1, 0, 0, 0])
    assert max_pool2d(Tensor(np.array([1, np.inf, 3, 2]).reshape(1, 2, 2, 1)), 2).item() == np.inf
    assert np.isnan(max_pool2d(Tensor(np.array([1, np.inf, np.nan, 2]).reshape(1, 2, 2, 1)), 2).item())


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize(("kernel_size", "stride"), [(2, None), (3, 1), (2, 3)])
@pytest.mark.parametrize("shape", [(3, 7, 6, 2), (0, 7, 6, 2), (2, 40, 40, 10)])
def test_a_stack_has_the_bits_of_each_client(
    shape: Shape, kernel_size: int, stride: int | None, num_clients: int
) -> None:
    rng = np.random.default_rng(3)
    data = np.maximum(rng.normal(size=(num_clients, *shape)), 0).astype("float32")  # with ties, as after a relu
    assert_stack_equals_alone(
        lambda x: max_pool2d(x, kernel_size, stride), lambda x, _: max_pool2d(x, kernel_size, stride), data, rng
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_stay(dtype: str) -> None:
    x = Tensor(distinct((2, 5, 5, 2)).astype(dtype), requires_grad=True)
    y = max_pool2d(x, 2, 1)
    y.backward(np.float64(0.5))
    assert y.dtype == dense_gradient(x).dtype == dtype


def test_images_in_any_memory_order() -> None:
    plain = Tensor(distinct((3, 5, 6, 2)), requires_grad=True)
    other = Tensor(np.asfortranarray(plain.data), requires_grad=True)
    for x in (plain, other):
        (max_pool2d(x, 2, 1) * 2).sum().backward()
    np.testing.assert_array_equal(other.grad, plain.grad)


def test_inputs_and_incoming_gradients_are_left_alone() -> None:
    for kernel_size, stride in ((2, None), (2, 1), (1, 2)):
        assert_inputs_are_left_alone(lambda x, a=kernel_size, b=stride: max_pool2d(x, a, b), distinct((2, 5, 5, 2)))


@pytest.mark.parametrize(("kernel_size", "stride"), [(2, None), (3, 2), (2, 3)])
def test_what_the_memory_held_before_is_not_seen(kernel_size: int, stride: int | None) -> None:
    x = Tensor(distinct((3, 41, 40, 20)), requires_grad=True)
    used = [workspace.empty((1 << size,), np.dtype("float64")) for size in range(13, 19) for _ in range(4)]
    for array in used:
        array.fill(np.nan)
    del used, array
    max_pool2d(x, kernel_size, stride).sum().backward()
    assert np.isfinite(dense_gradient(x)).all()


@pytest.mark.parametrize(
    ("shape", "kernel_size", "stride"),
    [
        ((2, 4, 4, 1), 5, None),
        ((2, 4, 3, 1), 4, 1),
        ((2, 4, 4, 1), 0, None),
        ((2, 4, 4, 1), -1, None),
        ((2, 4, 4, 1), 2, 0),
        ((2, 4, 4, 1), 2, -2),
        ((4, 4), 2, None),
        ((), 1, None),
        ((2, 0, 4, 1), 1, None),
    ],
)
def test_impossible_windows_are_told(shape: Shape, kernel_size: int, stride: int | None) -> None:
    with pytest.raises(GraphError) as caught:
        max_pool2d(Tensor(np.ones(shape)), kernel_size, stride)
    assert str(caught.value) == f"max_pool2d: no windows of side {kernel_size} at stride {stride} in x of shape {shape}"
