"""Chapter 9: slopes from outputs, and softmax on generated and on real digits."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import missed, run_recipe

from fedgdl.autograd import gradcheck, relu, sigmoid, softmax, tanh
from fedgdl.zoo.pictures import Curves
from fedgdl.zoo.registry import find_recipe


@pytest.mark.parametrize("function", [relu, sigmoid, tanh, softmax])
def test_the_core_agrees_with_difference_quotients(function: object) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 3))
    gradcheck(function, [np.where(np.abs(x) < 0.01, 0.01, x)], rng)  # type: ignore[arg-type] # ReLU has a kink at 0


def test_slopes_come_from_outputs() -> None:
    rows, outcome = run_recipe(find_recipe("ch09-activations"))
    assert missed(rows) == []
    slopes = outcome.pictures["slopes"]
    assert isinstance(slopes, Curves)
    x = np.array(slopes.lines[0].x)
    by_hand = {
        "ReLU": np.where(x > 0, 1.0, 0.0),
        "sigmoid": np.exp(-x) / (1 + np.exp(-x)) ** 2,
        "tanh": 1 / np.cosh(x) ** 2,
    }
    for line in slopes.lines:
        np.testing.assert_allclose(line.y, by_hand[line.name], rtol=1e-11, atol=1e-15)


def test_generated_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(find_recipe("ch09-softmax-mnist"))
    assert missed(rows) == []
    assert outcome.is_synthetic


@pytest.mark.slow
def test_real_digits(real_data: Path) -> None:
    recipe = find_recipe("ch09-softmax-mnist")
    rows, _ = run_recipe(recipe, is_quick=False, data=real_data)
    assert missed(rows) == []
    assert {row.status for row in rows} == {"met"}
