"""The coordinator's rounds, and what it makes of payloads, against a scripted transport."""

import itertools
import logging
from typing import Any

import numpy as np
import pytest
from federation import make_data
from scene import SIZES, START, Scene, mean_of, result, terms
from scripted_engine import Dies

from fedgdl.config import StrategyConfig, TrainingConfig
from fedgdl.errors import DataError, RunFailed
from fedgdl.federated import evaluate, sample_cohort
from fedgdl.wire import (
    ClientFailed,
    TrainResult,
    TrainStarted,
    encode,
)


def test_a_round_in_which_all_goes_well() -> None:
    scene = Scene(keep=True).started()
    record = scene.coordinator.run_round(1)
    np.testing.assert_allclose(scene.vector, mean_of("ann", "ben", "cat"), rtol=1e-15)
    assert (record.round_index, record.status) == (1, "done")
    assert [(client.client_id, client.status, client.num_examples) for client in record.clients] == [
        ("ann", "done", 4),
        ("ben", "done", 6),
        ("cat", "done", 5),
    ]
    assert (record.clients[0].train_loss, record.clients[0].train_accuracy) == (0.25, 0.75)
    metrics = evaluate(scene.federation.task, scene.federation.model, scene.federation.data.test)
    assert (record.loss, record.accuracy) == (metrics.loss, metrics.accuracy)
    assert sorted(scene.answered) == [(1, "ann", True), (1, "ben", True), (1, "cat", True)]
    assert sorted(payload.client_id for payload in scene.recorder.payloads) == ["ann", "ben", "cat"]
    np.testing.assert_array_equal(scene.recorder.parameters[1], START)


def test_tasks_carry_the_plan_the_round_and_parameters_that_can_be_read() -> None:
    scene = Scene().started()
    scene.coordinator.run_round(7)
    assert {worker_id for worker_id, _ in scene.engine.tasks} == {1, 2, 3}
    for task in scene.train_tasks:
        assert (task.common, [client.message for client in task.clients]) == (b"", [b""])
        assert (task.round_index, task.plan) == (7, scene.federation.experiment.training)
        where = task.parameters
        np.testing.assert_array_equal(scene.federation.slots.read(where.slot, where.version, where.sha256), START)


def test_tasks_carry_the_learning_rate_that_has_decayed_until_their_round() -> None:
    scene = Scene(training=TrainingConfig(0.5, learning_rate_decay=0.25, momentum=0.9)).started()
    for round_index in (1, 2, 3):
        scene.coordinator.run_round(round_index)
    rates = {task.round_index: task.plan.learning_rate for task in scene.train_tasks}
    assert rates == {1: 0.5, 2: 0.125, 3: 0.03125}
    assert {task.plan.momentum for task in scene.train_tasks} == {0.9}


def test_a_round_after_which_no_test_is_due_has_no_loss_and_no_accuracy() -> None:
    scene = Scene(rounds=3, evaluate_every=2).started()
    records = [scene.coordinator.run_round(round_index) for round_index in (1, 2, 3)]
    assert [record.loss is None for record in records] == [True, False, False]
    assert [record.accuracy is None for record in records] == [True, False, False]
    metrics = evaluate(scene.federation.task, scene.federation.model, scene.federation.data.test)
    assert (records[2].loss, records[2].accuracy) == (metrics.loss, metrics.accuracy)


def test_each_round_starts_from_the_model_of_the_one_before() -> None:
    scene = Scene().started()
    for round_index in (1, 2, 3):
        assert scene.coordinator.run_round(round_index).status == "done"
    np.testing.assert_allclose(scene.vector, START + 3 * (mean_of("ann", "ben", "cat") - START), rtol=1e-15)


def test_updates_are_added_in_the_order_of_ids_not_of_arrival() -> None:
    """1e16 + 1 - 1e16 is 0 or 1 in float64, depending on the order of the two additions."""
    values = {"ann": 1e16, "ben": 1.0, "cat": -1e16}
    vectors = set()
    for order in itertools.permutations(values):
        scene = Scene().started()
        scene.lines = {name: result(name, terms=terms((value, 0, 0))) for name, value in values.items()}
        scene.arrival = order
        assert scene.coordinator.run_round(1).status == "done"
        assert [client_id for _, client_id, _ in scene.answered] == list(order)
        vectors.add(scene.vector.tobytes())
    assert len(vectors) == 1


