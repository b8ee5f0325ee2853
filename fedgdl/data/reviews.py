"""Film reviews with a label (1 positive, 0 negative): as texts in order, and as bags of words by film.

`load_reviews` gives a whole part in the book's order with the book's tokens, for recipes that read
words one after another. `split_reviews` gives the clean split for federations: bags of different
words, a vocabulary from the training reviews alone, and the films as groups.

Not here: where reviews come from (`fedgdl.data.sources.imdb`, `synthetic_reviews`), and the two
tokenisers (`fedgdl.data.book_tokens`, `fedgdl.data.text`).

Example:
    >>> from fedgdl.config import DataConfig
    >>> train = [Review("A fine film.", 1, film=7), Review("A dull, dull film.", 0, film=8)]
    >>> split = split_reviews({"train": train, "test": [Review("Fine?", 1)]}, DataConfig("imdb"))
    >>> split.words["vocabulary"], split.groups.names, split.counts["unknown_words_in_test"]
    ([',', '.', 'a', 'dull', 'film', 'fine'], ('film-tt0000007', 'film-tt0000008'), 1)
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.book_tokens import book_tokens
from fedgdl.data.cache import Contents
from fedgdl.data.corpus import find_corpus, open_corpus
from fedgdl.data.dataset import BagExamples
from fedgdl.data.partition import Groups
from fedgdl.data.split import Split, SplitSource
from fedgdl.data.text import Vocabulary, distinct_tokens
from fedgdl.errors import DataError
from fedgdl.progress import watched

__all__ = ["CLASSES", "PARTS", "Part", "Review", "ReviewSource", "Reviews", "film_id", "load_reviews", "split_reviews"]

Part = Literal["train", "test"]
PARTS: Final = get_args(Part)
CLASSES: Final = ("negative", "positive")
"""What the labels 0 and 1 mean."""

_RECIPE: Final = 1
"""To be raised with every change of the book's tokens or of generated texts: earlier corpora are then left alone."""

_CHUNK: Final = 500  # reviews between two steps of the progress bar
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Review:
    """One film review.

    Attributes:
        text: as its author wrote it, line breaks as `<br />`.
        label: 1 positive, 0 negative.
        film: the number of its film; none where that is not known.
    """

    text: str
    label: int
    film: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSource(SplitSource):
    """A source of film reviews.

    Attributes:
        read: reads both parts, in the book's order, from (the files in the order of `files`, the seed).
    """

    read: Callable[[tuple[Path, ...], int], Mapping[str, list[Review]]]
    settings: tuple[str, ...] = ("min_count", "max_tokens")
    example_noun: str = "reviews"


@dataclass(frozen=True, slots=True)
class Reviews:
    r"""One part of a collection of reviews, in the book's order: positive and negative in turn.

    Attributes:
        token_ids: (tokens,) int32, the ids of all words in reading order; memory-mapped. The tokens `""` and
            `"\n"` are words like others.
        offsets: (reviews + 1,) int64; review i has `token_ids[offsets[i]:offsets[i + 1]]`.
        labels: (reviews,) uint8, 1 positive, 0 negative.
        films: (reviews,) int32, each review's film; none where that is not known.
        vocabulary: the words of the training part, by code point.
        num_unknown: how many tokens were dropped because the training part does not have them; 0 for itself.
        is_synthetic: whether the reviews were generated.
        description: one line for people.
    """

    token_ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.uint8]
    films: npt.NDArray[np.int32] | None
    vocabulary: Vocabulary
    num_unknown: int
    is_synthetic: bool
    description: str

    def __len__(self) -> int:
        """Returns the number of reviews."""
        return len(self.labels)

    def tokens(self, index: int) -> npt.NDArray[np.int32]:
        """Returns (tokens,) int32, the ids of one review's words in reading order: a view."""
        return self.token_ids[self.offsets[index] : self.offsets[index + 1]]


def load_reviews(
    part: Part = "train", root: str | None = None, *, allow_synthetic: bool = False, seed: int = 0
) -> Reviews:
    """Returns one part of IMDB in the book's order, with the book's tokens.

    The first call prepares both parts; later ones open them in milliseconds.

    Args:
        part: `"train"` or `"test"`.
        root: a folder to look in before FEDGDL_DATA and the user's cache.
        allow_synthetic: whether generated reviews may take the place of real ones that are not there.
        seed: decides the generated reviews; real ones do not depend on it.

    Raises:
        DataMissing: the reviews are not on this machine, and generated ones are not allowed.
        DataCorrupt: the archive is damaged, or not complete, or holds what it should not.
        DataError: there is no such part.
    """
    if part not in PARTS:
        message = f"the reviews have the parts {' and '.join(PARTS)}, not {part!r}"
        raise DataError(message)
    source, files = find_corpus("imdb", root, allow_synthetic=allow_synthetic)
    if not isinstance(source, ReviewSource):
        message = f"the data set {source.name!r} ({source.title}) has no film reviews"
        raise DataError(message)
    settings = {"recipe": _RECIPE, "seed": seed if source.is_seeded else None}
    entry = open_corpus(source, files, settings, lambda: _corpus(source.read(files, seed)))
    arrays = entry.arrays
    vocabulary = Vocabulary(entry.words("vocabulary"))
    labels = arrays[f"{part}_labels"]
    return Reviews(
        arrays[f"{part}_token_ids"],
        arrays[f"{part}_offsets"],
        labels,
        arrays.get(f"{part}_films"),
        vocabulary,
        entry.notes[f"{part}_unknown_tokens"],
        source.is_synthetic,
        f"{source.heading}: {len(labels):,} {part} reviews in the book's order, {len(vocabulary):,} different tokens",
    )


