r"""A federation from a CSV file: the first line names the columns, each further one is a row.

Example:
    >>> import tempfile
    >>> from fedgdl.config import DataConfig
    >>> path = Path(tempfile.mkdtemp()) / "leaves.csv"
    >>> _ = path.write_text("garden,width,height,tree\nann,1.5,3,oak\nben,1,8.5,ash\nann,2,2.5,oak\nben,1,9,ash\n")
    >>> data = from_csv(path, DataConfig("own"), seed=4, label="tree", features=["width", "height"], client="garden")
    >>> data.client_ids, data.classes, data.test.inputs.shape
    (('ann', 'ben'), ('ash', 'oak'), (1, 2))
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from fedgdl.config import DataConfig
from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.data.own.collection import Collection, make_split
from fedgdl.data.own.dataset import OwnDataset
from fedgdl.data.own.files import read_text
from fedgdl.data.own.table import collect
from fedgdl.errors import DataCorrupt, DataError
from fedgdl.parameters import DType

__all__ = ["from_csv"]


@overload
def from_csv(
    path: Path | str,
    config: DataConfig,
    seed: int,
    *,
    label: str,
    features: Sequence[str],
    client: str | None = None,
    test: Path | str | None = None,
    dtype: DType = "float32",
) -> OwnDataset[ArrayExamples]: ...


@overload
def from_csv(
    path: Path | str,
    config: DataConfig,
    seed: int,
    *,
    label: str,
    text: str,
    client: str | None = None,
    test: Path | str | None = None,
) -> OwnDataset[BagExamples]: ...


def from_csv(  # noqa: PLR0913 (all but the first three by name)
    path: Path | str,
    config: DataConfig,
    seed: int,
    *,
    label: str,
    features: Sequence[str] | None = None,
    text: str | None = None,
    client: str | None = None,
    test: Path | str | None = None,
    dtype: DType = "float32",
) -> OwnDataset[ArrayExamples] | OwnDataset[BagExamples]:
    """Returns the rows of a CSV file as a federation.

    Args:
        path: the file, UTF-8, its values set apart by commas.
        config: `partition`, `test_fraction`, `train_examples` and `test_examples` are used and, for texts, `min_count`
            and `max_tokens`.
        seed: the experiment's seed: decides random test sets and partitions.
        label: the column of the classes.
        features: the columns of numbers which together are an example's inputs, (columns,).
        text: the column of the texts, instead of features; they become bags of words.
        client: the column that says whose a row is, for the partition `"natural"`.
        test: a file with the same columns to test on; none: a random `config.test_fraction` of the rows.
        dtype: what the features become: the experiment's `dtype`.

    Raises:
        DataMissing: there is no such file.
        DataCorrupt: a file is no UTF-8, names a column twice, or has a row of another length than its first line.
        DataError: a column is missing, or a row holds something that cannot be learned from; the message names file,
            line and column.
    """
    named = {"label": label, "features": features, "text": text, "client": client}
    train = _collect(Path(path), named, dtype)
    tested = None if test is None else _collect(Path(test), {**named, "client": None}, dtype)
    return OwnDataset(Path(path).name, make_split(train, tested, config, seed), config, seed)


def _collect(path: Path, named: dict[str, str | Sequence[str] | None], dtype: DType) -> Collection:
    columns, lines = _read(path)
    return collect(str(path), columns, named, dtype, lambda row: f"{path}, line {lines[row]}")


def _refuse_other_separators(path: Path, names: list[str]) -> None:
    """Refuses a file whose first line has no comma, but what others set values apart with; raises `DataCorrupt`."""
    separator = next((mark for mark in ";\t|" if len(names) == 1 and mark in names[0]), None)
    if separator is not None:
        message = (
            f"{path}: its values seem to be separated by {separator!r}, not by commas ({names[0]!r}); save it with "
            "commas, or read it with a package of your choice and hand its columns to from_table"
        )
        raise DataCorrupt(message)


def _read(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    """Returns a file's columns by name, and the line that each row ends on."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    columns: dict[str, list[str]] = {}
    lines: list[int] = []
    try:
        names = next(reader, [])
        _refuse_other_separators(path, names)
        columns = {name: [] for name in names}
        if not names or len(columns) < len(names):
            message = f"{path}: the first line must name the columns, each once; it is {','.join(names)!r}"
            raise DataCorrupt(message)
        for values in reader:
            if not values:
                continue  # an empty line
            if len(values) != len(names):
                message = f"{path}, line {reader.line_num}: {len(values)} values for {len(names)} columns"
                raise DataCorrupt(message)
            lines.append(reader.line_num)
            for name, value in zip(names, values, strict=True):
                columns[name].append(value)
    except csv.Error as error:
        message = f"{path}, line {reader.line_num}: {error}"
        raise DataCorrupt(message) from error
    if not lines:
        message = f"{path} has no row"
        raise DataError(message)
    return columns, lines
