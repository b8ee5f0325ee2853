"""Functions between layers, as modules.

Behind a `Linear` or `Conv2d` of a `Sequential`, those with a `fused` name become part of that layer's operation.

Example:
    >>> Sigmoid()(Tensor([0.0, 1000.0]))
    Tensor([0.5, 1. ], float64)
    >>> ReLU()(Tensor([-2.0, 3.0]))
    Tensor([0., 3.], float64)
"""

from typing import ClassVar

from fedgdl.autograd import Tensor, relu, sigmoid, softmax, tanh
from fedgdl.autograd.activation import ActivationName
from fedgdl.nn.module import Module

__all__ = ["ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    """max(x, 0), elementwise; the slope at 0 is 0."""

    fused: ClassVar[ActivationName] = "relu"

    def forward(self, x: Tensor) -> Tensor:
        """Returns x where it is positive and 0 elsewhere, of the same shape."""
        return relu(x)


class Tanh(Module):
    """The hyperbolic tangent, elementwise."""

    fused: ClassVar[ActivationName] = "tanh"

    def forward(self, x: Tensor) -> Tensor:
        """Returns the hyperbolic tangent of x, of the same shape."""
        return tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    fused: ClassVar[ActivationName] = "sigmoid"

    def forward(self, x: Tensor) -> Tensor:
        """Returns the sigmoid of x, of the same shape."""
        return sigmoid(x)


class Softmax(Module):
    """exp(x) divided by its sum along one axis: probabilities.

    To train a classifier, leave it out: `CrossEntropyLoss` takes the scores as they are.

    Args:
        axis: the axis that sums to 1; an axis from 0 on is counted in each client's own x, also in a stack.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Returns the probabilities, of x's shape.

        Raises:
            GraphError: x has no such axis.
        """
        shift = 1 if self.num_clients is not None and self.axis >= 0 else 0
        return softmax(x, self.axis + shift)
