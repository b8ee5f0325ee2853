"""Operations that move elements about: other shapes, joined tensors, parts of a tensor.

Results are views of their input where NumPy's are: whoever changes the input's data, changes them.

Example:
    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> concat([x[0], x[:, 1]]).sum().backward()
    >>> x.grad
    array([[1., 2.],
           [0., 1.]])
"""

import math
from collections.abc import Sequence
from types import EllipsisType
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd.operands import as_tensor, normalized_axis, require_one_dtype
from fedgdl.autograd.tensor import Array, Index, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["concat", "gather", "getitem", "reshape", "stack", "swapaxes", "transpose"]

_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)
_BASIC: Final = (int, slice, EllipsisType, type(None), np.integer)
"""The types of index parts that name no element twice."""


def reshape(x: Tensor | Array, shape: tuple[int, ...]) -> Tensor:
    """(...) -> shape: the same elements in the same order; one side of the shape may be -1."""
    x = as_tensor("reshape", x)
    try:
        y = x.data.reshape(shape)
    except (TypeError, ValueError) as error:
        message = f"reshape: {x.shape} holds {x.size} elements, which shape {shape} does not"
        raise GraphError(message) from error

    def vjp(g: Array) -> None:
        x.receive(g.reshape(x.data.shape))

    return record(y, (x,), vjp)


def transpose(x: Tensor | Array, axes: tuple[int, ...] | None = None) -> Tensor:
    """(...) -> (... in another order): the axes in the order named, or reversed."""
    x = as_tensor("transpose", x)
    try:
        y = x.data.transpose(axes)
    except (TypeError, ValueError) as error:
        message = f"transpose: a tensor of shape {x.shape} needs each of its axes once, got {axes}"
        raise GraphError(message) from error

    def vjp(g: Array) -> None:
        x.receive(g.transpose(None if axes is None else np.argsort([axis % x.data.ndim for axis in axes])))

    return record(y, (x,), vjp)


def swapaxes(x: Tensor | Array, axis: int, other: int) -> Tensor:
    """(..., m, ..., n, ...) -> (..., n, ..., m, ...): two axes in each other's place."""
    x = as_tensor("swapaxes", x)
    i, j = normalized_axis("swapaxes", axis, x.data.shape), normalized_axis("swapaxes", other, x.data.shape)

    def vjp(g: Array) -> None:
        x.receive(g.swapaxes(i, j))

    return record(x.data.swapaxes(i, j), (x,), vjp)


