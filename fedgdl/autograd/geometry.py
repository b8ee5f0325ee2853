"""The sizes of a convolution, and what each way to take its products does.

Not here: how its products are taken (`columns`, `winograd`).

Example:
    >>> Geometry.of((10, 28, 28, 1), (5, 5, 1, 32), padding=2).result
    (10, 28, 28, 32)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fedgdl.autograd.tape import Array

__all__ = ["Columns", "Geometry"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of a convolution.

    Attributes:
        num_samples: N, how many images.
        height: H, of an image.
        width: W, of an image.
        channels: C, of an image.
        kernel_height: kh.
        kernel_width: kw.
        filters: O, channels of the result.
        stride: by how many pixels the window moves.
        padding: rows of zeros above the image and below, and columns of zeros to its left and its right.
        rows: Ho, of the result.
        columns: Wo, of the result.
    """

    num_samples: int
    height: int
    width: int
    channels: int
    kernel_height: int
    kernel_width: int
    filters: int
    stride: int
    padding: tuple[int, int]
    rows: int
    columns: int

    @classmethod
    def of(
        cls, images: tuple[int, ...], kernels: tuple[int, ...], stride: int = 1, padding: int = 0, multiple: int = 1
    ) -> "Geometry":
        """Returns the sizes for images (N, H, W, C) and kernels (kh, kw, C, O).

        Args:
            images: their shape.
            kernels: their shape.
            stride: by how many pixels the window moves.
            padding: zeros on each side of the image.
            multiple: rows and columns of the result beyond a multiple of this are left out.
        """
        num_samples, height, width, channels = images
        kernel_height, kernel_width, _, filters = kernels
        rows, columns = (
            ((side + 2 * padding - kernel) // stride + 1) // multiple * multiple
            for side, kernel in ((height, kernel_height), (width, kernel_width))
        )
        return cls(
            num_samples,
            height,
            width,
            channels,
            kernel_height,
            kernel_width,
            filters,
            stride,
            (padding, padding),
            rows,
            columns,
        )

    @property
    def result(self) -> tuple[int, int, int, int]:
        """(N, Ho, Wo, O), the result's shape."""
        return self.num_samples, self.rows, self.columns, self.filters

    def turned(self) -> "Geometry":
        """Returns the sizes of the convolution that leads back, for stride 1 and less padding than a kernel's sides.

        It is of the result's gradient, by the kernels turned round, with filters and channels exchanged, and gives the
        gradient by the images.
        """
        top, left = self.padding
        return Geometry(
            self.num_samples,
            self.rows,
            self.columns,
            self.filters,
            self.kernel_height,
            self.kernel_width,
            self.channels,
            self.stride,
            (self.kernel_height - 1 - top, self.kernel_width - 1 - left),
            self.height,
            self.width,
        )

    def row_of(self, bias: Array | None) -> Array | None:
        """(O,) -> (Wo, O): a row of the result of nothing but the bias, as adding runs of O numbers would be slow."""
        if bias is None:
            return None
        row = np.empty((self.columns, self.filters), bias.dtype)
        row[...] = bias
        return row

    def inside(self, padded: Array) -> Array:
        """(..., H + padding or more, W + padding or more, C) -> (..., H, W, C): the image within the zeros."""
        top, left = self.padding
        return padded[..., top : top + self.height, left : left + self.width, :]


class Columns(Protocol):
    """A way to take the products of a convolution, some samples at a time, in memory of its own.

    It serves one operation at a time.
    """

    def forward(
        self, x: Array, w: Array, bias: Array | None, room: Callable[[slice], Array]
    ) -> Iterator[tuple[slice, Array]]:
        """(N, H, W, C), (kh, kw, C, O), (O,): writes the convolution of parts of the samples, and yields each.

        Args:
            x: the images.
            w: the kernels.
            bias: added to the convolution, if any.
            room: returns where that of some samples goes, (n, Ho, Wo, O), contiguous.
        """
        ...

    def backward(
        self,
        x: Array,
        w: Array,
        gradient: Callable[[slice], Array],
        dw: Array,
        dbias: Array | None,
        dx: Array | None,
    ) -> None:
        """(N, H, W, C), (kh, kw, C, O): adds to dw (of w's shape) and dbias (O,), writes dx (of x's shape).

        Args:
            x: the images.
            w: the kernels.
            gradient: returns the gradient by the convolution of some samples, (n, Ho, Wo, O).
            dw: the gradient by the kernels.
            dbias: that by the bias, if wanted.
            dx: where the gradient by the images goes, if wanted; contiguous.
        """
        ...
