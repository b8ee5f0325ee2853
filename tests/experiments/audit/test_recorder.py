"""The file of received frames: whole, cut short, and where there is no room for it."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.audit.recorder import AuditRecorder, entries, entry_header, file_header, read_frame
from fedgdl.errors import FedgdlError
from fedgdl.federated import CohortSums

FRAMES = st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 2**32 - 1), st.binary(max_size=40)), max_size=6)


@given(FRAMES, st.data())
def test_a_file_is_good_up_to_where_it_was_cut(frames: list[tuple[float, int, bytes]], data: st.DataObject) -> None:
    parts = [entry_header(seconds, worker, len(frame)) + frame for seconds, worker, frame in frames]
    whole = file_header(0.0) + b"".join(parts)
    cut = data.draw(st.integers(len(file_header(0.0)), len(whole)))
    file = io.BytesIO(whole[:cut])
    found = [(entry.seconds, entry.worker_id, read_frame(file, entry)) for entry in entries(file)]
    ends = np.cumsum([len(file_header(0.0)), *map(len, parts)])[1:]
    assert found == frames[: int(np.count_nonzero(ends <= cut))]


@pytest.mark.parametrize("content", [b"", b"FGAUDIT\x01", b"something else, and long enough"])
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(FedgdlError, match="not a record of received frames"):
        list(entries(io.BytesIO(content)))


def test_every_frame_is_kept_as_it_came(tmp_path: Path) -> None:
    recorder = AuditRecorder()
    recorder.open(tmp_path / "audit")
    frames = [(1, b"one"), (2, b""), (1, b"\x00" * 3_000_000)]
    for worker_id, frame in frames:
        recorder.frame_arrived(worker_id, frame)
    recorder.close()
    recorder.close()
    assert recorder.path is not None
    with recorder.path.open("rb") as file:
        kept = list(entries(file))
        assert [(entry.worker_id, read_frame(file, entry)) for entry in kept] == frames
    assert [entry.seconds for entry in kept] == sorted(entry.seconds for entry in kept)
    assert recorder.bytes_up == 3_000_003
    assert recorder.problem == ""


def test_answers_point_into_the_file(tmp_path: Path) -> None:
    recorder = AuditRecorder()
    recorder.open(tmp_path / "audit")
    recorder.task_sent(1, "train", ("ann", "ben"), num_bytes=10, parameter_bytes=100)
    for client_id in ("ben", "ann"):
        recorder.frame_arrived(1, f"frame of {client_id}".encode())
        recorder.payload_arrived(1, "train", client_id, b"payload")
    recorder.close()
    (stage,) = recorder.traffic.rounds[1].stages
    assert stage.bytes_down == recorder.bytes_down == 210
    assert recorder.path is not None
    with recorder.path.open("rb") as file:
        assert {client_id: read_frame(file, answer) for client_id, answer in stage.answers.items()} == {
            "ann": b"frame of ann",
            "ben": b"frame of ben",
        }


def test_a_full_disk_is_told_and_ends_nothing(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    recorder = AuditRecorder()
    recorder.open(tmp_path / "audit")
    assert recorder._file is not None
    recorder._file.close()
    recorder._file = full.open("wb", buffering=0)
    for _ in range(2):
        recorder.frame_arrived(1, b"frame")
    recorder.close()
    assert "received.bin is incomplete: No space left on device" in recorder.problem
    assert recorder.bytes_up == 10


def test_a_record_is_opened_before_anything_arrives() -> None:
    with pytest.raises(RuntimeError, match="opened before"):
        AuditRecorder().frame_arrived(1, b"frame")


def test_the_digest_of_a_sum_tells_every_bit() -> None:
    recorder = AuditRecorder()
    sums = {"weight": np.array([3.0]), "weighted_delta": np.array([0.5, -0.25])}
    digests = set()
    for round_index, (values, num_clients, means) in enumerate(
        [
            (sums, 2, {"train_loss": 0.5}),
            (sums, 3, {"train_loss": 0.5}),
            (sums, 2, {"train_loss": np.nextafter(0.5, 1)}),
            ({**sums, "weighted_delta": np.array([0.5, np.nextafter(-0.25, 0)])}, 2, {"train_loss": 0.5}),
        ]
    ):
        recorder.sum_opened(round_index, CohortSums(values, num_clients, means))
        opened = recorder.traffic.rounds[round_index].opened
        assert opened is not None
        digests.add(opened.digest)
    assert len(digests) == 4
