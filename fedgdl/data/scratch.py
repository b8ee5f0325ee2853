"""Files and folders that appear under their final name only when they are complete.

They are written under a temporary name beside the final one and renamed, so that a process
killed half-way leaves no wrong file. What such a process leaves is removed by the next one that
writes there, a day later: a younger leftover may belong to a process still at work.

Example:
    >>> import tempfile
    >>> final = Path(tempfile.mkdtemp()) / "answer.txt"
    >>> with scratch_name(final) as scratch:
    ...     _ = scratch.write_text("42")
    ...     _ = scratch.replace(final)
    >>> [path.name for path in final.parent.iterdir()]
    ['answer.txt']
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fedgdl.errors import DataError

__all__ = ["remove", "scratch_name"]

_SUFFIX: Final = ".part"
_STALE_SECONDS: Final = 24 * 3600.0


@contextmanager
def scratch_name(final: Path) -> Iterator[Path]:
    """Gives a free temporary name beside a final one; what is still there at the end is removed.

    Args:
        final: where the caller will move the file or folder; its parent folder is made.

    Raises:
        DataError: the folder cannot be made or written to; the message says what to do.
    """
    scratch = final.with_name(f".{final.name}.{os.getpid()}.{secrets.token_hex(4)}{_SUFFIX}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(final.parent)
        try:
            yield scratch
        finally:
            remove(scratch)
    except OSError as error:
        message = (
            f"cannot write to {final.parent} ({error.strerror or error}); "
            "set FEDGDL_CACHE to a folder that you can write to and that has room"
        )
        raise DataError(message) from error


def remove(path: Path) -> None:
    """Removes a file or a folder with all it holds, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    oldest = time.time() - _STALE_SECONDS
    for path in folder.glob(f".*{_SUFFIX}"):
        try:
            is_stale = path.stat().st_mtime < oldest
        except FileNotFoundError:
            continue  # another process has just finished with it
        if is_stale:
            remove(path)
