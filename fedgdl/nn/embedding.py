"""Tables of vectors, one for each word, and what is read from them.

Example:
    >>> words = EmbeddingBag(4, 2, dtype="float64", initial="uniform", rng=np.random.default_rng(1))
    >>> words(np.array([0, 3, 3]), np.array([0, 1, 3])).shape
    (2, 2)
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, Tensor, embedding_bag
from fedgdl.errors import ParameterError
from fedgdl.nn.module import Module
from fedgdl.parameters import DType

__all__ = ["EmbeddingBag"]


class EmbeddingBag(Module):
    """The sum or the mean of the vectors of the words in each bag.

    Args:
        num_embeddings: V, how many words there are.
        embedding_dim: D, how long a word's vector is.
        mode: whether a bag's vectors are summed or averaged.
        dtype: `"float32"` or `"float64"`.
        initial: `"zeros"`, or `"uniform"`: evenly spread over [-0.5 / D, 0.5 / D).
        rng: draws the uniform values, in the given dtype.

    Attributes:
        weight: the table, (V, D). Its gradient is sparse.

    Raises:
        ParameterError: a size is not positive, or `"uniform"` came without an `rng`.

    Source:
        The uniform range: Andrew W. Trask, Grokking Deep Learning, 2019, chapter 13, class `Embedding`.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        mode: Literal["sum", "mean"] = "sum",
        *,
        dtype: DType,
        initial: Literal["zeros", "uniform"] = "zeros",
        rng: np.random.Generator | None = None,
    ) -> None:
        if num_embeddings < 1 or embedding_dim < 1:
            message = f"an embedding needs at least one word and one dimension, got {num_embeddings} x {embedding_dim}"
            raise ParameterError(message)
        shape = (num_embeddings, embedding_dim)
        if initial == "zeros":
            table = np.zeros(shape, dtype)
        elif rng is not None:
            table = (rng.random(shape, dtype) - 0.5) / embedding_dim
        else:
            message = f"initial = {initial!r} draws values: pass an rng"
            raise ParameterError(message)
        self.weight = Parameter(table)
        self.mode = mode

    def forward(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Tensor:
        """Returns the bags' sums or means, (b, D); an empty bag gives zeros.

        Args:
            token_ids: (n,) int64, the ids of all bags one after another, 0 to V - 1.
            offsets: (b + 1,) int64; bag i is `token_ids[offsets[i]:offsets[i + 1]]`.
        """
        return embedding_bag(self.weight, token_ids, offsets, self.mode)
