"""Matrix products, and the linear layer in one operation: product, bias and activation.

Example:
    >>> w = Tensor([[0.5], [-0.5]], requires_grad=True)
    >>> linear(np.array([[1.0, 3.0]]), w, activation="relu")
    Tensor([[0.]], float64, requires_grad=True)
"""

import math
from typing import Final

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.activation import ActivationName, find_activation
from fedgdl.autograd.blas import SMALL_PRODUCT, column_sums, multiply_into
from fedgdl.autograd.operands import as_tensor, broadcasts, require_one_dtype, require_tensor, unbroadcast
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["linear", "matmul"]

_LARGE: Final = 1 << 14
"""From this number of elements on, a result's memory is worth reusing."""
_FEW_ROWS: Final = (13, 64)
"""From and up to this number of rows, BLAS is faster on w @ g.T than on g @ w.T where w is large: by 1.8 for 16 rows
and 3136 x 512 weights, by 1.1 for 50. Fewer rows are cut to pieces (`blas.multiply_into`)."""


def matmul(x: Tensor | Array, y: Tensor | Array) -> Tensor:
    """(..., n, k), (..., k, m) -> (..., n, m): matrix products, leading axes broadcast."""
    a, b = as_tensor("matmul", x), as_tensor("matmul", y)
    require_one_dtype("matmul", a, b)
    fits = min(a.ndim, b.ndim) >= 2 and a.shape[-1] == b.shape[-2]
    if not fits or not broadcasts(a.shape[:-2], b.shape[:-2]):
        message = f"matmul: needs shapes (..., n, k) and (..., k, m), got {a.shape} and {b.shape}"
        raise GraphError(message)
    equal = a.shape[:-2] == b.shape[:-2]

    def vjp(g: Array) -> None:
        if a.requires_grad:
            if equal:
                a.receive_product(g, b.data.swapaxes(-1, -2))
            else:
                a.receive(unbroadcast(g @ b.data.swapaxes(-1, -2), a.shape))
        if b.requires_grad:
            if equal:
                b.receive_product(a.data.swapaxes(-1, -2), g)
            else:
                b.receive(unbroadcast(a.data.swapaxes(-1, -2) @ g, b.shape))

    return record(a.data @ b.data, (a, b), vjp)


def linear(
    x: Tensor | Array, weight: Tensor, bias: Tensor | None = None, activation: ActivationName | None = None
) -> Tensor:
    """(..., in), (in, out), (out,) -> (..., out): activation(x @ weight + bias).

    In a stack of K clients: (K, ..., in), (K, in, out), (K, out) -> (K, ..., out).

    Args:
        x: the inputs, rows of length `in`.
        weight: as above.
        bias: as above, if any.
        activation: what is applied to the sum, if anything.

    Raises:
        GraphError: shapes or dtypes do not fit, or there is no such activation.
    """
    a, w = _rows(x, weight), weight.data
    y = _product(a, w)
    if bias is not None:
        b = bias.data
        if type(b) is not np.ndarray or b.shape != w.shape[:-2] + w.shape[-1:] or b.dtype != w.dtype:
            _require_bias(weight, bias)
        y += b if b.ndim == 1 else b[:, np.newaxis]
    function = None
    if activation is not None:
        function = find_activation("linear", activation)
        function.apply(y)

    def vjp(g: Array) -> None:
        if g.ndim != y.ndim:
            g = g.reshape(y.shape)
        if function is not None:
            g = function.slope_times(g, y)
        if weight.requires_grad:
            weight.receive_product(a.swapaxes(-1, -2), g)
        if bias is not None and bias.requires_grad:
            bias.receive(g.reshape(bias.data.shape) if g.shape[-2] == 1 else column_sums(g))
        if isinstance(x, Tensor) and x.requires_grad:
            dx = _turned_product(g, w)
            x.receive(dx if dx.shape == x.data.shape else dx.reshape(x.data.shape))

    inputs = (weight,) if bias is None else (weight, bias)
    result = y if a is x or y.ndim == x.ndim else y.reshape(x.shape[:-1] + w.shape[-1:])
    return record(result, (x, *inputs) if isinstance(x, Tensor) else inputs, vjp)


