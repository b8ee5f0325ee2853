from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.dataset import ArrayExamples
from fedgdl.data.prepared import load_dataset
from fedgdl.data.source import content_digest
from fedgdl.data.sources import shakespear_book, shakespeare
from fedgdl.data.verse import PADDING, cut_windows, load_verse, read_text, speeches, split_by_speaker, split_text
from fedgdl.errors import DataCorrupt, DataError, DataMissing

PLAY = "KING:\nTo horse!\nTo horse!\n\nFOOL:\n\nFirst Lord:\nAy.\n\nKING:\nNow: go.\n"


@pytest.fixture(autouse=True)
def no_real_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


def test_a_play_is_taken_apart_into_speeches() -> None:
    assert speeches(PLAY) == [("KING", "To horse!\nTo horse!"), ("First Lord", "Ay."), ("KING", "Now: go.")]
    assert speeches(f"\n{PLAY}\n\n") == speeches(PLAY)
    assert speeches(PLAY.replace("\n\n", "\n\n\n")) == speeches(PLAY)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Z][A-Za-z]{0,8}", fullmatch=True),
            st.from_regex(r"[a-z:,]{1,9}(\n[A-Za-z, ]{1,5}[a-z:.]){0,3}", fullmatch=True),
        ),
        max_size=6,
    )
)
def test_speeches_come_back_as_they_were_written(expected: list[tuple[str, str]]) -> None:
    assert speeches("\n\n".join(f"{speaker}:\n{speech}" for speaker, speech in expected)) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("KING:\nTo horse!\n\nTo bed.\n", "line 4 begins a speech, but is no speaker's name and a colon"),
        ("To bed.\n\nKING:\nTo horse!\n", "line 1 begins a speech"),
        ("KING:\nTo horse!\n\n\n:\nTo bed.\n", "line 5 has a colon, but no speaker's name before it"),
        ("KING:\nTo horse!\n\n  :\nTo bed.\n", "line 4 has a colon, but no speaker's name before it"),
    ],
)
def test_a_speech_without_a_speaker_is_refused_with_its_line(text: str, what: str) -> None:
    with pytest.raises(DataCorrupt, match=what):
        speeches(text)


@given(st.lists(st.integers(0, 61), min_size=2, max_size=60), st.integers(2, 20))
def test_windows_hold_each_character_but_the_first_as_a_label_once(ids: list[int], length: int) -> None:
    windows = cut_windows(np.array(ids, dtype=np.uint8), length)
    counted = windows.labels >= 0
    assert windows.labels[counted].tolist() == ids[1:]
    assert windows.inputs[counted].tolist() == ids[:-1]
    assert np.all(windows.labels[~counted] == PADDING)
    assert not windows.inputs[~counted].any()
    assert counted[:, 0].all()  # no window is padding alone
    assert windows.inputs.dtype == windows.labels.dtype == np.int32


def arrays(examples: object) -> ArrayExamples:
    assert isinstance(examples, ArrayExamples)
    return examples


def test_a_split_by_speaker_keeps_the_last_windows_of_each_for_testing() -> None:
    text = "".join(f"{name}:\n{letter * 100}\n\n" for name, letter in (("KING", "k"), ("FOOL", "f"), ("KING", "l")))
    config = DataConfig("shakespeare", sequence_length=10, test_fraction=0.2)
    split = split_by_speaker(f"{text}PAGE:\nAy\n", config)
    characters = split.words["vocabulary"]
    assert characters == sorted("\nkflAy")
    assert split.groups is not None
    assert split.groups.names == ("FOOL", "KING", "PAGE")
    sizes = np.bincount(split.groups.of_row)
    # FOOL: 101 characters, 100 steps, 10 windows; KING: 202, 201, 21; PAGE: 3, 2, 1; a fifth of each for testing.
    assert sizes.tolist() == [10 - 2, 21 - 4, 1]
    test = arrays(split.examples).take(split.test_rows)
    assert len(test) == 2 + 4
    first, last = (["".join(characters[i] for i in test.inputs[row]) for row in rows] for rows in ((0, 1), (2, 5)))
    assert first == ["f" * 10] * 2
    assert last == ["l" * 10, "l\n" + characters[0] * 8]
    assert split.counts["characters"] == 101 + 202 + 3


def test_a_text_without_speakers_keeps_its_last_windows_for_testing() -> None:
    split = split_text("abcdefghij" * 10, DataConfig("shakespear-book", sequence_length=10, test_fraction=0.25))
    assert split.groups is None
    assert split.train_rows.tolist() == list(range(8))
    assert split.test_rows.tolist() == [8, 9]
    with pytest.raises(DataError, match=r"a text of 9 characters gives no window of data\.sequence_length = 10"):
        split_text("abcdefghi", DataConfig("shakespear-book", sequence_length=10))


