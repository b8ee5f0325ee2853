r"""bAbI: twenty toy tasks of reading and answering, 1,000 questions each for training and for testing.

An archive with `tasksv11/en/qaN_NAME_train.txt` and `..._test.txt`. A line is a number and a statement,
or a number, a question, a tab, the answer, a tab, and the numbers of the lines that it follows from. The
numbers of a story start from 1.

For a federation, an example is one line: its words in lower case, and behind a question its answer
as one word more. The model reads all words but the last and says each next one. The natural clients are
the tasks. Words that are not in the training lines are `<unknown>`, which is never a goal.

The book's own use of the first task is `fedgdl.data.stories.book_sentences`.

Source:
    J. Weston, A. Bordes, S. Chopra, A. M. Rush, B. van Merrienboer, A. Joulin, T. Mikolov, "Towards
    AI-Complete Question Answering: A Set of Prerequisite Toy Tasks", arXiv:1502.05698, 2015.

Example:
    >>> words_of_line("3 Where is Mary? \tbathroom\t1")
    ['where', 'is', 'mary', '?', 'bathroom']
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from fedgdl.config import DataConfig
from fedgdl.data.archives import read_tar
from fedgdl.data.dataset import ArrayExamples
from fedgdl.data.partition import Groups
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split, SplitSource
from fedgdl.data.text import TOKEN_PATTERN, Vocabulary
from fedgdl.errors import DataCorrupt, DataError

__all__ = [
    "NAMES",
    "PADDING",
    "PARTS",
    "SOURCE",
    "UNKNOWN",
    "Tasks",
    "check_lines",
    "members",
    "read_tasks",
    "split_tasks",
    "words_of_line",
]

NAMES: Final = {
    1: "single-supporting-fact",
    2: "two-supporting-facts",
    3: "three-supporting-facts",
    4: "two-arg-relations",
    5: "three-arg-relations",
    6: "yes-no-questions",
    7: "counting",
    8: "lists-sets",
    9: "simple-negation",
    10: "indefinite-knowledge",
    11: "basic-coreference",
    12: "conjunction",
    13: "compound-coreference",
    14: "time-reasoning",
    15: "basic-deduction",
    16: "basic-induction",
    17: "positional-reasoning",
    18: "size-reasoning",
    19: "path-finding",
    20: "agents-motivations",
}
"""The tasks' names by their numbers, as the files have them."""

PARTS: Final = ("train", "test")
PADDING: Final = "<padding>"
UNKNOWN: Final = "<unknown>"

Tasks: TypeAlias = Mapping[int, Mapping[str, tuple[str, ...]]]
"""Lines without their line ends, by task number and part (`"train"` or `"test"`)."""

_NO_GOAL: Final = -1
_WANTED: Final = re.compile(r"tasksv11/en/qa(?P<number>\d{1,2})_(?P<name>[a-z-]+)_(?P<part>train|test)\.txt")
_OTHERS: Final = re.compile(r"tasksv11/(README|LICENSE|[a-z0-9-]+/qa\d{1,2}_[a-z-]+_(train|test)\.txt)")
"""What else the official archive holds: the same tasks with shuffled letters, and in other languages."""

_LINE: Final = re.compile(
    r"(?P<number>[1-9]\d*) (?P<text>[^\x00-\x1f]*[^\x00-\x20]) ?(\t(?P<answer>[^\x00-\x1f]+)\t(?P<facts>\d+( \d+)*))?",
    re.ASCII,
)
_find_words: Final = re.compile(TOKEN_PATTERN).findall


def members(path: Path) -> list[tuple[str, bytes]]:
    """Returns (member name, bytes) of the 40 files of the tasks in English.

    Raises:
        DataCorrupt: the archive is damaged, lacks a file, or holds one that a set of tasks does not have.
    """
    found: dict[str, bytes] = {}
    for name, data in read_tar(path):
        match = _WANTED.fullmatch(name)
        if match is None:
            if _OTHERS.fullmatch(name) is None:
                message = f"it holds {name!r}, which is no file of the bAbI tasks"
                raise DataCorrupt(message)
        elif NAMES.get(int(match["number"])) != match["name"]:
            message = f"it holds {name!r}, but there is no task {match['number']} of that name"
            raise DataCorrupt(message)
        elif name in found:
            message = f"it holds {name!r} twice"
            raise DataCorrupt(message)
        else:
            found[name] = data
    missing = [name for name in map(_member_name, *zip(*_all_parts(), strict=True)) if name not in found]
    if missing:
        message = f"it has no {missing[0]} ({len(missing)} of the {2 * len(NAMES)} files are missing)"
        raise DataCorrupt(message)
    return list(found.items())


def read_tasks(path: Path) -> Tasks:
    """Returns the lines of all tasks.

    Raises:
        DataCorrupt: see `members`; or a line is none of a story. The message names the file and the line.
    """
    with blame(str(path), SOURCE.remedy):
        found = dict(members(path))
        tasks: dict[int, dict[str, tuple[str, ...]]] = {number: {} for number in NAMES}
        for number, part in _all_parts():
            name = _member_name(number, part)
            tasks[number][part] = _lines(name, found[name])
        return tasks


def _all_parts() -> list[tuple[int, str]]:
    return [(number, part) for number in NAMES for part in PARTS]


def _member_name(number: int, part: str) -> str:
    return f"tasksv11/en/qa{number}_{NAMES[number]}_{part}.txt"


