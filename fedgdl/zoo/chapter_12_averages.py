"""Chapter 12, averaged word vectors: reviews near to the words "boring awful".

A review's vector is the mean of its words' vectors, each of length 1, and so is the question's; near means a small
angle. The book multiplies each vector by its squared length instead of dividing by its length. The vectors are those of
`chapter_11_sentiment`.

Not here: networks that heed the order of words (`chapter_12_recurrent`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 12, companion notebook.

Example:
    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, embedding_bag
from fedgdl.data.reviews import load_reviews
from fedgdl.zoo.chapter_11_bags import words_of
from fedgdl.zoo.chapter_11_neighbours import most_polar
from fedgdl.zoo.chapter_11_sentiment import TrainedReviews, train_falling
from fedgdl.zoo.pictures import Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least

__all__ = ["RECIPES", "unit"]

_Floats = npt.NDArray[np.floating]

_QUESTION: Final = ("boring", "awful")
_NUM_NEAREST: Final = 10
_NUM_SHOWN_WORDS: Final = 25


def unit(vectors: _Floats) -> _Floats:
    """(n, D) -> (n, D): each vector divided by its length; a vector of zeros stays."""
    lengths = np.sqrt(np.square(vectors).sum(1, keepdims=True))
    return vectors / np.where(lengths > 0, lengths, 1)


def _similarities(trained: TrainedReviews) -> tuple[_Floats, tuple[str, ...]]:
    """Returns the cosine of each review with the question, (n,), and the question's words."""
    data = trained.data
    question = data.ids_of(_QUESTION)
    if not question.size:  # generated reviews have words of their own
        question = most_polar(data, data.num_train, len(_QUESTION))[-len(_QUESTION) :]
    table = unit(trained.network.words.data)
    bags = [*data.bags, question]
    offsets = np.concatenate([[0], np.cumsum([bag.size for bag in bags])])
    means = unit(embedding_bag(Tensor(table), np.concatenate(bags), offsets, "mean").data)
    return means[:-1] @ means[-1], tuple(data.words[index] for index in question)


def _find_reviews(setting: Setting) -> Outcome:
    """Finds the reviews nearest to two words of blame, among all and among those never trained on."""
    trained = train_falling(setting)
    data = trained.data
    scores, question = _similarities(trained)
    order = np.argsort(-scores, kind="stable")
    unseen = order[order >= len(data.bags) - data.num_left_out]
    top, top_unseen = order[:_NUM_NEAREST], unseen[:_NUM_NEAREST]
    texts = words_of(load_reviews("train", setting.data_root, allow_synthetic=setting.allow_synthetic), len(data.bags))
    lines = [
        f"{scores[review]:.3f} {'positive' if data.labels[review] else 'negative'}: "
        + " ".join(data.words[word] for word in texts[review][:_NUM_SHOWN_WORDS])
        for review in top
    ]
    measured = {
        "negative reviews among the ten nearest": int((data.labels[top] == 0).sum()),
        "negative reviews among the ten nearest of those left out": int((data.labels[top_unseen] == 0).sum()),
        "largest cosine": float(scores[order[0]]),
    }
    picture = Text(f"Reviews nearest to {' '.join(question)!r}: cosine, label, beginning", "\n".join(lines))
    return Outcome(measured, {"nearest-reviews": picture}, None, data.description, data.is_synthetic)


RECIPES: Final = (
    Recipe(
        name="ch12-averaged-vectors",
        chapter=12,
        section="The surprising power of averaged word vectors; How is information stored in these embeddings?",
        summary="The mean of a review's word vectors is enough to find reviews that say what two words say.",
        model="the words of ch11-sentiment: 100 numbers each, brought to length 1, averaged by review",
        data="imdb: as ch11-sentiment; all training reviews are searched",
        settings={"question": " ".join(_QUESTION), "nearness": "cosine"},
        published="three beginnings of reviews, all negative in tone",
        defects=("B18",),
        source="imdb",
        expected=(
            Expected("negative reviews among the ten nearest", 10, at_least, "goal"),
            Expected("negative reviews among the ten nearest of those left out", 9, at_least, "goal"),
        ),
        run=_find_reviews,
        seconds=(2.0, 7.0),
    ),
)
