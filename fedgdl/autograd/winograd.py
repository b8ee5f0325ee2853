"""Convolution with fewer multiplications: several rows of the result out of one set of products.

A direct convolution takes `kh` products of rows for each row of the result. Winograd's minimal filtering takes
`m + kh - 1` products for `m` rows: for a 5x5 kernel and 4 rows, 8 instead of 20. Row vectors are polynomials to it,
multiplied at m + kh - 1 points (0, 1, -1, 2, -2, ... and infinity): with d the rows of the image that
`m` rows of the result see, and g the kernel's rows,

    y = A^T ((G g) * (B^T d))

where * multiplies row by row. Here each "*" is a whole matrix product, over the neighbourhoods along a row and
the channels, and each transform is a product with a matrix of some 8 x 8 numbers, which costs next to nothing.
The way back is the same formula transposed; kernels' gradients add up in the transformed form.

Its price is accuracy: in float32 the error is 2 to 4 times that of direct sums, with at most 8 points. From
ten points on it would be 20 times, so that is not offered.

Source: Winograd, "Arithmetic Complexity of Computations", SIAM 1980; Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016, here in one dimension; the matrices are Toom's and Cook's.

Not here: when which way is taken (`convolution`), and the direct ways (`columns`).

Example:
    >>> geometry = Geometry.of((1, 4, 3, 1), (3, 3, 1, 1))
    >>> y = np.empty(geometry.result)
    >>> columns = WinogradColumns(geometry, y.dtype)
    >>> for _ in columns.forward(np.ones((1, 4, 3, 1)), np.ones((3, 3, 1, 1)), None, y.__getitem__):
    ...     pass
    >>> y.round(12).ravel()
    array([9., 9.])
"""

import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.blas import SMALL_PRODUCT, accumulate_product, column_sums
from fedgdl.autograd.geometry import Geometry
from fedgdl.autograd.tape import Array

__all__ = ["Transforms", "WinogradColumns", "rows_at_once", "transforms_of"]

_MOST_POINTS: Final = 8
"""With more, float32 loses more than a decimal digit."""
_MOST_ROWS: Final = 4
"""Of the result in one tile: each more costs accuracy, and saves little."""
_BLOCK_BYTES: Final = 1 << 21
"""How large the neighbourhoods of some samples may be, 2 MiB; of small images, fewer calls outweigh a nearer cache."""
_POINTS: Final = [Fraction(point) for point in ("0", "1", "-1", "2", "-2", "1/2", "-1/2")]
"""The finite points, best conditioned first."""


class Transforms(NamedTuple):
    """The matrices for m rows of the result, kernels of kh rows and P = m + kh - 1 points.

    Attributes:
        result: A^T, (m, P).
        kernel: G, (P, kh).
        image: B^T, (P, P).
    """

    result: Array
    kernel: Array
    image: Array


