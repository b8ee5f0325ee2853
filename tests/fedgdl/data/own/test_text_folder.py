from pathlib import Path

import pytest

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.own import from_text_folder
from fedgdl.errors import DataCorrupt, DataError, DataMissing

IID = DataConfig("own", partition=PartitionConfig("iid", clients=("ann", "ben")))
NATURAL = DataConfig("own")


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


MOODS: dict[str, str | bytes] = {"good/1.txt": "tasty pizza", "good/2.txt": "tasty", "bad/1.txt": "awful pizza"}


def test_folders_are_labels(tmp_path: Path) -> None:
    root = write(tmp_path / "moods", {**MOODS, ".DS_Store": b"\xff", "good/.hidden": ""})
    data = from_text_folder(root, IID, 1, test=root)
    assert (data.client_ids, data.classes) == (("ann", "ben"), ("bad", "good"))
    assert data.vocabulary.words == ("awful", "pizza", "tasty")
    assert data.test.labels.tolist() == [0, 1, 1]  # in the order of their paths
    assert data.test.slice(0, 1).token_ids.tolist() == [0, 1]
    assert data.description == "moods: 3 training and 3 test examples, 2 clients, 3 words"


def test_folders_are_clients_with_labels_in_them(tmp_path: Path) -> None:
    files = {f"{client}/{name}": text for client in ("eve", "dan") for name, text in MOODS.items()}
    root = write(tmp_path, files)
    data = from_text_folder(root, NATURAL, 1, folders="client/label", test=root)
    assert data.client_ids == ("dan", "eve")
    assert data.client("eve").labels.tolist() == [0, 1, 1]


def test_the_order_of_the_file_system_does_not_matter(tmp_path: Path) -> None:
    there = write(tmp_path / "x" / "moods", MOODS)
    again = write(tmp_path / "y" / "moods", dict(reversed(MOODS.items())))
    assert (
        from_text_folder(there, IID, 1, test=there).fingerprint
        == from_text_folder(again, IID, 1, test=again).fingerprint
    )


@pytest.mark.parametrize(
    ("files", "kind", "what"),
    [
        ({}, DataMissing, r"has no text: files are LABEL/NAME\.txt below it"),
        ({**MOODS, "bad/2.txt": " \n"}, DataError, r"bad/2\.txt: the text is empty"),
        ({**MOODS, "bad/2.txt": b"caf\xe9"}, DataCorrupt, r"bad/2\.txt is no UTF-8 text \(byte 3\)"),
        ({**MOODS, "lost.txt": "hi"}, DataError, r"lost\.txt is not LABEL/NAME\.txt below .*; rename or move it"),
        (
            {**MOODS, "bad/worse/1.txt": "hi"},
            DataError,
            r"bad/worse/1\.txt is not .* folders=.client/label. that you mean",
        ),
        ({**MOODS, "bad/2.pdf": "hi"}, DataError, r"bad/2\.pdf is not LABEL/NAME\.txt below"),
    ],
)
def test_what_cannot_be_learned_from_is_named(tmp_path: Path, files: dict[str, str], kind: type, what: str) -> None:
    with pytest.raises(kind, match=what):
        from_text_folder(write(tmp_path, files), IID, 1)


def test_a_label_of_the_test_folder_alone_is_named(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train", MOODS), write(tmp_path / "test", {"so-so/1.txt": "pizza"})
    with pytest.raises(DataError, match=r"so-so/1\.txt: the label 'so-so' of this test row is in no training row"):
        from_text_folder(train, IID, 1, test=test)


def test_words_may_all_be_too_rare_and_the_folder_missing(tmp_path: Path) -> None:
    root = write(tmp_path, MOODS)
    with pytest.raises(DataError, match=r"no word is in data\.min_count = 4 of the 3 training texts"):
        from_text_folder(root, DataConfig("own", partition=IID.partition, min_count=4), 1, test=root)
    with pytest.raises(DataMissing, match=r"there is no folder .*nowhere"):
        from_text_folder(tmp_path / "nowhere", IID, 1)
