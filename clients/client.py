"""One simulated participant: it trains on its own data and hands out a protected payload.

Example:
    >>> from fedgdl.data import BagExamples
    >>> len(Client("bob", BagExamples.of([[0, 1]], labels=[1])).examples)
    1
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from clients.faults import Faults
from clients.protection import Protection
from fedgdl.config import Experiment
from fedgdl.data import Examples
from fedgdl.errors import ClientError, DataError
from fedgdl.federated import ClientUpdate, Strategy, Task, client_streams, train_client
from fedgdl.nn import Module
from fedgdl.parameters import Parameters
from fedgdl.wire import TrainTask

__all__ = ["Client", "Participation"]

_LEFT_OUT: Final = "it is left out of this round (a lower training.learning_rate may help)"


@dataclass(frozen=True, slots=True)
class Participation:
    """What every client of a worker needs to take part; one object for all of them.

    Attributes:
        experiment: the configuration.
        task: gives predictions and losses.
        model: the worker's model, used by one client after another.
        parameters: the model's own vector.
        strategy: says which terms of which sums a client forms.
        protection: turns terms into a payload.
        faults: what is to go wrong on purpose.
    """

    experiment: Experiment
    task: Task[Any]
    model: Module
    parameters: Parameters
    strategy: Strategy
    protection: Protection
    faults: Faults


@dataclass(frozen=True, slots=True)
class Client:
    """A client and its own examples."""

    client_id: str
    examples: Examples[Any]

    def take_part(self, message: TrainTask, common: Participation) -> bytes:
        """Returns the payload of this client's update, trained from the parameters that the model holds now.

        Raises:
            ClientError: it has no usable examples, or its update or a term of it holds NaN or infinity.
        """
        common.faults.reach("before_training", self.client_id, message.round_index)
        update = self._train(message, common)
        common.faults.reach("after_training", self.client_id, message.round_index)
        with np.errstate(over="ignore"):
            terms = common.strategy.terms(update)
        for name, term in terms.items():
            if not np.isfinite(term).all():
                reason = f"its update is too large for {term.dtype} in {name}; {_LEFT_OUT}"
                raise ClientError(self.client_id, reason)
        return common.protection.protect(update, terms)

    def _train(self, message: TrainTask, common: Participation) -> ClientUpdate:
        shuffle, dropout = client_streams(common.experiment.seed, message.round_index, self.client_id)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below, and named
                update = train_client(
                    common.task,
                    common.model,
                    common.parameters,
                    self.examples,
                    message.plan,
                    shuffle,
                    dropout_rng=dropout,
                )
        except DataError as error:
            raise ClientError(self.client_id, str(error)) from error
        delta = common.faults.spoil_delta(update.delta, self.client_id, message.round_index)
        update = ClientUpdate(delta, update.num_examples, update.train_loss, update.train_accuracy)
        if not update.is_finite:
            raise ClientError(self.client_id, _where_not_finite(update, common.parameters))
        return update


def _where_not_finite(update: ClientUpdate, parameters: Parameters) -> str:
    first = int(np.flatnonzero(~np.isfinite(update.delta))[0])
    name = next(name for name, where, _ in parameters.layout.slices() if where.start <= first < where.stop)
    return f"its update holds {update.delta[first]} in {name}; {_LEFT_OUT}"
