"""What an encrypted run survives: clients killed at any moment, spoilt frames, a key holder that dies, impatience.

Not here: coordinators that lie (`test_paillier_lies.py`).
"""

import json
import multiprocessing
import os
import re
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest
from federation import LineTask, make_data, make_experiment
from msgspec.structs import replace
from program import PROGRAM, blocks_of, environment_with, fedgdl, orphaned_blocks, run_script

from experiments import Callback, RunHistory, simulate
from fedgdl.config import AggregationConfig, EngineConfig, Experiment, FaultConfig, FaultsConfig
from fedgdl.errors import EngineError
from fedgdl.federated import RoundRecord
from server.recorder import Recorder

KEY_BITS = 256
EXACT = AggregationConfig(exact=True)
CLIENTS = ("c0", "c1", "c2", "c3", "c4")


def encrypted(**changes: Any) -> AggregationConfig:
    return AggregationConfig("paillier", insecure_key_bits=KEY_BITS, **changes)


def points(*faults: FaultConfig, rounds: int = 1, workers: int = 5, **changes: Any) -> Experiment:
    """Returns lines through the points of five clients, each in a worker of its own."""
    return make_experiment(
        rounds=rounds,
        faults=FaultsConfig(faults),
        engine=EngineConfig(workers=workers),
        aggregation=encrypted(**changes),
    )


def crowd() -> LineTask:
    return LineTask(make_data({client_id: 4 + number for number, client_id in enumerate(CLIENTS)}))


def model_without(*client_ids: str, rounds: int = 1) -> str:
    """Returns the hash of the model that others end with in the clear, if these have no update in the first round."""
    spoilt = FaultsConfig(tuple(FaultConfig("nan", client_id, 1) for client_id in client_ids))
    inline = replace(points(rounds=rounds), faults=spoilt, engine=EngineConfig("inline"), aggregation=EXACT)
    return simulate(inline, task=crowd()).model.sha256()


def require_nothing_left() -> None:
    assert not multiprocessing.active_children()
    assert not blocks_of(os.getpid())


# Clients


@pytest.mark.parametrize("holder", ["process", "clients", "threshold"])
@pytest.mark.parametrize("kind", ["nan", "raise"])
def test_the_mean_is_over_those_who_answered(kind: Any, holder: Any) -> None:
    experiment = replace(points(FaultConfig(kind, "c2", 1), key_holder=holder), engine=EngineConfig("inline"))
    history = simulate(experiment, task=crowd())
    (record,) = history.rounds
    assert record.status == "done"
    assert [client.client_id for client in record.failures] == ["c2"]
    assert history.model.sha256() == model_without("c2")


@pytest.mark.parametrize("holder", ["process", "clients", "threshold"])
def test_below_the_smallest_cohort_nothing_is_opened_and_the_model_stays(holder: Any) -> None:
    recorder = Recorder(keep=True)
    faults = [FaultConfig("nan", client_id, 1) for client_id in ("c0", "c2", "c4")]
    experiment = replace(points(*faults, key_holder=holder), engine=EngineConfig("inline"))
    history = simulate(experiment, task=crowd(), recorder=recorder)
    assert (history.rounds[0].status, history.status) == ("failed", "failed")
    assert "3 are needed" in history.rounds[0].reason
    assert not recorder.sums
    assert not history.model.vector.any()


def test_a_corrupt_frame_costs_its_sender_the_round_and_no_more() -> None:
    experiment = replace(points(FaultConfig("corrupt", "c1", 1), rounds=2), engine=EngineConfig("inline"))
    first, second = simulate(experiment, task=crowd()).rounds
    assert (first.status, second.status) == ("done", "done")
    assert [client.client_id for client in first.failures] == ["c1"]
    assert not second.failures


MOMENTS = {
    "before_training": False,
    "after_training": False,
    "encrypting": False,
    "after_sending": True,
    "decrypt": True,
}
"""When a client's worker is killed -> whether its update is in the sum."""


