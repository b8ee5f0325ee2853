"""Chapter 11, measured on the official 25,000 test reviews: one weight for each word, or for each pair of words too.

A review's score is the sum of the weights of the different words in it, and of the different pairs of neighbouring
words, and a bias. Words and pairs are those of at least a few training reviews, and nothing is trained on test reviews.
The settings were chosen on training reviews kept back for it; the test accuracy of some others was seen meanwhile
(all between 0.876 and 0.911).

Not here: the book's own network and its own split (`chapter_11_sentiment`).

Source:
    Features and model: Wang, Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", ACL
    2012, without its scaling by naive Bayes.

Example:
    >>> pairs_of(np.array([5, 7, 5, 7]), 10)
    array([57, 75])
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, Tensor, no_grad, sigmoid_cross_entropy
from fedgdl.data.reviews import Reviews, load_reviews
from fedgdl.nn import EmbeddingBag, Module, init
from fedgdl.optim import Adam
from fedgdl.progress import watched
from fedgdl.seeding import stream
from fedgdl.zoo.chapter_11_bags import words_of
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least

__all__ = ["RECIPES", "Features", "WeightedFeatures", "pairs_of"]

_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]

# Chosen among 2, 3 and 5 epochs on the last 5,000 training reviews, when the 20,000 before them are trained on: 3
# epochs have 0.880 by words, where the others have 0.877; by words and pairs 0.895, beside 0.897 and 0.893.
_EPOCHS: Final = 3
_BATCH_SIZE: Final = 32
_LEARNING_RATE: Final = 0.001
_LEAST_REVIEWS: Final = {"words": 2, "words and pairs": 4}
_NUM_QUICK: Final = 4_000


class Features:
    """Words, or words and pairs, of training reviews, by which any review becomes a bag of feature ids.

    Args:
        keys: each training review's different features, as numbers (n,) int64 each.
        least_reviews: in how many of them a feature must be.
    """

    def __init__(self, keys: Sequence[_Ids], least_reviews: int) -> None:
        found, counts = np.unique(np.concatenate(keys), return_counts=True)
        self._known: _Ids = found[counts >= least_reviews]

    def __len__(self) -> int:
        """Returns the number of features."""
        return len(self._known)

    def bags_of(self, keys: Sequence[_Ids]) -> list[_Ids]:
        """Returns the ids of those features of each review that are known, int64, 0 to `len(self) - 1`."""
        numbers = np.concatenate(keys)
        ids = np.searchsorted(self._known, numbers)
        ids[ids == len(self._known)] = 0  # larger than all: the comparison below finds it unknown
        is_known = self._known[ids] == numbers
        ends = np.concatenate([[0], np.cumsum(is_known)])[np.cumsum([len(key) for key in keys])]
        return np.split(ids[is_known], ends[:-1])


class WeightedFeatures(Module):
    """The score that a review is positive: the sum of its features' weights, and a bias.

    Args:
        num_features: V.
    """

    def __init__(self, num_features: int) -> None:
        self.features = EmbeddingBag(num_features, 1, initial=init.zeros)
        self.bias = Parameter(np.zeros(1, np.float32))

    def forward(self, bags: Sequence[_Ids]) -> Tensor:
        """Returns the score of each review, (b,) of b bags; above 0 means positive."""
        offsets = np.concatenate([[0], np.cumsum([bag.size for bag in bags])])
        return (self.features(np.concatenate(bags), offsets) + self.bias).reshape(len(bags))


def pairs_of(words: _Ids, num_words: int) -> _Ids:
    """Returns the different pairs of neighbouring words of a text, as `first * num_words + second`, ascending.

    Args:
        words: (n,) int64, the text's word ids in reading order.
        num_words: how many words there are.
    """
    return np.unique(words[:-1] * num_words + words[1:])


def _keys(texts: Sequence[_Ids], num_words: int, *, with_pairs: bool) -> list[_Ids]:
    """Returns each text's different features as numbers: word ids, and beyond them the pairs."""
    if not with_pairs:
        return [np.unique(words) for words in texts]
    return [np.concatenate([np.unique(words), pairs_of(words, num_words) + num_words]) for words in texts]


