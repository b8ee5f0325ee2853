"""Schedules: closed forms without drift, and runs that go on where they stopped."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.autograd import Parameter
from fedgdl.errors import ConfigError, ParameterError
from fedgdl.optim import SGD, CosineAnnealingLR, Schedule, StepLR


def optimizer(lr: float = 0.4) -> SGD:
    return SGD([Parameter([1.0])], lr=lr)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "step": lambda sgd, **start: StepLR(sgd, step_size=7, gamma=0.9, **start),
    "cosine": lambda sgd, **start: CosineAnnealingLR(sgd, num_steps=50, eta_min=0.01, **start),
}
kinds = pytest.mark.parametrize("kind", SCHEDULES)


@given(size=st.integers(1, 5), gamma=st.floats(0.1, 2), num_steps=st.integers(0, 20))
def test_the_step_schedule_multiplies_once_every_so_many_steps(size: int, gamma: float, num_steps: int) -> None:
    sgd = optimizer()
    schedule = StepLR(sgd, step_size=size, gamma=gamma)
    expected = 0.4
    for step in range(1, num_steps + 1):
        schedule.step()
        expected *= gamma if step % size == 0 else 1
    np.testing.assert_allclose(sgd.lr, expected, rtol=1e-12)


def test_the_cosine_falls_from_the_first_rate_by_way_of_the_middle_to_the_lowest() -> None:
    sgd = optimizer(0.5)
    schedule = CosineAnnealingLR(sgd, num_steps=100, eta_min=0.1)
    rates = [sgd.lr]
    for _ in range(100):
        schedule.step()
        rates.append(sgd.lr)
    np.testing.assert_allclose([rates[0], rates[50], rates[100]], [0.5, 0.3, 0.1], rtol=1e-15)
    assert all(later < earlier for earlier, later in pairwise(rates))


def test_a_cosine_may_end_at_zero() -> None:
    sgd = optimizer()
    CosineAnnealingLR(sgd, num_steps=4, num_steps_taken=4)
    assert sgd.lr == 0


@kinds
def test_ten_thousand_steps_drift_by_nothing(kind: str) -> None:
    sgd = optimizer()
    schedule = SCHEDULES[kind](sgd)
    for _ in range(10_000):
        schedule.step()
    assert sgd.lr == SCHEDULES[kind](optimizer()).rate(10_000)
    assert type(sgd.lr) is float


@kinds
def test_a_resumed_schedule_goes_on_with_the_same_rates(kind: str) -> None:
    whole, first = optimizer(), optimizer()
    schedule, former = SCHEDULES[kind](whole), SCHEDULES[kind](first)
    for _ in range(20):
        schedule.step()
        former.step()
    by_state, by_number = optimizer(0.9), optimizer(first.lr)
    loaded = SCHEDULES[kind](by_state)
    loaded.load_state_dict(former.state_dict())
    counted = SCHEDULES[kind](by_number, base_lr=0.4, num_steps_taken=20)
    for _ in range(20):
        assert whole.lr == by_state.lr == by_number.lr
        for each in (schedule, loaded, counted):
            each.step()
    assert (loaded.num_steps_taken, loaded.base_lr) == (40, 0.4)


def test_a_state_of_something_else_is_refused_and_changes_nothing() -> None:
    sgd = optimizer()
    schedule = StepLR(sgd, step_size=1, gamma=0.5)
    with pytest.raises(ParameterError, match="a schedule's state is base_lr and num_steps_taken, got lr"):
        schedule.load_state_dict({"lr": np.array(0.1)})
    with pytest.raises(ConfigError, match=r"StepLR: num_steps_taken must be a whole number from 0 on, got 1\.5"):
        schedule.load_state_dict({"base_lr": np.array(0.1), "num_steps_taken": np.array(1.5)})
    assert (schedule.base_lr, schedule.num_steps_taken, sgd.lr) == (0.4, 0, 0.4)


@pytest.mark.parametrize("size", [0, -1, 1.5, math.nan, math.inf, True, "2"])
def test_impossible_lengths_are_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"StepLR: step_size must be a whole number from 1 on, got {size!r}"):
        StepLR(optimizer(), step_size=size)
    with pytest.raises(
        ConfigError, match=f"CosineAnnealingLR: num_steps must be a whole number from 1 on, got {size!r}"
    ):
        CosineAnnealingLR(optimizer(), num_steps=size)


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="StepLR: gamma must be a positive finite number, got 0"):
        StepLR(optimizer(), step_size=1, gamma=0)
    with pytest.raises(
        ConfigError, match="CosineAnnealingLR: eta_min must be a finite number that is 0 or more, got -1"
    ):
        CosineAnnealingLR(optimizer(), num_steps=1, eta_min=-1)
    with pytest.raises(ConfigError, match=r"eta_min must not be above the rate to start from, 0\.4, got 0\.5"):
        CosineAnnealingLR(optimizer(), num_steps=1, eta_min=0.5)
    with pytest.raises(ConfigError, match="StepLR: base_lr must be a positive finite number, got -1"):
        StepLR(optimizer(), step_size=1, base_lr=-1)
    with pytest.raises(ConfigError, match="StepLR: num_steps_taken must be a whole number from 0 on, got -1"):
        StepLR(optimizer(), step_size=1, num_steps_taken=-1)
