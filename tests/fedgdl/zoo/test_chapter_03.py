"""Chapter 3: weighted sums, worked out here with fractions of whole numbers, without any rounding."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from zoo_recipes import measured_by, run_named

from fedgdl.zoo.pictures import Network
from fedgdl.zoo.registry import recipes_of

GAME = ["8.5", "0.65", "1.2"]
TABLE = [["0.1", "0.1", "-0.3"], ["0.1", "0.2", "0"], ["0", "1.3", "0.1"]]
HIDDEN = [["0.1", "0.2", "-0.1"], ["-0.1", "0.1", "0.9"], ["0.1", "0.4", "0.1"]]
OUT = [["0.3", "1.1", "-0.3"], ["0.1", "0.2", "0"], ["0", "1.3", "0.1"]]


def product(rows: Sequence[Sequence[str]], inputs: Sequence[Fraction | str]) -> list[Fraction]:
    return [sum((Fraction(w) * Fraction(x) for w, x in zip(row, inputs, strict=True)), Fraction(0)) for row in rows]


def near(values: Sequence[Fraction]) -> object:
    return pytest.approx([float(value) for value in values], rel=1e-12)


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes_of(3)])
def test_nothing_is_missed(name: str) -> None:
    run_named(name)


def test_one_input() -> None:
    assert measured_by("ch03-one-input")["prediction"] == pytest.approx(float(Fraction("8.5") / 10), rel=1e-12)


def test_a_loop_and_a_product_agree() -> None:
    measured = measured_by("ch03-multiple-inputs")
    assert measured["prediction"] == measured["prediction of a loop"]
    assert [measured["prediction"]] == near(product([["0.1", "0.2", "0"]], GAME))


def test_multiple_outputs() -> None:
    measured = measured_by("ch03-multiple-outputs")
    assert measured["predictions"] == near(product([["0.3"], ["0.2"], ["0.9"]], ["0.65"]))


def test_multiple_inputs_and_outputs() -> None:
    _, outcome = run_named("ch03-inputs-and-outputs")
    assert outcome.measured["predictions"] == near(product(TABLE, GAME))
    picture = outcome.pictures["network"]
    assert isinstance(picture, Network)
    assert picture.values[1] == outcome.measured["predictions"]


def test_two_layers() -> None:
    _, outcome = run_named("ch03-predicting-on-predictions")
    hidden = product(HIDDEN, GAME)
    assert outcome.measured["hidden"] == near(hidden)
    assert outcome.measured["predictions"] == near(product(OUT, hidden))
    assert outcome.parameters is not None
    assert outcome.parameters.layout.size == 18
