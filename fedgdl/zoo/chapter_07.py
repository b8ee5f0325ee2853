"""Chapter 7, picturing networks: the network of chapter 6 as a chain of shapes, as a drawing, and at work.

The chapter has no notebook and prints no numbers: what is drawn here is held to the numbers of chapter 6.

Source:
    Andrew W. Trask, "Grokking Deep Learning", Manning 2019, chapter 7, by its table of contents.

Example:
    >>> print(RECIPES[0].run(Setting()).pictures["chain"].text)
    row 1x3 . W01 3x4 -> 1x4 -> ReLU -> 1x4 . W12 4x1 -> 1x1
"""

from typing import Final

import numpy as np

from fedgdl.nn import Sequential
from fedgdl.zoo.pictures import Network, Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, equal, exactly, printed
from fedgdl.zoo.streetlights import DEEP_LIGHTS, DEEP_WALKS, NAMES, forward, network, train

__all__ = ["RECIPES"]

_PASSES: Final = 60
_UNITS: Final = (NAMES, tuple(f"hidden {index}" for index in range(1, 5)), ("walk",))


def _shapes(_: Setting) -> Outcome:
    model = network()
    parameters, summary = model.flatten(), model.summary((1, 3))
    shapes = {row.layer: _sides(row.output_shape) for row in summary.rows}
    first, second = (parameters[name].shape for name in ("0.weight", "2.weight"))
    chain = (
        f"row 1x3 . W01 {_times(first)} -> {_times((1, first[1]))} -> ReLU -> {_times(shapes['ReLU'])} "
        f". W12 {_times(second)} -> {_times(shapes['Sequential'])}"
    )
    return Outcome(
        {
            "shape of W01": first,
            "shape after ReLU": shapes["ReLU"],
            "shape of W12": second,
            "shape of the output": shapes["Sequential"],
            "weights": summary.num_parameters,
        },
        {"chain": Text("Shapes", chain), "summary": Text("Layers", str(summary))},
    )


def _sides(shape: object) -> tuple[int, ...]:
    """Returns the sides of a layer's one output."""
    return tuple(int(side) for side in np.ravel(np.asarray(shape)))


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _forward_pass(_: Setting) -> Outcome:
    model = network()
    hidden, out = forward(model, DEEP_LIGHTS[0])[1:]
    untrained = _network("Before training, at crossing 1", model)
    train(model, _PASSES)
    return Outcome(
        {
            "hidden units before training": hidden,
            "output before training": out[0],
            "outputs afterwards": tuple(forward(model, lights)[2][0] for lights in DEEP_LIGHTS),
        },
        {
            "untrained": untrained,
            "trained": _network("After training, at crossing 1", model),
            "forward-pass": Text("Four crossings through the trained network", _in_words(model)),
        },
        model.flatten(),
    )


def _network(title: str, model: Sequential) -> Network:
    weights = [model.flatten()[name].copy() for name in ("0.weight", "2.weight")]
    return Network(title, _UNITS, weights, forward(model, DEEP_LIGHTS[0]))


def _in_words(model: Sequential) -> str:
    """Returns a line of numbers for each layer and crossing."""
    lines = []
    for lights, walk in zip(DEEP_LIGHTS, DEEP_WALKS, strict=True):
        inputs, hidden, out = forward(model, lights)
        lines += [
            f"lights  {_row(inputs)}",
            f"hidden  {_row(hidden)}",
            f"output  {_row(out)}   it was {'walk' if walk else 'stop'}",
            "",
        ]
    return "\n".join(lines[:-1])


def _row(values: tuple[float, ...]) -> str:
    return "  ".join(f"{value:7.4f}" for value in values)


RECIPES: Final = (
    Recipe(
        name="ch07-shapes",
        chapter=7,
        section="Correlation summarization; The previously overcomplicated visualization; The simplified "
        "visualization; Simplifying even further; Let's visualize using letters instead of pictures; Linking the "
        "variables",
        summary="The network as a chain of shapes, and as a table of its layers.",
        model="3-4-1, ReLU, no bias",
        data="none: shapes alone",
        settings={},
        run=_shapes,
        expected=(  # by the rule of chapter 3: (1, 3) . (3, 4) is (1, 4), and (1, 4) . (4, 1) is (1, 1); 12 + 4 weights
            Expected("shape of W01", (3, 4), equal, origin="derived"),
            Expected("shape after ReLU", (1, 4), equal, origin="derived"),
            Expected("shape of W12", (4, 1), equal, origin="derived"),
            Expected("shape of the output", (1, 1), equal, origin="derived"),
            Expected("weights", 16, equal, origin="derived"),
        ),
    ),
    Recipe(
        name="ch07-forward-pass",
        chapter=7,
        section="Let's see this network predict; Everything side by side; The importance of visualization tools",
        summary="The network drawn with what each unit holds, before and after training, and in numbers.",
        model="3-4-1, ReLU, no bias",
        data="four crossings: 3 lights each; walk when exactly one of the first two is on",
        settings={"weights": "even in -1 to 1, seed 1", "alpha": "0.2", "passes": "60"},
        run=_forward_pass,
        expected=(  # those of chapter 6, see ch06-deep-network
            Expected("hidden units before training", (0.0, 0.5182824548910301, 0.0, 0.0), exactly, origin="derived"),
            Expected("output before training", 0.3919432663396042, exactly, origin="derived"),
            Expected("outputs afterwards", (1.0, 0.9985532569, 0.0026314414, 0.0), printed(10), origin="derived"),
        ),
    ),
)
