"""Finds a data set's files on this machine.

The places, in this order: the configuration's `data.root`, the folder named by the environment
variable FEDGDL_DATA, and the user's cache, which `fedgdl data fetch` fills (FEDGDL_CACHE names
another one). Below each, a file lies where its `SourceFile.path` says, e.g.
`enron/enron1.tar.gz`.

Not here: reading or checking the files.

Example:
    >>> from fedgdl.data.registry import find_source
    >>> locate(find_source("synthetic-mail"))  # generated: nothing to find
    ()
"""

import os
from pathlib import Path
from typing import TypedDict

from fedgdl.data.source import Source
from fedgdl.errors import DataMissing

__all__ = ["SourceReport", "cache_folder", "describe", "locate", "stamps"]


class SourceReport(TypedDict):
    """A source and its whereabouts, as JSON values.

    Attributes:
        name, title, licence, citation, num_bytes, is_synthetic: see `Source`.
        found: the folder its files were found in, or a word on generated data; none: it is not here.
        how_to_get: what to do when it is not here; empty when it is.
    """

    name: str
    title: str
    licence: str
    citation: str
    num_bytes: int
    is_synthetic: bool
    found: str | None
    how_to_get: str


def cache_folder() -> Path:
    """Returns the folder of what the library may download and derive; it need not exist yet."""
    chosen = os.environ.get("FEDGDL_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path  # 6 ms to import, not needed where FEDGDL_CACHE is set

    return user_cache_path("fedgdl", appauthor=False)


def locate(source: Source, root: str | None = None) -> tuple[Path, ...]:
    """Returns the absolute paths of a source's files, in the order of `source.files`.

    All of them are taken from the first place that has them all.

    Args:
        source: what to find; a generated source has no files.
        root: `data.root` of a configuration.

    Raises:
        DataMissing: no place has them; the message says where was looked and how to get them.
    """
    if not source.files:
        return ()
    looked = []
    for what, folder in _places(root):
        paths = tuple(folder / file.path for file in source.files)
        missing = [path for path in paths if not _is_file(path)]
        if not missing:
            return paths
        lacks = "" if len(missing) == len(paths) else f", which lacks {', '.join(path.name for path in missing)}"
        looked.append(f"{what} ({paths[0].parent}{lacks})")
    message = (
        f"the data set {source.name!r} ({source.title}) is not on this machine. "
        f"Looked in {', '.join(looked)}. {_how_to_get(source)}"
    )
    raise DataMissing(message)


def stamps(source: Source, files: tuple[Path, ...]) -> list[list[str | int]]:
    """Returns each file's [name, size in bytes, time of change in ns]: what prepared data is made from, as JSON.

    Args:
        source: says which optional files count as well, where they are there.
        files: what `locate` found.
    """
    further = [files[0].with_name(name) for name in source.optional_files] if files else []
    stats = [(path.name, path.stat()) for path in (*files, *filter(_is_file, further))]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def describe(source: Source) -> SourceReport:
    """Returns what a source is and where it is, for a list of all of them."""
    found: str | None
    try:
        paths = locate(source)
        found = str(paths[0].parent) if paths else "generated when needed"
    except DataMissing:
        found = None
    return {
        "name": source.name,
        "title": source.title,
        "licence": source.licence,
        "citation": source.citation,
        "num_bytes": source.num_bytes,
        "is_synthetic": source.is_synthetic,
        "found": found,
        "how_to_get": _how_to_get(source) if found is None else "",
    }


def _how_to_get(source: Source) -> str:
    text = f"Run `fedgdl data fetch {source.name}`, or set FEDGDL_DATA to a folder that holds {source.files[0].path}"
    if source.counterpart is None:
        return f"{text}."
    return f"{text}, or use generated data with `--set data.source={source.counterpart}`."


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered: nothing to be found there
        return False


def _places(root: str | None) -> list[tuple[str, Path]]:
    """Returns (what the place is, its folder) in the order of search."""
    places = [("data.root", root), ("FEDGDL_DATA", os.environ.get("FEDGDL_DATA"))]
    named = [(what, Path(folder).expanduser().absolute()) for what, folder in places if folder]
    return [*named, ("the cache", cache_folder())]
