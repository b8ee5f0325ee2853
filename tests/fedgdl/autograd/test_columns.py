"""The ways of taking a convolution's products do the same, in parts, and whatever their memory held before."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tensors import Shape

from fedgdl.autograd import workspace
from fedgdl.autograd.columns import RowColumns, TapColumns
from fedgdl.autograd.convolution import columns_of
from fedgdl.autograd.geometry import Geometry
from fedgdl.autograd.winograd import WinogradColumns

Array = npt.NDArray[Any]
WAYS = [TapColumns, RowColumns, WinogradColumns]

Way = type[TapColumns] | type[RowColumns] | type[WinogradColumns]

GEOMETRIES = [
    Geometry.of(images, kernels, stride, padding)
    for (images, kernels), stride, padding in itertools.product(
        [
            ((2, 7, 6, 1), (3, 2, 1, 2)),
            ((1, 5, 5, 3), (5, 5, 3, 1)),
            ((3, 4, 4, 2), (1, 1, 2, 3)),
            ((2, 5, 4, 33), (2, 3, 33, 2)),
            ((0, 4, 5, 2), (2, 2, 2, 1)),
        ],
        [1, 2, 3],
        [0, 1, 2],
    )
]


# Each way with what it serves: tiles of rows, stride 1 and less padding than a kernel's sides.
SERVED = [
    (geometry, way)
    for geometry, way in itertools.product(GEOMETRIES, WAYS)
    if way is not WinogradColumns
    or (geometry.stride == 1 and geometry.padding[0] < min(geometry.kernel_height, geometry.kernel_width))
]


def operands(geometry: Geometry, dtype: str = "float64") -> tuple[Array, Array, Array]:
    """Images, kernels and a gradient by the result, of normal values."""
    sizes, rng = geometry, np.random.default_rng(1)
    images = (sizes.num_samples, sizes.height, sizes.width, sizes.channels)
    kernels = (sizes.kernel_height, sizes.kernel_width, sizes.channels, sizes.filters)
    x, w, g = (rng.normal(size=shape).astype(dtype) for shape in (images, kernels, sizes.result))
    return x, w, g


def windows(geometry: Geometry, padded: Array) -> Array:
    """(N, H + 2 padding, W + 2 padding, C) -> (N, Ho, Wo, C, kh, kw): a view of each window."""
    kernel = (geometry.kernel_height, geometry.kernel_width)
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2), writeable=True)
    return view[:, :: geometry.stride, :: geometry.stride]


def padded_of(geometry: Geometry, x: Array) -> Array:
    """The images with zeros around them."""
    down, right = geometry.padding
    return np.pad(x, ((0, 0), (down, down), (right, right), (0, 0)))


def expected_results(geometry: Geometry, x: Array, w: Array, g: Array) -> tuple[Array, Array, Array]:
    """The convolution, and the gradients by kernels and images, by NumPy's own sums over windows."""
    view = windows(geometry, padded_of(geometry, x))
    y = np.einsum("nijcab,abco->nijo", view, w)
    dw = np.einsum("nijcab,nijo->abco", view, g)
    padded = np.zeros_like(padded_of(geometry, x))
    contributions = np.einsum("nijo,abco->nijcab", g, w)
    for row, column in np.ndindex(w.shape[:2]):
        windows(geometry, padded)[..., row, column] += contributions[..., row, column]
    return y, dw, geometry.inside(padded)


