"""The worker's logic in rounds of several stages, and what it keeps to itself in private ones."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from federation import POISON, Bench, LineTask, Points, PointsData, RaisingTask, make_data, make_experiment, told
from staged import SECRET_BYTES, StagedProtection

from clients.observer import Observer
from clients.protection import WorksWhileIdle
from clients.worker import MAX_TASK_FRAME_BYTES, Worker
from clients.worker_process import WorkerSetup
from fedgdl.autograd import Tensor
from fedgdl.config import AggregationConfig, FaultConfig, FaultsConfig
from fedgdl.errors import ClientError, ConfigError, CryptoError, EngineError, ProtocolError, WireError
from fedgdl.federated import ClientUpdate
from fedgdl.wire import (
    ClientFailed,
    ClientMessage,
    Shutdown,
    StageResult,
    StageTask,
    TrainResult,
    TrainStarted,
    TrainTask,
    encode,
    encode_struct,
)
from fedgdl.wire.secagg import (
    ForwardedShares,
    KeyAdvertisement,
    Roster,
    RosterEntry,
    SealedShares,
    ShareCommitments,
    Survivors,
)

NAMES = ("ann", "ben", "cat")


class Scripted:
    """A private protection that does what a test says of a client: raises an error, or returns bytes."""

    is_private = True

    def __init__(self, **lines: bytes | Exception) -> None:
        self.lines = lines
        self.wrong_model: tuple[str, ...] = ()

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Returns or raises what is to be said of the client."""
        line = self.lines.get(client_id, b"fine")
        if isinstance(line, Exception):
            raise line
        return line

    def check_model(self, client_id: str, round_index: int, model_sha256: str) -> None:
        """Refuses the model for some clients."""
        if client_id in self.wrong_model:
            reason = f"client {client_id!r} was given another model than announced"
            raise ProtocolError(reason)

    def protect(
        self, client_id: str, round_index: int, model_sha256: str, common: bytes, message: bytes, update: ClientUpdate
    ) -> bytes:
        """Returns or raises likewise."""
        return self.answer("train", round_index, client_id, common, message)


def bench(protection: Any, task: LineTask | None = None, observer: Observer | None = None, **changes: Any) -> Bench:
    one = Bench(make_experiment(**changes), task if task is not None else LineTask())
    one.worker._protection = protection
    one.worker._observer = observer
    return one


def say(one: Bench, task: StageTask | TrainTask) -> list[Any]:
    return [one.codec.decode(frame) for frame in one.worker.handle(encode(task))]


def ask(one: Bench, stage: Any = "share", names: tuple[str, ...] = NAMES) -> list[Any]:
    """Returns the answers of clients in a stage without training."""
    return say(one, StageTask(1, stage, told(names)))


def test_clients_answer_a_stage_in_their_order_each_told_its_own() -> None:
    one = bench(StagedProtection({"share": 7}))
    for stage, size in (("advertise", SECRET_BYTES), ("share", SECRET_BYTES + 7)):
        clients = tuple(ClientMessage(name, f"{stage} to {name}".encode()) for name in NAMES)
        answers = say(one, StageTask(1, stage, clients, stage.encode()))  # type: ignore[arg-type]
        assert [(type(answer), answer.stage, answer.client_id) for answer in answers] == [
            (StageResult, stage, name) for name in NAMES
        ]
        assert {len(answer.payload) for answer in answers} == {size}


class Pausing(Scripted):
    """Works while its worker is idle, and writes down when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.diary: list[str] = []

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Writes down who is asked."""
        self.diary.append(client_id)
        return b"fine"

    def busy(self) -> None:
        """Writes it down."""
        self.diary.append("busy")

    def idle(self) -> None:
        """Writes it down."""
        self.diary.append("idle")

    def close(self) -> None:
        """Writes it down."""
        self.diary.append("closed")


def test_a_protection_that_works_ahead_is_told_when_its_worker_is_busy_and_when_that_is_over() -> None:
    protection = Pausing()
    one = bench(protection)
    one.worker._idle_work = protection
    one.worker.ready()
    ask(one)
    list(one.answer_frames(("ben",)))
    assert list(one.worker.handle(encode(Shutdown()))) == []
    one.worker.close()
    stage, training = ["busy", *NAMES, "idle"], ["busy", "ben", "idle"]
    assert protection.diary == ["idle", *stage, *training, "busy", "closed", "closed"]
    assert isinstance(protection, WorksWhileIdle)
    assert not isinstance(Scripted(), WorksWhileIdle)


def test_answers_come_one_by_one() -> None:
    asked: list[str] = []

    class Listening(Scripted):
        def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
            asked.append(client_id)
            return b""

    frames = bench(Listening()).worker.handle(encode(StageTask(1, "share", told(NAMES))))
    for count, _ in enumerate(frames, 1):
        assert asked == list(NAMES[:count])


