"""How long a run takes to get going, and what each worker process costs in memory.

Each measurement is a real `fedgdl run` in a process of its own, on data that is already prepared.

Not here: how fast a training step is (`spam_step`).
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from experiments.benchmarks.measure import proportional_bytes_of, unshared_bytes_of
from experiments.callbacks import Callback
from experiments.environment import machine, versions
from experiments.run_history import RunHistory
from experiments.simulation import load_config, simulate
from fedgdl.data import load_dataset
from fedgdl.errors import DataMissing, RunFailed
from fedgdl.federated import RoundRecord
from fedgdl.progress import watched

__all__ = ["StartUpReport", "run"]

_BOOK: Final = "spam-book"
_SYNTHETIC: Final = "spam"


@dataclass(frozen=True, slots=True)
class StartUpReport:
    """What was measured, and where.

    Attributes:
        experiment: `spam-book` where its data is at hand, else `spam` on synthetic mail.
        repeats: how many runs.
        start_up_seconds: median from the start of the process until the first client's training has begun.
        rounds_seconds: median wall-clock time of all rounds together.
        num_rounds: how many these were.
        added_worker_mb: by how much the memory of all processes of a run grows with each further worker, in
            1e6 bytes: proportional set sizes after the last round, with three workers against one.
        worker_unshared_mb: the largest unique set size of a worker, in 1e6 bytes: what no other process maps at
            that moment, which includes the part of the data file that only this worker has read so far.
            Both are 0 where the system does not tell (they are read from Linux's smaps_rollup).
        help_seconds: median time of `fedgdl --help`.
        machine: processor and operating system.
        versions: of Python, NumPy and fedgdl.
    """

    experiment: str
    repeats: int
    start_up_seconds: float
    rounds_seconds: float
    num_rounds: int
    added_worker_mb: float
    worker_unshared_mb: float
    help_seconds: float
    machine: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)


class _Memory(Callback):
    """Notes how much memory the processes of a run take.

    Attributes:
        largest_worker: the largest unique set size of a worker after any round, in bytes.
        total: the proportional set sizes of coordinator and workers after the last round, in bytes.
    """

    def __init__(self) -> None:
        self.largest_worker = 0
        self.total = 0

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Looks at all processes of the run."""
        workers = [child.pid for child in multiprocessing.active_children() if child.pid]
        unshared = [unshared_bytes_of(process_id) for process_id in workers]
        self.largest_worker = max([self.largest_worker, *unshared])
        self.total = sum(proportional_bytes_of(process_id) for process_id in [os.getpid(), *workers])


def run(repeats: int) -> StartUpReport:
    """Runs the experiment some times, each in a new process, and returns medians.

    Raises:
        RunFailed: a run did not end well.
    """
    experiment, overrides = _choose()
    memory = {
        workers: _measure_memory(experiment, overrides, workers) for workers in watched((1, 3), "measuring memory")
    }
    measured = [_measure(experiment, overrides) for _ in watched(range(repeats), "runs")]
    return StartUpReport(
        experiment=experiment,
        repeats=repeats,
        start_up_seconds=statistics.median(start_up for start_up, _, _ in measured),
        rounds_seconds=statistics.median(rounds for _, rounds, _ in measured),
        num_rounds=measured[0][2],
        added_worker_mb=(memory[3].total - memory[1].total) / 2 / 1e6,
        worker_unshared_mb=max(memory[1].largest_worker, memory[3].largest_worker) / 1e6,
        help_seconds=statistics.median(_time_help() for _ in range(repeats)),
        machine=machine(),
        versions=versions(),
    )


def _measure_memory(experiment: str, overrides: list[str], workers: int) -> _Memory:
    memory = _Memory()
    simulate(load_config(experiment, [*overrides, f"engine.workers={workers}"]), [memory])
    return memory


def _choose() -> tuple[str, list[str]]:
    """Returns the experiment to run and its overrides; its data is prepared by then."""
    choice: tuple[str, list[str]] = (_BOOK, [])
    try:
        _prepare(*choice)
    except DataMissing:
        choice = (_SYNTHETIC, ["data.source=synthetic-mail"])
        _prepare(*choice)
    return choice


def _prepare(experiment: str, overrides: list[str]) -> None:
    config = load_config(experiment, overrides)
    load_dataset(config.data, config.seed)


def _measure(experiment: str, overrides: list[str]) -> tuple[float, float, int]:
    """Returns (start-up seconds, seconds of all rounds, number of rounds) of one run in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        options = [option for override in overrides for option in ("--set", override)]
        began = time.time()
        finished = _fedgdl("run", experiment, *options, "--workers", "2", "--json", "--out", str(Path(folder) / "run"))
        result = json.loads(finished.stdout)
    rounds = sum(record["seconds"] for record in result["rounds"])
    return result["first_training_time"] - began, rounds, len(result["rounds"])


def _time_help() -> float:
    began = time.perf_counter()
    _fedgdl("--help")
    return time.perf_counter() - began


def _fedgdl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments.cli", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))  # noqa: S603
    if finished.returncode != 0:
        message = f"{' '.join(command)} ended with exit code {finished.returncode}: {finished.stderr.strip()}"
        raise RunFailed(message)
    return finished
