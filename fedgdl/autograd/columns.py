"""How a convolution becomes matrix products: neighbourhoods of pixels, written out as columns.

- `TapColumns`, for few channels: whole neighbourhoods of each sample, tap by tap, (kh, kw, C, Ho, Wo), and one product.
- `RowColumns`, else: the neighbourhood along a row only, (rows, Wo, kw, C), 1/kh of the memory. A
  kernel row's product is with one slice of these rows, and BLAS adds it to the others'. On the way back BLAS adds up
  into the same slices, so that NumPy adds kw arrays and not kh kw.

Both write to their own memory, so they serve one operation at a time.

Not here: activations and checks (`convolution`), fewer products (`winograd`).

Example:
    >>> geometry = Geometry.of((1, 3, 3, 1), (2, 2, 1, 1))
    >>> y = np.empty(geometry.result)
    >>> columns = TapColumns(geometry, y.dtype)
    >>> for _ in columns.forward(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), None, y.__getitem__):
    ...     pass
    >>> y.ravel()
    array([4., 4., 4., 4.])
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.blas import accumulate_product, column_sums
from fedgdl.autograd.geometry import Geometry
from fedgdl.autograd.tape import Array

__all__ = ["RowColumns", "TapColumns"]

_BLOCK_BYTES: Final = 5 << 16
"""How large the columns of some samples may be, 320 KiB: with results and gradients they share a cache of 1 MiB."""


class TapColumns:
    """Whole neighbourhoods of some samples at a time, and a last row of ones, whose weights are the bias."""

    def __init__(self, geometry: Geometry, dtype: np.dtype[Any]) -> None:
        self._geometry = geometry
        self._pixels = geometry.rows * geometry.columns
        self._taps = geometry.kernel_height * geometry.kernel_width * geometry.channels
        block = _BLOCK_BYTES // (self._taps * self._pixels * dtype.itemsize)
        self._block = max(1, min(block, geometry.num_samples))
        height, width = geometry.height + 2 * geometry.padding[0], geometry.width + 2 * geometry.padding[1]
        self._padded = workspace.empty((self._block, height, width, geometry.channels), dtype)
        self._columns = workspace.empty((self._block, self._taps + 1, self._pixels), dtype)
        self._columns[:, -1] = 1

    def forward(
        self, x: Array, w: Array, bias: Array | None, room: Callable[[slice], Array]
    ) -> Iterator[tuple[slice, Array]]:
        """As `Columns.forward`."""
        self._padded.fill(0)
        weight = w.reshape(self._taps, -1)
        if bias is not None:
            weight = np.concatenate([weight, bias[np.newaxis]])
        for part in self._parts():
            columns, y = self._load(x[part])[:, : len(weight)], room(part)
            np.matmul(columns.swapaxes(1, 2), weight, out=y.reshape(len(y), self._pixels, -1))
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
        self._padded.fill(0)
        weight = w.reshape(self._taps, -1)
        sums = np.zeros((self._taps + (dbias is not None), weight.shape[1]), w.dtype)
        for part in self._parts():
            g = np.ascontiguousarray(gradient(part))
            g = g.reshape(len(g), self._pixels, -1)
            columns = self._load(x[part])
            sums += np.add.reduce(np.matmul(columns[:, : len(sums)], g), 0)
            if dx is not None:
                columns = columns[:, : self._taps]
                np.matmul(weight, g.swapaxes(1, 2), out=columns)
                dx[part] = self._fold(columns)
        dw += sums[: self._taps].reshape(dw.shape)
        if dbias is not None:
            dbias += sums[-1]

    def _parts(self) -> Iterator[slice]:
        for start in range(0, self._geometry.num_samples, self._block):
            yield slice(start, min(start + self._block, self._geometry.num_samples))

    def _load(self, x: Array) -> Array:
        """(n, H, W, C) -> (n, kh kw C + 1, Ho Wo): the columns of some samples."""
        padded = x
        if self._geometry.padding != (0, 0) or not x.flags.c_contiguous:
            padded = self._padded[: len(x)]
            self._geometry.inside(padded)[...] = x
        windows, columns = self._windows(padded), self._columns[: len(x)]
        np.copyto(self._by_tap(columns), windows)
        return columns

    def _fold(self, columns: Array) -> Array:
        """(n, kh kw C, Ho Wo) -> (n, H, W, C): the sums over the columns in which each pixel is."""
        padded = self._padded[: len(columns)]
        padded.fill(0)
        windows, taps = self._windows(padded), self._by_tap(columns)
        for row in range(windows.shape[1]):
            for column in range(windows.shape[2]):
                windows[:, row, column] += taps[:, row, column]
        return self._geometry.inside(padded)

    def _by_tap(self, columns: Array) -> Array:
        """(n, kh kw C or more, Ho Wo) -> (n, kh, kw, C, Ho, Wo): a view."""
        sizes = self._geometry
        taps = (sizes.kernel_height, sizes.kernel_width, sizes.channels)
        return columns[:, : self._taps].reshape(len(columns), *taps, sizes.rows, sizes.columns)

    def _windows(self, padded: Array) -> Array:
        """Returns padded samples, contiguous, as (n, kh, kw, C, Ho, Wo): where each tap of each window lies."""
        sizes = self._geometry
        sample, row, column, channel = padded.strides
        shape = (len(padded), sizes.kernel_height, sizes.kernel_width, sizes.channels, sizes.rows, sizes.columns)
        strides = (sample, row, column, channel, sizes.stride * row, sizes.stride * column)
        return np.ndarray(shape, padded.dtype, padded, 0, strides)


class RowColumns:
    """Neighbourhoods along a row, of one sample at a time."""

    def __init__(self, geometry: Geometry, dtype: np.dtype[Any]) -> None:
        self._geometry = geometry
        stride, width = geometry.stride, geometry.width + 2 * geometry.padding[1]
        # Rows are kept in `stride` groups: a window that moves by `stride` rows reads successive rows of one group.
        height = -(-(geometry.height + 2 * geometry.padding[0]) // stride) * stride
        self._run = geometry.kernel_width * geometry.channels
        self._padded = workspace.empty((height, width, geometry.channels), dtype)
        self._rows = workspace.empty((stride, height // stride, geometry.columns, self._run), dtype)

    def forward(
        self, x: Array, w: Array, bias: Array | None, room: Callable[[slice], Array]
    ) -> Iterator[tuple[slice, Array]]:
        """As `Columns.forward`."""
        self._padded.fill(0)
        kernels = list(w.reshape(len(w), self._run, -1))
        windows, slices = self._windows(), self._slices()
        row_of_bias = self._geometry.row_of(bias)
        for sample in range(len(x)):
            self._geometry.inside(self._padded)[...] = x[sample]
            np.copyto(self._rows.reshape(windows.shape), windows)
            part = slice(sample, sample + 1)
            y = room(part)
            pixels = y.reshape(-1, w.shape[-1])
            for row, (kernel, neighbours) in enumerate(zip(kernels, slices, strict=True)):
                accumulate_product(neighbours, kernel, pixels, keep=1.0 if row else 0.0)
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
        self._padded.fill(0)
        kernels = list(w.reshape(len(w), self._run, -1))
        sums = list(dw.reshape(len(w), self._run, -1))
        windows, slices = self._windows(), self._slices()
        folded = np.empty_like(self._padded) if dx is not None else None
        for sample in range(len(x)):
            g = np.ascontiguousarray(gradient(slice(sample, sample + 1))).reshape(-1, w.shape[-1])
            self._geometry.inside(self._padded)[...] = x[sample]
            np.copyto(self._rows.reshape(windows.shape), windows)
            if dbias is not None:
                dbias += column_sums(g)
            for total, neighbours in zip(sums, slices, strict=True):
                accumulate_product(neighbours.T, g, total)
            if dx is not None and folded is not None:
                self._rows.fill(0)
                for kernel, neighbours in zip(kernels, slices, strict=True):
                    accumulate_product(g, kernel.T, neighbours)
                self._fold(folded)
                dx[sample] = self._geometry.inside(folded)

    def _fold(self, folded: Array) -> None:
        """Writes to an array like the padded sample the sums over the rows' entries in which each pixel is."""
        folded.fill(0)
        windows = self._windows(folded)
        rows = self._rows.reshape(windows.shape)
        for column in range(self._geometry.kernel_width):
            windows[:, :, :, column] += rows[:, :, :, column]

    def _windows(self, padded: Array | None = None) -> Array:
        """Returns the padded sample, or an array like it, as (stride, rows, Wo, kw, C)."""
        sizes, padded = self._geometry, self._padded if padded is None else padded
        row, column, channel = padded.strides
        stride = sizes.stride
        shape = (stride, len(padded) // stride, sizes.columns, sizes.kernel_width, sizes.channels)
        strides = (row, stride * row, stride * column, column, channel)
        return np.ndarray(shape, padded.dtype, padded, 0, strides)

    def _slices(self) -> list[Array]:
        """Returns for each row of the kernel what it is multiplied with, (Ho Wo, kw C)."""
        sizes = self._geometry
        starts = (divmod(row, sizes.stride) for row in range(sizes.kernel_height))
        return [
            self._rows[group, start : start + sizes.rows].reshape(sizes.rows * sizes.columns, self._run)
            for start, group in starts
        ]
