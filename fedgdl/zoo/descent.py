"""Gradient descent as chapters 4 to 6 write it by hand, with the gradients of the core.

The book's step is alpha * (prediction - goal) * input, without the factor 2 of the derivative of a square. What is
differentiated here is therefore half the squared error, and what is reported the whole.

Not here: the book's data and start weights (its chapters).

Example:
    >>> step = Descent(dense([[0.5]]), alpha=1.0).learn([0.5], [0.8])
    >>> step.prediction, step.error
    ((0.25,), 0.30250000000000005)
    >>> step.weights, step.gradient  # before the step, and what it follows
    ((0.5,), (-0.275,))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import squared_error
from fedgdl.nn import Linear, Module
from fedgdl.optim import SGD
from fedgdl.parameters import FloatArray
from fedgdl.zoo.book_draws import given

__all__ = ["Descent", "Step", "dense", "flat", "from_minus_one_to_one"]

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """One step of gradient descent.

    Attributes:
        weights: the weights of all layers before the step, one output after the other.
        prediction: the outputs with these weights.
        error: the squared differences from the goals, summed.
        delta: prediction - goal, for each output.
        gradient: of half the error by each weight, in the order of the weights.
    """

    weights: tuple[float, ...]
    prediction: tuple[float, ...]
    error: float
    delta: tuple[float, ...]
    gradient: tuple[float, ...]


class Descent:
    """Learns from one example, or several at once, with plain gradient descent.

    Args:
        model: takes (n, in) and returns (n, out), float64.
        alpha: the learning rate.
    """

    def __init__(self, model: Module, alpha: float) -> None:
        self.model = model
        self.parameters = model.flatten()
        self._optimizer = SGD(model.parameters(), lr=alpha)

    @property
    def weights(self) -> tuple[float, ...]:
        """The weights of all layers as they are now, one output after the other."""
        return sum((flat(parameter.data.T) for parameter in self.model.parameters()), ())

    def learn(
        self,
        inputs: Sequence[float] | Sequence[Sequence[float]],
        goals: Sequence[float] | Sequence[Sequence[float]],
        frozen: Sequence[int] = (),
    ) -> Step:
        """Takes a step and returns it.

        Args:
            inputs: (in,), or (n, in): the step then follows the mean of the rows' gradients.
            goals: (out,), or (n, out).
            frozen: inputs whose weights in the first layer do not move.
        """
        x, goal = np.atleast_2d(np.asarray(inputs, float)), np.atleast_2d(np.asarray(goals, float))
        before, prediction = self.weights, self.model(x)
        error = squared_error(prediction, goal)
        (error * (_HALF / len(x))).backward()
        first = next(self.model.parameters())
        if frozen and isinstance(first.grad, np.ndarray):
            first.grad[list(frozen)] = 0.0
        gradient = sum((flat(np.asarray(parameter.grad).T) for parameter in self.model.parameters()), ())
        self._optimizer.step()
        return Step(before, flat(prediction.data), error.item(), flat(prediction.data - goal), gradient)


def dense(rows: Sequence[Sequence[float]]) -> Linear:
    """Returns a float64 layer without bias; each row holds the weights of one output, as the book writes them."""
    weights = np.asarray(rows, float).T
    num_inputs, num_outputs = weights.shape
    return Linear(num_inputs, num_outputs, bias=False, initial=given(weights), dtype="float64")


def from_minus_one_to_one(seed: int, *shapes: tuple[int, int]) -> list[npt.NDArray[np.float64]]:
    """Returns matrices of values from -1 to 1, drawn one after the other from the book's generator."""
    source = np.random.RandomState(seed)  # the only one that draws the book's numbers
    return [2 * source.random_sample(shape) - 1 for shape in shapes]


def flat(values: FloatArray) -> tuple[float, ...]:
    """Returns an array's values, row after row, as Python's numbers."""
    return tuple(values.ravel().tolist())
