"""A run as it is known afterwards: its configuration, data, rounds and model.

Example:
    >>> sorted(RunHistory.__annotations__)[:3]
    ['data_description', 'data_fingerprint', 'experiment']
"""

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from fedgdl.config import Experiment
from fedgdl.federated import RoundRecord
from fedgdl.parameters import Parameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RunHistory"]


@dataclass(slots=True)
class RunHistory:
    """What happened in one run.

    Attributes:
        experiment: the resolved configuration.
        data_description: the data set used, in a line for people.
        data_fingerprint: a digest of the prepared data.
        is_synthetic: whether the data was generated.
        versions: of Python, fedgdl and the packages that results depend on.
        model: the parameters after the last finished round.
        rounds: the records of the finished rounds.
        status: `"done"` when all rounds are over and at least one of them gave a new model; `"failed"` when
            none did, or an error ended the run.
        first_training_time: `time.time()` when the first client's training had begun.
    """

    experiment: Experiment
    data_description: str
    data_fingerprint: str
    is_synthetic: bool
    versions: dict[str, str]
    model: Parameters
    rounds: list[RoundRecord] = field(default_factory=list)
    status: Literal["running", "done", "interrupted", "failed"] = "running"
    first_training_time: float | None = None

    def add_round(self, record: RoundRecord, model: Parameters) -> None:
        """Adds a finished round together with its model, which is copied."""
        self.model.load(model.vector)
        self.rounds.append(record)

    def to_dict(self) -> dict[str, Any]:
        """Returns the run as JSON-ready values."""
        return {
            "name": self.experiment.name,
            "status": self.status,
            "rounds": [record.to_dict() for record in self.rounds],
            "model_sha256": self.model.sha256(),
            "config": msgspec.to_builtins(self.experiment),
            "versions": copy.copy(self.versions),
            "data_fingerprint": self.data_fingerprint,
            "data_description": self.data_description,
            "data_is_synthetic": self.is_synthetic,
            "first_training_time": self.first_training_time,
        }

    def plot(self) -> "Figure":
        """Returns a matplotlib figure of loss and accuracy by round; a notebook shows it."""
        from experiments.report.curves import draw_curves

        return draw_curves(self)
