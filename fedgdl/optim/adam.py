"""Adam: steps of about the learning rate in each direction, whatever the gradient's scale; and AdamW.

Not here: Yogi (`yogi`), which differs in how it forgets large gradients.

Example:
    >>> import numpy as np
    >>> weight = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = Adam([weight], lr=0.1)
    >>> (weight * np.array([1e-3, 1e3])).sum().backward()
    >>> optimizer.step()
    >>> weight.data.round(3)
    array([0.9, 0.9])
"""

import math
from collections.abc import Iterable

import numpy as np

from fedgdl.autograd import Parameter
from fedgdl.optim.checks import fractions, not_negative, positive
from fedgdl.optim.optimizer import Optimizer
from fedgdl.optim.runs import Array

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam with bias correction.

        gradient = gradient + weight_decay * value
        m = beta_1 * m + (1 - beta_1) * gradient                (0 at first)
        v = beta_2 * v + (1 - beta_2) * gradient ** 2           (0 at first)
        value = value - lr * (m / (1 - beta_1 ** t)) / (sqrt(v / (1 - beta_2 ** t)) + eps)

    where t counts the steps that this parameter has taken. The state holds the decayed sums m / (1 - beta_1) and
    v / (1 - beta_2): the constant factors are left to the step's size, which saves two passes of ten.

    Sparse gradients of tables: repeated rows are summed first, then the rule is applied to the rows that were
    touched. All other rows keep their values, m and v, and nothing of them decays. t counts the steps of
    the table, so a row that is touched late for the first time is corrected little.

    Args:
        parameters: what to change; frozen ones stay.
        lr: the learning rate, positive.
        betas: of m and of v, from 0 up to but not including 1.
        eps: positive, what keeps the divisor from 0.
        weight_decay: 0 or more; the factor of half the squared values in what is minimised.

    Raises:
        ConfigError: a number is outside its range, or the parameters are none.

    Source:
        Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        owner = type(self).__name__
        self.betas = fractions(owner, "betas", betas)
        self.eps = positive(owner, "eps", eps)
        self.weight_decay = not_negative(owner, "weight_decay", weight_decay)
        super().__init__(parameters, lr, {"gradient_sum": 0.0, "square_sum": 0.0})

    def _change(self, step: int, data: Array, gradient: Array, scratch: Array, state: tuple[Array, ...]) -> None:
        if self.weight_decay:
            self._decay(data, gradient, scratch)
        gradient_sum, square_sum = state
        beta_1, beta_2 = self.betas
        gradient_sum *= beta_1
        gradient_sum += gradient
        np.multiply(gradient, gradient, scratch)
        square_sum *= beta_2
        square_sum += scratch
        # With the constants taken out of root and quotient, they meet each array once, in eps and in the step's size.
        root = math.sqrt((1 - beta_2) / (1 - beta_2**step))
        np.sqrt(square_sum, scratch)
        scratch += self.eps / root
        np.divide(gradient_sum, scratch, scratch)
        scratch *= self._lr * (1 - beta_1) / ((1 - beta_1**step) * root)
        data -= scratch

    def _decay(self, data: Array, gradient: Array, scratch: Array) -> None:
        np.multiply(data, self.weight_decay, scratch)
        gradient += scratch


class AdamW(Adam):
    """Adam whose weight decay acts on the values alone: value = value - lr * weight_decay * value before each step.

    The decay reaches neither m nor v. Everything else, touched rows of tables included, is as in `Adam`.

    Args:
        parameters: what to change; frozen ones stay.
        lr: the learning rate, positive.
        betas: of m and of v, from 0 up to but not including 1.
        eps: positive, what keeps the divisor from 0.
        weight_decay: 0 or more.

    Raises:
        ConfigError: a number is outside its range, or the parameters are none.

    Source:
        Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _decay(self, data: Array, gradient: Array, scratch: Array) -> None:
        data *= 1 - self._lr * self.weight_decay
