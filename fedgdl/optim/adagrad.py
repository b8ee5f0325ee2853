"""Adagrad: directions that had large gradients so far take smaller steps.

Not here: rules that forget old gradients (`adam`, `yogi`).

Example:
    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0]))
    >>> optimizer = Adagrad([weight], lr=0.1)
    >>> for _ in range(2):
    ...     weight.backward(3.0)
    ...     optimizer.step()
    >>> weight.data.round(4)  # 1 - 0.1 * 3 / 3 - 0.1 * 3 / sqrt(18)
    array([0.8293])
"""

from collections.abc import Iterable

import numpy as np

from fedgdl.autograd import Parameter
from fedgdl.optim.checks import not_negative, positive
from fedgdl.optim.optimizer import Optimizer
from fedgdl.optim.runs import Array

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad with a diagonal divisor.

        gradient = gradient + weight_decay * value
        s = s + gradient ** 2                                   (initial_accumulator_value at first)
        value = value - lr / (1 + (t - 1) * lr_decay) * gradient / (sqrt(s) + eps)

    where t counts the steps that this parameter has taken.

    Sparse gradients of tables: repeated rows are summed first, then the rule is applied to the rows that were
    touched; all other rows keep their values and s. Without weight decay that is the dense rule's result. t
    counts the steps of the table.

    Args:
        parameters: what to change; frozen ones stay.
        lr: the learning rate, positive.
        lr_decay: 0 or more; how the learning rate falls with the number of steps.
        weight_decay: 0 or more; the factor of half the squared values in what is minimised.
        initial_accumulator_value: 0 or more; s at first.
        eps: positive, what keeps the divisor from 0.

    Raises:
        ConfigError: a number is outside its range, or the parameters are none.

    Source:
        Duchi, Hazan, Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", Journal of
        Machine Learning Research 12, 2011, figure 1 with a diagonal matrix.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-2,
        *,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        self.lr_decay = not_negative("Adagrad", "lr_decay", lr_decay)
        self.weight_decay = not_negative("Adagrad", "weight_decay", weight_decay)
        self.eps = positive("Adagrad", "eps", eps)
        initial = not_negative("Adagrad", "initial_accumulator_value", initial_accumulator_value)
        super().__init__(parameters, lr, {"square_sum": initial})

    def _change(self, step: int, data: Array, gradient: Array, scratch: Array, state: tuple[Array, ...]) -> None:
        if self.weight_decay:
            np.multiply(data, self.weight_decay, scratch)
            gradient += scratch
        (square_sum,) = state
        np.multiply(gradient, gradient, scratch)
        square_sum += scratch
        np.sqrt(square_sum, scratch)
        scratch += self.eps
        np.divide(gradient, scratch, scratch)
        scratch *= self._lr / (1 + (step - 1) * self.lr_decay)
        data -= scratch
