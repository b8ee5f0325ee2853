r"""Reads arrays in the IDX format, in which MNIST is kept: strictly, because a wrong digit is not seen later.

A file is a magic number (two zero bytes, the type of its elements, the number of its dimensions),
each dimension as a big-endian 32-bit integer, and the elements. It may be compressed with gzip.

Source:
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section
    "File formats for the MNIST database".

Example:
    >>> parse_idx(b"\0\0\x08\x02" + b"\0\0\0\x02" + b"\0\0\0\x03" + bytes(range(6)), np.uint8, (None, 3))
    array([[0, 1, 2],
           [3, 4, 5]], dtype=uint8)
"""

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.data.archives import read_gzip
from fedgdl.errors import DataCorrupt

__all__ = ["parse_idx", "read_idx"]

_TYPES: Final[dict[int, np.dtype[Any]]] = {
    0x08: np.dtype("u1"),
    0x09: np.dtype("i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_MAGIC_BYTES: Final = 4
_DIMENSION_BYTES: Final = 4


def read_idx(path: Path, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Returns the array of a file, compressed with gzip or plain; see `parse_idx`.

    Raises:
        DataCorrupt: see `parse_idx`; or the file cannot be read, or its compressed data is damaged or cut short.
    """
    return parse_idx(read_gzip(path), dtype, shape)


def parse_idx(data: bytes, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Returns the array that some bytes hold, in this machine's byte order.

    Args:
        data: a whole file.
        dtype: the elements' type that is expected.
        shape: the dimensions that are expected; none: any.

    Raises:
        DataCorrupt: they do not begin as an IDX file does, hold another type or other dimensions, or are
            too few, too many or beyond all bounds.
    """
    wanted = np.dtype(dtype)
    found = _element_type(data)
    header_bytes = _MAGIC_BYTES + data[3] * _DIMENSION_BYTES
    if data[3] != len(shape) or found.newbyteorder("=") != wanted.newbyteorder("="):
        message = (
            f"it is an IDX file of {found.newbyteorder('=')} in {data[3]} dimensions, not of {wanted} in {len(shape)}; "
            "is it another file under this name?"
        )
        raise DataCorrupt(message)
    if len(data) < header_bytes:
        message = f"it is cut short inside its header: it has {len(data)} of {header_bytes} bytes"
        raise DataCorrupt(message)
    sizes = tuple(np.frombuffer(data, ">u4", len(shape), _MAGIC_BYTES).tolist())
    text = " x ".join(map(str, sizes))
    if any(right is not None and size != right for size, right in zip(sizes, shape, strict=True)):
        right = " x ".join("any" if size is None else str(size) for size in shape)
        message = f"it holds an array of {text}, not of {right}; is it another file under this name?"
        raise DataCorrupt(message)
    num_bytes = header_bytes + math.prod(sizes) * found.itemsize  # in Python's integers: no size overflows
    if len(data) != num_bytes:
        what = "it is cut short" if len(data) < num_bytes else "it goes on after its end"
        message = f"{what}: its header promises {text} elements, {num_bytes:,} bytes in all, but it has {len(data):,}"
        raise DataCorrupt(message)
    try:
        elements = np.frombuffer(data, found, offset=header_bytes).reshape(sizes)
    except ValueError as error:  # none of something so large that its other dimensions alone are too much
        message = f"its header promises {text} elements, which no array can have"
        raise DataCorrupt(message) from error
    return elements.astype(found.newbyteorder("="), copy=False)


def _element_type(data: bytes) -> np.dtype[Any]:
    """Returns the type that the magic number names."""
    if len(data) < _MAGIC_BYTES or data[:2] != b"\0\0" or data[2] not in _TYPES:
        start = data[:_MAGIC_BYTES].hex(" ") or "nothing"
        message = f"it is no IDX file: it begins with {start}, not with 00 00, a type and a number of dimensions"
        raise DataCorrupt(message)
    return _TYPES[data[2]]
