r"""Plays as one long text: its characters as ids, its speeches by speaker, and windows of characters for training.

A play is laid out as `SPEAKER:`, the lines of the speech, an empty line. `load_verse` gives a whole
text for recipes; `split_by_speaker` and `split_text` cut windows for federations: `inputs` are the
ids of `sequence_length` characters, `labels` those of the characters that follow each.

Not here: where texts come from (`fedgdl.data.sources.shakespeare` and its neighbours).

Example:
    >>> speeches("KING:\nTo horse!\n\nFOOL:\nTo bed,\nmy king.\n")
    [('KING', 'To horse!'), ('FOOL', 'To bed,\nmy king.')]
    >>> windows = cut_windows(np.array([1, 2, 3, 4, 5, 6]), 4)
    >>> windows.inputs.tolist(), windows.labels.tolist()
    ([[1, 2, 3, 4], [5, 0, 0, 0]], [[2, 3, 4, 5], [6, -1, -1, -1]])
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.archives import read_bounded
from fedgdl.data.cache import Contents
from fedgdl.data.corpus import find_corpus, open_corpus
from fedgdl.data.dataset import ArrayExamples
from fedgdl.data.partition import Groups
from fedgdl.data.split import Split, SplitSource
from fedgdl.errors import DataCorrupt, DataError

__all__ = [
    "PADDING",
    "Verse",
    "VerseSource",
    "cut_windows",
    "load_verse",
    "read_text",
    "speeches",
    "split_by_speaker",
    "split_text",
]

PADDING: Final = -1
"""The label of a step that is not there: a window is longer than what is left of a text."""

_RECIPE: Final = 1
"""To be raised with every change of generated texts: earlier corpora are then left alone."""

_MAX_BYTES: Final = 2**25
_MAX_CHARACTERS: Final = 256  # their ids are bytes

Ids = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerseSource(SplitSource):
    """A source of one long text.

    Attributes:
        read: reads or generates the text, from (the files in the order of `files`, the seed).
    """

    read: Callable[[tuple[Path, ...], int], str]
    settings: tuple[str, ...] = ("sequence_length", "test_fraction")
    example_noun: str = "windows"
    word_noun: Literal["characters", "words"] = "characters"


@dataclass(frozen=True, slots=True)
class Verse:
    """One long text.

    Attributes:
        text: all of it.
        char_ids: (characters,) uint8, the position of each of its characters in `characters`; memory-mapped.
        characters: the different characters, by code point.
        is_synthetic: whether the text was generated.
        description: one line for people.
    """

    text: str
    char_ids: Ids
    characters: tuple[str, ...]
    is_synthetic: bool
    description: str

    def __len__(self) -> int:
        """Returns the number of characters of the text."""
        return len(self.char_ids)

    def __repr__(self) -> str:
        """Returns the description, not the text."""
        return f"Verse({self.description})"


def load_verse(
    name: str = "shakespear-book", root: str | None = None, *, allow_synthetic: bool = False, seed: int = 0
) -> Verse:
    """Returns a whole text with the ids of its characters.

    Args:
        name: `"shakespear-book"`, the file of the book's chapter 14, or `"shakespeare"`, real plays.
        root: a folder to look in before FEDGDL_DATA and the user's cache.
        allow_synthetic: whether generated verse may take the place of a text that is not there.
        seed: decides the generated verse; real texts do not depend on it.

    Raises:
        DataMissing: the text is not on this machine, and a generated one is not allowed.
        DataCorrupt: the file is no text.
        DataError: the named data set is no such text.
    """
    source, files = find_corpus(name, root, allow_synthetic=allow_synthetic)
    if not isinstance(source, VerseSource):
        message = f"the data set {source.name!r} ({source.title}) is no text; use shakespear-book or shakespeare"
        raise DataError(message)
    settings = {"recipe": _RECIPE, "seed": seed if source.is_seeded else None}
    entry = open_corpus(source, files, settings, lambda: _corpus(source.read(files, seed)))
    characters, char_ids = tuple(entry.words("characters")), entry.arrays["char_ids"]
    codes = np.array([ord(character) for character in characters], dtype="<u4")
    return Verse(
        codes[char_ids].tobytes().decode("utf-32-le"),
        char_ids,
        characters,
        source.is_synthetic,
        f"{source.heading}: {len(char_ids):,} characters, {len(characters)} different",
    )


def read_text(path: Path) -> str:
    """Returns the text of a file.

    Raises:
        DataCorrupt: it cannot be read, is no UTF-8, is empty, or holds what no text does.
    """
    try:
        text = read_bounded(path, _MAX_BYTES).decode()
    except UnicodeDecodeError as error:
        message = f"it is no UTF-8 text (byte {error.start})"
        raise DataCorrupt(message) from error
    odd = next((c for c in text if not c.isprintable() and c not in "\n\t"), None)
    if odd is not None:
        message = f"it is no text with line feeds: it has the character {odd!r} in line {_line(text, text.index(odd))}"
        raise DataCorrupt(message)
    if not text.strip():
        message = "it has no text"
        raise DataCorrupt(message)
    if len(set(text)) > _MAX_CHARACTERS:
        message = f"it has {len(set(text))} different characters; plays in English have less than 100"
        raise DataCorrupt(message)
    return text


def speeches(text: str) -> list[tuple[str, str]]:
    r"""Returns each speech as (speaker, lines), in the order of the text.

    A speaker's name alone, without a line of speech, is left out: real plays have them where a
    stage direction was cut (tiny-shakespeare 125 times, ten of its names have nothing else).

    Args:
        text: speeches set apart by empty lines; the first line of each is the speaker and a colon.

    Raises:
        DataCorrupt: a speech does not begin with a speaker, or the speaker's name is empty; the message
            gives the line's number.
    """
    found = []
    number = 0
    for block in text.split("\n\n"):
        lines = block.split("\n")
        first = next((index for index, line in enumerate(lines) if line), None)
        if first is not None:
            head, speech = lines[first], "\n".join(lines[first + 1 :]).strip("\n")
            speaker = head.removesuffix(":").strip()
            if not head.endswith(":"):
                message = f"line {number + first + 1} begins a speech, but is no speaker's name and a colon"
                raise DataCorrupt(message)
            if not speaker:
                message = f"line {number + first + 1} has a colon, but no speaker's name before it"
                raise DataCorrupt(message)
            if speech.strip():
                found.append((speaker, speech))
        number += len(lines) + 1
    return found


def cut_windows(char_ids: npt.NDArray[np.integer], length: int) -> ArrayExamples:
    """Returns a text in windows, one after another without overlap.

    Args:
        char_ids: (characters,) ids of the text's characters, at least two.
        length: characters of a window.

    Returns:
        `inputs` (windows, length) int32, the ids; `labels` (windows, length) int32, the ids of the characters
        that follow them. Together they have every character but the first as a label once. What the last
        window lacks is 0 in the inputs and -1 in the labels.
    """
    num_steps = len(char_ids) - 1
    num_windows = -(-num_steps // length)
    inputs = np.zeros((num_windows, length), dtype=np.int32)
    labels = np.full((num_windows, length), PADDING, dtype=np.int32)
    inputs.reshape(-1)[:num_steps] = char_ids[:-1]
    labels.reshape(-1)[:num_steps] = char_ids[1:]
    return ArrayExamples(inputs, labels)


def split_by_speaker(text: str, config: DataConfig) -> Split:
    """Returns windows of each speaker's speeches; the last ones of each are for testing.

    A speaker's speeches are put together in the order of the play, each ending in a line feed. Of
    the windows, `config.test_fraction`, rounded down, are for testing: none of a speaker with few.

    Args:
        text: a play.
        config: `sequence_length` and `test_fraction` are used.

    Raises:
        DataCorrupt: see `speeches`; or nobody says anything.
        DataError: nobody says enough for a window to test on.
    """
    said: defaultdict[str, list[str]] = defaultdict(list)
    for speaker, speech in speeches(text):
        said[speaker].append(f"{speech}\n")
    if not said:
        message = "nobody says anything in it"
        raise DataCorrupt(message)
    speakers = {speaker: "".join(said[speaker]) for speaker in sorted(said)}
    return _split(speakers, config, list(speakers))


def split_text(text: str, config: DataConfig) -> Split:
    """Returns windows of a text that has no speakers; the last ones are for testing.

    Args:
        text: at least two characters.
        config: `sequence_length` and `test_fraction` are used.

    Raises:
        DataError: the text is too short for a window to train on and one to test on.
    """
    return _split({"": text}, config, None)


def _split(texts: Mapping[str, str], config: DataConfig, speakers: list[str] | None) -> Split:
    characters = sorted(set().union(*texts.values()))
    parts = [cut_windows(_encode(text, characters), config.sequence_length) for text in texts.values()]
    sizes = np.array([len(part) for part in parts])
    owner = np.repeat(np.arange(len(parts), dtype=np.int64), sizes)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    is_test = place >= (sizes - np.floor(sizes * config.test_fraction).astype(np.int64))[owner]
    train_rows, test_rows = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    if not len(test_rows):
        message = (
            f"a text of {max(map(len, texts.values()))} characters gives no window of data.sequence_length = "
            f"{config.sequence_length} to test on; use a shorter data.sequence_length or a greater data.test_fraction"
        )
        raise DataError(message)
    counts = {
        "characters": sum(map(len, texts.values())),
        "speakers": 0 if speakers is None else len(speakers),
        "train": len(train_rows),
        "test": len(test_rows),
    }
    return Split(
        ArrayExamples(np.concatenate([part.inputs for part in parts]), np.concatenate([part.labels for part in parts])),
        train_rows,
        test_rows,
        None if speakers is None else Groups(tuple(speakers), owner[train_rows]),
        counts,
        {"vocabulary": characters},
    )


def _encode(text: str, characters: list[str]) -> npt.NDArray[np.int64]:
    """Returns (characters,) int64, each character's position in the sorted list of them."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    return np.searchsorted([ord(character) for character in characters], codes)


def _corpus(text: str) -> Contents:
    characters = sorted(set(text))
    char_ids = _encode(text, characters).astype(np.uint8)  # which are enough: see _MAX_CHARACTERS
    return Contents({"char_ids": char_ids}, {"characters": characters}, {"characters": len(text)})


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
