"""One simulated participant: it trains on its own data.

Not here: what is done to its update before it is sent (`clients.protection`).

Example:
    >>> from fedgdl.data import BagExamples
    >>> len(Client("bob", BagExamples.of([[0, 1]], labels=[1])).examples)
    1
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from clients.faults import Faults
from fedgdl.config import Experiment, TrainingConfig
from fedgdl.data import Examples
from fedgdl.errors import ClientError, DataError
from fedgdl.federated import ClientUpdate, Task, client_streams, train_client
from fedgdl.nn import Module
from fedgdl.parameters import Parameters

__all__ = ["Client", "Workbench"]

_LEFT_OUT: Final = "it is left out of this round (a lower training.learning_rate may help)"
_NOT_FINITE: Final = "its update is not finite"
"""All that a protected run tells of it."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every client of a worker trains with; one object for all of them.

    Attributes:
        experiment: the configuration.
        task: gives predictions and losses.
        model: the worker's model, used by one client after another.
        parameters: the model's own vector.
        faults: what is to go wrong on purpose.
    """

    experiment: Experiment
    task: Task[Any]
    model: Module
    parameters: Parameters
    faults: Faults


@dataclass(frozen=True, slots=True)
class Client:
    """A client and its own examples."""

    client_id: str
    examples: Examples[Any]

    def train(self, round_index: int, plan: TrainingConfig, bench: Workbench) -> ClientUpdate:
        """Returns this client's update, trained from the parameters that the model holds now; all of it is finite.

        Raises:
            ClientError: it has no usable examples, or its update or training loss is NaN or infinite.
        """
        bench.faults.reach("before_training", self.client_id, round_index)
        update = self._train(round_index, plan, bench)
        if not update.is_finite:
            raise ClientError(self.client_id, _where_not_finite(update, bench.parameters), _NOT_FINITE)
        if not math.isfinite(update.train_loss):
            reason = f"its training ended with a loss of {update.train_loss}; {_LEFT_OUT}"
            raise ClientError(self.client_id, reason, _NOT_FINITE)
        bench.faults.reach("after_training", self.client_id, round_index)
        return update

    def _train(self, round_index: int, plan: TrainingConfig, bench: Workbench) -> ClientUpdate:
        shuffle, dropout = client_streams(bench.experiment.seed, round_index, self.client_id)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found by the caller, and named
                update = train_client(
                    bench.task, bench.model, bench.parameters, self.examples, plan, shuffle, dropout_rng=dropout
                )
        except DataError as error:
            raise ClientError(self.client_id, str(error), "it has no usable examples") from error
        delta = bench.faults.spoil_delta(update.delta, self.client_id, round_index)
        return ClientUpdate(delta, update.num_examples, update.train_loss, update.train_accuracy)


def _where_not_finite(update: ClientUpdate, parameters: Parameters) -> str:
    first = int(np.flatnonzero(~np.isfinite(update.delta))[0])
    name = next(name for name, where, _ in parameters.layout.slices() if where.start <= first < where.stop)
    return f"its update holds {update.delta[first]} in {name}; {_LEFT_OUT}"
