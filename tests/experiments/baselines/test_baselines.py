"""Baselines against federations that they must equal, and against their definition."""

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from federation import (
    DeadlyTask,
    LineTask,
    NowhereElseTask,
    PointsData,
    ThinnedLineTask,
    make_data,
    make_experiment,
    trained_by_hand,
)

from experiments import Callback, RunHistory, load_config, simulate, simulate_baselines
from experiments.baselines.alone import AloneWorker, rounds_alone
from experiments.baselines.central import Passes
from experiments.baselines.results import CentralBaseline, ClientScore, LocalBaseline
from fedgdl.config import EngineConfig, Experiment, TrainingConfig
from fedgdl.data import ArrayExamples
from fedgdl.errors import ConfigError, DataError, EngineError
from fedgdl.federated import sample_cohort
from fedgdl.progress import watched_by

ONE = LineTask(make_data({"ann": 11}))
FIVE = LineTask(make_data({"ann": 4, "ben": 6, "cat": 5, "dan": 2, "eve": 9}, num_test=40))
HARD = TrainingConfig(0.03125, 3, 4, shuffle=False, momentum=0.5, learning_rate_decay=0.75, weight_decay=0.01)


def central_and_local(
    experiment: Experiment, task: LineTask, history: RunHistory | None = None
) -> tuple[CentralBaseline, LocalBaseline]:
    found = simulate_baselines(experiment, task=task, history=history)
    central, local = found["central"], found["local"]
    assert isinstance(central, CentralBaseline)
    assert isinstance(local, LocalBaseline)
    return central, local


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_federation_of_one_client_is_its_own_baseline(drop_last: bool) -> None:
    """The sum of server and (client - server) rounds, so equal up to float64's last digits."""
    training = dataclasses_replace(HARD, drop_last=drop_last)
    experiment = make_experiment(training=training, rounds=4)
    history = simulate(experiment, task=ONE)
    central, local = central_and_local(experiment, ONE, history)
    assert [point.round_index for point in central.points] == [1, 2, 3, 4]
    for point, record in zip(central.points, history.rounds, strict=True):
        assert point.loss == pytest.approx(record.loss, rel=1e-12)
        assert point.accuracy == record.accuracy
    (score,) = local.clients
    assert score.loss == pytest.approx(history.rounds[-1].loss, rel=1e-12)
    assert score.accuracy == history.rounds[-1].accuracy
    visits = 4 * 3 * (8 if drop_last else 11)
    assert [history.num_visits, central.num_visits, local.num_visits, score.num_visits] == [visits] * 4


def test_a_client_alone_keeps_the_shuffles_and_dropouts_that_it_has_in_the_federation() -> None:
    experiment = make_experiment(training=dataclasses_replace(HARD, shuffle=True), rounds=3)
    task = ThinnedLineTask(make_data({"ann": 11}))
    history = simulate(experiment, task=task)
    _, local = central_and_local(experiment, task, history)
    assert local.loss == pytest.approx(history.rounds[-1].loss, rel=1e-12)


def dataclasses_replace(plan: TrainingConfig, **changes: Any) -> TrainingConfig:
    import msgspec

    return msgspec.structs.replace(plan, **changes)


@pytest.mark.parametrize("cohort_size", [None, 2])
def test_the_central_model_sees_as_many_examples_as_the_cohorts(cohort_size: int | None) -> None:
    experiment = make_experiment(training=HARD, rounds=5, cohort_size=cohort_size, evaluate_every=2)
    history = simulate(experiment, task=FIVE)
    central, _ = central_and_local(experiment, FIVE, history)
    assert central.num_visits == history.num_visits
    assert [point.round_index for point in central.points] == [2, 4, 5]
    visits = np.cumsum([sum(client.num_examples * 3 for client in record.clients) for record in history.rounds])
    assert [point.num_visits for point in central.points] == [visits[1], visits[3], visits[4]]


