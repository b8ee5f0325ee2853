"""What is said of a run below its table."""

import dataclasses

import pytest
from federation import LineTask, make_data, make_experiment

from experiments import RunHistory, simulate
from experiments.report.words import failures_in_words, interruption_in_words, rounds_in_words
from fedgdl.federated import ClientRecord


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
