"""The operations: each computes its result and has its gradient, `vjp`, directly beneath.

The first line of a docstring gives the shapes, arguments to result; `(...)` is any shape. `g` is
the gradient by the result. Operands are tensors, arrays (constants) or Python numbers; numbers
take the dtype of the other operand. Arrays of integers, different dtypes and shapes
that do not fit are refused with a `GraphError` that names the operation: nothing is converted silently.

Not here: operations with parameters of their own (`fedgdl.nn`).

Example:
    >>> w = Tensor([0.5, -0.5], requires_grad=True)
    >>> squared_error(sigmoid(w * 2), np.array([1.0, 0.0])).backward()
    >>> w.grad.round(3)
    array([-0.212,  0.212])
"""

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedgdl.autograd.tensor import Array, Operand, Tensor, record
from fedgdl.errors import GraphError

__all__ = [
    "add",
    "embedding_bag",
    "matmul",
    "mean",
    "mul",
    "neg",
    "reshape",
    "sigmoid",
    "squared_error",
    "sub",
    "sum",
]

_LARGEST_EXPONENT: Final = {"f": 88.0, "d": 709.0}
"""For float32 and float64, the largest whole number whose exponential is finite."""
_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)


def add(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x + y, broadcast."""
    a, b = _pair("add", x, y)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(_unbroadcast(g, a.shape))
        if b.requires_grad:
            b.receive(_unbroadcast(g, b.shape))

    return record(a.data + b.data, (a, b), vjp)


def sub(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x - y, broadcast."""
    a, b = _pair("sub", x, y)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(_unbroadcast(g, a.shape))
        if b.requires_grad:
            b.receive(_unbroadcast(-g, b.shape))

    return record(a.data - b.data, (a, b), vjp)


def mul(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x * y elementwise, broadcast."""
    a, b = _pair("mul", x, y)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(_unbroadcast(g * b.data, a.shape))
        if b.requires_grad:
            b.receive(_unbroadcast(g * a.data, b.shape))

    return record(a.data * b.data, (a, b), vjp)


def neg(x: Tensor) -> Tensor:
    """(...) -> (...): -x."""

    def vjp(g: Array) -> None:
        x.receive(-g)

    return record(-x.data, (x,), vjp)


def matmul(x: Tensor | Array, y: Tensor | Array) -> Tensor:
    """(..., n, k), (..., k, m) -> (..., n, m): matrix products, leading axes broadcast."""
    a, b = _tensor("matmul", x), _tensor("matmul", y)
    _require_one_dtype("matmul", a, b)
    fits = min(a.ndim, b.ndim) >= 2 and a.shape[-1] == b.shape[-2]
    if not fits or not _broadcast(a.shape[:-2], b.shape[:-2]):
        message = f"matmul: needs shapes (..., n, k) and (..., k, m), got {a.shape} and {b.shape}"
        raise GraphError(message)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(_unbroadcast(g @ b.data.swapaxes(-1, -2), a.shape))
        if b.requires_grad:
            b.receive(_unbroadcast(a.data.swapaxes(-1, -2) @ g, b.shape))

    return record(a.data @ b.data, (a, b), vjp)


def sum(x: Tensor, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Tensor:  # noqa: A001
    """(...) -> (... without the axes): the sum over an axis, some axes, or all elements."""
    axes = _axes("sum", x, axis)

    def vjp(g: Array) -> None:
        whole = g if keepdims else np.expand_dims(g, axes)
        x.receive(np.broadcast_to(whole, x.shape))

    return record(x.data.sum(axes, keepdims=keepdims), (x,), vjp)


def mean(x: Tensor, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Tensor:
    """(...) -> (... without the axes): the mean over an axis, some axes, or all elements."""
    axes = _axes("mean", x, axis)
    count = math.prod(x.shape[axis] for axis in axes)
    if count == 0:
        message = f"mean: there are no elements along axes {axes} of shape {x.shape}"
        raise GraphError(message)

    def vjp(g: Array) -> None:
        whole = g if keepdims else np.expand_dims(g, axes)
        x.receive(np.broadcast_to(whole / count, x.shape))

    return record(x.data.sum(axes, keepdims=keepdims) / count, (x,), vjp)


def reshape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(...) -> shape: the same elements in the same order; one side of the shape may be -1."""
    try:
        y = x.data.reshape(shape)
    except ValueError as error:
        message = f"reshape: {x.shape} holds {x.size} elements, which shape {shape} does not"
        raise GraphError(message) from error

    def vjp(g: Array) -> None:
        x.receive(g.reshape(x.shape))

    return record(y, (x,), vjp)


def sigmoid(x: Tensor) -> Tensor:
    """(...) -> (...): 1 / (1 + exp(-x)), without overflow.

    Below -88 (float32) or -709 (float64) the result stays at the value there, under 1e-37.
    """
    y = np.empty_like(x.data)
    np.negative(x.data, out=y)
    np.minimum(y, _LARGEST_EXPONENT[y.dtype.char], out=y)
    np.exp(y, out=y)
    y += 1
    np.reciprocal(y, out=y)

    def vjp(g: Array) -> None:
        slope = 1 - y
        slope *= y
        x.receive(slope * g)

    return record(y, (x,), vjp)


def squared_error(prediction: Tensor, target: Tensor | Array) -> Tensor:
    """(...), (...) -> (): the sum, not the mean, of (prediction - target)^2; shapes must be equal."""
    goal = _tensor("squared_error", target)
    _require_one_dtype("squared_error", prediction, goal)
    if prediction.shape != goal.shape:
        message = f"squared_error: prediction has shape {prediction.shape}, but target {goal.shape}"
        raise GraphError(message)
    error = prediction.data - goal.data

    def vjp(g: Array) -> None:
        slope = (2 * g) * error
        if prediction.requires_grad:
            prediction.receive(slope)
        if goal.requires_grad:
            goal.receive(-slope)

    return record(np.vdot(error, error), (prediction, goal), vjp)


def embedding_bag(
    table: Tensor,
    token_ids: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    mode: Literal["sum", "mean"] = "sum",
) -> Tensor:
    """(V, D), (n,), (b + 1,) -> (b, D): row i is the sum or mean of the table's rows named by bag i.

    Bag i is `token_ids[offsets[i]:offsets[i + 1]]`. An empty bag gives zeros; an id that is repeated
    counts each time. The table's gradient is sparse, and refers to `token_ids` until it is used.

    Args:
        table: (V, D).
        token_ids: (n,) int64, the ids of all bags one after another, 0 to V - 1.
        offsets: (b + 1,) int64, from 0 to n, never falling.
        mode: whether a bag's rows are summed or averaged.

    Raises:
        GraphError: a shape, dtype, offset or id is not as said above.
    """
    ids, bounds = np.asarray(token_ids), np.asarray(offsets)
    sizes, smallest = _bag_sizes(table, ids, bounds, mode)
    rows = table.data.take(ids, axis=0)
    y = np.add.reduceat(rows, bounds[:-1], axis=0) if smallest > 0 else _sum_bags(rows, bounds[:-1], sizes)
    divisor = np.maximum(sizes, 1).astype(y.dtype)[:, np.newaxis] if mode == "mean" else None
    if divisor is not None:
        y /= divisor

    def vjp(g: Array) -> None:
        share = g if divisor is None else g / divisor
        table.receive_rows(ids, share, sizes)

    return record(y, (table,), vjp)


def _bag_sizes(
    table: Tensor, ids: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64], mode: str
) -> tuple[npt.NDArray[np.int64], int]:
    """Returns how many ids each bag holds, (b,), and the smallest of these, once all about the bags is checked."""
    complaint = ""
    if table.ndim != 2:
        complaint = f"the table must have shape (V, D), got {table.shape}"
    elif mode not in ("sum", "mean"):
        complaint = f'mode is "sum" or "mean", not {mode!r}'
    elif ids.dtype != _INT64 or bounds.dtype != _INT64 or ids.ndim != 1 or bounds.ndim != 1:
        complaint = (
            f"token_ids and offsets must be int64 of one axis, got {ids.dtype} of shape {ids.shape} "
            f"and {bounds.dtype} of shape {bounds.shape}"
        )
    elif not bounds.size or bounds.item(0) != 0 or bounds.item(-1) != ids.size:
        complaint = f"offsets must run from 0 to the number of ids, {ids.size}"
    if complaint:
        message = f"embedding_bag: {complaint}"
        raise GraphError(message)
    sizes = bounds[1:] - bounds[:-1]
    smallest = int(np.minimum.reduce(sizes, initial=1))
    if smallest < 0:
        message = "embedding_bag: offsets must never fall"
        raise GraphError(message)
    # Seen as unsigned, a negative id is a huge one: a single pass finds both. (`reduce` is `max` without its wrapper.)
    if ids.size and int(np.maximum.reduce(ids.view(_UINT64))) >= table.shape[0]:
        message = (
            f"embedding_bag: ids must be 0 to {table.shape[0] - 1} for a table of shape {table.shape}, "
            f"got {ids.min()} to {ids.max()}"
        )
        raise GraphError(message)
    return sizes, smallest


def _sum_bags(rows: Array, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Array:
    """(n, D), (b,), (b,) -> (b, D): the sum of each bag's rows where some bags are empty."""
    sums = np.zeros((sizes.size, rows.shape[1]), rows.dtype)
    full = sizes > 0
    if full.any():
        # `reduceat` takes an empty bag for a bag of one; without the empty bags, the others still lie end to end.
        sums[full] = np.add.reduceat(rows, starts[full], axis=0)
    return sums


def _pair(operation: str, x: Operand, y: Operand) -> tuple[Tensor, Tensor]:
    """Returns both operands as tensors of one dtype whose shapes broadcast."""
    a, b = _tensor(operation, x, y), _tensor(operation, y, x)
    _require_one_dtype(operation, a, b)
    if a.shape != b.shape and not _broadcast(a.shape, b.shape):
        message = f"{operation}: shapes {a.shape} and {b.shape} do not broadcast"
        raise GraphError(message)
    return a, b


def _tensor(operation: str, value: object, other: object = None) -> Tensor:
    """Returns an operand as a tensor; a number takes the dtype of the other operand."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.char not in "fd":
            message = f"{operation}: operands must be float32 or float64, got {value.dtype} of shape {value.shape}"
            raise GraphError(message)
        return Tensor(value)
    if isinstance(value, int | float | np.integer | np.floating) and isinstance(other, Tensor):
        return Tensor(np.array(value, other.dtype))
    message = f"{operation}: operands are tensors, arrays or, beside a tensor, numbers; got {type(value).__name__}"
    raise GraphError(message)


def _require_one_dtype(operation: str, a: Tensor, b: Tensor) -> None:
    if a.data.dtype != b.data.dtype:
        message = (
            f"{operation}: operands have different dtypes, {a.dtype} of shape {a.shape} and {b.dtype} of "
            f"shape {b.shape}; convert one with `astype`"
        )
        raise GraphError(message)


def _broadcast(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Returns whether two shapes broadcast."""
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(shape), reversed(other), strict=False))


def _unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Returns a gradient summed over the axes along which an operand of this shape was repeated."""
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)
    repeated = [added + axis for axis, side in enumerate(shape) if side == 1]
    total: Array = g.sum((*range(added), *repeated)).reshape(shape)
    return total


def _axes(operation: str, x: Tensor, axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Returns the named axes, counted from 0 and without repeats."""
    named = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(number + x.ndim if number < 0 else number for number in named)
    if len(set(axes)) != len(axes) or any(not 0 <= number < x.ndim for number in axes):
        message = f"{operation}: a tensor of shape {x.shape} has no axes {named}, each named once"
        raise GraphError(message)
    return axes
