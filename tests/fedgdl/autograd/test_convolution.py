"""Convolution against loops over every pixel, in odd shapes, for one client and for stacks, and what it refuses."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tensors import Shape, assert_inputs_are_left_alone, dense_gradient, leaf, parameter

from fedgdl.autograd import Parameter, Tensor, conv2d, gradcheck, relu, sigmoid, tanh
from fedgdl.autograd import sum as sum_
from fedgdl.autograd.columns import RowColumns, TapColumns
from fedgdl.autograd.convolution import columns_of
from fedgdl.autograd.geometry import Geometry
from fedgdl.autograd.winograd import WinogradColumns
from fedgdl.errors import GraphError

Array = npt.NDArray[Any]
ACTIVATIONS = {None: lambda x: x, "relu": relu, "tanh": tanh, "sigmoid": sigmoid}


class Case(NamedTuple):
    """A convolution's sizes."""

    images: Shape
    kernels: Shape
    stride: int = 1
    padding: int = 0

    @property
    def options(self) -> dict[str, int]:
        return {"stride": self.stride, "padding": self.padding}

    def operands(self, *clients: int, dtype: str = "float64", seed: int = 0) -> list[Array]:
        """Images, kernels and a bias of normal values."""
        rng = np.random.default_rng(seed)
        shapes = ((*clients, *self.images), (*clients, *self.kernels), (*clients, self.kernels[-1]))
        return [rng.normal(size=shape).astype(dtype) for shape in shapes]


# A kernel's row times the channels is below 32 in the first list and not in the others, and the last has filters,
# stride and padding that suit Winograd's products: each list has its kind of columns.
FEW = [
    Case((1, 1, 1, 1), (1, 1, 1, 1)),
    Case((1, 5, 5, 1), (3, 3, 1, 2)),
    Case((2, 5, 4, 2), (1, 1, 2, 3)),
    Case((2, 4, 5, 2), (2, 3, 2, 1), stride=2),
    Case((1, 7, 7, 1), (3, 2, 1, 2), stride=3, padding=1),
    Case((3, 3, 3, 2), (3, 3, 2, 2)),  # kernels as large as the image
    Case((2, 2, 3, 1), (4, 5, 1, 2), padding=1),  # and larger than the image alone
    Case((2, 3, 3, 1), (2, 2, 1, 2), stride=2, padding=2),
    Case((2, 6, 5, 1), (1, 1, 1, 2), stride=3),  # pixels that no window sees
    Case((0, 4, 4, 1), (2, 2, 1, 2)),
    Case((10, 28, 28, 1), (3, 3, 1, 2)),  # more than one block, and the last not full
]
MANY = [
    Case((1, 1, 1, 32), (1, 1, 32, 1)),
    Case((2, 4, 5, 32), (1, 1, 32, 3)),
    Case((2, 5, 4, 11), (3, 3, 11, 2)),
    Case((2, 5, 5, 16), (2, 2, 16, 3), stride=2),
    Case((1, 7, 6, 16), (3, 2, 16, 2), stride=3, padding=1),
    Case((3, 3, 3, 11), (3, 3, 11, 2)),
    Case((2, 2, 3, 8), (4, 5, 8, 2), padding=1),
    Case((2, 3, 3, 16), (2, 2, 16, 2), stride=2, padding=2),
    Case((2, 6, 5, 33), (1, 1, 33, 2), stride=3),
    Case((0, 4, 4, 16), (2, 2, 16, 2)),
    Case((2, 12, 12, 33), (3, 3, 33, 4), padding=1),  # large enough for memory that is used again
]
TILED = [
    Case((2, 5, 4, 11), (3, 3, 11, 8)),  # a single tile, of 3 rows
    Case((1, 7, 7, 11), (3, 3, 11, 8), padding=1),  # a full tile and a part of one
    Case((2, 4, 5, 7), (5, 5, 7, 8), padding=2),
    Case((2, 6, 7, 8), (4, 5, 8, 9), padding=3),
    Case((0, 6, 6, 11), (3, 3, 11, 8)),
    Case((11, 8, 8, 11), (3, 3, 11, 40), padding=1),  # more than one block, and the last not full
]
ALL = FEW + MANY + TILED


