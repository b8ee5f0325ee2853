"""Chapter 13, first half: automatic derivatives, and the small networks that they train.

The toy task of the chapter: four rows of two numbers, and the answer is the second of them. A loss is the sum of the
squared errors over the four rows, before the update.

Not here: layers with a non-linearity and embeddings (`chapter_13_layers`), the recurrent layer (`chapter_13_stories`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 13, companion notebook.

Example:
    >>> from fedgdl.zoo.recipe import Setting, compare
    >>> {row.status for recipe in RECIPES for row in compare(recipe, recipe.run(Setting()), Setting())}
    {'met'}
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl import nn, optim
from fedgdl.autograd import Parameter, Tensor
from fedgdl.zoo.book_draws import BookDraws, given
from fedgdl.zoo.pictures import Curves, Line
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_most, equal, exactly, printed

__all__ = ["INPUTS", "LAYER_START", "RECIPES", "TARGETS", "descend", "learned", "weights_of"]

INPUTS: Final = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS: Final = np.array([[0.0], [1.0], [0.0], [1.0]])

_NUM_STEPS: Final = 10
_PRINTED: Final = printed(8)
"""NumPy prints arrays with eight digits behind the point, and these losses are arrays of the book."""

_AUTOGRAD_LOSSES: Final = (
    0.58128304, 0.48988149, 0.41375111, 0.34489412, 0.28210124,
    0.2254484, 0.17538853, 0.1324231, 0.09682769, 0.06849361,
)  # fmt: skip
_LAYER_LOSSES: Final = (
    2.33428272, 0.06743796, 0.0521849, 0.04079507, 0.03184365,
    0.02479336, 0.01925443, 0.01491699, 0.01153118, 0.00889602,
)  # fmt: skip

# First the weights (2, 3), row by row, then those (3, 1).
_AUTOGRAD_START: Final = (
    0.7151893663724195, 0.6027633760716439, 0.5448831829968969,
    0.4236547993389047, 0.6458941130666561, 0.4375872112626925,
    0.05671297731744318, 0.2726562945801132, 0.47766511732134986,
)  # fmt: skip
LAYER_START: Final = (
    0.7415917408091613, 1.5529137219128164, -2.268328201180374,
    1.3335453816218967, -0.8427240538292873, 1.9699244478698945,
    -0.08427783957672566, 0.33525227296672727, 0.11761108335747647,
)  # fmt: skip


def descend(model: nn.Module, loss_of: Callable[[], Tensor], learning_rate: float) -> tuple[float, ...]:
    """Returns the losses before each of ten steps of gradient descent."""
    optimizer, losses = optim.SGD(model.parameters(), lr=learning_rate), []
    for _ in range(_NUM_STEPS):
        loss = loss_of()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return tuple(losses)


def _summed_squares(prediction: Tensor) -> Tensor:
    """Returns the loss of a prediction for the four rows, made of the core's own operations."""
    error = prediction - TARGETS
    return (error * error).sum()


def learned(title: str, start: tuple[float, ...], losses: tuple[float, ...], model: nn.Module) -> Outcome:
    """Returns the outcome of a toy training."""
    curve = Curves(title, "step", "loss", (Line("loss", range(1, len(losses) + 1), losses),))
    return Outcome({"start weights": start, "losses": losses}, {"losses": curve}, model.flatten())


def weights_of(model: nn.Module) -> tuple[float, ...]:
    """Returns a model's weights, without its biases, as they are now."""
    kept = (values.data.ravel() for name, values in model.named_parameters() if not name.endswith("bias"))
    return tuple(np.concatenate(list(kept)).tolist())


def _linear_network(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], *, bias: bool) -> nn.Sequential:
    """Returns two linear layers of these weights."""
    return nn.Sequential(
        nn.Linear(len(first), first.shape[1], bias, initial=given(first), dtype="float64"),
        nn.Linear(len(second), second.shape[1], bias, initial=given(second), dtype="float64"),
    )


def _autograd_network() -> nn.Sequential:
    """Returns the network of "Using autograd to train a neural network", with the book's start weights."""
    draws = BookDraws()
    draws.name_tensors(2)
    return _linear_network(draws.even((2, 3)), draws.even((3, 1)), bias=False)


def _layer_network() -> nn.Sequential:
    """Returns the network of the sections on layers, with the book's start weights and biases of zero."""
    draws = BookDraws()
    draws.name_tensors(2)
    return _linear_network(draws.linear(2, 3), draws.linear(3, 1), bias=True)


