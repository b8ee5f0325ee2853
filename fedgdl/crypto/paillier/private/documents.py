"""Keys and shares as documents: JSON with whole numbers in hexadecimal digits, one spelling for each document.

A document names its format and version, and ends with a check sum over all the rest, so that a digit that changed on
a disk is found even where the numbers would still fit together. It is no protection from people: they can compute it.

Not here: what the numbers have to fulfil (`private_key`, `key_share`), and files (`key_files`).

Example:
    >>> data = encode_document("an example", {"x": 255, "y": None})
    >>> '"version":1,"x":"ff","y":null}' in data.decode()
    True
    >>> decode_document("an example", data, ("x", "y"))
    {'x': 255, 'y': None}
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

__all__ = ["MAX_DOCUMENT_BYTES", "decode_document", "encode_document"]

MAX_DOCUMENT_BYTES: Final = 65_536
"""No document is longer: a key of 16,384 bits has 25 kB."""

_VERSION: Final = 1


def encode_document(kind: str, numbers: Mapping[str, int | None]) -> bytes:
    """Returns the document of numbers that are at least 0, or none.

    Args:
        kind: what stands at its key `format`.
        numbers: name -> number.
    """
    spelt = {name: None if number is None else f"{number:x}" for name, number in numbers.items()}
    fields = {"format": kind, "version": _VERSION, **spelt}
    return _json({**fields, "sha256": hashlib.sha256(_json(fields)).hexdigest()})


def decode_document(kind: str, data: bytes, names: Collection[str]) -> dict[str, int | None] | None:
    """Returns the numbers of a document that `encode_document` wrote, or none if it did not write it so.

    What is wrong is not said, and no error is raised whose text or attributes would hold a part of the document.

    Args:
        kind: what has to stand at its key `format`.
        data: the document.
        names: of all its numbers.
    """
    numbers = _numbers(_parse(data), names)
    return numbers if numbers is not None and encode_document(kind, numbers) == data else None


def _parse(data: bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    if len(data) > MAX_DOCUMENT_BYTES:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _numbers(document: Any, names: Collection[str]) -> dict[str, int | None] | None:  # noqa: ANN401 - likewise
    if not isinstance(document, dict) or not document.keys() >= set(names):
        return None
    try:
        numbers = {name: None if document[name] is None else int(document[name], 16) for name in names}
    except (TypeError, ValueError):
        return None
    return numbers if all(number is None or number >= 0 for number in numbers.values()) else None


def _json(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, separators=(",", ":"), sort_keys=True) + "\n").encode("ascii")
