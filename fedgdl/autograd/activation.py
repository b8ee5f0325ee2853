"""Nonlinear functions of one tensor, and the softmax.

`ACTIVATIONS` holds those that operations with a product inside (`linear`, `conv2d`) apply to
their own result. `relu`, `tanh` and `sigmoid` use the same functions, so that an activation
has the same bits within such an operation and after it.

Not here: losses that have a softmax or a sigmoid inside (`loss`).

Example:
    >>> logits = Tensor([[0.0, 0.0], [1e4, -1e4]], requires_grad=True)
    >>> softmax(logits)
    Tensor([[0.5, 0.5],
            [1. , 0. ]], float64, requires_grad=True)
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from fedgdl.autograd.operands import as_tensor, normalized_axis
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.autograd.workspace import empty, empty_like
from fedgdl.errors import GraphError

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationName",
    "find_activation",
    "log_softmax",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]

ActivationName: TypeAlias = Literal["relu", "tanh", "sigmoid"]

# Constants are arrays without axes: in a ufunc they cost half of what Python's numbers cost.
_ZERO: Final = {char: np.zeros((), char) for char in "fd"}
_ONE: Final = {char: np.ones((), char) for char in "fd"}
_LARGEST_EXPONENT: Final = {"f": np.array(88, "f"), "d": np.array(709, "d")}
"""For float32 and float64, the largest whole number whose exponential is finite."""
_BOOL: Final = np.dtype(np.bool_)
_LARGE: Final = 1 << 14
"""From this number of elements on, memory is worth reusing and passes over it are what costs; below, it is calls."""


class Activation(NamedTuple):
    """A function of each element whose slope follows from its result alone.

    Attributes:
        write: writes the function of `x` to `y`, of the same shape and dtype; both may be one array.
        slope_times: from `g`, the gradient by the result, and the result `y`, of one shape and dtype,
            returns a new array: the gradient by the function's input.
    """

    write: Callable[[Array, Array], None]
    slope_times: Callable[[Array, Array], Array]

    def apply(self, y: Array) -> None:
        """Replaces each element of an array (...) of float32 or float64 by the function's value."""
        self.write(y, y)


def _write_relu(x: Array, y: Array) -> None:
    np.maximum(x, _ZERO[x.dtype.char], out=y)


def _relu_slope_times(g: Array, y: Array) -> Array:
    slope: Array
    if y.size < _LARGE:
        slope = np.multiply(g, np.greater(y, _ZERO[y.dtype.char]))
        return slope
    positive = np.greater(y, _ZERO[y.dtype.char], out=empty(y.shape, _BOOL))
    slope = np.multiply(g, positive, out=empty_like(y))
    return slope


def _write_tanh(x: Array, y: Array) -> None:
    np.tanh(x, y)


def _tanh_slope_times(g: Array, y: Array) -> Array:
    slope: Array
    if y.size < _LARGE:
        slope = (_ONE[y.dtype.char] - y * y) * g
        return slope
    slope = np.multiply(y, y, out=empty_like(y))
    np.subtract(_ONE[y.dtype.char], slope, out=slope)
    slope *= g
    return slope


def _write_sigmoid(x: Array, y: Array) -> None:
    char = y.dtype.char
    np.negative(x, y)
    np.minimum(y, _LARGEST_EXPONENT[char], out=y)
    np.exp(y, y)
    np.add(y, _ONE[char], y)
    np.reciprocal(y, y)


def _sigmoid_slope_times(g: Array, y: Array) -> Array:
    slope: Array
    if y.size < _LARGE:
        slope = (_ONE[y.dtype.char] - y) * y * g
        return slope
    slope = np.subtract(_ONE[y.dtype.char], y, out=empty_like(y))
    slope *= y
    slope *= g
    return slope


ACTIVATIONS: Final = {
    "relu": Activation(_write_relu, _relu_slope_times),
    "tanh": Activation(_write_tanh, _tanh_slope_times),
    "sigmoid": Activation(_write_sigmoid, _sigmoid_slope_times),
}
"""By the name that operations take as `activation`."""


def find_activation(operation: str, name: str) -> Activation:
    """Returns the activation of a name.

    Raises:
        GraphError: there is none; the message names the operation that asked.
    """
    found = ACTIVATIONS.get(name)
    if found is None:
        message = f"{operation}: the activation is one of {', '.join(ACTIVATIONS)}, not {name!r}"
        raise GraphError(message)
    return found


def relu(x: Tensor | Array) -> Tensor:
    """(...) -> (...): the larger of 0 and x; at 0 the gradient is 0."""
    return _activated("relu", x)


def tanh(x: Tensor | Array) -> Tensor:
    """(...) -> (...): the hyperbolic tangent of x."""
    return _activated("tanh", x)


def sigmoid(x: Tensor | Array) -> Tensor:
    """(...) -> (...): 1 / (1 + exp(-x)), without overflow.

    Below -88 (float32) or -709 (float64) the result stays at the value there, under 1e-37.
    """
    return _activated("sigmoid", x)


def _activated(name: str, operand: Tensor | Array) -> Tensor:
    """(...) -> (...): one of the activations by itself."""
    x, function = as_tensor(name, operand), ACTIVATIONS[name]
    y = _like(x.data)
    function.write(x.data, y)

    def vjp(g: Array) -> None:
        x.receive(function.slope_times(g, y))

    return record(y, (x,), vjp)


def softmax(x: Tensor | Array, axis: int = -1) -> Tensor:
    """(...) -> (...): exp(x) along an axis, divided by its sum there.

    The largest x of each sum is taken away first, so finite numbers of any size overflow nowhere.
    """
    x = as_tensor("softmax", x)
    axis = normalized_axis("softmax", axis, x.data.shape)
    y = _shifted(x.data, axis)
    np.exp(y, out=y)
    y /= np.add.reduce(y, axis, keepdims=True)

    def vjp(g: Array) -> None:
        slope = np.multiply(g, y, out=_like(y))
        np.subtract(g, np.add.reduce(slope, axis, keepdims=True), out=slope)
        slope *= y
        x.receive(slope)

    return record(y, (x,), vjp)


def log_softmax(x: Tensor | Array, axis: int = -1) -> Tensor:
    """(...) -> (...): the logarithm of the softmax along an axis, without overflow or a logarithm of 0."""
    x = as_tensor("log_softmax", x)
    axis = normalized_axis("log_softmax", axis, x.data.shape)
    y = _shifted(x.data, axis)
    if y.size:  # no sum of nothing has a logarithm
        y -= np.log(np.add.reduce(np.exp(y, out=_like(y)), axis, keepdims=True))

    def vjp(g: Array) -> None:
        slope = np.exp(y, out=_like(y))
        slope *= np.add.reduce(g, axis, keepdims=True)
        np.subtract(g, slope, out=slope)
        x.receive(slope)

    return record(y, (x,), vjp)


def _shifted(x: Array, axis: int) -> Array:
    """(...) -> (...): a new array, x less its largest along the axis."""
    largest = np.maximum.reduce(x, axis, keepdims=True, initial=-np.inf)  # an axis may have no elements
    return np.subtract(x, largest, out=_like(x))


def _like(array: Array) -> Array:
    """Returns an array of this shape and dtype, of arbitrary content."""
    return np.empty(array.shape, array.dtype) if array.size < _LARGE else empty_like(array)