@pytest.mark.slow
@pytest.mark.parametrize("check", ["signed", "trusted"])
@pytest.mark.parametrize(
    ("holder", "when"),
    [
        (holder, when)
        for holder in ("process", "clients", "threshold")
        for when in MOMENTS
        if (holder, when) != ("process", "decrypt")  # no client decrypts there
    ],
)
def test_a_worker_killed_at_any_moment_leaves_the_exact_sum_of_the_others(holder: Any, when: Any, check: Any) -> None:
    experiment = points(FaultConfig("kill", "c0", 1, when), key_holder=holder, sum_check=check)
    history = simulate(experiment, task=crowd())
    (record,) = history.rounds
    assert record.status == "done", record.reason
    statuses = {client.client_id: client.status for client in record.clients}
    assert statuses == dict.fromkeys(CLIENTS, "done") | {"c0": "done" if MOMENTS[when] else "failed"}
    assert history.model.sha256() == model_without(*(() if MOMENTS[when] else ("c0",)))
    require_nothing_left()


@pytest.mark.slow
def test_one_that_is_asked_for_its_share_and_killed_is_stood_in_for() -> None:
    """Of five clients three open a sum: the first three are asked, and then the other two, of whom one suffices."""
    kill = FaultConfig("kill", "c1", 1, "decrypt")
    (record,) = simulate(points(kill, key_holder="threshold"), task=crowd()).rounds
    assert record.status == "done"
    assert [stage.name for stage in record.stages] == ["encrypted input", "decrypt", "stand in"]


@pytest.mark.slow
@pytest.mark.parametrize("holder", ["clients", "threshold"])
def test_where_too_few_are_left_to_decrypt_the_round_fails_and_the_model_stays(holder: Any) -> None:
    recorder = Recorder(keep=True)
    kills = [FaultConfig("kill", client_id, 1, "decrypt") for client_id in CLIENTS]
    (record,) = simulate(points(*kills, key_holder=holder), task=crowd(), recorder=recorder).rounds
    assert record.status == "failed"
    assert not recorder.sums
    require_nothing_left()


# The key holder


def key_holders() -> list[BaseProcess]:
    """Returns this process's key holders; more than one only while one takes another's place."""
    return [child for child in multiprocessing.active_children() if child.name.startswith("key-holder")]


class Assassin(Recorder):
    """Kills the key holder as soon as it has sent so many frames: its certificate first, then one for each update."""

    def __init__(self, num_frames: int) -> None:
        super().__init__(keep=True)
        self.frames_left = num_frames
        self.killed: list[int | None] = []

    def key_holder_frame_arrived(self, frame: bytes) -> None:
        self.frames_left -= 1
        if self.frames_left == 0:
            (victim,) = key_holders()
            victim.kill()
            victim.join()
            self.killed.append(victim.pid)


@pytest.mark.slow
@pytest.mark.parametrize("updates_added", [1, 3, 5])
def test_a_key_holder_that_is_killed_ends_its_round_and_a_successor_opens_the_next(updates_added: int) -> None:
    """Frame 1 says it is ready, frames 2 to 6 that an update is added, frame 7 is the sum of round 1."""
    assassin = Assassin(7 + updates_added)
    seen = []

    class Look(Callback):
        def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
            seen.append({child.pid for child in key_holders()})

    history = simulate(points(rounds=3), [Look()], task=crowd(), recorder=assassin)
    assert [record.status for record in history.rounds] == ["done", "failed", "done"]
    assert history.rounds[1].reason == "the key holder was lost: killed by SIGKILL"
    assert history.rounds[0].loss == history.rounds[1].loss
    assert sorted(assassin.sums) == [1, 3]
    assert seen[0] == set(assassin.killed)
    assert seen[2].isdisjoint(assassin.killed)
    require_nothing_left()


@pytest.mark.slow
def test_a_key_holder_killed_before_it_is_asked_anything_is_replaced_before_the_round() -> None:
    assassin = Assassin(1)
    history = simulate(points(rounds=2), task=crowd(), recorder=assassin)
    assert len(assassin.killed) == 1
    assert [record.status for record in history.rounds] == ["done", "done"]
    assert history.model.sha256() == model_without(rounds=2)
    require_nothing_left()


