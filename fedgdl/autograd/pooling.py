"""Pooling of images: the largest value of each window.

Example:
    >>> x = Tensor(np.array([[1.0, 4.0], [4.0, 2.0]]).reshape(1, 2, 2, 1), requires_grad=True)
    >>> max_pool2d(x, 2).sum().backward()
    >>> x.grad[0, :, :, 0]
    array([[0., 1.],
           [0., 0.]])
"""

import itertools
import math

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.operands import as_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["max_pool2d"]


def max_pool2d(x: Tensor | Array, kernel_size: int, stride: int | None = None) -> Tensor:
    """(..., H, W, C) -> (..., Ho, Wo, C): the largest of each window of kernel_size x kernel_size pixels.

    Ho = (H - kernel_size) // stride + 1, and Wo alike; rows and columns that fill no window are left out.
    Among equal ones (common: a blank part of an image) the first, row by row, gets the gradient.

    Args:
        x: the images.
        kernel_size: side of a window.
        stride: by how many pixels the window moves; `kernel_size` when left out.

    Raises:
        GraphError: there are fewer than three axes, a window is larger than the image, or a size is not positive.
    """
    step = kernel_size if stride is None else stride
    whole = as_tensor("max_pool2d", x)
    sides, channels = whole.shape[-3:-1], whole.shape[-1:]
    if whole.ndim < 3 or kernel_size < 1 or step < 1 or min(sides) < kernel_size:
        message = f"max_pool2d: no windows of side {kernel_size} at stride {stride} in x of shape {whole.shape}"
        raise GraphError(message)
    images = whole.data.reshape(math.prod(whole.shape[:-3]), *sides, *channels)
    rows, columns = ((side - kernel_size) // step + 1 for side in sides)
    places = [
        np.s_[:, row : row + step * (rows - 1) + 1 : step, column : column + step * (columns - 1) + 1 : step]
        for row, column in itertools.product(range(kernel_size), repeat=2)
    ]
    y = workspace.empty((len(images), rows, columns, *channels), whole.dtype)
    np.copyto(y, images[places[0]])
    for place in places[1:]:
        np.maximum(y, images[place], out=y)

    def vjp(g: Array) -> None:
        gradient = g.reshape(y.shape)
        dx = workspace.empty(images.shape, images.dtype)
        overlap = step < kernel_size
        if overlap or (rows * step, columns * step) != images.shape[1:3] or step > kernel_size:
            dx.fill(0)
        first, taken = (workspace.empty(y.shape, np.dtype(np.bool_)) for _ in range(2))
        taken.fill(0)
        for place in places:
            np.equal(images[place], y, out=first)
            np.greater(first, taken, out=first)  # one of the largest, and none before it was
            np.logical_or(taken, first, out=taken)
            if overlap:
                dx[place] += gradient * first
            else:
                np.multiply(gradient, first.view(np.int8), out=dx[place])
        whole.receive(dx.reshape(whole.shape))

    return record(y.reshape(*whole.shape[:-3], *y.shape[1:]), (whole,), vjp)