def test_central_training_is_the_slow_loop_over_the_pooled_examples() -> None:
    """Two cohorts of two of five clients: passes go on from round to round, with batches cut where a round ends."""
    plan = TrainingConfig(0.02, 1, 4, shuffle=False)
    experiment = make_experiment(training=plan, rounds=2, cohort_size=2)
    central, _ = central_and_local(experiment, FIVE)
    data = FIVE.data
    names = sorted(data.shards)
    pooled = [
        np.concatenate([getattr(data.shards[name], column) for name in names]) for column in ("inputs", "targets")
    ]
    points = dataclasses.replace(data.shards["ann"], inputs=pooled[0], targets=pooled[1])
    vector, position, total = np.zeros(3), 0, len(points)
    for round_index in (1, 2):
        left = sum(len(data.shards[name]) for name in sample_cohort(names, 2, seed=12345, round_index=round_index))
        while left:
            stop = min(position + min(4, left), total)
            vector = trained_by_hand(points, vector, plan, [np.arange(position, stop)])
            left -= stop - position
            position = stop % total
    errors = data.test.inputs @ vector[:2] + vector[2] - data.test.targets
    assert central.loss == pytest.approx(float(np.mean(errors**2)), rel=1e-10)
    assert central.accuracy == np.mean(np.abs(errors) < 0.5)


def test_each_pass_has_a_new_order_and_sees_every_example_once() -> None:
    rows = np.arange(10)
    passes = Passes(ArrayExamples(rows, rows), TrainingConfig(0.1, batch_size=3), seed=4)
    seen = [int(row) for count in (7, 13, 10) for batch in passes.batches(count) for row in batch.inputs]
    orders = [seen[start : start + 10] for start in (0, 10, 20)]
    assert all(sorted(order) == rows.tolist() for order in orders)
    assert orders[0] != orders[1] != orders[2]
    with pytest.raises(DataError, match="less than one batch of 30"):
        Passes(ArrayExamples(rows, rows), TrainingConfig(0.1, batch_size=30, drop_last=True))


@pytest.mark.parametrize(
    ("num_rounds", "cohort_size", "num_clients", "rounds"),
    [
        (4, None, 9, [1, 2, 3, 4]),
        (4, 9, 9, [1, 2, 3, 4]),
        (10, 1, 5, [5, 10]),
        (10, 3, 10, [4, 7, 10]),
        (3, 1, 1_000, [3]),
    ],
)
def test_a_client_alone_trains_as_often_as_a_cohort_would_have_it(
    num_rounds: int, cohort_size: int | None, num_clients: int, rounds: list[int]
) -> None:
    assert rounds_alone(num_rounds, cohort_size, num_clients) == rounds


def test_scores_are_summed_up_by_examples_and_by_client() -> None:
    scores = [
        ClientScore("a", 10, 20, 1.0, 0.5),
        ClientScore("b", 30, 60, 2.0, 0.9),
        ClientScore("c", 0, 0, reason="x"),
    ]
    scores.append(ClientScore("d", 60, 120, 0.5, 0.1))
    local = LocalBaseline(4, scores)
    assert local.accuracy == pytest.approx((10 * 0.5 + 30 * 0.9 + 60 * 0.1) / 100, rel=1e-12)
    assert local.loss == pytest.approx((10 * 1.0 + 30 * 2.0 + 60 * 0.5) / 100, rel=1e-12)
    assert local.num_visits == 200
    assert local.spread() == {"mean": statistics.fmean([0.5, 0.9, 0.1]), "min": 0.1, "median": 0.5, "max": 0.9}
    assert (LocalBaseline(1).accuracy, LocalBaseline(1).spread()) == (None, {})


def without_seconds(baseline: LocalBaseline) -> dict[str, Any]:
    return {name: value for name, value in baseline.to_dict().items() if name != "seconds"}


