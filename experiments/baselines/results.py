"""What a baseline gave, as plain values that are filled while it goes on: an interrupted one keeps what is done.

Example:
    >>> scores = [ClientScore("ann", 10, 20, 0.5, 0.75), ClientScore("bob", 30, 60, 0.25, 0.25)]
    >>> local = LocalBaseline(num_clients=2, clients=scores)
    >>> local.accuracy, local.spread()["mean"], local.num_visits
    (0.375, 0.5, 80)
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from fedgdl.config import Experiment
from fedgdl.federated import RoundRecord, num_visits

__all__ = ["Baseline", "BaselinePoint", "CentralBaseline", "ClientScore", "LocalBaseline", "federated_visits"]

Status: TypeAlias = Literal["running", "done", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class BaselinePoint:
    """How good the central model was at one moment.

    Attributes:
        round_index: after as many example visits as the federation had after this round.
        num_visits: how many these were.
        loss, accuracy, metrics: on the test set, as in `RoundRecord`.
    """

    round_index: int
    num_visits: int
    loss: float
    accuracy: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class CentralBaseline:
    """One model trained on the examples of all clients together.

    Attributes:
        num_rounds: the rounds of the federation that it matches.
        points: the test results, evaluated after the same rounds as the federation's.
        num_visits: examples that its steps saw, repetitions counted.
        seconds: wall-clock time.
        status: how it ended; `"failed"` where its parameters became infinite or no number.
    """

    num_rounds: int
    points: list[BaselinePoint] = field(default_factory=list)
    num_visits: int = 0
    seconds: float = 0.0
    status: Status = "running"

    @property
    def accuracy(self) -> float | None:
        """The last test accuracy, 0 to 1; none before there is one."""
        return self.points[-1].accuracy if self.points else None

    @property
    def loss(self) -> float | None:
        """The last test loss; none before there is one."""
        return self.points[-1].loss if self.points else None

    def to_dict(self) -> dict[str, Any]:
        """Returns the baseline as JSON-ready values."""
        return {**asdict(self), "accuracy": self.accuracy, "loss": self.loss}


@dataclass(frozen=True, slots=True)
class ClientScore:
    """How good the model is that one client trained alone.

    Attributes:
        client_id: who.
        num_examples: how many examples it has.
        num_visits: examples that its steps saw, repetitions counted.
        loss, accuracy: of its model, on the test set of all; none where it gave no model.
        reason: why it gave none; empty otherwise.
    """

    client_id: str
    num_examples: int
    num_visits: int
    loss: float | None = None
    accuracy: float | None = None
    reason: str = ""


@dataclass(slots=True)
class LocalBaseline:
    """A model for each client, trained on its own examples alone; all are tested on the one test set.

    Attributes:
        num_clients: the population.
        clients: the scores of those that are done, in the order of their ids.
        seconds: wall-clock time.
        status: how it ended; `"failed"` where no client gave a model.
    """

    num_clients: int
    clients: list[ClientScore] = field(default_factory=list)
    seconds: float = 0.0
    status: Status = "running"

    @property
    def num_visits(self) -> int:
        """Examples that the steps of all clients saw, repetitions counted."""
        return sum(client.num_visits for client in self.clients)

    @property
    def accuracy(self) -> float | None:
        """The mean of the clients' test accuracies, weighted by their examples; none without a model."""
        return self._weighted("accuracy")

    @property
    def loss(self) -> float | None:
        """The mean of the clients' test losses, weighted by their examples; none without a model."""
        return self._weighted("loss")

    def spread(self) -> dict[str, float]:
        """Returns the unweighted mean, min, median and max of the clients' test accuracies; empty without a model."""
        values = [client.accuracy for client in self.clients if client.accuracy is not None]
        if not values:
            return {}
        return {
            "mean": statistics.fmean(values),
            "min": min(values),
            "median": statistics.median(values),
            "max": max(values),
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the baseline as JSON-ready values."""
        return {
            **asdict(self),
            "num_visits": self.num_visits,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "accuracy_of_clients": self.spread(),
        }

    def _weighted(self, name: Literal["accuracy", "loss"]) -> float | None:
        scored = [client for client in self.clients if client.accuracy is not None]
        total = sum(client.num_examples for client in scored)
        if not total:
            return None
        return math.fsum(client.num_examples * getattr(client, name) for client in scored) / total


Baseline: TypeAlias = CentralBaseline | LocalBaseline


def federated_visits(experiment: Experiment, rounds: Sequence[RoundRecord]) -> int:
    """Returns how many examples the steps saw whose updates came, repetitions counted."""
    return sum(
        num_visits(client.num_examples, experiment.training)
        for record in rounds
        for client in record.clients
        if client.num_examples is not None
    )
