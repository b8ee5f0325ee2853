"""One client's local training: some epochs of SGD from the server's parameters.

Not here: who trains (`sampling`), what is done to the result before it is sent
(`clients.protection`), and many clients at once.

Example:
    >>> import numpy as np
    >>> from fedgdl.config import TrainingConfig
    >>> plan = TrainingConfig(learning_rate=0.1, batch_size=4, shuffle=False, drop_last=True)
    >>> [(start, stop) for start, stop in batch_bounds(10, plan)]
    [(0, 4), (4, 8)]
    >>> num_visits(10, plan)
    8
"""

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fedgdl.config import TrainingConfig
from fedgdl.data.dataset import Examples
from fedgdl.errors import ConfigError, DataError
from fedgdl.federated.task import BatchT, Task
from fedgdl.federated.update import ClientUpdate
from fedgdl.nn import Module
from fedgdl.optim import SGD, clip_grad_norm
from fedgdl.parameters import Parameters
from fedgdl.seeding import stream

__all__ = [
    "Tally",
    "batch_bounds",
    "client_streams",
    "count_correct",
    "count_targets",
    "make_optimizer",
    "num_visits",
    "plan_of_round",
    "require_a_batch",
    "train_batches",
    "train_client",
]


@dataclass(slots=True)
class Tally:
    """What was counted over some batches, each before its own step.

    Attributes:
        loss_sum: the sum of the targets' losses.
        num_correct: how many targets were predicted right.
        num_targets: how many there were.
    """

    loss_sum: float = 0.0
    num_correct: int = 0
    num_targets: int = 0


def client_streams(seed: int, round_index: int, client_id: str) -> tuple[np.random.Generator, np.random.Generator]:
    """Returns the streams that a client shuffles with and drops values with in a round, wherever it trains.

    Args:
        seed: the experiment's root seed.
        round_index: the round, counted from 1.
        client_id: the client.
    """
    shuffle, dropout = (
        stream(seed, purpose, round_index=round_index, client_id=client_id) for purpose in ("shuffle", "dropout")
    )
    return shuffle, dropout


def train_client(
    task: Task[BatchT],
    model: Module,
    parameters: Parameters,
    examples: Examples[BatchT],
    plan: TrainingConfig,
    rng: np.random.Generator,
    *,
    dropout_rng: np.random.Generator | None = None,
) -> ClientUpdate:
    """Trains a model on one client's examples and returns by how much it moved.

    Args:
        task: gives predictions and losses.
        model: the model to train in place.
        parameters: the model's own parameter vector, holding the server's parameters; afterwards the client's.
        examples: the client's examples.
        plan: epochs, batch size, learning rate and the rest, as they are in this round.
        rng: the stream that shuffles the examples.
        dropout_rng: the stream that the model's own draws (dropout) come from; a model that draws refuses to train
            without.

    Raises:
        DataError: the client has no examples, not a single whole batch while `drop_last` is set, or not a single
            target.

    Source:
        ClientUpdate of algorithm 1 in McMahan, Moore, Ramage, Hampson, Agüera y Arcas,
        "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017.
    """
    require_a_batch(len(examples), plan)
    start = parameters.vector.copy()
    optimizer = make_optimizer(model, plan)
    model.train(dropout_rng)
    tally = Tally()
    for _ in range(plan.epochs):
        tally = train_batches(task, model, _batches(examples, plan, rng), plan, optimizer)
    if not tally.num_targets:
        message = f"has {len(examples)} examples without a single target: all their labels are padding"
        raise DataError(message)
    delta = parameters.vector - start
    return ClientUpdate(delta, len(examples), tally.loss_sum / tally.num_targets, tally.num_correct / tally.num_targets)


