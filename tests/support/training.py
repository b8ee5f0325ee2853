"""Training of whole models, for tests: alone, and as a stack of clients."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, softmax_cross_entropy
from fedgdl.nn import Module
from fedgdl.optim import SGD


def zeroed(model: Module) -> Module:
    """Returns the model with all its parameters set to zero."""
    parameters = model.flatten()
    parameters.load(np.zeros_like(parameters.vector))
    return model


def first_of(output: Any) -> Tensor:
    """Returns a model's scores: its output, or the first of its outputs."""
    scores: Tensor = output[0] if isinstance(output, tuple) else output
    return scores


def assert_stack_trains_as_alone(model: Module, inputs: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> None:
    """Trains K clients at once and each alone, some steps from the same start: each ends with the same bits.

    Args:
        model: the start, not yet flattened.
        inputs: (K, steps, ...) the batches of each client.
        labels: (K, steps, ...) their classes.
    """
    num_clients, num_steps = labels.shape[:2]
    stack = model.stack(num_clients)
    optimizer = SGD(list(stack.parameters()), lr=0.5)
    stack.train([np.random.default_rng(client) for client in range(num_clients)])
    for step in range(num_steps):
        loss = softmax_cross_entropy(first_of(stack(inputs[:, step])), labels[:, step], "sum", per_client=True)
        loss.backward(1.0)
        optimizer.step()
    for client in range(num_clients):
        alone = model.stack(1)  # a flattened copy of one
        optimizer = SGD(list(alone.parameters()), lr=0.5)
        alone.train([np.random.default_rng(client)])
        for step in range(num_steps):
            scores = first_of(alone(inputs[client : client + 1, step]))
            softmax_cross_entropy(scores, labels[client : client + 1, step], "sum", per_client=True).backward(1.0)
            optimizer.step()
        np.testing.assert_array_equal(stack.flatten().vector[client], alone.flatten().vector[0])
        assert not np.array_equal(alone.flatten().vector[0], model.stack(1).flatten().vector[0])
