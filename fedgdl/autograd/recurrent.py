"""Recurrent networks over a whole window of steps, each network one operation.

What the inputs contribute is multiplied beforehand, for all steps at once (`linear`, `embedding_linear`);
left to do step by step is the product with the state before. Backward, too, only the states'
gradients go step by step, while the weights' gradient is one product over the window.

Time is the first axis: T steps, B sequences, H hidden units. The window's arrays are (K, T, B, ...) for a
stack of K clients, states (K, B, H) and weights (K, H, ...).

Not here: the steps themselves (`windows`), and layers with weights of their own (`fedgdl.nn`).

Example:
    >>> weight_hh = Tensor([[0.5]])
    >>> rnn(np.array([[[1.0]], [[0.0]]]), np.array([[0.0]]), weight_hh, activation="relu").data.ravel()
    array([1. , 0.5])
"""

from typing import Final

import numpy as np

from fedgdl.autograd.activation import ActivationName, find_activation
from fedgdl.autograd.operands import as_tensor, require_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.autograd.windows import LSTMWindow, run_rnn, run_rnn_back, start_gradient
from fedgdl.errors import GraphError

__all__ = ["lstm", "rnn", "rnn_and_last"]

_NOTHING: Final = {char: np.empty(0, char) for char in "fd"}


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
    return rnn_and_last(projected, hidden, weight_hh, activation)[0]


def rnn_and_last(
    projected: Tensor | Array, hidden: Tensor | Array, weight_hh: Tensor, activation: ActivationName = "tanh"
) -> tuple[Tensor, Tensor]:
    """(T, B, H), (B, H), (H, H) -> (T, B, H), (B, H): all states, as `rnn`, and the last of them.

    The last state by itself is cheaper to run backward than a part of all states is: the others need no zeros.
    Of a window without steps it is the state before.

    Raises:
        GraphError: shapes or dtypes do not fit, or there is no such activation.
    """
    inputs, start = as_tensor("rnn", projected), as_tensor("rnn", hidden)
    _require_fit("rnn", inputs, (start,), weight_hh, num_gates=1)
    find_activation("rnn", activation)
    states = run_rnn(inputs.data, start.data, weight_hh.data, activation)
    arrived: list[Array | None] = [None, None]

    def vjp(_: Array) -> None:
        g, g_last = arrived
        dz = run_rnn_back(states, weight_hh.data, activation, g, g_last)
        _receive_product(weight_hh, states, dz)
        if inputs.requires_grad:
            inputs.receive(dz)
        if start.requires_grad:
            start.receive(start_gradient(weight_hh.data, dz, start.data.shape, g_last))

    joint = record(_NOTHING[states.dtype.char], (inputs, start, weight_hh), vjp)
    return _result(joint, states[..., 1:, :, :], arrived, 0), _result(joint, states[..., -1, :, :], arrived, 1)


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
    window = LSTMWindow(inputs.data, start.data, start_cell.data, weight_hh.data)
    arrived: list[Array | None] = [None, None]

    def vjp(_: Array) -> None:
        dz, dc = window.run_back(*arrived)
        _receive_product(weight_hh, window.states, dz)
        if inputs.requires_grad:
            inputs.receive(dz)
        if start.requires_grad:
            start.receive(start_gradient(weight_hh.data, dz, start.data.shape, None))
        if start_cell.requires_grad:
            start_cell.receive(dc)

    joint = record(_NOTHING[weight_hh.data.dtype.char], (inputs, start, start_cell, weight_hh), vjp)
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


def _receive_product(weight: Tensor, states: Array, dz: Array) -> None:
    """Brings the weights their gradient: one product over the window of the states before each step and dz."""
    if weight.requires_grad:
        before = states[..., :-1, :, :]
        rows = before.reshape(*before.shape[:-3], -1, before.shape[-1])
        weight.receive_product(rows.swapaxes(-1, -2), dz.reshape(*dz.shape[:-3], -1, dz.shape[-1]))


def _require_fit(operation: str, inputs: Tensor, starts: tuple[Tensor, ...], weight: Tensor, num_gates: int) -> None:
    """Raises GraphError unless the operands of a recurrent operation fit."""
    require_tensor(operation, "weight_hh", weight)
    x, w = inputs.data, weight.data
    shape, sides = x.shape, w.shape
    fits = len(sides) in {2, 3} and len(shape) == len(sides) + 1 and x.dtype == w.dtype
    fits = fits and shape[-1] == sides[-1] == num_gates * sides[-2] and shape[:-3] == sides[:-2]
    expected = (*sides[:-2], shape[-2], sides[-2]) if fits else ()
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
