"""Rows of one's own data as they were gathered, before anything is split or numbered.

Each adapter of `fedgdl.data.own` ends in `Collection`s, one for training and perhaps one for testing, and
`make_split` turns them into a `Split`: labels become class numbers, texts become bags of words.

Example:
    >>> from fedgdl.config import DataConfig
    >>> rows = Collection(labels=["ham", "spam"], texts=["hi there", "buy"], place=lambda row: f"row {row}")
    >>> split = make_split(rows, rows, DataConfig("own"), seed=1)
    >>> split.words["vocabulary"], split.train_rows, split.test_rows
    (['buy', 'hi', 'there'], array([0, 1]), array([2, 3]))
"""

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.data.partition import Groups, Rows
from fedgdl.data.split import Split
from fedgdl.data.text import Vocabulary, distinct_tokens
from fedgdl.errors import DataError
from fedgdl.seeding import stream

__all__ = ["Collection", "Labels", "make_split"]

Labels: TypeAlias = Sequence[str] | Sequence[int] | npt.NDArray[np.integer]

_logger = logging.getLogger(__name__)

_MAX_ID_CHARACTERS: Final = 200
"""The longest client id that travels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Some rows: each has a label, inputs or a text, and perhaps a client.

    Attributes:
        labels: each row's class, a name or a whole number; or (rows, steps) integers as in `ArrayExamples`.
        place: says where a row (counted from 0) is, for messages: `"iris.csv, line 7"`.
        inputs: (rows, ...) what the model sees; none where there are texts.
        texts: each row's text; none where there are inputs.
        clients: whose each row is; none where nobody says.
    """

    labels: Labels
    place: Callable[[int], str]
    inputs: npt.NDArray[Any] | None = None
    texts: Sequence[str] | None = None
    clients: Sequence[str] | None = None

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.labels)


def make_split(train: Collection, test: Collection | None, config: DataConfig, seed: int) -> Split:
    """Returns the rows, numbered and split into training and test.

    Args:
        train: the training rows; without `test`, all rows.
        test: the test rows; none: a random `config.test_fraction` of the rows.
        config: `test_fraction` and, for texts, `min_count` and `max_tokens` are used.
        seed: the experiment's seed; decides which rows are for testing.

    Raises:
        DataError: there are too few rows, a label of the test rows is in no training row, a client's name is
            empty or too long, training and test inputs differ in shape, or no word is left.
    """
    train_rows, test_rows = _rows(train, test, config, seed)
    parts = [train] if test is None else [train, test]
    places = _places(parts)
    labels, classes = _numbered_labels(parts, train_rows, places)
    words: dict[str, list[str]] = {} if classes is None else {"classes": classes}
    examples: ArrayExamples | BagExamples
    counts: dict[str, int] = {"read": len(labels)}
    if train.texts is None:
        examples = ArrayExamples(_joined([part.inputs for part in parts if part.inputs is not None]), labels)
    else:
        texts = [text for part in parts for text in part.texts or ()]
        examples, words["vocabulary"], counts["unknown_words_in_test"] = _bags(texts, labels, train_rows, config)
    return Split(examples, train_rows, test_rows, _groups(train, train_rows), counts, words)


def _rows(train: Collection, test: Collection | None, config: DataConfig, seed: int) -> tuple[Rows, Rows]:
    """Returns the numbers of the training and of the test rows, in order."""
    num_rows = len(train)
    if test is not None:
        for part, what in ((train, "training"), (test, "test")):
            if not len(part):
                message = f"there is no {what} row"
                raise DataError(message)
        return np.arange(num_rows, dtype=np.int64), np.arange(num_rows, num_rows + len(test), dtype=np.int64)
    num_test = min(max(1, round(num_rows * config.test_fraction)), num_rows - 1)
    if num_test < 1:
        message = f"{num_rows} rows cannot be split into training and test: there must be at least two"
        raise DataError(message)
    order = stream(seed, "split").permutation(num_rows).astype(np.int64)
    return np.sort(order[num_test:]), np.sort(order[:num_test])


