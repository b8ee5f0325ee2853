"""Chapter 15 as printed: whose model comes back, and the stray batch size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo_recipes import met, missed, run_recipe

from fedgdl.crypto.paillier import make_obfuscators
from fedgdl.crypto.paillier.private import generate
from fedgdl.zoo.book_compatible.chapter_15 import RECIPES, decrypt_floats, encrypt_floats, printed_mean
from fedgdl.zoo.recipe import Recipe

KEY = generate(128)


@given(st.lists(st.floats(-1e6, 1e6), max_size=5))
def test_floats_come_back_to_the_last_bit_and_their_sizes_are_in_clear(floats: list[float]) -> None:
    weights = np.array(floats)
    ciphertexts, exponents = encrypt_floats(weights, make_obfuscators(KEY.public_key))
    np.testing.assert_array_equal(decrypt_floats(KEY, ciphertexts, exponents), weights)
    sizes, exponents = np.abs(weights[weights != 0]), exponents[weights != 0]
    assert np.all(np.ldexp(1.0, exponents + 52) <= sizes)
    assert np.all(sizes < np.ldexp(1.0, exponents + 53))
    assert len(set(ciphertexts)) == len(weights)


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
    assert met(rows) == sum(not expected.needs_real_data for expected in recipe.expected)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_digits_of_the_book_s_mail(recipe: Recipe, real_data: Path) -> None:
    rows, outcome = run_recipe(recipe, data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(recipe.expected)