def train_batches(
    task: Task[BatchT], model: Module, batches: Iterable[BatchT], plan: TrainingConfig, optimizer: SGD
) -> Tally:
    """Takes a step for each batch, and returns what was counted on the way.

    A batch without a single target takes no step.

    Args:
        task: gives predictions and losses.
        model: the model to train in place; it has been told so by `model.train`.
        batches: what to train on, in this order.
        plan: how a batch's loss is reduced, and how long its gradient may be.
        optimizer: takes the steps.
    """
    tally = Tally()
    for batch in batches:
        num_targets = count_targets(task, batch)
        if not num_targets:
            continue
        prediction = task.predict(model, batch)
        loss = task.loss(prediction, batch)
        loss.backward(1.0 if plan.loss_reduction == "sum" else 1.0 / num_targets)
        if plan.clip_grad_norm is not None:
            # A gradient that is infinite or no number goes through: the client's update is refused for it, by name.
            clip_grad_norm(optimizer.parameters, plan.clip_grad_norm, error_if_nonfinite=False)
        optimizer.step()
        tally.loss_sum += float(loss.data)
        tally.num_correct += count_correct(task, prediction.data, batch, num_targets)
        tally.num_targets += num_targets
    return tally


def make_optimizer(model: Module, plan: TrainingConfig) -> SGD:
    """Returns the optimiser of a plan, at rest, for a model without gradients."""
    optimizer = SGD(model.parameters(), plan.learning_rate, plan.momentum, plan.weight_decay)
    optimizer.zero_grad()  # of a former client whose training raised between backward and step
    return optimizer


def plan_of_round(training: TrainingConfig, round_index: int) -> TrainingConfig:
    """Returns how clients train in a round: as configured, with the learning rate that has decayed until then.

    The rate falls to the smallest normal float, never to zero.
    """
    if training.learning_rate_decay == 1.0:
        return training
    rate = training.learning_rate * training.learning_rate_decay ** (round_index - 1)
    return msgspec.structs.replace(training, learning_rate=max(rate, sys.float_info.min))


def num_visits(num_examples: int, plan: TrainingConfig) -> int:
    """Returns how many examples the steps of one client's round see, counting one again in each epoch."""
    left_out = num_examples % plan.batch_size if plan.drop_last else 0
    return plan.epochs * (num_examples - left_out)


def count_targets(task: Task[BatchT], batch: BatchT) -> int:
    """Returns how many targets a task counts in a batch, as an int of Python.

    Raises:
        ConfigError: it is no whole number from 0 on; the task is at fault.
    """
    found = task.count_targets(batch)
    count = _as_count(found)
    if count is None:
        message = f"the task's count_targets gave {found} for a batch of {len(batch)} examples"
        raise ConfigError(message)
    return count


def count_correct(task: Task[BatchT], prediction: npt.NDArray[Any], batch: BatchT, num_targets: int) -> int:
    """Returns how many of a batch's targets a task finds predicted right, as an int of Python.

    Raises:
        ConfigError: it is no whole number from 0 to the number of targets; the task is at fault.
    """
    found = task.count_correct(prediction, batch)
    count = _as_count(found)
    if count is None or count > num_targets:
        message = f"the task's count_correct gave {found} for a batch of {num_targets} targets"
        raise ConfigError(message)
    return count


def _as_count(value: object) -> int | None:
    """Returns a whole number from 0 on, of NumPy's say, as an int of Python; none for anything else."""
    if not isinstance(value, int | float | np.integer | np.floating) or not math.isfinite(value):
        return None
    count = int(value)
    return count if count == value and count >= 0 else None


def batch_bounds(num_examples: int, plan: TrainingConfig) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of each batch of an epoch; the last may be smaller unless `drop_last` is set."""
    size = plan.batch_size
    end = num_examples - num_examples % size if plan.drop_last else num_examples
    for start in range(0, end, size):
        yield start, min(start + size, end)


def _batches(examples: Examples[BatchT], plan: TrainingConfig, rng: np.random.Generator) -> Iterator[BatchT]:
    if not plan.shuffle:
        for start, stop in batch_bounds(len(examples), plan):
            yield examples.slice(start, stop)
        return
    order = rng.permutation(len(examples))
    for start, stop in batch_bounds(len(examples), plan):
        yield examples.take(order[start:stop])


def require_a_batch(num_examples: int, plan: TrainingConfig) -> None:
    """Refuses to train on nothing.

    Raises:
        DataError: there are no examples, or not a single whole batch while `drop_last` is set.
    """
    if num_examples == 0:
        message = "has no examples to train on; check data.partition"
        raise DataError(message)
    if plan.drop_last and num_examples < plan.batch_size:
        message = (
            f"has {num_examples} examples, less than one batch of {plan.batch_size}, and training.drop_last "
            "skips smaller batches; lower training.batch_size or set training.drop_last=false"
        )
        raise DataError(message)
