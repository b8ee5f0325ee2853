"""Tables of vectors, one for each word, and what is read from them.

Example:
    >>> words = EmbeddingBag(4, 2, rng=np.random.default_rng(1))
    >>> words(np.array([0, 3, 3]), np.array([0, 1, 3])).shape
    (2, 2)
    >>> Embedding(4, 2, initial=init.zeros)(np.array([[0, 3, 3]])).shape
    (1, 3, 2)
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, Tensor, embedding, embedding_bag
from fedgdl.errors import ParameterError
from fedgdl.nn import init
from fedgdl.nn.module import Module
from fedgdl.parameters import DType

__all__ = ["Embedding", "EmbeddingBag"]


class Embedding(Module):
    """The vector of each word.

    The table's gradient is sparse where the module is called: a step changes the rows that were read. It is dense
    where a recurrent layer reads the table by `embedding=`, which is meant for small tables.

    Args:
        num_embeddings: V, how many words there are.
        embedding_dim: D, how long a word's vector is.
        rng: draws the initial values.
        initial: makes the table; left out, it is even within [-0.5 / D, 0.5 / D).
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight: the table, (V, D).

    Raises:
        ParameterError: a size is not positive, or values are to be drawn without an rng.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser = init.embedding_uniform,
        dtype: DType = "float32",
    ) -> None:
        self.weight = _table(num_embeddings, embedding_dim, initial, rng, dtype)

    def forward(self, ids: npt.NDArray[np.int64]) -> Tensor:
        """Returns the vectors, (..., D).

        Args:
            ids: (...) int64, 0 to V - 1; in a stack (K, ...).

        Raises:
            GraphError: ids of another dtype or range.
        """
        return embedding(self.weight, ids)


class EmbeddingBag(Module):
    """The sum or the mean of the vectors of the words in each bag.

    Args:
        num_embeddings: V, how many words there are.
        embedding_dim: D, how long a word's vector is.
        mode: whether a bag's vectors are summed or averaged.
        rng: draws the initial values.
        initial: makes the table; left out, it is even within [-0.5 / D, 0.5 / D).
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight: the table, (V, D). Its gradient is sparse.

    Raises:
        ParameterError: a size is not positive, or values are to be drawn without an rng.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        mode: Literal["sum", "mean"] = "sum",
        *,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser = init.embedding_uniform,
        dtype: DType = "float32",
    ) -> None:
        self.weight = _table(num_embeddings, embedding_dim, initial, rng, dtype)
        self.mode = mode

    def forward(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Tensor:
        """Returns the bags' sums or means, (b, D), in a stack (K, b, D); an empty bag gives zeros.

        Args:
            token_ids: (n,) int64, the ids of all bags one after another, 0 to V - 1.
            offsets: (b + 1,) int64; bag i is `token_ids[offsets[i]:offsets[i + 1]]`. In a stack (K * b + 1,): the
                bags of all clients end to end in the order of the clients, the same number for each.

        Raises:
            GraphError: a shape, dtype, offset or id is not as said above.
        """
        return embedding_bag(self.weight, token_ids, offsets, self.mode)


def _table(
    num_embeddings: int,
    embedding_dim: int,
    initial: init.Initialiser,
    rng: np.random.Generator | None,
    dtype: DType,
) -> Parameter:
    """Returns a new table (V, D)."""
    if num_embeddings < 1 or embedding_dim < 1:
        message = f"an embedding needs at least one word and one dimension, got {num_embeddings} x {embedding_dim}"
        raise ParameterError(message)
    return init.initial_parameter(initial, (num_embeddings, embedding_dim), rng, dtype)
