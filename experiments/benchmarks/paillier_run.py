"""A whole run with encrypted aggregation beside the same one that sends its whole numbers in the clear.

Both end with the same model, bit for bit; what differs is time and memory.

Not here: what single steps cost (`paillier_key`).
"""

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from experiments.benchmarks.measure import peak_bytes_of
from experiments.benchmarks.paillier_report import EncryptedRun
from experiments.callbacks import Callback
from experiments.run_history import RunHistory
from experiments.simulation import load_config, simulate
from fedgdl.data import load_dataset
from fedgdl.errors import RunFailed
from fedgdl.federated import RoundRecord
from fedgdl.progress import watched

__all__ = ["measure_run"]

_MOST_SECONDS: Final = 60.0
_GOAL_WEIGHTS: Final = 100_000
"""The goal is for a model with at least so many weights."""

_ROLES: Final = {"worker": "worker", "key-holder": "key holder"}
_KINDS: Final = {"exact": "aggregation.exact=true", "encrypted": "aggregation.kind=paillier"}


class _PeakMemory(Callback):
    """Notes the most memory that each process of a run has had.

    Attributes:
        peak_bytes: role -> of the process that had most.
    """

    def __init__(self) -> None:
        self.peak_bytes: dict[str, int] = {}

    def run_started(self, history: RunHistory) -> None:
        """Forgets what this process has had before; where the system cannot, that counts, too."""
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # 5: reset the peak; see proc(5)

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Looks at all processes of the run."""
        self._note("coordinator", os.getpid())
        for child in multiprocessing.active_children():
            role = _ROLES.get(child.name.rpartition("-")[0])
            if role is not None and child.pid:
                self._note(role, child.pid)

    def _note(self, role: str, process_id: int) -> None:
        peak = peak_bytes_of(process_id)
        if peak:
            self.peak_bytes[role] = max(peak, self.peak_bytes.get(role, 0))


def measure_run(experiment: str, overrides: Sequence[str]) -> EncryptedRun:
    """Runs an experiment in the clear, and encrypted; its data is prepared beforehand.

    Args:
        experiment: the name of a shipped one, or a file.
        overrides: `"table.key=value"` each, for both.

    Raises:
        RunFailed: a round failed.
        FedgdlError: it cannot be run.
    """
    config = load_config(experiment, overrides)
    load_dataset(config.data, config.seed)
    histories: dict[str, RunHistory] = {}
    seconds: dict[str, float] = {}
    memory = _PeakMemory()
    for kind in watched(list(_KINDS), "whole runs"):
        began = time.perf_counter()
        watching = [memory] if kind == "encrypted" else []
        histories[kind] = simulate(load_config(experiment, [*overrides, _KINDS[kind]]), watching)
        seconds[kind] = time.perf_counter() - began
        _require_done(histories[kind])
    exact, encrypted = histories["exact"], histories["encrypted"]
    num_weights, overhead = encrypted.model.layout.size, seconds["encrypted"] - seconds["exact"]
    has_goal = num_weights >= _GOAL_WEIGHTS and not encrypted.is_synthetic
    cohort_size = len(encrypted.rounds[0].clients)
    aggregation = encrypted.experiment.aggregation
    return EncryptedRun(
        what=f"{config.name}: {encrypted.data_description}",
        data_is_synthetic=encrypted.is_synthetic,
        key_bits=aggregation.insecure_key_bits or aggregation.key_bits,
        num_weights=num_weights,
        num_rounds=len(encrypted.rounds),
        exact_seconds=seconds["exact"],
        encrypted_seconds=seconds["encrypted"],
        overhead_seconds=overhead,
        most_seconds=_MOST_SECONDS if has_goal else None,
        is_goal_met=overhead < _MOST_SECONDS if has_goal else None,
        is_same_model=np.array_equal(exact.model.vector, encrypted.model.vector),
        exact_stages=_stages(exact),
        encrypted_stages=_stages(encrypted),
        peak_bytes=memory.peak_bytes,
        bytes_per_update=statistics.median(record.stages[0].bytes_up / cohort_size for record in encrypted.rounds),
    )


def _require_done(history: RunHistory) -> None:
    failed = [record for record in history.rounds if record.status != "done"]
    if failed or not history.rounds:
        why = f"round {failed[0].round_index}: {failed[0].reason}" if failed else "no round"
        message = f"a run of {history.experiment.name} could not be measured ({why})"
        raise RunFailed(message)


def _stages(history: RunHistory) -> dict[str, float]:
    """Returns stage -> median seconds of a round, and what is outside of them as `"rest"`."""
    names = dict.fromkeys(stage.name for record in history.rounds for stage in record.stages)
    medians = {
        str(name): statistics.median(
            sum(stage.seconds for stage in record.stages if stage.name == name) for record in history.rounds
        )
        for name in names
    }
    rest = statistics.median(
        record.seconds - sum(stage.seconds for stage in record.stages) for record in history.rounds
    )
    return {**medians, "rest": rest}
