"""Operations that leave axes out: sums, means and largest elements.

Example:
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> mean(x, axis=0)
    Tensor([2., 3.], float64, requires_grad=True)
"""

import math

import numpy as np

from fedgdl.autograd.operands import as_tensor, normalized_axes, normalized_axis
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.autograd.workspace import empty
from fedgdl.errors import GraphError

__all__ = ["max", "mean", "sum"]


def sum(  # noqa: A001 (the name NumPy users look for)
    x: Tensor | Array, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False
) -> Tensor:
    """(...) -> (... without the axes): the sum over an axis, some axes, or all elements."""
    x = as_tensor("sum", x)
    axes = normalized_axes("sum", x, axis)

    def vjp(g: Array) -> None:
        x.receive(_spread(g, axes, x.data.shape))

    return record(_reduced(np.add, x.data, axes, keepdims), (x,), vjp)


def mean(x: Tensor | Array, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Tensor:
    """(...) -> (... without the axes): the mean over an axis, some axes, or all elements."""
    x = as_tensor("mean", x)
    axes = normalized_axes("mean", x, axis)
    count = math.prod([x.data.shape[axis] for axis in axes])
    if count == 0:
        message = f"mean: there are no elements along axes {axes} of shape {x.shape}"
        raise GraphError(message)

    def vjp(g: Array) -> None:
        x.receive(_spread(g / count, axes, x.data.shape))

    return record(_reduced(np.add, x.data, axes, keepdims) / count, (x,), vjp)


def max(x: Tensor | Array, axis: int | None = None, *, keepdims: bool = False) -> Tensor:  # noqa: A001
    """(...) -> (... without the axis): the largest along an axis or of all; the first of equals has the gradient."""
    x = as_tensor("max", x)
    shape = x.data.shape
    number = None if axis is None else normalized_axis("max", axis, shape)
    count = x.data.size if number is None else shape[number]
    if count == 0:
        message = f"max: there are no elements {'' if number is None else f'along axis {number} '}of shape {shape}"
        raise GraphError(message)

    def vjp(g: Array) -> None:
        slope = np.zeros(shape, g.dtype)
        # As (outer, count, inner): element i of g, at (i // inner, i % inner), comes from one of the `count`.
        inner = 1 if number is None else math.prod(shape[number + 1 :])
        places = np.arange(g.size)
        places += (places // inner * (count - 1) + x.data.argmax(number).reshape(-1)) * inner
        slope.reshape(-1)[places] = g.reshape(-1)
        x.receive(slope)

    return record(_reduced(np.maximum, x.data, number, keepdims), (x,), vjp)


def _reduced(function: np.ufunc, x: Array, axis: int | tuple[int, ...] | None, keepdims: bool) -> Array:  # noqa: FBT001
    """Returns x without the axes, or with axes of length 1 in their place."""
    reduced: Array = function.reduce(x, axis, keepdims=True) if keepdims else function.reduce(x, axis)
    return reduced


def _spread(g: Array, axes: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Returns a gradient repeated along the axes of this shape that were left out."""
    if g.ndim:
        g = g.reshape([1 if axis in axes else side for axis, side in enumerate(shape)])
    whole = empty(shape, g.dtype)  # no view: sums of views run in another order
    whole[...] = g
    return whole
