from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import StrategyConfig
from fedgdl.errors import FedgdlError
from fedgdl.federated import ClientUpdate, FedAvg, make_strategy
from fedgdl.parameters import Layout

Weighting = Literal["num_examples", "equal"]
WEIGHTINGS: tuple[Weighting, ...] = ("num_examples", "equal")


def updates_of(sizes: Sequence[int], num_parameters: int, seed: int, dtype: str = "float64") -> list[ClientUpdate]:
    rng = np.random.default_rng(seed)
    return [ClientUpdate(rng.normal(size=num_parameters).astype(dtype), size, 0.0, 1.0) for size in sizes]


def step(strategy: FedAvg, vector: npt.NDArray[Any], sums: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Returns the new vector of a strategy that keeps no state."""
    new, state = strategy.step(vector, sums, strategy.initial_state(len(vector)))
    assert state == {}
    return new


def add_up(strategy: FedAvg, updates: Sequence[ClientUpdate]) -> dict[str, npt.NDArray[np.float64]]:
    terms = [strategy.terms(update) for update in updates]
    return {name: np.sum([term[name].astype("float64") for term in terms], axis=0) for name in terms[0]}


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6), st.integers(1, 20), st.integers(0, 2**32))
def test_the_step_is_the_weighted_mean_of_the_clients_models(sizes: list[int], num_parameters: int, seed: int) -> None:
    """Averaging deltas and averaging models are the same thing, as algorithm 1 of the paper has it."""
    server = np.random.default_rng(seed + 1).normal(size=num_parameters)
    updates = updates_of(sizes, num_parameters, seed)
    models = [server + update.delta for update in updates]
    for weighting in WEIGHTINGS:
        weights = sizes if weighting == "num_examples" else [1] * len(sizes)
        strategy = make_strategy(StrategyConfig(weighting=weighting))
        assert isinstance(strategy, FedAvg)
        expected = sum(weight * model for weight, model in zip(weights, models, strict=True)) / sum(weights)
        np.testing.assert_allclose(step(strategy, server, add_up(strategy, updates)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_terms_have_the_declared_names_and_shapes(weighting: Weighting) -> None:
    strategy = FedAvg(weighting)
    layout = Layout.of({"w": (2, 3), "b": (1,)})
    (update,) = updates_of([5], layout.size, 1)
    terms = strategy.terms(update)
    assert {name: term.shape for name, term in terms.items()} == strategy.sum_shapes(layout)
    assert strategy.sum_kinds() == {"weighted_delta": "weighted", "weight": "count"}
    assert terms["weight"].tolist() == [strategy.weight(5)] == [5 if weighting == "num_examples" else 1]
    assert np.abs(terms["weighted_delta"]).max() <= strategy.weight(5) * np.abs(update.delta).max()


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept(weighting: Weighting, dtype: str) -> None:
    strategy = FedAvg(weighting)
    updates = updates_of([3, 1_000_003], 4, 1, dtype)
    assert all(term.dtype == dtype for term in strategy.terms(updates[1]).values())
    new = step(strategy, np.ones(4, dtype), add_up(strategy, updates))
    assert new.dtype == dtype


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_arguments_stay_as_they_were(weighting: Weighting) -> None:
    strategy, (update,) = FedAvg(weighting), updates_of([7], 5, 2)
    delta, vector = update.delta.copy(), np.arange(5.0)
    sums = add_up(strategy, [update])
    kept: Mapping[str, Any] = {name: term.copy() for name, term in sums.items()}
    first = step(strategy, vector, sums)
    assert step(strategy, vector, sums).tobytes() == first.tobytes()
    np.testing.assert_array_equal(update.delta, delta)
    np.testing.assert_array_equal(vector, np.arange(5.0))
    assert not np.shares_memory(first, vector)
    for name, term in sums.items():
        np.testing.assert_array_equal(term, kept[name])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weights_that_sum_to_nothing_are_refused(weight: float) -> None:
    sums = {"weighted_delta": np.ones(2), "weight": np.array([weight])}
    with pytest.raises(FedgdlError, match="needs a positive sum"):
        step(FedAvg("equal"), np.zeros(2), sums)


def test_missing_clients_do_not_shrink_the_step() -> None:
    """The sum runs over those who answered, in the numerator and in the denominator."""
    strategy, updates = FedAvg("equal"), updates_of([1, 1, 1], 4, 3)
    two = step(strategy, np.zeros(4), add_up(strategy, updates[:2]))
    np.testing.assert_allclose(two, (updates[0].delta + updates[1].delta) / 2)
