"""A federation's examples, prepared once and opened by every process: `load_dataset`.

The first call with a given configuration finds the source's files, splits them into training and
test examples and into clients, and keeps the result in the user's cache. Later calls, in this or in
any other process, open that in milliseconds and share its memory.

Example:
    >>> from fedgdl.config import DataConfig
    >>> data = load_dataset(DataConfig("synthetic-mail", examples=500), seed=1)
    >>> data.is_synthetic, list(data.client_ids)[:2], len(data.test)
    (True, ['mailbox-1', 'mailbox-2'], 100)
"""

import logging
import multiprocessing
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.cache import Contents, Entry, open_or_build
from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.data.locate import cache_folder, locate, stamps
from fedgdl.data.partition import Groups, partition
from fedgdl.data.registry import find_source
from fedgdl.data.split import Split, SplitSource
from fedgdl.data.text import Vocabulary
from fedgdl.errors import DataError, DataMissing

__all__ = ["PreparedDataset", "load_dataset"]

_RECIPE: Final = 2
"""To be raised with every change of tokens, splits or generated texts: earlier prepared data is then left alone."""

_SHOWN_IDS: Final = 6
_logger = logging.getLogger(__name__)


class PreparedDataset:
    """Examples split into clients and a test set: a `FederatedDataset`.

    Args:
        entry: the arrays of all rows (each client's in one piece, in the order of the clients' ids, then
            the test rows): `token_ids`, `offsets` and `labels` of bags of words, or `inputs` and `labels`;
            and `client_offsets`, (clients + 1,).
        source: where the examples come from.
        instead_of: the source that was asked for, where it is another one.

    Attributes:
        source: see above.
        client_ids: the population, sorted.
        counts: how many examples were read, dropped and kept.
        fingerprint: SHA-256 of the prepared contents.
    """

    def __init__(self, entry: Entry, source: SplitSource, instead_of: str | None = None) -> None:
        self._entry = entry
        self._labels = entry.arrays["labels"]
        self._client_offsets = entry.arrays["client_offsets"]
        self._instead_of = instead_of
        self.source = source
        self.client_ids = tuple(entry.words("clients"))
        self.counts: Mapping[str, int] = entry.notes
        self.fingerprint = entry.fingerprint
        self._positions = {client_id: position for position, client_id in enumerate(self.client_ids)}

    def __repr__(self) -> str:
        """Returns the description."""
        return f"PreparedDataset({self.description})"

    @property
    def is_synthetic(self) -> bool:
        """Whether the examples were generated."""
        return self.source.is_synthetic

    @property
    def num_words(self) -> int:
        """The number of entries of the vocabulary, known without reading it; raises `DataError` if there is none."""
        return self._length("vocabulary")

    @property
    def num_classes(self) -> int:
        """The number of different labels, known without reading their names; raises `DataError` if there is none."""
        return self._length("classes")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the word ids mean; read on first use, as training does without.

        Raises:
            DataError: the examples are not made of words.
        """
        return Vocabulary(self.words("vocabulary"))

    def words(self, name: str) -> list[str]:
        """Returns a list of strings that came with the examples, reading it from disk.

        Args:
            name: `"vocabulary"`, `"classes"` or what else the source has.

        Raises:
            DataError: there is no such list; or `DataCorrupt`, its file is damaged.
        """
        self._length(name)
        return self._entry.words(name)

    @property
    def num_train(self) -> int:
        """The number of training examples of all clients."""
        return int(self._client_offsets[-1])

    @property
    def test(self) -> BagExamples | ArrayExamples:
        """The test examples: views, nothing is copied."""
        return self._rows(self.num_train, len(self._labels))

    @property
    def all_train(self) -> BagExamples | ArrayExamples:
        """All training examples, in the order of the clients: views, nothing is copied."""
        return self._rows(0, self.num_train)

    @property
    def description(self) -> str:
        """The source, its size, whether it is synthetic, who was left out, and whether it stands in for another."""
        text = (
            f"{self.source.heading}: {self.num_train:,} training and "
            f"{len(self._labels) - self.num_train:,} test {self.source.example_noun}, {len(self.client_ids):,} clients"
        )
        if "vocabulary" in self._entry.lengths:
            text += f", {self.num_words:,} {self.source.word_noun}"
        left_out = self.counts.get("clients_left_out", 0)
        if left_out:
            text += f"; {left_out:,} client{'s' if left_out > 1 else ''} with too few examples left out"
        return f"{text}; used because {self._instead_of} is not on this machine" if self._instead_of else text

    def client(self, client_id: str) -> BagExamples | ArrayExamples:
        """Returns one client's own examples: views, nothing is copied.

        Raises:
            DataError: there is no such client.
        """
        position = self._positions.get(client_id)
        if position is None:
            some = ", ".join(self.client_ids[:_SHOWN_IDS])
            message = f"there is no client {client_id!r}; there are {len(self.client_ids)}: {some} ..."
            raise DataError(message)
        return self._rows(int(self._client_offsets[position]), int(self._client_offsets[position + 1]))

    def _rows(self, start: int, stop: int) -> BagExamples | ArrayExamples:
        """Returns rows start to stop - 1; offsets of bags stay positions in the whole array, which costs nothing."""
        arrays = self._entry.arrays
        if "inputs" in arrays:
            return ArrayExamples(arrays["inputs"][start:stop], self._labels[start:stop])
        return BagExamples(arrays["token_ids"], arrays["offsets"][start : stop + 1], self._labels[start:stop])

    def _length(self, name: str) -> int:
        try:
            return self._entry.lengths[name]
        except KeyError:
            message = f"the data set {self.source.name!r} ({self.source.title}) has no {name}"
            raise DataError(message) from None


def load_dataset(config: DataConfig, seed: int) -> PreparedDataset:
    """Returns the examples of a configuration, preparing them when that has not been done yet.

    Args:
        config: the source, how to split it, and where to look for it. When the source is not on this
            machine and `config.fallback` names another, that one is used; `source` of the result says which.
        seed: the experiment's seed: decides random test sets and partitions, and generated examples.

    Raises:
        DataMissing: the source is not on this machine and there is no fallback that is.
        DataCorrupt: a file of the source is damaged.
        DataError: the source is unknown or cannot be split into clients, or the partition leaves a client
            without examples.
    """
    source = _split_source(config.source)
    fallback = None if config.fallback is None else _split_source(config.fallback)
    try:
        files = locate(source, config.root)
    except DataMissing as error:
        if fallback is None:
            raise
        is_worker = multiprocessing.parent_process() is not None  # whose coordinator has already said it
        _logger.log(logging.DEBUG if is_worker else logging.WARNING, "using %s instead: %s", fallback.name, error)
        source, files = fallback, locate(fallback, config.root)
    entry = open_or_build(
        cache_folder() / "prepared",
        source.name,
        _settings(source, files, config, seed),
        lambda: _prepare(source, files, config, seed),
    )
    return PreparedDataset(entry, source, None if source.name == config.source else config.source)


def _split_source(name: str) -> SplitSource:
    source = find_source(name)
    if not isinstance(source, SplitSource):
        message = f"the data set {name!r} ({source.title}) cannot be split into clients"
        raise DataError(message)
    return source


def _settings(source: SplitSource, files: tuple[Path, ...], config: DataConfig, seed: int) -> dict[str, Any]:
    """Returns everything that the prepared data depends on, as JSON values."""
    is_seeded = source.is_seeded or config.partition.kind != "natural"
    fields = (*source.settings, "train_examples", "test_examples")
    return {
        "recipe": _RECIPE,
        "source": source.name,
        "data": {field: getattr(config, field) for field in fields},
        "partition": msgspec.to_builtins(config.partition),
        "seed": seed if is_seeded else None,
        "files": stamps(source, files),
    }


def _prepare(source: SplitSource, files: tuple[Path, ...], config: DataConfig, seed: int) -> Contents:
    split = source.split(files, config, seed)
    train_rows, groups = _first(split, config.train_examples)
    test_rows = split.test_rows[: config.test_examples]
    labels = split.examples.labels[train_rows]
    clients = partition(config.partition, len(train_rows), groups, seed, labels)
    sizes = [len(client_rows) for client_rows in clients.values()]
    kept = sum(sizes)
    order = np.concatenate([*(train_rows[rows] for rows in clients.values()), test_rows])
    arrays = {
        **_arrays(split.examples.take(order)),
        "client_offsets": np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))),
    }
    counts = {**split.counts, "train": kept, "test": len(test_rows)}
    if groups is not None and config.partition.kind == "natural" and len(clients) < len(groups.names):
        counts["clients_left_out"] = len(groups.names) - len(clients)
        counts["train_left_out"] = len(train_rows) - kept
    return Contents(arrays, {"clients": list(clients), **split.words}, counts)


def _first(split: Split, num_train: int | None) -> tuple[npt.NDArray[np.int64], Groups | None]:
    """Returns the first training rows and their groups, without those groups that have none of these rows."""
    if num_train is None or num_train >= len(split.train_rows):
        return split.train_rows, split.groups
    groups = split.groups
    if groups is not None:
        groups = Groups.of([groups.names[position] for position in groups.of_row[:num_train]])
    return split.train_rows[:num_train], groups


def _arrays(examples: BagExamples | ArrayExamples) -> dict[str, npt.NDArray[Any]]:
    if isinstance(examples, ArrayExamples):
        return {"inputs": examples.inputs, "labels": examples.labels}
    labels = examples.labels.astype(np.int8)  # classes of bags are few: spam or ham, liked or not
    return {"token_ids": examples.token_ids, "offsets": examples.offsets, "labels": labels}
