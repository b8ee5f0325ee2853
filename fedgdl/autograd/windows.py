"""The steps of recurrent networks over a window, forward and back, on arrays.

Whatever can be said of all steps at once (inputs halved, slopes) is computed for the window in one pass;
the loops hold what waits for the step before, and make no arrays.

Arrays of a window are (T, B, M), in a stack of K clients (K, T, B, M); states are (B, H) and (K, B, H).

Not here: the operations, with checks and gradients of tensors (`recurrent`).

Example:
    >>> states = run_rnn(np.array([[[1.0]], [[0.0]]]), np.array([[0.0]]), np.array([[0.5]]), "relu")
    >>> states.ravel()
    array([0. , 1. , 0.5])
    >>> run_rnn_back(states, np.array([[0.5]]), "relu", None, np.array([[1.0]])).ravel()
    array([0.5, 1. ])
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from fedgdl.autograd.activation import ActivationName
from fedgdl.autograd.tensor import Array
from fedgdl.autograd.workspace import empty

__all__ = ["LSTMWindow", "run_rnn", "run_rnn_back", "start_gradient"]

_TURNED_UNITS: Final = 128
"""From this number of hidden units on, BLAS is faster on w @ d.T than on d @ w.T, by a third at 512."""
_BLOCK_SIZE: Final = 1 << 18
"""About how many elements of the gates are differentiated at a time: 1 MiB of float32, which a cache holds."""
# Constants are arrays without axes: in a ufunc they cost half of what Python's numbers cost.
_ZERO: Final = {char: np.zeros((), char) for char in "fd"}
_ONE: Final = {char: np.ones((), char) for char in "fd"}
_HALF: Final = {char: np.full((), 0.5, char) for char in "fd"}

_Product: TypeAlias = Callable[[Array, Array, Array], Any]
_HandBack: TypeAlias = Callable[[Array, Array | None, Array], None]


def run_rnn(x: Array, first: Array, w: Array, activation: ActivationName) -> Array:
    """Returns the states of a window from the first on, (T + 1, B, H), stacked (K, T + 1, B, H)."""
    states, steps = _states(x, first)
    multiply, apply = _product_of(first.shape), _IN_PLACE[activation]
    if activation == "sigmoid":  # sigmoid(z) = tanh(z / 2) / 2 + 1 / 2, and halves are exact
        half = _HALF[w.dtype.char]
        x, w = np.multiply(x, half, empty(x.shape, x.dtype)), np.multiply(w, half)
    for before, projected, y in zip(steps, _by_time(x), steps[1:], strict=False):
        multiply(before, w, y)
        np.add(y, projected, y)
        apply(y)
    return states


def run_rnn_back(states: Array, w: Array, activation: ActivationName, g: Array | None, g_last: Array | None) -> Array:
    """Returns the gradient by what the inputs contribute, (T, B, H), stacked (K, T, B, H).

    Args:
        states: as `run_rnn` returned them.
        w: (H, H), stacked (K, H, H).
        activation: the same.
        g: the gradient by the states, (T, B, H); none where it is zero.
        g_last: what comes to that of the last state, (B, H); none where it is zero.
    """
    after = states[..., 1:, :, :]
    shape = (*after.shape[:-3], *after.shape[-2:])
    dz = empty(after.shape, after.dtype)
    _SLOPES[activation](after, dz)
    ds = _by_time(dz)
    arrived: list[Array | None] = [None] * len(ds) if g is None else [*_by_time(g)]
    if ds and g_last is not None:
        arrived[-1] = g_last if g is None else g[..., -1, :, :] + g_last
    dh = np.empty(shape, dz.dtype)
    hand_back = _hand_back(w, shape)
    later = None
    for d, g_t in zip(reversed(ds), reversed(arrived), strict=True):
        if later is not None:
            hand_back(later, g_t, dh)
            np.multiply(d, dh, d)
        elif g_t is not None:
            np.multiply(d, g_t, d)
        later = d
    return dz


class LSTMWindow:
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
        multiply = _product_of(hidden.shape)
        scale, shift = _affine(units, w.dtype.char)
        update = np.empty(cell.shape, w.dtype)
        gates = zip(_by_time(x), _by_time(self._gates), *map(_by_time, _quarters(self._gates)), strict=True)
        cells = zip(cell_steps, cell_steps[1:], _by_time(self._bounded), strict=False)
        for h, y, (inputs, z, i, f, g, o), (before, c, tanh_c) in zip(steps, steps[1:], gates, cells, strict=False):
            multiply(h, w, z)
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
        forget, slopes, ds = _by_time(_quarters(gates)[1]), _by_time(self._bounded), _by_time(dz)
        by_gate = dz.reshape(*dz.shape[:-1], 4, shape[-1])
        parts = by_gate if len(shape) == 2 else by_gate.swapaxes(0, 1)
        ds_by_cell, ds_by_output = list(parts[..., :3, :]), list(parts[..., 3, :])
        arrived: Sequence[Array | None] = [None] * len(ds) if g is None else _by_time(g)
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
    steps = _by_time(states)
    np.copyto(steps[0], first)
    return states, steps


def _by_time(window: Array) -> list[Array]:
    """(T, B, M) -> T views (B, M); stacked (K, T, B, M) -> T views (K, B, M)."""
    return list(window if window.ndim == 3 else window.swapaxes(0, 1))


def _product_of(shape: tuple[int, ...]) -> _Product:
    """Returns what multiplies states of this shape (..., B, H) by weights; its arguments are both and where to write.

    For a single client `dot` calls the same routine of BLAS as `matmul` does for each of a stack, in less time,
    unless a side is 1.
    """
    return np.dot if len(shape) == 2 and min(shape) > 1 else np.matmul


def _quarters(gates: Array) -> tuple[Array, Array, Array, Array]:
    """(..., 4H) -> four views (..., H), in the order i, f, g, o."""
    units = gates.shape[-1] // 4
    return gates[..., :units], gates[..., units : 2 * units], gates[..., 2 * units : 3 * units], gates[..., 3 * units :]


def _hand_back(w: Array, shape: tuple[int, ...]) -> _HandBack:
    """Returns the function that writes d @ w.T + g, the gradient by a state of this shape (..., B, H).

    Its arguments are d, the gradient by what a step adds to its inputs; g, what arrived for the state
    from elsewhere, if anything; and where to write.
    """
    if shape[-1] < _TURNED_UNITS or shape[-2] == 1:
        multiply, turned = _product_of(shape), np.ascontiguousarray(w.swapaxes(-1, -2))

        def write(d: Array, g: Array | None, out: Array) -> None:
            multiply(d, turned, out)
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


def start_gradient(w: Array, dz: Array, shape: tuple[int, ...], g_last: Array | None) -> Array:
    """Returns the gradient by the first state, of this shape (..., B, H); without steps it is the last one, too."""
    if not dz.shape[-3]:
        return np.zeros(shape, w.dtype) if g_last is None else g_last
    dh = np.empty(shape, w.dtype)
    _hand_back(w, shape)(dz[..., 0, :, :], None, dh)
    return dh


def _put_tanh(y: Array) -> None:
    np.tanh(y, y)


def _put_sigmoid_of_twice(y: Array) -> None:
    half = _HALF[y.dtype.char]
    np.tanh(y, y)
    np.multiply(y, half, y)
    np.add(y, half, y)


def _put_relu(y: Array) -> None:
    np.maximum(y, _ZERO[y.dtype.char], out=y)


_IN_PLACE: Final = {"tanh": _put_tanh, "sigmoid": _put_sigmoid_of_twice, "relu": _put_relu}
"""By the name of an activation, what applies it in place; of the sigmoid, to half of its argument."""


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
