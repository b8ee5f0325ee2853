"""Chapter 11, sentiment: a network that reads the set of a review's words and says whether it likes its film.

The book's network with its gradients right: the slope of the hidden sigmoid is not left out, as it is in the book. One
review is one step. Read in the book's order at a constant alpha, such training ends wherever the last reviews pushed
it; with reviews in a new order each time and an alpha that falls to nothing it settles.

Not here: the best that simple models reach (`chapter_11_official`), what the words' vectors mean
(`chapter_11_neighbours`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 11, companion notebook.

Example:
    >>> ReviewNetwork(5)(np.array([0, 3, 4]), np.array([0, 2, 3])).shape  # two reviews: words 0 and 3; word 4
    (2, 1)
"""

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, Tensor, embedding_bag, linear, no_grad, sigmoid_cross_entropy
from fedgdl.nn import Module
from fedgdl.optim import SGD
from fedgdl.progress import watched
from fedgdl.seeding import stream
from fedgdl.zoo.chapter_11_bags import ReviewBags, load_bags
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least, equal

__all__ = ["RECIPES", "ReviewNetwork", "TrainedReviews", "train_falling"]

_Ids = npt.NDArray[np.int64]

_HIDDEN: Final = 100
_EPOCHS: Final = 2
_BOOK_ALPHA: Final = 0.01
_FALLING_ALPHA: Final = 0.05
"""Tried with 0.01, 0.02 and 0.1 on reviews 22,001 to 24,000, when the 22,000 before them are trained on: 0.874, 0.887,
0.890; 0.05 has 0.889."""


class ReviewNetwork(Module):
    """The score that a review is positive, from its words' vectors: their sum, a sigmoid, a weight for each unit.

    Args:
        num_words: V.

    Attributes:
        words: (V, 100) float32, even within [-0.1, 0.1), drawn as the book does.
        out: (100, 1), likewise.
    """

    def __init__(self, num_words: int) -> None:
        random = np.random.RandomState(1)  # the book's own generator
        self.words = Parameter((0.2 * random.random_sample((num_words, _HIDDEN)) - 0.1).astype(np.float32))
        self.out = Parameter((0.2 * random.random_sample((_HIDDEN, 1)) - 0.1).astype(np.float32))

    def forward(self, word_ids: _Ids, offsets: _Ids) -> Tensor:
        """Returns the score of each review, (b, 1); above 0 means positive.

        Args:
            word_ids: (n,) int64, the words of all reviews one after another.
            offsets: (b + 1,) int64; review i has `word_ids[offsets[i]:offsets[i + 1]]`.
        """
        return linear(embedding_bag(self.words, word_ids, offsets).sigmoid(), self.out)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedReviews:
    """A trained network, the reviews, and how well it knows those that were left out.

    Attributes:
        network: trained.
        data: all reviews.
        accuracy: the share of the reviews left out that it gets right.
    """

    network: ReviewNetwork
    data: ReviewBags
    accuracy: float


def _train(data: ReviewBags, alpha: float, *, is_falling: bool) -> TrainedReviews:
    """Trains a review a step; falling: in a new order each epoch, at an alpha that falls to 0 in a straight line."""
    num_train, network = data.num_train, ReviewNetwork(len(data.words))
    optimizer = SGD(network.parameters(), lr=alpha)
    offsets = [np.array([0, bag.size]) for bag in data.bags[:num_train]]
    targets = data.labels.astype(np.float32).reshape(-1, 1, 1)
    num_steps, step = _EPOCHS * num_train, 0
    for epoch in watched(range(_EPOCHS), "ch11-sentiment"):
        order = stream(1, "order of the reviews", round_index=epoch + 1).permutation(num_train)
        for review in order.tolist() if is_falling else range(num_train):
            if is_falling:
                optimizer.lr = alpha * (1 - step / num_steps)
            loss = sigmoid_cross_entropy(network(data.bags[review], offsets[review]), targets[review])
            loss.backward()
            optimizer.step()
            step += 1
    return TrainedReviews(network, data, _accuracy(network, data))


def _accuracy(network: ReviewNetwork, data: ReviewBags) -> float:
    """Returns the share of the reviews left out that the network gets right."""
    bags, labels = data.bags[-data.num_left_out :], data.labels[-data.num_left_out :]
    offsets = np.concatenate([[0], np.cumsum([bag.size for bag in bags])])
    with no_grad():
        scores = network(np.concatenate(bags), offsets).data[:, 0]
    return float(np.mean((scores > 0) == (labels == 1)))


@functools.lru_cache(maxsize=1)  # the recipes that look at the words' vectors share one training
def train_falling(setting: Setting) -> TrainedReviews:
    """Returns the network trained at a falling alpha; asked again for the same setting, the same one."""
    return _train(load_bags(setting), _FALLING_ALPHA, is_falling=True)


def _predict(setting: Setting) -> Outcome:
    """Trains once as the book does, and once at a falling alpha."""
    trained = train_falling(setting)
    measured: dict[str, Value] = {
        "accuracy on the reviews left out": trained.accuracy,
        "reviews trained on": trained.data.num_train,
        "words": len(trained.data.words),
    }
    if not setting.is_quick:
        as_book = _train(trained.data, _BOOK_ALPHA, is_falling=False)
        measured["accuracy with the book's alpha and order"] = as_book.accuracy
    return Outcome(
        measured,
        parameters=trained.network.flatten(),
        data=trained.data.description,
        is_synthetic=trained.data.is_synthetic,
    )


RECIPES: Final = (
    Recipe(
        name="ch11-sentiment",
        chapter=11,
        section="Predicting movie reviews; Intro to an embedding layer; Interpreting the output",
        summary="Tells praise from blame by the set of a review's words, with the slope that the book leaves out.",
        model="sum of 100 numbers a word (74,075 tokens), sigmoid, 100-1, sigmoid; no bias",
        data="imdb: training reviews in the book's order, the last 1,000 left out; quick: the same of the first 5,000",
        settings={
            "alpha": f"from {_FALLING_ALPHA} straight to 0; as the book: {_BOOK_ALPHA}",
            "order": "new each epoch; as the book: as they come",
            "epochs": str(_EPOCHS),
            "batch": "1 review",
            "loss": "cross-entropy",
            "start": "even within 0.1 of 0, seed 1",
        },
        published="nothing is saved of the training",
        defects=("B18", "B20", "B30"),
        source="imdb",
        expected=(
            # Printed is 74,074, where the line feed is cut off.
            Expected("words", 74_075, equal, "derived", needs_real_data=True),
            Expected("accuracy on the reviews left out", 0.85, at_least, "goal", is_quick=False, needs_real_data=True),
            Expected("accuracy on the reviews left out", 0.75, at_least, "goal"),
            # Where a constant alpha ends depends on the last few reviews: another rounding, or another tokeniser, has
            # moved it between 0.817 and 0.853. No digit of it can be held.
            Expected(
                "accuracy with the book's alpha and order",
                0.78,
                at_least,
                "goal",
                is_quick=False,
                needs_real_data=True,
            ),
        ),
        run=_predict,
        shared_training="ch11-sentiment",
        seconds=(2.0, 12.0),
    ),
)
