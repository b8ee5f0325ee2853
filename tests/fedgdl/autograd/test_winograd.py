"""Winograd's transforms: exact as fractions, accurate in float32, and taken only where they save products."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tensors import dense_gradient

from fedgdl.autograd import Tensor, conv2d
from fedgdl.autograd.columns import RowColumns, TapColumns
from fedgdl.autograd.convolution import columns_of
from fedgdl.autograd.geometry import Geometry
from fedgdl.autograd.winograd import WinogradColumns, rows_at_once, transforms_of

Array = npt.NDArray[Any]
TILES = [(m, height) for m, height in itertools.product(range(1, 5), range(1, 8)) if m + height - 1 <= 8]


@pytest.mark.parametrize(("rows", "kernel_height"), TILES)
def test_the_transforms_filter(rows: int, kernel_height: int) -> None:
    transforms = transforms_of(rows, kernel_height, np.dtype("float64"))
    rng = np.random.default_rng(1)
    image, kernel = rng.normal(size=rows + kernel_height - 1), rng.normal(size=kernel_height)
    y = transforms.result @ ((transforms.kernel @ kernel) * (transforms.image @ image))
    # Numbers of up to 1e2 meet, each rounded to 1e-16.
    np.testing.assert_allclose(y, np.correlate(image, kernel, "valid"), rtol=0, atol=1e-13)


def test_the_best_known_transforms() -> None:
    # F(2, 3) of Lavin and Gray, but for signs and for the order of points and where the halves stand.
    transforms = transforms_of(2, 3, np.dtype("float64"))
    np.testing.assert_array_equal(transforms.result, [[1, 1, 1, 0], [0, 1, -1, 1]])
    np.testing.assert_array_equal(transforms.kernel, [[-1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    np.testing.assert_array_equal(transforms.image, [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])


@pytest.mark.parametrize(
    ("rows", "kernel_height", "tile"),
    [
        (14, 5, 4),  # 4 tiles of 8 products; tiles of 2 take 7 of 6
        (1, 5, 1),
        (2, 3, 2),
        (3, 3, 3),
        (5, 3, 3),  # 2 tiles of 5 products are fewer than 2 of 6
        (28, 3, 4),
        (9, 7, 2),
        (9, 9, 1),
        (6, 1, 1),  # nothing to save: any tile takes as many products as it has rows
    ],
)
def test_tiles_take_the_fewest_products(rows: int, kernel_height: int, tile: int) -> None:
    assert rows_at_once(rows, kernel_height) == tile


@pytest.mark.parametrize(
    ("images", "kernels", "stride", "padding", "way"),
    [
        ((9, 14, 14, 32), (5, 5, 32, 64), 1, 2, WinogradColumns),
        ((9, 14, 14, 32), (3, 3, 32, 64), 1, 1, WinogradColumns),
        ((9, 14, 14, 32), (3, 3, 32, 8), 1, 0, WinogradColumns),
        ((9, 14, 14, 32), (3, 3, 32, 7), 1, 0, RowColumns),  # few filters share a transform
        ((9, 14, 14, 10), (3, 3, 10, 64), 1, 0, TapColumns),  # few channels
        ((9, 14, 14, 32), (3, 3, 32, 64), 2, 1, RowColumns),
        ((9, 14, 14, 32), (2, 3, 32, 64), 1, 1, RowColumns),  # saves too little
        ((9, 14, 14, 32), (6, 6, 32, 64), 1, 1, RowColumns),  # loses too much
        ((9, 14, 14, 32), (3, 3, 32, 64), 1, 3, RowColumns),  # more zeros around it than a kernel's side
        ((9, 14, 14, 32), (5, 2, 32, 64), 1, 2, RowColumns),
        ((9, 3, 14, 32), (3, 3, 32, 64), 1, 0, RowColumns),  # a single row
        ((0, 14, 14, 32), (3, 3, 32, 64), 1, 0, WinogradColumns),
    ],
)
def test_where_it_pays(
    images: tuple[int, ...], kernels: tuple[int, ...], stride: int, padding: int, way: type[Any]
) -> None:
    assert type(columns_of(Geometry.of(images, kernels, stride, padding), np.dtype("float32"))) is way


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    ("height", "kernel", "channels", "filters"),
    [(14, 5, 32, 64), (14, 4, 32, 64), (14, 3, 32, 64), (13, 3, 11, 8), (9, 3, 128, 32), (6, 5, 64, 32)],
)
def test_less_than_a_decimal_digit_is_lost(
    height: int, kernel: int, channels: int, filters: int, positive: bool
) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, height, height, channels)).astype("float32")
    x = np.maximum(x, 0) if positive else x
    w = rng.normal(size=(kernel, kernel, channels, filters)).astype("float32")
    padding = (kernel - 1) // 2
    assert isinstance(columns_of(Geometry.of(x.shape, w.shape, 1, padding), x.dtype), WinogradColumns)
    image, weight = (Tensor(array, requires_grad=True) for array in (x, w))
    y = conv2d(image, weight, padding=padding)
    g = rng.normal(size=y.shape).astype("float32")
    y.backward(g)
    ours = [y.data, dense_gradient(weight), dense_gradient(image)]
    direct, exact = (direct_products(x.astype(t), w.astype(t), g.astype(t), padding) for t in ("float32", "float64"))
    for own, plain, true in zip(ours, direct, exact, strict=True):
        assert own.dtype == plain.dtype == np.float32
        # Roots of the mean squares; a decimal digit is a factor of 10.
        assert np.linalg.norm(own - true) < 10 * np.linalg.norm(plain - true)
        assert np.linalg.norm(own - true) < 3e-6 * np.linalg.norm(true)


def direct_products(x: Array, w: Array, g: Array, padding: int) -> list[Array]:
    """The convolution, and the gradients by kernels and images: each number one sum of products."""
    columns = neighbourhoods(x, len(w), padding)
    turned = np.ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3))
    dw = columns.reshape(-1, w[..., 0].size).T @ g.reshape(-1, g.shape[-1])
    dx = neighbourhoods(g, len(w), len(w) - 1 - padding) @ turned.reshape(-1, w.shape[2])
    return [columns @ w.reshape(-1, w.shape[-1]), dw.reshape(w.shape), dx]


def neighbourhoods(x: Array, side: int, padding: int) -> Array:
    """(N, H, W, C) -> (N, Ho, Wo, side side C)."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.ascontiguousarray(view.transpose(0, 1, 2, 4, 5, 3)).reshape(*view.shape[:3], -1)
