"""Chapter 11, comparing embeddings: the words nearest to a polar word are polar in the same way.

The vectors are those of the network that learned to tell praise from blame (`chapter_11_sentiment`); near means a small
Euclidean distance. Whether a word praises or blames is told by the labels of the training reviews it is in, not by the
vectors (`ReviewBags.polarity`). Rare words, whose vectors are still where they started, are not looked at.

Not here: vectors learned by filling in blanks, whose neighbours share a role instead (`chapter_11_fill_in`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 11, companion notebook.

Example:
    >>> nearest(np.array([[0.0], [1.0], [3.0]]), 0, np.array([0, 1, 2]), 1)
    [(1, -1.0)]
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.zoo.chapter_11_bags import BLAME, PRAISE, ReviewBags
from fedgdl.zoo.chapter_11_sentiment import train_falling
from fedgdl.zoo.pictures import Picture, Points, Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least, equal

__all__ = ["RECIPES", "most_polar", "nearest", "plane"]

_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.floating]

_NUM_NEAREST: Final = 10
_MIN_REVIEWS: Final = 20
_NUM_MOST_POLAR: Final = 12
_DRAWN_NEIGHBOURS: Final = 2


def nearest(table: _Floats, word: int, candidates: _Ids, count: int) -> list[tuple[int, float]]:
    """Returns the nearest of some words to a word, nearest first, each with its distance below zero.

    Args:
        table: (V, D), the words' vectors.
        word: the word's id; it is not its own neighbour.
        candidates: the ids looked at, each once.
        count: how many are returned, or fewer where there are not as many.
    """
    others = candidates[candidates != word]
    scores = -np.sqrt(np.square(table[others] - table[word]).sum(1))
    order = np.argsort(-scores, kind="stable")[:count]
    return [(int(others[index]), float(scores[index])) for index in order]


def plane(vectors: _Floats) -> _Floats:
    """(n, D) -> (n, 2): the vectors on the plane on which they are spread most, their middle at 0.

    Each axis points so that its largest coordinate is above zero: the plane has no direction of its own.

    Source:
        Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 1901; by
        the singular value decomposition of the vectors less their mean.
    """
    centred = vectors - vectors.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    points: _Floats = left[:, :2] * sizes[:2]
    signs = np.sign(points[np.abs(points).argmax(0), range(points.shape[1])])
    return points * signs


def most_polar(data: ReviewBags, num_reviews: int, count: int) -> _Ids:
    """Returns the words that praise most surely, then those that blame most surely, `count` each, surest last.

    The surest are those whose log-odds are farthest from 0 in units of their own standard error.

    Args:
        data: the reviews.
        num_reviews: how many of them, the first ones, are counted.
        count: of words of each kind.

    Source:
        Monroe, Colaresi, Quinn, "Fightin' Words: Lexical Feature Selection and Evaluation for Identifying the Content
        of Political Conflict", Political Analysis 16(4), 2008, section 3.4, with half a review as the prior.
    """
    positive, negative = data.counts(num_reviews)
    surety = data.polarity(num_reviews) / np.sqrt(1 / (positive + 0.5) + 1 / (negative + 0.5))
    order = np.argsort(surety, kind="stable")
    return np.concatenate([order[-count:], order[:count][::-1]])


def _frequent(data: ReviewBags, num_reviews: int) -> _Ids:
    positive, negative = data.counts(num_reviews)
    return np.flatnonzero(positive + negative >= _MIN_REVIEWS)


def _compare(setting: Setting) -> Outcome:
    """Looks at the ten nearest words of polar words, and counts those of the same polarity."""
    trained = train_falling(setting)
    data, table = trained.data, trained.network.words.data
    candidates, polarity = _frequent(data, data.num_train), data.polarity(data.num_train)

    def share(words: _Ids) -> float:
        same = [
            polarity[other] * polarity[word] > 0
            for word in words
            for other, _ in nearest(table, int(word), candidates, _NUM_NEAREST)
        ]
        return float(np.mean(same)) if same else 0.0

    listed, polar = data.ids_of((*PRAISE, *BLAME)), most_polar(data, data.num_train, _NUM_MOST_POLAR)
    shown = listed if listed.size else polar
    pictures: dict[str, Picture] = {
        "neighbourhoods": _neighbourhoods(data, table, shown, candidates, polarity),
        "nearest-words": _nearest_words(data, table, shown, candidates),
    }
    measured = {
        "polar words of the list that occur": int(listed.size),
        "share of their nearest words with the same polarity": share(listed),
        "share of the nearest words of the most polar words with the same polarity": share(polar),
        "share of all words looked at that praise": float(np.mean(polarity[candidates] > 0)),
    }
    return Outcome(measured, pictures, None, data.description, data.is_synthetic)


def _neighbourhoods(data: ReviewBags, table: _Floats, words: _Ids, candidates: _Ids, polarity: _Floats) -> Points:
    """Returns the picture of polar words and those nearest to them."""
    drawn = dict.fromkeys(words.tolist())
    for word in words:
        drawn |= dict.fromkeys(other for other, _ in nearest(table, int(word), candidates, _DRAWN_NEIGHBOURS))
    ids = np.array(list(drawn), np.int64)
    return Points(
        "Words that learned to tell praise from blame",
        plane(table[ids]),
        [data.words[index] for index in ids],
        polarity[ids],
        "log-odds of praise in the words' reviews",
    )


def _nearest_words(data: ReviewBags, table: _Floats, words: _Ids, candidates: _Ids) -> Text:
    """Returns a line for each polar word: what is near to it, and how near."""
    lines = []
    for word in words:
        near = nearest(table, int(word), candidates, _NUM_NEAREST)
        lines.append(f"{data.words[word]}: " + ", ".join(f"{data.words[other]} {score:.3f}" for other, score in near))
    return Text(
        "The ten nearest words, each with its Euclidean distance, negated as in the book: 0 is the nearest",
        "\n".join(lines),
    )


RECIPES: Final = (
    Recipe(
        name="ch11-neighbours",
        chapter=11,
        section="Comparing word embeddings; What is the meaning of a neuron?",
        summary="Words near a polar word share its polarity, when the vectors were learned from praise and blame.",
        model="the words of ch11-sentiment: 100 numbers each",
        data="imdb: as ch11-sentiment; words of at least 20 reviews",
        settings={
            "words": ", ".join((*PRAISE, *BLAME)),
            "neighbours": f"{_NUM_NEAREST}, by Euclidean distance",
            "polarity": "log-odds of the labels of a word's training reviews",
        },
        published="terrible: boring -0.759, lame -0.773, horrible -0.788, disappointing, avoid, ...; "
        "beautiful: heart -0.746, captures -0.777, impact -0.785, unexpected, bit, touching, ...",
        defects=("B18", "B20"),
        source="imdb",
        expected=(
            Expected("polar words of the list that occur", 24, equal, "goal", needs_real_data=True),
            # By chance about half of the words would share it.
            Expected(
                "share of their nearest words with the same polarity",
                0.95,
                at_least,
                "goal",
                is_quick=False,
                needs_real_data=True,
            ),
            Expected(
                "share of their nearest words with the same polarity", 0.85, at_least, "goal", needs_real_data=True
            ),
            Expected(
                "share of the nearest words of the most polar words with the same polarity", 0.7, at_least, "goal"
            ),
        ),
        run=_compare,
        shared_training="ch11-sentiment",
        seconds=(2.0, 7.0),
    ),
)
