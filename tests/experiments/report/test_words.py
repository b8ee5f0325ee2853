"""What is said of a run below its table."""

import dataclasses

import pytest
from federation import LineTask, make_data, make_experiment

from experiments import RunHistory, simulate
from experiments.report.words import (
    estimate_in_words,
    failures_in_words,
    interruption_in_words,
    losses_in_words,
    rounds_in_words,
    stages_in_words,
)
from fedgdl.config import AggregationConfig, EngineConfig
from fedgdl.federated import ClientRecord, RoundRecord, StageRecord


@pytest.fixture
def history() -> RunHistory:
    """Returns four rounds, tested after the second and the fourth."""
    task = LineTask(make_data({"ann": 4, "ben": 6, "cat": 5}))
    return simulate(make_experiment(rounds=4, evaluate_every=2), task=task)


def test_whole_rounds_are_counted_and_others_said_to_be_interpolated() -> None:
    assert [rounds_in_words(rounds) for rounds in (1.0, 7.0, 33.62, 1.5)] == [
        "1 round",
        "7 rounds",
        "33.6 rounds, interpolated between tests",
        "1.5 rounds, interpolated between tests",
    ]


@pytest.mark.parametrize(
    ("num_rounds", "words"),
    [
        (0, "Interrupted; 0 finished rounds are kept."),
        (1, "Interrupted; 1 finished round is kept. The model after round 1 was not tested; none was."),
        (2, "Interrupted; 2 finished rounds are kept."),
        (
            3,
            (
                "Interrupted; 3 finished rounds are kept. The model after round 3 was not tested; "
                "the last test was after round 2."
            ),
        ),
    ],
)
def test_an_interrupted_run_says_whether_its_last_model_was_tested(
    num_rounds: int, words: str, history: RunHistory
) -> None:
    history.rounds = history.rounds[:num_rounds]
    assert interruption_in_words(history) == words


def test_missing_updates_have_a_line_for_each_round_and_reason(history: RunHistory) -> None:
    assert failures_in_words(history) == []
    gone = {"ann": "late", "ben": "no data", "cat": "late", "dan": "late"}
    clients = tuple(ClientRecord(name, "failed", reason=reason) for name, reason in gone.items())
    history.rounds = [dataclasses.replace(record, clients=clients) for record in history.rounds]
    assert failures_in_words(history)[:3] == [
        "round 1: without ann: late ... and 2 more clients for the same reason",
        "round 1: without ben: no data",
        "round 2: without ann: late ... and 2 more clients for the same reason",
    ]
    history.rounds = [dataclasses.replace(history.rounds[0], round_index=index) for index in range(1, 9)]
    lines = failures_in_words(history)  # ten lines of rounds 1 to 5; in each of 6 to 8 there are four more
    assert len(lines) == 11
    assert lines[-1] == "... and 12 more missing updates; see history.jsonl"


def encoded_round(cohort: dict[str, float]) -> RoundRecord:
    return RoundRecord(3, "done", None, None, 1.0, 0, 0, (), cohort=cohort)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.003, "0.3 %"), (0.25, "25.0 %"), (0.00001234, "0.001 %"), (0.001, "0.1 %")],
)
def test_what_was_clipped_is_told_with_what_to_do(share: float, words: str) -> None:
    (line,) = losses_in_words(encoded_round({"clipped_share": share}), AggregationConfig("secagg"))
    assert line == (
        f"round 3: {words} of the weights' changes were clipped at aggregation.clip = 1: raise it or accept the loss"
    )


def test_clients_that_count_for_less_than_they_have_are_told() -> None:
    (line,) = losses_in_words(encoded_round({"weight_capped": 0.5}), AggregationConfig("secagg", max_weight=64))
    assert line == (
        "round 3: 50.0 % of the clients have more examples than aggregation.max_weight = 64 "
        "and count as if they had so many"
    )


def test_nothing_is_told_where_nothing_was_lost() -> None:
    assert (
        losses_in_words(encoded_round({"clipped_share": 0.0, "weight_capped": 0.0}), AggregationConfig("secagg")) == []
    )
    assert losses_in_words(encoded_round({}), AggregationConfig()) == []


def test_the_time_of_several_stages_is_summed_over_rounds_and_one_stage_needs_no_words(history: RunHistory) -> None:
    assert stages_in_words(history) == ""
    stages = (StageRecord("advertise", 0.25, 3, 100), StageRecord("masked input", 0.5, 3, 900))
    history.rounds = [dataclasses.replace(record, seconds=1.0, stages=stages) for record in history.rounds]
    assert stages_in_words(history) == "time by stage: advertise 1.00 s, masked input 2.00 s; the rest 1.00 s"


def test_a_failed_round_is_told_with_its_reason(history: RunHistory) -> None:
    history.rounds[1] = dataclasses.replace(history.rounds[1], status="failed", reason="2 updates came, 3 are needed")
    assert failures_in_words(history) == ["round 2 failed: 2 updates came, 3 are needed"]


def staged(answers: list[int], status: str = "done") -> RoundRecord:
    names = ["advertise", "share", "masked input", "consistency", "unmask"]
    stages = tuple(StageRecord(name, 0.1, count, 10) for name, count in zip(names, answers, strict=False))
    return RoundRecord(2, status, None, None, 1.0, 0, 0, (), stages=stages)  # type: ignore[arg-type]


def test_clients_that_left_after_their_update_came_are_counted(history: RunHistory) -> None:
    history.rounds = [staged([6, 6, 5, 5, 4])]  # the one missing before has a record of its own
    assert failures_in_words(history) == [
        "round 2: 1 client left after their update had come, in the stage 'unmask'; run.log names them"
    ]
    history.rounds = [staged([6, 6, 6, 6, 6])]
    assert failures_in_words(history) == []


@pytest.mark.parametrize(
    ("workers", "status", "answers", "is_told"),
    [
        (2, "failed", [6, 6, 6, 3], True),
        (6, "failed", [6, 6, 6, 3], False),
        (2, "done", [6, 6, 6, 3], False),
        (2, "failed", [6, 6, 6, 5], False),
    ],
)
def test_a_round_lost_with_a_shared_worker_has_a_remedy(
    history: RunHistory, workers: int, status: str, answers: list[int], is_told: bool
) -> None:
    history.experiment = make_experiment(
        cohort_size=6, aggregation=AggregationConfig("secagg"), engine=EngineConfig("processes", workers=workers)
    )
    history.rounds = [staged(answers, status)]
    lines = failures_in_words(history)
    assert ("6 clients shared 2 workers; --workers 6 gives each client its own" in lines) == is_told


def test_an_estimate_is_told_in_units_that_fit() -> None:
    seconds = {"key": 0.4, "prepare": 1.83, "encrypt": 672.0, "add": 140.0, "open": 7_400.0}
    estimate = {
        "seconds": 8_074.3,
        "cpu_seconds": 33.3,
        "workers": 3,
        "cores": 1,
        "bytes_up_per_client": 478_096,
        "bytes_up": 4_302_864_000,
        "table_bytes": 39_714_816,
        **{f"{name}_seconds": value for name, value in seconds.items()},
    }
    assert estimate_in_words(estimate) == [
        (
            "estimate: encryption takes 2.2 h with 3 workers on 1 core, 33 s of CPU (the key 0.40 s, tables 1.8 s, "
            "encrypting 11 min, adding 2.3 min, opening 2.1 h); training comes on top"
        ),
        "estimate: 478 kB up a client and round, 4.3 GB in all; tables of 39.7 MB in each worker's memory",
    ]
