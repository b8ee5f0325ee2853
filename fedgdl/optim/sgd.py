"""Stochastic gradient descent: each parameter moves against its gradient.

Not here: the server's own step (`fedgdl.federated`).

Example:
    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = SGD([weight], lr=0.5, momentum=0.5)
    >>> for _ in range(2):
    ...     (weight * np.array([2.0, 0.0])).sum().backward()
    ...     optimizer.step()
    >>> weight.data
    array([-1.5,  1. ])
"""

from collections.abc import Iterable

from fedgdl.autograd import Parameter, SparseGradient
from fedgdl.autograd.blas import axpy
from fedgdl.errors import ConfigError
from fedgdl.optim.checks import fraction, not_negative
from fedgdl.optim.optimizer import Optimizer
from fedgdl.optim.runs import Array, Home

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay if wanted.

        gradient = gradient + weight_decay * value
        velocity = momentum * velocity + gradient               (0 at first)
        value    = value - lr * velocity                        (without momentum: gradient)
        value    = value - lr * (gradient + momentum * velocity)    (Nesterov)

    Sparse gradients of tables: repeated rows are summed first, then the rule is applied to the rows that were
    touched. All other rows keep their values and their velocity: neither decays until the row is touched again. Plain
    SGD adds what arrived to the rows, in the order of arrival.

    Args:
        parameters: what to move; frozen ones stay.
        lr: the learning rate, positive.
        momentum: from 0 up to but not including 1.
        weight_decay: 0 or more; the factor of half the squared values in what is minimised.
        nesterov: whether the gradient is taken to be the one after the next step of the velocity; needs momentum.

    Raises:
        ConfigError: a number is outside its range, Nesterov is asked for without momentum, or the parameters are none.

    Source:
        Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep learning", ICML
        2013, with the learning rate outside of the velocity.
    """

    _in_blocks = False

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
    ) -> None:
        self.momentum = fraction("SGD", "momentum", momentum)
        self.weight_decay = not_negative("SGD", "weight_decay", weight_decay)
        self.nesterov = bool(nesterov)
        if self.nesterov and not self.momentum:
            message = "SGD: nesterov=True needs momentum above 0, got 0.0"
            raise ConfigError(message)
        super().__init__(parameters, lr, {"velocity": 0.0} if self.momentum else {})

    def _change(self, step: int, data: Array, gradient: Array, scratch: Array, state: tuple[Array, ...]) -> None:
        if self.weight_decay:
            axpy(self.weight_decay, data, gradient)
        if state:
            (velocity,) = state
            velocity *= self.momentum
            velocity += gradient
            if self.nesterov:
                axpy(self.momentum, velocity, gradient)
            else:
                gradient = velocity
        axpy(-self._lr, gradient, data)

    def _change_table(self, parameter: Parameter, data: Array, home: Home, index: int) -> None:
        gradient = parameter.grad
        if self.momentum or self.weight_decay or not isinstance(gradient, SparseGradient):
            super()._change_table(parameter, data, home, index)
        else:
            gradient.add_to(data, -self._lr)
