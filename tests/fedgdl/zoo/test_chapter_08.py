"""Chapter 8 on generated digits, and on the real ones where they are."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import missed, run_recipe

from fedgdl.zoo.book_digits import book_stream
from fedgdl.zoo.digit_net import DigitNet
from fedgdl.zoo.pictures import Curves, Images
from fedgdl.zoo.registry import find_recipe


@pytest.mark.parametrize("name", ["ch08-overfitting", "ch08-batches"])
def test_generated_digits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(find_recipe(name))
    assert missed(rows) == []
    assert outcome.is_synthetic
    assert outcome.parameters is not None
    learned = outcome.pictures["hidden-units"]
    assert isinstance(learned, Images)
    num_units = len(learned.images)
    start = DigitNet(book_stream(), num_units, bound=0.1, activation="relu").hidden.data
    np.testing.assert_allclose(
        start + learned.images.reshape(num_units, -1).T, outcome.parameters["hidden"], rtol=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ch08-early-stopping", "ch08-dropout"])
def test_generated_digits_at_length(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, _ = run_recipe(find_recipe(name))
    assert missed(rows) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ch08-overfitting", "ch08-early-stopping", "ch08-dropout", "ch08-batches"])
def test_real_digits(name: str, real_data: Path) -> None:
    rows, outcome = run_recipe(find_recipe(name), data=real_data)
    assert missed(rows) == []
    assert not outcome.is_synthetic


@pytest.mark.slow
def test_kept_weights_are_those_of_the_best_epoch(real_data: Path) -> None:
    _, outcome = run_recipe(find_recipe("ch08-early-stopping"), data=real_data)
    errors = outcome.pictures["errors"]
    assert isinstance(errors, Curves)
    held_out = list(errors.lines[1].y)
    assert outcome.measured["epoch of the kept weights"] == held_out.index(min(held_out))
    assert outcome.measured["epochs trained"] == len(held_out) == held_out.index(min(held_out)) + 21
