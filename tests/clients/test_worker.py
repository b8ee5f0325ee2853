"""The worker's logic, frame by frame, without pipes or processes."""

import itertools
import logging
from typing import Any

import msgspec
import numpy as np
import pytest
from federation import (
    POISON,
    Bench,
    LineTask,
    Points,
    PointsData,
    RaisingTask,
    make_data,
    make_experiment,
    model_at,
    publish,
)
from hypothesis import given
from hypothesis import strategies as st

from clients.worker import MAX_TASK_FRAME_BYTES, Worker, error_in_words
from fedgdl.config import Experiment, StrategyConfig, TrainingConfig
from fedgdl.errors import ConfigError, DataError, EngineError, FedgdlError, WireError
from fedgdl.federated import make_strategy, train_client
from fedgdl.seeding import stream
from fedgdl.wire import (
    MAX_CLIENTS_PER_TASK,
    MAX_REASON_CHARACTERS,
    ClientFailed,
    Codec,
    Shutdown,
    ToCoordinator,
    TrainStarted,
    WorkerReady,
    encode,
)

NAMES = ("ann", "ben", "cat")
START = np.array([0.5, -0.5, 0.25])
SHUFFLED = TrainingConfig(learning_rate=0.05, epochs=2, batch_size=2, shuffle=True)


