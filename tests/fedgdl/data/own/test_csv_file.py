from pathlib import Path

import numpy as np
import pytest

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.own import from_csv
from fedgdl.errors import DataCorrupt, DataError, DataMissing

CONFIG = DataConfig("own")
LEAVES = "garden,width,height,tree\nann,1.5,3,oak\nben,1,8.5,ash\nann,2,2.5,oak\nben,1,9,ash\n"


def write(folder: Path, text: str | bytes, name: str = "leaves.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("spell", [lambda text: text, lambda text: "\ufeff" + text.replace("\n", "\r\n") + "\r\n"])
def test_columns_are_read_by_name(tmp_path: Path, spell: "object") -> None:
    assert callable(spell)
    path = write(tmp_path, spell(LEAVES))
    data = from_csv(path, CONFIG, 1, label="tree", features=["height", "width"], client="garden", test=path)
    assert (data.client_ids, data.classes) == (("ann", "ben"), ("ash", "oak"))
    np.testing.assert_array_equal(data.client("ann").inputs, np.array([[3, 1.5], [2.5, 2]], "float32"))
    np.testing.assert_array_equal(data.client("ann").labels, [1, 1])
    assert data.test.inputs.tolist() == [[3, 1.5], [8.5, 1], [2.5, 2], [9, 1]]
    assert data.test.inputs.dtype == np.float32
    assert data.description == "leaves.csv: 4 training and 4 test examples, 2 clients"


def test_numbers_as_labels_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "x,y\n1,10\n2,9\n3,10\n4,9\n")
    iid = DataConfig("own", partition=PartitionConfig("iid", clients=2))
    assert from_csv(path, iid, 1, label="y", features=["x"], test=path).classes == ("9", "10")


def test_texts_may_have_commas_lines_and_unknown_words(tmp_path: Path) -> None:
    train = write(tmp_path, 'words,mood\n"Tasty, very tasty",good\n"awful\npizza",bad\n')
    test = write(tmp_path, "mood,words,more\nbad,awful soup and awful salad,1\n", "test.csv")
    iid = DataConfig("own", partition=PartitionConfig("iid", clients=("ann", "ben")))
    data = from_csv(train, iid, 1, label="mood", text="words", test=test)
    assert data.vocabulary.words == (",", "awful", "pizza", "tasty", "very")
    assert (data.num_words, data.num_classes) == (5, 2)
    assert data.test.token_ids.tolist() == [1]
    assert data.counts["unknown_words_in_test"] == 3  # soup, and, salad
    assert data.description == "leaves.csv: 2 training and 1 test examples, 2 clients, 5 words"


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("", DataCorrupt, r"leaves\.csv: the first line must name the columns, each once; it is ''"),
        ("garden,tree,tree\n", DataCorrupt, "each once; it is 'garden,tree,tree'"),
        ("garden,width,height,tree\n", DataError, r"leaves\.csv has no row"),
        (
            "width,height,tree\n1,2,oak\n",
            DataError,
            r"leaves\.csv has no column 'garden' \(there: width, height, tree\)",
        ),
        ("gardn,width,height,tree\na,1,2,oak\n", DataError, "no column 'garden'; did you mean gardn"),
        (LEAVES.replace(",", ";"), DataCorrupt, r"leaves\.csv: its values seem to be separated by ';', not by commas"),
        (LEAVES.replace(",", "\t"), DataCorrupt, r"separated by '\\t', not by commas.*hand its columns to from_table"),
        (LEAVES + "ben,1,2\n", DataCorrupt, r"leaves\.csv, line 6: 3 values for 4 columns"),
        (LEAVES + "ben,1,2,ash,4\n", DataCorrupt, r"line 6: 5 values for 4 columns"),
        (LEAVES + 'ben,"1,2,ash\n', DataCorrupt, r"leaves\.csv, line 6: unexpected end of data"),
        (LEAVES + "\nben,1,tall,ash\n", DataError, r"leaves\.csv, line 7, column 'height': 'tall' is no number"),
        (LEAVES + "ben,,2,ash\n", DataError, r"line 6, column 'width': '' is no number"),
        (LEAVES + "ben,nan,2,ash\n", DataError, r"line 6, column 'width': nan is no number that can be learned from"),
        (LEAVES + "ben,1e999,2,ash\n", DataError, r"line 6, column 'width': inf is no number"),
        (LEAVES + "ben,1,2,\n", DataError, r"line 6, column 'tree': a label is a name or a whole number, not ''"),
        (LEAVES + ",1,2,ash\n", DataError, r"line 6: a client's name has 1 to 200 characters, this has 0"),
        (b"garden,width,height,tree\nann,1,2,ch\xeane\n", DataCorrupt, r"leaves\.csv is no UTF-8 text \(byte 35\)"),
    ],
)
def test_what_cannot_be_learned_from_is_named(tmp_path: Path, text: str | bytes, kind: type, what: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(kind, match=what):
        from_csv(path, CONFIG, 1, label="tree", features=["width", "height"], client="garden")


def test_a_label_of_the_test_file_alone_is_named(tmp_path: Path) -> None:
    train, test = write(tmp_path, LEAVES), write(tmp_path, LEAVES + "eve,1,1,fir\n", "test.csv")
    with pytest.raises(DataError, match=r"test\.csv, line 6: the label 'fir' of this test row is in no training row"):
        from_csv(train, CONFIG, 1, label="tree", features=["width", "height"], client="garden", test=test)


def test_what_is_asked_for_must_be_one_thing(tmp_path: Path) -> None:
    path = write(tmp_path, LEAVES)
    with pytest.raises(DataError, match="name either the columns of the features or the column of the text"):
        from_csv(path, CONFIG, 1, label="tree", features=["width"], text="garden")  # type: ignore[call-overload]
    with pytest.raises(DataError, match="the columns of the features must be at least one"):
        from_csv(path, CONFIG, 1, label="tree", features=[], client="garden")
    with pytest.raises(DataError, match="line 2, column 'garden': the text is empty"):
        from_csv(write(tmp_path, "garden,tree\n  ,oak\n"), CONFIG, 1, label="tree", text="garden")
    with pytest.raises(DataMissing, match=r"none\.csv cannot be read: No such file"):
        from_csv(tmp_path / "none.csv", CONFIG, 1, label="tree", text="garden")
