"""Stochastic gradient descent: each parameter moves against its gradient.

Not here: momentum and decay, and the server's own step (`fedgdl.federated`).

Example:
    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = SGD([weight], lr=0.5)
    >>> (weight * np.array([2.0, 0.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    array([0., 1.])
"""

import math
from collections.abc import Iterable

from fedgdl.autograd import Parameter, SparseGradient
from fedgdl.errors import ConfigError

__all__ = ["SGD"]


class SGD:
    """Plain stochastic gradient descent, in place.

    Args:
        parameters: what to move; frozen ones stay.
        lr: the learning rate, a positive finite number; `lr` may be set anew between steps.

    Raises:
        ConfigError: the learning rate is not positive and finite.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        self.parameters = list(parameters)
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        if not (math.isfinite(lr) and lr > 0):
            message = f"the learning rate must be a positive finite number, got {lr}"
            raise ConfigError(message)
        self._lr = float(lr)  # a NumPy float64 would turn float32 parameters into float64

    def step(self) -> None:
        """Moves each parameter by -lr times its gradient, and uses the gradient up.

        A parameter without a gradient stays as it is. Rows of a sparse gradient that name the same
        row of a table all count. Afterwards no parameter has a gradient, so a loop of `backward` and `step`
        needs no `zero_grad`.
        """
        for parameter in self.parameters:
            gradient = parameter.grad
            if gradient is None:
                continue
            if isinstance(gradient, SparseGradient):
                gradient.add_to(parameter.data, -self._lr)
            else:
                parameter.data -= self._lr * gradient
            parameter.grad = None

    def zero_grad(self) -> None:
        """Drops gradients that no step has used, after a batch that failed, say."""
        for parameter in self.parameters:
            parameter.grad = None
