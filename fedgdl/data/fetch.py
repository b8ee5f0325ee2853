"""Downloads a data set into the user's cache, checks it, and only then puts it in place.

What is checked is the content that will be used (`fedgdl.data.source.content_digest`), not the
archive's own bytes: the official archive passes and so does a repacked copy. A wrong, damaged or
interrupted download leaves nothing behind, and a file that was there before stays as it was.

Not here: where files are looked for (`fedgdl.data.locate`).

Example:
    >>> from fedgdl.data.registry import find_source
    >>> fetch(find_source("synthetic-mail"))  # generated: nothing to fetch
    ()
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from fedgdl.data.locate import cache_folder
from fedgdl.data.scratch import scratch_name
from fedgdl.data.source import Source, SourceFile, blame, content_digest
from fedgdl.errors import ConfigError, DataCorrupt, DataError

__all__ = ["Fetched", "Progress", "fetch"]

Progress = Callable[[str, int, int], None]
"""Called with (file name, bytes so far, bytes in all or 0 when the server does not say)."""

_TIMEOUT_SECONDS: Final = 30.0
_CHUNK_BYTES: Final = 2**16
_NOT_THERE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file that is now in the cache.

    Attributes:
        path: where.
        is_new: whether it was downloaded now; else a sound copy was there already.
    """

    path: Path
    is_new: bool


def fetch(source: Source, base_url: str | None = None, progress: Progress | None = None) -> tuple[Fetched, ...]:
    """Puts a source's files into the cache and returns them, downloading those that are not there or not sound.

    Args:
        source: what to fetch.
        base_url: a mirror's folder (http or https) to use instead of the official address; the file
            is looked for in it under its own name, its path below a data root, and its official name.
        progress: told about each piece that arrives.

    Raises:
        DataCorrupt: what was downloaded is not the file that was expected.
        ConfigError: the address is no web address.
        DataError: the server cannot be reached or refuses, or the cache
            cannot be written to.
    """
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        message = (
            f"expected an address that begins with http:// or https://, got {base_url!r}; "
            "to use files that are on this machine, set FEDGDL_DATA to their folder"
        )
        raise ConfigError(message)
    return tuple(_fetch_file(file, base_url, progress) for file in source.files)


def _fetch_file(file: SourceFile, base_url: str | None, progress: Progress | None) -> Fetched:
    final = cache_folder() / file.path
    if _is_sound(final, file):
        return Fetched(final, is_new=False)
    with scratch_name(final) as scratch:
        url = _download_first(_addresses(file, base_url), scratch, file.max_bytes, progress)
        with blame(f"what {url} sent is not {final.name}", "Nothing was kept."):
            members = list(file.members(scratch))
            found = content_digest(members)
            if found != file.sha256:
                message = f"its contents have SHA-256 {found}, expected {file.sha256}"
                raise DataCorrupt(message)
        if file.is_unpacked:
            ((_, content),) = members
            scratch.write_bytes(content)
        scratch.replace(final)
    return Fetched(final, is_new=True)


def _is_sound(path: Path, file: SourceFile) -> bool:
    if not path.is_file():
        return False
    try:
        return content_digest(file.members(path)) == file.sha256
    except DataCorrupt:
        return False


def _addresses(file: SourceFile, base_url: str | None) -> list[str]:
    """Returns the addresses to try, in this order."""
    if base_url is None:
        return [file.url]
    names = (PurePosixPath(file.path).name, file.path, PurePosixPath(file.url).name)
    return [f"{base_url.rstrip('/')}/{name}" for name in dict.fromkeys(names)]


def _download_first(urls: list[str], path: Path, max_bytes: int, progress: Progress | None) -> str:
    """Downloads the first of some addresses that exists, and returns it."""
    for url in urls[:-1]:
        try:
            _download(url, path, max_bytes, progress)
        except _NotThere:
            continue
        return url
    _download(urls[-1], path, max_bytes, progress)
    return urls[-1]


class _NotThere(DataError):
    """The server has no such file."""


def _download(url: str, path: Path, max_bytes: int, progress: Progress | None) -> None:
    from pooch import HTTPDownloader  # 100 ms to import, needed by no run

    with path.open("wb") as file:
        sink = _Sink(file, url, max_bytes, progress)
        download = HTTPDownloader(progressbar=sink, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_SECONDS)
        try:
            download(url, sink, None)
        except OSError as error:  # the errors of requests are OSErrors, as is a full disk
            response = getattr(error, "response", None)
            status = getattr(response, "status_code", None)
            if status in _NOT_THERE:
                message = f"{url} does not exist (the server answered {status}); try another with --from"
                raise _NotThere(message) from error
            reason = f"the server answered {status}" if status is not None else _reason(error)
            message = f"{url} cannot be downloaded: {reason}. Nothing was kept; try again, or another with --from"
            raise DataError(message) from error


class _Sink:
    """Takes what is downloaded: writes it, refuses too much of it, and reports how far it is.

    To the downloader it is both the file and the progress bar, whose `total` it sets.
    """

    def __init__(self, file: BinaryIO, url: str, max_bytes: int, progress: Progress | None) -> None:
        self.total = 0
        self._file = file
        self._url = url
        self._max_bytes = max_bytes
        self._progress = progress
        self._done = 0

    def write(self, chunk: bytes) -> int:
        """Writes one piece and returns its length; raises `DataCorrupt` when it is one too many."""
        self._done += len(chunk)
        if self._done > self._max_bytes:
            message = f"{self._url} sent more than {self._max_bytes:,} bytes; it is not the file that was expected"
            raise DataCorrupt(message)
        self._file.write(chunk)
        if self._progress is not None:
            self._progress(PurePosixPath(self._url).name, self._done, self.total)
        return len(chunk)

    def flush(self) -> None:
        """Does nothing: the file is flushed once, when it is closed."""

    def update(self, count: int) -> None:
        """Does nothing: `write` has counted."""

    def reset(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing: the caller closes the file."""


def _reason(error: BaseException) -> str:
    """Returns the cause at the bottom of a chain of errors: 'Connection refused', not its wrappings."""
    *_, deepest = _chain(error)
    return getattr(deepest, "strerror", None) or str(deepest) or type(deepest).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
