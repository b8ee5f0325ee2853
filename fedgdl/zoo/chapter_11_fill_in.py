"""Chapter 11, filling in the blank: words from the words around them, so that vectors learn a word's role.

A place's word is to be accepted and five others, drawn by frequency, are to be refused, by the mean vector of up to two
words on either side. The gradients are those of the loss: the mean's are divided by its number of words, repeated
words add up, the two sides are equally long, and no refused word is the target. A batch of places is one step; Adagrad
lets frequent and rare words move by as much.

The vectors of ch11-sentiment tell praise from blame; these put both together, apart from names, numbers and relatives.

Not here: the windows themselves (`chapter_11_windows`), arithmetic with the vectors (`chapter_11_analogies`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 11; the network: Mikolov, Chen, Corrado, Dean,
    "Efficient Estimation of Word Representations in Vector Space", 2013, section 3.1.

Example:
    >>> network = FillInNetwork(9, 4, np.random.default_rng(1))
    >>> network(np.array([2, 7]), np.array([0, 2]), np.array([[5, 0, 1]])).data  # the outputs start at zero
    array([[0., 0., 0.]], dtype=float32)
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, embedding, no_grad, sigmoid_cross_entropy
from fedgdl.data.reviews import load_reviews
from fedgdl.nn import Embedding, EmbeddingBag, Module, init
from fedgdl.optim import Adagrad
from fedgdl.parameters import DType
from fedgdl.progress import watched
from fedgdl.seeding import stream
from fedgdl.zoo.chapter_11_bags import words_of
from fedgdl.zoo.chapter_11_windows import Corpus
from fedgdl.zoo.pictures import Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least, at_most, within

__all__ = ["RECIPES", "FillInNetwork", "TrainedWords", "fill_in_loss", "nearer", "separation", "train_words"]

_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.floating]

_SIZE: Final = 50
_WINDOW: Final = 2
_NUM_OTHERS: Final = 5
_LEAST_COUNT: Final = 5
_EPOCHS: Final = 2
_BATCH_SIZE: Final = 2_048
_LEARNING_RATE: Final = 0.2
_NUM_QUICK: Final = 2_500
_NUM_LEFT_OUT: Final = 500
_NUM_NEAREST: Final = 10

_ROLES: Final = {
    "praise": "great wonderful superb brilliant fantastic excellent",
    "blame": "terrible horrible awful bad lousy boring",
    "relative": "mother father son daughter sister brother wife husband uncle aunt girlfriend boyfriend",
    "number": "two three four five six seven eight nine ten twenty thirty fifty",
    "name": "john george robert james david michael peter richard paul william jack tom",
    "past": "went came walked ran turned moved looked tried wanted decided started saw",
}
"""Words that stand where others of their kind could stand, chosen before anything was measured."""

_SHOWN: Final = ("terrible", "beautiful", "mother", "three", "john", "walked", "actor", "plot")


class FillInNetwork(Module):
    """Scores of candidates for a blank, from the mean vector of the words around it.

    Args:
        num_words: V.
        size: D.
        rng: draws the words' vectors, even within [-0.1, 0.1); the outputs start at zero.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        words: the vectors of words around a blank, a table (V, D) as `words.weight`.
        outputs: the vectors of words in it, (V, D), as `outputs.weight`.
    """

    def __init__(self, num_words: int, size: int, rng: np.random.Generator, dtype: DType = "float32") -> None:
        self.words = EmbeddingBag(num_words, size, "mean", rng=rng, initial=init.uniform(0.1), dtype=dtype)
        self.outputs = Embedding(num_words, size, initial=init.zeros, dtype=dtype)

    def forward(self, around: _Ids, offsets: _Ids, candidates: _Ids) -> Tensor:
        """Returns the score of each candidate, (b, c); above 0 means that it fits.

        Args:
            around: (n,) int64, the words around all blanks, one blank after another.
            offsets: (b + 1,) int64; blank i has `around[offsets[i]:offsets[i + 1]]`.
            candidates: (b, c) int64.
        """
        means = self.words(around, offsets)
        fits = embedding(self.outputs.weight, candidates) @ means.reshape(*means.shape, 1)
        return fits.reshape(candidates.shape)


def fill_in_loss(network: FillInNetwork, around: _Ids, offsets: _Ids, candidates: _Ids) -> Tensor:
    """Returns the sum of the binary cross-entropies of all candidates, the first of each blank being the right one.

    Args:
        network: of any dtype.
        around: (n,) int64, the words around all blanks.
        offsets: (b + 1,) int64, where each blank's begin and end.
        candidates: (b, c) int64, the right word first.
    """
    targets = np.zeros(candidates.shape, network.words.weight.dtype)
    targets[:, 0] = 1
    return sigmoid_cross_entropy(network(around, offsets, candidates), targets, "sum")


@dataclass(frozen=True, slots=True, eq=False)
class TrainedWords:
    """Vectors of words, and what they were learned from.

    Attributes:
        network: trained.
        words: the words by id.
        first_loss: the loss of a place before the first step, by the first batch.
        last_loss: the loss of a place on reviews that were left out, after the last step.
        loss_without_context: see `Corpus.loss_without_context`, on the reviews trained on.
        num_places: how many places an epoch has.
        description: the data in a line for people.
        is_synthetic: whether they were generated.
    """

    network: FillInNetwork
    words: tuple[str, ...]
    first_loss: float
    last_loss: float
    loss_without_context: float
    num_places: int
    description: str
    is_synthetic: bool

    def unit_vectors(self) -> _Floats:
        """Returns the words' vectors, each divided by its length, (V, D)."""
        table = self.network.words.weight.data
        unit: _Floats = table / np.sqrt(np.square(table).sum(1, keepdims=True))
        return unit