def slow_conv(x: Array, w: Array, bias: Array, stride: int, padding: int) -> Array:
    """Each output pixel as the sum over the pixels of its window."""
    num_samples, height, width, _ = x.shape
    kernel_height, kernel_width, _, filters = w.shape
    rows, columns = (
        len(range(-padding, side + padding - kernel + 1, stride))
        for side, kernel in ((height, kernel_height), (width, kernel_width))
    )
    y = np.tile(bias, (num_samples, rows, columns, 1))
    for n, i, j, di, dj in np.ndindex(num_samples, rows, columns, kernel_height, kernel_width):
        row, column = i * stride + di - padding, j * stride + dj - padding
        if 0 <= row < height and 0 <= column < width:
            for o in range(filters):
                y[n, i, j, o] += np.dot(x[n, row, column], w[di, dj, :, o])
    return y


def slow_conv_gradients(x: Array, w: Array, g: Array, stride: int, padding: int) -> tuple[Array, Array, Array]:
    """The gradients by images, kernels and bias of the sum of g times the convolution, one product at a time."""
    dx, dw, dbias = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[-1])
    for n, i, j, di, dj in np.ndindex(*g.shape[:3], *w.shape[:2]):
        row, column = i * stride + di - padding, j * stride + dj - padding
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            for o in range(w.shape[3]):
                dx[n, row, column] += g[n, i, j, o] * w[di, dj, :, o]
                dw[di, dj, :, o] += g[n, i, j, o] * x[n, row, column]
    for n, i, j in np.ndindex(*g.shape[:3]):
        dbias += g[n, i, j]
    return dx, dw, dbias


def test_the_lists_use_each_kind_of_columns() -> None:
    for cases, kind in ((FEW, TapColumns), (MANY, RowColumns), (TILED, WinogradColumns)):
        for case in cases:
            geometry = Geometry.of(case.images, case.kernels, case.stride, case.padding)
            assert type(columns_of(geometry, np.dtype("float64"))) is kind


@pytest.mark.parametrize("case", ALL, ids=str)
def test_gradients(case: Case) -> None:
    rng = np.random.default_rng(1)
    x, weight, bias = case.operands()
    gradcheck(lambda *tensors: conv2d(*tensors, **case.options), [x, weight, bias], rng)
    gradcheck(lambda *tensors: conv2d(*tensors, **case.options), [x, weight], rng)
    gradcheck(lambda *tensors: conv2d(x, *tensors, **case.options), [weight, bias], rng)
    gradcheck(lambda b: conv2d(x, Tensor(weight), b, **case.options), [bias], rng)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("case", [FEW[3], FEW[4], MANY[3], MANY[4], TILED[1], TILED[2]], ids=str)
def test_gradients_through_activations(case: Case, activation: str) -> None:
    rng = np.random.default_rng(2)
    gradcheck(lambda x, w, b: conv2d(x, w, b, **case.options, activation=activation), case.operands(), rng)
    gradcheck(lambda x, w, b: conv2d(x, w, b, **case.options, activation=activation), case.operands(2), rng)


@given(
    st.integers(0, 3),
    st.tuples(*[st.integers(1, 6)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2),
    st.sampled_from([1, 2, 16, 33]),
    st.sampled_from([1, 2, 3, 8]),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 2**32),
)
def test_the_loop_over_every_pixel(
    num_samples: int,
    sides: tuple[int, int],
    kernel: tuple[int, int],
    channels: int,
    filters: int,
    stride: int,
    padding: int,
    seed: int,
) -> None:
    assume(all(side + 2 * padding >= length for side, length in zip(sides, kernel, strict=True)))
    case = Case((num_samples, *sides, channels), (*kernel, channels, filters), stride, padding)
    x, weight, bias = operands = case.operands(seed=seed)
    tensors = [Tensor(array, requires_grad=True) for array in operands]
    y = conv2d(*tensors, **case.options)
    expected = slow_conv(x, weight, bias, stride, padding)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
    g = np.random.default_rng(seed).normal(size=y.shape)
    y.backward(g)
    for tensor, gradient in zip(tensors, slow_conv_gradients(x, weight, g, stride, padding), strict=True):
        np.testing.assert_allclose(dense_gradient(tensor), gradient, rtol=1e-12, atol=1e-12)


def test_a_kernel_is_not_mirrored() -> None:
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1] = 1
    kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    y = conv2d(x, Tensor(kernel), padding=1)
    np.testing.assert_array_equal(y.data[0, :, :, 0], kernel[::-1, ::-1, 0, 0])  # the pixel meets the mirrored taps
    assert conv2d(x, Tensor(kernel)).item() == 4


