"""Reads an experiment from TOML text and `key=value` overrides, and writes it as TOML.

Every mistake ends in a `ConfigError` that names the key, the value, what is allowed and the
nearest right spelling.

Example:
    >>> parse_experiment("rounds = many", "x.toml")
    Traceback (most recent call last):
        ...
    fedgdl.errors.ConfigError: x.toml is no TOML: Invalid value (at line 1, column 10)
"""

import tomllib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from fedgdl.config.conversion import to_experiment
from fedgdl.config.explanation import shown
from fedgdl.config.schema import Experiment
from fedgdl.errors import ConfigError

__all__ = ["check_experiment", "parse_experiment", "to_toml"]

_BYTE_ORDER_MARK: Final = "\ufeff"
"""Some editors on Windows begin a file with it."""


def parse_experiment(text: str, origin: str, overrides: Sequence[str] = ()) -> Experiment:
    """Returns the experiment of a TOML text with overrides applied.

    Args:
        text: the TOML document.
        origin: the file's name, for messages.
        overrides: `"table.key=value"` each; the value is TOML, or else taken as a string.

    Raises:
        ConfigError: no TOML, an unknown key, a missing key, a value of the wrong type or range, or
            values that do not go together.
    """
    try:
        document = _parse(text.removeprefix(_BYTE_ORDER_MARK))
    except ValueError as error:
        message = f"{origin} is no TOML: {error}"
        raise ConfigError(message) from error
    for override in overrides:
        _apply_override(document, override)
    try:
        return to_experiment(document)
    except ConfigError as error:
        message = f"{origin}{' (with --set)' if overrides else ''}: {error}"
        raise ConfigError(message) from error


def to_toml(experiment: Experiment) -> str:
    """Returns the whole experiment, defaults included, as a TOML document that reads back equal."""
    import tomli_w

    return tomli_w.dumps(_without_none(msgspec.to_builtins(experiment)))


def check_experiment(experiment: Experiment) -> None:
    """Refuses an experiment that was put together in Python and would not be taken from a file.

    Raises:
        ConfigError: as `parse_experiment` does.
    """
    to_experiment(_without_none(msgspec.to_builtins(experiment)))


def _parse(text: str) -> dict[str, Any]:
    """Returns a TOML document as a dictionary.

    Raises:
        ValueError: no TOML, a number of more digits than Python reads, or nesting deeper than it can follow.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        message = "it is nested too deeply"
        raise ValueError(message) from error


def _apply_override(document: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    path = [name.strip() for name in key.split(".")]
    if not equals or not all(path):
        message = f"--set {override!r}: expected key=value, for example --set training.learning_rate=0.1"
        raise ConfigError(message)
    if "[" in key:
        message = (
            f"--set {override!r}: a list can only be set whole, for example --set 'data.partition.shares=[0.4, 0.6]'"
        )
        raise ConfigError(message)
    try:
        override.encode()
    except UnicodeEncodeError as error:
        message = f"--set {override!r}: expected text, some of its bytes are no UTF-8"
        raise ConfigError(message) from error
    table = document
    for depth, name in enumerate(path[:-1], start=1):
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            what = "a list, which can only be set whole" if isinstance(inner, list) else "a value, not a table"
            message = f"--set {override!r}: {'.'.join(path[:depth])} = {shown(inner)} is {what}"
            raise ConfigError(message)
        table = inner
    table[path[-1]] = _value_of(value.strip())


def _value_of(text: str) -> Any:  # noqa: ANN401 (any TOML value)
    """Returns a TOML value, or the text itself where it is none: `data.source=enron` needs no quotes."""
    try:
        parsed = _parse(f"value = {text}")
    except ValueError:
        return text
    return parsed["value"] if len(parsed) == 1 else text  # a line break in it could begin a second key


def _without_none(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value
