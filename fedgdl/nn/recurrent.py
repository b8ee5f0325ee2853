"""Layers that read a sequence step by step and carry a state along.

`RNN` and `LSTM` read a whole window, time first: (T, B, I) for T steps of B sequences. The products with the inputs of
all steps are one matrix product. `RNNCell` and `LSTMCell` are their single steps.

A window of token ids is read through a small table by `embedding=`: the table, not the window, is then multiplied
with the input weights. For truncated backpropagation, carry the state from window to window and detach it:

    outputs, state = layer(window, state)
    loss = ...
    loss.backward()
    state = state.detach()                            # RNN
    state = state[0].detach(), state[1].detach()      # LSTM

Example:
    >>> layer = LSTM(3, 4, rng=np.random.default_rng(1))
    >>> outputs, (hidden, cell) = layer(np.ones((7, 2, 3), "float32"))
    >>> outputs.shape, hidden.shape, cell.shape
    ((7, 2, 4), (2, 4), (2, 4))
"""

import math
from typing import Any, Final, cast

import numpy as np

from fedgdl.autograd import Parameter, Tensor, embedding_linear, getitem, linear, lstm, reshape, rnn
from fedgdl.autograd.activation import ActivationName
from fedgdl.autograd.recurrent import rnn_and_last
from fedgdl.autograd.tensor import Array
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import checks, init
from fedgdl.nn.embedding import Embedding
from fedgdl.nn.module import Module
from fedgdl.parameters import DType

__all__ = ["LSTM", "RNN", "LSTMCell", "RNNCell"]

_LAST: Final = (..., -1, slice(None), slice(None))
"""The last step of a window, (T, B, M) or (K, T, B, M)."""


class _Recurrent(Module):
    """What they share: the weights, drawn in the order input, hidden, bias."""

    def __init__(
        self,
        sizes: tuple[int, int],
        gates: int,
        rng: np.random.Generator | None,
        initial: init.Initialiser | None,
        dtype: DType,
        *,
        bias: bool,
    ) -> None:
        has_bias = checks.flag(type(self).__name__, "bias", bias)
        input_size, hidden_size = sizes
        width = gates * hidden_size
        spread = init.uniform(1 / math.sqrt(max(hidden_size, 1)))  # a size below 1 is refused with the shape
        self.weight_ih = init.initial_parameter(initial or spread, (input_size, width), rng, dtype)
        self.weight_hh = init.initial_parameter(initial or spread, (hidden_size, width), rng, dtype)
        self.bias: Parameter | None = None
        if has_bias:
            self.bias = init.initial_parameter(init.zeros if initial else spread, (width,), rng, dtype)
        self.hidden_size = hidden_size

    def _project(self, window: Any, embedding: Embedding | None) -> Tensor:  # noqa: ANN401 (floats or ids)
        """(T, B, I) or ids (T, B) -> (T, B, gates * H): the products of the inputs with their weights."""
        if embedding is None:
            return linear(window, self.weight_ih, self.bias)
        return embedding_linear(embedding.weight, window, self.weight_ih, self.bias)

    def _zeros(self, shape: tuple[int, ...]) -> Tensor:
        """Returns the first state for projections of this shape without the axis of time."""
        return Tensor(np.zeros((*shape[:-1], self.hidden_size), self.weight_hh.data.dtype))


def _step(projected: Tensor) -> Tensor:
    """(B, M) -> (1, B, M): a window of one step."""
    shape = projected.data.shape
    return reshape(projected, (*shape[:-2], 1, *shape[-2:]))


def _without_time(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of one step of a window, (T, B, M) or (K, T, B, M)."""
    return (*shape[:-3], *shape[-2:])


class RNNCell(_Recurrent):
    """One step of an `RNN`: h' = f(x @ weight_ih + bias + h @ weight_hh).

    Args:
        input_size: I, length of an input.
        hidden_size: H, length of the state.
        bias: whether there is a bias; there is one, where PyTorch adds up two.
        nonlinearity: f, `"tanh"`, `"relu"` or `"sigmoid"`.
        rng: draws the initial values, in the order of the attributes.
        initial: makes both weights; the bias then starts at zero. Left out, all are drawn evenly from
            [-b, b) with b = 1 / sqrt(hidden_size), as PyTorch does.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight_ih: (I, H).
        weight_hh: (H, H).
        bias: (H,), or none.

    Raises:
        ParameterError: a size is not positive, there is no such nonlinearity, `bias` is no truth value, or values are
            to be drawn without an rng.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,  # noqa: FBT001, FBT002 (PyTorch's order)
        nonlinearity: ActivationName = "tanh",
        *,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser | None = None,
        dtype: DType = "float32",
    ) -> None:
        self.nonlinearity = _checked(nonlinearity)
        super().__init__((input_size, hidden_size), 1, rng, initial, dtype, bias=bias)

    def forward(self, x: Tensor | Array, hidden: Tensor | None = None) -> Tensor:
        """Returns the next state, (B, H).

        Args:
            x: (B, I), in a stack (K, B, I).
            hidden: the state, (B, H); zeros when left out.

        Raises:
            GraphError: shapes or dtypes do not fit.
        """
        projected = self._project(x, None)
        shape = projected.data.shape
        before = self._zeros(shape) if hidden is None else hidden
        return reshape(rnn(_step(projected), before, self.weight_hh, self.nonlinearity), shape)


