"""Chapter 5, learning many weights at once, and what the weights of a network for digits look like.

Source:
    Andrew W. Trask, "Grokking Deep Learning", Manning 2019, chapter 5, with the correction of 2019 to its last
    section. The data are those of `games`.

Example:
    >>> outcome = RECIPES[0].run(Setting())
    >>> [round(weight, 5) for weight in outcome.measured["weights afterwards"]]
    [0.1119, 0.20091, -0.09832]
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import no_grad, squared_error
from fedgdl.data.digits import Digits, load_digits
from fedgdl.nn import Linear, init
from fedgdl.optim import SGD
from fedgdl.progress import watched
from fedgdl.zoo.descent import Descent, dense
from fedgdl.zoo.games import GAME, HURT, NAMES, OUTCOMES, SAD, WEIGHTS, WIN, WINS
from fedgdl.zoo.pictures import Curves, Images, Line, Network, Picture
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least, equal, exactly

__all__ = ["RECIPES"]

_START: Final = ((0.1, 0.2, -0.1),)
_GOALS: Final = (HURT[0], WIN[0], SAD[0])

_BATCH: Final = 100
_EPOCHS: Final = 5


def _one_step(_: Setting) -> Outcome:
    descent = Descent(dense(_START), 0.01)
    step = descent.learn(GAME, WIN[:1])
    return Outcome({"weight deltas": step.gradient, "weights afterwards": descent.weights})


def _several_steps(_: Setting) -> Outcome:
    return _three_steps(0.01, ())


def _frozen(_: Setting) -> Outcome:
    return _three_steps(0.3, (0,))


def _three_steps(alpha: float, frozen: tuple[int, ...]) -> Outcome:
    """Takes three steps from the same start; the weights of frozen inputs stay."""
    descent = Descent(dense(_START), alpha)
    steps = [descent.learn(GAME, WIN[:1], frozen) for _ in range(3)]
    lines = [Line(name, (1, 2, 3), [step.weights[index] for step in steps]) for index, name in enumerate(NAMES)]
    return Outcome(
        {
            "predictions": tuple(step.prediction[0] for step in steps),
            "errors": tuple(step.error for step in steps),
            "weights before step 3": steps[2].weights,
        },
        {"weights": Curves("The three weights before each step", "step", "weight", lines)},
    )


def _multiple_outputs(_: Setting) -> Outcome:
    descent = Descent(dense([[0.3], [0.2], [0.9]]), 0.1)
    step = descent.learn(WINS[:1], _GOALS)
    return Outcome({"weight deltas": step.gradient, "weights afterwards": descent.weights})


def _inputs_and_outputs(_: Setting) -> Outcome:
    descent = Descent(dense(WEIGHTS), 0.01)
    step = descent.learn(GAME, _GOALS)
    weights = np.reshape(descent.weights, (3, 3))
    network = Network("After one step", (NAMES, OUTCOMES), (weights.T,), (GAME, step.prediction))
    return Outcome(
        {
            "delta": step.delta,
            "weights of hurt afterwards": tuple(weights[0].tolist()),
            "weights of win afterwards": tuple(weights[1].tolist()),
            "weights of sad afterwards": tuple(weights[2].tolist()),
        },
        {"network": network},
    )


def _digits(setting: Setting) -> Outcome:
    digits = load_digits(setting.data_root, allow_synthetic=setting.allow_synthetic)
    model = Linear(784, 10, bias=False, initial=init.zeros)
    parameters, optimizer = model.flatten(), SGD(model.parameters(), lr=0.01)
    one_hot, accuracies = np.eye(10, dtype=np.float32), list[float]()
    for _epoch in watched(range(_EPOCHS), "ch05-digits"):
        for start in range(0, len(digits.train_images) - _BATCH + 1, _BATCH):
            batch = slice(start, start + _BATCH)
            error = squared_error(model(_pixels(digits.train_images[batch])), one_hot[digits.train_labels[batch]])
            (error * (0.5 / _BATCH)).backward()
            optimizer.step()
        with no_grad():
            guesses = model(_pixels(digits.test_images)).data.argmax(1)
        accuracies.append(float((guesses == digits.test_labels).mean()))
    weights = model.weight.data.T
    epochs = Line("on the test images", range(1, _EPOCHS + 1), accuracies)
    pictures: dict[str, Picture] = {
        "weights": Images("What each output looks for", weights.reshape(10, 28, 28), [str(d) for d in range(10)]),
        "accuracy": Curves("One layer reads digits", "epoch", "accuracy", [epochs]),
    }
    measured = {"test accuracy": accuracies[-1], "outputs that look for their own digit": _own_digits(weights, digits)}
    return Outcome(measured, pictures, parameters, digits.description, digits.is_synthetic)


def _pixels(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(n, 28, 28) -> (n, 784), from 0 to 1."""
    return images.reshape(-1, 784).astype(np.float32) / np.float32(255)


def _own_digits(weights: npt.NDArray[np.float32], digits: Digits) -> int:
    """Returns how many outputs answer their own digit's mean image, without what all digits share, the most."""
    means = np.stack([_pixels(digits.train_images[digits.train_labels == digit]).mean(0) for digit in range(10)])
    answers = weights @ (means - means.mean(0)).T
    return int((answers.argmax(1) == np.arange(10)).sum())


_GAME_DATA: Final = "toes 8.5, win rate 0.65, fans 1.2: the first game, which was won"

