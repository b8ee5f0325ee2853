"""The simulator's truth is read as far as it is whole, and put beside what the coordinator says."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.observer import Observer
from experiments.observer import ObserverFiles
from fedgdl.federated import ClientRecord, ClientUpdate, RoundRecord


def update(num_examples: int, loss: float = 0.5, accuracy: float = 0.75) -> ClientUpdate:
    return ClientUpdate(np.zeros(2), num_examples, loss, accuracy)


def record_of(*clients: ClientRecord, round_index: int = 1) -> RoundRecord:
    return RoundRecord(round_index, "done", None, None, 1.0, 0, 0, clients)


def test_what_workers_write_completes_the_coordinator_s_records(tmp_path: Path) -> None:
    observer, truth = Observer(tmp_path), ObserverFiles(tmp_path)
    observer.client_done("ann", 1, update(7))
    observer.client_failed("bob", 1, "its update holds nan in w; a secret")
    seen = record_of(ClientRecord("ann", "done"), ClientRecord("bob", "failed", reason="its update is not finite"))
    completed = truth.completed_round(seen)
    assert completed.clients == (
        ClientRecord("ann", "done", 7, 0.5, 0.75),
        ClientRecord("bob", "failed", reason="its update holds nan in w; a secret"),
    )
    observer.client_done("ann", 2, update(7, loss=0.25))
    assert truth.completed_round(record_of(ClientRecord("ann", "done"), round_index=2)).clients == (
        ClientRecord("ann", "done", 7, 0.25, 0.75),
    )


def test_who_dropped_out_after_training_has_failed_with_the_coordinator_s_reason(tmp_path: Path) -> None:
    Observer(tmp_path).client_done("ann", 1, update(7))
    lost = ClientRecord("ann", "failed", reason="its worker was lost: killed by SIGKILL")
    assert ObserverFiles(tmp_path).completed_round(record_of(lost)).clients == (lost,)


def test_a_client_that_no_file_tells_of_stays_as_it_is(tmp_path: Path) -> None:
    seen = record_of(ClientRecord("ann", "done"))
    assert ObserverFiles(tmp_path).completed_round(seen) == seen
    assert ObserverFiles(tmp_path / "never made").completed_round(seen) == seen


@given(cut=st.integers(0, 400))
def test_half_a_line_of_a_killed_worker_is_never_read_and_the_rest_is(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("observer")
    observer = Observer(folder)
    for number, client_id in enumerate(("ann", "bob", "cat")):
        observer.client_done(client_id, 1, update(number + 1))
    (path,) = folder.glob("worker-*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    num_whole = max(0, whole[:cut].count(b"\n") - 1)  # the first line says what the file is
    seen = record_of(*(ClientRecord(client_id, "done") for client_id in ("ann", "bob", "cat")))
    counts = [client.num_examples for client in ObserverFiles(folder).completed_round(seen).clients]
    assert counts == [number + 1 if number < num_whole else None for number in range(3)]


def test_a_line_that_was_half_there_is_read_when_it_is_whole(tmp_path: Path) -> None:
    line = json.dumps({"round_index": 1, "client_id": "ann", "status": "done", "num_examples": 7}) + "\n"
    path, truth = tmp_path / "worker-1.jsonl", ObserverFiles(tmp_path)
    path.write_text(line[:20])
    truth.read_new()
    path.write_text(line)
    truth.read_new()
    assert truth.completed(ClientRecord("ann", "done"), round_index=1).num_examples == 7


def test_a_damaged_line_is_told_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = json.dumps({"round_index": 1, "client_id": "ann", "status": "done", "num_examples": 7})
    (tmp_path / "worker-1.jsonl").write_text(f"{{damaged\n{good}\n")
    truth = ObserverFiles(tmp_path)
    truth.read_new()
    assert truth.completed(ClientRecord("ann", "done"), round_index=1).num_examples == 7
    assert "worker-1.jsonl holds a line that cannot be read" in caplog.text


def test_a_file_that_cannot_be_read_does_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "worker-1.jsonl").mkdir()
    ObserverFiles(tmp_path).read_new()
    assert "cannot be read" in caplog.text
