"""A model's loss and accuracy on examples that nobody trained on.

Example:
    >>> Metrics(loss_sum=1.0, num_correct=3, num_examples=4).accuracy
    0.75
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fedgdl.autograd import no_grad
from fedgdl.data.dataset import Examples
from fedgdl.errors import DataError
from fedgdl.federated.task import BatchT, Task
from fedgdl.federated.training import checked_count
from fedgdl.nn import Module

__all__ = ["Metrics", "evaluate"]

_BATCH_SIZE: Final = 1_000
"""Examples evaluated at once: large enough to hide Python's overhead, small enough for the cache."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counts from which loss and accuracy follow; they add up over batches.

    Attributes:
        loss_sum: the sum of the examples' losses.
        num_correct: how many were predicted right.
        num_examples: how many there were, at least 1.
    """

    loss_sum: float
    num_correct: int
    num_examples: int

    @property
    def loss(self) -> float:
        """Mean loss of an example."""
        return self.loss_sum / self.num_examples

    @property
    def accuracy(self) -> float:
        """Share of examples predicted right, 0 to 1."""
        return self.num_correct / self.num_examples


def evaluate(task: Task[BatchT], model: Module, examples: Examples[BatchT]) -> Metrics:
    """Returns the model's metrics on some examples; leaves the model as it was, in evaluation mode.

    Batches are taken in order and summed in Python floats: the same bits in every engine.

    Raises:
        DataError: there are no examples.
    """
    if len(examples) == 0:
        message = "there are no examples to evaluate the model on: the test set is empty"
        raise DataError(message)
    model.eval()
    loss_sum, num_correct = 0.0, 0
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):  # the loss of a model that diverges is infinite
        for start in range(0, len(examples), _BATCH_SIZE):
            batch = examples.slice(start, min(start + _BATCH_SIZE, len(examples)))
            prediction = task.predict(model, batch)
            loss_sum += float(task.loss(prediction, batch).data)
            num_correct += checked_count(task.count_correct(prediction.data, batch), len(batch))
    return Metrics(loss_sum, num_correct, len(examples))