@pytest.mark.parametrize("kind", [ProtocolError, WireError, CryptoError])
def test_what_a_client_refuses_is_told_in_full_and_is_no_defect(kind: type[Exception]) -> None:
    one = bench(Scripted(ben=kind("two clients of the roster have the same key")))
    ann, ben, cat = ask(one)
    assert (ann, cat) == tuple(StageResult(1, "share", name, b"fine") for name in ("ann", "cat"))
    assert ben == ClientFailed(1, "ben", "two clients of the roster have the same key")
    answers = say(one, one.task(NAMES))
    assert [type(answer) for answer in answers[1::2]] == [TrainResult, ClientFailed, TrainResult]
    assert answers[3] == ben


def test_an_unforeseen_error_is_a_defect_whose_words_stay_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    one = bench(Scripted(ben=KeyError("secret 42")))
    assert ask(one)[1] == ClientFailed(1, "ben", "its answer to the stage 'share' raised", is_defect=True)
    assert say(one, one.task(["ben"]))[1] == ClientFailed(1, "ben", "its protection raised", is_defect=True)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == [
        "round 1: the answer to the stage 'share' of ben raised: KeyError: 'secret 42'"
    ]


def test_a_plain_worker_refuses_stages() -> None:
    failed = ask(Bench(make_experiment(), LineTask()), "unmask", ("ann",))
    assert failed == [ClientFailed(1, "ann", "it was asked for a stage 'unmask', and its updates are not protected")]


def test_a_model_other_than_announced_is_refused_before_any_training() -> None:
    class Untrainable(LineTask):
        def loss(self, prediction: Tensor, batch: Points) -> Tensor:
            pytest.fail("it trains")

    protection = Scripted()
    protection.wrong_model = ("ann",)
    one = bench(protection, Untrainable())
    assert say(one, one.task(["ann"])) == [
        TrainStarted(1, "ann"),
        ClientFailed(1, "ann", "client 'ann' was given another model than announced"),
    ]


class Leaking(LineTask):
    """Raises a loss in the words of a protection."""

    def loss(self, prediction: Tensor, batch: Points) -> Tensor:
        """Raises."""
        message = "the loss is 0.12345"
        raise ProtocolError(message)


def private_failures(is_private: bool, observer: Observer | None = None) -> tuple[Bench, dict[str, ClientFailed]]:
    """Returns what is said of clients that all fail, each for a reason of its own that tells of its data."""
    data = make_data({"ann": 4})
    shards = {
        **data.shards,
        "ben": Points(np.zeros((0, 2)), np.zeros(0)),
        "cat": Points(np.ones((2, 2)), np.full(2, POISON)),
        "dan": Points(np.zeros((3, 2)), np.full(3, 1e200)),
        "eve": Points(np.ones((3, 2)), np.ones(3)),
        "fay": Points(np.ones((3, 2)), np.ones(3)),
    }
    protection = Scripted(fay=ClientError("fay", "3 of its elements are 0.5", "it cannot be encoded"))
    protection.is_private = is_private
    faults = FaultsConfig((FaultConfig("nan", "eve", round=1),))
    one = bench(protection, RaisingTask(PointsData(shards, data.test)), observer, faults=faults)
    names = ("ben", "cat", "dan", "eve", "fay", "zoe")
    answers = [answer for answer in say(one, one.task(names)) if not isinstance(answer, TrainStarted)]
    assert all(isinstance(answer, ClientFailed) for answer in answers)
    return one, {answer.client_id: answer for answer in answers}


def test_a_private_client_says_no_more_than_the_public_reason() -> None:
    _, failed = private_failures(is_private=True)
    assert {name: (answer.reason, answer.is_defect) for name, answer in failed.items()} == {
        "ben": ("it has no usable examples", False),
        "cat": ("its training raised", True),
        "dan": ("its update is not finite", False),
        "eve": ("its update is not finite", False),
        "fay": ("it cannot be encoded", False),
        "zoe": ("it has no usable update", False),
    }


def test_a_plain_client_says_all() -> None:
    _, failed = private_failures(is_private=False)
    assert {name: answer.reason.partition(";")[0] for name, answer in failed.items()} == {
        "ben": "has no examples to train on",
        "cat": "ArithmeticError: this point \\udcff is poison",
        "dan": "its training ended with a loss of inf",
        "eve": "its update holds nan in weight",
        "fay": "3 of its elements are 0.5",
        "zoe": "there is no client 'zoe'",
    }


def test_a_task_cannot_speak_as_the_protection_does() -> None:
    one = bench(Scripted(), Leaking())
    assert say(one, one.task(["ann"]))[1] == ClientFailed(1, "ann", "its training raised", is_defect=True)


def observed(folder: Path) -> list[tuple[str, str, str]]:
    """Returns (client, status, reason) of each line that has been written."""
    return [
        (line["client_id"], line["status"], line["reason"].partition(";")[0])
        for path in folder.glob("*.jsonl")
        for line in map(json.loads, path.read_text().splitlines()[1:])
    ]


def test_the_observer_has_the_full_reasons(tmp_path: Path) -> None:
    private_failures(is_private=True, observer=Observer(tmp_path))
    assert ("dan", "failed", "its training ended with a loss of inf") in observed(tmp_path)
    assert ("fay", "failed", "3 of its elements are 0.5") in observed(tmp_path)
    assert len(observed(tmp_path)) == 6