def split_reviews(parts: Mapping[str, Sequence[Review]], config: DataConfig) -> Split:
    """Returns the clean split: each review the set of its words, the test part for testing.

    The vocabulary is built from the training reviews; words that only test reviews have are dropped
    and counted. Reviews that come twice are kept, as in published results.

    Args:
        parts: the reviews of `"train"` and `"test"`.
        config: `min_count`, `max_tokens` and `partition` are used.

    Raises:
        DataError: there is no training review; or the clients should be films, but it is not known which film
            a review is about; or no word is left.
    """
    train, test = (parts[part] for part in PARTS)
    if not train:
        message = "there are no film reviews to train on"
        raise DataError(message)
    groups = _films(train, config)
    numbers: defaultdict[str, int] = defaultdict(count().__next__)  # looking a word up gives it a number
    bags = _numbered([*train, *test], lambda text: distinct_tokens(text)[: config.max_tokens], numbers)
    counts = np.bincount(np.concatenate(bags[: len(train)]), minlength=len(numbers))
    vocabulary = Vocabulary.of_counts(dict(zip(numbers, counts.tolist(), strict=True)), min_count=config.min_count)
    if not len(vocabulary):
        message = f"no word is in data.min_count = {config.min_count} of the {len(train)} training reviews"
        raise DataError(message)
    id_of_number = _ids(numbers, vocabulary)
    ids = [np.sort(id_of_number[bag]).astype(np.int64) for bag in bags]
    known = [sorted_ids[np.searchsorted(sorted_ids, 0) :] for sorted_ids in ids]
    rows = np.arange(len(bags), dtype=np.int64)
    examples = BagExamples.of_arrays(known, [review.label for review in (*train, *test)])
    notes = {
        "read": len(bags),
        "train": len(train),
        "test": len(test),
        "films": 0 if groups is None else len(groups.names),
        "words": len(vocabulary),
        "unknown_words_in_test": sum(map(len, ids[len(train) :])) - sum(map(len, known[len(train) :])),
    }
    words = {"vocabulary": list(vocabulary.words), "classes": list(CLASSES)}
    return Split(examples, rows[: len(train)], rows[len(train) :], groups, notes, words)


def _films(reviews: Sequence[Review], config: DataConfig) -> Groups | None:
    """Returns the films as groups, or none where not all are known; refuses that where films are to be clients."""
    films = [film_id(review.film) for review in reviews if review.film is not None]
    if len(films) == len(reviews):
        return Groups.of(films)
    if config.partition.kind == "natural":
        message = (
            'data.partition.kind = "natural" makes each film a client, but the reviews\' archive does not say which '
            "film a review is about; use the official archive, or put aclImdb_urls.tar.gz beside it, "
            'or use data.partition.kind = "iid" with data.partition.clients = 10, say'
        )
        raise DataError(message)
    return None


def film_id(film: int) -> str:
    """Returns the client id of a film, `film-tt0453418`, say: its number as in its page's address."""
    return f"film-tt{film:07}"


def _numbered(
    reviews: Sequence[Review], tokens: Callable[[str], list[str]], numbers: defaultdict[str, int]
) -> list[npt.NDArray[np.int32]]:
    """Returns the numbers of each review's tokens; a word not seen before gets the next number."""
    chunks = [reviews[start : start + _CHUNK] for start in range(0, len(reviews), _CHUNK)]
    numbered = []
    for chunk in watched(chunks, "preparing the film reviews"):
        for review in chunk:
            words = tokens(review.text)
            numbered.append(np.fromiter(map(numbers.__getitem__, words), np.int32, len(words)))
    return numbered


def _ids(numbers: Mapping[str, int], vocabulary: Vocabulary) -> npt.NDArray[np.int32]:
    """Returns the vocabulary's id of each number's word, or -1."""
    return np.array([vocabulary.id_of(word) if word in vocabulary else _UNKNOWN for word in numbers], dtype=np.int32)


def _corpus(parts: Mapping[str, Sequence[Review]]) -> Contents:
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    numbered = {"train": _numbered(parts["train"], book_tokens, numbers)}
    vocabulary = Vocabulary(sorted(numbers))
    numbered["test"] = _numbered(parts["test"], book_tokens, numbers)
    id_of_number = _ids(numbers, vocabulary)
    arrays: dict[str, npt.NDArray[np.int32] | npt.NDArray[np.int64] | npt.NDArray[np.uint8]] = {}
    notes = {}
    for part, reviews in parts.items():
        all_ids = [id_of_number[review] for review in numbered[part]]
        ids = [review[review != _UNKNOWN] for review in all_ids]
        notes[f"{part}_unknown_tokens"] = sum(map(len, all_ids)) - sum(map(len, ids))
        arrays[f"{part}_token_ids"] = np.concatenate(ids)
        arrays[f"{part}_offsets"] = np.concatenate(([0], np.cumsum([len(review) for review in ids], dtype=np.int64)))
        arrays[f"{part}_labels"] = np.array([review.label for review in reviews], dtype=np.uint8)
        films = [review.film for review in reviews if review.film is not None]
        if len(films) == len(reviews):
            arrays[f"{part}_films"] = np.array(films, dtype=np.int32)
    return Contents(arrays, {"vocabulary": list(vocabulary.words)}, notes)