def _read(setting: Setting) -> tuple[list[_Ids], tuple[str, ...], str, bool]:
    """Returns the reviews as ids of the words that occur five times or more, these words, and what the data are."""
    reviews = load_reviews("train", setting.data_root, allow_synthetic=setting.allow_synthetic)
    count = min(_NUM_QUICK, len(reviews)) if setting.is_quick else len(reviews)
    texts = words_of(reviews, count)
    counts = np.bincount(np.concatenate(texts), minlength=len(reviews.vocabulary))
    is_kept = counts >= _LEAST_COUNT
    id_of = np.cumsum(is_kept) - 1
    words = tuple(itertools.compress(reviews.vocabulary.words, is_kept))
    return [id_of[text[is_kept[text]]] for text in texts], words, reviews.description, reviews.is_synthetic


@functools.lru_cache(maxsize=1)  # the recipes that look at these vectors share one training
def train_words(setting: Setting) -> TrainedWords:
    """Returns vectors learned by filling in blanks; asked again for the same setting, the same ones."""
    texts, words, description, is_synthetic = _read(setting)
    left_out = min(_NUM_LEFT_OUT, len(texts) // 5)
    corpus = Corpus(texts[:-left_out])
    network = FillInNetwork(len(words), _SIZE, stream(1, "words"))
    optimizer = Adagrad(network.parameters(), lr=_LEARNING_RATE)
    first_loss = 0.0
    for epoch in range(1 if setting.is_quick else _EPOCHS):
        rng = stream(1, "places", round_index=epoch + 1)
        order = rng.permutation(corpus.places)
        for start in watched(range(0, order.size, _BATCH_SIZE), f"ch11-fill-in, epoch {epoch + 1}"):
            places = order[start : start + _BATCH_SIZE]
            loss = _batch_loss(network, corpus, places, corpus, rng)
            loss.backward()
            optimizer.step()
            first_loss = first_loss or loss.item() / places.size
    unread = Corpus(texts[-left_out:])
    return TrainedWords(
        network,
        words,
        first_loss,
        _mean_loss(network, unread, corpus),
        corpus.loss_without_context(_NUM_OTHERS),
        corpus.places.size,
        description,
        is_synthetic,
    )


def _batch_loss(
    network: FillInNetwork, corpus: Corpus, places: _Ids, drawn_from: Corpus, rng: np.random.Generator
) -> Tensor:
    targets = corpus.ids[places]
    others = drawn_from.draw_others(targets, _NUM_OTHERS, rng)
    candidates = np.concatenate([targets[:, np.newaxis], others], 1)
    return fill_in_loss(network, *corpus.around(places, _WINDOW), candidates)


def _mean_loss(network: FillInNetwork, corpus: Corpus, drawn_from: Corpus) -> float:
    """Returns the loss of a place, averaged over all of a corpus."""
    rng, total = stream(1, "places left out"), 0.0
    with no_grad():
        for start in range(0, corpus.places.size, _BATCH_SIZE):
            places = corpus.places[start : start + _BATCH_SIZE]
            total += _batch_loss(network, corpus, places, drawn_from, rng).item()
    return total / corpus.places.size


def separation(vectors: _Floats, groups: Sequence[Sequence[int]]) -> float:
    """Returns how often two words of one group are nearer than two of which the second is of another group.

    Args:
        vectors: (V, D), each of length 1; near means a small angle.
        groups: ids of words, two or more each.

    Returns:
        A share: 0.5 if the groups say nothing about nearness, 1 if all words of a group are nearer to one another than
        to those of other groups. Ties count half.
    """
    wins: list[float] = []
    for number, group in enumerate(groups):
        others = [word for index, other in enumerate(groups) if index != number for word in other]
        wins += [nearer(vectors, word, [other for other in group if other != word], others) for word in group]
    return float(np.mean(wins))


def nearer(vectors: _Floats, word: int, near: Sequence[int], far: Sequence[int]) -> float:
    """Returns how often one of some words is nearer to a word than one of some others; ties count half.

    Args:
        vectors: (V, D), each of length 1.
        word: the id of the word.
        near: ids of words that are expected to be near to it, at least one.
        far: ids of words that are not, at least one.
    """
    difference = (vectors[near] @ vectors[word])[:, np.newaxis] - vectors[far] @ vectors[word]
    return float((np.sign(difference) / 2 + 0.5).mean())


def _opposites_nearer(vectors: _Floats, groups: Mapping[str, Sequence[int]]) -> float:
    """Returns how often praise is nearer to blame, and blame to praise, than a word that is neither."""
    others = [word for role, group in groups.items() if role not in {"praise", "blame"} for word in group]
    pairs = (("praise", "blame"), ("blame", "praise"))
    return float(
        np.mean([nearer(vectors, word, groups[near], others) for role, near in pairs for word in groups[role]])
    )


def _fill_in(setting: Setting) -> Outcome:
    """Learns the vectors, and looks at what stands near to what."""
    trained = train_words(setting)
    vectors, places = trained.unit_vectors(), {word: index for index, word in enumerate(trained.words)}
    measured: dict[str, Value] = {
        "loss of a place at first": trained.first_loss,
        "loss of a place on reviews left out": trained.last_loss,
        "share of the loss without context": trained.last_loss / trained.loss_without_context,
        "loss without context": trained.loss_without_context,
        "words": len(trained.words),
        "places": trained.num_places,
    }
    groups = {role: [places[word] for word in words.split() if word in places] for role, words in _ROLES.items()}
    if min(map(len, groups.values())) > 1:  # generated reviews have few of these words
        polar = [groups.pop("praise"), groups.pop("blame")]
        measured |= {
            "share of words of one role nearer than of another": separation(
                vectors, [[*polar[0], *polar[1]], *groups.values()]
            ),
            "share of opposite judgements nearer than words of another role": _opposites_nearer(
                vectors, {"praise": polar[0], "blame": polar[1], **groups}
            ),
            "share of judgements of one polarity nearer than of the other": separation(vectors, polar),
        }
    lines = []
    for word in _SHOWN:
        if word in places:
            scores = vectors @ vectors[places[word]]
            order = [index for index in np.argsort(-scores, kind="stable") if index != places[word]][:_NUM_NEAREST]
            lines.append(f"{word}: " + ", ".join(f"{trained.words[index]} {scores[index]:.2f}" for index in order))
    pictures = {
        "nearest-words": Text(
            "The ten nearest words, each with the cosine of the angle between the vectors: 1 is the nearest",
            "\n".join(lines),
        )
    }
    return Outcome(measured, pictures, trained.network.flatten(), trained.description, trained.is_synthetic)


RECIPES: Final = (
    Recipe(
        name="ch11-fill-in",
        chapter=11,
        section="Filling in the blank; Meaning is derived from loss; Neural networks don't really learn data; they "
        "minimize the loss function",
        summary="Vectors learned from the words around: their neighbours share a role, not a polarity.",
        model="mean of 50 numbers a word around, times 50 numbers a candidate; 6 candidates, sigmoid",
        data="imdb: training reviews in the book's order, words of 5 or more occurrences, the last 500 reviews left "
        "out; quick: the same of the first 2,500",
        settings={
            "window": f"{_WINDOW} words on either side, shorter at a review's ends",
            "negatives": f"{_NUM_OTHERS}, by frequency, never the target",
            "optimiser": f"Adagrad, learning rate {_LEARNING_RATE}, the gradients of a batch summed",
            "batch": f"{_BATCH_SIZE:,} places",
            "epochs": f"{_EPOCHS}; quick: 1",
            "loss": "binary cross-entropy of the 6 candidates, summed",
        },
        published="terrible: horrible -3.489, bad -4.064, brilliant -4.211, pathetic -4.305, fantastic -4.342, "
        "fabulous, phenomenal, marvelous, spectacular",
        defects=("B18", "B19", "B20", "B30"),
        source="imdb",
        expected=(
            # The outputs start at zero: each of 6 candidates is as likely as not, in float32 sums of 12,288 terms.
            Expected("loss of a place at first", 6 * float(np.log(2)), within(1e-4), "derived"),
            # Five sixths of the candidates are refused: 6 entropies of 1/6, if what is drawn were drawn as targets are.
            Expected("loss without context", 2.7034, within(0.01), "derived", needs_real_data=True),
            Expected("share of the loss without context", 0.7, at_most, "goal", is_quick=False, needs_real_data=True),
            Expected("share of the loss without context", 0.9, at_most, "goal"),
            Expected(
                "share of words of one role nearer than of another",
                0.95,
                at_least,
                "goal",
                is_quick=False,
                needs_real_data=True,
            ),
            Expected("share of words of one role nearer than of another", 0.8, at_least, "goal", needs_real_data=True),
            # Role before polarity: praise and blame stand where the other could.
            Expected(
                "share of opposite judgements nearer than words of another role",
                0.9,
                at_least,
                "goal",
                needs_real_data=True,
            ),
        ),
        run=_fill_in,
        shared_training="ch11-fill-in",
        seconds=(4.0, 75.0),
    ),
)
