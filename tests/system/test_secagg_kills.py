"""Secure aggregation while worker processes die at random: the survivors' exact sum or none, and nothing left over."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import secagg_kill_program
from federation import LineTask, make_data, make_experiment
from program import environment_with, orphaned_blocks
from secagg_kill_program import BETWEEN, STAGES

from experiments import simulate
from fedgdl.config import AggregationConfig, EngineConfig, FaultConfig, FaultsConfig
from server.recorder import Recorder

SECONDS_A_KILL = 10
"""A worker starts within half a second, or within several where much else runs; after so long it is hung."""


@dataclass(frozen=True)
class Scene:
    """A federation and what is to befall it, see `secagg_kill_program`; `fewest` clients have to stay: 2 n // 3 + 1."""

    num_clients: int
    fewest: int
    width: int
    attempts: int
    start_method: str
    num_kills: int
    seed: int

    @property
    def seconds(self) -> int:
        """More than it takes."""
        return 60 + SECONDS_A_KILL * self.num_kills

    def start(self, folder: Path) -> "subprocess.Popen[bytes]":
        """Starts it in an empty folder, whose files `out` and `err` take what it prints."""
        (folder / "temporary").mkdir(parents=True)
        arguments = (self.num_clients, self.width, self.attempts, self.num_kills, self.seed, self.start_method)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            return subprocess.Popen(
                [sys.executable, secagg_kill_program.__file__, *map(str, arguments), str(self.seconds)],
                cwd=folder,
                env=environment_with(None, TMPDIR=str(folder / "temporary")),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )


FIVE = Scene(5, 4, width=1_000, attempts=1, start_method="default", num_kills=110, seed=1)
FOUR = Scene(4, 3, width=50_000, attempts=2, start_method="spawn", num_kills=90, seed=2)
"""As the program `fedgdl` starts its workers. Vectors of 300 kB, more than a pipe takes at once: some workers die in
the middle of a frame."""


def check_round(line: dict[str, Any], scene: Scene) -> None:
    """Checks one round against what the clients had sent, and against whose worker was killed."""
    assert line["is_exact"], line
    assert line["is_model_right"], line
    assert not line["twice"], line
    for reason in line["failures"].values():
        assert "SIGKILL" in reason or "the round ended with" in reason, line
    if line["status"] == "done":
        assert line["done"] == line["masked"], line
        assert len(line["done"]) >= scene.fewest, line
        assert line["weight"] == sum(4 + int(client.removeprefix("c")) for client in line["done"]), line
        assert line["failures"].keys() <= set(line["lost"]), line
        return
    assert line["weight"] is None, line
    if "'unmask'" not in line["reason"]:  # then there is no other attempt: the sum may have been opened
        assert line["attempts"] == scene.attempts, line
    told = re.fullmatch(
        r"(\d+) (updates came|clients answered in the stage '[a-z ]+'), (\d+) are needed", line["reason"]
    )
    assert told is not None, line
    assert int(told[1]) < int(told[3]) == scene.fewest, line
    assert len(line["lost"]) > scene.num_clients - scene.fewest, line


def check_run(folder: Path, scene: Scene) -> list[dict[str, Any]]:
    """Checks what a finished program printed and left, and returns its rounds."""
    errors = (folder / "err").read_text()
    *rounds, ending = map(json.loads, (folder / "out").read_text().splitlines())
    assert ending == {"ended": "done", "children": 0}, errors[-5_000:]
    for line in rounds:
        check_round(line, scene)
    assert sum(len(line["kills"]) for line in rounds) == scene.num_kills
    assert rounds[-1]["done"] == [f"c{number}" for number in range(scene.num_clients)]
    for word in ("Traceback", "resource_tracker", "Exception", "leaked"):
        assert word not in errors
    few = scene.num_clients  # the last ones killed may still be being cleared away
    assert rounds[-1]["files"] <= rounds[0]["files"] + few
    assert rounds[-1]["threads"] <= rounds[0]["threads"] + few
    assert not list((folder / "temporary").iterdir())
    assert {path.name for path in folder.iterdir()} == {"out", "err", "temporary", "truth"}
    return rounds


def processes_in(folder: Path) -> list[psutil.Process]:
    """Returns the processes that work in a folder: workers have that of their coordinator."""
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder.resolve())]


def test_who_has_helped_to_open_a_sum_takes_part_in_no_other_attempt_at_its_round() -> None:
    """Whichever worker answers for it then: the difference of two sums could be a single client's update."""
    faults = FaultsConfig(tuple(FaultConfig("kill", client, 1, "unmask") for client in ("c0", "c1")))
    experiment = make_experiment(
        rounds=1,
        faults=faults,
        aggregation=AggregationConfig("secagg", max_attempts=2),
        engine=EngineConfig(workers=5),
    )
    recorder = Recorder(keep=True)
    task = LineTask(make_data({f"c{number}": 4 + number for number in range(5)}))
    history = simulate(experiment, task=task, recorder=recorder)
    helped = [kept.client_id for kept in recorder.payloads if kept.stage == "unmask"]
    assert sorted(helped) == ["c2", "c3", "c4"]
    assert history.rounds[0].status == "failed"
    assert not recorder.sums


@pytest.mark.slow
@pytest.mark.timeout(FIVE.seconds + 60)
def test_two_hundred_random_kills_give_no_wrong_sum_no_hang_and_leave_nothing(tmp_path: Path) -> None:
    """Two federations side by side."""
    assert FIVE.num_kills + FOUR.num_kills == 200
    folders = {"five": FIVE, "four": FOUR}
    running = {name: scene.start(tmp_path / name) for name, scene in folders.items()}
    try:
        for name, process in running.items():
            assert process.wait() == 0, (tmp_path / name / "err").read_text()[-5_000:]
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    rounds: list[dict[str, Any]] = []
    for name, scene in folders.items():
        lines = check_run(tmp_path / name, scene)
        assert {line["attempts"] for line in lines} == set(range(1, scene.attempts + 1))
        assert not processes_in(tmp_path / name)
        rounds += lines
    assert not orphaned_blocks()
    by_stage = Counter(kill["stage"] for line in rounds for kill in line["kills"])
    assert min(by_stage[stage] for stage in (*STAGES, BETWEEN)) >= 5, by_stage
    by_victim = Counter(kill["victim"] for line in rounds for kill in line["kills"])
    assert min(by_victim[victim] for victim in ("starting", "asked", "answered")) >= 3, by_victim
    done = [line for line in rounds if line["status"] == "done"]
    assert len(rounds) - len(done) >= 3
    assert any(line["failures"] for line in done)
    assert any(set(line["done"]) & set(line["lost"]) for line in done)  # left when their updates were there