def test_worker_processes_give_the_numbers_of_the_inline_worker() -> None:
    config = {"task": "federation:ThinnedLineTask", "training": dataclasses_replace(HARD, shuffle=True), "rounds": 2}
    inline = simulate_baselines(make_experiment(**config))
    processes = simulate_baselines(make_experiment(**config, engine=EngineConfig(workers=2)))
    local, other = inline["local"], processes["local"]
    assert isinstance(local, LocalBaseline)
    assert isinstance(other, LocalBaseline)
    assert without_seconds(other) == without_seconds(local)
    assert [score.client_id for score in local.clients] == ["ann", "ben", "cat"]
    assert all(score.accuracy is not None for score in local.clients)
    one, two = inline["central"], processes["central"]
    assert (one.loss, one.accuracy, one.num_visits) == (two.loss, two.accuracy, two.num_visits)


def test_a_client_that_cannot_train_is_left_out_with_its_reason() -> None:
    task = LineTask(make_data({"ann": 8, "ben": 1, "cat": 6}))
    experiment = make_experiment(training=TrainingConfig(0.1, batch_size=4, shuffle=False, drop_last=True))
    _, local = central_and_local(experiment, task)
    assert [score.accuracy is None for score in local.clients] == [False, True, False]
    assert "less than one batch" in local.clients[1].reason
    assert local.num_visits == 3 * (8 + 4)


def test_training_that_diverges_is_told_and_has_no_score() -> None:
    experiment = make_experiment(training=TrainingConfig(1e6, epochs=200, batch_size=4))
    central, local = central_and_local(experiment, FIVE)
    assert central.status == "failed"
    assert local.status == "failed"
    assert {score.reason for score in local.clients} == {"its model holds NaN or infinity"}
    assert local.accuracy is None
    json.dumps([central.to_dict(), local.to_dict()], allow_nan=False)


def test_a_task_that_raises_costs_its_client_alone() -> None:
    class Picky(LineTask):
        def count_correct(self, prediction: Any, batch: Any) -> int:
            if len(batch) == 9:
                message = "nine is too many"
                raise ArithmeticError(message)
            return super().count_correct(prediction, batch)

    experiment = make_experiment(training=TrainingConfig(0.1, batch_size=9))
    worker = AloneWorker(experiment, Picky(FIVE.data), 2)
    assert worker.score("eve").reason == "ArithmeticError: nine is too many"
    assert worker.score("ann").accuracy is not None


def test_a_reason_that_cannot_be_sent_as_it_is_costs_its_client_alone() -> None:
    class Nameless(PointsData):
        def client(self, client_id: str) -> Any:
            if client_id == "eve":
                message = "the file \udcff is damaged" + "!" * 200_000  # a character that UTF-8 cannot express
                raise DataError(message)
            return super().client(client_id)

    task = LineTask(Nameless(FIVE.data.shards, FIVE.data.test))
    found = simulate_baselines(make_experiment(rounds=1), ["local"], task=task)["local"]
    assert isinstance(found, LocalBaseline)
    assert found.clients[-1].reason.startswith(r"the file \udcff is damaged!")
    assert [score.accuracy is None for score in found.clients] == [False, False, False, False, True]


def test_a_worker_that_dies_costs_the_client_it_trained_alone() -> None:
    experiment = make_experiment(training=TrainingConfig(0.1, batch_size=9), engine=EngineConfig(workers=2))
    found = simulate_baselines(experiment, ["local"], task=DeadlyTask(FIVE.data))["local"]
    assert isinstance(found, LocalBaseline)
    assert found.status == "done"
    assert [score.client_id for score in found.clients] == ["ann", "ben", "cat", "dan", "eve"]
    assert [score.accuracy is None for score in found.clients] == [False, False, False, False, True]
    assert found.clients[-1].reason.startswith("its worker was lost: ")


def test_workers_that_cannot_load_the_data_end_the_baseline_in_their_words() -> None:
    experiment = make_experiment(engine=EngineConfig(workers=1))
    history = simulate(make_experiment(), task=FIVE)
    with pytest.raises(EngineError, match="a worker gave up: DataError: the points are elsewhere"):
        simulate_baselines(experiment, ["local"], history=history, task=NowhereElseTask(FIVE.data))
    assert history.baselines["local"].status == "failed"


