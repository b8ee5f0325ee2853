"""Chapter 6, backpropagation: when to walk at a streetlight, from one row of weights to a network with a middle layer.

Source:
    Andrew W. Trask, "Grokking Deep Learning", Manning 2019, chapter 6. The deep networks start from NumPy's legacy
    generator, seed 1.

Example:
    >>> outcome = RECIPES[0].run(Setting())
    >>> [round(weight, 4) for weight in outcome.measured["weights afterwards"]]
    [0.5988, 0.48, -0.6012]
"""

from typing import Final

import numpy as np

from fedgdl.autograd import Tensor
from fedgdl.zoo.descent import Descent, Step, dense, flat
from fedgdl.zoo.pictures import Curves, Line, Network, Picture
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_most, equal, exactly, printed
from fedgdl.zoo.streetlights import (
    DEEP_LIGHTS,
    DEEP_WALKS,
    LIGHTS,
    NAMES,
    START,
    WALKS,
    forward,
    network,
    train,
)

__all__ = ["RECIPES"]

_ALPHA: Final = 0.1
_PASSES: Final = 40
_DEEP_PASSES: Final = 60
_SHOWN_PASSES: Final = (1, 2, 3, 5, 10, 20, 40)

_START_W01: Final = (
    -0.165955990594852, 0.4406489868843162, -0.9997712503653102, -0.39533485473632046,
    -0.7064882183657739, -0.8153228104624044, -0.6274795772446582, -0.3088785459139045,
    -0.20646505153866013, 0.07763346800671389, -0.1616109711934104, 0.370439000793519,
)  # fmt: skip
_START_W12: Final = (-0.5910955005369651, 0.7562348727818908, -0.9452248136041477, 0.34093502035680445)
"""What NumPy's former generator draws from -1 to 1 after seed 1, a row of weights for each input."""


def _one_row(_: Setting) -> Outcome:
    descent = Descent(dense([START]), _ALPHA)
    steps = [descent.learn(LIGHTS[0], WALKS[:1]) for _ in range(20)]
    errors = [step.error for step in steps]
    return Outcome(
        {
            "first and last prediction": (*steps[0].prediction, *steps[-1].prediction),
            "first and last error": (errors[0], errors[-1]),
            "weights afterwards": descent.weights,
        },
        {"errors": Curves("One crossing", "step", "squared error", [Line("error", range(1, 21), errors)], is_log=True)},
    )


def _arrays(_: Setting) -> Outcome:
    a, b = Tensor([0.0, 1.0, 2.0, 1.0]), Tensor([2.0, 2.0, 2.0, 3.0])
    results = {"a * b": a * b, "a + b": a + b, "a * 0.5": a * 0.5, "a + 0.5": a + 0.5}
    return Outcome({what: flat(result.data) for what, result in results.items()})


def _pass_errors(batch: int) -> tuple[list[float], tuple[float, ...]]:
    """Returns the error of each pass over the six crossings in batches, summed over rows, and the last weights."""
    descent, errors = Descent(dense([START]), _ALPHA), list[float]()
    for _ in range(_PASSES):
        starts = range(0, len(LIGHTS), batch)
        errors.append(sum(_learn(descent, start, batch).error for start in starts))
    return errors, descent.weights


def _learn(descent: Descent, start: int, batch: int) -> Step:
    return descent.learn(LIGHTS[start : start + batch], [[walk] for walk in WALKS[start : start + batch]])


def _whole_data_set(_: Setting) -> Outcome:
    errors, weights = _pass_errors(1)
    passes = range(1, _PASSES + 1)
    return Outcome(
        {**{f"error of pass {index}": errors[index - 1] for index in _SHOWN_PASSES}, "weights afterwards": weights},
        {"errors": Curves("All six crossings", "pass", "summed error", [Line("error", passes, errors)], is_log=True)},
    )


def _full_batch_stochastic(_: Setting) -> Outcome:
    measured: dict[str, Value] = {}
    lines, passes = list[Line](), range(1, _PASSES + 1)
    for name, batch in (("stochastic", 1), ("batches of 2", 2), ("full", 6)):
        errors, weights = _pass_errors(batch)
        measured[f"{name}: error of pass {_PASSES}"] = errors[-1]
        measured[f"{name}: distance to the right weights"] = float(np.abs(np.subtract(weights, (0, 1, 0))).max())
        lines.append(Line(name, passes, errors))
    curves = Curves("The same 40 passes in steps of 1, 2 and 6 rows", "pass", "summed error", lines, is_log=True)
    return Outcome(measured, {"errors": curves})


