"""Chapter 13, second half: non-linear layers, embeddings, and the cross-entropy.

Not here: the engine and linear layers (`chapter_13`), the recurrent layer (`chapter_13_stories`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 13, companion notebook.

Example:
    >>> from fedgdl.zoo.recipe import Setting, compare
    >>> {row.status for recipe in RECIPES for row in compare(recipe, recipe.run(Setting()), Setting())}
    {'met'}
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl import nn
from fedgdl.autograd import SparseGradient
from fedgdl.zoo.book_draws import BookDraws, given
from fedgdl.zoo.chapter_13 import INPUTS, LAYER_START, TARGETS, descend, learned, weights_of
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, equal, exactly, printed

__all__ = ["CLASSES", "CLASS_LOSSES", "CLASS_START", "RECIPES", "WORD_IDS", "class_weights"]

WORD_IDS: Final = np.array([1, 2, 1, 2])
CLASSES: Final = np.array([0, 1, 0, 1])

# The rows of words 0 to 2; both tasks draw the same, and never read the others.
_TABLE_START: Final = (
    0.07172978879080649, 0.03425445869054796, 0.01496106099896562,
    -0.0254484002203651, 0.04863137102221871, -0.02080426291243583,
    0.13059100026069326, 0.1545542535003431, -0.0388528270580741,
)  # fmt: skip
_OUT_START: Final = (0.3497653916786029, -0.10080723912244768, 1.154834137957986)
CLASS_START: Final = (
    *_TABLE_START,
    -0.07158475964066192, 1.1160523296363665, 0.918815118202077, -0.2931186404246571,
    0.9966223378908704, -1.0936935365099523, 0.3497653916786029, -0.10080723912244768,
    1.154834137957986, -0.10128694333734717, 1.6396533968828866, 0.18770157146211086,
)  # fmt: skip
CLASS_LOSSES: Final = (
    1.3885032434928422, 0.9558181509266037, 0.6823083585795604, 0.5095259967493119, 0.39574491472895856,
    0.31752527285348264, 0.2617222861964216, 0.22061283923954234, 0.18946427334830068, 0.16527389263866668,
)  # fmt: skip


def class_weights() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the book's start weights of the cross-entropy task: of the table, (3, 3), and of the layer, (3, 4)."""
    draws = BookDraws()
    draws.name_tensors(2)
    return draws.embedding(3, 3), draws.linear(3, 4)


