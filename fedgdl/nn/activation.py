"""Functions between layers, as modules.

Example:
    >>> Sigmoid()(Tensor([0.0, 1000.0]))
    Tensor([0.5, 1. ], float64)
"""

from fedgdl.autograd import Tensor, sigmoid
from fedgdl.nn.module import Module

__all__ = ["Sigmoid"]


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the sigmoid of x, of the same shape."""
        return sigmoid(x)
