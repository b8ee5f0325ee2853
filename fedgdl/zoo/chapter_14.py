"""Chapter 14, first half: gradients that vanish or explode on their way back through time.

First the book's toy, ten steps of two units without input; then real text, in recurrent layers and in an LSTM.

Not here: training and sampling character models (`chapter_14_characters`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 14, companion notebook.
    S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9, 1997, section 3.1.

Example:
    >>> rectifiers = two_units("relu")
    >>> slopes = toy_slopes(rectifiers, toy_states(rectifiers, START))
    >>> [float(slope[0]) for slope in slopes[:4]]
    [5.0, 25.0, 125.0, 625.0]
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from fedgdl import optim
from fedgdl.autograd import Tensor, no_grad, softmax_cross_entropy
from fedgdl.autograd.activation import ActivationName
from fedgdl.data.verse import load_verse
from fedgdl.models import CharacterModel
from fedgdl.models.characters import State
from fedgdl.nn import RNN, CrossEntropyLoss, RNNCell, init
from fedgdl.progress import watched
from fedgdl.zoo.character_training import Ids, train_epoch, windows
from fedgdl.zoo.pictures import Curves, Line
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Tolerance, Value, at_least, at_most, exactly, printed

__all__ = ["NUM_STEPS", "RECIPES", "START", "state_gradient_norms", "toy_slopes", "toy_states", "two_units"]

_Array = npt.NDArray[np.float64]

NUM_STEPS: Final = 10
START: Final = 1 / (1 + np.exp(-np.array([[1.0, 0.01]])))
"""The toy's first state, (1, 2): the sigmoids of 1 and of 0.01."""

_SLOPES_PRINTED: Final = (
    (0.03439552, 0.03439552),
    (0.00118305, 0.00118305),
    (4.06916726e-05, 4.06916726e-05),
    (1.39961115e-06, 1.39961115e-06),
    (4.81403643e-08, 4.81403637e-08),
    (1.65582672e-09, 1.65582765e-09),
    (5.69682675e-11, 5.69667160e-11),
    (1.97259346e-12, 1.97517920e-12),
    (8.45387597e-14, 8.02306381e-14),
    (1.45938177e-14, 2.16938983e-14),
)
"""The gradient by the state one to ten steps before the last."""

# The networks whose gradients are compared on text: trained alike, and long enough to have something to remember.
_NETWORKS: Final[dict[str, tuple[Literal["lstm", "rnn"], ActivationName]]] = {
    "RNN, sigmoid": ("rnn", "sigmoid"),
    "RNN, tanh": ("rnn", "tanh"),
    "LSTM": ("lstm", "tanh"),
}
_STEPS_BACK: Final = 40
_QUICK: Final = (48, 10_000)
"""Units and characters of the text in a quick run: too few to learn much, enough to see the difference."""
_FULL: Final = (128, 100_000)


def _significant(digits: int) -> Tolerance:
    """Returns the tolerance of a number that was printed with some digits in all; half a unit of the last."""

    def agree(measured: float | str, expected: float | str) -> bool:
        measured, expected = float(measured), float(expected)
        unit = 10.0 ** (np.floor(np.log10(abs(expected))) - digits + 1)
        return bool(abs(measured - expected) <= (0.5 + 1e-6) * unit)

    return Tolerance(f"rounded to {digits} digits in all", agree)


def two_units(activation: ActivationName) -> RNNCell:
    """Returns the toy: h' = f(h @ [[1, 4], [4, 1]]), for an input of zeros."""
    cell = RNNCell(1, 2, bias=False, nonlinearity=activation, initial=init.zeros, dtype="float64")
    cell.weight_hh.data[...] = [[1, 4], [4, 1]]
    return cell


def toy_states(cell: RNNCell, start: _Array) -> list[_Array]:
    """Returns the states after each of the ten steps, (1, 2) each."""
    states, state = [], Tensor(start)
    with no_grad():
        for _ in range(NUM_STEPS):
            state = cell(np.zeros((1, 1)), state)
            states.append(state.data)
    return states


def toy_slopes(cell: RNNCell, states: list[_Array]) -> list[_Array]:
    """Returns the gradient of the last state's sum by the state one step before it, two steps, and so on, (2,) each."""
    slopes, gradient = [], np.ones((1, 2))
    for before in reversed(states):
        leaf = Tensor(before, requires_grad=True)
        cell(np.zeros((1, 1)), leaf).backward(gradient)
        gradient = np.asarray(leaf.grad)
        slopes.append(gradient[0])
    cell.zero_grad()
    return slopes