def test_a_clients_own_failure_is_told_in_its_words() -> None:
    scene = Scene().started()
    scene.lines["ben"] = encode(ClientFailed(1, "ben", "has no examples to train on"))
    record = scene.coordinator.run_round(1)
    assert [(client.client_id, client.reason) for client in record.failures] == [("ben", "has no examples to train on")]
    assert record.status == "done"


def test_every_client_raising_ends_the_run() -> None:
    scene = Scene().started()
    scene.lines = {name: encode(ClientFailed(2, name, "KeyError: 'x'", is_defect=True)) for name in SIZES}
    with pytest.raises(RunFailed, match="the training of every client of round 2 raised; KeyError: 'x'"):
        scene.coordinator.run_round(2)
    np.testing.assert_array_equal(scene.vector, START)


def test_all_but_one_raising_does_not() -> None:
    scene = Scene().started()
    scene.lines = {name: encode(ClientFailed(1, name, "KeyError: 'x'", is_defect=True)) for name in ("ann", "ben")}
    assert scene.coordinator.run_round(1).status == "done"
    scene.lines["cat"] = encode(ClientFailed(2, "cat", "no data"))
    scene.lines |= {name: encode(ClientFailed(2, name, "KeyError: 'x'", is_defect=True)) for name in ("ann", "ben")}
    assert scene.coordinator.run_round(2).status == "failed"


def test_too_few_updates_fail_the_round_and_leave_the_model() -> None:
    scene = Scene(strategy=StrategyConfig(weighting="equal", min_updates=3)).started()
    scene.lines["ben"] = Dies()
    record = scene.coordinator.run_round(1)
    assert record.status == "failed"
    np.testing.assert_array_equal(scene.vector, START)
    assert [client.status for client in record.clients] == ["done", "failed", "done"]
    metrics = evaluate(scene.federation.task, scene.federation.model, scene.federation.data.test)
    assert (record.loss, record.accuracy) == (metrics.loss, metrics.accuracy)
    del scene.lines["ben"]
    assert scene.coordinator.run_round(2).status == "done"


def test_who_is_missing_is_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene().started()
    scene.lines["ben"] = Dies("killed by SIGKILL")
    scene.coordinator.run_round(1)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["round 1: no update of ben: its worker was lost: killed by SIGKILL"]


