"""A federation's e-mails, prepared once and opened by every process: `load_mail`.

The first call with a given configuration finds the source's files, splits them into training and
test e-mails and into clients, and keeps the result in the user's cache. Later calls, in this or in
any other process, open that in milliseconds and share its memory.

Example:
    >>> from fedgdl.config import DataConfig
    >>> data = load_mail(DataConfig("synthetic-mail", examples=500), seed=1)
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
from fedgdl.data.dataset import BagExamples
from fedgdl.data.locate import cache_folder, locate
from fedgdl.data.mail import MailSource
from fedgdl.data.partition import partition
from fedgdl.data.registry import find_source
from fedgdl.data.text import Vocabulary
from fedgdl.errors import DataError, DataMissing

__all__ = ["PreparedMail", "load_mail"]

_RECIPE: Final = 1
"""To be raised with every change of tokens, splits or generated texts: earlier prepared data is then left alone."""

_SHOWN_IDS: Final = 6
_logger = logging.getLogger(__name__)


class PreparedMail:
    """E-mails split into clients and a test set: a `FederatedDataset` of `BagExamples`.

    Args:
        entry: the arrays `token_ids`, `offsets` and `labels` of all rows (each client's in one piece,
            in the order of the clients' ids, then the test rows) and `client_offsets`, (clients + 1,).
        source: where the e-mails come from.
        instead_of: the source that was asked for, where it is another one.

    Attributes:
        source: see above.
        client_ids: the population, sorted.
        counts: how many e-mails were read, dropped and kept.
        fingerprint: SHA-256 of the prepared contents.
    """

    def __init__(self, entry: Entry, source: MailSource, instead_of: str | None = None) -> None:
        arrays = entry.arrays
        self._entry = entry
        self._all = BagExamples(arrays["token_ids"], arrays["offsets"], arrays["labels"])
        self._client_offsets = arrays["client_offsets"]
        self._instead_of = instead_of
        self.source = source
        self.client_ids = tuple(entry.words("clients"))
        self.counts: Mapping[str, int] = entry.notes
        self.fingerprint = entry.fingerprint
        self._positions = {client_id: position for position, client_id in enumerate(self.client_ids)}

    def __repr__(self) -> str:
        """Returns the description."""
        return f"PreparedMail({self.description})"

    @property
    def is_synthetic(self) -> bool:
        """Whether the e-mails were generated."""
        return self.source.is_synthetic

    @property
    def num_words(self) -> int:
        """The number of words of the vocabulary, known without reading it."""
        return self._entry.lengths["vocabulary"]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of the ids; read on first use, as training does without."""
        return Vocabulary(self._entry.words("vocabulary"))

    @property
    def num_train(self) -> int:
        """The number of training e-mails of all clients."""
        return int(self._client_offsets[-1])

    @property
    def test(self) -> BagExamples:
        """The test e-mails: views, nothing is copied."""
        return self._rows(self.num_train, len(self._all))

    @property
    def description(self) -> str:
        """The source, its size, whether it is synthetic, and whether it stands in for another."""
        text = (
            f"{self.source.title}{' (synthetic)' if self.is_synthetic else ''}: {self.num_train:,} training and "
            f"{len(self.test):,} test messages, {len(self.client_ids):,} clients, {self.num_words:,} words"
        )
        return f"{text}; used because {self._instead_of} is not on this machine" if self._instead_of else text

    def client(self, client_id: str) -> BagExamples:
        """Returns one client's own e-mails: views, nothing is copied.

        Raises:
            DataError: there is no such client.
        """
        position = self._positions.get(client_id)
        if position is None:
            some = ", ".join(self.client_ids[:_SHOWN_IDS])
            message = f"there is no client {client_id!r}; there are {len(self.client_ids)}: {some} ..."
            raise DataError(message)
        return self._rows(int(self._client_offsets[position]), int(self._client_offsets[position + 1]))

    def _rows(self, start: int, stop: int) -> BagExamples:
        """Returns rows start to stop - 1; their offsets stay positions in the whole array, which costs nothing."""
        return BagExamples(self._all.token_ids, self._all.offsets[start : stop + 1], self._all.labels[start:stop])


def load_mail(config: DataConfig, seed: int) -> PreparedMail:
    """Returns the e-mails of a configuration, preparing them when that has not been done yet.

    Args:
        config: the source, how to split it, and where to look for it. When the source is not on this
            machine and `config.fallback` names another, that one is used; `source` of the result says which.
        seed: the experiment's seed: decides the test set, random partitions and generated e-mails.

    Raises:
        DataMissing: the source is not on this machine and there is no fallback that is.
        DataCorrupt: a file of the source is damaged.
        DataError: the source is unknown or has no e-mails, or the partition leaves a client without examples.
    """
    source = _mail_source(config.source)
    fallback = None if config.fallback is None else _mail_source(config.fallback)
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
    return PreparedMail(entry, source, None if source.name == config.source else config.source)


def _mail_source(name: str) -> MailSource:
    source = find_source(name)
    if not isinstance(source, MailSource):
        message = f"the data set {name!r} ({source.title}) has no e-mails"
        raise DataError(message)
    return source


def _settings(source: MailSource, files: tuple[Path, ...], config: DataConfig, seed: int) -> dict[str, Any]:
    """Returns everything that the prepared data depends on, as JSON values."""
    is_seeded = source.is_seeded or config.partition.kind != "natural"
    stats = [(path.name, path.stat()) for path in files]
    return {
        "recipe": _RECIPE,
        "source": source.name,
        "data": {field: getattr(config, field) for field in source.settings},
        "partition": msgspec.to_builtins(config.partition),
        "seed": seed if is_seeded else None,
        "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
    }


def _prepare(source: MailSource, files: tuple[Path, ...], config: DataConfig, seed: int) -> Contents:
    split = source.split(files, config, seed)
    clients = partition(config.partition, len(split.train_rows), split.groups, seed)
    order = np.concatenate([*(split.train_rows[rows] for rows in clients.values()), split.test_rows])
    rows = split.examples.take(order)
    sizes = [len(client_rows) for client_rows in clients.values()]
    arrays: dict[str, npt.NDArray[Any]] = {
        "token_ids": rows.token_ids,
        "offsets": rows.offsets,
        "labels": rows.labels.astype(np.int8),
        "client_offsets": np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))),
    }
    return Contents(arrays, {"clients": list(clients), "vocabulary": list(split.vocabulary.words)}, split.counts)
