from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from experiments.benchmarks.flower import load_flower
from experiments.benchmarks.secagg import _row, run
from experiments.benchmarks.secagg_cohort import MeasuredCohort
from experiments.benchmarks.secagg_report import RoundRow, SecaggReport
from experiments.benchmarks.tables import secagg_rounds_table, secagg_table
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.federated import CohortSums

STAGES = ["advertise", "share", "masked input", "consistency", "unmask"]
FEW_DIGITS = (
    "data.source=synthetic-digits",
    "data.train_examples=60",
    "data.partition.clients=4",
    "cohort_size=4",
    "model.hidden=[4]",
    "engine.kind=inline",
)


@pytest.fixture(scope="module")
def report() -> SecaggReport:
    return run(repeats=1, size=2000, cohort_size=10, rounds=[("four clients", FEW_DIGITS)])


def test_each_part_is_measured_and_compared_with_numpy(report: SecaggReport) -> None:
    rows = {row.name: row for row in report.rows}
    assert list(rows) == ["mask", "encoding", "masking", "client", "server-add", "server-unmask", "server-wall"]
    for name in ("mask", "encoding", "masking", "server-add", "server-unmask"):
        assert any("NumPy" in reference.name for reference in rows[name].references)
    for row in report.rows:
        assert row.fedgdl.median_us > 0
        for reference in row.references:
            assert reference.over_fedgdl == reference.median_us / row.fedgdl.median_us
    assert {"rows", "rounds", "machine", "versions", "has_vaes", "load_average"} <= report.to_dict().keys()
    assert {"cryptography", "gmpy2"} <= report.versions.keys()


def test_masks_stand_beside_the_bare_key_stream_as_bytes_a_second(report: SecaggReport) -> None:
    row = report.rows[0]
    assert row.references[0].name == "the key stream alone"
    assert row.gigabytes_per_second == pytest.approx(2000 * 4 / (row.fedgdl.median_us * 1e-6) / 1e9)


def test_a_client_s_round_is_told_by_stages(report: SecaggReport) -> None:
    client, unmask = report.rows[3], report.rows[5]
    assert sorted(client.parts) == sorted(STAGES)
    assert client.fedgdl.median_us == pytest.approx(sum(client.parts.values()))  # of a single round
    assert unmask.fedgdl.median_us == pytest.approx(sum(unmask.parts.values()))
    assert "10 clients of which 1 were lost" in unmask.what


def test_goals_are_for_a_million_weights_alone(report: SecaggReport) -> None:
    assert all(row.is_goal_met is None for row in report.rows)
    assert all(reference.is_goal_met is None for row in report.rows for reference in row.references)


def test_rounds_say_where_their_time_goes(report: SecaggReport) -> None:
    (row,) = report.rounds
    assert row.num_rounds == 2  # one of three, in each of two runs
    assert row.ratio == row.secagg_seconds / row.plain_seconds
    assert row.is_goal_met == (row.ratio <= 2)
    assert list(row.stages) == STAGES
    assert row.rest_seconds >= 0
    assert row.secagg_seconds == pytest.approx(sum(row.stages.values()) + row.rest_seconds, rel=0.5)


def test_goals_are_compared_with_medians() -> None:
    seconds = {"fedgdl": [0.2, 0.1, 0.3], "Flower": [2.0], "NumPy": [0.1]}
    row = _row("x", "x", seconds, most_us=200_000, least={"Flower": 9.9})
    assert row.fedgdl.median_us == pytest.approx(200_000)
    assert row.is_goal_met is True
    assert [reference.over_fedgdl for reference in row.references] == pytest.approx([10, 0.5])
    assert [reference.is_goal_met for reference in row.references] == [True, None]
    missed = _row("x", "x", seconds, most_us=199_999, least={"Flower": 10.1})
    assert (missed.is_goal_met, missed.references[0].is_goal_met) == (False, False)


def test_tables_hold_every_row_and_its_verdict(report: SecaggReport) -> None:
    goals = [replace(row, most_us=1.0, is_goal_met=False) for row in report.rows]
    round_row = RoundRow("all", 8, 1.0, 2.5, 2.5, 2.0, is_goal_met=False, stages={"share": 1.25}, rest_seconds=0.125)
    shown = replace(report, rows=tuple(goals), rounds=(round_row,))
    console = Console(file=StringIO(), width=160)
    console.print(secagg_table(shown))
    console.print(secagg_rounds_table(shown))
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    assert text.count("<= 0.001 ms missed") == len(report.rows)
    assert all(reference.name in text for row in report.rows for reference in row.references)
    for figure in ("2.50 missed", "1.250", "0.125"):
        assert figure in text
    console.print(secagg_rounds_table(replace(report, rounds=())))


def test_other_clients_are_lost_in_each_round_and_the_sum_is_checked() -> None:
    cohort = MeasuredCohort(num_clients=10, size=50)
    lost = []
    for _ in range(3):
        times = cohort.play(num_lost=2)
        lost.append(cohort._lost(2))
        assert {stage: len(seconds) for stage, seconds in times.server.items()} == {
            stage: 10 if stage in {"advertise", "share"} else 8 for stage in STAGES
        }
    assert len(set(lost)) == 3
    assert all(len(clients) == 2 and "client-00000" not in clients for clients in lost)
    right = cohort.encoding.decode(cohort.encoding.encode(cohort.update).vector, 1)
    cohort._check(right, 1)
    wrong = CohortSums({**right.sums, "weight": np.array([1.0])}, 1, right.means)
    with pytest.raises(RunFailed, match="is not the sum of their updates"):
        cohort._check(wrong, 1)


def test_no_repeats_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 repeat, got 0"):
        run(repeats=0)


@pytest.mark.slow
def test_flower_s_functions_are_timed_where_they_are_installed() -> None:
    flower = load_flower()
    if flower is None:
        pytest.skip("needs flwr: pip install flwr==1.41.0")
    for step in (flower.masking(2, 100), flower.sharing(2, 2), flower.encoding(np.zeros(100, np.float32))):
        step(0)
    assert flower.unmasking_seconds(num_clients=4, num_lost=1, threshold=3, size=100, repeats=1) > 0
