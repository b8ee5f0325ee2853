"""What a run survives: killed workers, spoilt updates, a killed coordinator."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from program import blocks_of, fedgdl, fedgdl_json, orphaned_blocks, run_script

SYNTHETIC = ["--set", "data.source=synthetic-mail", "--set", "data.examples=1000"]


def run_with(faults: str, cwd: Path, *more: str) -> dict[str, Any]:
    return fedgdl_json("run", "spam", *SYNTHETIC, "--set", f"faults.events=[{faults}]", *more, cwd=cwd)


def statuses(record: dict[str, Any]) -> dict[str, str]:
    return {client["client_id"]: client["status"] for client in record["clients"]}


@pytest.mark.parametrize("when", ["before_training", "after_training"])
def test_a_killed_worker_costs_its_client_one_round(tmp_path: Path, when: str) -> None:
    result = run_with(f'{{kind="kill", client="sue", round=2, when="{when}"}}', tmp_path)
    assert [statuses(record)["sue"] for record in result["rounds"]] == ["done", "failed", "done", "done", "done"]
    for record in result["rounds"]:
        assert statuses(record) | {"sue": "done"} == {"alice": "done", "bob": "done", "sue": "done"}
    reasons = [client["reason"] for client in result["rounds"][1]["clients"] if client["client_id"] == "sue"]
    assert "SIGKILL" in reasons[0]


def test_a_worker_killed_after_it_has_answered_costs_nothing(tmp_path: Path) -> None:
    """Nor the next one: what the dead worker was to do there goes to another."""
    result = run_with('{kind="kill", client="sue", round=2, when="after_sending"}', tmp_path)
    failed = [sum(status == "failed" for status in statuses(record).values()) for record in result["rounds"]]
    assert failed == [0, 0, 0, 0, 0]


def test_a_worker_with_several_clients_loses_only_the_one_it_was_training(tmp_path: Path) -> None:
    """Twenty clients, two workers: a task holds ceil(20 / (4 * 2)) = 3 clients; the others go to another worker."""
    more = ["--set", 'data.partition={kind="iid", clients=20}', "--workers", "2", "--rounds", "3"]
    result = run_with('{kind="kill", client="client-0002", round=2}', tmp_path, *more)
    assert [record["status"] for record in result["rounds"]] == ["done"] * 3
    lost = [client["client_id"] for client in result["rounds"][1]["clients"] if client["status"] == "failed"]
    assert lost == ["client-0002"]
    assert set(statuses(result["rounds"][2]).values()) == {"done"}


def test_all_workers_killed_fail_the_round_and_leave_the_model_as_it_was(tmp_path: Path) -> None:
    kills = ", ".join(f'{{kind="kill", client="{client}", round=2}}' for client in ("alice", "bob", "sue"))
    result = run_with(kills, tmp_path, "--rounds", "3")
    assert [record["status"] for record in result["rounds"]] == ["done", "failed", "done"]
    assert result["rounds"][0]["loss"] == result["rounds"][1]["loss"]
    assert result["rounds"][2]["loss"] < result["rounds"][1]["loss"]


@pytest.mark.parametrize("engine", ["inline", "processes"])
@pytest.mark.parametrize("kind", ["nan", "infinity"])
def test_a_spoilt_update_is_named_and_left_out(tmp_path: Path, kind: str, engine: str) -> None:
    result = run_with(f'{{kind="{kind}", client="bob", round=1}}', tmp_path, "--engine", engine, "--rounds", "2")
    first, second = result["rounds"]
    assert statuses(first) == {"alice": "done", "bob": "failed", "sue": "done"}
    assert statuses(second) == {"alice": "done", "bob": "done", "sue": "done"}
    reason = next(client["reason"] for client in first["clients"] if client["client_id"] == "bob")
    assert kind[:3] in reason
    assert "words.weight" in reason


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_corrupt_frame_costs_its_sender_the_round(tmp_path: Path, engine: str) -> None:
    result = run_with('{kind="corrupt", client="bob", round=1}', tmp_path, "--engine", engine, "--rounds", "2")
    assert statuses(result["rounds"][0])["bob"] == "failed"
    reason = next(client["reason"] for client in result["rounds"][0]["clients"] if client["client_id"] == "bob")
    assert "checksum" in reason
    assert statuses(result["rounds"][1])["bob"] == "done"


def test_a_stalled_client_misses_the_deadline_and_its_worker_is_replaced(tmp_path: Path) -> None:
    deadline = ["--set", "engine.round_deadline_seconds=2.0", "--rounds", "2"]
    result = run_with('{kind="stall", client="bob", round=1}', tmp_path, *deadline)
    assert statuses(result["rounds"][0]) == {"alice": "done", "bob": "failed", "sue": "done"}
    assert statuses(result["rounds"][1])["bob"] == "done"
    reason = next(client["reason"] for client in result["rounds"][0]["clients"] if client["client_id"] == "bob")
    assert "deadline" in reason


def test_a_fault_is_told_by_client_name_to_the_person_who_watches(tmp_path: Path) -> None:
    kill = 'faults.events=[{kind="kill", client="sue", round=1}]'
    finished = fedgdl("run", "spam", *SYNTHETIC, "--set", kill, "--out", "run", cwd=tmp_path)
    assert finished.returncode == 0
    assert "round 1: no update of sue: its worker was lost: killed by SIGKILL" in finished.stderr
    assert "round 1: without sue" in finished.stdout
    assert "Traceback" not in finished.stderr


def test_nothing_is_left_after_a_run_with_killed_workers(tmp_path: Path) -> None:
    finished = fedgdl(
        "run", "spam", *SYNTHETIC, "--set", 'faults.events=[{kind="kill", client="sue", round=1}]', cwd=tmp_path
    )
    assert finished.returncode == 0
    assert not orphaned_blocks()
    assert "resource_tracker" not in finished.stderr


COORDINATOR = """
import multiprocessing
from experiments import Callback, load_config, simulate

