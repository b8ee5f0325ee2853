"""Rounds of several stages, whatever is said in them: who is asked what, who drops out, and what is left."""

import itertools
import logging
from typing import Any

import numpy as np
import pytest
from federation import POISON, Points, PointsData, RaisingTask, make_data
from frames import Frames
from scripted_engine import Dies
from staged import SECRET_BYTES, SIZES, STAGES, TRAINS, StagedScene, expected_model

from fedgdl.config import AggregationConfig, EngineConfig, FaultConfig, FaultsConfig
from fedgdl.errors import RunFailed
from fedgdl.wire import (
    ClientFailed,
    ClientMessage,
    Codec,
    StageResult,
    StageTask,
    ToCoordinator,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerReady,
    encode,
)

ALL = tuple(SIZES)
SOON = EngineConfig(kind="inline", round_deadline_seconds=1e-9)


def test_a_round_in_which_all_goes_well() -> None:
    scene = StagedScene().started()
    expected = expected_model(scene, ALL)
    record = scene.coordinator.run_round(1)
    assert (record.status, record.reason) == ("done", "")
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()
    (attempt,) = scene.aggregation.attempts
    assert attempt.participants == dict.fromkeys(STAGES, ALL)
    assert (attempt.round_index, attempt.attempt, attempt.cohort) == (1, 1, ALL)
    assert sorted(scene.answered) == [(1, name, True) for name in ALL]
    assert [(client.client_id, client.status) for client in record.clients] == [(name, "done") for name in ALL]
    assert {(c.num_examples, c.train_loss, c.train_accuracy, c.reason) for c in record.clients} == {
        (None, None, None, "")
    }
    assert record.cohort == {"train_loss": 0.5}


def test_the_model_that_clients_are_told_to_train_from_is_the_one_that_the_round_was_opened_with() -> None:
    scene = StagedScene().started()
    scene.coordinator.run_round(1)
    told = {task.parameters.sha256 for _, task in scene.engine.tasks if isinstance(task, TrainTask)}
    assert told == {scene.aggregation.attempts[0].model_sha256}


def test_stages_are_recorded_with_their_answers_bytes_and_seconds() -> None:
    scene = StagedScene().started()
    scene.lines["share", "ben"] = [encode(ClientFailed(1, "ben", "it refuses"))]
    up = scene.recorder.bytes_up
    record = scene.coordinator.run_round(1)
    assert [(stage.name, stage.num_answers, stage.attempt) for stage in record.stages] == [
        ("advertise", 6, 1),
        ("share", 5, 1),
        ("masked input", 5, 1),
        ("unmask", 5, 1),
    ]
    assert sum(stage.bytes_up for stage in record.stages) == record.bytes_up == scene.recorder.bytes_up - up
    unmask = [len(encode(StageResult(1, "unmask", name, bytes(SECRET_BYTES)))) for name in ALL if name != "ben"]
    assert record.stages[3].bytes_up == sum(unmask)
    assert all(0 < stage.seconds < record.seconds for stage in record.stages)
    assert record.to_dict()["stages"][1]["num_answers"] == 5


def test_the_recorder_sees_each_stage_and_the_sum() -> None:
    scene = StagedScene().started()
    scene.coordinator.run_round(1)
    seen = {(payload.stage, payload.client_id) for payload in scene.recorder.payloads}
    assert seen == set(itertools.product(STAGES, ALL))
    assert scene.recorder.sums[1].num_clients == len(ALL)
    vectors = len(ALL) * scene.federation.parameters.layout.nbytes  # read once for training, not for each stage
    assert scene.recorder.bytes_down == scene.engine.bytes_down + vectors


