"""Whole data sets in their own order, for recipes that are no federation: what their loaders share.

A corpus is prepared once, kept in the user's cache as memory-mapped arrays, and opened in
milliseconds by every process. Where its source is not on this machine, its generated counterpart
takes its place, if the caller allows that.

Not here: what a corpus holds; see `fedgdl.data.digits`, `reviews`, `stories` and `verse`.

Example:
    >>> from fedgdl.data.registry import find_source
    >>> source, files = find_corpus("synthetic-digits", None, allow_synthetic=True)
    >>> source.name, files
    ('synthetic-digits', ())
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from fedgdl.data.cache import Contents, Entry, open_or_build
from fedgdl.data.locate import cache_folder, locate, stamps
from fedgdl.data.registry import find_source
from fedgdl.data.source import Source
from fedgdl.errors import DataMissing

__all__ = ["find_corpus", "open_corpus"]


def find_corpus(name: str, root: str | None, *, allow_synthetic: bool) -> tuple[Source, tuple[Path, ...]]:
    """Returns the source to read and its files: the named one, or its counterpart where that is allowed and needed.

    Args:
        name: the source's name.
        root: a folder to look in before FEDGDL_DATA and the user's cache.
        allow_synthetic: whether generated data may take its place.

    Raises:
        DataMissing: the source is not on this machine, and nothing may stand in for it.
    """
    source = find_source(name)
    try:
        return source, locate(source, root)
    except DataMissing:
        if not allow_synthetic or source.counterpart is None:
            raise
        return find_source(source.counterpart), ()


def open_corpus(
    source: Source,
    files: tuple[Path, ...],
    settings: Mapping[str, object],
    build: Callable[[], Contents],
) -> Entry:
    """Returns a corpus from the cache, building it when it is not there yet.

    Args:
        source: where it comes from.
        files: the source's files; optional ones beside them need not be named.
        settings: what else its contents depend on, as JSON values: the reader's version, a seed, ...
        build: makes the contents.

    Raises:
        DataError: the cache cannot be written to; or `build` raises it.
    """
    complete = {"source": source.name, "files": stamps(source, files), **settings}
    return open_or_build(cache_folder() / "corpora", source.name, complete, build)
