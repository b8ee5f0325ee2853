"""What the coordinator does about workers that are lost, late or mistaken, or talk nonsense; all of it scripted."""

import logging

import numpy as np
import pytest
from federation import make_data
from scene import SIZES, SOON, START, Scene, clients_of, mean_of, result, spoilt
from scripted_engine import Dies

from fedgdl.errors import EngineError
from fedgdl.wire import (
    WorkerFailed,
    encode,
)


def test_a_lost_worker_costs_its_client_and_the_others_make_the_model() -> None:
    scene = Scene().started()
    scene.lines["ben"] = Dies("killed by SIGKILL")
    record = scene.coordinator.run_round(1)
    assert record.status == "done"
    assert [client.reason for client in record.failures] == ["its worker was lost: killed by SIGKILL"]
    assert [client.client_id for client in record.failures] == ["ben"]
    np.testing.assert_allclose(scene.vector, mean_of("ann", "cat"), rtol=1e-15)
    assert (1, "ben", False) in scene.answered
    del scene.lines["ben"]
    assert scene.coordinator.run_round(2).failures == ()


def test_all_workers_lost_in_one_round_and_the_next_round_goes_on_with_new_ones() -> None:
    scene = Scene().started()
    scene.lines = dict.fromkeys(SIZES, Dies())
    assert scene.coordinator.run_round(1).status == "failed"
    np.testing.assert_array_equal(scene.vector, START)
    scene.lines = {}
    assert scene.coordinator.run_round(2).status == "done"
    assert {worker_id for worker_id, task in scene.engine.tasks if task.round_index == 2} == {4, 5, 6}


def test_what_a_worker_sent_before_it_was_lost_counts() -> None:
    scene = Scene(num_workers=1, data=make_data({f"c{number}": 2 for number in range(8)})).started()
    scene.lines["c1"] = Dies()  # its task holds ceil(8 / 4) = 2 clients: c0 and c1
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["c1"]


@pytest.mark.parametrize("frame", [spoilt(result("ben")), b"", b"FG", b"\x00" * 100, result("ben")[:-5]], ids=range(5))
def test_a_frame_that_cannot_be_read_dismisses_its_worker(frame: bytes) -> None:
    scene = Scene().started()
    scene.lines["ben"] = frame
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ben"]
    assert "sent a frame that cannot be read" in record.failures[0].reason
    assert len(scene.engine.replaced) == 1
    np.testing.assert_allclose(scene.vector, mean_of("ann", "cat"), rtol=1e-15)


def test_many_bad_frames_of_one_worker_dismiss_it_once() -> None:
    scene = Scene().started()
    scene.lines["ben"] = [spoilt(result("ben")), b"", b"more nonsense"]
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ben"]
    assert len(scene.engine.replaced) == 1
    assert scene.engine.num_started == 4


def test_what_comes_behind_a_bad_frame_does_not_count() -> None:
    """Or who fails would depend on how soon the worker's end is seen."""
    scene = Scene().started()
    scene.lines["ben"] = [b"nonsense", result("ben")]
    record = scene.coordinator.run_round(1)
    assert [failure.client_id for failure in record.failures] == ["ben"]
    assert len(scene.engine.replaced) == 1


def test_a_worker_that_sends_nonsense_before_it_is_ready_is_replaced_but_not_for_ever() -> None:
    scene = Scene(num_workers=1)
    scene.greetings = {1: [b"nonsense"], 2: [b"nonsense"]}
    scene.started()
    assert scene.engine.num_started == 3
    scene = Scene(num_workers=1)
    scene.greetings = {worker_id: [b"nonsense", b"more"] for worker_id in range(1, 90)}
    with pytest.raises(EngineError, match=r"3 workers in a row were lost before they were ready.*cannot be read"):
        scene.coordinator.start()


def test_ready_behind_nonsense_makes_no_worker_ready() -> None:
    scene = Scene(num_workers=1)
    scene.greetings = {worker_id: [b"nonsense", scene.ready()] for worker_id in range(1, 90)}
    with pytest.raises(EngineError, match="3 workers in a row"):
        scene.coordinator.start()
    assert scene.engine.num_started <= 4


def test_a_worker_that_is_ready_twice_gets_each_client_once() -> None:
    scene = Scene(num_workers=1)
    scene.greetings = {1: [scene.ready(), scene.ready()]}
    scene.started()
    assert scene.coordinator.run_round(1).status == "done"
    assert sorted(client_id for _, task in scene.engine.tasks for client_id in clients_of(task)) == sorted(SIZES)


