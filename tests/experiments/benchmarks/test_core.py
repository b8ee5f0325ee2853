from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from experiments.benchmarks.core import report, run
from experiments.benchmarks.core.by_hand import by_hand
from experiments.benchmarks.core.comparison import TOLERANCE, TOLERANCE_WITH_BENDS, check_agreement
from experiments.benchmarks.core.with_fedgdl import with_fedgdl
from experiments.benchmarks.core.workload import Batch, Side, Weights, Workload
from experiments.benchmarks.core.workloads import WORKLOADS
from experiments.benchmarks.tables import core_table
from fedgdl.errors import ConfigError, RunFailed

EACH_WORKLOAD = pytest.mark.parametrize(
    "workload",
    [
        pytest.param(
            workload,
            id=workload.name,
            marks=[pytest.mark.slow] if workload.name in {"mcmahan-b50", "char-lstm"} else [],
        )
        for workload in WORKLOADS
    ],
)
BY_NAME = {workload.name: workload for workload in WORKLOADS}
CHEAP = ["relu-mlp-b1", "babi-b100"]


class Spoilt:
    """A side whose steps, or reported losses, are off by something."""

    def __init__(self, side: Side, spoil: Callable[[Weights], None] = lambda _: None, loss_factor: float = 1) -> None:
        self._side, self._spoil, self._loss_factor = side, spoil, loss_factor

    def prepare(self, batch: Batch) -> Batch:
        return self._side.prepare(batch)

    def step(self, *batch: Any) -> float:
        loss = self._side.step(*batch) * self._loss_factor
        self._spoil(self._side.weights())
        return loss

    def weights(self) -> Weights:
        return self._side.weights()


def drawn(workload: Workload, seed: int = 1) -> tuple[Weights, list[Batch]]:
    rng = np.random.default_rng(seed)
    return workload.draw_weights(rng), [workload.draw_batch(rng) for _ in range(2)]


def test_the_rows_are_the_fourteen_workloads_in_order() -> None:
    assert [workload.name for workload in WORKLOADS] == [
        *("mlp-b100", "mlp-b10", "mlp-b1", "relu-mlp-b1", "cnn-b128", "mcmahan-b10", "mcmahan-b50"),
        *("spam-b500", "imdb-b1", "imdb-b32", "char-rnn", "char-lstm", "babi-b100", "babi-b250"),
    ]


def test_the_convolutional_network_has_as_many_weights_as_the_paper_says() -> None:
    start = BY_NAME["mcmahan-b10"].draw_weights(np.random.default_rng(1))
    assert sum(array.size for array in start.values()) == 1_663_370


@pytest.mark.parametrize("name", ["spam-b500", "imdb-b1", "imdb-b32"])
def test_bags_hold_distinct_words(name: str) -> None:
    token_ids, offsets, labels = BY_NAME[name].draw_batch(np.random.default_rng(1))
    bags = np.split(token_ids, offsets[1:-1])
    assert [len(np.unique(bag)) for bag in bags] == [len(bag) for bag in bags]
    assert len(bags) == len(labels) == BY_NAME[name].batch_size
    assert token_ids.size == {"imdb-b1": 283, "imdb-b32": 8_399}.get(name, token_ids.size)


@EACH_WORKLOAD
def test_by_hand_and_fedgdl_take_the_same_steps(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_has_torch", lambda: False)
    with report.single_threaded():
        contest = report.agreeing(workload)
    assert contest.sides.keys() == {"by hand", "fedgdl"}
    assert 0 < contest.largest_difference <= (TOLERANCE_WITH_BENDS if workload.has_bends else TOLERANCE)
    assert all(array.dtype == np.float32 for side in contest.sides.values() for array in side.weights().values())


@EACH_WORKLOAD
def test_pytorch_takes_the_same_steps_in_each_variant(workload: Workload) -> None:
    pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    with report.single_threaded():
        contest = report.agreeing(workload)
    assert contest.torch_sides
    assert contest.largest_difference <= (TOLERANCE_WITH_BENDS if workload.has_bends else TOLERANCE)


@EACH_WORKLOAD
def test_start_weights_and_batches_stay_as_they_were(workload: Workload) -> None:
    start, batches = drawn(workload)
    for array in [*start.values(), *batches[0]]:
        array.flags.writeable = False
    for make in (by_hand, with_fedgdl):
        side = make(workload, start)
        assert all(np.array_equal(array, start[name]) for name, array in side.weights().items())
        side.step(*side.prepare(batches[0]))


def test_a_side_that_does_too_little_fails() -> None:
    workload = BY_NAME["mlp-b10"]
    start, batches = drawn(workload)

    def keep_bias(weights: Weights) -> None:
        weights["hidden.bias"][...] = start["hidden.bias"]

    sides = {"by hand": by_hand(workload, start), "lazy": Spoilt(by_hand(workload, start), keep_bias)}
    with pytest.raises(RunFailed, match=r"lazy and by hand differ after the same 6 steps: hidden\.bias by 1 of"):
        check_agreement(sides, start, batches)
    with pytest.raises(RunFailed, match=r"left hidden\.bias where it was"):
        check_agreement(dict(reversed(sides.items())), start, batches)


def test_a_side_that_reports_another_loss_or_none_fails() -> None:
    workload = BY_NAME["mlp-b10"]
    start, batches = drawn(workload)
    for factor, wrong in ((1.01, "0.01"), (float("nan"), "nan")):
        sides = {"by hand": by_hand(workload, start), "liar": Spoilt(by_hand(workload, start), loss_factor=factor)}
        with pytest.raises(RunFailed, match=rf"liar and by hand differ .* the loss of step \d by {wrong}"):
            check_agreement(sides, start, batches)


def test_a_wrong_step_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(workload: Workload, start: Weights) -> Side:
        return Spoilt(with_fedgdl(workload, start), loss_factor=1.1)

    monkeypatch.setattr(report, "with_fedgdl", wrong)
    with pytest.raises(RunFailed, match="fedgdl and by hand differ"):
        run(["relu-mlp-b1"], repeats=1)  # has bends: several draws are tried, and all of them fail


def test_a_report_has_medians_ratios_and_goals() -> None:
    result = run([*reversed(CHEAP)], repeats=3)
    assert [row.name for row in result.rows] == CHEAP
    for row in result.rows:
        assert row.repeats == 3
        assert 0 < row.by_hand.tenth_us <= row.by_hand.median_us
        assert row.fedgdl_over_by_hand == row.fedgdl.median_us / row.by_hand.median_us
        assert row.is_by_hand_goal_met == (row.fedgdl_over_by_hand <= 1.25)
        assert 0 < row.largest_difference < result.tolerance_with_bends
        assert row.by_hand_peak_bytes > 0
        assert row.fedgdl_peak_bytes > 0
    assert all(info["num_threads"] == 1 for info in result.blas)
    assert {"machine", "versions", "blas", "rows", "dtype"} <= result.to_dict().keys()
    assert core_table(result).row_count == 2


def test_without_pytorch_its_columns_stay_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_has_torch", lambda: False)
    (row,) = run(["relu-mlp-b1"], repeats=1).rows
    assert row.torch is row.torch_variant is row.torch_over_fedgdl is row.is_torch_goal_met is None


def test_an_unknown_row_is_told_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="no row is called 'mlp-b11'; did you mean mlp-b1"):
        run(["mlp-b11"])
    with pytest.raises(ConfigError, match="at least 1 repeat, got 0"):
        run(["mlp-b1"], repeats=0)
