"""How long a run takes to get going, and what each worker process costs in memory.

Each measurement is a real `fedgdl run` in a process of its own, on data that is already prepared.

Not here: how fast a training step is (`spam_step`).
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from experiments.callbacks import Callback
from experiments.environment import versions
from experiments.run_history import RunHistory
from experiments.simulation import load_config, simulate
from fedgdl.errors import DataMissing, RunFailed
from fedgdl.federated import RoundRecord

__all__ = ["StartUpReport", "run", "unshared_bytes"]

_BOOK: Final = "spam-book"
_SYNTHETIC: Final = "spam"


@dataclass(frozen=True, slots=True)
class StartUpReport:
    """What was measured, and where.

    Attributes:
        experiment: `spam-book` where its data is at hand, else `spam` on synthetic mail.
        repeats: how many runs.
        start_up_seconds: median from the start of the process to the first task given to a ready worker.
        rounds_seconds: median wall-clock time of all rounds together.
        num_rounds: how many these were.
        worker_unshared_mb: private memory of a worker after a round, in 1e6 bytes, the largest of two workers;
            0 where the system does not tell (it is read from Linux's smaps_rollup).
        help_seconds: median time of `fedgdl --help`.
        machine: processor and operating system.
        versions: of Python, NumPy and fedgdl.
    """

    experiment: str
    repeats: int
    start_up_seconds: float
    rounds_seconds: float
    num_rounds: int
    worker_unshared_mb: float
    help_seconds: float
    machine: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)


class _WorkerMemory(Callback):
    """Notes the unshared memory of the worker processes after each round."""

    def __init__(self) -> None:
        self.largest = 0

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        import multiprocessing

        sizes = [unshared_bytes(child.pid) for child in multiprocessing.active_children() if child.pid]
        self.largest = max([self.largest, *sizes])


def run(repeats: int) -> StartUpReport:
    """Runs the experiment some times, each in a new process, and returns medians.

    Raises:
        RunFailed: a run did not end well.
    """
    experiment, overrides = _choose()
    memory = _WorkerMemory()
    simulate(load_config(experiment, [*overrides, "engine.workers=2"]), [memory])  # prepares the data, too
    measured = [_measure(experiment, overrides) for _ in range(repeats)]
    return StartUpReport(
        experiment=experiment,
        repeats=repeats,
        start_up_seconds=statistics.median(start_up for start_up, _, _ in measured),
        rounds_seconds=statistics.median(rounds for _, rounds, _ in measured),
        num_rounds=measured[0][2],
        worker_unshared_mb=memory.largest / 1e6,
        help_seconds=statistics.median(_time_help() for _ in range(repeats)),
        machine=f"{platform.machine()} {platform.system()}",
        versions=versions(),
    )


def unshared_bytes(process_id: int) -> int:
    """Returns a process's private memory in bytes, as Linux accounts for it; 0 where it does not say."""
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))


def _choose() -> tuple[str, list[str]]:
    from fedgdl.data import load_mail

    config = load_config(_BOOK)
    try:
        load_mail(config.data, config.seed)
    except DataMissing:
        return _SYNTHETIC, ["data.source=synthetic-mail"]
    return _BOOK, []


def _measure(experiment: str, overrides: list[str]) -> tuple[float, float, int]:
    """Returns (start-up seconds, seconds of all rounds, number of rounds) of one run in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        options = [option for override in overrides for option in ("--set", override)]
        began = time.time()
        finished = _fedgdl("run", experiment, *options, "--workers", "2", "--json", "--out", str(Path(folder) / "run"))
        result = json.loads(finished.stdout)
    rounds = sum(record["seconds"] for record in result["rounds"])
    return result["first_task_time"] - began, rounds, len(result["rounds"])


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