def _train(bags: Sequence[_Ids], labels: _Floats, num_features: int) -> WeightedFeatures:
    """Trains the weights, a batch a step."""
    model = WeightedFeatures(num_features)
    optimizer = Adam(model.parameters(), lr=_LEARNING_RATE)
    for epoch in watched(range(_EPOCHS), "ch11-sentiment-official"):
        order = stream(0, "order of the reviews", round_index=epoch + 1).permutation(len(bags))
        for start in range(0, len(order), _BATCH_SIZE):
            rows = order[start : start + _BATCH_SIZE]
            sigmoid_cross_entropy(model([bags[row] for row in rows]), labels[rows]).backward()
            optimizer.step()
    return model


def _accuracy(model: WeightedFeatures, bags: Sequence[_Ids], labels: _Floats) -> float:
    """Returns the share of the reviews that the model gets right."""
    with no_grad():
        scores = model(bags).data
    return float(np.mean((scores > 0) == (labels == 1)))


def _read(setting: Setting, part: str) -> tuple[Reviews, list[_Ids], _Floats]:
    """Returns the reviews of a part, their words in reading order, and their labels."""
    reviews = load_reviews(
        "train" if part == "train" else "test", setting.data_root, allow_synthetic=setting.allow_synthetic
    )
    count = min(_NUM_QUICK, len(reviews)) if setting.is_quick else len(reviews)
    return reviews, words_of(reviews, count), reviews.labels[:count].astype(np.float32)


def _predict(setting: Setting) -> Outcome:
    """Trains on the training reviews, by words and then by words and pairs, and looks at the test reviews once each."""
    reviews, train_texts, train_labels = _read(setting, "train")
    _, test_texts, test_labels = _read(setting, "test")
    measured: dict[str, Value] = {"test reviews": len(test_texts)}
    parameters = None
    for kind, least_reviews in _LEAST_REVIEWS.items():
        num_words, with_pairs = len(reviews.vocabulary), kind != "words"
        train_keys = _keys(train_texts, num_words, with_pairs=with_pairs)
        features = Features(train_keys, least_reviews)
        model = _train(features.bags_of(train_keys), train_labels, len(features))
        test_bags = features.bags_of(_keys(test_texts, num_words, with_pairs=with_pairs))
        measured[f"test accuracy by {kind}"] = _accuracy(model, test_bags, test_labels)
        measured[f"features: {kind}"] = len(features)
        parameters = model.flatten()
    return Outcome(measured, {}, parameters, reviews.description, reviews.is_synthetic)


RECIPES: Final = (
    Recipe(
        name="ch11-sentiment-official",
        chapter=11,
        section="Predicting movie reviews",
        summary="How far one weight a word goes, and one a pair of words, on the official test reviews.",
        model="a weight for each word of 2 or more training reviews and, second, each pair of neighbouring words of 4 "
        "or more; a bias; sigmoid",
        data="imdb: all 25,000 training reviews, all 25,000 test reviews; quick: the first 4,000 of each",
        settings={
            "optimiser": f"Adam, learning rate {_LEARNING_RATE}",
            "epochs": str(_EPOCHS),
            "batch": str(_BATCH_SIZE),
            "loss": "cross-entropy",
            "start": "zeros",
        },
        defects=("B20",),
        source="imdb",
        expected=(
            Expected("test accuracy by words", 0.86, at_least, "goal", is_quick=False, needs_real_data=True),
            Expected("test accuracy by words and pairs", 0.90, at_least, "goal", is_quick=False, needs_real_data=True),
            Expected("test accuracy by words", 0.78, at_least, "goal"),
            Expected("test accuracy by words and pairs", 0.78, at_least, "goal"),
        ),
        run=_predict,
        seconds=(4.0, 35.0),
    ),
)
