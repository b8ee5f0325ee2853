"""A classifier of texts as bags of words: each word has a vector, a text the sum or mean of them, a class a score.

With as many classes as there are moods it tells what a review thinks of its film; any other labelled texts do as well.

Not here: how a text becomes word ids (`fedgdl.data`).

Source: in chapter 11 of Andrew W. Trask, Grokking Deep Learning, 2019, the sum goes through a sigmoid and the loss is
squared; here there is nothing between, as in Joulin, Grave, Bojanowski, Mikolov, "Bag of Tricks for Efficient Text
Classification", EACL 2017, section 2.

Example:
    >>> model = SentimentModel(100, 2, rng=np.random.default_rng(1))
    >>> model(np.array([7, 99, 3]), np.array([0, 2, 3])).shape
    (2, 2)
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.nn import Dropout, EmbeddingBag, Linear, Module, init
from fedgdl.parameters import DType

__all__ = ["SentimentModel"]


class SentimentModel(Module):
    """The score of each class, from the words of a text.

    Words start near zero, so that all texts have nearly the same scores; the classifier starts as any dense layer.

    Args:
        vocabulary_size: V, how many words there are.
        num_classes: C, how many classes.
        embedding_size: D, how long a word's vector is.
        mode: whether a text is the sum or the mean of its words' vectors. With the mean, long texts do not speak
            louder than short ones; but then words learn slowly beside the classifier, which, where a client's texts
            are all of one class, soon says nothing else.
        dropout: the share of a text's vector that training sets to zero.
        rng: draws the initial values.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        words: the words' vectors, a table (V, D) as `words.weight`.
        classifier: the dense layer behind, (D, C) and (C,).

    Raises:
        ParameterError: a size is not positive, or `dropout` is no share.
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int,
        embedding_size: int = 16,
        mode: Literal["sum", "mean"] = "sum",
        *,
        dropout: float = 0.0,
        rng: np.random.Generator,
        dtype: DType = "float32",
    ) -> None:
        self.words = EmbeddingBag(
            vocabulary_size, embedding_size, mode, rng=rng, initial=init.embedding_uniform, dtype=dtype
        )
        self.dropout = Dropout(dropout)
        self.classifier = Linear(embedding_size, num_classes, rng=rng, dtype=dtype)

    def forward(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Tensor:
        """Returns the scores of the classes for each text, (b, C), in a stack (K, b, C).

        Args:
            token_ids: (n,) int64, the words of all texts one after another, 0 to V - 1.
            offsets: (b + 1,) int64; text i has `token_ids[offsets[i]:offsets[i + 1]]`. In a stack (K * b + 1,): the
                texts of all clients end to end in the order of the clients.

        Raises:
            GraphError: a shape, dtype, offset or id is not as said above.
        """
        return self.classifier(self.dropout(self.words(token_ids, offsets)))