RECIPES: Final = (
    Recipe(
        name="ch05-multiple-inputs",
        chapter=5,
        section="Gradient descent learning with multiple inputs; Gradient descent with multiple inputs explained",
        summary="One delta, turned into a weight delta by each input.",
        model="3-1, no bias",
        data=_GAME_DATA,
        settings={"weights": "0.1, 0.2, -0.1", "alpha": "0.01", "iterations": "1"},
        published="weights afterwards 0.1119, 0.20091, -0.09832",
        defects=("B22", "B31"),
        run=_one_step,
        expected=(
            Expected(
                "weight deltas",
                (-1.189999999999999, -0.09099999999999994, -0.16799999999999987),
                exactly,
                origin="book",
            ),
            Expected("weights afterwards", (0.1119, 0.20091, -0.09832), exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch05-several-steps",
        chapter=5,
        section="Let's watch several steps of learning",
        summary="The weight of the largest input does most of the learning.",
        model="3-1, no bias",
        data=_GAME_DATA,
        settings={"weights": "0.1, 0.2, -0.1", "alpha": "0.01", "iterations": "3"},
        published="errors 0.01959999999999997, 0.0013135188062500048, 8.802712522307997e-05",
        run=_several_steps,
        expected=(
            Expected(
                "predictions",
                (0.8600000000000001, 0.9637574999999999, 0.9906177228125002),
                exactly,
                origin="book",
            ),
            Expected(
                "errors",
                (0.01959999999999997, 0.0013135188062500048, 8.802712522307997e-05),
                exactly,
                origin="book",
            ),
            Expected(
                "weights before step 3",
                (0.11498061250000001, 0.20114557625, -0.09788509000000001),
                exactly,
                origin="book",
            ),
        ),
    ),
    Recipe(
        name="ch05-freezing-one-weight",
        chapter=5,
        section="Freezing one weight: what does it do?",
        summary="With the largest input's weight fixed the others find another way to a small error.",
        model="3-1, no bias",
        data=_GAME_DATA,
        settings={"weights": "0.1, 0.2, -0.1", "frozen": "the first", "alpha": "0.3", "iterations": "3"},
        published="errors 0.01959999999999997, 0.003816150624999989, 0.000743010489422852",
        run=_frozen,
        expected=(
            Expected("predictions", (0.8600000000000001, 0.9382250000000001, 0.97274178125), exactly, origin="book"),
            Expected(
                "errors",
                (0.01959999999999997, 0.003816150624999989, 0.000743010489422852),
                exactly,
                origin="book",
            ),
            Expected("weights before step 3", (0.1, 0.239346125, -0.02736100000000008), exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch05-multiple-outputs",
        chapter=5,
        section="Gradient descent learning with multiple outputs",
        summary="Three deltas, each moves the one weight of its output.",
        model="1-3, no bias",
        data="win rate 0.65; goals hurt 0.1, win 1, sad 0.1",
        settings={"weights": "0.3, 0.2, 0.9", "alpha": "0.1", "iterations": "1"},
        published="weights afterwards 0.293825, 0.25655, 0.868475",
        run=_multiple_outputs,
        expected=(
            Expected("weight deltas", (0.061750000000000006, -0.5655, 0.3152500000000001), exactly, origin="book"),
            Expected("weights afterwards", (0.293825, 0.25655, 0.868475), exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch05-inputs-and-outputs",
        chapter=5,
        section="Gradient descent with multiple inputs and outputs",
        summary="The gradient of a matrix of weights is the outer product of deltas and inputs.",
        model="3-3, no bias",
        data="toes 8.5, win rate 0.65, fans 1.2; goals hurt 0.1, win 1, sad 0.1",
        settings={
            "weights": "hurt 0.1, 0.1, -0.3; win 0.1, 0.2, 0; sad 0, 1.3, 0.1",
            "alpha": "0.01",
            "iterations": "1",
        },
        published="weights afterwards 0.061325, 0.0970425, -0.30546; ... (some printed copies have the outer product "
        "transposed)",
        defects=("B31",),
        run=_inputs_and_outputs,
        expected=(
            # Predictions of chapter 3 less the goals: 0.555 - 0.1, 0.98 - 1, 0.965 - 0.1.
            Expected("delta", (0.455, -0.02, 0.865), exactly, origin="derived"),
            Expected("weights of hurt afterwards", (0.061325, 0.0970425, -0.30546), exactly, origin="book"),
            Expected("weights of win afterwards", (0.1017, 0.20013, 0.00023999999999999887), exactly, origin="book"),
            Expected("weights of sad afterwards", (-0.073525, 1.2943775, 0.08962), exactly, origin="book"),
        ),
    ),
    Recipe(
        name="ch05-digits",
        chapter=5,
        section="What do these weights learn?; Visualizing weight values; Visualizing dot products (weighted sums)",
        summary="One layer reads handwritten digits; each output's weights, drawn, show what it looks for.",
        model="784-10, no bias",
        data="mnist: all training images in their order, all test images",
        source="mnist",
        settings={"weights": "0", "alpha": "0.01 on the mean", "batch": str(_BATCH), "epochs": str(_EPOCHS)},
        run=_digits,
        seconds=(4.0, 4.0),
        expected=(
            # One run gave 0.851 on MNIST and 0.968 on generated digits; chance is 0.1.
            Expected("test accuracy", 0.84, at_least, origin="goal"),
            Expected("outputs that look for their own digit", 10, equal, origin="goal"),
        ),
    ),
)
