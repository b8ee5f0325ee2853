"""The file `shakespear.txt` of the book's chapter 14: 99,993 characters, 62 different, not by Shakespeare.

It reads like the output of a character network trained on his plays, and none of its longer lines
is in tiny-shakespeare: judge what a model makes of it accordingly. It is laid out as a play but
begins and ends in the middle of a speech, so it has no speakers here; `fedgdl.data.sources.shakespeare`
does.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 14, companion repository.

Example:
    >>> [file.path for file in SOURCE.files]
    ['shakespeare/shakespear.txt']
"""

from pathlib import Path
from typing import Final

from fedgdl.config import DataConfig
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split
from fedgdl.data.verse import VerseSource, read_text, split_text

__all__ = ["SOURCE", "members"]

_NAME: Final = "shakespear.txt"


def members(path: Path) -> list[tuple[str, bytes]]:
    """Returns the text as (name, bytes).

    Raises:
        DataCorrupt: it is no text.
    """
    return [(_NAME, read_text(path).encode())]


def _read(paths: tuple[Path, ...], seed: int) -> str:  # noqa: ARG001 (a file)
    with blame(str(paths[0]), SOURCE.remedy):
        return read_text(paths[0])


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:
    return split_text(_read(paths, seed), config)


SOURCE: Final = VerseSource(
    name="shakespear-book",
    title="The play-like text of the book's chapter 14",
    licence="none stated",
    citation="A. W. Trask. Grokking Deep Learning. Manning 2019.",
    files=(
        SourceFile(
            path=f"shakespeare/{_NAME}",
            url=f"https://raw.githubusercontent.com/iamtrask/Grokking-Deep-Learning/master/{_NAME}",
            num_bytes=99_993,
            sha256="9305806388b332fd795d8cc26bfb16459de33bb298585db5064dc90635fe9a38",
            members=members,
        ),
    ),
    counterpart="synthetic-verse",
    split=_split,
    read=_read,
)
