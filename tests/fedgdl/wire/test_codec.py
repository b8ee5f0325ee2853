import math
import struct
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import (
    SAMPLE_MESSAGES,
    damaged,
    messages_to_coordinator,
    messages_to_worker,
    wrong_structures,
)

from fedgdl.config import TrainingConfig
from fedgdl.errors import WireError
from fedgdl.wire import (
    FRAME_OVERHEAD_BYTES,
    MAX_CLIENTS_PER_TASK,
    MAX_REASON_CHARACTERS,
    ClientFailed,
    ClientMessage,
    Codec,
    ParametersReference,
    Shutdown,
    StageResult,
    StageTask,
    ToCoordinator,
    ToWorker,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerFailed,
    WorkerReady,
    encode,
)

MAX_BYTES = 100_000
TO_WORKER: Codec[Any] = Codec(ToWorker, MAX_BYTES)
TO_COORDINATOR: Codec[Any] = Codec(ToCoordinator, MAX_BYTES)
MESSAGES = messages_to_worker() | messages_to_coordinator()
TASK = TrainTask(1, ParametersReference(0, 1, "0" * 64), TrainingConfig(0.1), (ClientMessage("a"),))


STAGE_TASK = StageTask(1, "share", (ClientMessage("a", b"for a"),), b"for all")


def frame_of(body: bytes) -> bytes:
    """Returns the frame that the module's docstring describes, made by hand."""
    return b"FG\x01\x00" + struct.pack("<I", zlib.crc32(body)) + body


def check_bounds(message: object) -> None:
    """Fails for a message with anything in it that is out of its bounds."""
    match message:
        case Shutdown():
            pass
        case StageTask(round_index, stage, clients, common):
            check_round(round_index)
            check_stage(stage)
            check_clients(clients, common)
        case TrainTask(round_index, where, plan, clients, common):
            check_round(round_index)
            assert where.slot in {0, 1}
            assert 1 <= where.version <= 2**62
            check_digest(where.sha256)
            assert 0 < plan.learning_rate <= 1_000_000
            assert 1 <= plan.epochs < 2**31
            assert 1 <= plan.batch_size < 2**31
            check_clients(clients, common)
        case WorkerReady(layout_sha256, fingerprint):
            check_digest(layout_sha256)
            check_text(fingerprint, 0, 200)
        case WorkerFailed(reason):
            check_text(reason, 0, MAX_REASON_CHARACTERS)
        case TrainStarted(round_index, client_id):
            check_round(round_index)
            check_text(client_id, 1, 200)
        case TrainResult(round_index, client_id, payload):
            check_round(round_index)
            check_text(client_id, 1, 200)
            check_data(payload)
        case StageResult(round_index, stage, client_id, payload):
            check_round(round_index)
            check_stage(stage)
            check_text(client_id, 1, 200)
            check_data(payload)
        case ClientFailed(round_index, client_id, reason, is_defect):
            check_round(round_index)
            check_text(client_id, 1, 200)
            check_text(reason, 0, MAX_REASON_CHARACTERS)
            assert isinstance(is_defect, bool)
        case _:
            pytest.fail(f"not a message: {message!r}")


def check_clients(clients: tuple[ClientMessage, ...], common: bytes) -> None:
    assert 1 <= len(clients) <= MAX_CLIENTS_PER_TASK
    for client in clients:
        check_text(client.client_id, 1, 200)
        check_data(client.message)
    check_data(common)


def check_data(data: bytes) -> None:
    assert isinstance(data, bytes)
    assert len(data) <= MAX_BYTES


def check_stage(stage: str) -> None:
    assert stage in {"advertise", "share", "consistency", "unmask"}


def check_round(round_index: int) -> None:
    assert type(round_index) is int
    assert 1 <= round_index < 2**31


def check_digest(text: str) -> None:
    assert len(text) == 64
    assert set(text) <= set("0123456789abcdef")


def check_text(text: str, least: int, most: int) -> None:
    assert least <= len(text) <= most
    text.encode()  # no half characters


def take(frame: bytes) -> None:
    """Both directions take a frame for a bounded message, or raise `WireError` and nothing else."""
    for codec in (TO_WORKER, TO_COORDINATOR):
        try:
            message = codec.decode(frame)
        except WireError as error:
            assert 0 < len(str(error)) < 1_000  # noqa: PT017 (it need not be raised)
        else:
            check_bounds(message)