@pytest.mark.slow
def test_one_killed_before_every_round_costs_no_round() -> None:
    class Relentless(Callback):
        def round_started(self, history: RunHistory, round_index: int, cohort_size: int) -> None:
            for child in key_holders():
                child.kill()
                child.join()

    history = simulate(points(rounds=3), [Relentless()], task=crowd())
    assert [record.status for record in history.rounds] == ["done"] * 3
    assert history.model.sha256() == model_without(rounds=3)
    require_nothing_left()


@pytest.mark.slow
def test_a_key_holder_that_cannot_start_ends_the_run_and_leaves_nothing(tmp_path: Path) -> None:
    """The key file is there when the run is planned, and gone when the key holder wants to read it."""
    path = tmp_path / "key.json"
    from fedgdl.crypto.paillier.private import generate, write_private_key

    write_private_key(path, generate(KEY_BITS))

    class Thief(Callback):
        def run_started(self, history: RunHistory) -> None:
            path.unlink()

    with pytest.raises(EngineError, match="key holder"):
        simulate(points(key_file=str(path)), [Thief()], task=crowd())
    require_nothing_left()


# Whoever started it


LONG = [
    "run",
    "spam",
    *(
        item
        for override in (
            "data.source=synthetic-mail",
            "data.examples=1000",
            "aggregation.kind=paillier",
            "aggregation.insecure_key_bits=256",
        )
        for item in ("--set", override)
    ),
    "--rounds",
    "1000000",
    "--yes",
]


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_rounds_and_ends_the_key_holder(tmp_path: Path) -> None:
    terminal = pexpect.spawn(
        PROGRAM, [*LONG, "--out", "run"], cwd=str(tmp_path), env=environment_with(None), encoding="utf-8", timeout=60
    )
    terminal.setwinsize(40, 120)
    terminal.expect(r"clients of round (\d\d)")
    family = psutil.Process(terminal.pid).children(recursive=True)
    assert len(family) >= 4  # three workers and the key holder
    terminal.sendintr()
    terminal.expect(r"Interrupted; (\d+) finished rounds are kept")
    kept = int(terminal.match[1])
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert "Traceback" not in (terminal.before or "")
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == kept
    log = (tmp_path / "run" / "run.log").read_text()
    assert re.search(r"key-holder-1\[\d+\] INFO .*the key holder has PaillierPublicKey\(256 bits", log)
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not orphaned_blocks()


SCRIPT = """
from experiments import Callback, load_config, simulate

class Tell(Callback):
    def round_finished(self, history, record):
        print(record.round_index, flush=True)

if __name__ == "__main__":
    simulate(
        load_config(
            "spam",
            [
                "data.source=synthetic-mail",
                "data.examples=1000",
                "rounds=1000000",
                "aggregation.kind=paillier",
                "aggregation.insecure_key_bits=256",
            ],
        ),
        [Tell()],
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_coordinator(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    process = run_script(SCRIPT, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 4
    process.send_signal(number)
    process.communicate(timeout=30)
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not orphaned_blocks()
    if number != signal.SIGKILL:  # nobody is left to remove it then
        assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow
def test_an_error_in_the_middle_leaves_no_process() -> None:
    class Broken(Callback):
        def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
            message = "a defect of the callback"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="a defect of the callback"):
        simulate(points(rounds=3), [Broken()], task=crowd())
    require_nothing_left()


@pytest.mark.slow
def test_no_secret_of_a_run_is_in_its_folder_or_log(tmp_path: Path) -> None:
    """The private key's factors would be hexadecimal numbers of 32 digits; none of that length is anywhere."""
    arguments = [*LONG[:-3], "--rounds", "1", "--engine", "inline", "--out", "run"]
    finished = fedgdl(*arguments, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    known = {result["model_sha256"], result["data_fingerprint"]}
    texts = [finished.stdout, finished.stderr]
    texts += [
        path.read_text()
        for path in (tmp_path / "run").rglob("*")
        if path.suffix in {".json", ".jsonl", ".log", ".toml"}
    ]
    for text in texts:
        assert set(re.findall(r"\b[0-9a-f]{30,}\b", text)) <= known
