"""A guesser of words: reads a sentence word by word and, at each, says which one comes next.

Not here: sentences and their words (`fedgdl.data`).

Example:
    >>> model = NextWordModel(200, rng=np.random.default_rng(1))
    >>> scores, state = model(np.zeros((11, 3), np.int64))
    >>> scores.shape, state.shape
    ((11, 3, 200), (3, 64))
"""

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.nn import RNN, Dropout, Embedding, Linear, Module, init
from fedgdl.parameters import DType

__all__ = ["NextWordModel"]


class NextWordModel(Module):
    """Words' vectors, a plain recurrent layer, and a dense layer with a score for each word.

    Args:
        vocabulary_size: V, how many words there are.
        embedding_size: D, how long a word's vector is.
        hidden: H, the units of the recurrent layer.
        dropout: the share of its outputs that training sets to zero.
        rng: draws the initial values.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        words: the words' vectors, (V, D); they start evenly from [-1, 1).
        reader: the recurrent layer, of tanh; both matrices start orthogonal, so that what is remembered is neither
            blown up nor lost.
        out: the dense layer.

    Raises:
        ParameterError: a size is not positive, or `dropout` is no share.

    Source:
        Andrew W. Trask, Grokking Deep Learning, 2019, chapters 12 and 13, there with sigmoids.
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int = 16,
        hidden: int = 64,
        *,
        dropout: float = 0.0,
        rng: np.random.Generator,
        dtype: DType = "float32",
    ) -> None:
        self.words = Embedding(vocabulary_size, embedding_size, rng=rng, initial=init.uniform(1.0), dtype=dtype)
        self.reader = RNN(embedding_size, hidden, rng=rng, initial=init.orthogonal, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.out = Linear(hidden, vocabulary_size, rng=rng, dtype=dtype)

    def forward(self, window: npt.NDArray[np.int64], state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns the scores of the word that follows each one, (T, B, V), and the state after the last, (B, H).

        A score depends on the words up to its own, and on the state, none after it.

        Args:
            window: (T, B) int64, T words of each of B sentences, 0 to V - 1; in a stack (K, T, B), with scores
                (K, T, B, V).
            state: what the window before returned; an empty memory when left out.

        Raises:
            GraphError: ids of another dtype or range, or a state of another shape.
        """
        outputs, last = self.reader(window, state, embedding=self.words)
        return self.out(self.dropout(outputs)), last
