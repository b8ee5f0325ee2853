"""Chapter 4, gradient descent: one weight learns, first by trial, then by its derivative.

Source:
    Andrew W. Trask, "Grokking Deep Learning", Manning 2019, chapter 4. Everything here is determined: no random
    numbers.

Example:
    >>> [recipe.name for recipe in RECIPES][:2]
    ['ch04-compare', 'ch04-hot-and-cold-one-step']
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fedgdl.autograd import Tensor, squared_error
from fedgdl.parameters import FloatArray
from fedgdl.zoo.descent import Descent, Step, dense
from fedgdl.zoo.pictures import Curves, Line
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, exactly

__all__ = ["RECIPES"]

_GOAL: Final = 0.8


def _error(x: float, weight: float, goal: float) -> tuple[float, float]:
    """Returns prediction and squared error of one weight."""
    prediction = dense([[weight]])(np.array([[x]]))
    return prediction.item(), squared_error(prediction, np.array([[goal]])).item()


def _descend(weight: float, x: float, alpha: float, num_steps: int) -> list[Step]:
    """Returns the steps of one weight towards the goal 0.8."""
    descent = Descent(dense([[weight]]), alpha)
    return [descent.learn([x], [_GOAL]) for _ in range(num_steps)]


def _curve(title: str, errors: Sequence[float], *, is_log: bool = True) -> Curves:
    return Curves(title, "step", "squared error", [Line("error", range(len(errors)), errors)], is_log=is_log)


def _ends(steps: Sequence[Step]) -> dict[str, Value]:
    """Returns errors and predictions of the first two steps and the last."""
    return {
        "errors of steps 1 and 2": (steps[0].error, steps[1].error),
        "predictions of steps 1 and 2": (*steps[0].prediction, *steps[1].prediction),
        "last error": steps[-1].error,
        "last prediction": steps[-1].prediction[0],
    }


def _compare(_: Setting) -> Outcome:
    return Outcome({"error": _error(0.5, 0.5, _GOAL)[1]})


def _one_step_of_hot_and_cold(_: Setting) -> Outcome:
    return Outcome(
        {
            "error": _error(8.5, 0.1, 1.0)[1],
            "error with the weight up": _error(8.5, 0.1 + 0.01, 1.0)[1],
            "error with the weight down": _error(8.5, 0.1 - 0.01, 1.0)[1],
        }
    )


def _hot_and_cold(_: Setting) -> Outcome:
    weight, x, step, steps = Tensor(0.5), 0.5, 0.001, list[tuple[float, float]]()
    for _iteration in range(1101):
        prediction = weight * x
        steps.append((prediction.item(), squared_error(prediction, np.array(_GOAL)).item()))
        up = squared_error((weight + step) * x, np.array(_GOAL)).item()
        down = squared_error((weight - step) * x, np.array(_GOAL)).item()
        if down < up:
            weight = weight - step
        elif up < down:
            weight = weight + step
    measured: dict[str, Value] = {
        "errors of steps 1 and 2": (steps[0][1], steps[1][1]),
        "predictions of steps 1 and 2": (steps[0][0], steps[1][0]),
        "last error": steps[-1][1],
        "last prediction": steps[-1][0],
    }
    return Outcome(measured, {"errors": _curve("Hot and cold learning", [error for _, error in steps], is_log=False)})


def _gradient_descent(_: Setting) -> Outcome:
    steps = _descend(0.5, 0.5, 1.0, 20)
    return Outcome(_ends(steps), {"errors": _curve("Gradient descent", [step.error for step in steps])})


def _one_iteration(_: Setting) -> Outcome:
    descent = Descent(dense([[0.1]]), 0.01)
    step = descent.learn([8.5], [1.0])
    return Outcome(
        {"delta": step.delta[0], "weight delta": step.gradient[0], "weight afterwards": descent.weights[0]},
    )


def _reducing_error(_: Setting) -> Outcome:
    steps = _descend(0.0, 0.5, 1.0, 4)
    return Outcome(
        {
            "errors": tuple(step.error for step in steps),
            "predictions": tuple(step.prediction[0] for step in steps),
        }
    )


def _several_steps(_: Setting) -> Outcome:
    steps = _descend(0.0, 1.1, 1.0, 4)
    weights: FloatArray = np.linspace(-0.1, 1.5, 81)
    bowl = Line("error by weight", weights.tolist(), ((weights * 1.1 - _GOAL) ** 2).tolist())
    path = Line("steps taken", [step.weights[0] for step in steps], [step.error for step in steps])
    return Outcome(
        {
            "weights before each step": tuple(step.weights[0] for step in steps),
            "errors": tuple(step.error for step in steps),
            "deltas": tuple(step.delta[0] for step in steps),
        },
        {"bowl": Curves("Four steps down the error's bowl", "weight", "squared error", [bowl, path])},
    )


def _overcorrection(_: Setting) -> Outcome:
    steps = _descend(0.5, 2.0, 1.0, 20)
    return Outcome(_ends(steps), {"errors": _curve("Divergence", [step.error for step in steps])})


def _alpha(_: Setting) -> Outcome:
    steps = _descend(0.5, 2.0, 0.1, 20)
    return Outcome(_ends(steps), {"errors": _curve("The same with alpha 0.1", [step.error for step in steps])})


def _expect_ends(
    errors: tuple[float, float], predictions: tuple[float, float], last_error: float, last_prediction: float
) -> tuple[Expected, ...]:
    return (
        Expected("errors of steps 1 and 2", errors, exactly, origin="book"),
        Expected("predictions of steps 1 and 2", predictions, exactly, origin="book"),
        Expected("last error", last_error, exactly, origin="book"),
        Expected("last prediction", last_prediction, exactly, origin="book"),
    )


RECIPES: Final = (
    Recipe(
        name="ch04-compare",
        chapter=4,
        section="Compare",
        summary="How far off a prediction is, squared.",
        model="1-1, no bias",
        data="input 0.5, goal 0.8",
        settings={"weight": "0.5"},
        published="0.30250000000000005",
        run=_compare,
        expected=(Expected("error", 0.30250000000000005, exactly, origin="book"),),
    ),
    Recipe(
        name="ch04-hot-and-cold-one-step",
        chapter=4,
        section="What's the simplest form of neural learning?",
        summary="Try the weight a little up and a little down, keep what is better.",
        model="1-1, no bias",
        data="toes 8.5, goal 1",
        settings={"weight": "0.1", "step": "0.01"},
        published="0.022499999999999975; up 0.004224999999999993, down 0.05522499999999994",
        run=_one_step_of_hot_and_cold,
        expected=(
            Expected("error", 0.022499999999999975, exactly, origin="book"),
            Expected("error with the weight up", 0.004224999999999993, exactly, origin="book"),
            Expected("error with the weight down", 0.05522499999999994, exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch04-hot-and-cold",
        chapter=4,
        section="Hot and cold learning; Characteristics of hot and cold learning",
        summary="1,101 fixed steps up or down: slow, and it cannot come nearer than a step.",
        model="1-1, no bias",
        data="input 0.5, goal 0.8",
        settings={"weight": "0.5", "step": "0.001", "iterations": "1101", "on a tie": "stay"},
        published="0.30250000000000005, 0.3019502500000001, ... 1.0799505792475652e-27",
        run=_hot_and_cold,
        expected=_expect_ends(
            (0.30250000000000005, 0.3019502500000001), (0.25, 0.2505), 1.0799505792475652e-27, 0.7999999999999672
        ),
    ),
    Recipe(
        name="ch04-gradient-descent",
        chapter=4,
        section="Calculating both direction and amount from error; Let's watch several steps of learning; "
        "Why does this work? What is weight_delta, really?; Breaking gradient descent",
        summary="The derivative says which way and how far at once.",
        model="1-1, no bias",
        data="input 0.5, goal 0.8",
        settings={"weight": "0.5", "alpha": "1", "iterations": "20"},
        published="0.30250000000000005, 0.17015625000000004, ... 5.408208020258491e-06",
        defects=("B31",),
        run=_gradient_descent,
        expected=_expect_ends(
            (0.30250000000000005, 0.17015625000000004), (0.25, 0.3875), 5.408208020258491e-06, 0.7976744445781151
        ),
    ),
    Recipe(
        name="ch04-one-iteration",
        chapter=4,
        section="One iteration of gradient descent",
        summary="Prediction, delta, weight delta, new weight, once.",
        model="1-1, no bias",
        data="toes 8.5, goal 1",
        settings={"weight": "0.1", "alpha": "0.01"},
        run=_one_iteration,
        expected=(  # the section prints nothing: its four lines of arithmetic, computed once outside the core
            Expected("delta", -0.1499999999999999, exactly, origin="derived"),
            Expected("weight delta", -1.2749999999999992, exactly, origin="derived"),
            Expected("weight afterwards", 0.11275, exactly, origin="derived"),
        ),
    ),
    Recipe(
        name="ch04-reducing-error",
        chapter=4,
        section="Learning is just reducing error",
        summary="From a weight of 0 the error shrinks by a constant factor.",
        model="1-1, no bias",
        data="input 0.5, goal 0.8",
        settings={"weight": "0", "alpha": "1", "iterations": "4"},
        published="0.6400000000000001, 0.3600000000000001, 0.2025, 0.11390625000000001",
        run=_reducing_error,
        expected=(
            Expected(
                "errors", (0.6400000000000001, 0.3600000000000001, 0.2025, 0.11390625000000001), exactly, origin="book"
            ),
            Expected("predictions", (0.0, 0.2, 0.35000000000000003, 0.4625), exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch04-several-steps",
        chapter=4,
        section="Let's watch several steps of learning; How to use a derivative to learn",
        summary="The weight swings around the bottom of the error's bowl.",
        model="1-1, no bias",
        data="input 1.1, goal 0.8",
        settings={"weight": "0", "alpha": "1", "iterations": "4"},
        published="0.6400000000000001, 0.02822400000000005, 0.0012446784000000064, 5.4890317439999896e-05",
        run=_several_steps,
        expected=(
            Expected(
                "weights before each step",
                (0.0, 0.8800000000000001, 0.6951999999999999, 0.734008),
                exactly,
                origin="book",
            ),
            Expected(
                "errors",
                (0.6400000000000001, 0.02822400000000005, 0.0012446784000000064, 5.4890317439999896e-05),
                exactly,
                origin="book",
            ),
            Expected(
                "deltas",
                (-0.8, 0.16800000000000015, -0.03528000000000009, 0.007408799999999993),
                exactly,
                origin="book",
            ),
        ),
    ),
    Recipe(
        name="ch04-divergence",
        chapter=4,
        section="Breaking gradient descent; Visualizing the overcorrections; Divergence",
        summary="A large input overshoots: the error grows ninefold each step.",
        model="1-1, no bias",
        data="input 2, goal 0.8",
        settings={"weight": "0.5", "alpha": "1", "iterations": "20"},
        published="0.03999999999999998, 0.3599999999999998, ... 5.403406870691965e+16",
        run=_overcorrection,
        expected=(
            Expected("errors of steps 1 and 2", (0.03999999999999998, 0.3599999999999998), exactly, origin="book"),
            # Twice the weight 0.5 is 1; a step takes the difference of 0.2 from the goal to -3 times itself.
            Expected("predictions of steps 1 and 2", (1.0, 0.8 - 3 * 0.2), exactly, origin="derived"),
            Expected("last error", 5.403406870691965e16, exactly, origin="book"),
            Expected("last prediction", -232452292.5999999, exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch04-alpha",
        chapter=4,
        section="Introducing alpha; Alpha in code",
        summary="Steps a tenth as long: the same start converges.",
        model="1-1, no bias",
        data="input 2, goal 0.8",
        settings={"weight": "0.5", "alpha": "0.1", "iterations": "20"},
        published="0.03999999999999998, 0.0144, ... 1.485277170987127e-10",
        run=_alpha,
        expected=(
            Expected("errors of steps 1 and 2", (0.03999999999999998, 0.0144), exactly, origin="book"),
            # The difference of 0.2 from the goal shrinks to 0.6 times itself.
            Expected("predictions of steps 1 and 2", (1.0, 0.8 + 0.6 * 0.2), exactly, origin="derived"),
            Expected("last error", 1.485277170987127e-10, exactly, origin="book"),
            Expected("last prediction", 0.8000121871948003, exactly, origin="book"),
        ),
    ),
)