def _train_nonlinear(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    draws = BookDraws()
    draws.name_tensors(2)
    first, second = draws.linear(2, 3), draws.linear(3, 1)
    model = nn.Sequential(
        nn.Linear(2, 3, initial=given(first), dtype="float64"),
        nn.Tanh(),
        nn.Linear(3, 1, initial=given(second), dtype="float64"),
        nn.Sigmoid(),
    )
    start, squares = weights_of(model), nn.MSELoss("sum")
    losses = descend(model, lambda: squares(model(INPUTS), TARGETS), 1.0)
    return learned("Layers with non-linearities", start, losses, model)


def _select_rows(setting: Setting) -> Outcome:  # noqa: ARG001
    table = nn.Embedding(5, 5, initial=given(np.eye(5)), dtype="float64")
    read = table(np.array([[1, 2, 3], [2, 3, 4]]))
    read.backward(1.0)
    kept = table.weight.grad
    gradient = kept.to_dense() if isinstance(kept, SparseGradient) else np.asarray(kept)
    columns = {tuple(column) for column in gradient.T.tolist()}
    return Outcome(
        {
            "shape read": read.shape,
            "different columns of the gradient": len(columns),
            "gradient of each row": tuple(gradient[:, 0].tolist()),
        }
    )


def _train_embedding(setting: Setting) -> Outcome:  # noqa: ARG001
    draws = BookDraws()
    draws.name_tensors(2)
    table, out = draws.embedding(5, 3), draws.linear(3, 1)
    model = nn.Sequential(
        nn.Embedding(5, 3, initial=given(table), dtype="float64"),
        nn.Tanh(),
        nn.Linear(3, 1, initial=given(out), dtype="float64"),
        nn.Sigmoid(),
    )
    start, squares = (*table[:3].ravel().tolist(), *out.ravel().tolist()), nn.MSELoss("sum")
    losses = descend(model, lambda: squares(model(WORD_IDS), TARGETS), 0.5)
    return learned("An embedding and the layers behind it", start, losses, model)


def _train_classes(setting: Setting) -> Outcome:  # noqa: ARG001
    table, out = class_weights()
    model = nn.Sequential(
        nn.Embedding(3, 3, initial=given(table), dtype="float64"),
        nn.Tanh(),
        nn.Linear(3, 4, initial=given(out), dtype="float64"),
    )
    start, entropy = weights_of(model), nn.CrossEntropyLoss("sum")
    # The book prints the mean over the four words, but the gradient that it descends is that of their sum.
    sums = descend(model, lambda: entropy(model(WORD_IDS), CLASSES), 0.1)
    means = tuple(loss / len(CLASSES) for loss in sums)
    return learned("Cross-entropy of classes", start, means, model)


RECIPES: Final = (
    Recipe(
        name="ch13-nonlinearities",
        chapter=13,
        section="Nonlinearity layers",
        summary="A tanh and a sigmoid between the layers.",
        model="2-3-1, tanh, sigmoid, with biases",
        data="four rows of two numbers; the answer is the second",
        settings={"steps": "10", "learning rate": "1", "loss": "squared errors, summed"},
        published="losses 1.06372865 to 0.04700013 in ten steps",
        defects=("B16",),
        expected=(
            Expected("start weights", LAYER_START, exactly, origin="derived"),
            Expected(
                "losses",
                (
                    1.06372865,
                    0.75148144,
                    0.57384259,
                    0.39574294,
                    0.2482279,
                    0.15515294,
                    0.10423398,
                    0.07571169,
                    0.05837623,
                    0.04700013,
                ),
                printed(8),
                origin="book",
            ),
        ),
        run=_train_nonlinear,
    ),
    Recipe(
        name="ch13-embedding-indexing",
        chapter=13,
        section="Adding indexing to autograd",
        summary="Rows of a table by their ids; a row that is read twice has both gradients.",
        model="a table 5 x 5",
        data="the identity, its rows 1, 2, 3 and 2, 3, 4",
        settings={"gradient of the result": "ones"},
        published="gradient rows 0, 1, 2, 2, 1 in all five columns",
        defects=("B10", "B30"),
        expected=(
            Expected("shape read", (2, 3, 5), equal, origin="derived"),  # that of the ids, and a row of 5 for each
            Expected("different columns of the gradient", 1, equal, origin="book"),
            Expected("gradient of each row", (0.0, 1.0, 2.0, 2.0, 1.0), equal, origin="book"),
        ),
        run=_select_rows,
    ),
    Recipe(
        name="ch13-embedding",
        chapter=13,
        section="The embedding layer",
        summary="A table of words learned together with the layers behind it.",
        model="embedding 5 x 3, tanh, 3-1, sigmoid, with a bias",
        data="the words 1, 2, 1, 2 with answers 0, 1, 0, 1",
        settings={"steps": "10", "learning rate": "0.5", "loss": "squared errors, summed"},
        published="losses 0.98874126 to 0.07387834 in ten steps",
        defects=("B16",),
        expected=(
            Expected("start weights", (*_TABLE_START, *_OUT_START), exactly, origin="derived"),
            Expected(
                "losses",
                (
                    0.98874126,
                    0.6658868,
                    0.45639889,
                    0.31608168,
                    0.2260925,
                    0.16877423,
                    0.13120515,
                    0.10555487,
                    0.08731868,
                    0.07387834,
                ),
                printed(8),
                origin="book",
            ),
        ),
        run=_train_embedding,
    ),
    Recipe(
        name="ch13-cross-entropy",
        chapter=13,
        section="The cross-entropy layer",
        summary="Classes by their cross-entropy. A right engine gives the book's losses when it descends the sum: the "
        "book prints the mean of four words with the gradient of their sum.",
        model="embedding 3 x 3, tanh, 3-4, with a bias",
        data="the words 1, 2, 1, 2 of classes 0, 1, 0, 1",
        settings={"steps": "10", "learning rate": "0.1 on the sum", "loss": "cross-entropy, printed as a mean"},
        published="losses 1.3885032434928422 to 0.16527389263866668 in ten steps",
        defects=("B8", "B9"),
        expected=(
            Expected("start weights", CLASS_START, exactly, origin="derived"),
            Expected("losses", CLASS_LOSSES, exactly, origin="book"),
        ),
        run=_train_classes,
    ),
)
