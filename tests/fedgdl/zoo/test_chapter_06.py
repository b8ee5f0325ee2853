"""Chapter 6: streetlights, worked out here in plain Python and NumPy without the core."""

import numpy as np
import pytest
from zoo_recipes import measured_by, run_named

from fedgdl.zoo.pictures import Curves, Network
from fedgdl.zoo.registry import recipes_of
from fedgdl.zoo.streetlights import DEEP_LIGHTS, DEEP_WALKS, LIGHTS, WALKS


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes_of(6)])
def test_nothing_is_missed(name: str) -> None:
    run_named(name)


def pass_errors(batch: int) -> list[float]:
    """Returns the error of each of 40 passes, in steps of so many rows, by loops over Python's numbers."""
    weights, errors = [0.5, 0.48, -0.7], []
    for _ in range(40):
        error = 0.0
        for start in range(0, 6, batch):
            gradient = [0.0, 0.0, 0.0]
            rows = list(zip(LIGHTS, WALKS, strict=True))[start : start + batch]
            for lights, walk in rows:
                delta = sum(w * x for w, x in zip(weights, lights, strict=True)) - walk
                error += delta**2
                gradient = [g + delta * x for g, x in zip(gradient, lights, strict=True)]
            weights = [w - 0.1 * g / len(rows) for w, g in zip(weights, gradient, strict=True)]
        errors.append(error)
    return errors


def test_the_whole_data_set() -> None:
    errors = pass_errors(1)
    measured = measured_by("ch06-whole-data-set")
    for index in (1, 2, 3, 5, 10, 20, 40):
        assert measured[f"error of pass {index}"] == pytest.approx(errors[index - 1], rel=1e-12)


def test_fewer_rows_a_step_come_further_in_as_many_passes() -> None:
    measured = measured_by("ch06-full-batch-stochastic")
    last = {name: pass_errors(batch)[-1] for name, batch in (("stochastic", 1), ("batches of 2", 2), ("full", 6))}
    for name, error in last.items():
        assert measured[f"{name}: error of pass 40"] == pytest.approx(error, rel=1e-12)
    assert last["stochastic"] < last["batches of 2"] < last["full"]


def test_the_deep_network_against_numpy_alone() -> None:
    source = np.random.RandomState(1)
    first, second = 2 * source.random_sample((3, 4)) - 1, 2 * source.random_sample((4, 1)) - 1
    errors = []
    for _ in range(60):
        error = 0.0
        for lights, walk in zip(DEEP_LIGHTS, DEEP_WALKS, strict=True):
            x = np.array([lights], float)
            hidden = np.maximum(x @ first, 0)
            delta = hidden @ second - walk
            error += (delta**2).item()
            hidden_delta = (delta @ second.T) * (hidden > 0)
            second = second - 0.2 * hidden.T @ delta
            first = first - 0.2 * x.T @ hidden_delta
        errors.append(error)
    _, outcome = run_named("ch06-deep-network")
    assert outcome.measured["errors of passes 10, 20, ... 60"] == pytest.approx(errors[9::10], rel=1e-12)
    assert outcome.measured["outgoing weights afterwards"] == pytest.approx(second[:, 0], rel=1e-12)
    network, curve = outcome.pictures["network"], outcome.pictures["errors"]
    assert isinstance(network, Network)
    assert [len(units) for units in network.layers] == [3, 4, 1]
    np.testing.assert_allclose(network.weights[0], first, rtol=1e-12)
    assert isinstance(curve, Curves)
    assert curve.is_log


def test_a_light_that_is_off_teaches_nothing() -> None:
    _, middle, _ = measured_by("ch06-one-row")["weights afterwards"]  # type: ignore[misc]
    assert middle == 0.48
