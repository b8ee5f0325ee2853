"""Invented languages for generated texts: words of simple syllables, and draws from them as from natural ones.

Not here: the texts (`synthetic_mail`, `synthetic_reviews`, `synthetic_verse`).

Source:
    Word frequencies: B. Mandelbrot, "An informational theory of the statistical structure of
    language", 1953, with the usual shift of 2.7 and exponent of 1.

Example:
    >>> words = invent_words("doctest/language", 1_000)
    >>> len(set(words)), max(map(len, words[:100])) < max(map(len, words))
    (1000, True)
    >>> rng = stream(1, "doctest")
    >>> drawn = draws(rng, words, rank_weights(len(words)))
    >>> sum(next(drawn) in words[:100] for _ in range(1_000)) > 500
    True
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from fedgdl.data.sources.synthetic_words import SYLLABLES
from fedgdl.seeding import stream

__all__ = ["as_format", "draws", "invent_words", "rank_weights"]

_LAST_OF_TWO: Final = 0.125  # so many of the words have two syllables,
_LAST_OF_THREE: Final = 0.5  # up to so many three, the others four
_RANK_SHIFT: Final = 2.7
_CHUNK: Final = 1_024

_slots: Final = re.compile(r"\{(\w+)\}").findall

T = TypeVar("T")


@cache
def invent_words(purpose: str, count: int, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Returns different invented words, the most frequent first: the shorter, as in natural languages.

    Args:
        purpose: names the language's random stream; its words are the same whatever the experiment's seed.
        count: how many.
        without: real words that must not be among them.
    """
    syllables = SYLLABLES.split()
    rng = stream(0, purpose)
    ranks = np.arange(count) / count
    lengths = 2 + (ranks > _LAST_OF_TWO) + (ranks > _LAST_OF_THREE)
    words: dict[str, None] = {}
    for length in lengths.tolist():
        before = len(words)
        while len(words) == before:
            word = "".join(syllables[index] for index in rng.integers(len(syllables), size=length))
            if word not in without:
                words[word] = None
    return tuple(words)


def rank_weights(count: int) -> npt.NDArray[np.float64]:
    """Returns (count,) float64, the relative frequencies of a natural language's words, the most frequent first."""
    return 1.0 / (np.arange(1, count + 1, dtype=np.float64) + _RANK_SHIFT)


def draws(rng: np.random.Generator, values: Sequence[T], weights: npt.NDArray[np.float64] | None = None) -> Iterator[T]:
    """Yields independent draws without end.

    Args:
        rng: the random numbers, drawn in chunks: nobody else should use it.
        values: what is drawn.
        weights: (values,) float64, how often, in any unit; none: all equally often.
    """
    shares = np.ones(len(values)) if weights is None else weights
    upper = np.cumsum(shares / shares.sum())
    upper[-1] = 1.0
    while True:
        for index in np.searchsorted(upper, rng.random(_CHUNK), side="right").tolist():
            yield values[index]


@cache
def as_format(sentence: str) -> tuple[str, tuple[str, ...]]:
    """Returns a sentence with slots like `{word}` as a %-format, several times faster to fill, and its slots' names."""
    slots = tuple(_slots(sentence))
    return sentence.replace("%", "%%").format(**dict.fromkeys(slots, "%s")), slots
