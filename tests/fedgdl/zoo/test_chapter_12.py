"""Chapter 12's toys, and reviews found by averaged word vectors."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo import chapter_12, chapter_12_averages
from fedgdl.zoo.chapter_12_averages import unit
from fedgdl.zoo.recipe import Recipe


@pytest.mark.parametrize("recipe", chapter_12.RECIPES, ids=lambda recipe: recipe.name)
def test_toys_meet_all_expectations(recipe: Recipe) -> None:
    rows, _ = run_recipe(recipe)
    assert met(rows) == len(recipe.expected)


def test_unit_vectors_have_length_one_and_keep_their_direction() -> None:
    vectors = np.array([[3.0, -4.0], [1e-30, 0.0], [0.0, 0.0]])
    assert unit(vectors).tolist() == [[3 / 5, -4 / 5], [1.0, 0.0], [0.0, 0.0]]


def test_nearest_reviews_are_negative_in_generated_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(chapter_12_averages.RECIPES[0])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == 2
    assert 0 < outcome.measured["largest cosine"] <= 1 + 1e-6


@pytest.mark.slow
@pytest.mark.timeout(600)  # whoever comes first prepares IMDB
def test_nearest_reviews_are_negative_in_imdb(real_data: Path) -> None:
    rows, outcome = run_recipe(chapter_12_averages.RECIPES[0], data=real_data)
    assert not outcome.is_synthetic
    assert met(rows) == 2
