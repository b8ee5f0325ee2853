"""The sizes of a convolution.

Not here: how its products are taken (`columns`, `winograd`).

Example:
    >>> Geometry.of((10, 28, 28, 1), (5, 5, 1, 32), padding=2).result
    (10, 28, 28, 32)
"""

from dataclasses import dataclass

from fedgdl.autograd.tape import Array

__all__ = ["Geometry"]


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
        padding: zeros on each side of the image.
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
    padding: int
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
            padding,
            rows,
            columns,
        )

    @property
    def result(self) -> tuple[int, int, int, int]:
        """(N, Ho, Wo, O), the result's shape."""
        return self.num_samples, self.rows, self.columns, self.filters

    def inside(self, padded: Array) -> Array:
        """(..., H + 2 padding or more, W + 2 padding, C) -> (..., H, W, C): the image within the zeros."""
        start = self.padding
        return padded[..., start : start + self.height, start : start + self.width, :]
