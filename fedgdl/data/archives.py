"""Reads the files of an archive into memory, distrusting it: its size, its names and its bytes.

Nothing is ever unpacked to disk. An archive that is cut short, damaged, larger than it may be, or
that holds links, devices or names pointing outside itself ends in `DataCorrupt` with a message that says
what is wrong; the caller adds which file it is (`fedgdl.data.source.blame`).

Example:
    >>> import tempfile, zipfile
    >>> path = Path(tempfile.mkdtemp()) / "letters.zip"
    >>> with zipfile.ZipFile(path, "w") as file:
    ...     file.writestr("a.txt", "alpha")
    >>> list(read_zip(path))
    [('a.txt', b'alpha')]
"""

import io
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from fedgdl.errors import DataCorrupt

__all__ = ["MAX_ARCHIVE_BYTES", "MAX_MEMBER_BYTES", "read_bounded", "read_gzip", "read_tar", "read_zip"]

MAX_ARCHIVE_BYTES: Final = 2**28
"""An archive that unpacks to more than these 256 MiB is refused: no set read here has a tenth of it."""

MAX_MEMBER_BYTES: Final = 2**23
"""A single file inside an archive may have this many bytes (8 MiB)."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


def read_tar(path: Path, max_bytes: int = MAX_ARCHIVE_BYTES) -> Iterator[tuple[str, bytes]]:
    """Yields (name, bytes) of each regular file of a tar archive, in the archive's order.

    Args:
        path: the archive, compressed with gzip or plain (some servers decompress on the way).
        max_bytes: the most it may unpack to.

    Raises:
        DataCorrupt: it is no such archive, cut short, too large, or holds a link, a device or an unsafe name.
    """
    import tarfile  # with gzip and zipfile 7 ms to import, which opening what is prepared does without

    data = read_gzip(path, max_bytes)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                name = _safe_name(member.name)
                if member.issym() or member.islnk():
                    raise DataCorrupt(_link(name))
                if not member.isfile() and not member.isdir():
                    message = f"the archive holds a device or pipe ({name!r}), which a data set never does"
                    raise DataCorrupt(message)
                if member.isfile():
                    _check_size(name, member.size, MAX_MEMBER_BYTES)
                    file = archive.extractfile(member)
                    content = b"" if file is None else file.read()
                    if len(content) != member.size:
                        message = f"the archive is cut short inside {name}"
                        raise DataCorrupt(message)
                    yield name, content
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        message = f"it is no tar archive, or it is cut short or damaged ({error})"
        raise DataCorrupt(message) from error


def read_zip(path: Path, max_bytes: int = MAX_ARCHIVE_BYTES) -> Iterator[tuple[str, bytes]]:
    """Yields (name, bytes) of each file of a zip archive, in the archive's order.

    Args:
        path: the archive.
        max_bytes: the most it may unpack to.

    Raises:
        DataCorrupt: it is no zip archive, damaged, encrypted, too large, or holds an unsafe name.
    """
    import zipfile
    import zlib

    left = max_bytes
    data = read_bounded(path, max_bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                name = _safe_name(member.filename)
                if stat.S_ISLNK(member.external_attr >> 16):  # the upper half is the file's Unix mode
                    raise DataCorrupt(_link(name))
                limit = min(left, MAX_MEMBER_BYTES)
                with archive.open(member) as file:
                    content = file.read(limit + 1)  # the size in the directory is only a claim
                _check_size(name, len(content), limit)
                left -= len(content)
                yield name, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        message = f"it is no zip archive, or it is cut short or damaged ({error})"
        raise DataCorrupt(message) from error


def read_bounded(path: Path, max_bytes: int = MAX_ARCHIVE_BYTES) -> bytes:
    """Returns a file's bytes.

    Raises:
        DataCorrupt: it cannot be read, or has more than `max_bytes` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        message = f"it cannot be read ({error.strerror or error})"
        raise DataCorrupt(message) from error
    _check_size("it", len(data), max_bytes)
    return data


def read_gzip(path: Path, max_bytes: int = MAX_ARCHIVE_BYTES) -> bytes:
    """Returns a file's bytes, unpacked where they are compressed with gzip.

    Raises:
        DataCorrupt: it cannot be read, is damaged or cut short, or has or unpacks to more than `max_bytes` bytes.
    """
    data = read_bounded(path, max_bytes)
    return _gunzip(data, max_bytes) if data.startswith(_GZIP_MAGIC) else data


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    import gzip
    import zlib

    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(max_bytes + 1)
    except EOFError as error:
        message = "it is cut short: its compressed data ends before its end mark"
        raise DataCorrupt(message) from error
    except (OSError, zlib.error) as error:
        message = f"its compressed data is damaged ({error})"
        raise DataCorrupt(message) from error
    _check_size("what it unpacks to", len(unpacked), max_bytes)
    return unpacked


def _safe_name(name: str) -> str:
    """Returns a member's name without a leading `./`; refuses one that points outside the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        message = f"the archive holds the unsafe name {name!r}"
        raise DataCorrupt(message)
    return str(path)


def _link(name: str) -> str:
    return f"the archive holds a link ({name!r}), which a data set never does"


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        message = f"{what} has more than {limit:,} bytes, which no file of a known data set has"
        raise DataCorrupt(message)
