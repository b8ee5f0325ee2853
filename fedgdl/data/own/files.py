r"""Reading one's own text files.

Example:
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> _ = path.write_bytes(b"caf\xe9")
    >>> read_text(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    fedgdl.errors.DataCorrupt: ...note.txt is no UTF-8 text (byte 3); save it as UTF-8
"""

from pathlib import Path

from fedgdl.errors import DataCorrupt, DataMissing

__all__ = ["read_text"]


def read_text(path: Path) -> str:
    """Returns a file's text, its lines ending as they do in the file; a byte-order mark is left out.

    Raises:
        DataMissing: the file cannot be read.
        DataCorrupt: it is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise DataMissing(message) from error
    except UnicodeDecodeError as error:
        message = f"{path} is no UTF-8 text (byte {error.start}); save it as UTF-8"
        raise DataCorrupt(message) from error
