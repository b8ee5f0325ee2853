"""Audited runs, small enough for a test."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from federation import LineTask, make_data, make_experiment

from experiments import load_config, simulate
from experiments.audit import Audit
from experiments.run_folder import RunFolder
from experiments.run_history import RunHistory
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.federated import Task

SECAGG = AggregationConfig("secagg", clip=4.0)


@dataclass(frozen=True)
class Audited:
    """A run that is over, and its audit.

    Attributes:
        history: the run's.
        audit: written.
        folder: the run's.
    """

    history: RunHistory
    audit: Audit
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        """What is in audit.json."""
        document: dict[str, Any] = msgspec.json.decode((self.folder / "audit" / "audit.json").read_bytes())
        return document

    @property
    def page(self) -> str:
        """The HTML."""
        return (self.folder / "audit" / "audit.html").read_text("utf-8")

    @property
    def received(self) -> bytes:
        """The file of all that the coordinator received."""
        return (self.folder / "audit" / "received.bin").read_bytes()


def run_audited(folder: Path, experiment: Experiment, task: Task[Any] | None = None) -> Audited:
    """Runs an experiment with an audit, in a new folder."""
    run_folder = RunFolder(folder)
    audit = Audit(run_folder)
    history = simulate(experiment, [run_folder, audit], task=task, recorder=audit.recorder, keep_vectors=True)
    audit.write(history)
    return Audited(history, audit, folder)


def line_experiment(aggregation: AggregationConfig = SECAGG, **changes: Any) -> Experiment:
    """Returns an experiment of `LineTask` that trains whole data sets of any size in a moment."""
    training = TrainingConfig(learning_rate=0.125, batch_size=8_192, loss_reduction="mean", shuffle=False)
    return make_experiment(**{"aggregation": aggregation, "training": training, **changes})


def line_task(**sizes: int) -> LineTask:
    """Returns the task with a client of each given name and number of points."""
    return LineTask(make_data(sizes))


def spam_experiment(*overrides: str) -> Experiment:
    """Returns a small federation with some thousand weights, on generated mails."""
    small = ["data.source=synthetic-mail", "data.examples=600", "engine.kind=inline", "rounds=2"]
    return load_config("spam", [*small, *overrides])
