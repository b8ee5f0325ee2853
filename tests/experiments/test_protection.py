"""What is settled and said before a run whose updates are encoded."""

from typing import Any

import pytest
from federation import LineTask, make_data, make_experiment
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from experiments import simulate
from experiments.protection import count_examples, describe, settle, shares_not_reached
from experiments.report.words import protection_in_words
from fedgdl.config import AggregationConfig, EngineConfig, Experiment, StrategyConfig
from fedgdl.crypto.paillier import Packing
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
    """0.29 * 200 is 58 in decimal numbers, and 57.99999999999999 in binary ones."""
    assert int(0.29 * 200) == 57
    assert described(200, corrupt_share=0.29)["max_colluders"] == 58


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
            (
                "secure aggregation: complete graph of 10 clients, threshold 7: up to 3 may drop out, up to 5 may "
                "collude with a coordinator that follows the protocol, 3 with one that lies"
            ),
        ),
        (3, {}, "complete graph of 3 clients, threshold 3: no drop-out is tolerable, up to 1 may collude"),
        (2, {"min_cohort": 2}, "no drop-out is tolerable, and each learns the other's update from the sum"),
    ],
)
def test_a_run_says_beforehand_what_protects_it(num_clients: int, changes: dict[str, Any], line: str) -> None:
    lines = protection_in_words(described(num_clients, **changes))
    assert line in lines[0]
    assert lines[1].startswith("encoding: 16 bits within ±1, weights up to 16, 3 bytes a parameter; each element of")
    assert lines[1].endswith(
        f"off by at most {described(num_clients, **changes)['max_error_of_mean']:.1e}, whoever drops out"
    )


def test_of_a_sparse_graph_the_probabilities_are_said() -> None:
    found = described(300)
    (line, _) = protection_in_words(found)
    assert f"graph of 300 clients with {found['degree']} neighbours each, threshold {found['threshold']}" in line
    assert ", 4 of any neighbourhood with one that lies; an update can be read with a probability below 2^-" in line
    bits = {
        key: float(part.partition(";")[0]) for key, part in zip(("read", "fail"), line.split("2^-")[1:], strict=True)
    }
    assert 0 <= found["privacy_bits"] - bits["read"] < 0.1  # rounded down: the bound holds
    assert 0 <= found["liveness_bits"] - bits["fail"] < 0.1


def test_where_nothing_is_left_to_chance_a_sparse_graph_says_so() -> None:
    (line, _) = protection_in_words(described(300, dropout_share=0.0))
    assert line.endswith("; no round can fail with the stated shares")


@pytest.mark.parametrize(
    ("num_clients", "expected"),
    [(2, 0), (3, 1), (4, 1), (10, 3), (100, 33), (120, 0), (1000, 4)],
)
def test_fewer_may_collude_with_a_coordinator_that_lies(num_clients: int, expected: int) -> None:
    """2t - n - 1 of n, or of a neighbourhood; no more than with an honest one; none where survivors go unsigned."""
    found = described(num_clients, min_cohort=2)
    assert found["max_colluders_if_lying"] == expected <= found["max_colluders"]
    assert described(num_clients, min_cohort=2, consistency=False)["max_colluders_if_lying"] == 0