def test_in_every_round_and_stage_clients_are_asked_where_their_secrets_are() -> None:
    scene = StagedScene(num_workers=3).started()
    for round_index in (1, 2, 3):
        assert scene.coordinator.run_round(round_index).failures == ()
    hosts: dict[tuple[int, str], set[int]] = {}
    for worker_id, task in scene.engine.tasks:
        for client in task.clients:
            hosts.setdefault((task.round_index, client.client_id), set()).add(worker_id)
    assert {len(workers) for workers in hosts.values()} == {1}


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_arrival_changes_a_bit(seed: int) -> None:
    scene = StagedScene(num_workers=3)
    poll, order = scene.engine.poll, np.random.default_rng(seed)

    def poll_shuffled(timeout_seconds: float | None) -> list[Any]:
        events = poll(timeout_seconds)
        return [events[position] for position in order.permutation(len(events))]

    scene.engine.poll = poll_shuffled  # type: ignore[method-assign]
    scene.started()
    expected = expected_model(scene, ALL)
    assert scene.coordinator.run_round(1).status == "done"
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_lost_in_a_stage_costs_its_clients_and_no_others(stage: str) -> None:
    """Three workers host two clients each: ann and ben, cat and dan, eve and fay; that of cat and dan dies at dan."""
    scene = StagedScene(num_workers=3).started()
    scene.lines[stage, "dan"] = [Dies("killed by SIGKILL")]
    gone = {"advertise": {"cat"}, "share": {"cat", "dan"}, "masked input": {"dan"}, "unmask": set()}[stage]
    expected = expected_model(scene, set(ALL) - gone)
    record = scene.coordinator.run_round(1)
    assert record.status == "done"
    assert {client.client_id for client in record.failures} == gone  # at first dan is asked again, elsewhere
    assert {client.reason for client in record.failures} <= {"its worker was lost: killed by SIGKILL"}
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()
    assert sorted(scene.answered) == [(1, name, name not in gone) for name in ALL]
    behind = STAGES[STAGES.index(stage) + 1 :]
    for later in behind:
        left = {"cat"} if stage == "advertise" else {"cat", "dan"}
        assert set(scene.asked(later)) == set(ALL) - left


def test_who_answered_before_its_worker_was_lost_takes_part_in_the_next_stage_by_name_only() -> None:
    scene = StagedScene(num_workers=3).started()
    scene.lines[TRAINS, "dan"] = [Dies()]
    scene.coordinator.run_round(1)
    (attempt,) = scene.aggregation.attempts
    assert "cat" in attempt.participants["unmask"]
    assert "cat" not in scene.asked("unmask")


def test_who_leaves_after_training_is_done_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    scene = StagedScene().started()
    scene.lines["unmask", "ben"] = [encode(ClientFailed(1, "ben", "the lists of survivors differ"))]
    expected = expected_model(scene, ALL)
    record = scene.coordinator.run_round(1)
    assert record.failures == ()
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["round 1: ben left after its update had come: the lists of survivors differ"]


