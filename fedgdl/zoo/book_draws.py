"""The start weights of the book's framework (chapters 13 and 14), from NumPy's former generator.

The book seeds the global generator with 0. Each of its tensors takes a random number from that generator for a name,
so that making a tensor changes all weights drawn later. To start from the same weights, both are drawn here in the
same order.

Not here: draws for anything else. What is not to repeat the book takes a `numpy.random.Generator`.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapters 13 and 14, companion notebooks.

Example:
    >>> draws = BookDraws()
    >>> draws.name_tensors(2)
    >>> draws.even((2, 3))[0]
    array([0.71518937, 0.60276338, 0.54488318])
"""

import numpy as np
import numpy.typing as npt

from fedgdl.nn.init import Initialiser

__all__ = ["BookDraws", "given"]


class BookDraws:
    """What the book draws after seeding with 0, in its order.

    Args:
        num_names: from how many numbers a tensor's name is drawn: 100,000 in chapter 13, 1,000,000,000 in chapter 14;
            0 where there are no tensors yet.
    """

    def __init__(self, num_names: int = 100_000) -> None:
        self._random = np.random.RandomState(0)  # the book's own generator, to draw what it drew
        self._num_names = num_names

    def name_tensors(self, count: int) -> None:
        """Takes the names of some tensors that are no weights: data and targets."""
        for _ in range(count if self._num_names else 0):
            self._random.randint(0, self._num_names)

    def even(self, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
        """Returns weights drawn evenly from [0, 1)."""
        weights: npt.NDArray[np.float64] = self._random.random_sample(shape)
        self.name_tensors(1)
        return weights

    def embedding(self, num_words: int, size: int) -> npt.NDArray[np.float64]:
        """Returns a table (num_words, size), even within [-0.5 / size, 0.5 / size)."""
        return (self.even((num_words, size)) - 0.5) / size

    def linear(self, num_in: int, num_out: int, *, bias: bool = True) -> npt.NDArray[np.float64]:
        """Returns the weights (num_in, num_out) of a layer, normal with deviation sqrt(2 / num_in).

        The book's biases start at zero; one more name is taken where there is a bias.
        """
        weights: npt.NDArray[np.float64] = self._random.standard_normal((num_in, num_out)) * np.sqrt(2 / num_in)
        self.name_tensors(2 if bias else 1)
        return weights


def given(values: npt.NDArray[np.float64]) -> Initialiser:
    """Returns an initialiser of these values."""
    return lambda shape, rng, dtype: values.astype(dtype)  # noqa: ARG005 (what an initialiser is called with)
