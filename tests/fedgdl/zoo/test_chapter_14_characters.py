"""Chapter 14's writers: the book's start, its first window, and what is learned from there."""

import math
from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.nn import CrossEntropyLoss
from fedgdl.zoo.book_draws import BookDraws
from fedgdl.zoo.chapter_14_characters import RECIPES, book_lstm, book_state
from fedgdl.zoo.pictures import Text
from fedgdl.zoo.recipe import Recipe


def test_the_lstm_starts_as_the_book_s() -> None:
    model = book_lstm(62)
    assert sum(parameter.size for parameter in model.parameters()) == 2_162_688
    draws = BookDraws(num_names=1_000_000_000)
    np.testing.assert_array_equal(model.letters.weight.data, draws.embedding(62, 512).astype("float32"))
    forget = draws.linear(512, 512)  # drawn first, and the second of the gates here
    np.testing.assert_array_equal(model.layers[0].weight_ih.data[:, 512:1024], forget.astype("float32"))
    assert not model.out.weight.data.any()


def test_the_first_unit_of_the_state_is_one() -> None:
    ((hidden, memory),) = book_state(3)
    for part in (hidden, memory):
        assert part.shape == (3, 512)
        assert part.data[:, 0].tolist() == [1, 1, 1]
        assert part.data.sum() == 3


@pytest.mark.parametrize("num_characters", [62, 57])
def test_knowing_nothing_is_a_perplexity_of_as_many_as_there_are(num_characters: int) -> None:
    model = book_lstm(num_characters, dtype="float64")
    window, following = np.random.default_rng(1).integers(0, num_characters, size=(2, 25, 16))
    scores, _ = model(window, book_state(16, dtype="float64"))
    found = math.exp(CrossEntropyLoss()(scores, following).item())
    assert found == pytest.approx(num_characters, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_goals_hold_on_generated_text(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(recipe)
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1
    assert outcome.parameters is not None


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_quick_numbers_hold_on_the_book_s_text(recipe: Recipe, real_data: Path) -> None:
    rows, outcome = run_recipe(recipe, data=real_data)
    assert missed(rows) == []
    assert met(rows) == sum(expected.is_quick for expected in recipe.expected)
    for picture in outcome.pictures.values():
        assert not isinstance(picture, Text) or len(picture.text) > 800
