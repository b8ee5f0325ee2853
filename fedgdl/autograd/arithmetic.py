"""Sums, products, powers and their like, element by element, with broadcasting.

Example:
    >>> w = Tensor([0.5, -0.5], requires_grad=True)
    >>> (w**2 / 2 + w).sum().backward()
    >>> w.grad
    array([1.5, 0.5])
"""

import math
from typing import Final

import numpy as np

from fedgdl.autograd.operands import NUMBERS, as_tensor, float_of, pair, unbroadcast
from fedgdl.autograd.tensor import Array, Operand, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["add", "div", "exp", "log", "mul", "neg", "pow", "sub"]

_SMALL_POWERS: Final = frozenset(map(float, range(2, 9)))


def add(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x + y, broadcast."""
    a, b = pair("add", x, y)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(unbroadcast(g, a.data.shape))
        if b.requires_grad:
            b.receive(unbroadcast(g, b.data.shape))

    return record(a.data + b.data, (a, b), vjp)


def sub(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x - y, broadcast."""
    a, b = pair("sub", x, y)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(unbroadcast(g, a.data.shape))
        if b.requires_grad:
            b.receive(unbroadcast(-g, b.data.shape))

    return record(a.data - b.data, (a, b), vjp)


def mul(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x * y elementwise, broadcast."""
    a, b = pair("mul", x, y)

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(unbroadcast(g * b.data, a.data.shape))
        if b.requires_grad:
            b.receive(unbroadcast(g * a.data, b.data.shape))

    return record(a.data * b.data, (a, b), vjp)


def div(x: Operand, y: Operand) -> Tensor:
    """(...), (...) -> (...): x / y elementwise, broadcast; where y is 0, what NumPy says."""
    a, b = pair("div", x, y)
    quotient = a.data / b.data

    def vjp(g: Array) -> None:
        slope = g / b.data
        if a.requires_grad:
            a.receive(unbroadcast(slope, a.data.shape))
        if b.requires_grad:
            b.receive(unbroadcast(-(slope * quotient), b.data.shape))

    return record(quotient, (a, b), vjp)


def neg(x: Tensor | Array) -> Tensor:
    """(...) -> (...): -x."""
    x = as_tensor("neg", x)

    def vjp(g: Array) -> None:
        x.receive(-g)

    return record(-x.data, (x,), vjp)


def pow(x: Operand, exponent: Operand) -> Tensor:  # noqa: A001 (the name of Python's function)
    """(...), (...) -> (...): x to the power of an exponent, elementwise, broadcast; or of one number.

    Args:
        x: the base. Where the exponent is a tensor or an array, positive everywhere; where it is a fraction,
            nowhere below 0. At 0, powers below 0 and the gradients of powers below 1 are infinite.
        exponent: what x is raised to. The gradient of the power 0 is 0.

    Raises:
        GraphError: a base is not as said above, a number is not finite, or dtypes or shapes do not fit.
    """
    if isinstance(exponent, NUMBERS):
        return _power_of_number(as_tensor("pow", x), float_of("pow", exponent))
    a, b = pair("pow", x, exponent)
    if np.less_equal(a.data, 0.0).any():
        message = f"pow: with a tensor as exponent, every base must be above 0; the least is {a.data.min()}"
        raise GraphError(message)
    y = a.data**b.data

    def vjp(g: Array) -> None:
        if a.requires_grad:
            a.receive(unbroadcast(g * b.data * a.data ** (b.data - 1.0), a.data.shape))
        if b.requires_grad:
            b.receive(unbroadcast(g * y * np.log(a.data), b.data.shape))

    return record(y, (a, b), vjp)


def _power_of_number(x: Tensor, n: float) -> Tensor:
    """(...) -> (...): x to the power of a number."""
    if not n.is_integer() and not (math.isfinite(n) and not np.less(x.data, 0.0).any()):
        message = f"pow: the power {n} of a tensor of shape {x.shape} needs a finite exponent and no base below 0"
        raise GraphError(message)

    def vjp(g: Array) -> None:
        x.receive(g * (n * _power(x.data, n - 1.0)) if n else np.zeros_like(g))

    return record(_power(x.data, n), (x,), vjp)


def _power(x: Array, n: float) -> Array:
    """Returns a new array, x to the power of n; small whole powers without the system's slow `pow`."""
    if n not in _SMALL_POWERS:
        return x**n
    half = x * x
    if n > 3.0:
        half = _power(half, n // 2)
    return half * x if n % 2 else half


def exp(x: Tensor | Array) -> Tensor:
    """(...) -> (...): e to the power of x."""
    x = as_tensor("exp", x)
    y = np.exp(x.data)

    def vjp(g: Array) -> None:
        x.receive(g * y)

    return record(y, (x,), vjp)


def log(x: Tensor | Array) -> Tensor:
    """(...) -> (...): the natural logarithm of x; of 0 and below, what NumPy says."""
    x = as_tensor("log", x)

    def vjp(g: Array) -> None:
        x.receive(g / x.data)

    return record(np.log(x.data), (x,), vjp)
