"""tiny-shakespeare: 40,000 lines from Shakespeare's plays, 1,115,394 characters, 299 speakers.

The natural clients are the speakers, by name as the text has it: `ROMEO`, `First Citizen`; a name
in two plays is one client, and `All` is another than `ALL`. 141 of them say 1,000 characters and
more.

Source:
    A. Karpathy, char-rnn, `data/tinyshakespeare/input.txt`, 2015. The split by speaker is that of
    H. B. McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
    Data", AISTATS 2017, section 3, which uses the complete plays.

Example:
    >>> [file.path for file in SOURCE.files]
    ['shakespeare/tinyshakespeare.txt']
"""

from pathlib import Path
from typing import Final

from fedgdl.config import DataConfig
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split
from fedgdl.data.verse import VerseSource, read_text, speeches, split_by_speaker

__all__ = ["SOURCE", "members"]

_NAME: Final = "input.txt"


def members(path: Path) -> list[tuple[str, bytes]]:
    """Returns the text as (official name, bytes).

    Raises:
        DataCorrupt: it is no text, or no play.
    """
    text = read_text(path)
    speeches(text)
    return [(_NAME, text.encode())]


def _read(paths: tuple[Path, ...], seed: int) -> str:  # noqa: ARG001 (a file)
    with blame(str(paths[0]), SOURCE.remedy):
        return read_text(paths[0])


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (the last windows)
    with blame(str(paths[0]), SOURCE.remedy):
        return split_by_speaker(read_text(paths[0]), config)


SOURCE: Final = VerseSource(
    name="shakespeare",
    title="tiny-shakespeare, parts of plays",
    licence="public domain; the repository it comes from: MIT",
    citation="A. Karpathy. The Unreasonable Effectiveness of Recurrent Neural Networks. 2015.",
    files=(
        SourceFile(
            path="shakespeare/tinyshakespeare.txt",
            url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            num_bytes=1_115_394,
            sha256="51950dfa553e8e4065cde4276738f2327fa608bf57b8f4507ea4b2b5d12ad521",
            members=members,
        ),
    ),
    counterpart="synthetic-verse",
    split=_split,
    read=_read,
)
