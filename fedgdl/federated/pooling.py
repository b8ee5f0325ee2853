"""All clients' training examples in one place: what a federation never does, and what it is compared with.

Example:
    >>> from types import SimpleNamespace
    >>> from fedgdl.data import BagExamples
    >>> shares = {"alice": BagExamples.of([[1, 2]], [0]), "bob": BagExamples.of([[3]], [1])}
    >>> pool_examples(SimpleNamespace(client_ids=["alice", "bob"], client=shares.get)).token_ids
    array([1, 2, 3])
"""

import dataclasses
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fedgdl.data.dataset import BagExamples, Batch, Examples, FederatedDataset
from fedgdl.errors import DataError
from fedgdl.federated.task import BatchT

__all__ = ["pool_examples"]


def pool_examples(data: FederatedDataset[BatchT]) -> Examples[BatchT]:
    """Returns the training examples of all clients, in the order of the clients.

    A data set may have them ready, as `all_train`. Otherwise the clients' examples are copied together, where they
    are bags of words, or dataclasses of arrays with a row for each example.

    Raises:
        DataError: they are something else, their rows differ in shape, or there is no client.
    """
    ready: Examples[BatchT] | None = getattr(data, "all_train", None)
    if ready is not None:
        return ready
    shares: list[Any] = [data.client(client_id) for client_id in data.client_ids]
    if len(shares) == 1:
        only: Examples[BatchT] = shares[0]
        return only
    kinds = {type(share) for share in shares}
    if kinds == {BagExamples}:
        bags: Any = _pooled_bags(shares)  # the examples of whatever task takes bags
        return cast("Examples[BatchT]", bags)
    if len(kinds) == 1 and all(_is_rows_of_arrays(share) for share in shares):
        columns = {field.name: _pooled_column(shares, field.name) for field in dataclasses.fields(shares[0])}
        pooled: Examples[BatchT] = kinds.pop()(**columns)
        return pooled
    names = ", ".join(sorted(kind.__name__ for kind in kinds)) or "none"
    message = (
        f"the clients' examples ({names}) cannot be pooled: they are no dataclass of arrays with a row for each "
        "example; give the data set an attribute all_train, the examples of all clients"
    )
    raise DataError(message)


def _pooled_bags(shares: list[BagExamples]) -> BagExamples:
    whole = [share.slice(0, len(share)) for share in shares]  # their offsets start from 0
    sizes = np.concatenate([np.diff(share.offsets) for share in whole])
    return BagExamples(
        np.concatenate([share.token_ids for share in whole]),
        np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))),
        np.concatenate([share.labels for share in whole]),
    )


def _pooled_column(shares: list[Any], name: str) -> npt.NDArray[Any]:
    arrays = [getattr(share, name) for share in shares]
    shapes = sorted({array.shape[1:] for array in arrays})
    if len(shapes) > 1:
        message = f"the clients' examples cannot be pooled: rows of {name} have the shapes {shapes[0]} and {shapes[1]}"
        raise DataError(message)
    return np.concatenate(arrays)


def _is_rows_of_arrays(share: Any) -> bool:  # noqa: ANN401 (anything may come)
    if not dataclasses.is_dataclass(share):
        return False
    columns = [getattr(share, field.name) for field in dataclasses.fields(share)]
    count = len(cast("Batch", share))
    return all(isinstance(column, np.ndarray) and column.ndim and len(column) == count for column in columns)
