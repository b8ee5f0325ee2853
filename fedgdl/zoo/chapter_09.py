"""Chapter 9, modelling probabilities and nonlinearities: the activations with their slopes, and softmax on digits.

The slope of each activation follows from its output alone. It has to be the output before dropout scales it: of the
scaled one, as the book takes it, tanh's slope can be negative.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 9. Start weights and dropout masks are the book's.

Example:
    >>> [recipe.name for recipe in RECIPES]
    ['ch09-activations', 'ch09-softmax-mnist']
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, relu, sigmoid, softmax, tanh
from fedgdl.zoo.book_digits import book_stream, load_book_digits
from fedgdl.zoo.course import expect_course, nearly
from fedgdl.zoo.digit_net import QUICK_EPOCHS, DigitNet, Plan, cross_entropy, follow, often
from fedgdl.zoo.pictures import Curves, Line
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least, at_most, equal

__all__ = ["RECIPES"]

_Array: TypeAlias = npt.NDArray[np.float64]
_Function: TypeAlias = Callable[[Tensor], Tensor]

_ACTIVATIONS: Final[dict[str, tuple[_Function, Callable[[_Array], _Array]]]] = {
    "ReLU": (relu, lambda y: (y > 0).astype(np.float64)),
    "sigmoid": (sigmoid, lambda y: y * (1 - y)),
    "tanh": (tanh, lambda y: 1 - y * y),
}
"""Each with its slope, computed from its output."""

_POINTS: Final = np.linspace(-4.0, 4.0, 160)
"""An even number of them, so that 0 is left out, where ReLU has no slope."""
_LOGITS: Final = np.array([1.0, 2.0, 0.5, -1.0])
_STEP: Final = 1e-6

_FROM_OUTPUT: Final = "slope from the output, largest difference from"

# The book divides by the batch size twice: with batches of 100, its alpha of 2 is 0.02 for the gradient of the mean.
_PLAN: Final = Plan(epochs=300, batch_size=100, learning_rate=2 / 100, loss=cross_entropy, has_dropout=True)


def _difference(function: _Function, x: _Array, direction: _Array) -> _Array:
    """Returns the central difference of a function along a direction."""
    up, down = (function(Tensor(x + step * direction)).data for step in (_STEP, -_STEP))
    return np.asarray((up - down) / (2 * _STEP))


def _backward(function: _Function, x: _Array) -> _Array:
    """Returns the slope at each element as the core computes it."""
    leaf = Tensor(x, requires_grad=True)
    function(leaf).sum().backward()
    return np.asarray(leaf.grad)


def _activations(_: Setting) -> Outcome:
    measured, values, slopes = dict[str, Value](), list[Line](), list[Line]()
    for name, (function, slope_of) in _ACTIVATIONS.items():
        outputs = np.asarray(function(Tensor(_POINTS)).data)
        slope = slope_of(outputs)
        numerical = _difference(function, _POINTS, np.ones_like(_POINTS))
        measured[f"{name}: {_FROM_OUTPUT} a difference quotient"] = float(np.abs(slope - numerical).max())
        measured[f"{name}: {_FROM_OUTPUT} the core"] = float(np.abs(slope - _backward(function, _POINTS)).max())
        values.append(Line(name, _POINTS.tolist(), outputs.tolist()))
        slopes.append(Line(name, _POINTS.tolist(), slope.tolist()))
    shares = np.asarray(softmax(_LOGITS).data)
    jacobian = np.diag(shares) - np.outer(shares, shares)
    numerical = np.array([_difference(softmax, _LOGITS, direction) for direction in np.eye(len(_LOGITS))])
    measured[f"softmax: {_FROM_OUTPUT} a difference quotient"] = float(np.abs(jacobian - numerical).max())
    measured["softmax: sum of the outputs"] = float(shares.sum())
    measured["softmax of 1000, 0, 0"] = tuple(softmax(np.array([1000.0, 0.0, 0.0])).data.tolist())
    measured["sigmoid and tanh at 0"] = (sigmoid(np.zeros(1)).item(), tanh(np.zeros(1)).item())
    return Outcome(
        measured,
        {
            "activations": Curves("Activations", "input", "output", values),
            "slopes": Curves("Slopes of the activations", "input", "slope", slopes),
        },
    )


def _softmax_mnist(setting: Setting) -> Outcome:
    digits, stream = load_book_digits(setting), book_stream()
    net = DigitNet(stream, 100, bound=0.01, activation="tanh")
    parameters = net.flatten()
    tested = QUICK_EPOCHS if setting.is_quick else often(_PLAN.epochs)
    course = follow(net, stream, digits, _PLAN, "ch09-softmax-mnist", tested)
    return Outcome(
        course.measured(),
        {
            "errors": course.errors("Errors by epoch", "cross-entropy a digit"),
            "accuracies": course.accuracies("Accuracies by epoch"),
        },
        parameters,
        digits.description,
        digits.is_synthetic,
    )


def _expect_slopes() -> tuple[Expected, ...]:
    # A central difference over 2e-6 is off by about 1e-13 where its series is cut, and 1e-10 by rounding.
    quotients = tuple(
        Expected(f"{name}: {_FROM_OUTPUT} a difference quotient", 1e-9, at_most, "derived")
        for name in (*_ACTIVATIONS, "softmax")
    )
    return (
        *quotients,
        *(Expected(f"{name}: {_FROM_OUTPUT} the core", 1e-15, at_most, "derived") for name in _ACTIVATIONS),
    )


RECIPES: Final = (
    Recipe(
        name="ch09-activations",
        chapter=9,
        section="What is an activation function?; Standard hidden-layer activation functions; Standard output layer "
        "activation functions; The core issue: inputs have similarity; softmax computation; Multiplying delta by the "
        "slope; Converting output to slope (derivative)",
        summary="ReLU, sigmoid, tanh and softmax: each slope comes from the output alone, and is checked.",
        model="element by element; softmax over 4 outputs",
        data="160 points from -4 to 4",
        settings={"difference quotient": "central, over 2e-6"},
        defects=("B9",),
        run=_activations,
        expected=(
            *_expect_slopes(),
            Expected("sigmoid and tanh at 0", (0.5, 0.0), equal, "derived"),
            Expected("softmax: sum of the outputs", 1.0, nearly, "derived"),
            Expected("softmax of 1000, 0, 0", (1.0, 0.0, 0.0), equal, "derived"),
        ),
    ),
    Recipe(
        name="ch09-softmax-mnist",
        chapter=9,
        section="Activation installation instructions; Upgrading the MNIST network",
        summary="tanh, dropout and softmax on 1,000 digits, with every slope taken where it belongs.",
        model="784-100-10, tanh, dropout 0.5, softmax, no bias",
        data="mnist: the first 1,000 training digits, all 10,000 test digits",
        settings={
            "seed": "1",
            "learning rate": "0.02, of the mean cross-entropy (the book's alpha of 2, divided by 100)",
            "batch": "100",
            "dropout": "0.5",
            "epochs": "300 (quick: 21)",
        },
        published="test / train accuracy at epoch 100: 0.8407 / 0.883; 200: 0.8642 / 0.926; best 0.8703 at 270",
        defects=("B2", "B9"),
        source="mnist",
        seconds=(0.8, 7.0),
        run=_softmax_mnist,
        expected=(
            *expect_course(  # computed by plain NumPy with the slopes written out by hand
                {
                    0: (2.2738747666656693, 0.268, 2.2366081719631197, 0.5647),
                    10: (1.5761037573, 0.736, 1.5886273858, 0.7037),
                    20: (1.0786274739, 0.772, 1.1062958016, 0.7546),
                    100: (0.3727801443, 0.906, 0.4926604813, 0.8554),
                    200: (0.2289269812, 0.949, 0.4350031124, 0.8665),
                    299: (0.1530519571, 0.969, 0.4366922239, 0.8666),
                },
                error=nearly,
                origin="derived",
                quick=QUICK_EPOCHS,
            ),
            Expected("best test accuracy", 0.7, at_least, "goal"),
        ),
    ),
)
