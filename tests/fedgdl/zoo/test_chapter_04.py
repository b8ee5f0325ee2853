"""Chapter 4: one weight, worked out here in plain Python and by what the mathematics says."""

import itertools

import pytest
from zoo_recipes import measured_by, run_named

from fedgdl.zoo.pictures import Curves
from fedgdl.zoo.registry import recipes_of


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes_of(4)])
def test_nothing_is_missed(name: str) -> None:
    run_named(name)


def by_hand(weight: float, x: float, alpha: float, steps: int) -> tuple[list[float], list[float]]:
    """Returns predictions and errors."""
    predictions, errors = [], []
    for _ in range(steps):
        prediction = weight * x
        predictions.append(prediction)
        errors.append((prediction - 0.8) ** 2)
        weight -= alpha * (prediction - 0.8) * x
    return predictions, errors


@pytest.mark.parametrize(
    ("name", "weight", "x", "alpha"),
    [("ch04-gradient-descent", 0.5, 0.5, 1.0), ("ch04-divergence", 0.5, 2.0, 1.0), ("ch04-alpha", 0.5, 2.0, 0.1)],
)
def test_twenty_steps(name: str, weight: float, x: float, alpha: float) -> None:
    predictions, errors = by_hand(weight, x, alpha, 20)
    measured = measured_by(name)
    assert measured["predictions of steps 1 and 2"] == pytest.approx(predictions[:2], rel=1e-12)
    assert measured["errors of steps 1 and 2"] == pytest.approx(errors[:2], rel=1e-12)
    assert measured["last error"] == pytest.approx(errors[-1], rel=1e-12)


@pytest.mark.parametrize(("name", "factor"), [("ch04-divergence", 9.0), ("ch04-alpha", 0.36)])
def test_the_error_changes_by_a_constant_factor(name: str, factor: float) -> None:
    """A step takes the difference d from the goal to (1 - alpha x^2) d, and its square to the square of that."""
    _, outcome = run_named(name)
    picture = outcome.pictures["errors"]
    assert isinstance(picture, Curves)
    errors = list(picture.lines[0].y)
    assert [after / before for before, after in itertools.pairwise(errors[:13])] == pytest.approx(
        [factor] * 12, rel=1e-6
    )


def test_four_steps() -> None:
    predictions, errors = by_hand(0.0, 0.5, 1.0, 4)
    measured = measured_by("ch04-reducing-error")
    assert measured["predictions"] == pytest.approx(predictions, rel=1e-12)
    assert measured["errors"] == pytest.approx(errors, rel=1e-12)
    _, errors = by_hand(0.0, 1.1, 1.0, 4)
    assert measured_by("ch04-several-steps")["errors"] == pytest.approx(errors, rel=1e-12)


def test_hot_and_cold_takes_600_steps_and_then_stays() -> None:
    """From 0.25 the prediction rises by 0.0005 a step until 0.8, where both ways are worse."""
    _, outcome = run_named("ch04-hot-and-cold")
    picture = outcome.pictures["errors"]
    assert isinstance(picture, Curves)
    errors = list(picture.lines[0].y)
    assert len(errors) == 1101
    assert errors[:1100] == sorted(errors[:1100], reverse=True)
    assert errors[1000] == pytest.approx((0.25 + 1000 * 0.0005 - 0.8) ** 2, rel=1e-6)
