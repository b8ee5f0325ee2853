"""The book's cross-entropy: the right loss, with a gradient that is another's."""

import numpy as np
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.autograd import Tensor, gradcheck, softmax_cross_entropy
from fedgdl.errors import GraphError
from fedgdl.zoo.book_compatible.chapter_13 import RECIPES, cross_entropy

IDS = np.array([0, 2, 1])
LOGITS = np.random.default_rng(1).normal(size=(3, 4))


def test_the_printed_numbers_are_met() -> None:
    (recipe,) = RECIPES
    rows, _ = run_recipe(recipe)
    assert missed(rows) == []
    assert met(rows) == len(recipe.expected)
    assert recipe.is_book_compatible
    assert recipe.name.endswith("-as-printed")


def test_the_loss_is_right_and_its_gradient_is_the_sum_s() -> None:
    mine, right = Tensor(LOGITS, requires_grad=True), Tensor(LOGITS, requires_grad=True)
    loss = cross_entropy(mine, IDS)
    assert loss.item() == pytest.approx(softmax_cross_entropy(right, IDS).item(), rel=1e-12)
    loss.backward()
    softmax_cross_entropy(right, IDS, "sum").backward()
    np.testing.assert_allclose(np.asarray(mine.grad), np.asarray(right.grad), rtol=1e-12)


def test_a_check_of_its_gradient_fails_and_the_library_s_passes() -> None:
    rng = np.random.default_rng(2)
    gradcheck(lambda x: softmax_cross_entropy(x, IDS), [LOGITS], rng)
    with pytest.raises(GraphError, match="gradient"):
        gradcheck(lambda x: cross_entropy(x, IDS), [LOGITS], rng)
