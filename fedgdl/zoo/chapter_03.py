"""Chapter 3, forward propagation: networks with fixed weights make predictions. Nothing is learned yet.

Source:
    Andrew W. Trask, "Grokking Deep Learning", Manning 2019, chapter 3. Weights are the book's; each row belongs to
    one output.

Example:
    >>> [recipe.name for recipe in RECIPES][:2]
    ['ch03-one-input', 'ch03-multiple-inputs']
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fedgdl.autograd import matmul, mul
from fedgdl.errors import GraphError
from fedgdl.nn import Sequential
from fedgdl.zoo.descent import dense, flat
from fedgdl.zoo.games import GAME, NAMES, OUTCOMES, TOES, WEIGHTS, WINS
from fedgdl.zoo.pictures import Network
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, equal, exactly

__all__ = ["RECIPES"]

_INPUT_WEIGHTS: Final = ((0.1, 0.2, 0.0),)
_HIDDEN: Final = ((0.1, 0.2, -0.1), (-0.1, 0.1, 0.9), (0.1, 0.4, 0.1))
_OUT: Final = ((0.3, 1.1, -0.3), (0.1, 0.2, 0.0), (0.0, 1.3, 0.1))


def _predict(rows: Sequence[Sequence[float]], inputs: Sequence[float]) -> tuple[float, ...]:
    """Returns the outputs of one layer."""
    return flat(dense(rows)(np.asarray(inputs)).data)


def _one_input(_: Setting) -> Outcome:
    return Outcome({"prediction": _predict([[0.1]], TOES[:1])[0]})


def _multiple_inputs(_: Setting) -> Outcome:
    looped = 0.0
    for value, weight in zip(GAME, _INPUT_WEIGHTS[0], strict=True):
        looped += value * weight
    return Outcome({"prediction": _predict(_INPUT_WEIGHTS, GAME)[0], "prediction of a loop": looped})


def _multiple_outputs(_: Setting) -> Outcome:
    return Outcome({"predictions": _predict([[0.3], [0.2], [0.9]], WINS[:1])})


def _inputs_and_outputs(_: Setting) -> Outcome:
    predictions = _predict(WEIGHTS, GAME)
    weights = (np.asarray(WEIGHTS).T,)
    network = Network("Three inputs, three outputs", (NAMES, OUTCOMES), weights, (GAME, predictions))
    return Outcome({"predictions": predictions}, {"network": network})


def _stacked(_: Setting) -> Outcome:
    model = Sequential(dense(_HIDDEN), dense(_OUT))
    hidden = flat(model[0](np.asarray(GAME)).data)
    predictions = flat(model(np.asarray(GAME)).data)
    layers = (NAMES, ("hidden 1", "hidden 2", "hidden 3"), OUTCOMES)
    weights = (np.asarray(_HIDDEN).T, np.asarray(_OUT).T)
    network = Network("Predictions on predictions", layers, weights, (GAME, hidden, predictions))
    return Outcome({"hidden": hidden, "predictions": predictions}, {"network": network}, model.flatten())


def _shape_rules(_: Setting) -> Outcome:
    measured: dict[str, tuple[float, ...] | str] = {}
    for left, right in (((1, 4), (4, 3)), ((2, 4), (4, 3)), ((2, 1), (1, 3))):
        measured[f"shape of {left} . {right}"] = matmul(np.ones(left), np.ones(right)).shape
    measured["shape of (5, 4) transposed . (5, 6)"] = matmul(np.ones((5, 4)).T, np.ones((5, 6))).shape
    try:
        measured["(5, 4) . (5, 6)"] = matmul(np.ones((5, 4)), np.ones((5, 6))).shape
    except GraphError:
        measured["(5, 4) . (5, 6)"] = "refused"
    try:
        measured["(4,) * (2, 5)"] = mul(np.ones(4), np.ones((2, 5))).shape
    except GraphError:
        measured["(4,) * (2, 5)"] = "refused"
    return Outcome(measured)


_GAME_DATA: Final = "toes 8.5, win rate 0.65, fans 1.2: the team before its first game"

RECIPES: Final = (
    Recipe(
        name="ch03-one-input",
        chapter=3,
        section="A simple neural network making a prediction",
        summary="One input times one weight.",
        model="1-1, no bias",
        data="toes 8.5",
        settings={"weight": "0.1"},
        published="0.8500000000000001",
        run=_one_input,
        expected=(Expected("prediction", 0.8500000000000001, exactly, origin="book"),),
    ),
    Recipe(
        name="ch03-multiple-inputs",
        chapter=3,
        section="Making a prediction with multiple inputs; What does this neural network do?; Complete runnable code",
        summary="A weighted sum, by a loop and by a matrix product: the same number.",
        model="3-1, no bias",
        data=_GAME_DATA,
        settings={"weights": "0.1, 0.2, 0"},
        published="0.9800000000000001 both ways",
        defects=("B31",),
        run=_multiple_inputs,
        expected=(
            Expected("prediction", 0.9800000000000001, exactly, origin="book"),
            Expected("prediction of a loop", 0.9800000000000001, exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch03-multiple-outputs",
        chapter=3,
        section="Making a prediction with multiple outputs",
        summary="One input, three predictions that do not touch one another.",
        model="1-3, no bias",
        data="win rate 0.65",
        settings={"weights": "0.3, 0.2, 0.9"},
        published="0.195, 0.13, 0.5850000000000001",
        defects=("B31",),
        run=_multiple_outputs,
        expected=(Expected("predictions", (0.195, 0.13, 0.5850000000000001), exactly, origin="book"),),
    ),
    Recipe(
        name="ch03-inputs-and-outputs",
        chapter=3,
        section="Predicting with multiple inputs and outputs; Multiple inputs and outputs: how does it work?",
        summary="Three weighted sums of the same inputs: a matrix product.",
        model="3-3, no bias",
        data=_GAME_DATA,
        settings={"weights": "hurt 0.1, 0.1, -0.3; win 0.1, 0.2, 0; sad 0, 1.3, 0.1"},
        published="0.555, 0.9800000000000001, 0.9650000000000001",
        defects=("B31",),
        run=_inputs_and_outputs,
        expected=(Expected("predictions", (0.555, 0.9800000000000001, 0.9650000000000001), exactly, origin="book"),),
    ),
    Recipe(
        name="ch03-predicting-on-predictions",
        chapter=3,
        section="Predicting on predictions",
        summary="Two layers without anything between them.",
        model="3-3-3, no activation, no bias",
        data=_GAME_DATA,
        settings={
            "hidden weights": "0.1, 0.2, -0.1; -0.1, 0.1, 0.9; 0.1, 0.4, 0.1",
            "output weights": "hurt 0.3, 1.1, -0.3; win 0.1, 0.2, 0; sad 0, 1.3, 0.1",
        },
        published="0.21350000000000002, 0.14500000000000002, 0.5065",
        run=_stacked,
        expected=(
            # The weighted sums worked out on paper: 0.85 + 0.13 - 0.12, -0.85 + 0.065 + 1.08, 0.85 + 0.26 + 0.12.
            Expected("hidden", (0.86, 0.295, 1.23), exactly, origin="derived"),
            Expected("predictions", (0.21350000000000002, 0.14500000000000002, 0.5065), exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch03-shapes",
        chapter=3,
        section="A quick primer on NumPy",
        summary="Which shapes multiply, which do not.",
        model="none",
        data="matrices of ones (the book's random ones come from an unseeded generator)",
        settings={},
        published="the shapes (1, 3), (2, 3), (2, 3), (4, 6), and two errors",
        run=_shape_rules,
        expected=(
            Expected("shape of (1, 4) . (4, 3)", (1, 3), equal, origin="book"),
            Expected("shape of (2, 4) . (4, 3)", (2, 3), equal, origin="book"),
            Expected("shape of (2, 1) . (1, 3)", (2, 3), equal, origin="book"),
            Expected("shape of (5, 4) transposed . (5, 6)", (4, 6), equal, origin="book"),
            Expected("(5, 4) . (5, 6)", "refused", equal, origin="book"),
            Expected("(4,) * (2, 5)", "refused", equal, origin="book"),
        ),
    ),
)
