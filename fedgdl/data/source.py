"""What the library knows of a data set: its name, its files, where they come from and how to check them.

A source is a value, so that locating, fetching and caching treat every data set alike and know
nothing of what is in it. A source whose examples can become clients adds how they are split; see
`fedgdl.data.split.SplitSource`.

Not here: the list of sources (`fedgdl.data.registry`) and the reading of any of them
(`fedgdl.data.sources`).

Example:
    >>> content_digest([("b.txt", b"2"), ("a.txt", b"1")]) == content_digest([("a.txt", b"1"), ("b.txt", b"2")])
    True
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedgdl.errors import DataCorrupt

__all__ = ["Source", "SourceFile", "blame", "content_digest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a data set.

    Attributes:
        path: where it lies below a data root, with forward slashes, e.g. `"enron/enron1.tar.gz"`.
        url: its official download.
        num_bytes: about how large the download is.
        sha256: the `content_digest` of its members, 64 hexadecimal digits.
        members: reads the part that is used as (member name, bytes); raises `DataCorrupt`.
        is_unpacked: whether the file that is kept is the download's one member, not the download itself.
        max_bytes: a download larger than this is refused.
    """

    path: str
    url: str
    num_bytes: int
    sha256: str
    members: Callable[[Path], Iterable[tuple[str, bytes]]]
    is_unpacked: bool = False
    max_bytes: int = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data set.

    Attributes:
        name: what a configuration calls it.
        title: what people call it.
        licence: what is known of its licence.
        citation: the paper to cite; empty for none.
        files: what has to be on this machine; none for generated data.
        optional_files: names of further files beside the first one, which are read where they are there.
        is_synthetic: whether the examples are generated.
        counterpart: the generated data set that can stand in for it; none for one that is generated itself.
    """

    name: str
    title: str
    licence: str
    citation: str = ""
    files: tuple[SourceFile, ...] = ()
    optional_files: tuple[str, ...] = ()
    is_synthetic: bool = False
    counterpart: str | None = None

    @property
    def heading(self) -> str:
        """The title, and a word where the examples are generated: what a description begins with."""
        return f"{self.title} (synthetic)" if self.is_synthetic else self.title

    @property
    def num_bytes(self) -> int:
        """About how many bytes there are to download."""
        return sum(file.num_bytes for file in self.files)

    @property
    def remedy(self) -> str:
        """What to do about a damaged file, as a sentence."""
        return f"Delete the file and run `fedgdl data fetch {self.name}` to get it again."


def content_digest(members: Iterable[tuple[str, bytes]]) -> str:
    """Returns SHA-256 over members sorted by name, as 64 hexadecimal digits.

    It depends on the members' names and bytes alone, not on how they were packed: an archive and
    its repacked copy have the same digest. Each member counts as its name, a NUL, its length in
    decimal digits, a NUL, and its bytes, so no two lists of members give the same input.

    Args:
        members: (name, bytes) in any order.
    """
    digest = hashlib.sha256()
    for name, data in sorted(members):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


@contextmanager
def blame(what: str, remedy: str) -> Iterator[None]:
    """Adds to every `DataCorrupt` raised inside which file it is about and what to do.

    Args:
        what: the file or address.
        remedy: a sentence.
    """
    try:
        yield
    except DataCorrupt as error:
        end = "" if str(error).endswith("?") else "."
        message = f"{what}: {error}{end} {remedy}"
        raise DataCorrupt(message) from error
