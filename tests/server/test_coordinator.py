"""The coordinator against a scripted transport: what it does with whatever workers send, or do not send."""

import itertools
import logging
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from federation import LineTask, PointsData, make_data, make_experiment, make_federation
from scripted_engine import Dies, Reply, ScriptedEngine

from fedgdl.config import EngineConfig, StrategyConfig
from fedgdl.errors import DataError, EngineError, RunFailed
from fedgdl.federated import evaluate, sample_cohort
from fedgdl.wire import (
    ClientFailed,
    PlainUpdate,
    TrainResult,
    TrainTask,
    WorkerFailed,
    WorkerReady,
    encode,
    encode_struct,
)
from server.coordinator import Coordinator, Federation
from server.recorder import Recorder

START = np.array([0.5, -0.5, 0.25])
DELTAS = {"ann": np.array([1.0, 0, 0]), "ben": np.array([0, 2.0, 0]), "cat": np.array([0, 0, 3.0])}
SIZES = {"ann": 4, "ben": 6, "cat": 5}
SOON = EngineConfig(kind="inline", round_deadline_seconds=1e-9)


class Scene:
    """A coordinator, and workers that do well unless a test gives them other lines.

    Attributes:
        lines: client id -> what its worker says instead of a good result.
        greetings: worker id -> what it says at its start instead of being ready.
        arrival: if set, the order of the clients in which their results come, once all have been asked for.
        answered: what the coordinator told whoever watches.
    """

    def __init__(
        self, num_workers: int = 3, data: PointsData | None = None, *, keep: bool = False, **changes: Any
    ) -> None:
        self.engine = ScriptedEngine(num_workers, self.greet, self.answer)
        self.lines: dict[str, Reply | Iterable[Reply]] = {}
        self.greetings: dict[int, Iterable[Reply]] = {}
        self.arrival: tuple[str, ...] = ()
        self.holders: dict[str, int] = {}
        task = LineTask(data if data is not None else make_data(SIZES))
        experiment = make_experiment(**{"strategy": StrategyConfig(weighting="equal"), **changes})
        self.recorder = Recorder(keep=keep)
        self.federation: Federation = make_federation(self.engine, experiment, task, self.recorder)
        self.federation.parameters.load(START)
        self.answered: list[tuple[int, str, bool]] = []
        self.coordinator = Coordinator(self.federation, lambda *args: self.answered.append(args))

    @property
    def vector(self) -> npt.NDArray[Any]:
        """The model."""
        return self.federation.parameters.vector

    def started(self) -> "Scene":
        self.coordinator.start()
        return self

    def ready(self, **changes: str) -> bytes:
        message = WorkerReady(self.federation.parameters.layout.digest, self.federation.data.fingerprint)
        return encode(msgspec.structs.replace(message, **changes))

    def greet(self, worker_id: int) -> Iterable[Reply]:
        return self.greetings.get(worker_id, [self.ready()])

    def answer(self, worker_id: int, task: TrainTask) -> Iterable[Reply]:
        if self.arrival:
            self.holders |= dict.fromkeys(task.client_ids, worker_id)
            for client_id in self.arrival if len(self.holders) == len(self.arrival) else ():
                reply = self.lines[client_id]
                assert isinstance(reply, bytes)
                self.engine.say(self.holders[client_id], reply)
            return
        for client_id in task.client_ids:
            lines = self.lines.get(client_id, result(client_id, task.round_index))
            yield from [lines] if isinstance(lines, bytes | Dies) else lines


def result(client_id: str, round_index: int = 1, **changes: Any) -> bytes:
    """Returns the frame of a client's result, with some of its payload's fields changed."""
    delta = DELTAS.get(client_id, np.ones(3))
    terms = {"weighted_delta": delta.tobytes(), "weight": np.array([1.0]).tobytes()}
    update = PlainUpdate(terms, SIZES.get(client_id, 1), train_loss=0.25, train_accuracy=0.75)
    update = msgspec.structs.replace(update, **changes)
    return encode(TrainResult(round_index, client_id, encode_struct(update)))


def terms(delta: npt.ArrayLike = (1.0, 0, 0), weight: float = 1.0) -> dict[str, bytes]:
    return {
        "weighted_delta": np.array(delta, "float64").tobytes(),
        "weight": np.array([weight], "float64").tobytes(),
    }


def mean_of(*client_ids: str) -> npt.NDArray[np.float64]:
    mean: npt.NDArray[np.float64] = np.mean([DELTAS[client_id] for client_id in client_ids], axis=0)
    return START + mean


def spoilt(frame: bytes) -> bytes:
    return frame[:-1] + bytes([frame[-1] ^ 1])


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
    for _, task in scene.engine.tasks:
        assert (task.round_index, task.plan) == (7, scene.federation.experiment.training)
        where = task.parameters
        np.testing.assert_array_equal(scene.federation.slots.read(where.slot, where.version, where.sha256), START)


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


def test_a_good_frame_behind_a_bad_one_counts_while_its_worker_is_on_its_way_out() -> None:
    scene = Scene().started()
    scene.lines["ben"] = [b"nonsense", result("ben")]
    record = scene.coordinator.run_round(1)
    assert record.failures == ()
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
    assert sorted(client_id for _, task in scene.engine.tasks for client_id in task.client_ids) == sorted(SIZES)


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


def test_a_worker_that_cannot_load_its_task_ends_the_run() -> None:
    scene = Scene()
    scene.greetings = {2: [encode(WorkerFailed("DataMissing: no enron here"))]}
    with pytest.raises(EngineError, match="a worker cannot start: DataMissing: no enron here"):
        scene.coordinator.start()


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


def test_a_payload_taken_back_may_leave_too_few() -> None:
    scene = Scene(strategy=StrategyConfig(weighting="equal", min_updates=3)).started()
    scene.lines["ben"] = result("ben", train_loss=np.nan)
    assert scene.coordinator.run_round(1).status == "failed"
    np.testing.assert_array_equal(scene.vector, START)


def test_the_deadline_replaces_whoever_has_not_answered() -> None:
    scene = Scene(engine=SOON).started()
    scene.lines["ben"] = []
    record = scene.coordinator.run_round(1)
    assert [client.client_id for client in record.failures] == ["ben"]
    assert "deadline" in record.failures[0].reason
    ((slow, reason),) = scene.engine.replaced
    assert [task.client_ids for worker_id, task in scene.engine.tasks if worker_id == slow] == [("ben",)]
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
    with caplog.at_level(logging.INFO, "server.coordinator"):
        record = scene.coordinator.run_round(2)
    assert "round 2: answers dropped: {'late': 1}" in caplog.text
    assert len(record.failures) == 3
    np.testing.assert_array_equal(scene.vector, before)


def test_answers_that_nobody_asked_for_are_counted_and_dropped(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene().started()
    scene.lines["ben"] = [result("zoe"), result("ann"), result("ben"), result("ben")]
    with caplog.at_level(logging.INFO, "server.coordinator"):
        record = scene.coordinator.run_round(1)
    assert record.failures == ()
    assert "'duplicate': " in caplog.text
    assert "'not asked': 1" in caplog.text
    np.testing.assert_allclose(scene.vector, mean_of("ann", "ben", "cat"), rtol=1e-15)


def test_who_is_missing_is_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene().started()
    scene.lines["ben"] = Dies("killed by SIGKILL")
    scene.coordinator.run_round(1)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["round 1: no update of ben: its worker was lost: killed by SIGKILL"]


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
        [3 * len(scene.ready()), *(len(result(client_id, index)) for client_id in SIZES for index in (1, 2))]
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