def state_gradient_norms(model: CharacterModel, window: Ids, last_targets: Ids) -> list[float]:
    """Returns the norm of the gradient of the last step's loss by the state at each step.

    Args:
        model: a model of one recurrent layer.
        window: (T, B) characters read.
        last_targets: (B,) the characters after the last; the loss is their mean cross-entropy.

    Returns:
        T norms, those of the last step's state first. The state is all that is carried from step to step: the hidden
        units, of an LSTM its memory too.
    """
    states: list[State] = []
    with no_grad():
        state: State | None = None
        for step in window[:, np.newaxis]:
            _, state = model(step, state)
            states.append(state)
    leaves = _leaves(states[-1])
    softmax_cross_entropy(model.out(leaves[0]), last_targets).backward()
    gradients = [_gradient(leaf) for leaf in leaves]
    norms = [_norm(gradients)]
    for before, step in zip(reversed(states[:-1]), reversed(window[1:, np.newaxis]), strict=True):
        leaves = _leaves(before)
        _, after = model(step, (tuple(leaves) if len(leaves) > 1 else leaves[0],))
        carried = after[0] if isinstance(after[0], tuple) else after
        total = (carried[0] * gradients[0]).sum()
        for tensor, gradient in zip(carried[1:], gradients[1:], strict=True):
            total = total + (tensor * gradient).sum()
        total.backward()
        gradients = [_gradient(leaf) for leaf in leaves]
        norms.append(_norm(gradients))
    model.zero_grad()
    return norms


def _leaves(state: State) -> list[Tensor]:
    """Returns the tensors of a state of one layer as leaves: the hidden units first, then an LSTM's memory."""
    tensors = state[0] if isinstance(state[0], tuple) else state
    return [Tensor(tensor.data, requires_grad=True) for tensor in tensors]


def _gradient(leaf: Tensor) -> npt.NDArray[np.float32]:
    """Returns a leaf's gradient; zeros where nothing arrived."""
    return np.zeros_like(leaf.data) if leaf.grad is None else np.asarray(leaf.grad)


def _norm(gradients: list[npt.NDArray[np.float32]]) -> float:
    return float(np.sqrt(sum(float(np.square(gradient, dtype=np.float64).sum()) for gradient in gradients)))


