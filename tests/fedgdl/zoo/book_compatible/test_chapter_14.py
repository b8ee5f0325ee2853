"""The rectifiers' activations as printed: one step further on than those of a clean run."""

import numpy as np
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo.book_compatible.chapter_14 import RECIPES
from fedgdl.zoo.chapter_14 import START, toy_states, two_units


def test_the_printed_numbers_are_met() -> None:
    (recipe,) = RECIPES
    rows, _ = run_recipe(recipe)
    assert missed(rows) == []
    assert met(rows) == len(recipe.expected)
    assert recipe.is_book_compatible


def test_the_first_printed_state_is_the_second_of_a_clean_run() -> None:
    clean = toy_states(two_units("relu"), toy_states(two_units("sigmoid"), START)[0])
    _, outcome = run_recipe(RECIPES[0])
    np.testing.assert_array_equal(outcome.measured["relu: first state printed"], clean[1][0])