def test_an_interrupt_keeps_what_is_done() -> None:
    """The watcher is called before each step: at the fourth call three are done."""
    experiment = make_experiment(training=HARD, rounds=5)
    for kind, done in (("central", lambda found: len(found.points)), ("local", lambda found: len(found.clients))):
        history = simulate(experiment, task=FIVE)

        def interrupt(_what: str, num_done: int, _total: int) -> None:
            if num_done == 3:
                raise KeyboardInterrupt

        with watched_by(interrupt), pytest.raises(KeyboardInterrupt):
            simulate_baselines(experiment, [kind], history=history, task=FIVE)  # type: ignore[list-item]
        baseline = history.baselines[kind]
        assert (baseline.status, done(baseline)) == ("interrupted", 3)
        assert history.to_dict()["baselines"][kind]["status"] == "interrupted"


def test_callbacks_hear_of_the_beginning_and_of_the_end_however_it_comes() -> None:
    events: list[Any] = []

    class Diary(Callback):
        def baselines_started(self, history: RunHistory) -> None:
            events.append(dict(history.baselines))

        def baselines_finished(self, history: RunHistory) -> None:
            events.append({kind: found.status for kind, found in history.baselines.items()})

    history = simulate(make_experiment(), task=FIVE)
    simulate_baselines(make_experiment(), history=history, task=FIVE, callbacks=[Diary()])
    assert events == [{}, {"central": "done", "local": "done"}]

    class Unpoolable(LineTask):
        def load_data(self, experiment: Experiment) -> PointsData:
            return Lists(self.data.shards, self.data.test)

    events.clear()
    history = simulate(make_experiment(), task=FIVE)
    with pytest.raises(DataError, match="cannot be pooled"):
        simulate_baselines(make_experiment(), history=history, task=Unpoolable(FIVE.data), callbacks=[Diary()])
    assert events == [{}, {"central": "failed"}]


class Lists(PointsData):
    """Hands its clients' points out in lists."""

    def client(self, client_id: str) -> Any:
        return [self.shards[client_id]]


@pytest.mark.parametrize("kinds", [["centre"], ["central", "both"]])
def test_an_unknown_baseline_is_refused(kinds: Sequence[Any]) -> None:
    with pytest.raises(ConfigError, match="known: central, local"):
        simulate_baselines(make_experiment(), kinds, task=FIVE)


def test_baselines_of_other_data_than_the_run_s_are_refused() -> None:
    history = simulate(make_experiment(), task=FIVE)
    other = LineTask(dataclasses.replace(FIVE.data, fingerprint="points-2"))
    with pytest.raises(DataError, match="the data have changed"):
        simulate_baselines(make_experiment(), history=history, task=other)


def test_a_run_without_a_round_has_no_baselines() -> None:
    history = simulate(make_experiment(), task=FIVE)
    history.rounds.clear()
    with pytest.raises(ConfigError, match="no finished round"):
        simulate_baselines(make_experiment(), history=history, task=FIVE)


def test_a_worker_with_other_data_ends_the_local_baseline() -> None:
    class Drifting(LineTask):
        def load_data(self, experiment: Experiment) -> PointsData:
            self.data = dataclasses.replace(self.data, fingerprint=self.data.fingerprint + "+")
            return self.data

    with pytest.raises(EngineError, match="other data: does load_data give the same every time"):
        simulate_baselines(make_experiment(), ["local"], task=Drifting(FIVE.data))


def test_bags_of_words_are_pooled_and_central_training_is_the_better_for_it() -> None:
    """The e-mails are generated from one distribution: five small shares of it learn less than the whole."""
    overrides = ["data.source=synthetic-mail", "data.examples=1500", "rounds=4", "engine.kind=inline"]
    config = load_config("spam", [*overrides, "data.partition={kind='iid', clients=5}"])
    found = simulate_baselines(config)
    central, local = found["central"], found["local"]
    assert central.num_visits == local.num_visits == 4 * 1_200
    assert central.accuracy is not None
    assert local.accuracy is not None
    assert central.accuracy > local.accuracy + 0.01
    assert not math.isnan(central.loss or math.nan)
