"""Whole audited runs: right masks pass, wrong ones do not, and a plain run is shown for what it is."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from audited import Audited, line_experiment, line_task, run_audited, spam_experiment

import clients.protection.secagg
import server.aggregation.secagg
from clients.observer import vector_path
from experiments import simulate
from experiments.audit import Audit, entries, read_frame
from experiments.callbacks import Callback
from experiments.run_folder import RunFolder
from fedgdl.config import AggregationConfig, FaultConfig, FaultsConfig
from fedgdl.crypto.masking import mask
from fedgdl.errors import ConfigError
from fedgdl.progress import watched_by
from fedgdl.wire import Codec, StageResult, ToCoordinator, TrainResult

Masks = Sequence[tuple[bytes, int]]

STAGES = ["advertise", "share", "masked input", "consistency", "unmask"]


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return run_audited(tmp_path_factory.mktemp("protected") / "run", spam_experiment("aggregation.kind=secagg"))


def test_a_protected_run_passes_all_checks(protected: Audited) -> None:
    audited = protected
    summary, document = audited.audit.summary(), audited.document
    assert audited.audit.problems == []
    assert not audited.audit.has_failed
    assert summary["verdict"] == document["verdict"] == "passed"
    assert set(summary["verdicts"].values()) == {"passed"}
    assert summary["page"] == str(audited.folder / "audit" / "audit.html")
    for entry in document["rounds"]:
        assert [stage["name"] for stage in entry["stages"]] == STAGES
        assert all(stage["num_asked"] == stage["num_answered"] == 3 for stage in entry["stages"])
        assert entry["survivors"] == ["alice", "bob", "sue"]
        assert entry["missing"] == []
        assert entry["opened"]["num_clients"] == 3
        cohort = audited.history.rounds[entry["round_index"] - 1].cohort
        assert entry["opened"]["means"] == pytest.approx(cohort)


def test_all_that_reached_the_coordinator_is_accounted_for(protected: Audited) -> None:
    audited = protected
    received = audited.document["received"]
    codec: Codec[ToCoordinator] = Codec(ToCoordinator, 2**30)
    with (audited.folder / "audit" / "received.bin").open("rb") as file:
        frames = [read_frame(file, entry) for entry in entries(file)]
    assert sum(map(len, frames)) == received["bytes"] == sum(kind["bytes"] for kind in received["kinds"].values())
    assert len(frames) == sum(kind["frames"] for kind in received["kinds"].values())
    answers = [message for message in map(codec.decode, frames) if isinstance(message, TrainResult | StageResult)]
    assert len(answers) == 2 * 3 * len(STAGES)
    up = sum(stage["bytes_up"] for entry in audited.document["rounds"] for stage in entry["stages"])
    assert up == sum(kind["bytes"] for name, kind in received["kinds"].items() if name.startswith("answers"))
    assert received["bytes"] >= sum(record.bytes_up for record in audited.history.rounds)


@pytest.mark.parametrize("exact", ["false", "true"])
def test_a_plain_run_reads_as_unprotected(tmp_path: Path, exact: str) -> None:
    audited = run_audited(tmp_path / "run", spam_experiment(f"aggregation.exact={exact}"))
    assert not audited.audit.has_failed
    summary = audited.audit.summary()
    assert summary["verdict"] == "unprotected"
    assert summary["verdicts"]["correlation with the true update"] == "readable"
    assert summary["verdicts"]["bytes"] == "readable"
    check = {check["name"]: check for check in audited.document["checks"]}["correlation with the true update"]
    assert "+1.0000" in check["found"]
    assert "reads everything" in audited.page
    assert "every client's update, element by element" in audited.document["could_read"]
    assert audited.document["could_not_read"] == []


def leave_masks_out(vector: npt.NDArray[Any], masks: Masks, **_: int) -> None:
    """Adds nothing."""


def add_always_the_same(vector: npt.NDArray[Any], masks: Masks, **_: int) -> None:
    """Adds one and the same mask for each client; the server takes it off once for each own mask it opened."""
    is_client = any(sign > 0 for _, sign in masks)
    times = np.array(1 if is_client else -len(masks)).astype(vector.dtype)
    vector += times * mask(bytes(32), len(vector), vector.dtype)


def add_half_as_wide(vector: npt.NDArray[Any], masks: Masks, **_: int) -> None:
    """Adds masks of the low twelve bits of each element."""
    for seed, sign in masks:
        vector += np.array(sign, np.int64).astype(vector.dtype) * (mask(seed, len(vector), vector.dtype) & 0xFFF)


@pytest.mark.parametrize(
    ("weak", "finds"),
    [
        (leave_masks_out, {"bytes", "distribution", "correlation with the true update", "masks"}),
        (add_half_as_wide, {"bytes", "distribution", "masks"}),
        (add_always_the_same, {"correlation between vectors"}),
    ],
    ids=["none", "narrow", "same"],
)
def test_weak_masks_are_caught_although_the_sum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weak: Any, finds: set[str]
) -> None:
    for role in (clients.protection.secagg, server.aggregation.secagg):
        monkeypatch.setattr(role, "add_masks", weak)
    audited = run_audited(tmp_path / "run", spam_experiment("aggregation.kind=secagg"))
    assert audited.history.status == "done"
    assert audited.audit.has_failed
    verdicts = audited.audit.summary()["verdicts"]
    assert finds <= {name for name, verdict in verdicts.items() if verdict == "failed"}
    assert verdicts["the opened sum"] == "passed"
    assert "Do not trust this run" in audited.page


def test_a_wrong_sum_is_caught(tmp_path: Path) -> None:
    experiment = spam_experiment("aggregation.kind=secagg")
    run_folder = RunFolder(tmp_path / "run")
    audit = Audit(run_folder)
    history = simulate(experiment, [run_folder, audit], recorder=audit.recorder, keep_vectors=True)
    vectors = sorted((tmp_path / "run" / "observer" / "vectors" / "round-00002").iterdir())
    changed = np.load(vectors[0])
    changed[5] += 1
    np.save(vectors[0], changed)
    audit.write(history)
    assert audit.summary()["verdicts"]["the opened sum"] == "failed"
    vectors[1].unlink()
    audit.write(history)
    assert audit.summary()["verdicts"]["the opened sum"] == "not tested"


def test_a_client_that_leaves_is_named_with_its_stage_and_nothing_of_its_data(tmp_path: Path) -> None:
    faults = FaultsConfig((FaultConfig("nan", "cat", 1),))
    task = line_task(ann=10, ben=11, cat=12, dan=13, eve=14)
    aggregation = AggregationConfig("secagg", clip=4.0)
    audited = run_audited(tmp_path / "run", line_experiment(aggregation, faults=faults, rounds=2), task)
    first, second = audited.document["rounds"]
    assert first["survivors"] == ["ann", "ben", "dan", "eve"]
    assert first["missing"] == [{"client_id": "cat", "stage": "masked input"}]
    assert [refusal["client_id"] for refusal in first["refusals"]] == ["cat"]
    assert "NaN" not in first["refusals"][0]["reason"]
    assert second["missing"] == []
    assert audited.audit.summary()["verdicts"]["the opened sum"] == "passed"
    assert "cat is missing" in audited.page


def test_a_round_without_a_sum_is_shown_as_one(tmp_path: Path) -> None:
    faults = FaultsConfig((FaultConfig("nan", "cat", 2),))
    audited = run_audited(tmp_path / "run", line_experiment(faults=faults, rounds=2), line_task(ann=10, ben=11, cat=12))
    assert [entry["status"] for entry in audited.document["rounds"]] == ["done", "failed"]
    assert audited.document["rounds"][1]["opened"] is None
    assert "No sum was opened." in audited.page


def test_a_run_that_was_cut_short_is_audited_up_to_there(tmp_path: Path) -> None:
    audited = run_audited(tmp_path / "run", spam_experiment("aggregation.kind=secagg"))
    path = audited.audit.recorder.path
    assert path is not None
    path.write_bytes(path.read_bytes()[: math.ceil(0.6 * path.stat().st_size)])
    audited.audit.write(audited.history)
    assert audited.audit.summary()["verdict"] == "passed"
    kinds = audited.document["received"]["kinds"]
    assert 3 <= kinds["answers: masked input"]["frames"] < 6


def test_an_audit_tells_how_far_it_has_come(protected: Audited) -> None:
    told: list[tuple[str, int, int]] = []
    with watched_by(lambda what, done, total: told.append((what, done, total))):
        protected.audit.write(protected.history)
    assert told == [("auditing rounds", done, 2) for done in (0, 1, 2)]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"no array"])
def test_a_true_update_that_was_cut_short_is_told_and_spoils_only_its_own_checks(
    tmp_path: Path, content: bytes
) -> None:
    audited = run_audited(tmp_path / "run", spam_experiment("aggregation.kind=secagg"))
    path = vector_path(audited.folder / "observer", 2, "bob")
    path.write_bytes(content)
    audited.audit.write(audited.history)
    (problem,) = audited.audit.problems
    assert problem.startswith(f"the true update in {path} cannot be read")
    verdicts = audited.audit.summary()["verdicts"]
    assert verdicts.pop("the opened sum") == "not tested"
    assert set(verdicts.values()) == {"passed"}
    found = {check["name"]: check["found"] for check in audited.document["checks"]}
    assert "equal in 1 of 2 rounds with a sum; not known in 1" in found["the opened sum"]
    assert "largest of 5" in found["correlation with the true update"]


def test_a_page_that_cannot_be_written_is_told_once_and_named_nowhere(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of file sizes are POSIX's")
    audited = run_audited(tmp_path / "run", line_experiment(), line_task(ann=10, ben=11, cat=12))
    folder = tmp_path / "run" / "audit"
    room = 2 * (folder / "audit.json").stat().st_size
    assert (folder / "audit.html").stat().st_size > room
    verdict, before = audited.audit.summary()["verdict"], resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        audited.audit.write(audited.history)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert audited.audit.problems == ["the audit could not be written: File too large"]
    assert (audited.audit.summary()["page"], audited.audit.summary()["verdict"]) == (None, verdict)
    assert {path.name for path in folder.iterdir()} == {"audit.json", "received.bin"}


def test_an_audit_comes_behind_its_folder() -> None:
    audit = Audit(RunFolder())
    assert (audit.summary()["page"], audit.summary()["verdict"]) == (None, "unfinished")
    task = line_task(ann=4, ben=5, cat=6)
    with pytest.raises(RuntimeError, match="behind its RunFolder"):
        simulate(line_experiment(), [audit], task=task, recorder=audit.recorder)


def test_a_folder_that_cannot_be_made_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    class InTheWay(Callback):
        def run_started(self, history: Any) -> None:
            (tmp_path / "run" / "audit").write_text("a file")

    folder = RunFolder(tmp_path / "run")
    audit = Audit(folder)
    with pytest.raises(ConfigError, match="record for the audit"):
        simulate(
            line_experiment(), [folder, InTheWay(), audit], task=line_task(ann=4, ben=5, cat=6), recorder=audit.recorder
        )
