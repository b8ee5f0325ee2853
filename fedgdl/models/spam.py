"""The spam filter: one weight for each word, summed over an e-mail's words, through a sigmoid.

This is a linear classifier on a bag of words, without a bias. It starts at zero, where every
e-mail is as likely spam as ham, so no seed has any effect on it.

Source: Andrew W. Trask, Grokking Deep Learning, 2019, chapter 15, "Learning to detect spam".

Example:
    >>> model = SpamModel(5, dtype="float64")
    >>> model(np.array([0, 4, 2]), np.array([0, 2, 3])).data
    array([0.5, 0.5])
"""

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.nn import EmbeddingBag, Module, Sigmoid, init
from fedgdl.parameters import DType

__all__ = ["SpamModel"]


class SpamModel(Module):
    """The probability that an e-mail is spam, from the words in it.

    Args:
        vocabulary_size: V, how many words there are.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        words: the words' weights; its table (V, 1) is the model's one parameter, `words.weight`.

    Raises:
        ParameterError: there is not a single word.
    """

    def __init__(self, vocabulary_size: int, *, dtype: DType) -> None:
        self.words = EmbeddingBag(vocabulary_size, 1, initial=init.zeros, dtype=dtype)
        self.squash = Sigmoid()

    def forward(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Tensor:
        """Returns the probability of spam of each e-mail, (b,), in a stack (K, b).

        Args:
            token_ids: (n,) int64, the words of all e-mails one after another, 0 to V - 1.
            offsets: (b + 1,) int64; e-mail i has `token_ids[offsets[i]:offsets[i + 1]]`. In a stack
                (K * b + 1,): the e-mails of all clients end to end in the order of the clients.
        """
        sums = self.words(token_ids, offsets)
        return self.squash(sums.reshape(*sums.shape[:-1]))
