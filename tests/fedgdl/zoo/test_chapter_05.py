"""Chapter 5: several weights, worked out here in plain Python; and the one-layer reader of digits."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import measured_by, run_named

from fedgdl.errors import DataMissing
from fedgdl.zoo.pictures import Curves, Images
from fedgdl.zoo.recipe import Setting
from fedgdl.zoo.registry import find_recipe, recipes_of

GAME = (8.5, 0.65, 1.2)


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes_of(5) if not recipe.source])
def test_nothing_is_missed(name: str) -> None:
    run_named(name)


@pytest.mark.parametrize(
    ("name", "alpha", "first"), [("ch05-several-steps", 0.01, 0), ("ch05-freezing-one-weight", 0.3, 1)]
)
def test_three_steps(name: str, alpha: float, first: int) -> None:
    weights, predictions = [0.1, 0.2, -0.1], []
    for step in range(3):
        predictions.append(sum(w * x for w, x in zip(weights, GAME, strict=True)))
        if step == 2:
            break
        for index in range(first, 3):
            weights[index] -= alpha * (predictions[-1] - 1.0) * GAME[index]
    measured = measured_by(name)
    assert measured["predictions"] == pytest.approx(predictions, rel=1e-12)
    assert measured["errors"] == pytest.approx([(value - 1.0) ** 2 for value in predictions], rel=1e-9)
    assert measured["weights before step 3"] == pytest.approx(weights, rel=1e-12)


def test_a_matrix_follows_the_outer_product_of_deltas_and_inputs() -> None:
    table = np.array([[0.1, 0.1, -0.3], [0.1, 0.2, 0.0], [0.0, 1.3, 0.1]])
    delta = table @ GAME - (0.1, 1.0, 0.1)
    after = table - 0.01 * np.outer(delta, GAME)
    measured = measured_by("ch05-inputs-and-outputs")
    assert measured["delta"] == pytest.approx(delta, rel=1e-12)
    for row, name in zip(after, ("hurt", "win", "sad"), strict=True):
        assert measured[f"weights of {name} afterwards"] == pytest.approx(row, rel=1e-9)


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)


@pytest.mark.slow
@pytest.mark.usefixtures("no_data")
def test_one_layer_reads_generated_digits() -> None:
    _, outcome = run_named("ch05-digits")
    assert outcome.is_synthetic
    weights, accuracy = outcome.pictures["weights"], outcome.pictures["accuracy"]
    assert isinstance(weights, Images)
    assert weights.images.shape == (10, 28, 28)
    assert list(weights.captions) == list("0123456789")
    assert isinstance(accuracy, Curves)
    assert accuracy.lines[0].y[-1] == outcome.measured["test accuracy"]


@pytest.mark.usefixtures("no_data")
def test_without_mnist_nothing_stands_in_unless_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path))
    recipe = find_recipe("ch05-digits")
    assert recipe.run is not None
    with pytest.raises(DataMissing, match="mnist"):
        recipe.run(Setting(allow_synthetic=False))


@pytest.mark.slow
def test_one_layer_reads_mnist(real_data: Path) -> None:
    _, outcome = run_named("ch05-digits", data=real_data)
    assert not outcome.is_synthetic
