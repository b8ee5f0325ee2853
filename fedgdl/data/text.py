"""Words of a text, and the vocabulary that turns them into ids.

Not here: how a data set is read (`fedgdl.data.sources`) or split (`fedgdl.data.mail`).

Example:
    >>> distinct_tokens("Buy now, buy cheap: it is 50% off!")
    ['buy', 'now', ',', 'cheap', ':', 'it', 'is', '50', '%', 'off', '!']
    >>> vocabulary = Vocabulary.build([["pizza", "is", "hot"], ["pizza", "is", "cold"]], min_count=2)
    >>> vocabulary.encode(["pizza", "is", "pizza", "burnt"])
    (array([0, 1]), 1)
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.errors import DataError

__all__ = ["TOKEN_PATTERN", "Vocabulary", "distinct_tokens"]

TOKEN_PATTERN: Final = r"\w+|[^\w\s]"
"""A token is a run of letters, digits and underscores, or a single other character that is no white space."""

_find_tokens: Final = re.compile(TOKEN_PATTERN).findall


def distinct_tokens(text: str) -> list[str]:
    """Returns the different tokens of a text, lower-cased, in the order of their first appearance."""
    return list(dict.fromkeys(_find_tokens(text.lower())))


class Vocabulary:
    """Words and their ids, which are the words' positions.

    Args:
        words: each word once.

    Raises:
        DataError: a word comes twice.
    """

    __slots__ = ("_ids", "_words")

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(words)
        self._ids = {word: index for index, word in enumerate(self._words)}
        if len(self._ids) != len(self._words):
            twice = next(word for word, count in Counter(self._words).items() if count > 1)
            message = f"the vocabulary lists {twice!r} more than once"
            raise DataError(message)

    @classmethod
    def build(
        cls, examples: Iterable[Iterable[str]], *, min_count: int = 1, reserved: Sequence[str] = ()
    ) -> "Vocabulary":
        """Returns the vocabulary of some examples: pass training examples only.

        Args:
            examples: the tokens of each; a token repeated within one example counts once.
            min_count: the least number of examples that a word must be in.
            reserved: entries put first, in this order, whether or not they occur (a padding token, say).
        """
        counts = Counter(word for example in examples for word in set(example))
        return cls.of_counts(counts, min_count=min_count, reserved=reserved)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], *, min_count: int = 1, reserved: Sequence[str] = ()) -> "Vocabulary":
        """Returns the vocabulary of the words with at least `min_count` (and at least one) examples.

        Ids follow the code-point order of the words, so they do not depend on the order of the
        examples; reserved entries come before all.
        """
        least = max(1, min_count)
        kept = sorted(word for word, count in counts.items() if count >= least)
        return cls([*reserved, *(word for word in kept if word not in reserved)])

    @property
    def words(self) -> tuple[str, ...]:
        """All words in the order of their ids."""
        return self._words

    def __len__(self) -> int:
        """Returns the number of words, reserved entries included."""
        return len(self._words)

    def __contains__(self, word: object) -> bool:
        """Returns whether the word has an id."""
        return word in self._ids

    def __repr__(self) -> str:
        """Returns the number of words, not the words: they may come from private texts."""
        return f"Vocabulary({len(self)} words)"

    def word(self, word_id: int) -> str:
        """Returns the word of an id.

        Raises:
            DataError: there is no such id.
        """
        if not 0 <= word_id < len(self._words):
            message = f"word id {word_id} is not between 0 and {len(self._words) - 1}"
            raise DataError(message)
        return self._words[word_id]

    def id_of(self, word: str) -> int:
        """Returns the id of a word.

        Raises:
            DataError: the vocabulary does not have it.
        """
        try:
            return self._ids[word]
        except KeyError:
            message = f"{word!r} is not in the vocabulary of {len(self)} words"
            raise DataError(message) from None

    def encode(self, tokens: Iterable[str]) -> tuple[npt.NDArray[np.int64], int]:
        """Returns the ids of an example's words, and how many words have none.

        Args:
            tokens: words in any order; repetitions count once.

        Returns:
            The ids as a sorted int64 array, and the number of different unknown words.
        """
        distinct = set(tokens)
        ids = [self._ids[token] for token in distinct if token in self._ids]
        return np.array(sorted(ids), dtype=np.int64), len(distinct) - len(ids)
