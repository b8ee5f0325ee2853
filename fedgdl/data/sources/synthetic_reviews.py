"""Generated film reviews, for runs and tests without a download. Nobody ever wrote or shot them.

A review is a few sentences from fixed patterns about one film. Some sentences give an opinion with
words of praise and blame (`synthetic_review_words.POLARITY`), most of them of the review's own
side; the stronger a word, the less often the other side uses it. The other words are of an invented
language whose frequencies fall with their rank as those of a natural language do; each film has a
few of its own. Some reviews speak of everything but their opinion, so no model is perfect: a linear
one on bags of words is right for about 9 of 10.

As in IMDB, positive and negative reviews alternate, half of all are of each class, no film has
reviews in both parts, and films differ: some are liked, some are not.

Example:
    >>> parts = generate(10, 4, seed=1)
    >>> [review.label for review in parts["train"]], len(parts["test"])
    ([1, 0, 1, 0, 1, 0, 1, 0, 1, 0], 4)
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.reviews import Review, ReviewSource, split_reviews
from fedgdl.data.sources.invented_words import as_format, draws, invent_words, rank_weights
from fedgdl.data.sources.synthetic_review_words import LISTS, POLARITY, SENTENCES
from fedgdl.data.split import Split
from fedgdl.data.text import distinct_tokens
from fedgdl.seeding import stream

__all__ = ["SOURCE", "generate"]

_CORPUS_TRAIN: Final = 6_000
_CORPUS_TEST: Final = 1_200

_REVIEWS_PER_FILM: Final = 20  # on average
_FILM_BIAS: Final = 0.8  # standard deviation of a film's log-odds of being liked
_POPULARITY: Final = 0.5  # standard deviation of the logarithm of a film's number of reviews
_TOPIC_WORDS: Final = 6  # a film's own words
_INVENTED_WORDS: Final = 3_000

_MEAN_SENTENCES: Final = 7.0
_MIN_SENTENCES: Final = 3
_OPINION_SHARE: Final = 0.45  # of the sentences
_SILENT_SHARE: Final = 0.05  # reviews without an opinion
_POLARITY_SLOPE: Final = 1.3  # log-odds of a word of polarity 1 being used by its own side, halved
_BREAK: Final = "<br /><br />"
_BREAK_SHARE: Final = 0.1  # of the sentences are followed by a break

T = TypeVar("T")


def generate(num_train: int, num_test: int, seed: int) -> dict[str, list[Review]]:
    """Returns the reviews of both parts, positive and negative in turn.

    Args:
        num_train: how many to train on.
        num_test: how many to test on; of other films.
        seed: the experiment's seed; the invented language is the same for every seed.
    """
    train_films = _number_of_films(num_train)
    return {
        "train": _reviews("train", num_train, 1, train_films, seed),
        "test": _reviews("test", num_test, 1 + train_films, _number_of_films(num_test), seed),
    }


def _number_of_films(num_reviews: int) -> int:
    return max(2, num_reviews // _REVIEWS_PER_FILM)


def _reviews(part: str, num_reviews: int, first_film: int, num_films: int, seed: int) -> list[Review]:
    rng = stream(seed, f"synthetic-reviews/{part}")
    bias = rng.normal(scale=_FILM_BIAS, size=num_films)
    popularity = np.exp(rng.normal(scale=_POPULARITY, size=num_films))
    weights = [popularity * np.exp(sign * bias) for sign in (-0.5, 0.5)]
    streams = [stream(seed, f"synthetic-reviews/{part}/film/{label}") for label in (0, 1)]
    films = [draws(streams[label], range(num_films), weights[label]) for label in (0, 1)]
    lengths = _MIN_SENTENCES + rng.poisson(_MEAN_SENTENCES - _MIN_SENTENCES, num_reviews)
    opinion_shares = np.where(rng.random(num_reviews) < _SILENT_SHARE, 0.0, _OPINION_SHARE)
    writers = [_Writer(part, label, num_films, seed) for label in (0, 1)]
    reviews = []
    for row, (length, opinion_share) in enumerate(zip(lengths.tolist(), opinion_shares.tolist(), strict=True)):
        label = 1 - row % 2
        film = next(films[label])
        kinds = ["opinion" if draw < opinion_share else "common" for draw in rng.random(length).tolist()]
        reviews.append(Review(writers[label].write(kinds, film), label, first_film + film))
    return reviews


class _Writer:
    """Writes the reviews of one class; every kind of word has a random stream of its own."""

    def __init__(self, part: str, label: int, num_films: int, seed: int) -> None:
        self._name = f"{part}/{label}"
        self._seed = seed
        words = _language()
        self._words = {kind: self._draw(kind, tuple(values.split())) for kind, values in LISTS.items()}
        self._words["word"] = self._draw("word", words, rank_weights(len(words)))
        self._words["polar"] = self._draw("polar", tuple(POLARITY), _preferences(label))
        self._words["number"] = self._draw("number", tuple(map(str, range(10, 100))))
        self._sentences = {kind: self._draw(f"sentence/{kind}", patterns) for kind, patterns in SENTENCES.items()}
        self._breaks = self._draw("break", (_BREAK, " "), np.array([_BREAK_SHARE, 1 - _BREAK_SHARE]))
        self._topic_ranks = self._draw("topic", range(_TOPIC_WORDS))
        of_film = stream(seed, "synthetic-reviews/topics", client_id=part).integers(
            len(words), size=(num_films, _TOPIC_WORDS)
        )
        self._topics = [[words[index] for index in row] for row in of_film.tolist()]

    def write(self, kinds: list[str], film: int) -> str:
        """Returns the text of a review of a film, with one sentence of each given kind."""
        pieces = []
        for kind in kinds:
            pattern, slots = as_format(next(self._sentences[kind]))
            filled = pattern % tuple([self._word(slot, film) for slot in slots])
            pieces += [filled[0].upper() + filled[1:], next(self._breaks)]
        return "".join(pieces[:-1])

    def _word(self, slot: str, film: int) -> str:
        return self._topics[film][next(self._topic_ranks)] if slot == "topic" else next(self._words[slot])

    def _draw(self, kind: str, values: Sequence[T], weights: npt.NDArray[np.float64] | None = None) -> Iterator[T]:
        return draws(stream(self._seed, f"synthetic-reviews/{kind}", client_id=self._name), values, weights)


@cache
def _language() -> tuple[str, ...]:
    """Returns the invented words: none that a sentence has anyway, as `gone` would be."""
    patterns = [pattern for patterns in SENTENCES.values() for pattern in patterns]
    real = {word for text in (*patterns, *LISTS.values(), *POLARITY) for word in distinct_tokens(text)}
    return invent_words("invented-words/reviews", _INVENTED_WORDS, without=tuple(sorted(real)))


def _preferences(label: int) -> npt.NDArray[np.float64]:
    """Returns how often reviews of a class use each word of praise or blame, relative to one another."""
    sign = 1.0 if label else -1.0
    return np.exp(sign * _POLARITY_SLOPE * np.array(list(POLARITY.values())))


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (generated: no files)
    num_test = min(max(1, round(config.examples * config.test_fraction)), config.examples - 1)
    return split_reviews(generate(config.examples - num_test, num_test, seed), config)


def _read(paths: tuple[Path, ...], seed: int) -> dict[str, list[Review]]:  # noqa: ARG001 (generated: no files)
    return generate(_CORPUS_TRAIN, _CORPUS_TEST, seed)


SOURCE: Final = ReviewSource(
    name="synthetic-reviews",
    title="Generated film reviews",
    licence="as this library",
    is_synthetic=True,
    is_seeded=True,
    split=_split,
    read=_read,
    settings=("test_fraction", "min_count", "max_tokens", "examples"),
)