def concat(tensors: Sequence[Tensor | Array], axis: int = 0) -> Tensor:
    """(..., m, ...), (..., n, ...), ... -> (..., m + n + ..., ...): joined end to end along an axis."""
    inputs = _several("concat", tensors)
    shapes = [x.data.shape for x in inputs]
    axis = normalized_axis("concat", axis, shapes[0])
    if len({(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}) != 1:
        message = f"concat: shapes may differ along axis {axis} alone, got {', '.join(map(str, shapes))}"
        raise GraphError(message)

    def vjp(g: Array) -> None:
        start, before = 0, (slice(None),) * axis
        for x in inputs:
            stop = start + x.data.shape[axis]
            if x.requires_grad:
                x.receive(g[(*before, slice(start, stop))])
            start = stop

    return record(np.concatenate([x.data for x in inputs], axis), inputs, vjp)


def stack(tensors: Sequence[Tensor | Array], axis: int = 0) -> Tensor:
    """K times (...) -> (K, ...): joined along a new axis, which may also stand elsewhere."""
    inputs = _several("stack", tensors)
    shapes = {x.data.shape for x in inputs}
    if len(shapes) != 1:
        message = f"stack: shapes must be equal, got {', '.join(str(x.shape) for x in inputs)}"
        raise GraphError(message)
    axis = normalized_axis("stack", axis, (len(inputs), *inputs[0].data.shape))
    before = (slice(None),) * axis

    def vjp(g: Array) -> None:
        for number, x in enumerate(inputs):
            if x.requires_grad:
                part: tuple[int | slice, ...] = (*before, number)
                x.receive(g[part])

    return record(np.concatenate([x.data[(*before, None)] for x in inputs], axis), inputs, vjp)


def getitem(x: Tensor | Array, index: Index) -> Tensor:
    """(...) -> what NumPy gives: x[index], of any kind of index; elements that are named twice get both gradients.

    The rows of a parameter of two axes or more that an array of integers names get a sparse gradient. Arrays in
    the index are referred to until the gradient is used, and are not to be changed before.

    Raises:
        GraphError: there is no such part.
    """
    x = as_tensor("getitem", x)
    if isinstance(index, list):
        index = np.asarray(index)
    try:
        y = x.data[index]
    except (IndexError, TypeError, ValueError) as error:
        message = f"getitem: a tensor of shape {x.shape} has no part [{index!r}]: {error}"
        raise GraphError(message) from error

    def vjp(g: Array) -> None:
        if isinstance(index, np.ndarray) and index.dtype.kind in "iu" and x.data.ndim > 1:
            ids = index.reshape(-1).astype(_INT64, copy=False)
            if ids.size and np.minimum.reduce(ids) < 0:  # counted from the end
                ids = np.where(ids < 0, ids + len(x.data), ids)
            x.receive_rows(ids, g.reshape(ids.size, *x.data.shape[1:]))
            return
        slope = np.zeros(x.data.shape, g.dtype)
        if _names_once(index):
            slope[index] = g
        else:
            np.add.at(slope, index, g)  # type: ignore[arg-type] # it takes all that brackets take
        x.receive(slope)

    return record(y, (x,), vjp)


def _names_once(index: Index) -> bool:
    """Returns whether an index is known to name no element twice: it has no arrays or lists of integers."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(part, _BASIC) or np.asarray(part).dtype.char == "?" for part in parts)


def gather(x: Tensor | Array, axis: int, index: npt.NDArray[np.int64]) -> Tensor:
    """(..., n, ...), (..., m, ...) -> (..., m, ...): one element of x along the axis for each place of the index.

    `y[i, j] = x[index[i, j], j]` for axis 0, `y[i, j] = x[i, index[i, j]]` for axis 1, and so on, as in
    `torch.gather`. Elements that are named twice get both gradients.

    Args:
        x: where the elements are taken from.
        axis: the axis along which the index chooses.
        index: int64, 0 to n - 1, of as many axes as x; along all axes but this one no longer than x.

    Raises:
        GraphError: an index is not as said above.
    """
    x = as_tensor("gather", x)
    shape, places = x.data.shape, np.asarray(index)
    axis = normalized_axis("gather", axis, shape)
    longer = [number for number, side in enumerate(places.shape[: len(shape)]) if side > shape[number]]
    if places.dtype != _INT64 or places.ndim != len(shape) or (longer and longer != [axis]):
        message = (
            f"gather: an index for shape {shape} along axis {axis} is int64, of {len(shape)} axes and elsewhere "
            f"no longer, got {places.dtype} of shape {places.shape}"
        )
        raise GraphError(message)
    # Seen as unsigned, a negative index is a huge one: a single pass finds both.
    if places.size and int(np.maximum.reduce(places.view(_UINT64), axis=None)) >= shape[axis]:
        message = f"gather: indices along axis {axis} of shape {shape} run from 0 to {shape[axis] - 1}"
        message += f", got {places.min()} to {places.max()}"
        raise GraphError(message)
    positions = places * math.prod(shape[axis + 1 :])  # among all elements of x, counted row by row
    for number, side in enumerate(places.shape):
        if number != axis:
            own = np.arange(side).reshape(side, *(1,) * (len(shape) - number - 1))
            positions += own * math.prod(shape[number + 1 :])

    def vjp(g: Array) -> None:
        slope = np.zeros(shape, g.dtype)
        np.add.at(slope.reshape(-1), positions.reshape(-1), g.reshape(-1))  # fast along one axis alone
        x.receive(slope)

    return record(x.data.reshape(-1).take(positions), (x,), vjp)


def _several(operation: str, tensors: object) -> tuple[Tensor, ...]:
    """Returns the operands of an operation that joins them as tensors of one dtype."""
    if not isinstance(tensors, Sequence) or not tensors:
        message = f"{operation}: takes a list or tuple of at least one tensor, got {type(tensors).__name__}"
        raise GraphError(message)
    inputs = tuple([as_tensor(operation, x) for x in tensors])
    for x in inputs[1:]:
        require_one_dtype(operation, inputs[0], x)
    return inputs
