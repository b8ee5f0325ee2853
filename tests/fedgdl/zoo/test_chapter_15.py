"""Chapter 15: the spam filter in one place, and what an update of one e-mail says."""

from pathlib import Path

import pytest
from zoo_recipes import met, missed, run_recipe

from experiments import load_config
from fedgdl.zoo.chapter_15 import EMAIL, RECIPES
from fedgdl.zoo.recipe import Recipe

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
OWN = [recipe.name for recipe in RECIPES if recipe.run]


@pytest.mark.parametrize("name", OWN)
def test_goals_hold_on_generated_mail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(BY_NAME[name])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_numbers_hold_on_the_book_s_mail(name: str, real_data: Path) -> None:
    rows, outcome = run_recipe(BY_NAME[name], data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(BY_NAME[name].expected)


def test_an_update_names_bob_s_words_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """From zero weights p = 1/2: a word moves by -0.01 * 2 (p - 0) p (1 - p) = -0.0025, a power of two of 0.01."""
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    _, outcome = run_recipe(BY_NAME["ch15-hacking"])
    assert outcome.measured["words whose weight moved"] == tuple(sorted(EMAIL))
    assert outcome.measured["their changes"] == (-0.01 / 4,) * 5


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.config], ids=lambda recipe: recipe.name)
def test_federated_recipes_name_shipped_configurations(recipe: Recipe) -> None:
    assert recipe.config is not None
    config = load_config(recipe.config)
    last = max(int(expected.what.split()[-1]) for expected in recipe.expected)
    assert last == config.rounds
    assert any(not expected.needs_real_data for expected in recipe.expected)