# Round trips


@given(messages_to_worker())
def test_what_a_coordinator_says_arrives(message: msgspec.Struct) -> None:
    assert TO_WORKER.decode(encode(message)) == message


@given(messages_to_coordinator())
def test_what_a_worker_says_arrives(message: msgspec.Struct) -> None:
    assert TO_COORDINATOR.decode(encode(message)) == message


@given(MESSAGES)
def test_drawn_messages_are_within_the_bounds_checked_here(message: msgspec.Struct) -> None:
    check_bounds(message)


def test_a_frame_is_as_documented() -> None:
    body = msgspec.msgpack.encode({"type": "Shutdown"})
    assert encode(Shutdown()) == frame_of(body)
    assert len(encode(Shutdown())) == FRAME_OVERHEAD_BYTES + len(body)


def test_a_message_to_the_other_side_is_refused() -> None:
    with pytest.raises(WireError):
        TO_COORDINATOR.decode(encode(TASK))
    with pytest.raises(WireError):
        TO_WORKER.decode(encode(WorkerFailed("x")))


# Any bytes at all: 1,500 + 2,500 + 6,000 + 2,000 = 12,000 cases, in both directions


@settings(max_examples=1_500, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    take(data)
    take(frame_of(data))


@settings(max_examples=2_500, deadline=None)
@given(damaged([encode(message) for message in SAMPLE_MESSAGES]))
def test_damaged_frames(frame: bytes) -> None:
    take(frame)


@settings(max_examples=6_000, deadline=None)
@given(damaged([msgspec.msgpack.encode(message) for message in SAMPLE_MESSAGES]))
def test_damaged_bodies_with_a_right_checksum(body: bytes) -> None:
    take(frame_of(body))


@settings(max_examples=2_000, deadline=None)
@given(wrong_structures(SAMPLE_MESSAGES))
def test_wrong_structures(document: object) -> None:
    take(frame_of(msgspec.msgpack.encode(document)))


@given(MESSAGES.map(encode), st.data())
def test_every_single_flipped_bit_is_noticed(frame: bytes, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, 8 * len(frame) - 1))
    spoilt = bytearray(frame)
    spoilt[where // 8] ^= 1 << where % 8
    for codec in (TO_WORKER, TO_COORDINATOR):
        with pytest.raises(WireError):
            codec.decode(bytes(spoilt))


# What is refused, one thing at a time


def altered(message: msgspec.Struct, **changes: object) -> bytes:
    """Returns a frame of a message with fields replaced (`None`: left out), whatever the schema says of them."""
    document = {**msgspec.to_builtins(message, builtin_types=(bytes,)), **changes}
    return frame_of(msgspec.msgpack.encode({key: value for key, value in document.items() if value is not None}))


@pytest.mark.parametrize(
    "frame",
    [
        altered(TASK, round_index=0),
        altered(TASK, round_index=2**31),
        altered(TASK, round_index=1.5),
        altered(TASK, round_index=True),
        altered(TASK, round_index="1"),
        altered(TASK, round_index=None),
        altered(TASK, clients=[]),
        altered(TASK, clients=[{"client_id": ""}]),
        altered(TASK, clients=[{"client_id": "x" * 201}]),
        altered(TASK, clients=[{"client_id": "x"}] * (MAX_CLIENTS_PER_TASK + 1)),
        altered(TASK, clients=[{"client_id": 1}]),
        altered(TASK, clients=["x"]),
        altered(TASK, clients=[{"client_id": "x", "message": "text"}]),
        altered(TASK, clients=[{"client_id": "x", "more": 1}]),
        altered(TASK, client_ids=["x"]),
        altered(TASK, common="text"),
        altered(STAGE_TASK, clients=[]),
        altered(STAGE_TASK, clients=[{"client_id": "x"}] * (MAX_CLIENTS_PER_TASK + 1)),
        altered(STAGE_TASK, stage="train"),
        altered(STAGE_TASK, stage="masked input"),  # a stage with training has a task of its own
        altered(STAGE_TASK, stage=None),
        altered(STAGE_TASK, common="text"),
        altered(STAGE_TASK, parameters={"slot": 1, "version": 1, "sha256": "0" * 64}),
        altered(TASK, parameters={"slot": 2, "version": 1, "sha256": "0" * 64}),
        altered(TASK, parameters={"slot": 0, "version": 0, "sha256": "0" * 64}),
        altered(TASK, parameters={"slot": 0, "version": 1, "sha256": "0" * 63}),
        altered(TASK, parameters={"slot": 0, "version": 1, "sha256": "0" * 64 + "\n"}),
        altered(TASK, parameters={"slot": 0, "version": 1, "sha256": "A" * 64}),
        altered(TASK, parameters={"slot": 0, "version": 1, "sha256": "0" * 64, "more": 1}),
        altered(TASK, plan={"learning_rate": math.nan}),
        altered(TASK, plan={"learning_rate": math.inf}),
        altered(TASK, plan={"learning_rate": -0.1}),
        altered(TASK, plan={"learning_rate": 0.1, "epochs": 2**40}),
        altered(TASK, plan={"learning_rate": 0.1, "loss_reduction": "median"}),
        altered(TASK, unknown=1),
        altered(TASK, type="TrainTusk"),
        altered(TASK, type=None),
        altered(TASK, type=1),
        encode(TASK) + b"\x00",
        frame_of(msgspec.msgpack.encode(TASK) + b"\x00"),
        frame_of(msgspec.msgpack.encode([TASK])),
        frame_of(b""),
        frame_of(b"\x81\xa4type\xa8Shut\xffown"),
        frame_of(b"\x82\xa4type\xa8Shutdown\xa1x" + b"\x91" * 50_000),
        frame_of(b"\xdf\xff\xff\xff\xff"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_the_worker(frame: bytes) -> None:
    with pytest.raises(WireError):
        TO_WORKER.decode(frame)


READY = WorkerReady("0" * 64, "f")
RESULT = TrainResult(1, "a", b"")
STAGE_RESULT = StageResult(1, "share", "a", b"")
FAILED = ClientFailed(1, "a", "because")


@pytest.mark.parametrize(
    "frame",
    [
        altered(READY, layout_sha256="0" * 65),
        altered(READY, data_fingerprint="f" * 201),
        altered(RESULT, payload="text"),
        altered(RESULT, payload=[1]),
        altered(RESULT, client_id="x" * 201),
        altered(RESULT, round_index=-1),
        altered(STAGE_RESULT, stage="masked input"),
        altered(STAGE_RESULT, stage=None),
        altered(STAGE_RESULT, payload="text"),
        altered(STAGE_RESULT, client_id=""),
        altered(STAGE_RESULT, round_index=0),
        altered(FAILED, reason="x" * (MAX_REASON_CHARACTERS + 1)),
        altered(FAILED, is_defect=1),
        altered(WorkerFailed(""), reason="x" * (MAX_REASON_CHARACTERS + 1)),
        encode(TrainResult(1, "a", bytes(MAX_BYTES))),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_the_coordinator(frame: bytes) -> None:
    with pytest.raises(WireError):
        TO_COORDINATOR.decode(frame)


def test_the_largest_messages_pass() -> None:
    ids = tuple("\U0001f600" * 200 for _ in range(MAX_CLIENTS_PER_TASK))
    task = msgspec.structs.replace(TASK, clients=tuple(ClientMessage(client_id) for client_id in ids))
    assert Codec[Any](ToWorker, 4_000_000).decode(encode(task)) == task
    exact = TrainResult(1, "a", bytes(1_000))
    codec: Codec[Any] = Codec(ToCoordinator, len(encode(exact)))
    assert codec.decode(encode(exact)) == exact
    with pytest.raises(WireError, match=r"at most [\d,]+ are allowed"):
        codec.decode(encode(TrainResult(1, "a", bytes(1_001))))


@pytest.mark.parametrize("make", [WorkerFailed, lambda reason: ClientFailed(1, "a", reason)])
@pytest.mark.parametrize("reason", ["", "x" * 100_000, "file \udcff.txt", "\ud83d", "\U0001f600" * 2_000])
def test_any_reason_is_made_to_fit(make: Any, reason: str) -> None:
    message = make(reason)
    check_bounds(message)
    assert message.reason[:4] == reason[:4].encode("utf-8", "replace").decode()
    assert TO_COORDINATOR.decode(encode(message)) == message
