"""The stories of the bAbI tasks, line by line: `load_stories`; and the book's sentences.

For recipes that are no federation. Where bAbI is not on this machine and the caller allows it,
generated stories take its place, and the result says so.

Not here: stories as a federation's clients (`fedgdl.data.prepared`).

Example:
    >>> stories = load_stories(allow_synthetic=True)
    >>> stories.names[1], len(stories.lines)
    ('single-supporting-fact', 20)
    >>> len(book_sentences(stories))
    1000
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedgdl.data.cache import Contents
from fedgdl.data.corpus import find_corpus, open_corpus
from fedgdl.errors import DataError

__all__ = ["Stories", "book_sentences", "load_stories"]

_READER: Final = 1
"""To be raised with every change of what is read or generated: earlier prepared stories are then left alone."""

_GENERATED_LINES: Final = 1_200
"""Training lines of each task that are generated where there are no real ones: the book reads 1,000."""

_BOOK_LINES: Final = 1_000
_PARTS: Final = ("train", "test")


@dataclass(frozen=True, slots=True)
class Stories:
    r"""The lines of all tasks, as their files have them.

    Attributes:
        lines: by task number (1 to 20) and part (`"train"` or `"test"`), without line ends, e.g.
            `"1 Mary moved to the bathroom."` and `"3 Where is Mary? \tbathroom\t1"`.
        names: the tasks' names by number.
        is_synthetic: whether they were generated.
        description: one line for people.
        fingerprint: SHA-256 of all lines.
    """

    lines: Mapping[int, Mapping[str, tuple[str, ...]]]
    names: Mapping[int, str]
    is_synthetic: bool
    description: str
    fingerprint: str


def load_stories(root: str | None = None, *, allow_synthetic: bool = False, seed: int = 0) -> Stories:
    """Returns the bAbI tasks; or generated ones, 1,200 training and 240 test lines each.

    Args:
        root: a folder to look for bAbI in, before FEDGDL_DATA and the user's cache.
        allow_synthetic: whether stories may be generated when bAbI is not on this machine.
        seed: of the generated stories.

    Raises:
        DataMissing: bAbI is not on this machine, and nothing may stand in for it.
        DataCorrupt: its archive is damaged.
    """
    source, files = find_corpus("babi", root, allow_synthetic=allow_synthetic)
    settings = {"reader": _READER, "seed": seed if source.is_synthetic else None}
    entry = open_corpus(source, files, settings, lambda: _build(files, seed))
    names = dict(enumerate(entry.words("names"), start=1))
    lines = {number: {part: tuple(entry.words(_key(number, part))) for part in _PARTS} for number in names}
    num_train, num_test = (sum(len(task[part]) for task in lines.values()) for part in _PARTS)
    return Stories(
        lines,
        names,
        source.is_synthetic,
        f"{source.heading}: {len(names)} tasks, {num_train:,} training and {num_test:,} test lines",
        entry.fingerprint,
    )


def book_sentences(stories: Stories) -> list[list[str]]:
    r"""Returns the sentences that chapters 12 and 13 of the book read: the first 1,000 lines of task 1.

    Each line is made lower-case, loses its number and is split at single spaces, and at nothing else: a full
    stop stays with its word, and a question's answer and facts are one word between tabs, `"\tbathroom\t1"`.

    Raises:
        DataError: there are fewer lines than that.

    Source:
        A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 12, "Setting up".
    """
    lines = stories.lines[1]["train"]
    if len(lines) < _BOOK_LINES:
        message = f"the book reads {_BOOK_LINES} training lines of task 1, but there are {len(lines)}"
        raise DataError(message)
    return [line.lower().split(" ")[1:] for line in lines[:_BOOK_LINES]]


def _build(files: tuple[Path, ...], seed: int) -> Contents:
    from fedgdl.data.sources import babi  # only needed when stories are prepared

    if files:
        tasks = babi.read_tasks(files[0])
    else:
        from fedgdl.data.sources.synthetic_stories import tell_tasks

        tasks = tell_tasks(_GENERATED_LINES, seed)
    words = {_key(number, part): list(tasks[number][part]) for number in tasks for part in _PARTS}
    return Contents({}, {"names": [babi.NAMES[number] for number in tasks], **words})


def _key(number: int, part: str) -> str:
    return f"task-{number:02}-{part}"
