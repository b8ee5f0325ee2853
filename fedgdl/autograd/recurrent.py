"""Recurrent networks over a whole window of steps, each network one operation.

What the inputs contribute is multiplied beforehand, for all steps at once (`linear`, `embedding_linear`);
left to do step by step is the product with the state before. Backward, too, only the states'
gradients go step by step, while the weights' gradient is one product over the window.

Time is the first axis: T steps, B sequences, H hidden units. The window's arrays are (K, T, B, ...) for a
stack of K clients, states (K, B, H) and weights (K, H, ...).

Not here: layers with weights of their own (`fedgdl.nn`).

Example:
    >>> weight_hh = Tensor([[0.5]])
    >>> rnn(np.array([[[1.0]], [[0.0]]]), np.array([[0.0]]), weight_hh, activation="relu").data.ravel()
    array([1. , 0.5])
"""

import functools
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from fedgdl.autograd.activation import ActivationName, find_activation
from fedgdl.autograd.operands import as_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.autograd.workspace import empty
from fedgdl.errors import GraphError

__all__ = ["lstm", "rnn"]

_TURNED_UNITS: Final = 128
"""From this number of hidden units on, BLAS is faster on w @ d.T than on d @ w.T, by a third at 512."""
_BLOCK_SIZE: Final = 1 << 18
"""About how many elements of the gates are differentiated at a time: 1 MiB of float32, which a cache holds."""
_ONE: Final = {char: np.ones((), char) for char in "fd"}

_HandBack: TypeAlias = Callable[[Array, Array | None, Array], None]


def rnn(
    projected: Tensor | Array, hidden: Tensor | Array, weight_hh: Tensor, activation: ActivationName = "tanh"
) -> Tensor:
    """(T, B, H), (B, H), (H, H) -> (T, B, H): all states h_t = activation(projected_t + h_(t-1) @ weight_hh).

    Args:
        projected: what the inputs contribute to each step, bias included.
        hidden: the state before the first step.
        weight_hh: as above.
        activation: `"tanh"`, `"sigmoid"` or `"relu"`.

    Raises:
        GraphError: shapes or dtypes do not fit, or there is no such activation.
    """
    inputs, start = as_tensor("rnn", projected), as_tensor("rnn", hidden)
    _require_fit("rnn", inputs, (start,), weight_hh, num_gates=1)
    w, apply, slope = weight_hh.data, find_activation("rnn", activation).apply, _SLOPES[activation]
    by_time = functools.partial(_by_time, stacked=w.ndim == 3)
    states, steps = _states(inputs.data, start.data)
    for before, x, y in zip(steps, by_time(inputs.data), steps[1:], strict=False):
        np.matmul(before, w, y)
        np.add(y, x, y)
        apply(y)

    def vjp(g: Array) -> None:
        dz = empty(g.shape, g.dtype)
        slope(states[..., 1:, :, :], dz)
        dh = np.empty(start.data.shape, g.dtype)
        hand_back = _hand_back(w, dh.shape)
        later = None
        for d, arrived in zip(reversed(by_time(dz)), reversed(by_time(g)), strict=True):
            if later is None:
                np.multiply(d, arrived, d)
            else:
                hand_back(later, arrived, dh)
                np.multiply(d, dh, d)
            later = d
        _receive_product(weight_hh, states, dz)
        if inputs.requires_grad:
            inputs.receive(dz)
        if start.requires_grad:
            start.receive(_start_gradient(w, dz, dh.shape))

    return record(states[..., 1:, :, :], (inputs, start, weight_hh), vjp)


