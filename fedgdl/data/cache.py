"""Keeps prepared data as files: arrays that are memory-mapped, lists of words, and a manifest.

Preparing a data set takes seconds; opening what was prepared takes a few milliseconds, reads no
array, and every process that opens it shares the same memory. An entry is a folder that appears
whole or not at all. What is damaged (a file missing or of the wrong size, a manifest that does not
fit) is noticed on opening and built again; a changed byte inside an array is not looked for.

Not here: what the arrays mean.

Example:
    >>> import tempfile
    >>> cache = Path(tempfile.mkdtemp())
    >>> contents = Contents({"squares": np.arange(4) ** 2}, {"words": ["a", "b"]}, {"read": 4})
    >>> entry = open_or_build(cache, "squares", {"source": "none"}, lambda: contents)
    >>> entry.arrays["squares"], entry.words("words")
    (array([0, 1, 4, 9]), ['a', 'b'])
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from fedgdl.data.scratch import remove, scratch_name
from fedgdl.errors import DataCorrupt, DataError

__all__ = ["FORMAT", "Contents", "Entry", "open_or_build"]

FORMAT: Final = 1
"""The version of the files' format; a change makes all earlier entries unknown."""

Array = npt.NDArray[Any]
_MANIFEST: Final = "manifest.json"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Contents:
    """What an entry holds.

    Attributes:
        arrays: by name.
        words: lists of strings by name.
        notes: numbers for reports, by name.
    """

    arrays: Mapping[str, Array]
    words: Mapping[str, list[str]] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)


class _Item(msgspec.Struct, frozen=True):
    """One file of an entry: its size in bytes, and the shape and dtype of its array or the length of its list."""

    bytes: int
    shape: tuple[int, ...]
    dtype: str


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    settings: dict[str, Any]
    fingerprint: str
    files: dict[str, _Item]
    notes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """Prepared data, open for reading.

    Attributes:
        folder: where it lies.
        arrays: read-only, memory-mapped, by name.
        lengths: the number of strings of each list.
        notes: numbers for reports.
        fingerprint: SHA-256 over the contents, the same wherever and whenever they were prepared.
    """

    folder: Path
    arrays: Mapping[str, Array]
    lengths: Mapping[str, int]
    notes: Mapping[str, int]
    fingerprint: str

    def words(self, name: str) -> list[str]:
        """Returns a list of strings, reading it from disk.

        Raises:
            DataCorrupt: the file is gone or damaged.
        """
        path = self.folder / f"{name}.json"
        try:
            words = msgspec.json.decode(path.read_bytes(), type=list[str])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"{path} is damaged; delete the folder, it will be made again"
            raise DataCorrupt(message) from error
        if len(words) != self.lengths[name]:
            message = f"{path} has {len(words)} entries instead of {self.lengths[name]}; delete the folder"
            raise DataCorrupt(message)
        return words


def open_or_build(cache: Path, name: str, settings: Mapping[str, Any], build: Callable[[], Contents]) -> Entry:
    """Returns the entry that was prepared with the same settings, preparing it when there is none.

    Safe for several processes at once: each may build, the first to finish is taken, and all end
    with equal data.

    Args:
        cache: the folder of all entries.
        name: begins the entry's folder name, for people.
        settings: everything that the contents depend on, as JSON values.
        build: makes the contents.

    Raises:
        DataError: the cache cannot be written to; or `build` raises it.
    """
    encoded = msgspec.json.encode({"format": FORMAT, **settings}, order="deterministic")
    key = hashlib.sha256(encoded).hexdigest()
    settings = msgspec.json.decode(encoded)  # as it will be read back: tuples are lists
    folder = cache / f"{name}-{key[:20]}"
    try:
        return _open(folder, settings)
    except FileNotFoundError:
        _logger.info("preparing %s", name)
    except DataCorrupt as error:
        _logger.warning("preparing %s again: %s", name, error)
    contents = build()
    with scratch_name(folder) as scratch:
        _write(scratch, settings, contents)
        return _move_into_place(scratch, folder, settings)


def _open(folder: Path, settings: Mapping[str, Any]) -> Entry:
    """Returns an entry after checking its manifest and its files' sizes.

    Raises:
        FileNotFoundError: there is no such folder.
        DataCorrupt: it is damaged.
    """
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
    except OSError as error:
        if not folder.exists():
            raise FileNotFoundError(folder) from error
        message = f"{folder} has no readable manifest"
        raise DataCorrupt(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{folder / _MANIFEST} is damaged ({error})"
        raise DataCorrupt(message) from error
    if manifest.settings != settings:
        message = f"{folder} was prepared with other settings"
        raise DataCorrupt(message)
    arrays: dict[str, Array] = {}
    lengths: dict[str, int] = {}
    for file_name, item in manifest.files.items():
        path = folder / file_name
        _check_size(path, item)
        name, dot, suffix = file_name.rpartition(".")
        if f"{dot}{suffix}" == ".npy":
            arrays[name] = _map(path, item)
        else:
            lengths[name] = item.shape[0]
    return Entry(folder, arrays, lengths, manifest.notes, manifest.fingerprint)


def _check_size(path: Path, item: _Item) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror})"
        raise DataCorrupt(message) from error
    if size != item.bytes:
        message = f"{path} has {size} bytes instead of {item.bytes}"
        raise DataCorrupt(message)


def _map(path: Path, item: _Item) -> Array:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        message = f"{path} is damaged ({error})"
        raise DataCorrupt(message) from error
    array = np.asarray(mapped)  # a plain view: slicing np.memmap costs microseconds each time
    if array.shape != item.shape or array.dtype.str != item.dtype:
        message = f"{path} holds {array.dtype} of shape {array.shape} instead of {item.dtype} of shape {item.shape}"
        raise DataCorrupt(message)
    return array


def _write(folder: Path, settings: Mapping[str, Any], contents: Contents) -> None:
    folder.mkdir()
    digest = hashlib.sha256()
    files: dict[str, _Item] = {}
    for name, array in sorted(contents.arrays.items()):
        little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        path = folder / f"{name}.npy"
        np.save(path, little, allow_pickle=False)
        item = _Item(path.stat().st_size, little.shape, little.dtype.str)
        files[path.name] = item
        digest.update(f"{path.name}\0{item.dtype}\0{item.shape}\0".encode())
        digest.update(little.data)
    for name, words in sorted(contents.words.items()):
        path = folder / f"{name}.json"
        encoded = msgspec.json.encode(words)
        path.write_bytes(encoded)
        files[path.name] = _Item(len(encoded), (len(words),), "str")
        digest.update(f"{path.name}\0{len(encoded)}\0".encode())
        digest.update(encoded)
    manifest = _Manifest(FORMAT, dict(settings), digest.hexdigest(), files, dict(contents.notes))
    (folder / _MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))


def _move_into_place(scratch: Path, folder: Path, settings: Mapping[str, Any]) -> Entry:
    """Renames a complete folder to its final name, unless another process has put a sound one there."""
    for _ in range(3):
        try:
            return _open(folder, settings)
        except FileNotFoundError:
            pass
        except DataCorrupt:
            _set_aside(folder)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first: look at what it put there
                raise
    message = f"{folder} is damaged and cannot be replaced; delete it"
    raise DataError(message)


def _set_aside(folder: Path) -> None:
    """Removes a damaged entry: renamed first, so that nobody finds it half removed."""
    with scratch_name(folder) as aside:
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return  # another process did it
        remove(aside)
