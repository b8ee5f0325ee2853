"""Chapter 15 as printed: whose model comes back, and the stray batch size."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo.book_compatible.chapter_15 import RECIPES, printed_mean
from fedgdl.zoo.recipe import Recipe


def test_the_last_model_comes_back_and_no_other() -> None:
    rng = np.random.default_rng(1)
    models = list(rng.normal(size=(3, 7)))
    printed = printed_mean(models)
    np.testing.assert_array_equal(np.sign(printed), np.sign(models[-1]))
    assert np.abs(printed - np.mean(models, axis=0)).max() > 0.1
    np.testing.assert_array_equal(printed_mean([*models[:2][::-1], models[2]]), printed)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_goals_hold_on_generated_mail(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(recipe)
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == 1


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_digits_of_the_book_s_mail(recipe: Recipe, real_data: Path) -> None:
    rows, outcome = run_recipe(recipe, data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(recipe.expected)