def rows_at_once(rows: int, kernel_height: int) -> int:
    """Returns how many rows of the result one tile has, for the fewest products; 1 where no tile saves any.

    Args:
        rows: of the result.
        kernel_height: of the kernels.
    """
    choices = range(1, max(1, min(_MOST_ROWS, _MOST_POINTS - kernel_height + 1)) + 1)
    return min(choices, key=lambda m: -(-rows // m) * (m + kernel_height - 1))


@functools.cache
def transforms_of(rows: int, kernel_height: int, dtype: np.dtype[Any]) -> Transforms:
    """Returns the matrices for tiles of some rows, made in exact fractions and rounded once.

    Args:
        rows: m, of the result in a tile.
        kernel_height: kh; m + kh - 1 is at most 8.
        dtype: of the matrices.
    """
    points = _POINTS[: rows + kernel_height - 2]
    others = [[other for other in points if other != point] for point in points]
    result = [[point**power for point in points] + [Fraction(power == rows - 1)] for power in range(rows)]
    kernel = [
        [point**power / _product(point - other for other in rest) for power in range(kernel_height)]
        for point, rest in zip(points, others, strict=True)
    ]
    kernel.append([Fraction(power == kernel_height - 1) for power in range(kernel_height)])
    image = [[*_polynomial(rest), Fraction(0)] for rest in others] + [_polynomial(points)]
    return Transforms(*(np.array(matrix, np.float64).astype(dtype) for matrix in (result, kernel, image)))


def _product(factors: Iterator[Fraction]) -> Fraction:
    return functools.reduce(lambda a, b: a * b, factors, Fraction(1))


def _polynomial(roots: list[Fraction]) -> list[Fraction]:
    """Returns the coefficients of the product of all (x - root), constant first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted, kept = [Fraction(0), *coefficients], [*coefficients, Fraction(0)]
        coefficients = [a - root * b for a, b in zip(shifted, kept, strict=True)]
    return coefficients


class WinogradColumns:
    """Convolution by tiles of rows, forward and back.

    The gradient by the images is a convolution, too: of the result's gradient, with zeros around it, by the kernels
    turned round.

    Args:
        geometry: of stride 1, at most 7 rows in a kernel, and less padding than a kernel's sides.
        dtype: of all operands.
    """

    def __init__(self, geometry: Geometry, dtype: np.dtype[Any]) -> None:
        self._geometry = geometry
        self._dtype = dtype
        self._back = geometry.turned()
        pixels = max(sizes.rows * sizes.columns for sizes in (geometry, self._back)) // _MOST_ROWS
        run = geometry.kernel_width * max(geometry.channels, geometry.filters)
        small = SMALL_PRODUCT // max(1, pixels * geometry.kernel_width * geometry.channels * geometry.filters)
        near = _BLOCK_BYTES // max(1, pixels * run * _MOST_POINTS * dtype.itemsize)
        self._block = max(1, min(small, near, geometry.num_samples))
        self._images = _TransformedRows(geometry, dtype, self._block)

    def forward(
        self, x: Array, w: Array, bias: Array | None, room: Callable[[slice], Array]
    ) -> Iterator[tuple[slice, Array]]:
        """As `Columns.forward`."""
        kernels = self._images.transformed(w)
        row_of_bias = self._geometry.row_of(bias)
        for part in self._parts():
            y = self._images.convolve(x[part], kernels, room(part))
            if row_of_bias is not None:
                y += row_of_bias
            yield part, y

    def backward(
        self,
        x: Array,
        w: Array,
        gradient: Callable[[slice], Array],
        dw: Array,
        dbias: Array | None,
        dx: Array | None,
    ) -> None:
        """As `Columns.backward`."""
        images, filters = self._images, w.shape[-1]
        sums = np.zeros((images.points, w[0].size // filters, filters), w.dtype)
        gradients, turned = None, sums
        if dx is not None:
            gradients = _TransformedRows(self._back, self._dtype, self._block)
            turned = gradients.transformed(np.ascontiguousarray(w[::-1, ::-1].swapaxes(-1, -2)))
        for part in self._parts():
            g = np.ascontiguousarray(gradient(part))
            if dbias is not None:
                dbias += column_sums(g.reshape(-1, filters))
            products = images.spread(g)
            for total, rows, product in zip(sums, images.load(x[part]), products, strict=True):
                accumulate_product(rows.T, product, total)
            if dx is not None and gradients is not None:
                gradients.convolve(g, turned, dx[part])
        dw += (images.transforms.kernel.T @ sums.reshape(images.points, -1)).reshape(w.shape)

    def _parts(self) -> Iterator[slice]:
        for start in range(0, self._geometry.num_samples, self._block):
            yield slice(start, min(start + self._block, self._geometry.num_samples))


class _TransformedRows:
    """One convolution of some images: P points, n samples, T tiles of m rows each.

    Args:
        geometry: the convolution's.
        dtype: of all operands.
        most: n is at most this.
    """

    def __init__(self, geometry: Geometry, dtype: np.dtype[Any], most: int) -> None:
        self._geometry = sizes = geometry
        self._tile = rows_at_once(sizes.rows, sizes.kernel_height)
        self._tiles = -(-sizes.rows // self._tile)
        self.points = self._tile + sizes.kernel_height - 1
        self.transforms = transforms_of(self._tile, sizes.kernel_height, dtype)
        top, left = sizes.padding
        height = max(self._tiles * self._tile + sizes.kernel_height - 1, top + sizes.height)
        width = max(sizes.columns + sizes.kernel_width - 1, left + sizes.width)
        self._padded = workspace.empty((most, height, width, sizes.channels), dtype)
        self._padded.fill(0)  # but for the images, it stays so

    def transformed(self, w: Array) -> Array:
        """(kh, kw, C, O) -> (P, kw C, O): the kernels at each point."""
        return (self.transforms.kernel @ w.reshape(len(w), -1)).reshape(self.points, -1, w.shape[-1])

    def load(self, x: Array) -> Array:
        """(n, H, W, C) -> (P, n T Wo, kw C): neighbourhoods along a row, at each point."""
        sizes, padded = self._geometry, self._padded
        sizes.inside(padded[: len(x)])[...] = x
        width = padded.shape[2]
        sample, row, column, channel = padded.strides
        shape = (len(x), self._tiles, self.points, width * sizes.channels)
        tiles = np.ndarray(shape, padded.dtype, padded, 0, (sample, self._tile * row, row, channel))
        image = self._empty(len(x), width * sizes.channels)
        np.matmul(self.transforms.image, tiles, out=image.transpose(1, 2, 0, 3))
        rows = self._empty(len(x), sizes.columns, sizes.kernel_width * sizes.channels)
        np.copyto(rows, np.ndarray(rows.shape, rows.dtype, image, 0, (*image.strides[:3], column, channel)))
        return rows.reshape(self.points, -1, rows.shape[-1])

    def convolve(self, x: Array, kernels: Array, y: Array) -> Array:
        """(n, H, W, C), (P, kw C, O), (n, Ho, Wo, O): writes the convolution to y, and returns it."""
        products = self._empty(len(x), self._geometry.columns * kernels.shape[-1])
        np.matmul(self.load(x), kernels, out=products.reshape(self.points, -1, kernels.shape[-1]))
        for tiles, pixels, height in self._bands(products, y):
            np.matmul(self.transforms.result[:height], tiles, out=pixels)
        return y

    def spread(self, g: Array) -> Array:
        """(n, Ho, Wo, O) -> (P, n T Wo, O): the gradient by the products."""
        products = self._empty(len(g), self._geometry.columns * g.shape[-1])
        for tiles, pixels, height in self._bands(products, g):
            np.matmul(self.transforms.result[:height].T, pixels, out=tiles)
        return products.reshape(self.points, -1, g.shape[-1])

    def _empty(self, num_samples: int, *shape: int) -> Array:
        """Returns (P, n, T, ...) of arbitrary content."""
        return workspace.empty((self.points, num_samples, self._tiles, *shape), self._padded.dtype)

    def _bands(self, products: Array, pixels: Array) -> Iterator[tuple[Array, Array, int]]:
        """(P, n, T, Wo O), (n, Ho, Wo, O) -> views of both by tile, (n, t, P, Wo O) and (n, t, m', Wo O), and m'.

        All full tiles come together, of m' = m rows; then the last one, if it has fewer.
        """
        tiles = products.transpose(1, 2, 0, 3)
        full, rest = divmod(self._geometry.rows, self._tile)
        run = tiles.shape[-1]
        rows = pixels.reshape(len(pixels), -1, run)
        if full:
            whole = rows[:, : full * self._tile].reshape(len(rows), full, self._tile, run)
            yield tiles[:, :full], whole, self._tile
        if rest:
            yield tiles[:, full:], rows[:, np.newaxis, full * self._tile :], rest
