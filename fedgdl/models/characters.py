"""A writer of characters: reads a text character by character and, at each, says which one comes next.

Not here: texts and their characters (`fedgdl.data`), and drawing from what the model says.

Example:
    >>> model = CharacterModel(65, rng=np.random.default_rng(1))
    >>> scores, state = model(np.zeros((80, 3), np.int64))
    >>> scores.shape
    (80, 3, 65)
    >>> model.flatten().layout.size
    813897
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.errors import ParameterError
from fedgdl.nn import LSTM, RNN, Dropout, Embedding, Linear, Module, init
from fedgdl.parameters import DType

__all__ = ["CharacterModel", "State"]

State: TypeAlias = tuple[Any, ...]
"""The state of each recurrent layer: a tensor (B, H) of an RNN, a pair of them of an LSTM."""

_CELLS: Final[dict[str, type[LSTM | RNN]]] = {"lstm": LSTM, "rnn": RNN}


class CharacterModel(Module):
    """Characters' vectors, recurrent layers one upon the other, and a dense layer with a score for each character.

    Args:
        num_characters: V, how many characters there are.
        embedding_size: D, how long a character's vector is.
        hidden: the units of each recurrent layer; with the default sizes and cell this is McMahan's.
        cell: what the recurrent layers are made of.
        dropout: the share of each recurrent layer's outputs that training sets to zero.
        rng: draws the initial values.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        letters: the characters' vectors, (V, D); they start evenly from [-1, 1).
        layers: the recurrent layers.
        out: the dense layer.

    Raises:
        ParameterError: there is no recurrent layer, a size is not positive, or `dropout` is no share.

    Source:
        McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
        Decentralized Data", AISTATS 2017, section 3.
    """

    def __init__(
        self,
        num_characters: int,
        embedding_size: int = 8,
        hidden: Sequence[int] = (256, 256),
        *,
        cell: Literal["lstm", "rnn"] = "lstm",
        dropout: float = 0.0,
        rng: np.random.Generator,
        dtype: DType = "float32",
    ) -> None:
        if not hidden:
            message = "a character model needs the sizes of its recurrent layers, at least one; got none"
            raise ParameterError(message)
        self.letters = Embedding(num_characters, embedding_size, rng=rng, initial=init.uniform(1.0), dtype=dtype)
        sizes = zip((embedding_size, *hidden), hidden, strict=False)
        self.layers = [_CELLS[cell](inputs, units, rng=rng, dtype=dtype) for inputs, units in sizes]
        self.dropout = Dropout(dropout)
        self.out = Linear(hidden[-1], num_characters, rng=rng, dtype=dtype)

    def forward(self, window: npt.NDArray[np.int64], state: State | None = None) -> tuple[Tensor, State]:
        """Returns the scores of the character that follows each one, (T, B, V), and the state after the last.

        A score depends on the characters up to its own, and on the state, none after it.

        Args:
            window: (T, B) int64, T characters of each of B texts, 0 to V - 1; in a stack (K, T, B), with scores
                (K, T, B, V).
            state: what the window before returned; an empty memory when left out.

        Raises:
            GraphError: ids of another dtype or range, or a state of other shapes.
        """
        before = state or (None,) * len(self.layers)
        first, *others = self.layers
        outputs, last = first(window, before[0], embedding=self.letters)
        after = [last]
        for layer, memory in zip(others, before[1:], strict=True):
            outputs, last = layer(self.dropout(outputs), memory)
            after.append(last)
        return self.out(self.dropout(outputs)), tuple(after)