class LSTMCell(_Recurrent):
    """One step of an `LSTM`: c' = f * c + i * g and h' = o * tanh(c').

    The gates i, f, o are sigmoids and the candidate g a tanh of x @ weight_ih + bias + h @ weight_hh, where they lie
    side by side in the order i, f, g, o.

    Args:
        input_size: I, length of an input.
        hidden_size: H, length of the state.
        bias: whether there is a bias; there is one, where PyTorch adds up two.
        rng: draws the initial values, in the order of the attributes.
        initial: makes both weights; the bias then starts at zero. Left out, all are drawn evenly from
            [-b, b) with b = 1 / sqrt(hidden_size), as PyTorch does.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight_ih: (I, 4 H).
        weight_hh: (H, 4 H).
        bias: (4 H,), or none.

    Raises:
        ParameterError: a size is not positive, `bias` is no truth value, or values are to be drawn without an rng.

    Source:
        Gers, Schmidhuber, Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural Computation 12, 2000.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,  # noqa: FBT001, FBT002 (PyTorch's order)
        *,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser | None = None,
        dtype: DType = "float32",
    ) -> None:
        super().__init__((input_size, hidden_size), 4, rng, initial, dtype, bias=bias)

    def forward(self, x: Tensor | Array, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Returns the next state, (h', c'), each (B, H).

        Args:
            x: (B, I), in a stack (K, B, I).
            state: (h, c), each (B, H); zeros when left out.

        Raises:
            GraphError: shapes or dtypes do not fit.
        """
        projected = self._project(x, None)
        hidden, cell = _pair(state) or (self._zeros(projected.data.shape), self._zeros(projected.data.shape))
        outputs, last = lstm(_step(projected), hidden, cell, self.weight_hh)
        return reshape(outputs, last.data.shape), last


class RNN(_Recurrent):
    """Reads a window with one `RNNCell` step after another: h' = f(x @ weight_ih + bias + h @ weight_hh).

    Args:
        input_size: I, length of an input.
        hidden_size: H, length of the state.
        nonlinearity: f, `"tanh"`, `"relu"` or `"sigmoid"`.
        bias: whether there is a bias; there is one, where PyTorch adds up two.
        rng: draws the initial values, in the order of the attributes.
        initial: makes both weights; the bias then starts at zero. Left out, all are drawn evenly from
            [-b, b) with b = 1 / sqrt(hidden_size), as PyTorch does.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight_ih: (I, H).
        weight_hh: (H, H).
        bias: (H,), or none.

    Raises:
        ParameterError: a size is not positive, there is no such nonlinearity, `bias` is no truth value, or values are
            to be drawn without an rng.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: ActivationName = "tanh",
        bias: bool = True,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser | None = None,
        dtype: DType = "float32",
    ) -> None:
        self.nonlinearity = _checked(nonlinearity)
        super().__init__((input_size, hidden_size), 1, rng, initial, dtype, bias=bias)

    def forward(
        self,
        window: Tensor | Array,
        hidden: Tensor | None = None,
        *,
        embedding: Embedding | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Returns the states after each step, (T, B, H), and after the last, (B, H).

        After a window without steps the state is the first one.

        Args:
            window: (T, B, I), in a stack (K, T, B, I); or, with `embedding`, int64 ids (T, B).
            hidden: the first state, (B, H); zeros when left out.
            embedding: the table of vectors of length I that the ids name.

        Raises:
            GraphError: shapes or dtypes do not fit.
        """
        projected = self._project(window, embedding)
        before = self._zeros(_without_time(projected.data.shape)) if hidden is None else hidden
        return rnn_and_last(projected, before, self.weight_hh, self.nonlinearity)


class LSTM(_Recurrent):
    """Reads a window with one `LSTMCell` step after another.

    Args:
        input_size: I, length of an input.
        hidden_size: H, length of the state.
        bias: whether there is a bias; there is one, where PyTorch adds up two.
        rng: draws the initial values, in the order of the attributes.
        initial: makes both weights; the bias then starts at zero. Left out, all are drawn evenly from
            [-b, b) with b = 1 / sqrt(hidden_size), as PyTorch does.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight_ih: (I, 4 H), the gates in the order i, f, g, o.
        weight_hh: (H, 4 H).
        bias: (4 H,), or none.

    Raises:
        ParameterError: a size is not positive, `bias` is no truth value, or values are to be drawn without an rng.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser | None = None,
        dtype: DType = "float32",
    ) -> None:
        super().__init__((input_size, hidden_size), 4, rng, initial, dtype, bias=bias)

    def forward(
        self,
        window: Tensor | Array,
        state: tuple[Tensor, Tensor] | None = None,
        *,
        embedding: Embedding | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Returns the outputs h of each step, (T, B, H), and the state (h, c) after the last, each (B, H).

        After a window without steps the state is the first one.

        Args:
            window: (T, B, I), in a stack (K, T, B, I); or, with `embedding`, int64 ids (T, B).
            state: the first (h, c), each (B, H); zeros when left out.
            embedding: the table of vectors of length I that the ids name.

        Raises:
            GraphError: shapes or dtypes do not fit.
        """
        projected = self._project(window, embedding)
        before = _without_time(projected.data.shape)
        hidden, cell = _pair(state) or (self._zeros(before), self._zeros(before))
        outputs, last = lstm(projected, hidden, cell, self.weight_hh)
        after = getitem(outputs, _LAST) if outputs.data.shape[-3] else reshape(hidden, hidden.shape)
        return outputs, (after, last)


def _pair(state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor] | None:
    """Returns an LSTM's state, if one is given.

    Raises:
        GraphError: it is no pair.
    """
    if state is not None and (not isinstance(cast("object", state), tuple | list) or len(state) != 2):
        message = f"an LSTM's state is a pair (hidden, cell), got {type(state).__name__}"
        raise GraphError(message)
    return state


def _checked(nonlinearity: ActivationName) -> ActivationName:
    if nonlinearity not in ("tanh", "relu", "sigmoid"):
        message = f'nonlinearity is "tanh", "relu" or "sigmoid", not {nonlinearity!r}'
        raise ParameterError(message)
    return nonlinearity
