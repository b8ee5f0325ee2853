"""Splits the rows of a training set into clients: no row to two of them, and none is lost but with its client.

Not here: the split into training and test rows, which comes first (`fedgdl.data.split`).

Example:
    >>> from fedgdl.config import PartitionConfig
    >>> config = PartitionConfig(kind="shares", clients=("sue", "bob"), shares=(0.8, 0.2))
    >>> {client_id: len(rows) for client_id, rows in partition(config, 10, groups=None, seed=1).items()}
    {'bob': 2, 'sue': 8}
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.config import PartitionConfig
from fedgdl.errors import DataError
from fedgdl.seeding import stream

__all__ = ["Groups", "Rows", "partition"]

Rows: TypeAlias = npt.NDArray[np.int64]
"""(rows,) int64 row numbers."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups that a data set has by nature, the owners of mailboxes, say.

    Attributes:
        names: each group once, those without a row included.
        of_row: (rows,) int64, the position in `names` of each row's group.
    """

    names: tuple[str, ...]
    of_row: npt.NDArray[np.int64]

    @classmethod
    def of(cls, group_of_row: Sequence[str], names: Sequence[str] | None = None) -> "Groups":
        """Returns the groups of rows that are labelled with their names.

        Args:
            group_of_row: the group's name of each row.
            names: all groups; left out, those that occur.
        """
        ordered = tuple(sorted(set(group_of_row if names is None else names)))
        index = {name: position for position, name in enumerate(ordered)}
        return cls(ordered, np.array([index[group] for group in group_of_row], dtype=np.int64))


def partition(
    config: PartitionConfig,
    num_rows: int,
    groups: Groups | None,
    seed: int,
    labels: npt.NDArray[Any] | None = None,
) -> dict[str, Rows]:
    """Returns the rows of each client: disjoint, and together all of them but for clients that are left out.

    Args:
        config: `"natural"`, `"iid"`, `"shares"` or `"shards"`. Parts of an iid split differ by at most one
            row, and so do the pieces of a split by label; the parts of shares are rounded so that every
            boundary is within half a row. Natural clients with fewer than `min_examples` rows are left out.
        num_rows: how many training rows there are.
        groups: the natural groups of the rows; none: the data set has none.
        seed: the experiment's seed; a natural split does not depend on it.
        labels: (rows,) integers, each row's class; `"shards"` sorts by it.

    Returns:
        Sorted int64 row numbers by client id, in the order of the ids.

    Raises:
        DataError: the data set has no natural groups, or no single label for each row; or a client would have no rows.

    Source:
        `"shards"`: H. B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Aguera y Arcas, "Communication-Efficient
        Learning of Deep Networks from Decentralized Data", AISTATS 2017, section 3 (the "pathological non-IID"
        partition: 100 clients with two shards of 300 digits each).
    """
    if config.kind == "natural":
        parts = _natural(config, groups)
    elif config.kind == "shards":
        parts = _shards(config, num_rows, labels, seed)
    else:
        names, bounds = _iid(config, num_rows) if config.kind == "iid" else _shares(config, num_rows)
        order = stream(seed, "partition").permutation(num_rows).astype(np.int64)
        parts = {name: np.sort(part) for name, part in zip(names, np.split(order, bounds[:-1]), strict=True)}
    for client_id, rows in sorted(parts.items()):
        if not len(rows):
            raise DataError(_empty_client(client_id, config, num_rows))
    return dict(sorted(parts.items()))


def _natural(config: PartitionConfig, groups: Groups | None) -> dict[str, Rows]:
    if groups is None:
        message = (
            'data.partition.kind = "natural", but this data set does not say whose its examples are; '
            'use data.partition.kind = "iid" with data.partition.clients = 10, say, or "shares"'
        )
        raise DataError(message)
    order = np.argsort(groups.of_row, kind="stable")
    sizes = np.bincount(groups.of_row, minlength=len(groups.names))
    parts = dict(zip(groups.names, np.split(order, np.cumsum(sizes)[:-1]), strict=True))
    kept = {name: rows for name, rows in parts.items() if len(rows) >= config.min_examples}
    if not kept:
        message = (
            f"no client has data.partition.min_examples = {config.min_examples} training examples; "
            f"the largest has {sizes.max(initial=0)}"
        )
        raise DataError(message)
    return kept


def _shards(config: PartitionConfig, num_rows: int, labels: npt.NDArray[Any] | None, seed: int) -> dict[str, Rows]:
    """Returns the clients' rows: the rows sorted by label, cut into shards, which are dealt out at random."""
    if labels is None or labels.shape != (num_rows,):
        message = (
            'data.partition.kind = "shards" sorts by label, but the examples of this data set have none of their own'
        )
        raise DataError(message)
    names = _client_names(config)
    num_shards = len(names) * config.shards_per_client
    if num_shards > num_rows:
        message = (
            f"{num_rows} training examples cannot be cut into {len(names)} x {config.shards_per_client} shards; lower "
            "data.partition.clients or data.partition.shards_per_client"
        )
        raise DataError(message)
    order = np.argsort(labels, kind="stable").astype(np.int64)
    shards = np.split(order, np.arange(1, num_shards, dtype=np.int64) * num_rows // num_shards)
    dealt = stream(seed, "partition").permutation(num_shards).reshape(len(names), config.shards_per_client)
    hands = dealt.tolist()
    return {
        name: np.sort(np.concatenate([shards[index] for index in hand]))
        for name, hand in zip(names, hands, strict=True)
    }


def _iid(config: PartitionConfig, num_rows: int) -> tuple[Sequence[str], Rows]:
    """Returns the clients' names and the end of each one's part."""
    names = _client_names(config)
    return names, np.arange(1, len(names) + 1, dtype=np.int64) * num_rows // len(names)


def _client_names(config: PartitionConfig) -> Sequence[str]:
    clients = config.clients
    if clients is None:
        message = f'data.partition.kind = "{config.kind}" needs data.partition.clients: a number, or names'
        raise DataError(message)
    return clients if isinstance(clients, tuple) else _numbered(clients)


def _numbered(count: int) -> list[str]:
    """Returns client-0001, client-0002, ..., with as many digits as sort them by number."""
    width = max(4, len(str(count)))
    return [f"client-{number:0{width}}" for number in range(1, count + 1)]


def _shares(config: PartitionConfig, num_rows: int) -> tuple[Sequence[str], Rows]:
    """Returns the clients' names and the end of each one's part."""
    names = config.clients
    if not isinstance(names, tuple) or len(names) != len(config.shares):
        message = 'data.partition.kind = "shares" needs as many names in data.partition.clients as there are shares'
        raise DataError(message)
    total = np.cumsum(np.array(config.shares, dtype=np.float64))
    return names, np.rint(total / total[-1] * num_rows).astype(np.int64)


def _empty_client(client_id: str, config: PartitionConfig, num_rows: int) -> str:
    remedy = (
        "raise its share in data.partition.shares"
        if config.kind == "shares"
        else "ask for fewer clients in data.partition.clients"
    )
    return f"client {client_id!r} would get none of the {num_rows} training examples: {remedy}"
