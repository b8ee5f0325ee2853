"""Runs recipes of the zoo for tests as the command line does: on one BLAS thread."""

from pathlib import Path

from fedgdl.runtime import one_blas_thread
from fedgdl.zoo.recipe import Outcome, Recipe, Row, Setting, Value, compare
from fedgdl.zoo.registry import find_recipe


def run_recipe(recipe: Recipe, *, is_quick: bool = True, data: Path | None = None) -> tuple[list[Row], Outcome]:
    """Runs a recipe; with `data`, on that folder's data sets and nothing generated."""
    setting = Setting(is_quick=is_quick, data_root=None if data is None else str(data), allow_synthetic=data is None)
    assert recipe.run is not None
    with one_blas_thread():
        outcome = recipe.run(setting)
    return compare(recipe, outcome, setting), outcome


def run_named(name: str, *, data: Path | None = None) -> tuple[Recipe, Outcome]:
    """Runs the whole recipe of a name and returns it with what it gave, which must miss nothing."""
    recipe = find_recipe(name)
    rows, outcome = run_recipe(recipe, is_quick=False, data=data)
    assert missed(rows) == []
    return recipe, outcome


def measured_by(name: str) -> dict[str, Value]:
    """Runs the whole recipe of a name, which must miss nothing, and returns what it measured."""
    return dict(run_named(name)[1].measured)


def missed(rows: list[Row]) -> list[str]:
    """Returns, for people, what was missed."""
    return [
        f"{row.expected.what}: expected {row.expected.value} {row.expected.tolerance.words}, measured {row.measured}"
        for row in rows
        if row.status == "missed"
    ]


def met(rows: list[Row]) -> int:
    """Returns how many expectations were met."""
    return sum(row.status == "met" for row in rows)
