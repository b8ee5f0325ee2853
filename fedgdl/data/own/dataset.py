"""A federation's examples in memory: what every adapter of `fedgdl.data.own` gives.

It is made anew in each process that asks for it, so it suits data that is read in a second or two. Data that takes
longer to prepare is better kept as a source; see `fedgdl/data/sources`.

Example:
    >>> from fedgdl.config import DataConfig, PartitionConfig
    >>> config = DataConfig("own", partition=PartitionConfig("iid", clients=("alice", "bob")))
    >>> split = Split(ArrayExamples(np.eye(5), np.array([0, 1, 0, 1, 0])), np.arange(4), np.array([4]))
    >>> data = OwnDataset("five rows", split, config, seed=1)
    >>> data.client_ids, len(data.client("bob")), data.test.labels
    (('alice', 'bob'), 2, array([0]))
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.data.partition import Groups, partition
from fedgdl.data.split import Split
from fedgdl.data.text import Vocabulary
from fedgdl.errors import DataError

__all__ = ["OwnDataset"]

ExamplesT = TypeVar("ExamplesT", bound=ArrayExamples | BagExamples)

_SHOWN_IDS: Final = 6


class OwnDataset(Generic[ExamplesT]):
    """Examples split into clients and a test set: a `FederatedDataset`.

    Args:
        title: what people call the data.
        split: its examples.
        config: `partition`, `train_examples` and `test_examples` are used.
        seed: the experiment's seed; decides random partitions.

    Attributes:
        client_ids: the population, sorted.
        classes: the labels' names in the order of their numbers; none for labels that are sequences.
        counts: how many rows were read, and the like.
        fingerprint: SHA-256 of the contents.
        is_synthetic: False: nobody here knows.

    Raises:
        DataError: the partition needs clients that the rows do not name, or leaves a client empty.
    """

    is_synthetic = False

    def __init__(self, title: str, split: Split, config: DataConfig, seed: int) -> None:
        train_rows = split.train_rows[: config.train_examples]
        test_rows = split.test_rows[: config.test_examples]
        groups = None if split.groups is None else _first(split.groups, len(train_rows))
        labels = split.examples.labels[train_rows]
        clients = partition(config.partition, len(train_rows), groups, seed, labels)
        order = np.concatenate([*(train_rows[rows] for rows in clients.values()), test_rows])
        ends = np.cumsum([len(rows) for rows in clients.values()], dtype=np.int64).tolist()
        self._title = title
        self._all = cast("ExamplesT", split.examples.take(order))
        self._bounds = dict(zip(clients, zip([0, *ends[:-1]], ends, strict=True), strict=True))
        self._num_train = ends[-1]
        self._words = split.words
        self.client_ids = tuple(clients)
        self.classes = tuple(split.words["classes"]) if "classes" in split.words else None
        self.counts: Mapping[str, int] = {**split.counts, "train": ends[-1], "test": len(test_rows)}
        self.fingerprint = _fingerprint(self._all, self._bounds, split.words)

    def __repr__(self) -> str:
        """Returns the description."""
        return f"OwnDataset({self.description})"

    @property
    def num_classes(self) -> int:
        """The number of different labels; raises `DataError` where labels are sequences."""
        return len(self._list("classes"))

    @property
    def num_words(self) -> int:
        """The number of words of the vocabulary; raises `DataError` where the examples are no texts."""
        return len(self._list("vocabulary"))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the word ids mean; raises `DataError` where the examples are no texts."""
        return Vocabulary(self._list("vocabulary"))

    @property
    def description(self) -> str:
        """The title and the data's size."""
        text = (
            f"{self._title}: {self._num_train:,} training and {len(self.test):,} test examples, "
            f"{len(self.client_ids):,} clients"
        )
        return f"{text}, {self.num_words:,} words" if "vocabulary" in self._words else text

    @property
    def test(self) -> ExamplesT:
        """The test examples."""
        return self._slice(self._num_train, len(self._all))

    @property
    def all_train(self) -> ExamplesT:
        """All training examples, in the order of the clients."""
        return self._slice(0, self._num_train)

    def client(self, client_id: str) -> ExamplesT:
        """Returns one client's own examples.

        Raises:
            DataError: there is no such client.
        """
        if client_id not in self._bounds:
            some = ", ".join(self.client_ids[:_SHOWN_IDS])
            message = f"there is no client {client_id!r}; there are {len(self.client_ids)}: {some} ..."
            raise DataError(message)
        return self._slice(*self._bounds[client_id])

    def _slice(self, start: int, stop: int) -> ExamplesT:
        return cast("ExamplesT", self._all.slice(start, stop))

    def _list(self, name: str) -> list[str]:
        if name not in self._words:
            message = f"{self._title} has no {name}"
            raise DataError(message)
        return self._words[name]


def _first(groups: Groups, num_rows: int) -> Groups:
    """Returns the groups of the first rows."""
    if num_rows == len(groups.of_row):
        return groups
    return Groups.of([groups.names[position] for position in groups.of_row[:num_rows]])


def _fingerprint(
    examples: ArrayExamples | BagExamples, bounds: Mapping[str, tuple[int, int]], words: Mapping[str, list[str]]
) -> str:
    """Returns SHA-256 over all arrays and lists, each with its name, type and length."""
    arrays: dict[str, npt.NDArray[Any]] = {"labels": examples.labels}
    if isinstance(examples, ArrayExamples):
        arrays["inputs"] = examples.inputs
    else:
        arrays |= {"token_ids": examples.token_ids, "offsets": examples.offsets}
    little = {
        name: np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        for name, array in sorted(arrays.items())
    }
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in little.items()}
    digest = hashlib.sha256(msgspec.json.encode([shapes, bounds, words], order="deterministic"))
    for array in little.values():
        digest.update(array.data)
    return digest.hexdigest()