def test_a_worker_that_cannot_load_its_task_ends_the_run() -> None:
    scene = Scene()
    scene.greetings = {2: [encode(WorkerFailed("DataMissing: no enron here"))]}
    with pytest.raises(EngineError, match="a worker gave up: DataMissing: no enron here"):
        scene.coordinator.start()


def test_a_worker_that_gives_up_after_it_was_dismissed_ends_nothing() -> None:
    """Even if it was the only one: another is on its way."""
    scene = Scene(num_workers=1, data=make_data({"ann": 4, "ben": 6})).started()
    scene.lines["ann"] = [b"nonsense", encode(WorkerFailed("OSError: what did I say?"))]
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ann"]
    assert {worker_id for worker_id, task in scene.engine.tasks if "ben" in clients_of(task)} == {2}


def test_a_worker_of_another_layout_ends_the_run() -> None:
    scene = Scene()
    scene.greetings = {2: [scene.ready(layout_sha256="0" * 64)]}
    with pytest.raises(EngineError, match="a model of another layout: does the task build it the same"):
        scene.coordinator.start()


def test_a_worker_with_other_data_ends_the_run() -> None:
    scene = Scene()
    scene.greetings = {2: [scene.ready(data_fingerprint="points-2")]}
    with pytest.raises(EngineError, match="loaded other data than the coordinator: does load_data give"):
        scene.coordinator.start()


def test_three_workers_lost_in_a_row_before_they_are_ready_end_the_run() -> None:
    scene = Scene(num_workers=1)
    scene.greetings = {worker_id: [Dies("it ended by itself with exit code 1")] for worker_id in range(1, 90)}
    with pytest.raises(
        EngineError, match=r"3 workers in a row were lost .* the last: it ended by itself with exit code 1"
    ):
        scene.coordinator.start()


def test_a_worker_that_gets_ready_starts_the_count_anew() -> None:
    scene = Scene(num_workers=1)
    scene.greetings = {worker_id: [Dies()] for worker_id in (1, 2, 4, 5)}
    scene.started()
    scene.lines["ann"] = Dies()  # ends worker 3; 4 and 5 are lost early, 6 is ready
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ann"]
    assert scene.engine.num_started == 6


def test_the_deadline_replaces_whoever_has_not_answered() -> None:
    scene = Scene(engine=SOON).started()
    scene.lines["ben"] = []
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ben"]
    assert "deadline" in record.failures[0].reason
    ((slow, reason),) = scene.engine.replaced
    assert [clients_of(task) for worker_id, task in scene.engine.tasks if worker_id == slow] == [("ben",)]
    assert "deadline" in reason
    np.testing.assert_allclose(scene.vector, mean_of("ann", "cat"), rtol=1e-15)
    assert all(timeout is not None and 0 <= timeout <= 1e-9 for timeout in scene.engine.polls[1:])


def test_the_deadline_also_ends_a_round_whose_worker_was_dismissed_before() -> None:
    """The scripted transport is not told of the loss at once, as a process that takes time to end."""
    scene = Scene(num_workers=1, data=make_data({"ann": 4}), engine=SOON).started()
    scene.lines["ann"] = b"nonsense"
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ann"]
    assert len(scene.engine.replaced) == 1


def test_clients_that_no_worker_came_round_to_fail_at_the_deadline() -> None:
    scene = Scene(num_workers=1, engine=SOON).started()
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ben", "cat"]
    assert scene.engine.replaced == []


def test_without_a_deadline_nothing_but_events_ends_the_wait() -> None:
    scene = Scene().started()
    scene.coordinator.run_round(1)
    assert set(scene.engine.polls) == {None}


def test_answers_of_a_former_round_are_counted_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(engine=SOON).started()
    scene.lines["ben"] = []
    scene.engine.after_replace = {worker_id: [result("ben", round_index=1)] for worker_id in (1, 2, 3)}
    scene.coordinator.run_round(1)
    before = scene.vector.copy()
    scene.lines = {name: [] for name in SIZES}
    with caplog.at_level(logging.INFO, "server"):
        record = scene.coordinator.run_round(2)
    assert "round 2: answers dropped: {'late': 1}" in caplog.text
    assert len(record.failures) == 3
    np.testing.assert_array_equal(scene.vector, before)


def test_answers_that_nobody_asked_for_are_counted_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene().started()
    scene.lines["ben"] = [result("zoe"), result("ann"), result("ben"), result("ben")]
    with caplog.at_level(logging.INFO, "server"):
        record = scene.coordinator.run_round(1)
    assert record.failures == ()
    assert "'duplicate': " in caplog.text
    assert "'not asked': 1" in caplog.text
    np.testing.assert_allclose(scene.vector, mean_of("ann", "ben", "cat"), rtol=1e-15)