def lstm(
    projected: Tensor | Array, hidden: Tensor | Array, cell: Tensor | Array, weight_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """(T, B, 4H), (B, H), (B, H), (H, 4H) -> (T, B, H), (B, H): all hidden states, and the last cell.

    With the gates i, f, g, o = projected_t + h_(t-1) @ weight_hh, H columns each in this order,
    c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g) and h_t = sigmoid(o) tanh(c_t).

    Args:
        projected: what the inputs contribute to each step's gates, bias included.
        hidden: the hidden state before the first step.
        cell: the cell before the first step.
        weight_hh: as above.

    Raises:
        GraphError: shapes or dtypes do not fit.
    """
    inputs, start, start_cell = as_tensor("lstm", projected), as_tensor("lstm", hidden), as_tensor("lstm", cell)
    _require_fit("lstm", inputs, (start, start_cell), weight_hh, num_gates=4)
    window = _LSTMWindow(inputs.data, start.data, start_cell.data, weight_hh.data)
    arrived: list[Array | None] = [None, None]

    def vjp(_: Array) -> None:
        dz, dc = window.run_back(*arrived)
        _receive_product(weight_hh, window.states, dz)
        if inputs.requires_grad:
            inputs.receive(dz)
        if start.requires_grad:
            start.receive(_start_gradient(weight_hh.data, dz, start.data.shape))
        if start_cell.requires_grad:
            start_cell.receive(dc)

    joint = record(np.empty(0, weight_hh.data.dtype), (inputs, start, start_cell, weight_hh), vjp)
    states, last_cell = window.states[..., 1:, :, :], window.cells[..., -1, :, :]
    return _result(joint, states, arrived, 0), _result(joint, last_cell, arrived, 1)


def _result(joint: Tensor, data: Array, arrived: list[Array | None], place: int) -> Tensor:
    """Returns one of the two results of an operation that is recorded as a tensor without elements.

    The operation's turn comes after that of both its results; they leave it their gradients in a list.
    """

    def vjp(g: Array) -> None:
        arrived[place] = g
        joint.receive(joint.data)

    return record(data, (joint,), vjp)


class _LSTMWindow:
    """What a window of LSTM steps computes, and keeps for its gradient.

    Args:
        x: (T, B, 4H), stacked (K, T, B, 4H), the inputs' part of the gates.
        hidden: (B, H), stacked (K, B, H).
        cell: as `hidden`.
        w: (H, 4H), stacked (K, H, 4H).

    Attributes:
        states: (T + 1, B, H), stacked (K, T + 1, B, H), the hidden states from the first on.
        cells: the same of the cells.
    """

    __slots__ = ("_bounded", "_gates", "_w", "cells", "states")

    def __init__(self, x: Array, hidden: Array, cell: Array, w: Array) -> None:
        units = w.shape[-2]
        self._w = w
        self.states, steps = _states(x, hidden)
        self.cells, cell_steps = _states(x, cell)
        self._gates = empty(x.shape, w.dtype)  # sigmoid of i and f, tanh of g, sigmoid of o
        self._bounded = empty((*x.shape[:-1], units), w.dtype)  # tanh of the cells
        by_time = functools.partial(_by_time, stacked=w.ndim == 3)
        scale, shift = _affine(units, w.dtype.char)
        update = np.empty(cell.shape, w.dtype)
        gates = zip(by_time(x), by_time(self._gates), *map(by_time, _quarters(self._gates)), strict=True)
        cells = zip(cell_steps, cell_steps[1:], by_time(self._bounded), strict=False)
        for h, y, (inputs, z, i, f, g, o), (before, c, tanh_c) in zip(steps, steps[1:], gates, cells, strict=False):
            np.matmul(h, w, z)
            np.add(z, inputs, z)
            # sigmoid(z) = tanh(z / 2) / 2 + 1 / 2: one call of tanh serves all four gates.
            np.multiply(z, scale, z)
            np.tanh(z, z)
            np.multiply(z, scale, z)
            np.add(z, shift, z)
            np.multiply(f, before, c)
            np.multiply(i, g, update)
            np.add(c, update, c)
            np.tanh(c, tanh_c)
            np.multiply(o, tanh_c, y)

    def run_back(self, g: Array | None, g_last: Array | None) -> tuple[Array, Array]:
        """Returns the gradients by the gates' sums, as `x`, and by the first cell; to be called once.

        Args:
            g: the gradient by the hidden states, (T, B, H); none where it is zero.
            g_last: the gradient by the last cell, (B, H); none where it is zero.
        """
        gates, shape = self._gates, self.cells[..., 0, :, :].shape
        dz = empty(gates.shape, gates.dtype)
        dh, by_cell = np.zeros(shape, gates.dtype), np.empty(shape, gates.dtype)
        dc = np.zeros(shape, gates.dtype) if g_last is None else np.array(g_last)
        dc_by_gate = dc[..., np.newaxis, :]
        hand_back = _hand_back(self._w, shape)
        by_time = functools.partial(_by_time, stacked=len(shape) == 3)
        forget, slopes, ds = by_time(_quarters(gates)[1]), by_time(self._bounded), by_time(dz)
        by_gate = dz.reshape(*dz.shape[:-1], 4, shape[-1])
        ds_by_cell, ds_by_output = by_time(by_gate[..., :3, :]), by_time(by_gate[..., 3, :])
        arrived: Sequence[Array | None] = [None] * len(ds) if g is None else by_time(g)
        block = max(1, _BLOCK_SIZE * len(ds) // max(1, gates.size))
        later = None
        for time in reversed(range(len(ds))):
            if later is None or time % block == block - 1:
                self._write_slopes(dz, time // block * block, time + 1)
            g_t = arrived[time]
            if later is not None:
                hand_back(later, g_t, dh)
            elif g_t is not None:
                np.copyto(dh, g_t)
            np.multiply(dh, slopes[time], by_cell)
            np.add(dc, by_cell, dc)
            np.multiply(ds_by_cell[time], dc_by_gate, ds_by_cell[time])
            np.multiply(ds_by_output[time], dh, ds_by_output[time])
            np.multiply(dc, forget[time], dc)
            later = ds[time]
        return dz, dc

    def _write_slopes(self, dz: Array, start: int, stop: int) -> None:
        """Writes for some steps what the gradients by cell and state are multiplied by to give those of the gates.

        The tanh of the cells is overwritten by the slope of the state by the cell.
        """
        steps = np.s_[..., start:stop, :, :]
        z, d, tanh_c, before = self._gates[steps], dz[steps], self._bounded[steps], self.cells[steps]
        i, _, g, o = _quarters(z)
        di, df, dg, do = _quarters(d)
        one = _ONE[z.dtype.char]
        np.multiply(z, z, d)
        both, bounded_both = d[..., : 2 * i.shape[-1]], z[..., : 2 * i.shape[-1]]
        np.subtract(bounded_both, both, both)
        np.multiply(di, g, di)
        np.multiply(df, before, df)
        np.subtract(one, dg, dg)
        np.multiply(dg, i, dg)
        np.subtract(o, do, do)
        np.multiply(do, tanh_c, do)
        np.multiply(tanh_c, tanh_c, tanh_c)
        np.subtract(one, tanh_c, tanh_c)
        np.multiply(tanh_c, o, tanh_c)


@functools.lru_cache(maxsize=32)
def _affine(units: int, char: str) -> tuple[Array, Array]:
    """Returns (4H,) a and b: a tanh(a z) + b is the sigmoid of gates i, f and o, and tanh of g."""
    scale, shift = np.full(4 * units, 0.5, char), np.full(4 * units, 0.5, char)
    scale[2 * units : 3 * units], shift[2 * units : 3 * units] = 1, 0
    scale.setflags(write=False)
    shift.setflags(write=False)
    return scale, shift


def _states(x: Array, first: Array) -> tuple[Array, list[Array]]:
    """Returns room for the states of a window, its first state filled in, and the states one by one.

    Args:
        x: (T, B, ...), stacked (K, T, B, ...).
        first: (B, H), stacked (K, B, H).
    """
    states = empty((*x.shape[:-3], x.shape[-3] + 1, *first.shape[-2:]), first.dtype)
    steps = _by_time(states, stacked=x.ndim == 4)
    np.copyto(steps[0], first)
    return states, steps


def _by_time(window: Array, *, stacked: bool) -> list[Array]:
    """(T, B, ...) -> T views (B, ...); stacked (K, T, B, ...) -> T views (K, B, ...)."""
    return list(window.swapaxes(0, 1) if stacked else window)


def _quarters(gates: Array) -> tuple[Array, Array, Array, Array]:
    """(..., 4H) -> four views (..., H), in the order i, f, g, o."""
    units = gates.shape[-1] // 4
    return gates[..., :units], gates[..., units : 2 * units], gates[..., 2 * units : 3 * units], gates[..., 3 * units :]


def _hand_back(w: Array, shape: tuple[int, ...]) -> _HandBack:
    """Returns the function that writes d @ w.T + g, the gradient by a state of this shape (..., B, H).

    Its arguments are d, the gradient by what a step adds to its inputs; g, what arrived for the state
    from elsewhere, if anything; and where to write.
    """
    turned = w.swapaxes(-1, -2)
    if shape[-1] < _TURNED_UNITS or shape[-2] == 1:

        def write(d: Array, g: Array | None, out: Array) -> None:
            np.matmul(d, turned, out)
            if g is not None:
                np.add(out, g, out)

        return write
    product = np.empty((*shape[:-2], shape[-1], shape[-2]), w.dtype)
    result = product.swapaxes(-1, -2)

    def write_turned(d: Array, g: Array | None, out: Array) -> None:
        np.matmul(w, d.swapaxes(-1, -2), product)
        if g is None:
            np.copyto(out, result)
        else:
            np.add(result, g, out)

    return write_turned


def _start_gradient(w: Array, dz: Array, shape: tuple[int, ...]) -> Array:
    """Returns the gradient by the first state, of this shape (..., B, H)."""
    dh = np.zeros(shape, w.dtype)
    if dz.shape[-3]:
        _hand_back(w, shape)(dz[..., 0, :, :], None, dh)
    return dh


def _receive_product(weight: Tensor, states: Array, dz: Array) -> None:
    """Brings the weights their gradient: one product over the window of the states before each step and dz."""
    if weight.requires_grad:
        before = states[..., :-1, :, :]
        rows = before.reshape(*before.shape[:-3], -1, before.shape[-1])
        weight.receive_product(rows.swapaxes(-1, -2), dz.reshape(*dz.shape[:-3], -1, dz.shape[-1]))


def _write_tanh_slope(y: Array, out: Array) -> None:
    np.multiply(y, y, out)
    np.subtract(_ONE[y.dtype.char], out, out)


def _write_sigmoid_slope(y: Array, out: Array) -> None:
    np.subtract(_ONE[y.dtype.char], y, out)
    np.multiply(out, y, out)


def _write_relu_slope(y: Array, out: Array) -> None:
    np.sign(y, out)  # 0 or 1, as y is never negative


_SLOPES: Final = {"tanh": _write_tanh_slope, "sigmoid": _write_sigmoid_slope, "relu": _write_relu_slope}
"""By the name of an activation, what writes its slope, from its result alone."""


def _require_fit(operation: str, inputs: Tensor, starts: tuple[Tensor, ...], weight: Tensor, num_gates: int) -> None:
    """Raises GraphError unless the operands of a recurrent operation fit."""
    x, w = inputs.data, weight.data
    sides = w.shape[-2:]
    columns = sides[0] * num_gates if len(sides) == 2 else -1
    fits = w.ndim in {2, 3} and sides[1] == columns
    fits = fits and x.ndim == w.ndim + 1 and x.shape[-1] == columns and x.shape[:-3] == w.shape[:-2]
    fits = fits and x.dtype == w.dtype
    expected = (*x.shape[:-3], x.shape[-2], sides[0]) if fits else ()
    for start in starts:
        fits = fits and start.data.shape == expected and start.data.dtype == w.dtype
    if fits:
        return
    gates = "H" if num_gates == 1 else f"{num_gates}H"
    shapes = f"projected (T, B, {gates}), states (B, H) and weight_hh (H, {gates})"
    states = " and ".join(f"{start.shape} of {start.dtype}" for start in starts)
    message = (
        f"{operation}: needs {shapes} of one dtype, stacked with K before each, got {x.shape} of {x.dtype}, "
        f"{states}, and {getattr(weight, 'name', '') or 'weight_hh'} {w.shape} of {w.dtype}"
    )
    raise GraphError(message)
