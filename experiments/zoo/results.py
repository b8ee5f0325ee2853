"""What a recipe's run gave, ready to be kept as JSON and printed.

Not here: running recipes (`runs`), files (`keeping`), tables (`experiments.report`).

Example:
    >>> ResultRow("error", 0.3, "to 1e-12", "book", 0.3, "met").status
    'met'
"""

import math
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from experiments.environment import versions
from fedgdl.errors import ConfigError
from fedgdl.zoo.recipe import Outcome, Recipe, Setting, Value, compare

__all__ = ["Number", "RecipeResult", "ResultRow", "blank_result", "failed_result", "filled_result", "writable"]

Number: TypeAlias = float | int | str | list[float | int | str]
"""A value as JSON has it; what is no finite number is a text: `"nan"`, `"inf"`."""

_LARGEST: Final = 2**63
"""Integers from here on are texts: readers of JSON would round them."""


class ResultRow(msgspec.Struct, frozen=True):
    """One expectation beside what was measured, ready for JSON; see `fedgdl.zoo.recipe.Row`."""

    what: str
    expected: Number
    tolerance: str
    origin: Literal["book", "derived", "goal"]
    measured: Number | None
    status: Literal["met", "missed", "skipped"]
    needs_real_data: bool = False


class RecipeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of a recipe gave, as it is kept and printed.

    Attributes:
        name, chapter, section, summary: the recipe's.
        status: `"done"`, or `"failed"`: it raised; `error` says what.
        is_quick: whether only the epochs for the quick expectations were run.
        data: the data set used, in a line; empty where there is none.
        data_is_synthetic: whether it was generated.
        rows: each expectation with what was measured; empty when the recipe raised.
        measured: all measured values by name.
        warnings: what was logged meanwhile, from warnings on; each text once.
        seconds: wall-clock time.
        model_sha256: of the trained model; empty where there is none.
        files: the names of the files beside result.json.
        versions: of Python, NumPy and fedgdl.
    """

    name: str
    chapter: int
    section: str
    summary: str
    status: Literal["done", "failed"]
    is_quick: bool
    error: str = ""
    data: str = ""
    data_is_synthetic: bool = False
    rows: tuple[ResultRow, ...] = ()
    measured: dict[str, Number] = {}
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    model_sha256: str = ""
    files: tuple[str, ...] = ()
    versions: dict[str, str] = {}

    @property
    def is_good(self) -> bool:
        """Whether the recipe came to its end and missed nothing."""
        return self.status == "done" and all(row.status != "missed" for row in self.rows)

    def count(self, status: str) -> int:
        """Returns how many rows were met, missed or skipped."""
        return sum(row.status == status for row in self.rows)


def blank_result(recipe: Recipe, setting: Setting) -> RecipeResult:
    """Returns a result that says which recipe it is of, and nothing yet of what was measured."""
    return RecipeResult(
        name=recipe.name,
        chapter=recipe.chapter,
        section=recipe.section,
        summary=recipe.summary,
        status="done",
        is_quick=setting.is_quick,
        versions=versions(),
    )


def failed_result(recipe: Recipe, setting: Setting, error: str) -> RecipeResult:
    """Returns the result of a recipe that has failed, with the reason."""
    return msgspec.structs.replace(blank_result(recipe, setting), status="failed", error=writable(error))


def filled_result(result: RecipeResult, recipe: Recipe, outcome: object, setting: Setting) -> RecipeResult:
    """Returns the result with what the recipe gave.

    Raises:
        ConfigError: that is no outcome, or holds a value of another kind than numbers and texts.
    """
    if not isinstance(outcome, Outcome):
        message = f"the recipe {recipe.name} returned {type(outcome).__name__}; expected a fedgdl.zoo.recipe.Outcome"
        raise ConfigError(message)
    return msgspec.structs.replace(
        result,
        data=writable(outcome.data),
        data_is_synthetic=outcome.is_synthetic,
        measured={writable(what): _plain(what, value) for what, value in outcome.measured.items()},
        rows=tuple(_result_rows(recipe, outcome, setting)),
        model_sha256="" if outcome.parameters is None else outcome.parameters.sha256(),
    )


def _result_rows(recipe: Recipe, outcome: Outcome, setting: Setting) -> Iterator[ResultRow]:
    for row in compare(recipe, outcome, setting):
        expected = row.expected
        yield ResultRow(
            what=writable(expected.what),
            expected=_plain(expected.what, expected.value),
            tolerance=expected.tolerance.words,
            origin=expected.origin,
            measured=None if row.measured is None else _plain(expected.what, row.measured),
            status=row.status,
            needs_real_data=expected.needs_real_data,
        )


def _plain(what: str, value: Value) -> Number:
    """Returns a value as JSON has it: a list for a tuple.

    Raises:
        ConfigError: it is neither a number nor a text, nor a tuple of such.
    """
    return [_item(what, item) for item in value] if isinstance(value, tuple) else _item(what, value)


def _item(what: str, value: object) -> float | int | str:
    """Returns a number of Python's for one of NumPy's, and a text for a number that JSON has not."""
    item = value.item() if isinstance(value, np.generic) else value
    if isinstance(item, str):
        return writable(item)
    if isinstance(item, float):
        return item if math.isfinite(item) else str(item)
    if isinstance(item, int):  # a truth value is one, too
        return int(item) if abs(item) < _LARGEST else str(item)
    message = f"{what!r} is of type {type(value).__name__}; expected a number, a text, or a tuple of one kind of them"
    raise ConfigError(message)


def writable(text: str) -> str:
    """Returns a text that UTF-8 can say: names of files may hold bytes that it cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