@pytest.mark.parametrize(("geometry", "way"), SERVED, ids=str)
def test_all_ways_convolve(geometry: Geometry, way: Way) -> None:
    x, w, g = operands(geometry)
    expected_y, expected_dw, expected_dx = expected_results(geometry, x, w, g)
    columns = way(geometry, x.dtype)
    for bias in (None, np.arange(1.0, geometry.filters + 1)):
        y, dw, dx = np.full(geometry.result, np.nan), np.ones_like(w), np.full_like(x, np.nan)
        dbias = None if bias is None else np.ones_like(bias)
        for _ in columns.forward(x, w, bias, y.__getitem__):
            pass
        columns.backward(x, w, g.__getitem__, dw, dbias, dx)
        np.testing.assert_allclose(y, expected_y + (0 if bias is None else bias), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dw, expected_dw + 1, rtol=1e-12, atol=1e-12)  # added to what was there
        np.testing.assert_allclose(dx, expected_dx, rtol=1e-12, atol=1e-12)
        if dbias is not None:
            np.testing.assert_allclose(dbias, g.sum((0, 1, 2)) + 1, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_columns_serve_again_and_without_a_gradient_by_the_images(
    way: Way,
) -> None:
    geometry = Geometry.of((2, 7, 6, 3), (3, 2, 3, 2), 1 if way is WinogradColumns else 2, 1)
    x, w, g = operands(geometry)
    expected_y, expected_dw, _ = expected_results(geometry, x, w, g)
    columns = way(geometry, x.dtype)
    for _ in range(2):
        y, dw = np.empty(geometry.result), np.zeros_like(w)
        columns.backward(x, w, g.__getitem__, dw, None, None)
        for _ in columns.forward(x, w, None, y.__getitem__):
            pass
        np.testing.assert_allclose(y, expected_y, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(dw, expected_dw, rtol=1e-12, atol=1e-12)
        columns.backward(
            x, w, g.__getitem__, np.zeros_like(w), None, np.empty_like(x)
        )  # leaves its own traces in the memory


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("num_samples", [0, 1, 7, 40])
def test_the_parts_cover_the_result_once_and_in_order(way: Way, num_samples: int) -> None:
    geometry = Geometry.of((num_samples, 28, 28, 1), (3, 3, 1, 4), 1, 0)
    x, w, _ = operands(geometry, "float32")
    y, covered = np.empty(geometry.result, "float32"), np.zeros(num_samples, np.int64)
    start = 0
    for part, sums in way(geometry, x.dtype).forward(x, w, None, y.__getitem__):
        assert np.shares_memory(sums, y)
        np.testing.assert_array_equal(sums, y[part])
        assert part.start == start
        covered[part] += 1
        start = part.stop
    assert start == num_samples
    assert (covered == 1).all()


def test_blocks_of_samples_stay_in_the_cache() -> None:
    # 9 taps of 26 x 26 pixels in float32 are 24,336 bytes a sample: thirteen of them fit into 320 KiB, fourteen do not.
    geometry = Geometry.of((40, 28, 28, 1), (3, 3, 1, 4))
    assert part_lengths(TapColumns, geometry) == [13, 13, 13, 1]
    huge = Geometry.of((2, 200, 200, 1), (5, 5, 1, 1))  # one sample is more than a block
    assert part_lengths(TapColumns, huge) == [1, 1]
    # 14 rows are 4 tiles; of 14 x 160 numbers each, by 64 filters, they take 573,440 multiplications a point.
    assert part_lengths(WinogradColumns, Geometry.of((3, 14, 14, 32), (5, 5, 32, 64), padding=2)) == [1, 1, 1]
    assert part_lengths(WinogradColumns, Geometry.of((10, 14, 14, 16), (3, 3, 16, 16), padding=1))[0] > 1


def part_lengths(way: Way, geometry: Geometry) -> list[int]:
    """How many samples each part has."""
    x, w, _ = operands(geometry, "float32")
    y = np.empty(geometry.result, "float32")
    return [len(sums) for _, sums in way(geometry, x.dtype).forward(x, w, None, y.__getitem__)]


@pytest.mark.parametrize("way", WAYS)
def test_what_the_memory_held_before_is_not_seen(way: Way) -> None:
    geometry = Geometry.of((3, 40, 40, 12), (3, 3, 12, 2), 1 if way is WinogradColumns else 2, 2)
    x, w, g = operands(geometry, "float64")
    results = []
    for junk in (0.0, np.nan):
        used = [workspace.empty((1 << size,), np.dtype("float64")) for size in range(13, 20) for _ in range(6)]
        for array in used:
            array.fill(junk)
        del used, array
        columns = way(geometry, x.dtype)
        y, dw, dx = np.empty(geometry.result), np.zeros_like(w), np.empty_like(x)
        for _ in columns.forward(x, w, None, y.__getitem__):
            pass
        columns.backward(x, w, g.__getitem__, dw, None, dx)
        results.append((y, dw, dx))
    for clean, dirty in zip(*results, strict=True):
        np.testing.assert_array_equal(dirty, clean)


@pytest.mark.parametrize(
    ("images", "kernels", "stride", "padding", "result"),
    [
        ((2, 5, 5, 1), (3, 3, 1, 4), 1, 0, (2, 3, 3, 4)),
        ((2, 5, 5, 1), (3, 3, 1, 4), 1, 1, (2, 5, 5, 4)),
        ((2, 5, 6, 1), (3, 3, 1, 4), 2, 0, (2, 2, 2, 4)),
        ((2, 5, 6, 1), (2, 1, 1, 4), 3, 2, (2, 3, 4, 4)),
        ((0, 5, 5, 1), (5, 5, 1, 1), 3, 0, (0, 1, 1, 1)),
    ],
)
def test_sizes_of_the_result(images: Shape, kernels: Shape, stride: int, padding: int, result: Shape) -> None:
    assert Geometry.of(images, kernels, stride, padding).result == result


def test_a_result_may_be_cut_to_a_multiple() -> None:
    assert Geometry.of((2, 8, 9, 1), (3, 3, 1, 4), 1, 0, 2).result == (2, 6, 6, 4)
    assert Geometry.of((2, 8, 9, 1), (3, 3, 1, 4), 1, 1, 3).result == (2, 6, 9, 4)
    assert Geometry.of((2, 4, 9, 1), (3, 3, 1, 4), 1, 0, 3).result == (2, 0, 6, 4)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_cut_off_takes_no_part(way: Way) -> None:
    whole, cut = (Geometry.of((2, 9, 8, 3), (2, 3, 3, 2), 1, 1, multiple) for multiple in (1, 4))
    x, w, g = operands(whole)
    g[:, cut.rows :] = g[:, :, cut.columns :] = 0
    y, dw, dx = expected_results(whole, x, w, g)
    kept = np.s_[:, : cut.rows, : cut.columns]
    columns = way(cut, x.dtype)
    own_y, own_dw, own_dx = np.empty(cut.result), np.zeros_like(w), np.empty_like(x)
    for _ in columns.forward(x, w, None, own_y.__getitem__):
        pass
    columns.backward(x, w, g[kept].__getitem__, own_dw, None, own_dx)
    np.testing.assert_allclose(own_y, y[kept], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(own_dw, dw, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(own_dx, dx, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel_width", "channels", "way"),
    [
        (3, 1, TapColumns),
        (5, 6, TapColumns),
        (31, 1, TapColumns),
        (32, 1, RowColumns),  # with 2 filters, too few for Winograd
        (1, 32, RowColumns),
        (3, 11, RowColumns),
    ],
)
def test_few_numbers_in_a_row_of_a_neighbourhood_are_gathered_by_tap(
    kernel_width: int, channels: int, way: type[Any]
) -> None:
    geometry = Geometry.of((1, 40, 40, channels), (2, kernel_width, channels, 2), 1, 0)
    assert type(columns_of(geometry, np.dtype("float32"))) is way
