"""The largest value of each window of an image, and the way back to where it stood, some samples at a time.

Windows do not overlap. They shrink along the rows first and down the columns then, so that of equal values the
first one, row by row, is the window's. What is kept for the way back are bits, not values: for each candidate but
the first, whether it exceeds all before it.

Not here: the operation and windows that overlap (`pooling`).

Example:
    >>> maxima = WindowMaxima((1, 2, 2, 1), 2, np.dtype("float64"))
    >>> y = np.empty((1, 1, 1, 1))
    >>> maxima.take(slice(0, 1), np.array([1.0, 4.0, 4.0, 2.0]).reshape(1, 2, 2, 1), y)
    >>> y.item()
    4.0
    >>> maxima.spread(slice(0, 1), np.ones((1, 1, 1, 1)), np.empty((1, 2, 2, 1))).ravel()
    array([0., 1., 0., 0.])
"""

from typing import Any

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.tape import Array

__all__ = ["WindowMaxima"]


class WindowMaxima:
    """The windows of N images.

    Args:
        shape: (N, H, W, C), of the images; H and W are multiples of the side.
        side: k, of a window, at least 2.
        dtype: of the images.
    """

    def __init__(self, shape: tuple[int, int, int, int], side: int, dtype: np.dtype[Any]) -> None:
        num_samples, height, width, channels = shape
        self._side = side
        self._dtype = dtype
        bits = np.dtype(np.bool_)
        self._along = workspace.empty((side - 1, num_samples, height, width // side, channels), bits)
        self._down = workspace.empty((side - 1, num_samples, height // side, width // side, channels), bits)

    def take(self, part: slice, x: Array, y: Array) -> None:
        """(n, H, W, C), (n, H / k, W / k, C): writes the largest of each window of some samples to y."""
        narrow = workspace.empty(self._along[0, part].shape, self._dtype)
        _take([x[:, :, start :: self._side] for start in range(self._side)], self._along[:, part], narrow)
        _take([narrow[:, start :: self._side] for start in range(self._side)], self._down[:, part], y)

    def spread(self, part: slice, g: Array, dx: Array) -> Array:
        """(n, H / k, W / k, C), (n, H, W, C): writes each window's gradient to where its largest stood; returns dx."""
        narrow = workspace.empty(self._along[0, part].shape, self._dtype)
        _spread(g, self._down[:, part], [narrow[:, start :: self._side] for start in range(self._side)])
        _spread(narrow, self._along[:, part], [dx[:, :, start :: self._side] for start in range(self._side)])
        return dx


def _take(candidates: list[Array], exceeds: Array, y: Array) -> None:
    """Candidates, bits (k - 1, ...): writes the largest to y, and whether each but the first exceeds all before it."""
    largest = candidates[0]
    for candidate, bits in zip(candidates[1:], exceeds, strict=True):
        np.greater(candidate, largest, out=bits)
        largest = np.maximum(largest, candidate, out=y)


def _spread(g: Array, exceeds: Array, gradients: list[Array]) -> None:
    """(...), (k - 1, ...): writes g to the last of k gradients whose candidate exceeds all before it, 0 to others."""
    rest = g
    for gradient, bits in zip(gradients[:0:-1], exceeds[::-1], strict=True):
        np.multiply(rest, bits, out=gradient)
        rest = np.subtract(rest, gradient, out=gradients[0])
