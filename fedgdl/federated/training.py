"""One client's local training: some epochs of SGD from the server's parameters.

Not here: who trains (`sampling`), what is done to the result before it is sent
(`clients.protection`), and many clients at once.

Example:
    >>> import numpy as np
    >>> from fedgdl.config import TrainingConfig
    >>> plan = TrainingConfig(learning_rate=0.1, batch_size=4, shuffle=False, drop_last=True)
    >>> [(start, stop) for start, stop in batch_bounds(10, plan)]
    [(0, 4), (4, 8)]
"""

from collections.abc import Iterator

import numpy as np

from fedgdl.config import TrainingConfig
from fedgdl.data.dataset import Examples
from fedgdl.errors import ConfigError, DataError
from fedgdl.federated.task import BatchT, Task
from fedgdl.federated.update import ClientUpdate
from fedgdl.nn import Module
from fedgdl.optim import SGD
from fedgdl.parameters import Parameters

__all__ = ["batch_bounds", "checked_count", "train_client"]


def train_client(
    task: Task[BatchT],
    model: Module,
    parameters: Parameters,
    examples: Examples[BatchT],
    plan: TrainingConfig,
    rng: np.random.Generator,
) -> ClientUpdate:
    """Trains a model on one client's examples and returns by how much it moved.

    Args:
        task: gives predictions and losses.
        model: the model to train in place.
        parameters: the model's own parameter vector, holding the server's parameters; afterwards the client's.
        examples: the client's examples.
        plan: epochs, batch size, learning rate.
        rng: the stream that shuffles the examples.

    Raises:
        DataError: the client has no examples, or not a single whole batch while `drop_last` is set.

    Source:
        ClientUpdate of algorithm 1 in McMahan, Moore, Ramage, Hampson, Agüera y Arcas,
        "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017.
    """
    _require_a_batch(len(examples), plan)
    start = parameters.vector.copy()
    optimizer = SGD(model.parameters(), lr=plan.learning_rate)
    optimizer.zero_grad()  # of a former client whose training raised between backward and step
    model.train()
    loss_sum, num_correct, num_seen = 0.0, 0, 0
    for _ in range(plan.epochs):
        loss_sum, num_correct, num_seen = 0.0, 0, 0
        for batch in _batches(examples, plan, rng):
            prediction = task.predict(model, batch)
            loss = task.loss(prediction, batch)
            loss.backward(1.0 if plan.loss_reduction == "sum" else 1.0 / len(batch))
            optimizer.step()
            loss_sum += float(loss.data)
            num_correct += checked_count(task.count_correct(prediction.data, batch), len(batch))
            num_seen += len(batch)
    return ClientUpdate(parameters.vector - start, len(examples), loss_sum / num_seen, num_correct / num_seen)


def checked_count(num_correct: int, num_examples: int) -> int:
    """Returns what a task's `count_correct` gave for a batch, as an int.

    Raises:
        ConfigError: it is no whole number from 0 to the number of examples; the task is at fault.
    """
    count = int(num_correct)
    if count != num_correct or not 0 <= count <= num_examples:
        message = f"the task's count_correct gave {num_correct} for a batch of {num_examples} examples"
        raise ConfigError(message)
    return count


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


def _require_a_batch(num_examples: int, plan: TrainingConfig) -> None:
    if num_examples == 0:
        message = "has no examples to train on; check data.partition"
        raise DataError(message)
    if plan.drop_last and num_examples < plan.batch_size:
        message = (
            f"has {num_examples} examples, less than one batch of {plan.batch_size}, and training.drop_last "
            "skips smaller batches; lower training.batch_size or set training.drop_last=false"
        )
        raise DataError(message)
