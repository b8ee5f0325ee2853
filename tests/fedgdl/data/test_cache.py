import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedgdl.data.cache import Contents, Entry, open_or_build
from fedgdl.errors import DataCorrupt, DataError

CONTENTS = Contents(
    {"squares": np.arange(5, dtype=np.int64) ** 2, "labels": np.array([[0, 1]], dtype=np.int8)},
    {"words": ["a", "é", ""]},
    {"read": 7},
)
SETTINGS = {"source": "made up", "shares": (0.5, 0.5)}


def refuse() -> Contents:
    pytest.fail("what is there should have been opened")


def open_again(cache: Path) -> Entry:
    return open_or_build(cache, "numbers", SETTINGS, refuse)


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return open_or_build(tmp_path, "numbers", SETTINGS, lambda: CONTENTS)


def assert_whole(entry: Entry) -> None:
    assert entry.arrays.keys() == CONTENTS.arrays.keys()
    for name, expected in CONTENTS.arrays.items():
        assert entry.arrays[name].dtype == expected.dtype
        assert np.array_equal(entry.arrays[name], expected)
    assert entry.words("words") == CONTENTS.words["words"]
    assert (entry.lengths, entry.notes) == ({"words": 3}, {"read": 7})


def test_what_was_built_is_opened_again(tmp_path: Path, entry: Entry) -> None:
    assert_whole(entry)
    again = open_again(tmp_path)
    assert_whole(again)
    assert again.fingerprint == entry.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == [entry.folder.name]


@given(
    arrays.arrays(st.sampled_from([np.int8, np.int64, np.float32]), arrays.array_shapes(min_side=0)),
    st.lists(st.text()),
)
def test_any_array_and_any_words_come_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, words: list[str]
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    contents = Contents({"array": array}, {"words": words})
    built = open_or_build(cache, "any", {}, lambda: contents)
    opened = open_or_build(cache, "any", {}, refuse)
    for entry in (built, opened):
        np.testing.assert_array_equal(entry.arrays["array"], array)
        assert entry.words("words") == words
    assert built.fingerprint == opened.fingerprint
    shutil.rmtree(cache)


def test_arrays_are_mapped_and_cannot_be_written_to(entry: Entry) -> None:
    squares = entry.arrays["squares"]
    assert type(squares) is np.ndarray
    assert isinstance(squares.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        squares[0] = 1


def test_the_fingerprint_depends_on_the_contents_alone(tmp_path: Path, entry: Entry) -> None:
    elsewhere = open_or_build(tmp_path / "other", "named otherwise", {"source": "another"}, lambda: CONTENTS)
    assert elsewhere.fingerprint == entry.fingerprint
    changed = [
        lambda: Contents({**CONTENTS.arrays, "squares": np.arange(5, dtype=np.int64)}, CONTENTS.words),
        lambda: Contents({**CONTENTS.arrays, "squares": np.arange(5, dtype=np.int32) ** 2}, CONTENTS.words),
        lambda: Contents(CONTENTS.arrays, {"words": ["a", "é"]}),
    ]
    for number, build in enumerate(changed):
        other = open_or_build(tmp_path, "numbers", {"number": number}, build)
        assert other.fingerprint != entry.fingerprint


def cut_array(folder: Path) -> None:
    path = folder / "squares.npy"
    path.write_bytes(path.read_bytes()[:-1])


def spoil_header(folder: Path) -> None:
    path = folder / "squares.npy"
    path.write_bytes(b"x" * path.stat().st_size)


def swap_dtype(folder: Path) -> None:
    path = folder / "squares.npy"
    path.write_bytes(path.read_bytes().replace(b"<i8", b"<u8"))


def lose_word_file(folder: Path) -> None:
    (folder / "words.json").unlink()


def lose_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def empty_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"")


def change_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_bytes())
    document["settings"]["source"] = "another"
    path.write_text(json.dumps(document), encoding="utf-8")


def other_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": []}', encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        cut_array,
        spoil_header,
        swap_dtype,
        lose_word_file,
        lose_manifest,
        empty_manifest,
        change_manifest,
        other_manifest,
    ],
)
def test_a_damaged_entry_is_built_again(
    tmp_path: Path, entry: Entry, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(entry.folder)
    with caplog.at_level(logging.WARNING):
        assert_whole(open_or_build(tmp_path, "numbers", SETTINGS, lambda: CONTENTS))
    assert "preparing numbers again" in caplog.text
    assert_whole(open_again(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [entry.folder.name]


def test_words_that_were_damaged_after_opening_are_refused(entry: Entry) -> None:
    path = entry.folder / "words.json"
    for content in (b'["a", "b"]', b'["a"', b"\xff"):
        path.write_bytes(content)
        with pytest.raises(DataCorrupt, match=r"words\.json"):
            entry.words("words")


def test_the_first_of_two_builders_is_taken(tmp_path: Path) -> None:
    def build_while_another_finishes() -> Contents:
        open_or_build(tmp_path, "numbers", SETTINGS, lambda: CONTENTS)
        return Contents({"squares": np.zeros(1)})

    assert_whole(open_or_build(tmp_path, "numbers", SETTINGS, build_while_another_finishes))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_builder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Contents:
        message = "no such data"
        raise DataError(message)

    with pytest.raises(DataError, match="no such data"):
        open_or_build(tmp_path, "numbers", SETTINGS, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_is_no_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write to .*FEDGDL_CACHE"):
        open_or_build(tmp_path / "file" / "prepared", "numbers", SETTINGS, lambda: CONTENTS)


_KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from fedgdl.data.cache import Contents, open_or_build

contents = Contents({"labels": np.arange(5), "squares": np.arange(5)})
saved = np.save
def save(*arguments, **options):
    saved(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
np.save = save
open_or_build(Path(sys.argv[1]), "numbers", {"source": "made up", "shares": (0.5, 0.5)}, lambda: contents)
"""


def test_a_process_killed_while_writing_leaves_no_wrong_entry(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED_WHILE_WRITING, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".")
    assert_whole(open_or_build(tmp_path, "numbers", SETTINGS, lambda: CONTENTS))
    assert leftover.exists()  # young: it might belong to a process still at work
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(leftover, (long_ago, long_ago))
    open_or_build(tmp_path, "numbers", {"source": "another"}, lambda: CONTENTS)
    assert not leftover.exists()
