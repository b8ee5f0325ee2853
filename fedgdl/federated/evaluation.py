"""A model's loss and accuracy on examples that nobody trained on.

Memory: a batch has at most 1,000 examples, and so few that the elements of its inputs and of the model's outputs are
at most 100,000 together. What a model keeps in between is more, up to sixty times as much: of 28 x 28 images 125 are
evaluated at once, for which a convolutional network of two layers takes 9 MB; of windows of 80 characters with 65
scores each 18, for which two LSTM layers of 256 units take 22 MB.

Example:
    >>> Metrics(loss_sum=1.0, num_correct=3, num_targets=4).accuracy
    0.75
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import no_grad
from fedgdl.config import Experiment
from fedgdl.data.dataset import Examples
from fedgdl.errors import ConfigError, DataError
from fedgdl.federated.task import BatchT, Task
from fedgdl.federated.training import count_correct, count_targets
from fedgdl.nn import Module

__all__ = ["Metrics", "evaluate", "is_evaluated"]

_MAX_EXAMPLES: Final = 1_000
"""Examples evaluated at once: large enough to hide Python's overhead, small enough for the cache."""

_MAX_ELEMENTS: Final = 100_000
"""Elements of inputs and outputs evaluated at once."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Sums from which loss, accuracy and a task's own metrics follow; they add up over batches.

    Attributes:
        loss_sum: the sum of the targets' losses.
        num_correct: how many were predicted right.
        num_targets: how many there were, at least 1; an example has one, or as many as it has positions.
        sums: what the task's own `metrics` counted, name -> sum.
    """

    loss_sum: float
    num_correct: int
    num_targets: int
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Mean loss of a target."""
        return self.loss_sum / self.num_targets

    @property
    def accuracy(self) -> float:
        """Share of targets predicted right, 0 to 1."""
        return self.num_correct / self.num_targets

    @property
    def means(self) -> dict[str, float]:
        """The task's own metrics for a target, name -> mean."""
        return {name: total / self.num_targets for name, total in self.sums.items()}


def evaluate(task: Task[BatchT], model: Module, examples: Examples[BatchT]) -> Metrics:
    """Returns the model's metrics on some examples; leaves the model as it was, in evaluation mode.

    Batches are taken in order and summed in Python floats: the same bits in every engine.

    Raises:
        DataError: there are no examples, or not a single target among them.
        ConfigError: the task counts something else than targets.
    """
    if len(examples) == 0:
        message = "there are no examples to evaluate the model on: the test set is empty"
        raise DataError(message)
    model.eval()
    loss_sum, num_correct, num_targets = 0.0, 0, 0
    sums: dict[str, float] = {}
    with no_grad(), np.errstate(over="ignore", invalid="ignore"):  # the loss of a model that diverges is infinite
        size = _examples_at_once(task, model, examples)
        for start in range(0, len(examples), size):
            batch = examples.slice(start, min(start + size, len(examples)))
            count = count_targets(task, batch)
            prediction = task.predict(model, batch)
            loss_sum += float(task.loss(prediction, batch).data)
            num_correct += count_correct(task, prediction.data, batch, count)
            num_targets += count
            for name, total in _sums_of(task, prediction.data, batch).items():
                sums[name] = sums.get(name, 0.0) + total
    if not num_targets:
        message = f"the {len(examples)} test examples have not a single target: all their labels are padding"
        raise DataError(message)
    return Metrics(loss_sum, num_correct, num_targets, sums)


def is_evaluated(experiment: Experiment, round_index: int) -> bool:
    """Tells whether the model is to be evaluated after a round: each `evaluate_every`-th, and the last."""
    return round_index % experiment.evaluate_every == 0 or round_index == experiment.rounds


def _sums_of(task: Task[BatchT], prediction: npt.NDArray[Any], batch: BatchT) -> dict[str, float]:
    """Returns a task's own metrics of a batch, as floats of Python.

    Raises:
        ConfigError: they are something else; the task is at fault.
    """
    found: object = task.metrics(prediction, batch)
    try:
        return {str(name): float(total) for name, total in dict(found).items()}  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        message = f"the task's metrics gave {found!r}, expected name -> sum: {error}"
        raise ConfigError(message) from error


def _examples_at_once(task: Task[BatchT], model: Module, examples: Examples[BatchT]) -> int:
    """Returns how many examples to evaluate at once, judged by the first one: a matter of the data and model alone."""
    first = examples.slice(0, 1)
    inputs: Any = getattr(first, "inputs", ())  # bags of words, say, have none: their tokens are few
    elements = np.size(inputs) + task.predict(model, first).data.size
    return max(1, min(_MAX_EXAMPLES, _MAX_ELEMENTS // max(1, elements)))