def _places(parts: Sequence[Collection]) -> Callable[[int], str]:
    """Returns what says where a row of several collections, one after another, is."""
    first = parts[0]

    def place(row: int) -> str:
        return first.place(row) if row < len(first) else parts[1].place(row - len(first))

    return place


def _numbered_labels(
    parts: Sequence[Collection], train_rows: Rows, place: Callable[[int], str]
) -> tuple[npt.NDArray[np.int64], list[str] | None]:
    """Returns each row's class, numbered in the order of the names, and the names; labels of sequences as they are."""
    arrays = [part.labels for part in parts if isinstance(part.labels, np.ndarray) and part.labels.ndim == 2]
    if arrays:
        return _joined(arrays).astype(np.int64), None
    labels: list[str | int] = [label for part in parts for label in part.labels]
    known = {labels[row] for row in train_rows.tolist()}
    for row, label in enumerate(labels):
        if label not in known:
            some = ", ".join(repr(name) for name in _in_order(known)[:10])
            message = (
                f"{place(row)}: the label {label!r} of this test row is in no training row (there: {some}); "
                "leave such rows out, or split otherwise"
            )
            raise DataError(message)
    names = _in_order(known)
    if len(names) == 1:  # no error: a task with a loss of its own need not look at labels
        is_worker = multiprocessing.parent_process() is not None  # whose coordinator has already said it
        message = "all %d training rows have the label %r: there are no classes to tell apart; is it the right %s?"
        what = "column" if parts[0].texts is None else "column or folder"
        _logger.log(logging.DEBUG if is_worker else logging.WARNING, message, len(train_rows), names[0], what)
    number = {name: index for index, name in enumerate(names)}
    return np.array([number[label] for label in labels], dtype=np.int64), [str(name) for name in names]


def _in_order(names: set[str | int]) -> list[str | int]:
    """Returns names sorted: as numbers where all are, else by code point."""
    if all(isinstance(name, int) or (name.isascii() and name.isdigit()) for name in names):
        return sorted(names, key=lambda name: (int(name), str(name)))
    return sorted(names, key=str)


def _joined(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        message = f"training and test examples differ in shape: {' and '.join(str(shape) for shape in sorted(shapes))}"
        raise DataError(message)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _bags(
    texts: Sequence[str], labels: npt.NDArray[np.int64], train_rows: Rows, config: DataConfig
) -> tuple[BagExamples, list[str], int]:
    """Returns texts as bags of the words of the training texts, these words, and how many test words have no id."""
    tokens = [distinct_tokens(text)[: config.max_tokens] for text in texts]
    vocabulary = Vocabulary.build((tokens[row] for row in train_rows.tolist()), min_count=config.min_count)
    if not len(vocabulary):
        message = f"no word is in data.min_count = {config.min_count} of the {len(train_rows)} training texts"
        raise DataError(message)
    encoded = [vocabulary.encode(words) for words in tokens]
    in_training = set(train_rows.tolist())
    num_unknown = sum(unknown for row, (_, unknown) in enumerate(encoded) if row not in in_training)
    bags = BagExamples.of_arrays([ids for ids, _ in encoded], labels.tolist())
    return bags, list(vocabulary.words), num_unknown


def _groups(train: Collection, train_rows: Rows) -> Groups | None:
    """Returns whose the training rows are; a client all of whose rows are for testing is not among them."""
    if train.clients is None:
        return None
    for row, name in enumerate(train.clients):
        if not name or len(name) > _MAX_ID_CHARACTERS:
            message = (
                f"{train.place(row)}: a client's name has 1 to {_MAX_ID_CHARACTERS} characters, this has {len(name)}"
            )
            raise DataError(message)
    return Groups.of([train.clients[row] for row in train_rows.tolist()])
