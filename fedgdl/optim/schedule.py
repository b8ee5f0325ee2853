"""Schedules: how the learning rate falls as training goes on.

The rate is computed from the number of steps each time, never from the former rate, so nothing drifts, and a
run that is resumed at step n has the rate it would have had.

Not here: the server's rates from round to round (`fedgdl.federated`).

Example:
    >>> from fedgdl.autograd import Parameter
    >>> from fedgdl.optim import SGD
    >>> optimizer = SGD([Parameter([1.0])], lr=0.4)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step()
    ...     print(optimizer.lr)
    0.4
    0.2
    0.2
    0.1
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fedgdl.errors import ConfigError, ParameterError
from fedgdl.optim.checks import not_negative, positive, whole
from fedgdl.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "Schedule", "StepLR"]


class Schedule:
    """Sets an optimiser's learning rate by the number of steps taken; derive from it and define `rate`.

    Args:
        optimizer: whose `lr` is set, at once and at each `step`.
        base_lr: the rate to start from; left out, the optimiser's at this moment.
        num_steps_taken: how many steps were taken before, 0 or more. To go on with a run without its saved state,
            pass it and `base_lr`.

    Attributes:
        base_lr: the rate to start from.
        num_steps_taken: how often `step` was called, those before included.

    Raises:
        ConfigError: a number is outside its range.
    """

    def __init__(self, optimizer: Optimizer, *, base_lr: float | None = None, num_steps_taken: int = 0) -> None:
        owner = type(self).__name__
        self.optimizer = optimizer
        self.base_lr = positive(owner, "base_lr", optimizer.lr if base_lr is None else base_lr)
        self.num_steps_taken = whole(owner, "num_steps_taken", num_steps_taken, at_least=0)
        optimizer.lr = self.rate(self.num_steps_taken)

    def rate(self, num_steps: int) -> float:
        """Returns the learning rate after a number of steps."""
        raise NotImplementedError

    def step(self) -> None:
        """Counts one step, of whatever the schedule is to count (optimiser steps or epochs), and sets the rate."""
        self.num_steps_taken += 1
        self.optimizer.lr = self.rate(self.num_steps_taken)

    def state_dict(self) -> dict[str, npt.NDArray[np.float64]]:
        """Returns what a resumed run needs: `"base_lr"` and `"num_steps_taken"`, float64 without axes."""
        return {"base_lr": np.array(self.base_lr), "num_steps_taken": np.array(float(self.num_steps_taken))}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Takes over what `state_dict` gave, and sets the rate.

        Raises:
            ParameterError: the names differ.
            ConfigError: a number is outside its range.
        """
        if set(state) != {"base_lr", "num_steps_taken"}:
            message = f"a schedule's state is base_lr and num_steps_taken, got {', '.join(state) or 'nothing'}"
            raise ParameterError(message)
        owner = type(self).__name__
        base_lr = positive(owner, "base_lr", np.asarray(state["base_lr"]).item())
        count = whole(owner, "num_steps_taken", np.asarray(state["num_steps_taken"]).item(), at_least=0)
        self.base_lr, self.num_steps_taken = base_lr, count
        self.optimizer.lr = self.rate(count)


class StepLR(Schedule):
    """Multiplies the rate by `gamma` every `step_size` steps: lr = base_lr * gamma ** (steps // step_size).

    Args:
        optimizer: whose `lr` is set, at once and at each `step`.
        step_size: after how many steps the rate changes, 1 or more.
        gamma: what it is multiplied by, positive.
        base_lr: the rate to start from; left out, the optimiser's at this moment.
        num_steps_taken: how many steps were taken before, 0 or more.

    Raises:
        ConfigError: a number is outside its range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        step_size: int,
        gamma: float = 0.1,
        *,
        base_lr: float | None = None,
        num_steps_taken: int = 0,
    ) -> None:
        self.step_size = whole("StepLR", "step_size", step_size, at_least=1)
        self.gamma = positive("StepLR", "gamma", gamma)
        super().__init__(optimizer, base_lr=base_lr, num_steps_taken=num_steps_taken)

    def rate(self, num_steps: int) -> float:
        """Returns the learning rate after a number of steps."""
        return self.base_lr * self.gamma ** (num_steps // self.step_size)


class CosineAnnealingLR(Schedule):
    """Lets the rate fall along half a cosine, from `base_lr` to `eta_min` after `num_steps` steps.

    lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * steps / num_steps)) / 2. Afterwards it rises again along the
    same curve, and so on; stop calling `step` where it is to stay.

    Args:
        optimizer: whose `lr` is set, at once and at each `step`.
        num_steps: after how many steps the rate is lowest, 1 or more.
        eta_min: the lowest rate, 0 or more.
        base_lr: the rate to start from; left out, the optimiser's at this moment.
        num_steps_taken: how many steps were taken before, 0 or more.

    Raises:
        ConfigError: a number is outside its range, or `eta_min` is above the rate to start from.

    Source:
        Loshchilov, Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5, without the
        restarts.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        num_steps: int,
        eta_min: float = 0.0,
        *,
        base_lr: float | None = None,
        num_steps_taken: int = 0,
    ) -> None:
        self.num_steps = whole("CosineAnnealingLR", "num_steps", num_steps, at_least=1)
        self.eta_min = not_negative("CosineAnnealingLR", "eta_min", eta_min)
        start = optimizer.lr if base_lr is None else base_lr
        if self.eta_min > start:
            message = f"CosineAnnealingLR: eta_min must not be above the rate to start from, {start}, got {eta_min}"
            raise ConfigError(message)
        super().__init__(optimizer, base_lr=base_lr, num_steps_taken=num_steps_taken)

    def rate(self, num_steps: int) -> float:
        """Returns the learning rate after a number of steps."""
        return self.eta_min + (self.base_lr - self.eta_min) * (1 + math.cos(math.pi * num_steps / self.num_steps)) / 2