def _rows(x: Tensor | Array, weight: Tensor) -> Array:
    """(..., in) -> (n, in), in a stack (K, ..., in) -> (K, n, in): the inputs of `linear`.

    Raises:
        GraphError: they do not fit the weight.
    """
    a, w = x.data if isinstance(x, Tensor) else x, weight.data
    if (
        type(a) is type(w) is np.ndarray
        and 1 < a.ndim == w.ndim < 4
        and a.shape[-1] == w.shape[-2]
        and a.dtype is w.dtype
        and a.flags.c_contiguous
        and (a.ndim == 2 or len(a) == len(w))
    ):
        return a
    require_tensor("linear", "weight", weight)
    a = as_tensor("linear", x).data
    stacked = w.ndim - 2
    known = (stacked == 0 and a.ndim > 0) or (stacked == 1 and a.ndim > 1 and len(a) == len(w))
    if not known or a.shape[-1] != w.shape[-2]:
        needed = (
            "x (..., in) and weight (in, out)" if w.ndim < 3 else "for K clients x (K, ..., in), weight (K, in, out)"
        )
        message = f"linear: needs {needed}; got x {a.shape} and {_called(weight)} {w.shape}"
        if w.ndim == 2 and math.prod(a.shape[1:]) == len(w):
            message += f"; flatten x first, to (..., {len(w)})"
        raise GraphError(message)
    if a.dtype != w.dtype:
        message = (
            f"linear: x of shape {a.shape} is {a.dtype}, but {_called(weight)} of shape {w.shape} {w.dtype}; "
            f"pass x.astype(np.{w.dtype})"
        )
        raise GraphError(message)
    # In one order for all: BLAS reads some strides itself, and NumPy multiplies by a loop of its own for others.
    return np.ascontiguousarray(a).reshape(*w.shape[:-2], math.prod(a.shape[stacked:-1]), a.shape[-1])


def _require_bias(weight: Tensor, bias: Tensor) -> None:
    """Raises GraphError unless the bias of `linear` fits its weight."""
    require_tensor("linear", "bias", bias)
    w = weight.data
    if bias.shape == w.shape[:-2] + w.shape[-1:] and bias.dtype == w.dtype:
        return
    message = (
        f"linear: {_called(weight)} of shape {w.shape} and {w.dtype} needs a bias of shape "
        f"{w.shape[:-2] + w.shape[-1:]}, got {_called(bias)} {bias.shape} of {bias.dtype}"
    )
    raise GraphError(message)


def _product(a: Array, b: Array) -> Array:
    """(..., n, k), (..., k, m) -> (..., n, m): a @ b, in reused memory if it is large."""
    size = len(a) * b.shape[-1]
    if a.ndim == 2 and size < _LARGE and size * len(b) <= SMALL_PRODUCT:
        small: Array = np.dot(a, b)  # the bits of matmul, sooner
        return small
    product = workspace.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    multiply_into(a, b, product)
    return product


def _turned_product(g: Array, w: Array) -> Array:
    """(..., n, out), (..., in, out) -> (..., n, in): g @ w.T."""
    height, width = w.shape[-2:]
    fewest, most = _FEW_ROWS
    if not (fewest <= g.shape[-2] <= most <= width and height * width >= _LARGE):
        return _product(g, w.swapaxes(-1, -2))
    turned = _product(w, g.swapaxes(-1, -2))
    product = workspace.empty((*g.shape[:-1], height), g.dtype)
    np.copyto(product, turned.swapaxes(-1, -2))
    return product


def _called(tensor: Tensor) -> str:
    """Returns a parameter's name, if it has one."""
    return getattr(tensor, "name", "") or "unnamed"
