"""Tables of all kinds: a dictionary, stand-ins that act as others do, and the others where they are installed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.own import OwnDataset, Table, from_table
from fedgdl.errors import DataError

CONFIG = DataConfig("own", test_fraction=0.25)
COLUMNS: dict[str, list[Any]] = {
    "town": ["Oslo", "Rome"] * 4,
    "heat": [3, 20, 4, 24, 1, 19, 2, 21],
    "rain": [0.5, 0.25, 1, 0.125, 2, 0.5, 4, 0.25],
    "season": ["winter", "summer"] * 4,
    "words": ["cold wind", "hot sun"] * 4,
}


class Column:
    """Only iterates: all that is asked of a column."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)


class HubTable:
    """Gives columns as `datasets.Dataset` does: `column_names`, and lists or lazy columns by name."""

    column_names = tuple(COLUMNS)

    def __getitem__(self, name: str) -> Column:
        return Column(COLUMNS[name])


class FrameTable:
    """Gives columns as `pandas.DataFrame` does: `columns`, which iterates, and by name arrays of NumPy's scalars."""

    columns = tuple(COLUMNS)

    def __getitem__(self, name: str) -> Any:
        return np.array(COLUMNS[name])


class SilentTable:
    """Does not say which columns there are."""

    def __getitem__(self, name: str) -> list[Any]:
        return COLUMNS[name]


def read(table: Table) -> OwnDataset[Any]:
    return from_table(table, CONFIG, 1, label="season", features=["heat", "rain"], client="town")


@pytest.mark.parametrize("table", [HubTable(), FrameTable(), SilentTable()], ids=lambda table: type(table).__name__)
def test_all_tables_give_what_a_dictionary_gives(table: Table) -> None:
    data, plain = read(table), read(COLUMNS)
    assert data.fingerprint == plain.fingerprint
    assert data.client_ids == ("Oslo", "Rome")
    oslo = data.client("Oslo")
    assert set(map(tuple, oslo.inputs.tolist())) <= {(3, 0.5), (4, 1), (1, 2), (2, 4)}
    assert oslo.inputs.dtype == np.float32
    assert set(oslo.labels.tolist()) == {1}


def test_a_frame_of_pandas_is_a_table() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: its stand-in is tested above")
    assert read(pandas.DataFrame(COLUMNS)).fingerprint == read(COLUMNS).fingerprint


def test_a_data_set_of_hugging_face_is_a_table() -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: its stand-in is tested above")
    assert read(datasets.Dataset.from_dict(COLUMNS)).fingerprint == read(COLUMNS).fingerprint


def test_one_column_may_hold_whole_arrays() -> None:
    images = [np.full((2, 3), shade, np.uint8) for shade in range(6)]
    config = DataConfig("own", partition=PartitionConfig("iid", clients=2))
    data = from_table({"image": images, "label": [0, 1] * 3}, config, 1, label="label", features="image")
    assert data.all_train.inputs.shape == (5, 2, 3)
    assert data.all_train.inputs.dtype == np.uint8
    numbers = from_table({"x": [1, 2, 3, 4], "y": [0, 1, 0, 1]}, config, 3, label="y", features="x", test=COLUMNS_XY)
    assert numbers.test.inputs.tolist() == [[7]]


COLUMNS_XY = {"x": [7], "y": [1]}


def test_a_text_column_becomes_bags_of_words() -> None:
    data = from_table(HubTable(), CONFIG, 1, label="season", text="words", client="town")
    assert data.vocabulary.words == ("cold", "hot", "sun", "wind")
    assert {data.vocabulary.word(word) for word in data.client("Oslo").token_ids.tolist()} == {"cold", "wind"}


@pytest.mark.parametrize("table", [COLUMNS, HubTable(), FrameTable()])
def test_a_missing_column_is_named_with_the_nearest(table: Table) -> None:
    with pytest.raises(DataError, match=r"the table has no column 'rian'; did you mean rain\? \(there: town, heat"):
        from_table(table, CONFIG, 1, label="season", features=["heat", "rian"], client="town")


def test_a_table_that_does_not_say_its_columns_is_asked() -> None:
    with pytest.raises(DataError, match="the table has no column 'rian'"):
        from_table(SilentTable(), CONFIG, 1, label="season", features=["heat", "rian"], client="town")


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("rain", [0.5, None, 1, 2, 3, 4, 5, 6], "the table, row 1, column 'rain': None is no number"),
        ("rain", [0.5, float("nan"), 1, 2, 3, 4, 5, 6], "row 1, column 'rain': nan is no number that can be"),
        ("rain", [[0.5], [1, 2], 1, 2, 3, 4, 5, 6], r"row 1, column 'rain': shape \(2,\), but .* \(1,\)"),
        ("rain", [[0.5]] * 8, r"row 0, column 'rain': one of several features is one number a row"),
        ("rain", [0.5], r"all of one length; got lengths \[1, 8\]"),
        ("season", ["winter"], r"the columns differ in length: 1 and 8"),
        ("season", ["winter", None] * 4, "row 1, column 'season': a label is a name or a whole number, not None"),
        ("town", ["Oslo", float("nan")] * 4, "row 1, column 'town': a client is a name or a whole number, not nan"),
    ],
)
def test_what_cannot_be_learned_from_is_named(column: str, values: list[Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        read({**COLUMNS, column: values})


def test_a_text_that_is_missing_is_named() -> None:
    words = ["cold wind", float("nan"), *COLUMNS["words"][2:]]
    with pytest.raises(DataError, match="row 1, column 'words': nan is no text"):
        from_table({**COLUMNS, "words": words}, CONFIG, 1, label="season", text="words", client="town")
