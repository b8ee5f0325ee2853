"""Chapter 15, encrypted: 5 + 3 = 8, and rounds whose sum alone is decrypted."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.crypto.paillier import Packing, make_obfuscators
from fedgdl.crypto.paillier.private import generate
from fedgdl.zoo.chapter_15_encryption import RECIPES, _open_sum
from fedgdl.zoo.recipe import Recipe


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_quick_run_on_generated_mail_misses_nothing(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(recipe)
    assert missed(rows) == []
    assert met(rows) == sum(expected.is_quick and not expected.needs_real_data for expected in recipe.expected)
    assert outcome.is_synthetic == bool(recipe.source)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_numbers_hold_on_the_book_s_mail(recipe: Recipe, real_data: Path) -> None:
    rows, outcome = run_recipe(recipe, is_quick=False, data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(recipe.expected)


def test_a_sum_is_opened_as_it_is() -> None:
    private_key = generate(256)
    packing = Packing(40, 20, private_key.public_key.plaintext_bits)
    rng = np.random.default_rng(1)
    vectors = [rng.integers(0, 2**18, 40, dtype=np.uint32) for _ in range(4)]
    opened = _open_sum(private_key, make_obfuscators(private_key.public_key), packing, vectors)
    np.testing.assert_array_equal(opened, np.sum(vectors, axis=0))