def _lines(name: str, data: bytes) -> tuple[str, ...]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"{name} is no UTF-8 text (byte {error.start})"
        raise DataCorrupt(message) from error
    lines = tuple(text.removesuffix("\n").split("\n"))
    check_lines(name, lines)
    return lines


def check_lines(name: str, lines: tuple[str, ...]) -> None:
    """Refuses lines that are no stories.

    Args:
        name: the file's name, for messages.
        lines: all of it.

    Raises:
        DataCorrupt: a line is not of the form above, its number does not follow, or a question follows from
            lines that do not come before it.
    """
    before = 0
    for position, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            message = f"{name}, line {position} is no statement and no question with its answer and its facts"
            raise DataCorrupt(message)
        number = int(match["number"])
        if number not in (1, before + 1):
            message = f"{name}, line {position} has the number {number} after {before}, not {before + 1} or 1"
            raise DataCorrupt(message)
        if match["facts"] is not None and not all(0 < int(fact) < number for fact in match["facts"].split(" ")):
            message = (
                f"{name}, line {position} follows from line {match['facts']} of its story, but it is number {number}"
            )
            raise DataCorrupt(message)
        before = number


def words_of_line(line: str) -> list[str]:
    """Returns a line's words in lower case, without its number, a question's answer as one word at the end."""
    return _words(_said(line))


def _said(line: str) -> str:
    """Returns a line without its number and facts: a statement; or a question, a tab and the answer."""
    _, _, text = line.partition(" ")
    question_and_answer, tab, _ = text.rpartition("\t")
    return question_and_answer if tab else text


def _words(said: str) -> list[str]:
    text, *answer = said.lower().split("\t")
    return [*_find_words(text), *answer]


def split_tasks(tasks: Tasks, config: DataConfig) -> Split:
    """Returns the split of all tasks' lines, the tasks as groups.

    Inputs are (lines, steps) int32 word ids, steps being one less than the words of the longest line; shorter
    lines are filled up with `PADDING`. Labels are (lines, steps) int32, each step's next word; -1 where there is
    none or it is unknown.

    Args:
        tasks: lines by task and part.
        config: `min_count` is used: rarer words are unknown, in training too.

    Raises:
        DataError: no word is left.
    """
    train, test = ([_said(line) for number in tasks for line in tasks[number][part]] for part in PARTS)
    words = {said: _words(said) for said in dict.fromkeys([*train, *test])}  # 5,000 different ones of 180,000
    counts: Counter[str] = Counter()
    for said, times in Counter(train).items():
        counts.update(dict.fromkeys(words[said], times))
    vocabulary = Vocabulary.of_counts(counts, min_count=config.min_count, reserved=(PADDING, UNKNOWN))
    if len(vocabulary) == len((PADDING, UNKNOWN)):
        message = f"no word is in data.min_count = {config.min_count} of the {len(train)} training lines"
        raise DataError(message)
    position = {said: index for index, said in enumerate(words)}
    examples = _encode(list(words.values()), vocabulary).take(np.array([position[said] for said in (*train, *test)]))
    rows = np.arange(len(examples), dtype=np.int64)
    group_names = [f"task-{number:02}-{NAMES[number]}" for number in tasks for _ in tasks[number]["train"]]
    return Split(
        examples,
        rows[: len(train)],
        rows[len(train) :],
        Groups.of(group_names),
        {
            "read": len(rows),
            "train": len(train),
            "test": len(test),
            "words": len(vocabulary),
            "unknown_words_in_test": sum(word not in vocabulary for said in test for word in words[said]),
        },
        {"vocabulary": list(vocabulary.words)},
    )


def _encode(lines: list[list[str]], vocabulary: Vocabulary) -> ArrayExamples:
    padding, unknown = vocabulary.id_of(PADDING), vocabulary.id_of(UNKNOWN)
    steps = max(map(len, lines)) - 1
    inputs = np.full((len(lines), steps), padding, dtype=np.int32)
    labels = np.full((len(lines), steps), _NO_GOAL, dtype=np.int32)
    for row, line in enumerate(lines):
        encoded = [vocabulary.id_of(word) if word in vocabulary else unknown for word in line]
        inputs[row, : len(line) - 1] = encoded[:-1]
        labels[row, : len(line) - 1] = encoded[1:]
    labels[labels == unknown] = _NO_GOAL
    return ArrayExamples(inputs, labels)


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (its own split)
    return split_tasks(read_tasks(paths[0]), config)


SOURCE: Final = SplitSource(
    name="babi",
    title="bAbI tasks 1.1, English",
    licence="CC BY 3.0, Facebook, Inc.",
    citation=(
        "J. Weston, A. Bordes, S. Chopra, A. M. Rush, B. van Merrienboer, A. Joulin, T. Mikolov. Towards AI-Complete "
        "Question Answering: A Set of Prerequisite Toy Tasks. arXiv:1502.05698, 2015."
    ),
    files=(
        SourceFile(
            path="babi/tasks_1-20_v1-1.tar.gz",
            url="http://www.thespermwhale.com/jaseweston/babi/tasks_1-20_v1-1.tar.gz",
            num_bytes=600_000,
            sha256="b22a044d8973880b3d1609c084e2ebd545616d4990d7672fce87db73f2e26226",
            members=members,
        ),
    ),
    counterpart="synthetic-stories",
    split=_split,
    settings=("min_count",),
    example_noun="lines",
)
