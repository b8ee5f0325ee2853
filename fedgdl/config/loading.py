"""Reads an experiment from TOML text and `key=value` overrides.

Every mistake ends in a `ConfigError` that names the key, the value, what is allowed and the
nearest right spelling.

Example:
    >>> parse_experiment("rounds = many", "x.toml")
    Traceback (most recent call last):
        ...
    fedgdl.errors.ConfigError: x.toml is no TOML: Invalid value (at line 1, column 10)
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from fedgdl.config.schema import Experiment, check_combinations
from fedgdl.errors import ConfigError

__all__ = ["nearest", "parse_experiment", "to_toml"]

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)


def parse_experiment(text: str, origin: str, overrides: Sequence[str] = ()) -> Experiment:
    """Returns the experiment of a TOML text with overrides applied.

    Args:
        text: the TOML document.
        origin: the file's name, for messages.
        overrides: `"table.key=value"` each; the value is TOML, or else taken as a string.

    Raises:
        ConfigError: no TOML, an unknown key, a value of the wrong type or range, a missing key,
            or values that do not go together.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{origin} is no TOML: {error}"
        raise ConfigError(message) from error
    for override in overrides:
        _apply_override(document, override)
    try:
        _refuse_unknown_keys(document, Experiment, ())
        experiment = _convert(document)
        check_combinations(experiment)
    except ConfigError as error:
        message = f"{origin}: {error}"
        raise ConfigError(message) from error
    return experiment


def to_toml(experiment: Experiment) -> str:
    """Returns the whole experiment, defaults included, as a TOML document that reads back equal."""
    import tomli_w

    return tomli_w.dumps(_without_none(msgspec.to_builtins(experiment)))


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean X?"` for the known word nearest in spelling, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _apply_override(document: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        message = f"--set {override!r}: expected key=value, for example --set training.learning_rate=0.1"
        raise ConfigError(message)
    table = document
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            message = f"--set {override!r}: {name} is a value, not a table"
            raise ConfigError(message)
    try:
        table[path[-1]] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[path[-1]] = value.strip()


def _refuse_unknown_keys(document: Mapping[str, Any], struct: type[msgspec.Struct], path: tuple[str, ...]) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
    where = ".".join(path)
    for key, value in document.items():
        if key not in fields:
            full = ".".join((*path, key))
            known = ", ".join(sorted(fields))
            message = (
                f"{full} is not a known key{nearest(key, fields)} (known {f'in {where}' if where else 'here'}: {known})"
            )
            raise ConfigError(message)
        inner = _struct_in(fields[key])
        if inner is None:
            continue
        if isinstance(value, Mapping):
            _refuse_unknown_keys(value, inner, (*path, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    _refuse_unknown_keys(item, inner, (*path, f"{key}[{index}]"))


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401 (any annotation)
    """Returns the struct that an annotation is, or holds as its element."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((found for found in map(_struct_in, get_args(annotation)) if found is not None), None)


def _convert(document: Mapping[str, Any]) -> Experiment:
    try:
        return msgspec.convert(document, Experiment)
    except msgspec.ValidationError as error:
        match = _AT.match(str(error))
        what, path = (match["what"], match["path"] or "") if match else (str(error), "")
        keys = re.findall(r"[^.\[\]]+", path)
        value: Any = document
        annotation: Any = Experiment
        for key in keys:
            value = value[int(key)] if isinstance(value, list) else value.get(key)
            annotation = _annotation_of(annotation, key)
        shown = json.dumps(value, default=str)
        message = f"{what}{_allowed(annotation, value)}" if what else "not allowed"
        name = path.lstrip(".")
        raise ConfigError(f"{name} = {shown}: {message}" if name and value is not document else message) from error


def _annotation_of(annotation: Any, key: str) -> Any:  # noqa: ANN401 (any annotation)
    struct = _struct_in(annotation)
    if struct is None or key.isdigit():
        return annotation
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}.get(key)


def _allowed(annotation: Any, value: object) -> str:  # noqa: ANN401 (any annotation)
    """Returns what a key with a closed list of values allows, with the nearest one; else nothing."""
    values = [item for item in get_args(annotation) if isinstance(item, str)]
    if not values:
        return ""
    return f"; allowed: {', '.join(values)}{nearest(value, values) if isinstance(value, str) else ''}"


def _without_none(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value
