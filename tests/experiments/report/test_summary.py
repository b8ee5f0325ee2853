import json
from pathlib import Path
from typing import Any

import pytest

from experiments.report.summary import RunSummary, condense, markdown, read_result
from fedgdl.errors import ConfigError


def result(**more: Any) -> dict[str, Any]:
    """Returns what a run of three rounds, tested after the second, leaves."""
    record = {"status": "done", "seconds": 1.5, "accuracy": None, "loss": None, "clients": [{"client_id": "bob"}] * 4}
    rounds = [{**record, "round_index": 1}, {**record, "round_index": 2, "accuracy": 0.75, "loss": 0.5}]
    config = {"task": "spam", "until_accuracy": 0.7}
    return {
        "name": "mine",
        "status": "done",
        "rounds": [*rounds, {**record, "round_index": 3}],
        "config": config,
        "data_description": "mails",
        "data_is_synthetic": True,
        "first_training_time": 1.0,
        "rounds_to_target": 1.75,
        "baselines": {"central": {"accuracy": 0.8}, "local": {"accuracy": 0.5, "clients": [{"client_id": "bob"}]}},
        **more,
    }


def test_a_summary_takes_the_last_evaluated_round_and_all_seconds() -> None:
    summary = RunSummary.of(result())
    assert (summary.accuracy, summary.loss, summary.num_rounds, summary.seconds) == (0.75, 0.5, 3, 4.5)
    assert (summary.central_accuracy, summary.local_accuracy) == (0.8, 0.5)
    assert summary.central_gap == pytest.approx(5.0)
    assert summary.cells() == (
        "mine (generated data)",
        "3",
        "4",
        "75.00%",
        "0.5000",
        "80.00%",
        "+5.00",
        "50.00%",
        "70%: 1.8 rounds",
    )


def test_a_target_that_was_not_reached_and_a_run_that_was_interrupted_are_told() -> None:
    cells = RunSummary.of(result(rounds_to_target=None, status="interrupted")).cells()
    assert (cells[1], cells[-1]) == ("3 (interrupted)", "70%: not reached")


def test_a_condensed_result_says_nothing_of_single_clients_and_the_same_otherwise() -> None:
    condensed = condense(result())
    assert "client_id" not in json.dumps(condensed)
    assert [record["num_clients"] for record in condensed["rounds"]] == [4, 4, 4]
    assert RunSummary.of(condensed) == RunSummary.of(result())
    assert condense(condensed) == condensed


def test_a_markdown_table_has_a_row_a_run() -> None:
    lines = markdown([RunSummary.of(result()), RunSummary.of(result(name="yours"))]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {10}
    assert lines[3].startswith("| yours (generated data) | 3 | 4 | 75.00% |")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1, "rounds": 3}', '{"name": "x", "status": "done"'])
def test_what_is_no_result_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ConfigError, match=r"result\.json"):
        read_result(tmp_path)


def test_a_folder_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no result\.json; name the folder of a finished run"):
        read_result(tmp_path)
    with pytest.raises(ConfigError, match="there is no file or folder nowhere; name the folder of a finished run"):
        read_result(Path("nowhere"))