def test_one_reason_is_warned_of_once_and_logged_for_each_client(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene().started()
    scene.lines = {name: encode(ClientFailed(1, name, "no data")) for name in ("ann", "ben")}
    with caplog.at_level(logging.INFO, "server"):
        scene.coordinator.run_round(1)
    told = [(record.levelname, record.getMessage()) for record in caplog.records if "no update" in record.msg]
    assert told == [
        ("WARNING", "round 1: no update of ann: no data ... and 1 more client for the same reason"),
        ("INFO", "round 1: no update of ben: no data"),
    ]


def test_bytes_are_those_of_the_frames_and_of_a_vector_for_each_client() -> None:
    scene = Scene().started()
    up, down = scene.engine.bytes_up, scene.engine.bytes_down
    assert (up, down) == (3 * len(scene.ready()), 0)
    assert scene.recorder.bytes_up == up
    for round_index in (1, 2):
        record = scene.coordinator.run_round(round_index)
        assert record.bytes_up == scene.engine.bytes_up - up
        assert record.bytes_down == scene.engine.bytes_down - down + len(SIZES) * START.nbytes
        up, down = scene.engine.bytes_up, scene.engine.bytes_down
    assert scene.engine.bytes_up == sum(
        [
            3 * len(scene.ready()),
            *(len(encode(TrainStarted(index, client_id))) for client_id in SIZES for index in (1, 2)),
            *(len(result(client_id, index)) for client_id in SIZES for index in (1, 2)),
        ]
    )


def test_the_cohort_is_sampled_from_seed_and_round() -> None:
    names = [f"client-{number}" for number in range(9)]
    scene = Scene(data=make_data(dict.fromkeys(names, 2)), cohort_size=4).started()
    for round_index in (1, 2, 3):
        record = scene.coordinator.run_round(round_index)
        expected = sample_cohort(names, 4, seed=scene.federation.experiment.seed, round_index=round_index)
        assert tuple(client.client_id for client in record.clients) == expected


def test_ids_of_any_characters_go_through() -> None:
    names = ["é" * 200, "\n", "\x00", "🐟", "../../x", "%s {} $(x)", " ", "<b>", "worker 1", "\u202e"]
    record = Scene(data=make_data(dict.fromkeys(names, 2))).started().coordinator.run_round(1)
    assert [client.client_id for client in record.clients] == sorted(names)
    assert record.failures == ()


@pytest.mark.parametrize("name", ["", "x" * 201, "\ud800"], ids=ascii)
def test_an_id_that_cannot_be_sent_is_a_data_error(name: str) -> None:
    scene = Scene(data=make_data({"ann": 2, name: 2})).started()
    with pytest.raises(DataError, match="1 to 200 characters"):
        scene.coordinator.run_round(1)


def test_data_without_clients_is_a_data_error() -> None:
    scene = Scene(data=make_data({})).started()
    with pytest.raises(DataError, match="no clients"):
        scene.coordinator.run_round(1)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"terms": terms((1, np.nan, 0))}, "NaN or infinity in weighted_delta"),
        ({"terms": terms((1, np.inf, 0))}, "NaN or infinity in weighted_delta"),
        ({"terms": terms(weight=-np.inf)}, "NaN or infinity in weight"),
        ({"terms": terms((1, 2))}, "weighted_delta has 16 bytes, expected 24"),
        ({"terms": terms((1, 2, 3, 4))}, "weighted_delta has 32 bytes, expected 24"),
        ({"terms": terms() | {"weight": b"1"}}, "weight has 1 bytes, expected 8"),
        ({"terms": {"weight": terms()["weight"]}}, "expected the terms weight, weighted_delta, got weight"),
        ({"terms": terms() | {"more": b""}}, "expected the terms weight, weighted_delta, got more, weight"),
        ({"terms": {}}, "got none"),
        ({"train_loss": np.nan}, "training loss of nan"),
        ({"train_loss": np.inf}, "training loss of inf"),
        ({"train_accuracy": 1.5}, "payload cannot be read"),
        ({"train_accuracy": np.nan}, "payload cannot be read"),
        ({"num_examples": 0}, "payload cannot be read"),
    ],
)
def test_a_payload_that_cannot_be_used_is_left_out_by_name(changes: dict[str, Any], what: str) -> None:
    scene = Scene().started()
    scene.lines["ben"] = result("ben", **changes)
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ben"]
    assert what in record.failures[0].reason
    assert record.status == "done"
    np.testing.assert_allclose(scene.vector, mean_of("ann", "cat"), rtol=1e-15)
    assert scene.engine.replaced == []  # the worker did nothing wrong


@pytest.mark.parametrize("payload", [b"", b"nonsense", b"\xc1" * 50, b"\x91" * 5_000])
def test_a_payload_of_nonsense_is_left_out_by_name(payload: bytes) -> None:
    scene = Scene().started()
    scene.lines["ben"] = encode(TrainResult(1, "ben", payload))
    record = scene.coordinator.run_round(1)
    assert [(client.client_id, client.reason[:25]) for client in record.failures] == [
        ("ben", "its payload cannot be rea")
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": terms(weight=-5)},  # the weights' sum is -3
        {"terms": terms(weight=-2)},  # it is 0
        {"terms": terms((1.7e308, 0, 0), weight=-1.999999999999)},  # a division by almost nothing
    ],
)
def test_updates_that_give_no_usable_model_fail_the_round_and_leave_the_model(changes: dict[str, Any]) -> None:
    scene = Scene().started()
    scene.lines["ben"] = result("ben", **changes)
    record = scene.coordinator.run_round(1)
    assert record.status == "failed"
    np.testing.assert_array_equal(scene.vector, START)
    scene.lines = {}
    assert scene.coordinator.run_round(2).status == "done"


def test_a_payload_taken_back_may_leave_too_few() -> None:
    scene = Scene(strategy=StrategyConfig(weighting="equal", min_updates=3)).started()
    scene.lines["ben"] = result("ben", train_loss=np.nan)
    assert scene.coordinator.run_round(1).status == "failed"
    np.testing.assert_array_equal(scene.vector, START)
