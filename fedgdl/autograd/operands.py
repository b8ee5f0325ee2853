"""What operations do with their operands before and after: conversion, the checks that all share, broadcasting.

Operands are tensors, arrays (constants) or Python numbers; numbers take the dtype of the other
operand. Arrays of integers, different dtypes and shapes that do not fit are refused with a `GraphError` that
names the operation: nothing is converted silently.

Not here: the operations.

Example:
    >>> a, b = pair("add", Tensor([1.0, 2.0]), 3)
    >>> b
    Tensor(3., float64)
"""

import operator
from typing import Any, Final

import numpy as np

from fedgdl.autograd.parameter import Parameter
from fedgdl.autograd.tensor import Array, Operand, Tensor, record
from fedgdl.errors import GraphError

__all__ = [
    "NUMBERS",
    "as_tensor",
    "broadcasts",
    "float_of",
    "normalized_axes",
    "normalized_axis",
    "pair",
    "require_one_dtype",
    "require_tensor",
    "unbroadcast",
]

NUMBERS: Final = (float, int, np.integer, np.floating)
"""The types of numbers that may stand beside a tensor, for `isinstance`."""


def pair(operation: str, x: Operand, y: Operand) -> tuple[Tensor, Tensor]:
    """Returns both operands as tensors of one dtype whose shapes broadcast."""
    a = x if isinstance(x, Tensor) else as_tensor(operation, x, y)
    b = y if isinstance(y, Tensor) else as_tensor(operation, y, x)
    if a.data.dtype is not b.data.dtype:
        require_one_dtype(operation, a, b)
    if a.data.ndim != b.data.ndim:
        a, b = _lifted(a, b.data.ndim), _lifted(b, a.data.ndim)
    if a.data.shape != b.data.shape and not broadcasts(a.data.shape, b.data.shape):
        message = f"{operation}: shapes {a.shape} and {b.shape} do not broadcast"
        raise GraphError(message)
    return a, b


def as_tensor(operation: str, value: object, other: object = None) -> Tensor:
    """Returns an operand as a tensor; a number takes the dtype of the other operand."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.char not in "fd" or not value.dtype.isnative:
            message = (
                f"{operation}: operands must be float32 or float64, got {value.dtype} of shape {value.shape}; "
                "convert it with array.astype(np.float32)"
            )
            raise GraphError(message)
        return record(value, (), _nothing)
    if isinstance(value, NUMBERS) and isinstance(other, Tensor):
        return record(np.array(float_of(operation, value), other.data.dtype), (), _nothing)
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    message = (
        f"{operation}: operands are tensors, arrays or, beside a tensor, numbers; got {kind}: "
        "np.asarray(x, np.float32) makes an array of it"
    )
    raise GraphError(message)


def require_tensor(operation: str, role: str, operand: object) -> None:
    """Raises GraphError unless an operand, named as the operation names it, is a tensor."""
    if not isinstance(operand, Tensor):
        message = f"{operation}: the {role} must be a tensor, got {type(operand).__name__}"
        raise GraphError(message)


def float_of(operation: str, number: float | np.integer[Any] | np.floating[Any]) -> float:
    """Returns a number as Python's float, which leaves the dtype of arrays as it is."""
    try:
        return float(number)
    except OverflowError as error:
        message = f"{operation}: an integer of {len(str(number))} digits is too large for a float"
        raise GraphError(message) from error


def require_one_dtype(operation: str, a: Tensor, b: Tensor) -> None:
    """Raises GraphError when the dtypes of two operands differ."""
    if a.data.dtype != b.data.dtype:
        message = (
            f"{operation}: operands have different dtypes, {a.dtype} of shape {a.shape} and {b.dtype} of "
            f"shape {b.shape}; convert an array with array.astype(np.float32)"
        )
        raise GraphError(message)


def _lifted(operand: Tensor, ndim: int) -> Tensor:
    """(K, ...) -> (K, 1, ..., 1, ...): a stack's parameter, its clients first and its own axes last of `ndim` axes."""
    stacked = isinstance(operand, Parameter) and operand.parameters is not None and operand.parameters.vector.ndim == 2
    shape = operand.data.shape
    if not stacked or len(shape) >= ndim:
        return operand

    def vjp(g: Array) -> None:
        operand.receive(g.reshape(shape))

    return record(operand.data.reshape(shape[0], *(1,) * (ndim - len(shape)), *shape[1:]), (operand,), vjp)


def broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Returns whether two shapes broadcast."""
    shorter, longer = (shape, other) if len(shape) < len(other) else (other, shape)
    if longer[len(longer) - len(shorter) :] == shorter:  # most often so: a bias, a number
        return True
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(shorter), reversed(longer), strict=False))


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Returns a gradient summed over the axes along which an operand of this shape was repeated."""
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)
    repeated = [added + axis for axis, side in enumerate(shape) if side != g.shape[added + axis]]
    total: Array = np.add.reduce(g, (*range(added), *repeated))
    return total.reshape(shape)


def normalized_axis(operation: str, axis: int, shape: tuple[int, ...]) -> int:
    """Returns an axis of this shape counted from 0; it may be given counted from the end, below 0."""
    try:
        number = operator.index(axis)
    except TypeError as error:
        message = f"{operation}: an axis is an integer, not {type(axis).__name__}"
        raise GraphError(message) from error
    if not -len(shape) <= number < len(shape):
        message = f"{operation}: a tensor of shape {shape} has no axis {number}"
        raise GraphError(message)
    return number + len(shape) if number < 0 else number


def normalized_axes(operation: str, x: Tensor, axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Returns the named axes, counted from 0 and without repeats."""
    shape = x.data.shape
    if axis is None:
        return tuple(range(len(shape)))
    if not isinstance(axis, tuple):
        return (normalized_axis(operation, axis, shape),)
    axes = tuple(normalized_axis(operation, number, shape) for number in axis)
    if len(set(axes)) != len(axes):
        message = f"{operation}: the axes {axis} of a tensor of shape {shape} name one of them twice"
        raise GraphError(message)
    return axes


def _nothing(_: Array) -> None:
    """Stands where a constant's closure would be: it never runs."""
