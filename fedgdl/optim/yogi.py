"""Yogi: Adam whose divisor changes by no more than the squared gradient, so that it falls slowly.

Not here: Adam itself (`adam`), and Yogi as a server's step (`fedgdl.federated`).

Example:
    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = Yogi([weight], lr=0.1, betas=(0.0, 0.0), eps=1e-6)
    >>> (weight * np.array([1.0, 10.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data.round(3)
    array([0.9, 0.9])
"""

from collections.abc import Iterable

import numpy as np

from fedgdl.autograd import Parameter
from fedgdl.optim.checks import fractions, not_negative, positive
from fedgdl.optim.optimizer import Optimizer
from fedgdl.optim.runs import Array

__all__ = ["Yogi"]


class Yogi(Optimizer):
    """Yogi as its paper has it, without bias correction.

        gradient = gradient + weight_decay * value
        m = beta_1 * m + (1 - beta_1) * gradient                            (0 at first)
        v = v - (1 - beta_2) * sign(v - gradient ** 2) * gradient ** 2      (initial_accumulator_value at first)
        value = value - lr * m / (sqrt(v) + eps)

    The paper sets v at first to the squared gradient at the start, averaged over a large batch; the constant here
    stands for it where no such batch is at hand.

    Sparse gradients of tables: repeated rows are summed first, then the rule is applied to the rows that were
    touched. All other rows keep their values, m and v, and nothing of them decays.

    Args:
        parameters: what to change; frozen ones stay.
        lr: the learning rate, positive.
        betas: of m and of v, from 0 up to but not including 1.
        eps: positive, what keeps the divisor from 0; larger than Adam's.
        weight_decay: 0 or more; the factor of half the squared values in what is minimised.
        initial_accumulator_value: 0 or more; v at first.

    Raises:
        ConfigError: a number is outside its range, or the parameters are none.

    Source:
        Zaheer, Reddi, Sachan, Kale, Kumar, "Adaptive Methods for Nonconvex Optimization", NeurIPS 2018, algorithm 2 and
        the constants of its section 5; the initial value is that of the authors' TensorFlow version.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        *,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 1e-6,
    ) -> None:
        self.betas = fractions("Yogi", "betas", betas)
        self.eps = positive("Yogi", "eps", eps)
        self.weight_decay = not_negative("Yogi", "weight_decay", weight_decay)
        initial = not_negative("Yogi", "initial_accumulator_value", initial_accumulator_value)
        super().__init__(parameters, lr, {"mean": 0.0, "second_moment": initial})

    def _change(self, step: int, data: Array, gradient: Array, scratch: Array, state: tuple[Array, ...]) -> None:
        if self.weight_decay:
            np.multiply(data, self.weight_decay, scratch)
            gradient += scratch
        mean, second_moment = state
        beta_1, beta_2 = self.betas
        np.multiply(gradient, 1 - beta_1, scratch)
        mean *= beta_1
        mean += scratch
        gradient *= gradient
        np.subtract(second_moment, gradient, scratch)
        np.sign(scratch, scratch)
        scratch *= gradient
        scratch *= 1 - beta_2
        second_moment -= scratch
        np.sqrt(second_moment, scratch)
        scratch += self.eps
        np.divide(mean, scratch, scratch)
        scratch *= self._lr
        data -= scratch