class Tell(Callback):
    def round_finished(self, history, record):
        print(" ".join(str(child.pid) for child in multiprocessing.active_children()), flush=True)

if __name__ == "__main__":
    simulate(load_config("spam", {overrides!r}), [Tell()])
"""


@pytest.mark.parametrize("is_stalled", [False, True], ids=["between tasks", "in the middle of training"])
def test_a_killed_coordinator_leaves_no_process_and_no_shared_memory(tmp_path: Path, is_stalled: bool) -> None:
    stall = 'faults.events=[{kind="stall", client="bob", round=2}]'
    overrides = ["data.source=synthetic-mail", "data.examples=1000", "rounds=1000000"]
    if is_stalled:
        overrides += [stall, "engine.round_deadline_seconds=1000"]
    coordinator = run_script(COORDINATOR.format(overrides=overrides), tmp_path)
    assert coordinator.stdout is not None
    workers = [psutil.Process(int(pid)) for pid in coordinator.stdout.readline().split()]
    assert len(workers) == 3
    family = [*psutil.Process(coordinator.pid).children(recursive=True)]
    assert blocks_of(coordinator.pid)
    os.kill(coordinator.pid, signal.SIGKILL)
    coordinator.wait()
    _, alive = psutil.wait_procs([*workers, *family], timeout=5)
    assert not alive
    assert not orphaned_blocks()
    coordinator.communicate()


def test_a_task_that_raises_for_every_client_stops_the_run_and_says_why(tmp_path: Path) -> None:
    raising = ", ".join(f'{{kind="raise", client="{client}", round=2}}' for client in ("alice", "bob", "sue"))
    arguments = ["--set", f"faults.events=[{raising}]", "--out", "run", "--json"]
    finished = fedgdl("run", "spam", *SYNTHETIC, *arguments, cwd=tmp_path)
    assert finished.returncode == 1
    assert "every client of round 2 raised; InjectedError" in finished.stderr
    kept = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [record["round_index"] for record in kept] == [1]


ASSASSIN = """
import json, multiprocessing, os, signal
import numpy as np
from experiments import Callback, load_config, simulate

class Assassin(Callback):
    def __init__(self):
        self.rng = np.random.default_rng(7)
        self.num_kills = 0

    def round_started(self, history, round_index, cohort_size):
        self.num_answers = 0
        self.moment = int(self.rng.integers(1, 20)) if round_index % 2 == 0 else 0

    def client_answered(self, history, round_index, client_id, *, has_update):
        self.num_answers += 1
        if self.num_answers == self.moment:
            victim = self.rng.choice([child.pid for child in multiprocessing.active_children()])
            os.kill(int(victim), signal.SIGKILL)
            self.num_kills += 1

if __name__ == "__main__":
    assassin = Assassin()
    overrides = ["data.source=synthetic-mail", "rounds=20", "engine.workers=3", "training.epochs=100"]
    history = simulate(load_config("spam", [*overrides, "data.partition={kind='iid', clients=24}"]), [assassin])
    print(json.dumps({**history.to_dict(), "num_kills": assassin.num_kills}))
"""


@pytest.mark.slow
def test_workers_killed_at_random_moments_cost_their_clients_and_nothing_else(tmp_path: Path) -> None:
    """In every second round, when a random number of clients has answered, a random worker is killed."""
    output, errors = run_script(ASSASSIN, tmp_path).communicate(timeout=110)
    result = json.loads(output)
    assert result["num_kills"] == 10
    assert len(result["rounds"]) == 20
    failed = [client for record in result["rounds"] for client in record["clients"] if client["status"] == "failed"]
    assert 0 < len(failed) <= result["num_kills"]
    assert all("killed by SIGKILL" in client["reason"] for client in failed)
    assert all(len(record["clients"]) == 24 for record in result["rounds"])
    assert "Traceback" not in errors
    assert not orphaned_blocks()