@pytest.mark.parametrize(
    ("num_clients", "changes", "told"),
    [
        (10, {}, []),
        (10, {"dropout_share": 0.3, "corrupt_share": 0.5}, []),
        (
            10,
            {"dropout_share": 0.5, "corrupt_share": 0.6},
            [("corrupt_share = 0.6", "up to 5 may collude, not 6"), ("dropout_share = 0.5", "3 may drop out, not 5")],
        ),
        (4, {"corrupt_share": 0.5}, [("corrupt_share = 0.5", "of 4 clients up to 1 may collude, not 2")]),
        (300, {"dropout_share": 0.2}, []),
    ],
)
def test_shares_that_a_complete_graph_does_not_withstand_are_told(
    num_clients: int, changes: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    aggregation = protected(**changes).aggregation
    lines = shares_not_reached(aggregation, described(num_clients, **changes))
    for line, (start, end) in zip(lines, told, strict=True):
        assert line.startswith(f"aggregation.{start} has no effect on a complete graph: ")
        assert line.endswith(end)
    assert shares_not_reached(aggregation, {"kind": "plain"}) == []


def test_a_run_warns_beforehand_of_a_share_without_effect(caplog: pytest.LogCaptureFixture) -> None:
    task = LineTask(make_data({"ann": 4, "ben": 6, "cat": 5}))
    experiment = make_experiment(rounds=1, aggregation=AggregationConfig("secagg", dropout_share=0.5))
    history = simulate(experiment, task=task)
    assert history.protection is not None
    assert history.protection["max_colluders_if_lying"] == 1
    assert [record.message for record in caplog.records if "has no effect" in record.message] == [
        "aggregation.dropout_share = 0.5 has no effect on a complete graph: of 3 clients up to 0 may drop out, not 1"
    ]


def encrypted(population: int = 5, num_clients: int | None = None, **changes: Any) -> tuple[Experiment, dict[str, Any]]:
    """Returns a settled experiment with encrypted updates, and what is said of it."""
    aggregation = AggregationConfig("paillier", **{"insecure_key_bits": 256, **changes})
    counts = {f"c{number}": 10 for number in range(population)}
    settled = settle(make_experiment(cohort_size=num_clients, aggregation=aggregation), counts)
    return settled, describe(settled, FedAvg("num_examples"), LAYOUT, counts)


@pytest.mark.parametrize(
    ("population", "num_clients", "threshold"), [(5, None, 3), (9, 4, 3), (9, 6, 5), (100, 7, 4), (3, 3, 2)]
)
def test_more_than_half_open_a_sum_where_the_key_is_shared_out(
    population: int, num_clients: int | None, threshold: int
) -> None:
    settled, found = encrypted(population, num_clients, key_holder="threshold")
    assert settled.aggregation.threshold == found["threshold"] == threshold
    assert found["population"] == population
    assert found["min_clients"] == max(3, threshold)
    assert encrypted(population, num_clients)[0].aggregation.threshold is None


def test_a_threshold_above_the_smallest_cohort_is_the_smallest_sum() -> None:
    _, found = encrypted(key_holder="threshold", threshold=5)
    assert (found["threshold"], found["min_clients"]) == (5, 5)


def test_an_encrypted_run_says_how_updates_are_packed() -> None:
    """Five weights, one of all, and five slots of bookkeeping, 16 bits times five clients of at most 16 examples."""
    _, found = encrypted()
    assert found["slot_bits"] == (5 * (2**16 - 2)).bit_length() + 1 == 20
    assert found["slots_per_ciphertext"] == 255 // 20
    assert found["ciphertexts_per_update"] == 1
    assert found["bytes_per_weight"] == 64 / 11
    assert found["estimate"]["bytes_up_per_client"] < 64 + 500


@pytest.mark.parametrize(
    ("changes", "start", "lie"),
    [
        (
            {},
            'in the coordinator\'s process (engine.kind = "inline") holds the key; it opens one sum a round over 3',
            "",
        ),
        (
            {"sum_check": "trusted"},
            "over 3 or more of 5 clients and takes the coordinator's word for what is in it; ",
            'can have any one client\'s update of a round opened (sum_check = "trusted")',
        ),
        (
            {"key_holder": "clients"},
            "all clients hold the key; each opens one sum a round",
            "can have two sums of a round opened, one update apart",
        ),
        (
            {"key_holder": "threshold"},
            "3 of 5 clients open one sum a round over 3 or more of 5 clients together; each",
            "can have two sums of a round opened, one update apart, if 1 client or more help it",
        ),
        (
            {"key_holder": "threshold", "threshold": 2},
            "2 of 5 clients open one sum a round over 3 or more of 5 clients together; each",
            "can have two sums of a round opened, one update apart: 2 are no majority of all clients",
        ),
        (
            {"key_holder": "coordinator", "insecure": True},
            "the coordinator itself holds the key and can read EVERY",
            "",
        ),
    ],
)
def test_an_encrypted_run_says_beforehand_who_can_decrypt(changes: dict[str, Any], start: str, lie: str) -> None:
    lines = protection_in_words(encrypted(**changes)[1])
    assert start in lines[0]
    assert lines[0].endswith("; key of 256 bits (djn), 1 ciphertext an update, 12 slots of 20 bits in each")
    if lie:
        assert lines.pop(1) == f"encrypted aggregation: a coordinator that lies {lie}"
    assert lines[1] == "encrypted aggregation: a key of 256 bits can be factored: for teaching only"
    assert [line.partition(":")[0] for line in lines[2:]] == ["estimate", "estimate", "encoding"]


def test_the_key_holder_is_a_process_of_its_own_where_workers_are() -> None:
    inline = encrypted()[0]
    apart = replace(inline, engine=EngineConfig("processes"))
    found = describe(apart, FedAvg("num_examples"), LAYOUT, {f"c{number}": 10 for number in range(5)})
    assert ": a process of its own holds the key; it opens one sum a round over" in protection_in_words(found)[0]


def test_a_long_key_needs_no_warning() -> None:
    lines = protection_in_words(encrypted(insecure_key_bits=None)[1])
    assert "key of 3,072 bits (djn), 1 ciphertext an update, 153 slots of 20 bits in each" in lines[0]
    assert not any("factored" in line for line in lines)


def test_the_shortest_key_has_room_for_the_largest_sum_that_can_be_configured() -> None:
    """Codes of 32 bits, 2**31 - 1 clients: 63 bits and a guard bit, of the 127 of a plaintext."""
    largest = (2**31 - 1) * (2**32 - 2)
    assert Packing(size=1, sum_bits=largest.bit_length(), plaintext_bits=127).slots_per_plaintext == 1


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