def _deep(_: Setting) -> Outcome:
    model = network()
    parameters = model.flatten()
    start = {f"start weights {name}": flat(parameters[f"{index}.weight"]) for name, index in (("W01", 0), ("W12", 2))}
    hidden, out = forward(model, DEEP_LIGHTS[0])[1:]
    errors = [sum(step.error for step in steps) for steps in train(model, _DEEP_PASSES)]
    measured: dict[str, Value] = {
        **start,
        "hidden units for row 1": hidden,
        "output for row 1": out[0],
        "error of pass 1": errors[0],
        "errors of passes 10, 20, ... 60": tuple(errors[9::10]),
        "outgoing weights afterwards": flat(parameters["2.weight"]),
        "outputs afterwards": tuple(forward(model, lights)[2][0] for lights in DEEP_LIGHTS),
    }
    line = Line("error", range(1, _DEEP_PASSES + 1), errors)
    units = (NAMES, tuple(f"hidden {index}" for index in range(1, 5)), ("walk",))
    weights = (parameters["0.weight"], parameters["2.weight"])
    pictures: dict[str, Picture] = {
        "errors": Curves("The deep network", "pass", "summed error", [line], is_log=True),
        "network": Network("After 60 passes, at crossing 1", units, weights, forward(model, DEEP_LIGHTS[0])),
    }
    return Outcome(measured, pictures, parameters)


def _one_iteration(_: Setting) -> Outcome:
    model = network(3)
    hidden, out = forward(model, DEEP_LIGHTS[0])[1:]
    step = Descent(model, 0.2).learn(DEEP_LIGHTS[0], DEEP_WALKS[:1])
    return Outcome(
        {
            "hidden units": hidden,
            "output": out[0],
            "error": step.error,
            # What reaches a hidden unit is the gradient of its weight from the first light, which is on (1).
            "hidden delta": step.gradient[0:9:3],
            "outgoing weights afterwards": flat(model.flatten()["2.weight"]),
        }
    )


_CROSSINGS: Final = "six crossings: 3 lights each, walk or stop"
_DEEP_CROSSINGS: Final = "four crossings: 3 lights each; walk when exactly one of the first two is on"

