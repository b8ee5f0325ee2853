"""Chapter 14 as printed: activations of a cell of the notebook that was run twice.

The cell's loop backward leaves its variable at the first activation, not at the start, and the second run goes on from
there. What is printed as activations 1 to 10 are therefore 2 to 11; the gradients are the same in both runs.
`ch14-vanishing` has the run from the start.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 14, companion notebook.

Example:
    >>> RECIPES[0].run(Setting()).measured["relu: last state printed"]
    (46583049.71437107, 46577890.60826711)
"""

from typing import Final

import numpy as np

from fedgdl.zoo.chapter_14 import START, toy_slopes, toy_states, two_units
from fedgdl.zoo.pictures import Curves, Line
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, exactly, printed

__all__ = ["RECIPES"]


def _run_twice(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    cell = two_units("relu")
    start = toy_states(two_units("sigmoid"), START)[0]
    first = toy_states(cell, start)
    again = toy_states(cell, first[0])
    slopes = toy_slopes(cell, [first[0], *again[:-1]])
    steps = range(1, len(again) + 1)
    lines = [
        Line(name, steps, [float(np.linalg.norm(state)) for state in states])
        for name, states in (("run once", first), ("run twice, as printed", again))
    ]
    return Outcome(
        {
            "relu: first state printed": tuple(again[0][0].tolist()),
            "relu: last state printed": tuple(again[-1][0].tolist()),
            "relu: gradients 1 to 10 back": tuple(float(slope[0]) for slope in slopes),
        },
        {"activations": Curves("Activations of two rectifiers", "step", "norm of the state", lines, is_log=True)},
    )


RECIPES: Final = (
    Recipe(
        name="ch14-vanishing-as-printed",
        chapter=14,
        section="A toy example of RNN backpropagation",
        summary="The rectifiers' activations as printed: those of a cell that was run twice, one step further on.",
        model="recurrent 2, weights [[1, 4], [4, 1]], no input",
        data="the first state of the rectifiers, left over from the run before",
        settings={"steps": "10", "runs of the cell": "2"},
        published="activations [23.71814585 23.98025559] to [46583049.71437107 46577890.60826711]",
        defects=("B22",),
        is_book_compatible=True,
        expected=(
            Expected("relu: first state printed", (23.71814585, 23.98025559), printed(8), origin="book"),
            Expected("relu: last state printed", (46583049.71437107, 46577890.60826711), exactly, origin="book"),
            Expected("relu: gradients 1 to 10 back", tuple(5.0**n for n in range(1, 11)), exactly, origin="book"),
        ),
        run=_run_twice,
    ),
)
