"""The bAbI archive: what a line means, how lines become examples, and what is refused."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from mail_archives import write_tar
from story_archives import PATH, story_members, write_stories

from fedgdl.config import DataConfig
from fedgdl.data.sources.babi import (
    NAMES,
    PADDING,
    PARTS,
    SOURCE,
    UNKNOWN,
    check_lines,
    members,
    read_tasks,
    split_tasks,
    words_of_line,
)
from fedgdl.data.sources.synthetic_stories import tell_tasks
from fedgdl.errors import DataCorrupt, DataError

FIRST = "tasksv11/en/qa1_single-supporting-fact_train.txt"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 Mary moved to the bathroom.", "mary moved to the bathroom ."),
        ("12 Where is Mary? \tbathroom\t1 11", "where is mary ? bathroom"),
        ("3 Is the box bigger than the chest?\tyes\t1", "is the box bigger than the chest ? yes"),
        ("9 What is Mary carrying? \tapple,Milk\t1 2", "what is mary carrying ? apple,milk"),
        (
            "6 How do you go from the kitchen to the garden?\ts,e\t2 4",
            "how do you go from the kitchen to the garden ? s,e",
        ),
    ],
)
def test_words_of_a_line(line: str, words: str) -> None:
    assert words_of_line(line) == words.split()


def test_all_tasks_come_back_from_the_archive(tmp_path: Path) -> None:
    root = write_stories(tmp_path, num_lines=30, seed=3)
    assert read_tasks(root / PATH) == tell_tasks(30, seed=3)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("tasksv11/en/notes.txt", b"x", r"'tasksv11/en/notes\.txt', which is no file of the bAbI tasks"),
        ("evil.sh", b"x", r"'evil\.sh', which is no file"),
        ("../evil.sh", b"x", r"unsafe name '\.\./evil\.sh'"),
        ("/etc/passwd", b"x", "unsafe name '/etc/passwd'"),
        ("tasksv11/en/qa1_counting_train.txt", b"1 x.\n", "no task 1 of that name"),
        ("tasksv11/en/qa21_counting_train.txt", b"1 x.\n", "no task 21 of that name"),
        (FIRST, b"\xff\n", rf"{FIRST} is no UTF-8 text \(byte 0\)"),
        (FIRST, b"1 Mary moved.\n3 Where is Mary? \tx\t1\n", rf"{FIRST}, line 2 has the number 3 after 1, not 2 or 1"),
        (FIRST, b"", rf"{FIRST}, line 1 is no statement"),
    ],
)
def test_a_strange_member_is_refused_and_named(tmp_path: Path, name: str, data: bytes, what: str) -> None:
    path = write_tar(tmp_path / "x.tar.gz", {**story_members(), name: data})
    with pytest.raises(DataCorrupt, match=rf"x\.tar\.gz: .*{what}.*`fedgdl data fetch babi`"):
        read_tasks(path)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "pipe"),
    ],
)
def test_a_link_or_device_is_refused_and_named(tmp_path: Path, kind: bytes, what: str) -> None:
    path = tmp_path / "x.tar"
    write_tar(path, story_members(), mode="w:")
    with tarfile.open(path, "a:") as archive:
        member = tarfile.TarInfo("tasksv11/en/odd.txt")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(DataCorrupt, match=rf"{what}.*tasksv11/en/odd\.txt"):
        read_tasks(path)


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    write_tar(path, story_members(), mode="w:")
    with tarfile.open(path, "a:") as archive:
        archive.addfile(tarfile.TarInfo(FIRST))
    with pytest.raises(DataCorrupt, match=f"'{FIRST}' twice"):
        members(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    found = story_members()
    del found[FIRST], found["tasksv11/en/qa7_counting_test.txt"]
    with pytest.raises(DataCorrupt, match=rf"it has no {FIRST} \(2 of the 40 files are missing\)"):
        members(write_tar(tmp_path / "x.tar.gz", found))


def test_what_lies_beside_the_tasks_does_not_matter(tmp_path: Path) -> None:
    plain = members(write_tar(tmp_path / "plain.tar.gz", story_members()))
    more = {**story_members(), "tasksv11/shuffled/qa1_single-supporting-fact_train.txt": b"1 Zbeq.\n"}
    assert sorted(members(write_tar(tmp_path / "more.tar.gz", more))) == sorted(plain)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Mary moved.", "no statement"),
        ("2 Where is Mary? \tbathroom", "no statement"),
        ("2 Where is Mary? \t\t1", "no statement"),
        ("2 Where is Mary? \tbathroom\tone", "no statement"),
        ("2 Where is Mary? \tbathroom\t1\t1", "no statement"),
        ("02 Mary moved.", "no statement"),
        ("2 Mary moved.\r", "no statement"),
        ("2 Mary\0 moved.", "no statement"),
        ("2 Where is Mary? \tbathroom\t\u0661", "no statement"),
        ("2 ", "no statement"),
        ("3 Mary moved.", "number 3 after 1, not 2 or 1"),
        ("2 Where is Mary? \tbathroom\t2", "follows from line 2 of its story, but it is number 2"),
        ("2 Where is Mary? \tbathroom\t1 0", "follows from line 1 0"),
    ],
)
def test_a_line_that_is_none_is_refused_by_number(line: str, what: str) -> None:
    with pytest.raises(DataCorrupt, match=f"file, line 2 .*{what}"):
        check_lines("file", ("1 John moved.", line))


def test_an_example_is_a_line_whose_labels_are_its_next_words() -> None:
    tasks = tell_tasks(25, seed=2)
    split = split_tasks(tasks, DataConfig("babi"))
    vocabulary = split.words["vocabulary"]
    assert vocabulary[:2] == [PADDING, UNKNOWN]
    lines = {part: [line for number in NAMES for line in tasks[number][part]] for part in PARTS}
    training_words = {word for line in lines["train"] for word in words_of_line(line)}
    assert vocabulary[2:] == sorted(training_words)
    num_unknown = 0
    for row, line in enumerate([*lines["train"], *lines["test"]]):
        words = words_of_line(line)
        one = split.examples.slice(row, row + 1)
        (inputs,), (labels,) = one.inputs.tolist(), one.labels.tolist()
        steps = len(words) - 1
        expected = [word if word in training_words else UNKNOWN for word in words]
        num_unknown += expected.count(UNKNOWN)
        assert [vocabulary[word_id] for word_id in inputs[:steps]] == expected[:-1]
        goals = [UNKNOWN if word_id == -1 else vocabulary[word_id] for word_id in labels[:steps]]
        assert goals == expected[1:]
        assert inputs[steps:] == [0] * (len(inputs) - steps)
        assert labels[steps:] == [-1] * (len(labels) - steps)
    assert split.counts["unknown_words_in_test"] == num_unknown
    assert max(len(words_of_line(line)) for part in PARTS for line in lines[part]) - 1 == split.examples.inputs.shape[1]


def test_unknown_words_are_read_but_are_never_a_goal() -> None:
    lines = {number: {"train": ("1 a b c.",), "test": ("1 a new c.",)} for number in NAMES}
    split = split_tasks(lines, DataConfig("babi"))
    names = split.words["vocabulary"]
    test = split.examples.take(split.test_rows[:1])
    assert [names[word_id] for word_id in test.inputs[0]] == ["a", UNKNOWN, "c"]
    assert test.labels.tolist() == [[-1, names.index("c"), names.index(".")]]
    assert split.counts["unknown_words_in_test"] == 20


def test_rare_words_are_unknown_in_training_too() -> None:
    lines = {number: {"train": ("1 often often.",), "test": ("1 often.",)} for number in NAMES}
    lines[1]["train"] = ("1 often rare.", "2 rare rare.")
    split = split_tasks(lines, DataConfig("babi", min_count=3))  # rare is in two lines
    assert split.words["vocabulary"] == [PADDING, UNKNOWN, ".", "often"]
    assert split.examples.slice(0, 1).labels.tolist() == [[-1, 2]]
    with pytest.raises(DataError, match=r"no word is in data\.min_count = 100 of the 21 training lines"):
        split_tasks(lines, DataConfig("babi", min_count=100))


def test_the_natural_clients_are_the_tasks(tmp_path: Path) -> None:
    root = write_stories(tmp_path, num_lines=20)
    split = SOURCE.split((root / PATH,), DataConfig("babi"), 1)
    assert split.groups is not None
    assert split.groups.names[0] == "task-01-single-supporting-fact"
    assert split.groups.names[-1] == "task-20-agents-motivations"
    assert np.bincount(split.groups.of_row).tolist() == [20] * 20
    assert len(split.test_rows) == 20 * 4
