"""Runs recipes of the zoo for tests."""

from fedgdl.zoo.recipe import Outcome, Recipe, Setting, Value, compare
from fedgdl.zoo.registry import find_recipe


def run_named(name: str, setting: Setting | None = None) -> tuple[Recipe, Outcome]:
    """Runs a recipe and returns it with what it gave, which must miss nothing."""
    recipe, setting = find_recipe(name), setting or Setting()
    assert recipe.run is not None
    outcome = recipe.run(setting)
    missed = {row.expected.what: row.measured for row in compare(recipe, outcome, setting) if row.status == "missed"}
    assert missed == {}
    return recipe, outcome


def measured_by(name: str, setting: Setting | None = None) -> dict[str, Value]:
    """Runs a recipe, which must miss nothing, and returns what it measured."""
    return dict(run_named(name, setting)[1].measured)
