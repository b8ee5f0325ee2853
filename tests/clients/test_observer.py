"""What the simulator's observer writes down, and when."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.observer import OBSERVER_NOTE, Observer, vector_path
from fedgdl.errors import EngineError
from fedgdl.federated import ClientUpdate
from fedgdl.federated.encoding import EncodedUpdate

UPDATE = ClientUpdate(np.zeros(2), num_examples=4, train_loss=0.5, train_accuracy=0.75)
ENCODED = EncodedUpdate(np.array([1, 2, 3], np.uint32), clipped_share=0.25, is_weight_capped=False)


def lines(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of the only file of a folder, which must be this process's."""
    (path,) = folder.glob("*.jsonl")
    assert path.name == f"worker-{os.getpid()}.jsonl"
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_a_file_begins_with_what_it_is_and_has_a_line_for_each_client(tmp_path: Path) -> None:
    observer = Observer(tmp_path / "observer")
    observer.update_encoded("ann", 1, ENCODED)
    observer.client_done("ann", 1, UPDATE)
    observer.client_done("bén", 1, UPDATE)
    observer.client_failed("cat", 2, "its update holds nan in weight")
    assert lines(tmp_path / "observer") == [
        {"observer": OBSERVER_NOTE},
        {
            "round_index": 1,
            "client_id": "ann",
            "status": "done",
            "num_examples": 4,
            "train_loss": 0.5,
            "train_accuracy": 0.75,
            "clipped_share": 0.25,
            "reason": "",
        },
        {
            "round_index": 1,
            "client_id": "bén",
            "status": "done",
            "num_examples": 4,
            "train_loss": 0.5,
            "train_accuracy": 0.75,
            "clipped_share": None,
            "reason": "",
        },
        {
            "round_index": 2,
            "client_id": "cat",
            "status": "failed",
            "num_examples": None,
            "train_loss": None,
            "train_accuracy": None,
            "clipped_share": None,
            "reason": "its update holds nan in weight",
        },
    ]
    assert not (tmp_path / "observer" / "vectors").exists()


def test_each_line_is_out_before_the_next_thing_happens(tmp_path: Path) -> None:
    observer = Observer(tmp_path)
    for count in range(1, 4):
        observer.client_done("ann", count, UPDATE)
        assert len(lines(tmp_path)) == 1 + count


def test_a_second_worker_of_a_process_goes_on_in_the_same_file(tmp_path: Path) -> None:
    Observer(tmp_path).client_done("ann", 1, UPDATE)
    Observer(tmp_path).client_done("ann", 2, UPDATE)
    assert [line.get("round_index") for line in lines(tmp_path)] == [None, 1, 2]


def test_vectors_are_kept_if_asked_for_by_round_and_client(tmp_path: Path) -> None:
    observer = Observer(tmp_path, keep_vectors=True)
    observer.update_encoded("../ann", 12, ENCODED)
    path = vector_path(tmp_path, 12, "../ann")
    assert path.parent == tmp_path / "vectors" / "round-00012"
    assert (len(path.stem), path.suffix) == (32, ".npy")
    kept = np.load(path, allow_pickle=False)
    assert (kept.tolist(), kept.dtype) == ([1, 2, 3], np.uint32)


def test_the_share_clipped_is_that_of_the_same_client_and_round(tmp_path: Path) -> None:
    observer = Observer(tmp_path)
    observer.update_encoded("ann", 1, ENCODED)
    observer.client_failed("ann", 1, "it refuses")  # after it was encoded
    observer.client_done("ann", 1, UPDATE)
    observer.update_encoded("ann", 2, ENCODED)
    observer.client_done("ben", 2, UPDATE)
    assert [line["clipped_share"] for line in lines(tmp_path)[1:]] == [None, None, None]


def test_a_loss_that_is_not_finite_is_null(tmp_path: Path) -> None:
    Observer(tmp_path).client_done("ann", 1, ClientUpdate(np.zeros(2), 4, np.inf, 0.5))
    assert lines(tmp_path)[1]["train_loss"] is None


def test_it_can_be_sent_to_another_process_and_opens_nothing_by_that(tmp_path: Path) -> None:
    observer = pickle.loads(pickle.dumps(Observer(tmp_path / "observer", keep_vectors=True)))
    assert (observer.folder, observer.keep_vectors) == (tmp_path / "observer", True)
    assert not (tmp_path / "observer").exists()


def test_what_cannot_be_written_is_an_error_of_the_engine_and_no_clients_fault(tmp_path: Path) -> None:
    (tmp_path / "observer").write_text("a file where the folder should be")
    observer = Observer(tmp_path / "observer", keep_vectors=True)
    with pytest.raises(EngineError, match="the observer cannot write"):
        observer.client_done("ann", 1, UPDATE)
    with pytest.raises(EngineError, match="the observer cannot write"):
        observer.client_failed("ann", 1, "it refuses")
    with pytest.raises(EngineError, match="the observer cannot write"):
        observer.update_encoded("ann", 1, ENCODED)
