"""A run as it is known afterwards: its configuration, data, rounds and model.

Example:
    >>> sorted(RunHistory.__annotations__)[:3]
    ['baselines', 'data_description', 'data_fingerprint']
"""

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from experiments.baselines.results import Baseline, federated_visits
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
        status: `"done"` when all rounds are over, or the target accuracy is reached, and at least one of them gave a
            new model; `"failed"` when none did, or an error ended the run.
        first_training_time: `time.time()` when the first client's training had begun.
        protection: what protects the run and how exactly sums are kept, as `experiments.protection.describe` has it;
            none where updates are not encoded.
        baselines: kind -> what the same task and data gave without federation, where that was asked for.
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
    protection: dict[str, Any] | None = None
    baselines: dict[str, Baseline] = field(default_factory=dict)

    def add_round(self, record: RoundRecord, model: Parameters) -> None:
        """Adds a finished round together with its model, which is copied."""
        self.model.load(model.vector)
        self.rounds.append(record)

    def to_dict(self) -> dict[str, Any]:
        """Returns the run as JSON-ready values."""
        target = self.experiment.until_accuracy
        more: dict[str, Any] = {} if target is None else {"rounds_to_target": self.rounds_to(target)}
        if self.experiment.aggregation.is_private:
            more["clients_are_observed"] = True  # the simulator's truth: the coordinator saw no client's numbers
        if self.baselines:
            more["baselines"] = {kind: baseline.to_dict() for kind, baseline in self.baselines.items()}
            more["example_visits"] = self.num_visits
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
            "protection": copy.copy(self.protection),
            **more,
        }

    @property
    def num_visits(self) -> int:
        """Examples seen by the clients' steps whose updates came, repetitions counted."""
        return federated_visits(self.experiment, self.rounds)

    @property
    def last_evaluated(self) -> RoundRecord | None:
        """The last round after which the model was tested; none where there is none."""
        return next((record for record in reversed(self.rounds) if record.accuracy is not None), None)

    @property
    def has_reached_target(self) -> bool:
        """Whether a test accuracy of `until_accuracy` or more was seen; false where none was asked for."""
        target = self.experiment.until_accuracy
        return target is not None and self.rounds_to(target) is not None

    def rounds_to(self, accuracy: float) -> float | None:
        """Returns how many rounds it took to reach a test accuracy, 0 to 1; none where it was not reached.

        The curve of the best test accuracy so far is followed, straight between evaluated rounds: the result need not
        be a whole number. It is never less than the first evaluated round.

        Source:
            McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
            Decentralized Data", AISTATS 2017, section 3.
        """
        best: tuple[int, float] | None = None
        for record in self.rounds:
            if record.accuracy is None:
                continue
            if record.accuracy >= accuracy:
                if best is None:
                    return float(record.round_index)
                share = (accuracy - best[1]) / (record.accuracy - best[1])
                return best[0] + share * (record.round_index - best[0])
            best = record.round_index, max(record.accuracy, best[1] if best is not None else 0.0)
        return None

    def plot(self) -> "Figure":
        """Returns a matplotlib figure of loss and accuracy by round; a notebook shows it."""
        from experiments.report.curves import draw_curves

        return draw_curves(self)