def test_a_reason_with_half_characters_in_it_can_be_read_again(tmp_path: Path) -> None:
    """Names of files may hold them; JSON may not."""
    one = bench(Scripted(ann=ClientError("ann", "there is no file \udcff.csv", "it has no data")))
    one.worker._observer = Observer(tmp_path)
    assert say(one, one.task(["ann"]))[1] == ClientFailed(1, "ann", "it has no data")
    (path,) = tmp_path.glob("*.jsonl")
    read = msgspec.json.decode(path.read_bytes().splitlines()[1])
    assert read["reason"] == "there is no file \\udcff.csv"


def test_the_truth_is_written_before_the_answer_is_sent(tmp_path: Path) -> None:
    one = bench(Scripted(ben=ProtocolError("no")), observer=Observer(tmp_path))
    frames: Iterator[bytes] = one.worker.handle(encode(one.task(NAMES)))
    for count in range(1, 4):
        assert isinstance(one.codec.decode(next(frames)), TrainStarted)
        assert len(observed(tmp_path)) == count - 1
        next(frames)
        assert len(observed(tmp_path)) == count
    assert [(name, status) for name, status, _ in observed(tmp_path)] == [
        ("ann", "done"),
        ("ben", "failed"),
        ("cat", "done"),
    ]


def test_stages_without_training_are_not_observed(tmp_path: Path) -> None:
    ask(bench(Scripted(ben=ProtocolError("no")), observer=Observer(tmp_path)))
    assert observed(tmp_path) == []


def test_an_observer_that_cannot_write_ends_the_worker_and_is_no_clients_fault(tmp_path: Path) -> None:
    (tmp_path / "observer").write_text("a file where the folder should be")
    one = bench(Scripted(), observer=Observer(tmp_path / "observer"))
    with pytest.raises(EngineError, match="the observer cannot write"):
        say(one, one.task(["ann"]))


def test_what_is_encoded_reaches_the_observer(tmp_path: Path) -> None:
    """The real protection of exact plain runs: its worker is given an observer as any other is."""
    config = AggregationConfig(exact=True, max_weight=8)
    experiment = make_experiment(aggregation=config, cohort_size=3)
    worker = Worker(experiment, LineTask(), observer=Observer(tmp_path, keep_vectors=True))
    one = Bench(experiment, LineTask())
    worker.attach(one.slots)
    list(worker.handle(encode(one.task(NAMES))))
    (path,) = tmp_path.glob("*.jsonl")
    shares = [json.loads(line)["clipped_share"] for line in path.read_text().splitlines()[1:]]
    assert len(shares) == 3
    assert all(0 <= share <= 1 for share in shares)
    assert len(list((tmp_path / "vectors" / "round-00001").glob("*.npy"))) == 3


@pytest.mark.parametrize("secret", [None, bytes(32)])
def test_encrypted_aggregation_without_identities_or_a_key_is_refused(secret: bytes | None) -> None:
    aggregation = AggregationConfig("paillier", max_weight=8)
    with pytest.raises(ConfigError, match="needs the clients' identities and a key"):
        Worker(make_experiment(cohort_size=3, aggregation=aggregation), LineTask(), secret)


def test_secure_aggregation_without_identities_is_refused() -> None:
    experiment = make_experiment(aggregation=AggregationConfig("secagg", max_weight=8), cohort_size=3)
    with pytest.raises(ConfigError, match="needs the clients' identities"):
        Worker(experiment, LineTask())


def test_a_setup_does_not_show_its_secrets() -> None:
    key = b"a very secret key"
    setup = WorkerSetup(make_experiment(), None, "memory", logging.INFO, b"very secret bytes", None, key)
    assert "very secret" not in repr(setup)
    assert "secret" not in repr(setup)


LONG = tuple(f"{number:04}" + "\U0001f600" * 196 for number in range(1_000))
KEYS = KeyAdvertisement(bytes(32), bytes(32), bytes(64))


@pytest.mark.parametrize("num_others", [100, 1_000])
def test_the_longest_tasks_of_a_secure_aggregation_fit_into_a_frame(num_others: int) -> None:
    """64 clients that are told of so many others by the longest ids there are."""
    others = LONG[:num_others]
    roster = Roster(bytes(32), tuple(RosterEntry(name, KEYS) for name in others))
    shares = ForwardedShares(
        dict.fromkeys(others, SealedShares(bytes(82))), dict.fromkeys(others, ShareCommitments(bytes(32), bytes(32)))
    )
    survivors = encode_struct(Survivors(others))
    for what in (roster, shares):
        message = encode_struct(what)
        one = encode(StageTask(1, "share", (ClientMessage(LONG[0], message),), survivors))
        assert len(one) + 63 * (len(message) + 1_000) <= MAX_TASK_FRAME_BYTES


def test_so_do_the_longest_lists_of_survivors() -> None:
    assert 100 * len(encode_struct(Survivors(LONG))) + 64 * 1_000 <= MAX_TASK_FRAME_BYTES