def _differentiate(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    """Adds, uses a tensor twice, sums and expands, and takes the gradients."""
    measured: dict[str, tuple[float, ...]] = {}
    a, b, c, d = (Parameter(np.arange(1.0, 6) * sign) for sign in (1, 2, -1, 3))

    def gradients(result: Tensor, *leaves: Parameter) -> tuple[float, ...]:
        for leaf in leaves:
            leaf.grad = None
        result.backward(1.0)
        return tuple(float(g) for leaf in leaves for g in np.asarray(leaf.grad).ravel())

    measured["x + x"] = tuple((a + a).data.tolist())
    measured["gradients of a + b"] = gradients(a + b, a, b)
    measured["gradients of (a + b) + (c + d)"] = gradients((a + b) + (c + d), a, b, c, d)
    measured["gradient of b in (a + b) + (b + c)"] = gradients((a + b) + (b + c), b)
    measured["gradient of b in (a + -b) + (-b + c)"] = gradients((a + -b) + (-b + c), b)
    table = Parameter(np.arange(1.0, 7).reshape(2, 3))
    measured["sum over rows"] = tuple(table.sum(axis=0).data.tolist())
    measured["sum over columns"] = tuple(table.sum(axis=1).data.tolist())
    expanded = table.reshape(2, 3, 1) * np.ones(4)
    measured["expanded to four copies"] = tuple(expanded.data.ravel().tolist())
    measured["gradient of the four copies"] = gradients(expanded, table)
    return Outcome(measured)


def _train_by_hand(setting: Setting) -> Outcome:  # noqa: ARG001
    """Trains with derivatives written by hand, and compares each with the core's."""
    draws = BookDraws(num_names=0)
    first, second = draws.even((2, 3)), draws.even((3, 1))
    start = (*first.ravel().tolist(), *second.ravel().tolist())
    model = _linear_network(first, second, bias=False)
    losses, differences = [], []
    for _ in range(_NUM_STEPS):
        hidden = INPUTS @ first
        error = hidden @ second - TARGETS
        losses.append(float((error * error).sum()))
        slopes = INPUTS.T @ (error @ second.T), hidden.T @ error
        for parameter, values in zip(model.parameters(), (first, second), strict=True):
            parameter.data[...] = values
        # The book leaves out the factor 2 of the square's derivative: that is the derivative of half the square.
        (0.5 * nn.MSELoss("sum")(model(INPUTS), TARGETS)).backward()
        for parameter, slope in zip(model.parameters(), slopes, strict=True):
            differences.append(float(np.abs(np.asarray(parameter.grad) - slope).max() / np.abs(slope).max()))
        model.zero_grad()
        first -= 0.1 * slopes[0]
        second -= 0.1 * slopes[1]
    for parameter, values in zip(model.parameters(), (first, second), strict=True):
        parameter.data[...] = values
    outcome = learned("Training by hand", start, tuple(losses), model)
    measured: dict[str, Value] = {
        "losses before steps 1 to 3": tuple(losses[:3]),
        "loss before step 10": losses[-1],
        "largest relative difference of a gradient by hand and the core's": max(differences),
    }
    return Outcome(measured, outcome.pictures, outcome.parameters)


def _train_by_autograd(setting: Setting) -> Outcome:  # noqa: ARG001
    """Lets the core find the derivatives, and takes the steps in the open."""
    model = _autograd_network()
    start, losses = weights_of(model), []
    for _ in range(_NUM_STEPS):
        loss = _summed_squares(model(INPUTS))
        losses.append(loss.item())
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= 0.1 * np.asarray(parameter.grad)
        model.zero_grad()
    return learned("Training with automatic derivatives", start, tuple(losses), model)


def _train_by_optimizer(setting: Setting) -> Outcome:  # noqa: ARG001
    """The same with the optimiser's steps."""
    model = _autograd_network()
    start = weights_of(model)
    return learned("Training with SGD", start, descend(model, lambda: _summed_squares(model(INPUTS)), 0.1), model)


def _train_layers(setting: Setting) -> Outcome:  # noqa: ARG001
    """Two layers, called one after the other."""
    model = _layer_network()
    start = weights_of(model)
    first, second = model
    losses = descend(model, lambda: _summed_squares(second(first(INPUTS))), 0.05)
    return learned("Two layers", start, losses, model)


def _train_sequence(setting: Setting) -> Outcome:  # noqa: ARG001
    """The same layers, as one model."""
    model = _layer_network()
    start = weights_of(model)
    losses = descend(model, lambda: _summed_squares(model(INPUTS)), 0.05)
    return learned("A sequence of layers", start, losses, model)


def _train_with_loss_layer(setting: Setting) -> Outcome:  # noqa: ARG001
    """The same model with a loss of the library."""
    model = _layer_network()
    start, squares = weights_of(model), nn.MSELoss("sum")
    losses = descend(model, lambda: squares(model(INPUTS), TARGETS), 0.05)
    return learned("The squared error as a layer", start, losses, model)


def _toy(  # noqa: PLR0913 (what sets one toy apart from the next)
    name: str,
    section: str,
    summary: str,
    run: Callable[[Setting], Outcome],
    *,
    start: tuple[float, ...],
    losses: tuple[float, ...],
    learning_rate: str,
    model: str,
    defects: tuple[str, ...] = (),
) -> Recipe:
    """Returns the recipe of one way to train a linear network on the four rows."""
    return Recipe(
        name=name,
        chapter=13,
        section=section,
        summary=summary,
        model=model,
        data="four rows of two numbers; the answer is the second",
        settings={"steps": str(_NUM_STEPS), "learning rate": learning_rate, "loss": "squared errors, summed"},
        published=f"losses {losses[0]} to {losses[-1]} in ten steps",
        defects=defects,
        expected=(
            Expected("start weights", start, exactly, origin="derived"),
            Expected("losses", losses, _PRINTED, origin="book"),
        ),
        run=run,
    )


_ONES: Final = (1.0,) * 5

RECIPES: Final = (
    Recipe(
        name="ch13-autograd",
        chapter=13,
        section="Introduction to tensors; Introduction to automatic gradient computation; Tensors that are used "
        "multiple times; Explaining sum and expand",
        summary="Gradients of sums, also where a tensor is used twice, where the book's first engine goes wrong.",
        model="none",
        data="the numbers 1 to 6",
        settings={"gradient of the result": "ones"},
        published="x + x = [2 4 6 8 10]; with b used twice its gradient is [2 2 2 2 2]",
        defects=("B6", "B7", "B11", "B14", "B15"),
        expected=(
            Expected("x + x", (2.0, 4.0, 6.0, 8.0, 10.0), equal, origin="book"),
            Expected("gradients of a + b", _ONES * 2, equal, origin="book"),
            Expected("gradients of (a + b) + (c + d)", _ONES * 4, equal, origin="book"),
            Expected("gradient of b in (a + b) + (b + c)", (2.0,) * 5, equal, origin="book"),
            Expected("gradient of b in (a + -b) + (-b + c)", (-2.0,) * 5, equal, origin="book"),
            Expected("sum over rows", (5.0, 7.0, 9.0), equal, origin="book"),
            Expected("sum over columns", (6.0, 15.0), equal, origin="book"),
            Expected("expanded to four copies", tuple(np.repeat(np.arange(1.0, 7), 4).tolist()), equal, origin="book"),
            Expected("gradient of the four copies", (4.0,) * 6, equal, origin="derived"),
        ),
        run=_differentiate,
    ),
    Recipe(
        name="ch13-train-by-hand",
        chapter=13,
        section="Using autograd to train a neural network (the comparison by hand)",
        summary="A linear network trained with derivatives written by hand, each equal to the core's.",
        model="2-3-1, linear, no bias",
        data="four rows of two numbers; the answer is the second",
        settings={"steps": str(_NUM_STEPS), "learning rate": "0.1", "loss": "squared errors, summed"},
        published="losses 5.066439994622395, 0.4959907791902342, 0.4180671892167177 ... 0.11613979792168384",
        expected=(
            Expected(
                "losses before steps 1 to 3",
                (5.066439994622395, 0.4959907791902342, 0.4180671892167177),
                exactly,
                origin="book",
            ),
            Expected("loss before step 10", 0.11613979792168384, exactly, origin="book"),
            # Two ways to the same sums of at most four products: a few units in the sixteenth digit.
            Expected(
                "largest relative difference of a gradient by hand and the core's", 1e-14, at_most, origin="derived"
            ),
        ),
        run=_train_by_hand,
    ),
    _toy(
        "ch13-train-autograd",
        "Using autograd to train a neural network",
        "The same network with derivatives found by the core.",
        _train_by_autograd,
        start=_AUTOGRAD_START,
        losses=_AUTOGRAD_LOSSES,
        learning_rate="0.1",
        model="2-3-1, linear, no bias",
        defects=("B14",),
    ),
    _toy(
        "ch13-sgd",
        "Adding automatic optimization",
        "The same training with the steps taken by the class SGD.",
        _train_by_optimizer,
        start=_AUTOGRAD_START,
        losses=_AUTOGRAD_LOSSES,
        learning_rate="0.1",
        model="2-3-1, linear, no bias",
        defects=("B11", "B15"),
    ),
    _toy(
        "ch13-linear",
        "Adding support for layer types",
        "Two linear layers with biases, called one after the other.",
        _train_layers,
        start=LAYER_START,
        losses=_LAYER_LOSSES,
        learning_rate="0.05",
        model="2-3-1, linear, with biases",
    ),
    _toy(
        "ch13-sequential",
        "Layers that contain layers",
        "The same two layers as one model.",
        _train_sequence,
        start=LAYER_START,
        losses=_LAYER_LOSSES,
        learning_rate="0.05",
        model="2-3-1, linear, with biases",
        defects=("B13",),
    ),
    _toy(
        "ch13-mse",
        "Loss-function layers",
        "The same model with the squared error as a layer.",
        _train_with_loss_layer,
        start=LAYER_START,
        losses=_LAYER_LOSSES,
        learning_rate="0.05",
        model="2-3-1, linear, with biases",
        defects=("B16",),
    ),
)
