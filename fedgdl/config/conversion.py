"""Turns a parsed TOML document into an experiment, or says in words what is wrong with it.

Misspelt keys are reported first, then missing ones, then wrong values, then values that do not go
together: a later complaint is often the echo of an earlier one.

Not here: reading TOML and overrides (`loading`), and what is allowed (`schema`).

Example:
    >>> to_experiment({"name": "x", "task": "spam", "data": {"source": "sms"}})
    Traceback (most recent call last):
        ...
    fedgdl.errors.ConfigError: training.learning_rate is missing: expected a number above 0 and at most 1000000
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import inspect

from fedgdl.config.combinations import check_combinations
from fedgdl.config.explanation import closest, expected, nearest, shown
from fedgdl.config.schema import Experiment
from fedgdl.errors import ConfigError

__all__ = ["to_experiment"]

_AT: Final = re.compile(r" - at `\$(?P<path>[^`]*)`\Z")
_STEP: Final = re.compile(r"\.(?P<key>\w+)|\[(?P<index>\d+)\]")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")

_Document: TypeAlias = Mapping[str, Any]
_Path: TypeAlias = tuple[str | int, ...]


def to_experiment(document: _Document) -> Experiment:
    """Returns the experiment that a parsed TOML document describes.

    Raises:
        ConfigError: an unknown key, a missing key, a value of the wrong type or range, or values that
            do not go together.
    """
    schema = inspect.type_info(Experiment)
    _refuse_unknown_keys(document, schema)
    _refuse_missing_keys(document, schema)
    try:
        experiment = msgspec.convert(document, Experiment)
    except msgspec.ValidationError as error:
        raise ConfigError(_wrong_value(document, schema, str(error))) from error
    check_combinations(experiment)
    return experiment


def _refuse_unknown_keys(document: _Document, schema: inspect.Type) -> None:
    for path, table, fields in _tables(document, schema, ()):
        for key in table:
            if key not in fields:
                hint = nearest(key, fields) or _nearest_elsewhere(key, schema)
                known = f"known {f'in {_dotted(path)}' if path else 'here'}: {', '.join(sorted(fields))}"
                message = f"{_dotted((*path, key))} is not a known key{hint} ({known})"
                raise ConfigError(message)


def _nearest_elsewhere(key: str, schema: inspect.Type) -> str:
    """Returns `"; did you mean table.key?"` for a key that stands in the wrong table, or nothing."""
    paths = {str(path[-1]): path for path, _ in reversed(list(_leaves(schema, ())))}  # the first of each name stays
    name = closest(key, paths)
    return f"; did you mean {_dotted(paths[name])}?" if name is not None else ""


def _refuse_missing_keys(document: _Document, schema: inspect.Type) -> None:
    missing = [
        (_dotted(leaf), kind)
        for path, table, fields in _tables(document, schema, ())
        for key, field in fields.items()
        if field.required and key not in table
        for leaf, kind in _leaves(field.type, (*path, key), required_only=True)
    ]
    if len(missing) == 1:
        name, kind = missing[0]
        message = f"{name} is missing: expected {expected(kind)}"
        raise ConfigError(message)
    if missing:
        message = f"these keys are missing: {', '.join(name for name, _ in missing)}"
        raise ConfigError(message)


def _wrong_value(document: _Document, schema: inspect.Type, complaint: str) -> str:
    """Returns what is wrong, in our words; of msgspec's complaint only the place is of use."""
    at = _AT.search(complaint)
    path: _Path = ()
    value: Any = document
    kind = schema
    for step in _STEP.finditer(at["path"] if at else ""):
        key = step["key"] if step["index"] is None else int(step["index"])
        path, value, kind = (*path, key), value[key], _inner(kind, key)
    message = f"{_dotted(path)} = {shown(value)}: expected {expected(kind)}"
    if isinstance(value, str):
        words = [word for item in _plain(kind) if isinstance(item, inspect.LiteralType) for word in item.values]
        return message + nearest(value, map(str, words))
    if any(isinstance(item, inspect.StrType) for item in _plain(kind)) and not isinstance(value, (list, dict)):
        return f'{message}; in quotes it is a string: "{shown(value)}"'
    return message


def _tables(
    value: object, kind: inspect.Type, path: _Path
) -> Iterator[tuple[_Path, _Document, dict[str, inspect.Field]]]:
    """Yields (path, table, fields that it may have) for each table of a document, the outer ones first."""
    for item in _plain(kind):
        if isinstance(item, inspect.StructType) and isinstance(value, Mapping):
            yield path, value, _fields(item)
            for key, field in _fields(item).items():
                yield from _tables(value.get(key), field.type, (*path, key))
        elif isinstance(item, inspect.VarTupleType) and isinstance(value, list):
            for index, element in enumerate(value):
                yield from _tables(element, item.item_type, (*path, index))


def _leaves(kind: inspect.Type, path: _Path, *, required_only: bool = False) -> Iterator[tuple[_Path, inspect.Type]]:
    """Yields (path, type) of each key that holds a value and not a table."""
    struct = next((item for item in _plain(kind) if isinstance(item, inspect.StructType)), None)
    if struct is None:
        yield path, kind
        return
    for key, field in _fields(struct).items():
        if field.required or not required_only:
            yield from _leaves(field.type, (*path, key), required_only=required_only)


def _inner(kind: inspect.Type, key: str | int) -> inspect.Type:
    """Returns the type of a table's key, or of a list's elements."""
    for item in _plain(kind):
        if isinstance(item, inspect.VarTupleType) and isinstance(key, int):
            return item.item_type
        if isinstance(item, inspect.StructType) and isinstance(key, str):
            return _fields(item)[key].type
    return kind


def _plain(kind: inspect.Type) -> list[inspect.Type]:
    """Returns the alternatives of a type, without what is said about them."""
    match kind:
        case inspect.Metadata():
            return _plain(kind.type)
        case inspect.UnionType():
            return [plain for item in kind.types for plain in _plain(item)]
    return [kind]


def _fields(struct: inspect.StructType) -> dict[str, inspect.Field]:
    return {field.encode_name: field for field in struct.fields}


def _dotted(path: _Path) -> str:
    """Returns a path as one writes it: `faults.events[0].kind`; the whole document as `the file`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _BARE_KEY.fullmatch(step) else shown(step))
    return text or "the file"
