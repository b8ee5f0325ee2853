"""What a key of the schema allows, what it got and what was meant, for a person who never saw the schema.

Works on `msgspec.inspect`'s view of the schema, so a new key is described by its own declaration.
Not here: the checks themselves (`conversion`).

Example:
    >>> import msgspec
    >>> from fedgdl.config.schema import TrainingConfig
    >>> schema = msgspec.inspect.type_info(TrainingConfig)
    >>> {field.name: expected(field.type) for field in schema.fields}["loss_reduction"]
    'one of "mean", "sum"'
    >>> shown([1, True, float("nan")])
    '[1, true, nan]'
"""

import difflib
import json
from collections.abc import Iterable
from typing import Any, Final

from msgspec import inspect

__all__ = ["closest", "expected", "nearest", "shown"]

_MAX_CHARACTERS: Final = 120
_MAX_DEPTH: Final = 3
_MAX_DECIMAL_BITS: Final = 1_000


def expected(kind: inspect.Type) -> str:
    """Returns what a type of the schema allows, e.g. `"a whole number from 1 to 1024"`."""
    text = "another type"
    match kind:
        case inspect.Metadata():
            text = str((kind.extra_json_schema or {}).get("description") or expected(kind.type))
        case inspect.UnionType():
            text = ", or ".join(expected(item) for item in kind.types if not isinstance(item, inspect.NoneType))
        case inspect.LiteralType():
            text = f"{'one of ' if len(kind.values) > 1 else ''}{', '.join(map(shown, kind.values))}"
        case inspect.IntType():
            text = f"{'an even' if kind.multiple_of == 2 else 'a whole'} number{_range(kind)}"
        case inspect.FloatType():
            text = f"a number{_range(kind)}"
        case inspect.BoolType():
            text = "true or false"
        case inspect.StrType():
            text = "a string"
        case inspect.VarTupleType():
            text = f"a list in which each element is {expected(kind.item_type)}"
        case inspect.StructType():
            text = f"a table with keys from: {', '.join(sorted(field.encode_name for field in kind.fields))}"
    return text


def shown(value: object) -> str:
    """Returns a value as TOML would write it on one line, cut when it is long."""
    text = _toml(value, _MAX_DEPTH)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 3]}..."


def closest(word: str, known: Iterable[str]) -> str | None:
    """Returns the known word nearest in spelling, upper and lower case being the same; none where none is near."""
    spellings = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word.casefold(), spellings, n=1, cutoff=0.6)
    return spellings[found[0]] if found else None


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean X?"` for the known word nearest in spelling, or nothing."""
    found = closest(word, known)
    return f"; did you mean {found}?" if found is not None else ""


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    bounds = (("at least", kind.ge), ("above", kind.gt), ("at most", kind.le), ("below", kind.lt))
    words = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
    return f" {words}" if words else ""


def _toml(value: Any, depth: int) -> str:  # noqa: ANN401 (any TOML value)
    match value:
        case bool():
            text = "true" if value else "false"
        case int():
            text = _digits(value)
        case str():
            text = json.dumps(value[: _MAX_CHARACTERS + 1], ensure_ascii=False)
        case list() | dict() if depth == 0:
            text = "..."
        case list():
            text = f"[{', '.join(_toml(item, depth - 1) for item in value[:_MAX_CHARACTERS])}]"
        case dict():
            first = list(value.items())[:_MAX_CHARACTERS]
            text = f"{{{', '.join(f'{key} = {_toml(item, depth - 1)}' for key, item in first)}}}"
        case _:
            text = str(value)  # a float, a date or a time
    return text


def _digits(value: int) -> str:
    """Returns an integer in decimal, or in hexadecimal where Python refuses to write so long a one in decimal."""
    return str(value) if value.bit_length() <= _MAX_DECIMAL_BITS else f"{value:#x}"
