"""Chapter 13's toy networks: the book's losses, and the same from an independent computation."""

import numpy as np
import numpy.typing as npt
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo import chapter_13, chapter_13_layers
from fedgdl.zoo.recipe import Recipe

RECIPES = {recipe.name: recipe for recipe in (*chapter_13.RECIPES, *chapter_13_layers.RECIPES)}
X, Y = chapter_13.INPUTS, chapter_13.TARGETS


@pytest.mark.parametrize("name", RECIPES)
def test_every_number_of_the_book_is_met(name: str) -> None:
    rows, outcome = run_recipe(RECIPES[name])
    assert missed(rows) == []
    assert met(rows) == len(RECIPES[name].expected) >= 2
    assert not outcome.is_synthetic


@pytest.mark.parametrize(
    "name", ["ch13-sgd", "ch13-mse", "ch13-nonlinearities", "ch13-embedding", "ch13-cross-entropy"]
)
def test_a_trained_recipe_keeps_its_model_and_its_curve(name: str) -> None:
    _, outcome = run_recipe(RECIPES[name])
    assert outcome.parameters is not None
    start = outcome.measured["start weights"]
    assert isinstance(start, tuple)
    assert len(outcome.parameters.vector) >= len(start)
    assert "losses" in outcome.pictures


def expected_of(recipe: Recipe, what: str) -> npt.NDArray[np.float64]:
    return np.array(next(expected.value for expected in recipe.expected if expected.what == what))


def test_the_losses_of_two_layers_follow_from_the_start_weights() -> None:
    """Derivatives by hand, in NumPy: the squares' factor 2, both layers' biases from zero."""
    recipe = RECIPES["ch13-linear"]
    start = expected_of(recipe, "start weights")
    first, second = start[:6].reshape(2, 3).copy(), start[6:].reshape(3, 1).copy()
    bias, out_bias, losses = np.zeros(3), np.zeros(1), []
    for _ in range(10):
        hidden = X @ first + bias
        error = hidden @ second + out_bias - Y
        losses.append(np.square(error).sum())
        back = 2 * error
        steps = X.T @ (back @ second.T), (back @ second.T).sum(axis=0), hidden.T @ back, back.sum(axis=0)
        for values, step in zip((first, bias, second, out_bias), steps, strict=True):
            np.subtract(values, 0.05 * step, out=values)
    np.testing.assert_allclose(losses, expected_of(recipe, "losses"), rtol=0, atol=5.1e-9)


def test_the_losses_of_classes_follow_from_the_start_weights() -> None:
    """The printed loss is a mean of four, the step that of their sum."""
    recipe = RECIPES["ch13-cross-entropy"]
    start = expected_of(recipe, "start weights")
    table, out, bias = start[:9].reshape(3, 3).copy(), start[9:].reshape(3, 4).copy(), np.zeros(4)
    ids, classes, losses = np.array([1, 2, 1, 2]), np.array([0, 1, 0, 1]), []
    for _ in range(10):
        hidden = np.tanh(table[ids])
        exps = np.exp(hidden @ out + bias)
        shares = exps / exps.sum(axis=1, keepdims=True)
        losses.append(-np.log(shares[np.arange(4), classes]).mean())
        error = shares - np.eye(4)[classes]
        through = (error @ out.T) * (1 - hidden**2)
        out -= 0.1 * hidden.T @ error
        bias -= 0.1 * error.sum(axis=0)
        np.subtract.at(table, ids, 0.1 * through)
    np.testing.assert_allclose(losses, expected_of(recipe, "losses"), rtol=1e-12)


def test_another_learning_rate_misses_the_numbers() -> None:
    recipe = RECIPES["ch13-mse"]
    losses = next(expected for expected in recipe.expected if expected.what == "losses")
    model = chapter_13._layer_network()
    found = chapter_13.descend(model, lambda: chapter_13._summed_squares(model(X)), 0.0500001)
    assert not losses.is_met(found)
