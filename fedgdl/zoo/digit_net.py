"""The network of chapters 8 and 9, and its training, done right: two dense layers without biases.

Gradients come from the shared core, so the rectifier has its slope, dropout scales forward and backward, and a
batch is one step.

Not here: the book's own steps with their defects (`book_compatible`).

Example:
    >>> from fedgdl.zoo.book_digits import book_stream
    >>> stream = book_stream()
    >>> net = DigitNet(stream, hidden=40, bound=0.1, activation="relu")
    >>> net(np.zeros((5, 784))).shape
    (5, 10)
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, Tensor, linear, no_grad, softmax_cross_entropy, squared_error
from fedgdl.autograd.activation import ActivationName
from fedgdl.nn import Module
from fedgdl.optim import SGD
from fedgdl.progress import watched
from fedgdl.zoo.book_digits import CLASSES, PIXELS, BookDigits, Rows, dropout_factors, even
from fedgdl.zoo.course import Course, Score

__all__ = [
    "QUICK_EPOCHS",
    "DigitNet",
    "DigitReader",
    "Loss",
    "Plan",
    "cross_entropy",
    "follow",
    "often",
    "score",
    "squared_distance",
    "train",
]

QUICK_EPOCHS: Final = (0, 10, 20)
"""After which a quick run of chapters 8 and 9 looks at the test digits; the last one ends it."""

_AT_ONCE: Final = 200
"""Rows scored together: what lies between their layers stays in the processor's cache."""


class DigitReader(Protocol):
    """What is trained here: a model of digits with one hidden layer, some of whose units dropout may leave out.

    Attributes:
        num_features: units of the hidden layer.
    """

    num_features: int

    def __call__(self, pixels: npt.NDArray[np.float64], factors: npt.NDArray[np.float64] | None = None) -> Tensor:
        """Returns the outputs (n, 10), before any softmax.

        Args:
            pixels: (n, 784).
            factors: (n, num_features), what dropout multiplies the hidden units by; none for no dropout.
        """

    def parameters(self) -> Iterator[Parameter]:
        """Yields what is trained."""


class DigitNet(Module):
    """784 pixels, a hidden layer, 10 outputs, no biases, float64.

    Args:
        stream: the book's, of which the two layers' weights are taken.
        hidden: units of the hidden layer.
        bound: how far from zero the first layer's weights may start; the second's always within 0.1.
        activation: of the hidden layer.

    Attributes:
        hidden: (784, hidden) weights.
        output: (hidden, 10) weights.
        num_features: units of the hidden layer.
    """

    def __init__(self, stream: np.random.RandomState, hidden: int, *, bound: float, activation: ActivationName) -> None:
        self.hidden = Parameter(even(stream, (PIXELS, hidden), bound))
        self.output = Parameter(even(stream, (hidden, CLASSES), 0.1))
        self.activation: ActivationName = activation
        self.num_features = hidden

    def forward(self, pixels: npt.NDArray[np.float64], factors: npt.NDArray[np.float64] | None = None) -> Tensor:
        """Returns what `DigitReader` says."""
        features = linear(pixels, self.hidden, activation=self.activation)
        return linear(features if factors is None else features * factors, self.output)


Loss: TypeAlias = Callable[[Tensor, Rows], Tensor]
"""From outputs (n, 10) and their digits to the error summed over the digits."""


def squared_distance(outputs: Tensor, rows: Rows) -> Tensor:
    """Returns the squared differences from the one-hot labels, summed over outputs and digits."""
    return squared_error(outputs, rows.one_hot)


def cross_entropy(outputs: Tensor, rows: Rows) -> Tensor:
    """Returns the cross-entropy of the outputs' softmax, summed over the digits."""
    return softmax_cross_entropy(outputs, rows.labels, "sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a net is trained.

    Attributes:
        epochs: how often all digits are gone through, in file order.
        batch_size: digits a step.
        learning_rate: of plain gradient descent on the batch's mean loss.
        loss: what is minimised.
        has_dropout: whether half of the hidden units are left out at each step.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    loss: Loss
    has_dropout: bool


def train(net: DigitReader, stream: np.random.RandomState, digits: Rows, plan: Plan, name: str) -> Iterator[Score]:
    """Trains epoch by epoch; after each, yields how well the digits went while the weights changed.

    Args:
        net: is changed.
        stream: the book's, of which dropout takes its masks.
        digits: to train on.
        plan: how.
        name: what is told to whoever watches.
    """
    optimizer = SGD(net.parameters(), plan.learning_rate)
    for _ in watched(range(plan.epochs), name):
        error, num_right = 0.0, 0
        for start in range(0, len(digits), plan.batch_size):
            rows = digits[start : start + plan.batch_size]
            factors = dropout_factors(stream, (len(rows), net.num_features)) if plan.has_dropout else None
            outputs = net(rows.pixels, factors)
            loss = plan.loss(outputs, rows)
            loss.backward(1 / len(rows))
            optimizer.step()
            error += loss.item()
            num_right += _num_right(outputs, rows)
        yield Score(error / len(digits), num_right / len(digits))


def score(net: DigitReader, digits: Rows, loss: Loss) -> Score:
    """Returns how well a net does on digits, without dropout."""
    error, num_right = 0.0, 0
    with no_grad():
        for start in range(0, len(digits), _AT_ONCE):
            rows = digits[start : start + _AT_ONCE]
            outputs = net(rows.pixels)
            error += loss(outputs, rows).item()
            num_right += _num_right(outputs, rows)
    return Score(error / len(digits), num_right / len(digits))


def often(num_epochs: int) -> tuple[int, ...]:
    """Returns the first 30 epochs, every tenth of the others, and the last."""
    return tuple(epoch for epoch in range(num_epochs) if epoch < 30 or epoch % 10 == 0 or epoch == num_epochs - 1)


def follow(
    net: DigitReader, stream: np.random.RandomState, digits: BookDigits, plan: Plan, name: str, tested: Collection[int]
) -> Course:
    """Trains a net and returns the course of its errors.

    Args:
        net: is changed.
        stream: the book's.
        digits: to train and to test on.
        plan: how.
        name: what is told to whoever watches.
        tested: the epochs, counted from 0, after which the test digits are looked at; the last one ends the training.
    """
    course = Course()
    plan = replace(plan, epochs=max(tested) + 1)
    for epoch, trained in enumerate(train(net, stream, digits.train, plan, name)):
        course.train[epoch] = trained
        if epoch in tested:
            course.test[epoch] = score(net, digits.test, plan.loss)
    return course


def _num_right(outputs: Tensor, rows: Rows) -> int:
    return int(np.count_nonzero(outputs.data.argmax(axis=1) == rows.labels))