def test_speakers_who_say_too_little_to_test_on_are_refused() -> None:
    text = f"KING:\n{'k' * 49}\n\nFOOL:\nAy\n"
    for length, test_fraction in ((13, 0.2), (10, 0.19)):  # not five windows; five, but less than a fifth of them
        config = DataConfig("shakespeare", sequence_length=length, test_fraction=test_fraction)
        with pytest.raises(
            DataError, match=rf"of 50 characters gives no window of data\.sequence_length = {length} to"
        ):
            split_by_speaker(text, config)
    config = DataConfig("shakespeare", sequence_length=10, test_fraction=0.2)
    assert len(split_by_speaker(text, config).test_rows) == 1


def test_an_alphabet_may_have_more_characters_than_a_byte() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    split = split_text(text, DataConfig("shakespear-book", sequence_length=10))
    shown = arrays(split.examples).inputs.reshape(-1)[:299]
    assert "".join(split.words["vocabulary"][index] for index in shown) == text[:-1]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"caf\xe9", r"no UTF-8 text \(byte 3\)"),
        (b"one\ntwo\0", r"'\\x00' in line 2"),
        (b"one\r\ntwo", r"'\\r' in line 1"),
        (b" \n", "it has no text"),
        ("".join(map(chr, range(0x4E00, 0x4F01))).encode(), "257 different characters"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "play.txt"
    path.write_bytes(data)
    with pytest.raises(DataCorrupt, match=what):
        read_text(path)


@pytest.mark.parametrize("source", [shakespeare.SOURCE, shakespear_book.SOURCE])
def test_a_damaged_file_is_named_with_its_remedy(tmp_path: Path, source: shakespeare.VerseSource) -> None:
    path = tmp_path / "play.txt"
    path.write_bytes(b"KING:\n\xff\n")
    match = rf"play\.txt: it is no UTF-8 text.*`fedgdl data fetch {source.name}`"
    with pytest.raises(DataCorrupt, match=match):
        source.split((path,), DataConfig(source.name), 1)
    with pytest.raises(DataCorrupt, match=match):
        source.read((path,), 1)


def test_a_play_with_a_speech_of_nobody_is_refused_where_speakers_are_clients(tmp_path: Path) -> None:
    root = tmp_path / "data"
    path = root / "shakespeare" / "tinyshakespeare.txt"
    path.parent.mkdir(parents=True)
    path.write_text(f"{PLAY}\n:\nWho is it?\n")
    with pytest.raises(DataCorrupt, match=r"tinyshakespeare\.txt: line 13 has a colon, but no speaker's name"):
        load_dataset(DataConfig("shakespeare", root=str(root)), 1)
    with pytest.raises(DataCorrupt, match="line 13"):
        shakespeare.members(path)
    path.write_text("KING:\n\nFOOL:\n")
    with pytest.raises(DataCorrupt, match=r"tinyshakespeare\.txt: nobody says anything in it"):
        load_dataset(DataConfig("shakespeare", root=str(root)), 1)


def test_a_whole_text_is_loaded_with_its_ids(tmp_path: Path) -> None:
    root = tmp_path / "data"
    path = root / "shakespeare" / "shakespear.txt"
    path.parent.mkdir(parents=True)
    path.write_text(PLAY, encoding="utf-8")
    verse = load_verse("shakespear-book", str(root))
    assert verse.text == PLAY
    assert verse.characters == tuple(sorted(set(PLAY)))
    assert [verse.characters[index] for index in verse.char_ids] == list(PLAY)
    assert (len(verse), verse.char_ids.dtype, verse.is_synthetic) == (len(PLAY), np.uint8, False)
    assert PLAY not in repr(verse)


def test_generated_verse_takes_the_place_of_a_missing_text_only_where_that_is_allowed() -> None:
    for name in ("shakespeare", "shakespear-book"):
        with pytest.raises(DataMissing, match="synthetic-verse"):
            load_verse(name, "/nowhere")
        verse = load_verse(name, "/nowhere", allow_synthetic=True)
        assert verse.is_synthetic
        assert len(verse) >= 100_000
    with pytest.raises(DataError, match="is no text; use shakespear-book or shakespeare"):
        load_verse("synthetic-mail")


def test_the_members_for_the_digest_are_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text(PLAY)
    for source, name in ((shakespeare, "input.txt"), (shakespear_book, "shakespear.txt")):
        assert source.members(path) == [(name, PLAY.encode())]
        assert content_digest(source.members(path)) == content_digest([(name, PLAY.encode())])


def test_generated_verse_can_be_dealt_out_too() -> None:
    config = DataConfig("synthetic-verse", examples=200, partition=PartitionConfig("iid", 3))
    data = load_dataset(config, 1)
    assert len(data.client_ids) == 3