@pytest.mark.parametrize("stage", STAGES)
def test_too_few_answers_end_the_round_with_their_stage_and_leave_the_model(
    stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene = StagedScene().started()
    scene.aggregation.min_answers[stage] = 5
    for name in ("ann", "eve"):
        scene.lines[stage, name] = [encode(ClientFailed(1, name, "it refuses"))]
    before = scene.federation.parameters.vector.tobytes()
    record = scene.coordinator.run_round(1)
    came = "updates came" if stage == TRAINS else f"clients answered in the stage {stage!r}"
    assert (record.status, record.reason) == ("failed", f"4 {came}, 5 are needed")
    assert caplog.records[-1].getMessage() == f"round 1 failed: {record.reason}; the model stays as it was"
    assert scene.federation.parameters.vector.tobytes() == before
    assert [stage.name for stage in record.stages] == list(STAGES[: STAGES.index(stage) + 1])
    assert scene.recorder.sums == {}
    reasons = {client.client_id: client.reason for client in record.failures}
    if stage == "unmask":
        assert reasons == {}
        return
    refused = dict.fromkeys(("ann", "eve"), "it refuses")
    ended = f"the round ended with the stage {stage!r}, before it was to train"
    others = {} if stage == TRAINS else dict.fromkeys(set(ALL) - {"ann", "eve"}, ended)
    assert reasons == refused | others
    assert scene.coordinator.run_round(2).status == "done"


def test_a_failed_round_is_tried_again_as_often_as_allowed(caplog: pytest.LogCaptureFixture) -> None:
    scene = StagedScene(aggregation=AggregationConfig(max_attempts=3)).started()
    scene.aggregation.min_answers["share"] = 6
    expected = expected_model(scene, ALL)
    scene.lines["share", "ben"] = [Dies()]  # said once: in the first attempt
    record = scene.coordinator.run_round(1)
    assert (record.status, record.reason, record.failures) == ("done", "", ())
    assert [attempt.attempt for attempt in scene.aggregation.attempts] == [1, 2]
    assert {attempt.model_sha256 for attempt in scene.aggregation.attempts} == {
        scene.aggregation.attempts[0].model_sha256
    }
    assert [(stage.attempt, stage.name) for stage in record.stages] == [
        (1, "advertise"),
        (1, "share"),
        *((2, name) for name in STAGES),
    ]
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()
    (warning,) = [record.getMessage() for record in caplog.records if "tried again" in record.getMessage()]
    assert warning.startswith("round 1, attempt 1 failed: ")
    assert warning.endswith("clients answered in the stage 'share', 6 are needed; it is tried again")


def test_whoever_watches_hears_of_each_client_once_a_round_however_often_it_is_tried() -> None:
    scene = StagedScene(aggregation=AggregationConfig(max_attempts=3)).started()
    scene.aggregation.fails["finish"] = "the shares do not fit together"
    scene.lines["share", "ben"] = [encode(ClientFailed(1, "ben", "it refuses"))]  # said once: in the first attempt
    for round_index in (1, 2):
        scene.coordinator.run_round(round_index)
    assert sorted(scene.answered) == [
        (round_index, name, (round_index, name) != (1, "ben")) for round_index in (1, 2) for name in ALL
    ]


def test_no_round_is_tried_more_often_than_allowed() -> None:
    scene = StagedScene(aggregation=AggregationConfig(max_attempts=3)).started()
    scene.aggregation.fails["finish"] = "the shares do not fit together"
    record = scene.coordinator.run_round(1)
    assert (record.status, record.reason) == ("failed", "the shares do not fit together")
    assert [attempt.attempt for attempt in scene.aggregation.attempts] == [1, 2, 3]
    assert len(record.stages) == 3 * len(STAGES)
    assert record.cohort == {}


@pytest.mark.parametrize("why", ["too few answer", "what they open is no sum"])
def test_no_round_is_tried_again_once_its_sum_may_have_been_opened(why: str) -> None:
    """The sums of two attempts, one over a client more than the other, would give that client's update away."""
    scene = StagedScene(aggregation=AggregationConfig(max_attempts=3)).started()
    scene.aggregation.opens = "unmask"
    if why == "too few answer":
        scene.aggregation.min_answers["unmask"] = 6
        scene.lines["unmask", "ben"] = [Dies()]
    else:
        scene.aggregation.fails["finish"] = "the shares do not fit together"
    assert scene.coordinator.run_round(1).status == "failed"
    assert [attempt.attempt for attempt in scene.aggregation.attempts] == [1]


@pytest.mark.parametrize("stage", STAGES)
def test_an_aggregation_that_cannot_go_on_ends_the_round(stage: str) -> None:
    scene = StagedScene().started()
    scene.aggregation.fails[stage] = "two clients have the same key"
    record = scene.coordinator.run_round(1)
    assert (record.status, record.reason) == ("failed", "two clients have the same key")
    assert scene.asked(stage) == []
    del scene.aggregation.fails[stage]
    assert scene.coordinator.run_round(2).status == "done"


@pytest.mark.parametrize("stage", STAGES)
def test_an_answer_that_cannot_be_used_ends_its_clients_part(stage: str) -> None:
    scene = StagedScene().started()
    scene.aggregation.refuses[stage, "cat"] = "its answer cannot be read"
    record = scene.coordinator.run_round(1)
    assert record.status == "done"
    assert [client.client_id for client in record.failures] == ([] if stage == "unmask" else ["cat"])
    assert ((1, "cat", True) in scene.answered) == (stage == "unmask")
    assert ((1, "cat", False) in scene.answered) == (stage != "unmask")
    for later in STAGES[STAGES.index(stage) + 1 :]:
        assert "cat" not in scene.asked(later)


def test_the_deadline_holds_for_each_stage() -> None:
    """Each worker answers at once, so its stage's deadline, which has passed by then, finds nobody late."""
    scene = StagedScene(num_workers=3, engine=SOON).started()
    assert scene.coordinator.run_round(1).status == "done"
    assert scene.engine.replaced == []
    scene.lines["share", "dan"] = [encode(TrainStarted(1, "zoe"))]  # neither an answer nor silence
    expected = expected_model(scene, set(ALL) - {"cat", "dan"}, round_index=2)
    record = scene.coordinator.run_round(2)
    reasons = {client.client_id: client.reason for client in record.failures}
    assert reasons == {
        "dan": "it had not answered when the deadline of the stage 'share' passed",
        "cat": "its worker was lost: it did not answer before the deadline",
    }
    assert len(scene.engine.replaced) == 1
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()


def test_a_vector_that_comes_too_late_is_not_in_the_sum(caplog: pytest.LogCaptureFixture) -> None:
    """The worker that was replaced for its silence had sent it, after all."""
    scene = StagedScene(num_workers=3, engine=SOON).started()
    scene.lines[TRAINS, "dan"] = [encode(TrainStarted(1, "dan"))]
    late = encode(TrainResult(1, "dan", bytes(SECRET_BYTES + 24)))
    scene.engine.after_replace = {worker_id: [late] for worker_id in (1, 2, 3)}
    expected = expected_model(scene, set(ALL) - {"dan"})
    with caplog.at_level(logging.INFO, "server"):
        record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["dan"]
    assert scene.federation.parameters.vector.tobytes() == expected.tobytes()
    assert "round 1: answers dropped: {'late': 1}" in caplog.text


def test_no_longer_than_the_deadline_are_workers_waited_for_that_are_not_ready() -> None:
    scene = StagedScene(num_workers=2, engine=SOON).started()
    scene.silent = {3}
    scene.lines["unmask", "ann"] = [Dies()]
    assert scene.coordinator.run_round(1).status == "done"
    record = scene.coordinator.run_round(2)
    assert (record.status, record.failures) == ("done", ())
    assert {worker_id for worker_id, task in scene.engine.tasks if task.round_index == 2} == {2}


def test_a_round_is_not_begun_before_all_workers_are_ready() -> None:
    scene = StagedScene(num_workers=2).started()
    scene.silent = {3}
    scene.lines["unmask", "ann"] = [Dies()]
    scene.coordinator.run_round(1)
    with pytest.raises(AssertionError, match="the coordinator would wait for ever"):
        scene.coordinator.run_round(2)
    scene.engine.say(3, scene.workers[3].ready())
    assert scene.coordinator.run_round(2).status == "done"
    assert {worker_id for worker_id, task in scene.engine.tasks if task.round_index == 2} == {2, 3}


def test_a_client_that_answers_for_another_is_not_heard() -> None:
    scene = StagedScene(num_workers=3).started()
    scene.lines["share", "ann"] = [encode(StageResult(1, "share", "dan", b"x")), encode(ClientFailed(1, "ann", "no"))]
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ann"]


def test_all_clients_raising_in_a_stage_end_the_run() -> None:
    scene = StagedScene().started()
    for name in ALL:
        scene.lines["share", name] = [encode(ClientFailed(1, name, "its answer raised", is_defect=True))]
    with pytest.raises(RunFailed, match="answer to the stage 'share' of every client of round 1 raised; its answer"):
        scene.coordinator.run_round(1)


# What the coordinator hears of clients


def test_no_count_loss_or_detail_of_a_client_is_on_the_wire() -> None:
    """All that comes is read here: nothing but names, stages, payloads of a fixed size and a few fixed words."""
    data = make_data(SIZES)
    shards = {
        **data.shards,
        "ben": Points(np.zeros((0, 2)), np.zeros(0)),  # no examples
        "cat": Points(np.ones((2, 2)), np.full(2, POISON)),  # its training raises
        "dan": Points(np.zeros((3, 2)), np.full(3, 1e200)),  # its loss overflows
    }
    faults = FaultsConfig((FaultConfig("nan", "eve", round=1), FaultConfig("infinity", "fay", round=1)))
    task, recorder = RaisingTask(PointsData(shards, data.test)), Frames()
    scene = StagedScene(2, task, recorder, faults=faults).started()
    record = scene.coordinator.run_round(1)
    codec: Codec[Any] = Codec(ToCoordinator, 100_000)
    expected_reasons = {
        "ben": ("it has no usable examples", False),
        "cat": ("its training raised", True),
        **dict.fromkeys(("dan", "eve", "fay"), ("its update is not finite", False)),
    }
    for frame in recorder.frames:
        match codec.decode(frame):
            case WorkerReady() | TrainStarted():
                pass
            case StageResult(payload=payload):
                assert len(payload) == SECRET_BYTES
            case TrainResult(payload=payload, client_id=client_id):
                assert (len(payload), client_id) == (SECRET_BYTES + 24, "ann")
            case ClientFailed(client_id=client_id, reason=reason, is_defect=is_defect):
                assert (reason, is_defect) == expected_reasons[client_id]
            case other:
                pytest.fail(f"what is this? {other}")
    told = {client.client_id: client.reason for client in record.failures}
    assert told == {client_id: reason for client_id, (reason, _) in expected_reasons.items()}


def test_what_a_client_caught_is_told_in_full(caplog: pytest.LogCaptureFixture) -> None:
    scene = StagedScene().started()
    mixed_up = StageTask(1, "share", (ClientMessage("ann", b"share to ben"),), b"share")
    scene.lines["share", "ann"] = scene.workers[1].handle(encode(mixed_up))  # when its turn comes
    record = scene.coordinator.run_round(1)
    assert [(client.client_id, client.reason) for client in record.failures] == [
        ("ann", "client 'ann' was told what is meant for others")
    ]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ["round 1: no update of ann: client 'ann' was told what is meant for others"]
