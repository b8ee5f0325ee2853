"""Gradient descent as the book writes it: half the squared error, and the streetlights' start weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.zoo.descent import Descent, dense, flat, from_minus_one_to_one
from fedgdl.zoo.streetlights import DEEP_LIGHTS, forward, network

numbers = st.floats(-3, 3)


@given(numbers, numbers, numbers, st.floats(0.01, 1))
def test_one_weight_follows_delta_times_input(weight: float, x: float, goal: float, alpha: float) -> None:
    descent = Descent(dense([[weight]]), alpha)
    step = descent.learn([x], [goal])
    delta = weight * x - goal
    assert step.delta == pytest.approx((delta,), rel=1e-12, abs=1e-15)
    assert step.error == pytest.approx(delta**2, rel=1e-12, abs=1e-15)
    assert step.gradient == pytest.approx((delta * x,), rel=1e-12, abs=1e-15)
    assert descent.weights == pytest.approx((weight - alpha * delta * x,), rel=1e-9, abs=1e-12)
    assert step.weights == (weight,)


def test_several_rows_follow_the_mean_of_their_gradients() -> None:
    rows, goals = [[1.0, 2.0], [3.0, -1.0]], [[1.0], [0.0]]
    together = Descent(dense([[0.5, -0.5]]), 0.1).learn(rows, goals)
    single = [
        Descent(dense([[0.5, -0.5]]), 0.1).learn(row, goal).gradient for row, goal in zip(rows, goals, strict=True)
    ]
    assert together.gradient == pytest.approx(np.mean(single, axis=0), rel=1e-12)


def test_a_frozen_input_s_weights_stay() -> None:
    descent = Descent(dense([[1.0, 2.0], [3.0, 4.0]]), 0.1)
    step = descent.learn([1.0, 1.0], [0.0, 0.0], frozen=[1])
    # A row an output: its second weight belongs to the frozen input.
    assert step.gradient == (3.0, 0.0, 7.0, 0.0)
    assert descent.weights == pytest.approx((0.7, 2.0, 2.3, 4.0))


def test_rows_are_outputs() -> None:
    assert flat(dense([[1.0, 10.0], [100.0, 1000.0]])(np.array([1.0, 2.0])).data) == (21.0, 2100.0)


def test_the_start_weights_of_the_book() -> None:
    first, second = from_minus_one_to_one(1, (3, 4), (4, 1))
    assert flat(first)[:5] == (
        -0.165955990594852,
        0.4406489868843162,
        -0.9997712503653102,
        -0.39533485473632046,
        -0.7064882183657739,
    )
    assert flat(second) == (-0.5910955005369651, 0.7562348727818908, -0.9452248136041477, 0.34093502035680445)


def test_the_forward_pass_is_two_products_with_a_rectifier_between() -> None:
    first, second = from_minus_one_to_one(1, (3, 4), (4, 1))
    for lights in DEEP_LIGHTS:
        hidden = [max(0.0, sum(x * w for x, w in zip(lights, first[:, unit], strict=True))) for unit in range(4)]
        out = sum(h * w for h, w in zip(hidden, second[:, 0], strict=True))
        inputs, units, outputs = forward(network(), lights)
        assert inputs == lights
        assert units == pytest.approx(hidden, rel=1e-12)
        assert outputs == pytest.approx((out,), rel=1e-12)
