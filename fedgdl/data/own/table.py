"""A federation from a table: anything that gives its columns by name.

A pandas `DataFrame` is one, a Hugging Face `datasets.Dataset` is one, and so is a dictionary of lists. None of
these packages is imported: whoever has such a table has them already.

Example:
    >>> from fedgdl.config import DataConfig
    >>> shop = {
    ...     "text": ["tasty", "awful", "tasty pizza", "awful pizza"],
    ...     "stars": [5, 1, 5, 1],
    ...     "town": ["Oslo", "Rome", "Oslo", "Rome"],
    ... }
    >>> data = from_table(shop, DataConfig("own"), seed=3, label="stars", text="text", client="town", test=shop)
    >>> data.client_ids, data.classes, data.vocabulary.words
    (('Oslo', 'Rome'), ('1', '5'), ('awful', 'pizza', 'tasty'))
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig, nearest
from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.data.own.collection import Collection, make_split
from fedgdl.data.own.columns import Place, client_column, label_column, number_column, text_column
from fedgdl.data.own.dataset import OwnDataset
from fedgdl.errors import DataError
from fedgdl.parameters import DType

__all__ = ["Table", "collect", "from_table"]

_Read: TypeAlias = Callable[[object], tuple[Iterable[object], Place]]
"""Name of a column -> its values, and what says where each of them is."""


class Table(Protocol):
    """What gives its columns by name; iterating over a column gives its rows."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 (a list, a Series, a Column, ...)
        """Returns a column; one that is not there raises `KeyError`."""


@overload
def from_table(
    table: Table,
    config: DataConfig,
    seed: int,
    *,
    label: str,
    features: str | Sequence[str],
    client: str | None = None,
    test: Table | None = None,
    dtype: DType = "float32",
) -> OwnDataset[ArrayExamples]: ...


@overload
def from_table(
    table: Table,
    config: DataConfig,
    seed: int,
    *,
    label: str,
    text: str,
    client: str | None = None,
    test: Table | None = None,
) -> OwnDataset[BagExamples]: ...


def from_table(  # noqa: PLR0913 (all but the first three by name)
    table: Table,
    config: DataConfig,
    seed: int,
    *,
    label: str,
    features: str | Sequence[str] | None = None,
    text: str | None = None,
    client: str | None = None,
    test: Table | None = None,
    dtype: DType = "float32",
) -> OwnDataset[ArrayExamples] | OwnDataset[BagExamples]:
    """Returns a table's rows as a federation.

    Args:
        table: the rows.
        config: `partition`, `test_fraction`, `train_examples` and `test_examples` are used and, for texts, `min_count`
            and `max_tokens`.
        seed: the experiment's seed: decides random test sets and partitions.
        label: the column of the classes, names or whole numbers.
        features: columns of numbers, which together are an example's inputs (columns,); or the name of one column
            whose rows are arrays of one shape, the inputs themselves.
        text: the column of the texts, instead of features; they become bags of words.
        client: the column that says whose a row is, for the partition `"natural"`.
        test: a table with the same columns to test on; none: a random `config.test_fraction` of the rows.
        dtype: what features become that are no whole numbers: the experiment's `dtype`.

    Raises:
        DataError: a column is missing, or a row holds something that cannot be learned from; the message names row
            (counted from 0) and column.
    """
    named = {"label": label, "features": features, "text": text, "client": client}
    train = collect("the table", table, named, dtype)
    tested = None if test is None else collect("the test table", test, {**named, "client": None}, dtype)
    return OwnDataset("table", make_split(train, tested, config, seed), config, seed)


def collect(
    title: str, table: Table, named: Mapping[str, str | Sequence[str] | None], dtype: DType, place: Place | None = None
) -> Collection:
    """Returns a table's rows, once its columns have been checked.

    Args:
        title: what people call the table.
        table: the rows.
        named: the names of the columns: `label`, `features` or `text`, `client`.
        dtype: what features become that are no whole numbers.
        place: says where a row is; left out, its number and the title.

    Raises:
        DataError: as `from_table` says.
    """
    label, features, text, client = (named[key] for key in ("label", "features", "text", "client"))
    if (features is None) == (text is None):
        message = f"{title}: name either the columns of the features or the column of the text"
        raise DataError(message)

    def where(row: int) -> str:
        return f"{title}, row {row}" if place is None else place(row)

    def read(name: object) -> tuple[Iterable[object], Place]:
        return _column(title, table, str(name)), lambda row: f"{where(row)}, column {str(name)!r}"

    labels = label_column(*read(label))
    collection = Collection(
        labels=labels,
        place=where,
        inputs=None if features is None else _features(read, features, dtype),
        texts=None if text is None else text_column(*read(text)),
        clients=None if client is None else client_column(*read(client)),
    )
    for what in (collection.inputs, collection.texts, collection.clients):
        if what is not None and len(what) != len(labels):
            message = f"{title}: the columns differ in length: {len(labels)} and {len(what)}"
            raise DataError(message)
    return collection


def _features(read: _Read, names: str | Sequence[str], dtype: DType) -> npt.NDArray[Any]:
    """Returns (rows, ...) inputs: one column as it is, or several side by side, (rows, columns)."""
    if isinstance(names, str):
        values, place = read(names)
        column = number_column(values, place, dtype)
        return column.reshape(len(column), 1) if column.ndim == 1 else column
    columns = []
    for name in names:
        values, place = read(name)
        column = number_column(values, place, dtype)
        if column.ndim != 1:
            message = f"{place(0)}: one of several features is one number a row, this has shape {column.shape[1:]}"
            raise DataError(message)
        columns.append(column.astype(dtype))
    lengths = {len(column) for column in columns}
    if len(lengths) != 1:
        message = f"the columns of the features must be at least one, all of one length; got lengths {sorted(lengths)}"
        raise DataError(message)
    return np.stack(columns, axis=1)


def _column(title: str, table: Table, name: str) -> Iterable[object]:
    """Returns a column of a table.

    Raises:
        DataError: there is none of this name.
    """
    known = _column_names(table)
    if known is not None and name not in known:
        message = f"{title} has no column {name!r}{nearest(name, known)} (there: {', '.join(known)})"
        raise DataError(message)
    try:
        column: Iterable[object] = table[name]
    except KeyError as error:
        message = f"{title} has no column {name!r}"
        raise DataError(message) from error
    return column


def _column_names(table: Table) -> list[str] | None:
    """Returns the names of a table's columns, as pandas, Hugging Face or a dictionary give them; none if not told."""
    for attribute in ("column_names", "columns", "keys"):
        names = getattr(table, attribute, None)
        if names is not None:
            return [str(name) for name in (names() if callable(names) else names)]
    return None