def test_a_kernel_of_one_pixel_is_a_linear_layer() -> None:
    x, weight, bias = leaf(2, 4, 5, 3), leaf(1, 1, 3, 6), leaf(6)
    expected = x.data.reshape(-1, 3) @ weight.data.reshape(3, 6) + bias.data
    np.testing.assert_allclose(conv2d(x, weight, bias).data.reshape(-1, 6), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", [FEW[4], FEW[-1], MANY[4], MANY[-1], TILED[2], TILED[-1]], ids=str)
def test_one_operation_does_what_three_do(case: Case, activation: str | None) -> None:
    operands = case.operands(dtype="float32")
    fused, apart = ([Tensor(array, requires_grad=True) for array in operands] for _ in range(2))
    one = conv2d(*fused, **case.options, activation=activation)
    three = ACTIVATIONS[activation](conv2d(*apart[:2], **case.options) + apart[2])
    g = leaf(*one.shape, dtype="float32", seed=1).data
    one.backward(g)
    three.backward(g)
    # A bias among the products is added with fewer roundings, of numbers up to about 10.
    np.testing.assert_allclose(one.data, three.data, rtol=0, atol=1e-5)
    for a, b in zip(fused[:2], apart[:2], strict=True):
        np.testing.assert_allclose(dense_gradient(a), dense_gradient(b), rtol=1e-5, atol=1e-3)
        assert dense_gradient(a).dtype == one.dtype == np.float32
    # Three axes are added up here and one there, in another order: n numbers of about 1, each rounded to 2^-24.
    tolerance = g[..., 0].size * 2**-24
    np.testing.assert_allclose(dense_gradient(fused[2]), dense_gradient(apart[2]), atol=tolerance)


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("case", [*FEW[1:6], *FEW[-2:], *MANY[1:6], *MANY[-2:], *TILED], ids=str)
def test_a_stack_has_the_bits_of_each_client(
    case: Case, num_clients: int, biased: bool, activation: str | None
) -> None:
    operands = case.operands(num_clients, dtype="float32")[: 2 + biased]
    # As in a stacked model, there are gaps between the clients' parameters.
    spread = [np.concatenate([array.reshape(num_clients, -1)] * 2, 1)[:, : array[0].size] for array in operands]
    operands = [wide.reshape(array.shape) for wide, array in zip(spread, operands, strict=True)]
    tensors = [Tensor(array, requires_grad=True) for array in operands]
    y = conv2d(*tensors, **case.options, activation=activation)
    g = np.random.default_rng(3).normal(size=y.shape).astype("float32")
    y.backward(g)
    for client in range(num_clients):
        own = [Tensor(array[client].copy(), requires_grad=True) for array in operands]
        alone = conv2d(*own, **case.options, activation=activation)
        alone.backward(g[client])
        np.testing.assert_array_equal(alone.data, y.data[client])
        for one, together in zip(own, tensors, strict=True):
            np.testing.assert_array_equal(dense_gradient(one), dense_gradient(together)[client])


@pytest.mark.parametrize("num_clients", [1, 3])
@pytest.mark.parametrize("case", [FEW[4], FEW[-2], MANY[4], MANY[-2], TILED[1]], ids=str)
def test_gradients_of_a_stack(case: Case, num_clients: int) -> None:
    rng = np.random.default_rng(4)
    gradcheck(lambda x, w, b: conv2d(x, w, b, **case.options), case.operands(num_clients), rng)
    gradcheck(lambda x, w: conv2d(x, w, **case.options), case.operands(num_clients)[:2], rng)


@pytest.mark.parametrize("case", [FEW[3], MANY[3], TILED[1]], ids=str)
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("order", [np.asfortranarray, lambda array: np.repeat(array, 2, axis=-1)[..., ::2]])
def test_operands_in_any_memory_order(case: Case, which: int, order: Callable[[Array], Array]) -> None:
    operands = case.operands()
    plain = [Tensor(array, requires_grad=True) for array in operands]
    operands[which] = order(operands[which])
    other = [Tensor(array, requires_grad=True) for array in operands]
    y, z = conv2d(*plain, **case.options), conv2d(*other, **case.options)
    g = np.asfortranarray(leaf(*y.shape).data)
    y.backward(g)
    z.backward(np.ascontiguousarray(g))
    np.testing.assert_allclose(y.data, z.data, rtol=1e-13, atol=1e-13)
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_allclose(dense_gradient(b), dense_gradient(a), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("case", [FEW[3], MANY[3], TILED[1]], ids=str)
def test_kernels_that_an_operation_turned_have_their_gradient(case: Case) -> None:
    rng = np.random.default_rng(5)
    x, weight, _ = case.operands()
    turned = np.ascontiguousarray(weight.transpose(3, 2, 0, 1))  # PyTorch's order: (O, C, kh, kw)
    gradcheck(lambda x, w: conv2d(x, w.transpose(2, 3, 1, 0), **case.options), [x, turned], rng)


def test_inputs_and_incoming_gradients_are_left_alone() -> None:
    for case in (FEW[3], MANY[3], TILED[1]):
        for activation in ACTIVATIONS:
            assert_inputs_are_left_alone(
                lambda x, w, b, case=case, name=activation: conv2d(x, w, b, **case.options, activation=name),
                *case.operands(),
            )


def test_who_requires_no_gradient_gets_none() -> None:
    x, frozen, bias = leaf(2, 5, 5, 1), parameter(2, 2, 1, 3), parameter(3)
    frozen.requires_grad = False
    sum_(conv2d(x, frozen, bias)).backward()
    assert frozen.grad is None
    np.testing.assert_array_equal(bias.grad, [32, 32, 32])
    assert x.grad is not None
    fixed = Parameter(np.zeros(3), requires_grad=False)
    weight = parameter(2, 2, 1, 3)
    sum_(conv2d(np.ones((2, 5, 5, 1)), weight, fixed)).backward()
    assert fixed.grad is None
    np.testing.assert_array_equal(weight.grad, np.full((2, 2, 1, 3), 32.0))
    assert not conv2d(np.ones((2, 5, 5, 1)), frozen, fixed).requires_grad


@pytest.mark.parametrize("cases", [FEW, MANY, TILED], ids=["few", "many", "tiled"])
def test_results_of_the_same_sizes_do_not_disturb_one_another(cases: list[Case]) -> None:
    case = cases[-1]
    batches = [case.operands(seed=seed) for seed in range(3)]
    expected = []
    for operands in batches:
        tensors = [Tensor(array, requires_grad=True) for array in operands]
        y = conv2d(*tensors, **case.options, activation="tanh")
        y.backward(1.0)
        expected.append([y.data.copy(), *(dense_gradient(tensor).copy() for tensor in tensors)])
        del y
    together = [[Tensor(array, requires_grad=True) for array in operands] for operands in batches]
    results = [conv2d(*tensors, **case.options, activation="tanh") for tensors in together]
    for result in results:
        result.backward(1.0)
    for tensors, result, (data, *gradients) in zip(together, results, expected, strict=True):
        np.testing.assert_array_equal(result.data, data)
        for tensor, gradient in zip(tensors, gradients, strict=True):
            np.testing.assert_array_equal(tensor.grad, gradient)


@pytest.mark.parametrize("case", [FEW[4], MANY[4]], ids=str)
def test_kernels_used_twice_have_both_gradients(case: Case) -> None:
    x, weight, _ = case.operands()
    gradcheck(
        lambda x, w: conv2d(x, w, **case.options) * conv2d(2 * x, w, **case.options),
        [x, weight],
        np.random.default_rng(6),
    )


MISFITS: dict[str, tuple[Shape, Shape]] = {
    "no batch": ((5, 5, 1), (3, 3, 1, 2)),
    "other channels": ((2, 5, 5, 2), (3, 3, 1, 2)),
    "one stacked": ((4, 2, 5, 5, 1), (3, 3, 1, 2)),
    "the other stacked": ((2, 5, 5, 1), (4, 3, 3, 1, 2)),
    "other clients": ((4, 2, 5, 5, 1), (3, 3, 3, 1, 2)),
    "a stack of one": ((4, 2, 5, 5, 1), (1, 3, 3, 1, 2)),
    "no channels": ((2, 5, 5, 0), (3, 3, 0, 2)),
    "no filters": ((2, 5, 5, 1), (3, 3, 1, 0)),
    "no kernel": ((2, 5, 5, 1), (0, 3, 1, 2)),
    "no image": ((2, 0, 5, 1), (3, 3, 1, 2)),
    "no clients": ((0, 2, 5, 5, 1), (0, 3, 3, 1, 2)),
    "a matrix": ((2, 5, 5, 1), (1, 2)),
    "a number": ((2, 5, 5, 1), ()),
    "too many": ((2, 2, 2, 5, 5, 1), (2, 2, 3, 3, 1, 2)),
}


@pytest.mark.parametrize(("x", "weight"), MISFITS.values(), ids=MISFITS)
def test_shapes_that_do_not_fit_are_told(x: Shape, weight: Shape) -> None:
    with pytest.raises(GraphError) as caught:
        conv2d(Tensor(np.ones(x)), Tensor(np.ones(weight)))
    needed = "x (N, H, W, C) and weight (kh, kw, C, O), for K clients each with K first"
    assert str(caught.value).startswith(f"conv2d: needs {needed}, got {x} and {weight}")


def test_the_two_usual_mistakes_are_told_apart() -> None:
    weight = Tensor(np.ones((3, 3, 2, 4)))
    with pytest.raises(GraphError, match=r"channels first\? Then pass x\.transpose\(0, 2, 3, 1\)$"):
        conv2d(np.ones((5, 2, 8, 8)), weight)
    with pytest.raises(GraphError, match=r"images without a channel axis are x\[\.\.\., np\.newaxis\]$"):
        conv2d(np.ones((5, 8, 8)), Tensor(np.ones((3, 3, 1, 4))))


def test_other_inputs_are_told() -> None:
    x, weight = np.ones((2, 5, 5, 1), "float32"), Tensor(np.ones((3, 3, 1, 2), "float32"))
    with pytest.raises(GraphError, match=r"conv2d: operands must be float32 or float64, got uint8 of shape \(2, 5,"):
        conv2d(np.ones((2, 5, 5, 1), np.uint8), weight)
    with pytest.raises(
        GraphError,
        match=r"conv2d: x of shape \(2, 5, 5, 1\) is float64, but the weight of shape \(3, 3, 1, 2\) is float32",
    ):
        conv2d(np.ones((2, 5, 5, 1)), weight)
    for stride, padding in ((0, 0), (-1, 0), (1, -1)):
        with pytest.raises(GraphError) as caught:
            conv2d(x, weight, stride=stride, padding=padding)
        assert str(caught.value) == f"conv2d: needs a stride from 1 and a padding from 0 on, got {stride} and {padding}"
    with pytest.raises(GraphError, match="conv2d: the activation is one of relu, tanh, sigmoid, not 'gelu'"):
        conv2d(x, weight, activation="gelu")


@pytest.mark.parametrize(("kernel", "padding"), [((6, 1), 0), ((1, 6), 0), ((8, 3), 1), ((3, 10), 2)])
def test_a_kernel_larger_than_the_padded_image_is_told(kernel: tuple[int, int], padding: int) -> None:
    with pytest.raises(GraphError) as caught:
        conv2d(np.ones((2, 5, 5, 1)), Tensor(np.ones((*kernel, 1, 2))), padding=padding)
    assert str(caught.value) == (
        f"conv2d: a kernel of {kernel} is larger than an image of (5, 5) with padding {padding}"
    )


@pytest.mark.parametrize("bias", [Tensor(np.ones(1)), Tensor(np.ones(3)), Tensor(1.0), Tensor(np.ones((1, 2)))])
def test_a_bias_is_never_broadcast(bias: Tensor) -> None:
    with pytest.raises(GraphError) as caught:
        conv2d(np.ones((2, 5, 5, 1)), Tensor(np.ones((3, 3, 1, 2))), bias)
    assert str(caught.value) == (
        f"conv2d: a weight of shape (3, 3, 1, 2) and float64 needs a bias of shape (2,), got {bias.shape} of float64"
    )


def test_a_bias_for_each_client_and_of_the_same_dtype() -> None:
    x, weight = np.ones((4, 2, 5, 5, 1)), Tensor(np.ones((4, 3, 3, 1, 2)))
    for bias in (Tensor(np.ones(2)), Tensor(np.ones((4, 1))), Tensor(np.ones((4, 2), "float32"))):
        with pytest.raises(GraphError, match=r"conv2d: a weight of .* needs a bias of shape \(4, 2\), got"):
            conv2d(x, weight, bias)