def bench(task: LineTask | None = None, training: TrainingConfig = SHUFFLED, dtype: str = "float64") -> Bench:
    experiment = make_experiment(training=training, dtype=dtype)
    return Bench(experiment, task if task is not None else LineTask(), START.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_are_those_of_training_by_hand(dtype: str) -> None:
    one = bench(dtype=dtype)
    answers = one.answers(NAMES, round_index=5)
    assert [(answer.round_index, answer.client_id) for answer in answers] == [(5, name) for name in NAMES]
    task = LineTask()
    strategy = make_strategy(StrategyConfig())
    for answer in answers:
        model, parameters = model_at(task, one.experiment, START.astype(dtype))
        rng = stream(one.experiment.seed, "shuffle", round_index=5, client_id=answer.client_id)
        points = task.data.client(answer.client_id)
        update = train_client(task, model, parameters, points, SHUFFLED, rng)
        for name, term in strategy.terms(update).items():
            assert one.terms(answer)[name].tobytes() == term.tobytes()


def test_neither_order_nor_company_nor_worker_changes_a_bit() -> None:
    alone = {name: bench().answers([name])[0].payload for name in NAMES}
    one = bench()
    for order in itertools.permutations(NAMES):
        answers = one.answers(order)
        assert {answer.client_id: answer.payload for answer in answers} == alone


def test_the_parameters_sent_are_trained_from_not_what_the_last_client_left() -> None:
    one = bench()
    first = one.answers(["ann"])[0].payload
    assert one.answers(["ann"])[0].payload == first
    one.reference = publish(one.slots, np.zeros(3))
    assert one.answers(["ann"])[0].payload != first


def test_answers_come_one_by_one_as_clients_are_done() -> None:
    one = bench()
    frames = one.worker.handle(encode(one.task(NAMES)))
    assert one.codec.decode(next(frames)) == TrainStarted(1, "ann")
    assert one.codec.decode(next(frames)) == one.answers(["ann"])[0]


def test_it_says_what_it_has_loaded() -> None:
    one = bench()
    message = one.codec.decode(one.worker.ready())
    assert message == WorkerReady(one.worker.layout.digest, "points-1")


def test_a_shutdown_ends_it_without_an_answer() -> None:
    one = bench()
    assert not one.worker.is_shut_down
    assert list(one.worker.handle(encode(Shutdown()))) == []
    assert one.worker.is_shut_down


@pytest.mark.parametrize("frame", [b"", b"nonsense", b"FG\x01\x00" + bytes(20)])
def test_a_frame_that_is_no_task_is_a_wire_error(frame: bytes) -> None:
    with pytest.raises(WireError):
        list(bench().worker.handle(frame))


def test_a_message_to_the_coordinator_is_no_message_to_a_worker() -> None:
    one = bench()
    with pytest.raises(WireError):
        list(one.worker.handle(one.worker.ready()))


def test_the_longest_task_fits_into_a_frame() -> None:
    names = tuple(f"{number:04}" + "🐟" * 196 for number in range(MAX_CLIENTS_PER_TASK))
    one = bench()
    frame = encode(one.task(names))
    assert len(frame) <= MAX_TASK_FRAME_BYTES
    assert len(list(one.worker.handle(frame))) == 2 * MAX_CLIENTS_PER_TASK  # each begins and answers


@pytest.mark.parametrize("field", ["sha256", "version"])
def test_parameters_other_than_announced_are_an_engine_error(field: str) -> None:
    one = bench()
    wrong = {"sha256": "0" * 64, "version": one.reference.version + 2}[field]
    one.reference = msgspec.structs.replace(one.reference, **{field: wrong})
    with pytest.raises(EngineError, match=r"SHA-256 differs|holds version"):
        one.answers(["ann"])


def test_a_bit_that_flipped_in_the_shared_parameters_is_noticed() -> None:
    one = bench()
    one.slots._slots[one.reference.slot].view(np.uint8)[3] ^= 1
    with pytest.raises(EngineError, match="SHA-256 differs"):
        one.answers(["ann"])


def test_a_worker_without_parameters_is_a_mistake_of_its_caller() -> None:
    one = bench()
    with pytest.raises(RuntimeError, match="must be attached"):
        list(Worker(one.experiment, LineTask()).handle(encode(one.task(["ann"]))))


def failed(one: Bench, client_id: str) -> ClientFailed:
    """Trains ann, a client in trouble and ben; returns what is said of the one in trouble."""
    good, bad, also_good = one.answers(["ann", client_id, "ben"])
    assert isinstance(bad, ClientFailed)
    assert (bad.round_index, bad.client_id) == (1, client_id)
    expected = {name: bench(training=one.experiment.training).answers([name])[0] for name in ("ann", "ben")}
    assert (good, also_good) == (expected["ann"], expected["ben"])
    return bad


def test_an_unknown_client_fails_by_name() -> None:
    failure = failed(bench(), "zoe")
    assert (failure.reason, failure.is_defect) == ("there is no client 'zoe'", False)


def with_client(client_id: str, points: Points) -> PointsData:
    data = make_data({"ann": 4, "ben": 6, "cat": 5})
    return PointsData({**data.shards, client_id: points}, data.test)


def test_a_client_without_examples_fails_with_what_to_check() -> None:
    failure = failed(bench(LineTask(with_client("dan", Points(np.zeros((0, 2)), np.zeros(0))))), "dan")
    assert (failure.reason, failure.is_defect) == ("has no examples to train on; check data.partition", False)


def test_a_client_with_less_than_a_batch_fails_with_what_to_change() -> None:
    training = TrainingConfig(learning_rate=0.05, batch_size=3, drop_last=True)
    few = Points(np.zeros((2, 2)), np.zeros(2))
    failure = failed(bench(LineTask(with_client("dan", few)), training), "dan")
    assert "2 examples, less than one batch of 3" in failure.reason
    assert "training.batch_size" in failure.reason
    assert not failure.is_defect


def test_an_update_that_diverges_fails_with_what_may_help() -> None:
    """Points a million times farther away make steps that grow by about 1e10 each; float64 ends at 1.8e308."""
    far = Points(np.full((80, 2), 1e6), np.ones(80))
    failure = failed(bench(LineTask(with_client("dan", far))), "dan")
    assert "in weight" in failure.reason
    assert "a lower training.learning_rate may help" in failure.reason
    assert not failure.is_defect


def test_a_task_that_raises_costs_its_client_and_is_a_defect(caplog: pytest.LogCaptureFixture) -> None:
    """Half a step's gradients of dan must not reach ben, who is trained next in the same model."""
    poisoned = Points(np.ones((2, 2)), np.full(2, POISON))
    failure = failed(bench(RaisingTask(with_client("dan", poisoned))), "dan")
    assert (failure.reason, failure.is_defect) == ("ArithmeticError: this point \\udcff is poison", True)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "the training of dan raised" in record.getMessage()
    assert record.exc_info is not None


def test_data_that_raises_anything_else_is_a_defect_too() -> None:
    class LazyData(PointsData):
        def client(self, client_id: str) -> Points:
            return self.shards[client_id]

    data = make_data({"ann": 4, "ben": 6, "cat": 5})
    failure = failed(bench(LineTask(LazyData(data.shards, data.test))), "zoe")
    assert (failure.reason, failure.is_defect) == ("KeyError: 'zoe'", True)


def test_a_client_whose_examples_cannot_be_read_costs_itself_whatever_the_reason_holds() -> None:
    class Damaged(PointsData):
        def client(self, client_id: str) -> Points:
            if client_id == "dan":
                message = "the file \udcff is damaged" + "!" * 10_000  # a character that UTF-8 cannot express
                raise DataError(message)
            return super().client(client_id)

    data = make_data({"ann": 4, "ben": 6, "cat": 5})
    failure = failed(bench(LineTask(Damaged(data.shards, data.test))), "dan")
    assert failure.reason.startswith(r"the file \udcff is damaged!!")
    assert (len(failure.reason), failure.is_defect) == (MAX_REASON_CHARACTERS, False)


@given(st.text(max_size=3_000))
def test_any_error_can_be_sent(text: str) -> None:
    message = ClientFailed(1, "ann", error_in_words(ValueError(text)), is_defect=True)
    assert Codec[ToCoordinator](ToCoordinator, 10_000).decode(encode(message)) == message
    assert message.reason.startswith("ValueError: "[:MAX_REASON_CHARACTERS])
    if len(text) <= MAX_REASON_CHARACTERS // 6 and text.isascii():
        assert message.reason == f"ValueError: {text}"


def test_a_worker_whose_data_cannot_be_loaded_cannot_be_made() -> None:
    class NoData(LineTask):
        def load_data(self, experiment: object) -> PointsData:
            message = "not here"
            raise FedgdlError(message)

    with pytest.raises(FedgdlError, match="not here"):
        Worker(make_experiment(), NoData())


def test_a_task_without_data_or_model_is_refused_in_a_worker_too() -> None:
    class Modelless(LineTask):
        def build_model(self, data: PointsData, experiment: Experiment, rng: np.random.Generator) -> Any:
            return data

    class Dataless(LineTask):
        def load_data(self, experiment: Experiment) -> Any:
            return self.data.shards

    with pytest.raises(ConfigError, match=r"Modelless\.build_model returned a PointsData; expected a model"):
        Worker(make_experiment(), Modelless())
    with pytest.raises(ConfigError, match=r"Dataless\.load_data returned a dict without client_ids, client, test"):
        Worker(make_experiment(), Dataless())