def _vanish_and_explode(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    measured: dict[str, Value] = {}
    sigmoids, rectifiers = two_units("sigmoid"), two_units("relu")
    states = toy_states(sigmoids, START)
    # From the state before the last back to the start.
    slopes = toy_slopes(sigmoids, [START, *states[:-1]])
    # The book's rectifiers go on from the first state behind the sigmoids.
    grown = toy_states(rectifiers, states[0])
    steep = toy_slopes(rectifiers, [states[0], *grown[:-1]])
    measured["start"] = tuple(START[0].tolist())
    for step in (1, 2, 3, NUM_STEPS):
        measured[f"sigmoid: state {step}"] = tuple(states[step - 1][0].tolist())
    for number, slope in enumerate(slopes, 1):
        measured[f"sigmoid: gradient {number} back"] = tuple(slope.tolist())
    for step in (1, 2, NUM_STEPS):
        measured[f"relu: state {step}"] = tuple(grown[step - 1][0].tolist())
    measured["relu: gradients 1 to 10 back"] = tuple(float(slope[0]) for slope in steep)
    measured["relu: gradients of the other unit"] = tuple(float(slope[1]) for slope in steep)
    back = range(1, NUM_STEPS + 1)
    lines = [
        Line(name, back, [float(np.linalg.norm(slope)) for slope in found])
        for name, found in (("sigmoid", slopes), ("ReLU", steep))
    ]
    picture = Curves("Gradients on their way back", "steps back", "norm of the gradient", lines, is_log=True)
    return Outcome(measured, {"gradient-norms": picture})


def _compare_on_text(setting: Setting) -> Outcome:
    """Trains three small networks alike, and follows the last character's loss back through each."""
    verse = load_verse("shakespear-book", root=setting.data_root, allow_synthetic=setting.allow_synthetic)
    num_units, length = _QUICK if setting.is_quick else _FULL
    ids, num_characters = verse.char_ids[:length].astype(np.int64), len(verse.characters)
    inputs, targets = windows(ids, 16, 25)
    # Read on the streams' beginnings, with the whole way back in one window.
    seen, followed = windows(ids, 16, _STEPS_BACK)
    norms: dict[str, list[float]] = {}
    measured: dict[str, Value] = {}
    for name in watched(list(_NETWORKS), "ch14-gradient-norms"):
        cell, activation = _NETWORKS[name]
        model = CharacterModel(num_characters, 32, (num_units,), cell=cell, rng=np.random.default_rng(0))
        (layer,) = model.layers
        if isinstance(layer, RNN):
            layer.nonlinearity = activation
        optimizer, loss = optim.Adam(model.parameters(), lr=0.003), CrossEntropyLoss()
        found = train_epoch(model, optimizer, inputs, targets, loss=loss, max_norm=1.0)
        measured[f"perplexity of the {name}"] = found
        norms[name] = state_gradient_norms(model, seen[1], followed[1, -1])
    shares = {name: found[-1] / found[0] for name, found in norms.items()}
    measured |= {f"share of the gradient left {_STEPS_BACK - 1} steps back: {name}": shares[name] for name in shares}
    measured["what the LSTM has left, as a multiple of the tanh's"] = shares["LSTM"] / shares["RNN, tanh"]
    lines = [Line(name, range(len(found)), [norm / found[0] for norm in found]) for name, found in norms.items()]
    title = "How much of the last loss's gradient reaches earlier states"
    return Outcome(
        measured,
        {"gradient-norms": Curves(title, "steps back", "norm, relative to the last step's", lines, is_log=True)},
        data=verse.description,
        is_synthetic=verse.is_synthetic,
    )


RECIPES: Final = (
    Recipe(
        name="ch14-vanishing",
        chapter=14,
        section="Vanishing and exploding gradients; A toy example of RNN backpropagation",
        summary="Ten steps of two units: behind sigmoids the gradient all but vanishes, behind rectifiers it explodes.",
        model="recurrent 2, weights [[1, 4], [4, 1]], no input",
        data="the start sigmoid([1, 0.01])",
        settings={"steps": str(NUM_STEPS), "gradient of the last state": "ones"},
        published="sigmoid gradients 0.034 to 1.5e-14 ten steps back; relu 5 to 9765625; the relu activations come "
        "from running the cell twice",
        defects=("B22",),
        expected=(
            # The sigmoids worked out to sixteen digits outside the core: 1 / (1 + 1 / e) is the first.
            Expected("start", (0.7310585786300049, 0.502499979166875), exactly, origin="derived"),
            Expected("sigmoid: state 1", (0.93940638, 0.96852968), printed(8), origin="book"),
            Expected("sigmoid: state 2", (0.9919462, 0.99121735), printed(8), origin="book"),
            Expected("sigmoid: state 3", (0.99301385, 0.99302901), printed(8), origin="book"),
            Expected("sigmoid: state 10", (0.99307291, 0.99307291), printed(8), origin="book"),
            *(
                # NumPy prints eight digits behind the point, and from the third row on an exponent before them.
                Expected(
                    f"sigmoid: gradient {number} back",
                    slopes,
                    printed(8) if number < 3 else _significant(9),
                    origin="book",
                )
                for number, slopes in enumerate(_SLOPES_PRINTED, 1)
            ),
            Expected("relu: gradients 1 to 10 back", tuple(5.0**n for n in range(1, 11)), exactly, origin="book"),
            Expected("relu: gradients of the other unit", tuple(5.0**n for n in range(1, 11)), exactly, origin="book"),
            Expected("relu: state 1", (4.813525101960877, 4.726155187077271), exactly, origin="derived"),
            Expected("relu: state 2", (23.718145850269963, 23.98025559492078), exactly, origin="derived"),
            Expected("relu: state 10", (9315234.181246491, 9316953.883281145), exactly, origin="derived"),
        ),
        run=_vanish_and_explode,
    ),
    Recipe(
        name="ch14-gradient-norms",
        chapter=14,
        section="Vanishing and exploding gradients; Long short-term memory (LSTM) cells",
        summary="The same on real text: what is left of the last character's gradient, step by step back, in recurrent "
        "layers of sigmoids and of tanh and in an LSTM.",
        model="embedding 32, recurrent 128 or LSTM 128, out; in a quick run 48",
        data="shakespear-book: all of it, in a quick run 10,000 characters",
        settings={
            "epochs": "1",
            "streams and steps": "16 x 25",
            "optimiser": "Adam, 0.003, norm clipped at 1",
            "measured over": f"{_STEPS_BACK} steps",
        },
        source="shakespear-book",
        expected=(
            # A step back multiplies by the slopes, a quarter at most of sigmoids and less than 1 of tanh: 39 of them
            # leave next to nothing. An LSTM's memory is carried on by its forget gates alone. Generated text, which can
            # be foreseen far ahead, lets tanh learn to remember, too.
            Expected("share of the gradient left 39 steps back: RNN, sigmoid", 1e-7, at_most, origin="goal"),
            Expected(
                "share of the gradient left 39 steps back: RNN, tanh",
                1e-6,
                at_most,
                origin="goal",
                needs_real_data=True,
            ),
            Expected("what the LSTM has left, as a multiple of the tanh's", 1.0, at_least, origin="goal"),
            Expected(
                "what the LSTM has left, as a multiple of the tanh's",
                1e3,
                at_least,
                origin="goal",
                needs_real_data=True,
            ),
        ),
        run=_compare_on_text,
        seconds=(1.0, 12.0),
    ),
)