RECIPES: Final = (
    Recipe(
        name="ch06-one-row",
        chapter=6,
        section="Creating a matrix or two in Python",
        summary="A single crossing is learned in 20 steps; the weight of a light that is off cannot move.",
        model="3-1, no bias",
        data="the first crossing: lights 1, 0, 1; stop",
        settings={"weights": "0.5, 0.48, -0.7", "alpha": "0.1", "iterations": "20"},
        published="prediction -0.19999999999999996 to -0.002882303761517324",
        run=_one_row,
        expected=(
            Expected(
                "first and last prediction", (-0.19999999999999996, -0.002882303761517324), exactly, origin="book"
            ),
            Expected("first and last error", (0.03999999999999998, 8.307674973656916e-06), exactly, origin="book"),
            # Both weights move together: 0.8^20 of their distance is left, by the same arithmetic outside the core.
            Expected("weights afterwards", (0.5988470784953931, 0.48, -0.6011529215046069), exactly, origin="derived"),
        ),
    ),
    Recipe(
        name="ch06-arrays",
        chapter=6,
        section="Building a neural network",
        summary="Arrays are multiplied and added element by element.",
        model="none",
        data="a = 0, 1, 2, 1; b = 2, 2, 2, 3",
        settings={},
        published="a * b = 0 2 4 3; a + b = 2 3 4 4",
        run=_arrays,
        expected=(
            Expected("a * b", (0, 2, 4, 3), equal, origin="book"),
            Expected("a + b", (2, 3, 4, 4), equal, origin="book"),
            Expected("a * 0.5", (0, 0.5, 1, 0.5), equal, origin="book"),
            Expected("a + 0.5", (0.5, 1.5, 2.5, 1.5), equal, origin="book"),
        ),
    ),
    Recipe(
        name="ch06-whole-data-set",
        chapter=6,
        section="Learning the whole dataset!",
        summary="All six crossings, one after the other, 40 times: the middle light's weight becomes 1.",
        model="3-1, no bias",
        data=_CROSSINGS,
        settings={"weights": "0.5, 0.48, -0.7", "alpha": "0.1", "passes": "40", "update": "after each row"},
        published="summed error 2.6561231104, 0.9628701776715985, ... 0.00053373677328488",
        run=_whole_data_set,
        expected=(
            *(
                Expected(f"error of pass {index}", error, exactly, origin="book")
                for index, error in (
                    (1, 2.6561231104),
                    (2, 0.9628701776715985),
                    (3, 0.5509165866836797),
                    (5, 0.2516768662079895),
                    (10, 0.05564914990717743),
                    (20, 0.009117233405426495),
                    (40, 0.00053373677328488),
                )
            ),
            Expected(
                "weights afterwards",
                (0.01389227599885506, 1.0138146999001432, -0.01599277146523771),
                exactly,
                origin="derived",  # the same 240 steps in NumPy without the core
            ),
        ),
    ),
    Recipe(
        name="ch06-full-batch-stochastic",
        chapter=6,
        section="Full, batch, and stochastic gradient descent",
        summary="Steps after each row, each pair of rows, or each pass: in as many passes more steps come further.",
        model="3-1, no bias",
        data=_CROSSINGS,
        settings={"weights": "0.5, 0.48, -0.7", "alpha": "0.1 on the mean", "passes": "40", "rows a step": "1, 2, 6"},
        run=_full_batch_stochastic,
        expected=(
            Expected("stochastic: error of pass 40", 0.00053373677328488, exactly, origin="book"),
            # Loops over Python's numbers, without arrays, that add up a step's gradients and divide by its rows.
            Expected("batches of 2: error of pass 40", 0.009373160719207189, exactly, origin="derived"),
            Expected("full: error of pass 40", 0.12365241374415742, exactly, origin="derived"),
            Expected("stochastic: distance to the right weights", 0.02, at_most, origin="goal"),
        ),
    ),
    Recipe(
        name="ch06-deep-network",
        chapter=6,
        section="Creating correlation; Stacking neural networks; Your first deep neural network; "
        "Backpropagation in code; Why do deep networks matter?; Putting it all together",
        summary="No single light tells when to walk; with a hidden layer the network finds out.",
        model="3-4-1, ReLU, no bias",
        data=_DEEP_CROSSINGS,
        settings={"weights": "even in -1 to 1, seed 1", "alpha": "0.2", "passes": "60", "update": "after each row"},
        published="summed error after 10, 20, ... 60 passes: 0.6342311598444467, ... 1.5055622665134859e-05",
        run=_deep,
        expected=(
            # What the generator draws; the forward pass and 60 passes in NumPy without the core. The last outputs were
            # noted to ten digits.
            Expected("start weights W01", _START_W01, exactly, origin="derived"),
            Expected("start weights W12", _START_W12, exactly, origin="derived"),
            Expected("hidden units for row 1", (0.0, 0.5182824548910301, 0.0, 0.0), exactly, origin="derived"),
            Expected("output for row 1", 0.3919432663396042, exactly, origin="derived"),
            Expected("error of pass 1", 1.4142058374213209, exactly, origin="derived"),
            Expected(
                "errors of passes 10, 20, ... 60",
                (
                    0.6342311598444467,
                    0.35838407676317513,
                    0.0830183113303298,
                    0.006467054957103705,
                    0.0003292669000750734,
                    1.5055622665134859e-05,
                ),
                exactly,
                origin="book",
            ),
            Expected(
                "outgoing weights afterwards",
                (-0.5910955005369651, 1.139621342184252, -0.9452248136041477, 1.1102379270064269),
                exactly,
                origin="derived",
            ),
            Expected("outputs afterwards", (1.0, 0.9985532569, 0.0026314414, 0.0), printed(10), origin="derived"),
        ),
    ),
    Recipe(
        name="ch06-one-iteration",
        chapter=6,
        section="One iteration of backpropagation",
        summary="Forward, error, delta of the output, delta of the hidden layer, new weights: one row, once.",
        model="3-3-1, ReLU, no bias",
        data="the first crossing: lights 1, 0, 1; walk",
        settings={"weights": "even in -1 to 1, seed 1", "alpha": "0.2", "iterations": "1"},
        run=_one_iteration,
        expected=(  # the section prints nothing: one row through NumPy's products, without the core
            Expected("hidden units", (0.0, 0.13177044097041168, 0.0), exactly, origin="derived"),
            Expected("output", -0.02129554893981219, exactly, origin="derived"),
            Expected("error", 1.0430445982842722, exactly, origin="derived"),
            Expected("hidden delta", (0.0, 0.16505256553967024, 0.0), exactly, origin="derived"),
            Expected(
                "outgoing weights afterwards",
                (0.07763346800671389, -0.13469565822442686, 0.370439000793519),
                exactly,
                origin="derived",
            ),
        ),
    ),
)
