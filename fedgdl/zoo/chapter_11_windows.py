"""Places of a text, the words around each, and words drawn to be told from the one that stands there.

Data for the network that fills in blanks (`chapter_11_fill_in`), which holds the model. Nothing here crosses from one
review into the next.

Source:
    Negative sampling: Mikolov, Sutskever, Chen, Corrado, Dean, "Distributed Representations of Words and Phrases and
    their Compositionality", NeurIPS 2013, section 2.2; drawn by plain frequency, as the book draws them.

Example:
    >>> corpus = Corpus([np.array([5, 3, 4]), np.array([4, 5])])
    >>> corpus.around(np.array([1, 3]), 2)  # of the word 3: 5 and 4; of the second text's first word: 5
    (array([5, 4, 5]), array([0, 2, 3]))
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fedgdl.errors import DataError

__all__ = ["Corpus"]

_Ids = npt.NDArray[np.int64]


class Corpus:
    """Texts as word ids, end to end.

    Args:
        texts: (n,) int64 word ids each, in reading order.

    Attributes:
        ids: (N,) int64, the words of all texts.
        places: (P,) int64, the places that have a word before or behind them in their text.

    Raises:
        DataError: there are not two different words, so that none could be drawn that is not the target.
    """

    def __init__(self, texts: Sequence[_Ids]) -> None:
        self.ids: _Ids = np.concatenate(texts) if texts else np.empty(0, np.int64)
        if not self.ids.size or (self.ids == self.ids[0]).all():
            message = f"words are told from other words: {self.ids.size} words, all the same, are not enough"
            raise DataError(message)
        lengths = np.array([text.size for text in texts])
        self._texts = np.repeat(np.arange(lengths.size), lengths)  # by place, the number of its text
        self.places: _Ids = np.flatnonzero(np.repeat(lengths, lengths) > 1)

    def around(self, places: _Ids, window: int) -> tuple[_Ids, _Ids]:
        """Returns the words around some places: up to `window` on either side, in reading order, never the place's own.

        Args:
            places: (b,) int64.
            window: how far a word may be from its place, the same to both sides.

        Returns:
            Word ids (n,) of all places one after another, and offsets (b + 1,): those of place i are
            `ids[offsets[i]:offsets[i + 1]]`.
        """
        steps = np.array([step for step in range(-window, window + 1) if step])
        near = places[:, np.newaxis] + steps
        is_inside = (near >= 0) & (near < self.ids.size)
        near[~is_inside] = 0
        is_inside &= self._texts[near] == self._texts[places][:, np.newaxis]
        offsets = np.concatenate([[0], np.cumsum(is_inside.sum(1))])
        return self.ids[near[is_inside]], offsets

    def draw_others(self, targets: _Ids, count: int, rng: np.random.Generator) -> _Ids:
        """Returns words drawn by how often they occur, (b, count); never the target of their row.

        Args:
            targets: (b,) int64 word ids.
            count: of words for each.
            rng: draws them.
        """
        drawn = self.ids[rng.integers(self.ids.size, size=(targets.size, count))]
        is_target = drawn == targets[:, np.newaxis]
        while is_target.any():
            drawn[is_target] = self.ids[rng.integers(self.ids.size, size=int(is_target.sum()))]
            is_target = drawn == targets[:, np.newaxis]
        return drawn

    def loss_without_context(self, count: int) -> float:
        """Returns the least loss of a place that a guess can reach which does not look at the words around.

        The loss of a place is the sum of `count + 1` binary cross-entropies: of its word, which is to be accepted, and
        of the words of `draw_others`, which are to be refused. A guess that knows the candidate alone does best to say
        how often it is the target; what is left is the entropy of that.

        Args:
            count: how many others are drawn for each place.
        """
        counts = np.bincount(self.ids[self.places])
        shares = counts[counts > 0] / self.places.size
        frequency = np.bincount(self.ids, minlength=counts.size)[counts > 0] / self.ids.size
        # A word is drawn for a target that is another one with its frequency over that of all but the target.
        weights = shares / (1 - frequency)
        drawn = count * frequency * (weights.sum() - weights)
        accepted = shares / (shares + drawn)
        entropy = shares * np.log(accepted)
        refused = 1 - accepted
        rest = np.where(refused > 0, drawn * np.log(np.where(refused > 0, refused, 1)), 0)
        return -float((entropy + rest).sum())
