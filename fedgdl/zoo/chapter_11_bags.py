r"""Reviews as bags of distinct words, and how praising or blaming each word is by the labels of its reviews.

Shared by the recipes of chapters 11 and 12. The book's tokens "" (between two spaces) and "\n" (the end of a line) are
left out: they are no words.

Not here: how reviews are read (`fedgdl.data.reviews`), and what is learned from them.

Example:
    >>> bags = ReviewBags([np.array([0, 1]), np.array([1])], np.array([1.0, 0.0]), ("fine", "film"), "", False)
    >>> bags.polarity(2).round(2)
    array([2.2, 0. ])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.data.reviews import Reviews, load_reviews
from fedgdl.zoo.recipe import Setting

__all__ = ["BLAME", "NO_WORDS", "PRAISE", "ReviewBags", "load_bags", "words_of"]

_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

NO_WORDS: Final = ("", "\n")
"""Tokens of the book's tokeniser that are no words."""

PRAISE: Final = (
    "beautiful", "wonderful", "excellent", "great", "superb", "perfect",
    "amazing", "brilliant", "loved", "fantastic", "favorite", "terrific",
)  # fmt: skip
BLAME: Final = (
    "terrible", "awful", "horrible", "boring", "worst", "bad",
    "waste", "poor", "lame", "dull", "ridiculous", "disappointing",
)  # fmt: skip
"""Words that a reader takes for praise and for blame, chosen before anything was measured."""

_NUM_LEFT_OUT: Final = 1_000
_NUM_QUICK: Final = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class ReviewBags:
    """Reviews in the book's order, as bags of distinct words.

    Attributes:
        bags: each review's distinct word ids, int64, ascending.
        labels: (n,) float64, 1 for a positive review, 0 for a negative one.
        words: the words by id; ids of what is no word are never used.
        description: the data in a line for people.
        is_synthetic: whether they were generated.
    """

    bags: Sequence[_Ids]
    labels: _Floats
    words: Sequence[str]
    description: str
    is_synthetic: bool

    @property
    def num_left_out(self) -> int:
        """How many reviews, the last ones, are not trained on: 1,000, or a fifth where there are fewer than 5,000."""
        return min(_NUM_LEFT_OUT, len(self.bags) // 5)

    @property
    def num_train(self) -> int:
        """How many reviews, the first ones, are trained on."""
        return len(self.bags) - self.num_left_out

    def counts(self, num_reviews: int) -> tuple[_Ids, _Ids]:
        """Returns in how many positive and negative reviews each word is, (V,) each, among the first reviews."""
        bags = self.bags[:num_reviews]
        ids = np.concatenate(bags) if bags else np.empty(0, np.int64)
        is_positive = np.repeat(self.labels[:num_reviews] == 1, [bag.size for bag in bags])
        positive, negative = (
            np.bincount(ids[chosen], minlength=len(self.words)) for chosen in (is_positive, ~is_positive)
        )
        return positive, negative

    def polarity(self, num_reviews: int) -> _Floats:
        """Returns the log-odds of each word, (V,): above zero where more positive reviews than negative ones have it.

        The logarithm of the odds of the word in positive reviews over those in negative ones, with half a review added
        to each count, among the first reviews. No model has a part in it.
        """
        positive, negative = self.counts(num_reviews)
        num_positive = self.labels[:num_reviews].sum()
        num_negative = num_reviews - num_positive
        in_positive = np.log((positive + 0.5) / (num_positive - positive + 0.5))
        polarity: _Floats = in_positive - np.log((negative + 0.5) / (num_negative - negative + 0.5))
        return polarity

    def ids_of(self, words: Sequence[str]) -> _Ids:
        """Returns the ids of those of some words that occur here, in their order."""
        places = {word: index for index, word in enumerate(self.words)}
        return np.array([places[word] for word in words if word in places], np.int64)


def load_bags(setting: Setting) -> ReviewBags:
    """Returns the training reviews of IMDB, or generated ones; for a quick run the first 5,000.

    Raises:
        DataMissing: there are none on this machine, and nothing may stand in for them.
    """
    reviews = load_reviews("train", setting.data_root, allow_synthetic=setting.allow_synthetic)
    count = min(_NUM_QUICK, len(reviews)) if setting.is_quick else len(reviews)
    return ReviewBags(
        [np.unique(words) for words in words_of(reviews, count)],
        reviews.labels[:count].astype(np.float64),
        reviews.vocabulary.words,
        reviews.description,
        reviews.is_synthetic,
    )


def words_of(reviews: Reviews, count: int) -> list[_Ids]:
    """Returns the word ids of each of the first reviews in reading order, int64, without what is no word."""
    no_words = [reviews.vocabulary.id_of(token) for token in NO_WORDS if token in reviews.vocabulary]
    offsets = np.asarray(reviews.offsets[: count + 1])
    ids = reviews.token_ids[: offsets[-1]].astype(np.int64)
    is_word = ~np.isin(ids, no_words)
    ends = np.concatenate([[0], np.cumsum(is_word)])[offsets]
    return np.split(ids[is_word], ends[1:-1])
