"""What is settled and said before a run whose updates are encoded."""

from typing import Any

import pytest
from federation import LineTask, make_data, make_experiment
from hypothesis import given
from hypothesis import strategies as st

from experiments.protection import count_examples, describe, settle
from experiments.report.words import protection_in_words
from fedgdl.config import AggregationConfig, Experiment, StrategyConfig
from fedgdl.errors import ConfigError, DataError, TaskError
from fedgdl.federated import FedAvg
from fedgdl.parameters import Layout

LAYOUT = Layout.of({"w": (5,)})


def protected(num_clients: int | None = None, **changes: Any) -> Experiment:
    return make_experiment(cohort_size=num_clients, aggregation=AggregationConfig("secagg", **changes))


def described(num_clients: int, num_examples: int = 10, **changes: Any) -> dict[str, Any]:
    counts = {f"c{number}": num_examples for number in range(num_clients)}
    return describe(settle(protected(**changes), counts), FedAvg("num_examples"), LAYOUT, counts)


@given(st.lists(st.integers(1, 100_000), min_size=3, max_size=20))
def test_the_largest_weight_is_the_power_of_two_at_or_above_the_largest_client(counts: list[int]) -> None:
    settled = settle(protected(), dict(enumerate(counts)))  # type: ignore[arg-type]
    weight = settled.aggregation.max_weight
    assert weight is not None
    assert weight.bit_count() == 1
    assert weight / 2 < max(counts) <= weight
    assert settled.cohort_size == len(counts)
    assert settle(settled, dict(enumerate(counts))) == settled  # type: ignore[arg-type]


def test_a_weight_that_was_set_stays_and_equal_weights_are_one() -> None:
    counts = {"a": 5, "b": 7, "c": 900}
    assert settle(protected(max_weight=100), counts).aggregation.max_weight == 100
    equal = make_experiment(strategy=StrategyConfig(weighting="equal"), aggregation=AggregationConfig("secagg"))
    assert settle(equal, counts).aggregation.max_weight == 1


def test_no_sum_over_fewer_clients_than_the_strategy_needs_is_opened() -> None:
    counts = {f"c{number}": 10 for number in range(6)}
    needy = make_experiment(strategy=StrategyConfig(min_updates=6), aggregation=AggregationConfig("secagg"))
    assert describe(settle(needy, counts), FedAvg("num_examples"), LAYOUT, counts)["min_survivors"] == 6


@pytest.mark.parametrize(
    ("population", "changes", "words"),
    [
        (
            2,
            {},
            ["a cohort of 2 (of a population of 2)", "min_cohort = 3", "set aggregation.min_cohort=2 if you mean it"],
        ),
        (2, {}, ["with two clients each learns the other's update from the sum"]),
        (1, {"min_cohort": 2}, ["the sum over one client is its own update"]),
        (4, {"min_cohort": 5}, ["a cohort of 4", "set aggregation.min_cohort=4 if you mean it"]),
        (1000, {"bits": 31}, ["aggregation.bits = 31 is too much for 1,000 clients", "ring_bits = 64"]),
        (1000, {"max_weight": 2**24}, ["aggregation.max_weight = 16,777,216 is too much for 1,000 clients"]),
        (200, {"dropout_share": 0.9}, ["aggregation.dropout_share"]),
    ],
)
def test_what_cannot_be_protected_is_refused(population: int, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        described(population, **changes)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("num_clients", [2, 3, 4, 10, 99, 100])
def test_thresholds_of_the_complete_graph(num_clients: int) -> None:
    found = described(num_clients, min_cohort=2)
    threshold = 2 * num_clients // 3 + 1
    assert (found["graph"], found["degree"], found["threshold"]) == ("complete", num_clients - 1, threshold)
    assert found["min_survivors"] == threshold
    assert found["max_dropouts"] == num_clients - threshold
    assert found["max_colluders"] <= threshold - 2
    assert found["privacy_bits"] is None


def test_a_large_cohort_has_a_sparse_graph_that_reaches_what_was_asked_for() -> None:
    found = described(300)
    assert found["graph"] == "sparse"
    assert found["degree"] < 100
    assert found["privacy_bits"] >= 40
    assert found["liveness_bits"] >= 30
    assert (found["max_dropouts"], found["max_colluders"]) == (30, 30)


def test_a_share_of_the_clients_is_the_decimal_number_that_was_written() -> None:
    """0.29 * 300 is 87 in decimal numbers, and 86.99999999999999 in binary ones."""
    assert described(300, corrupt_share=0.29)["max_colluders"] == 87


def test_the_error_of_the_mean_is_that_of_the_lightest_clients() -> None:
    """Of six clients 2 * 6 // 3 + 1 = 5 may be left: at worst those of 8, 8, 8, 16 and 16 examples."""
    counts = {"a": 8, "b": 8, "c": 8, "d": 16, "e": 16, "f": 100}
    found = describe(settle(protected(), counts), FedAvg("num_examples"), LAYOUT, counts)
    step = 1 / (2**15 - 1)
    assert found["step"] == step
    assert found["max_error_of_mean"] == pytest.approx(step / 2 * 128 * 5 / (8 + 8 + 8 + 16 + 16))


@pytest.mark.parametrize(
    ("num_clients", "changes", "line"),
    [
        (
            10,
            {},
            "secure aggregation: complete graph of 10 clients, threshold 7: up to 3 may drop out, up to 5 may collude",
        ),
        (3, {}, "complete graph of 3 clients, threshold 3: no drop-out is tolerable, up to 1 may collude"),
        (2, {"min_cohort": 2}, "no drop-out is tolerable, and each learns the other's update from the sum"),
    ],
)
def test_a_run_says_beforehand_what_protects_it(num_clients: int, changes: dict[str, Any], line: str) -> None:
    lines = protection_in_words(described(num_clients, **changes))
    assert line in lines[0]
    assert lines[1].startswith("encoding: 16 bits within ±1, weights up to 16, 3 bytes a parameter; a mean is exact to")


def test_of_a_sparse_graph_the_bits_are_said() -> None:
    found = described(300)
    (line, _) = protection_in_words(found)
    assert f"graph of 300 clients with {found['degree']} neighbours each, threshold {found['threshold']}" in line
    assert f"{found['privacy_bits']:.1f} bits of privacy, {found['liveness_bits']:.1f} bits of liveness" in line


def test_a_client_without_data_counts_for_nothing_and_a_data_set_that_raises_is_told() -> None:
    class Broken:
        def __init__(self, error: Exception) -> None:
            self.error, self.client_ids = error, ("ann", "ben")

        def client(self, client_id: str) -> Any:
            if client_id == "ben":
                raise self.error
            return LineTask(make_data({"ann": 4})).data.client("ann")

    assert count_examples(Broken(DataError("gone"))) == {"ann": 4, "ben": 0}  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=r"Broken\.client raised KeyError"):
        count_examples(Broken(KeyError("ben")))  # type: ignore[arg-type]
