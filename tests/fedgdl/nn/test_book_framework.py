"""The networks of Andrew W. Trask, Grokking Deep Learning, 2019, chapters 13 and 14, with the book's start weights.

The losses are those of an independent NumPy computation with right gradients; for the networks of chapter 13 they are
also the book's, to all digits that it prints. A loss is the sum of squares over the four rows, before the update.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from tensors import dense_gradient

from fedgdl.autograd import Tensor
from fedgdl.nn import (
    LSTM,
    RNN,
    CrossEntropyLoss,
    Embedding,
    Linear,
    LSTMCell,
    Module,
    MSELoss,
    Parameter,
    ReLU,
    RNNCell,
    Sequential,
    Sigmoid,
    Tanh,
    init,
)
from fedgdl.optim import SGD

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [0.0], [1.0]])
IDS = np.array([1, 2, 1, 2])

AUTOGRAD_IN = [
    [0.7151893663724195, 0.6027633760716439, 0.5448831829968969],
    [0.4236547993389047, 0.6458941130666561, 0.4375872112626925],
]
AUTOGRAD_OUT = [[0.05671297731744318], [0.2726562945801132], [0.47766511732134986]]
LINEAR_IN = [
    [0.7415917408091613, 1.5529137219128164, -2.268328201180374],
    [1.3335453816218967, -0.8427240538292873, 1.9699244478698945],
]
LINEAR_OUT = [[-0.08427783957672566], [0.33525227296672727], [0.11761108335747647]]
TABLE = [
    [0.07172978879080649, 0.03425445869054796, 0.01496106099896562],
    [-0.0254484002203651, 0.04863137102221871, -0.02080426291243583],
    [0.13059100026069326, 0.1545542535003431, -0.0388528270580741],
]
EMBEDDING_OUT = [[0.3497653916786029], [-0.10080723912244768], [1.154834137957986]]
CLASSES_OUT = [
    [-0.07158475964066192, 1.1160523296363665, 0.918815118202077, -0.2931186404246571],
    [0.9966223378908704, -1.0936935365099523, 0.3497653916786029, -0.10080723912244768],
    [1.154834137957986, -0.10128694333734717, 1.6396533968828866, 0.18770157146211086],
]


def given(values: list[list[float]]) -> init.Initialiser:
    """An initialiser of these values."""
    return lambda shape, rng, dtype: np.array(values, dtype)  # noqa: ARG005


def dense(values: list[list[float]]) -> Linear:
    """A layer of these weights and a bias of zeros."""
    return Linear(len(values), len(values[0]), initial=given(values), dtype="float64")


def table(num_words: int) -> Embedding:
    """A table that starts with the book's rows; further rows are never read."""
    rows = TABLE + [[0.0] * 3] * (num_words - 3)
    return Embedding(num_words, 3, initial=given(rows), dtype="float64")


def train(model: Module, loss_of: Callable[[], Tensor], lr: float, num_steps: int = 10) -> list[float]:
    """Returns the losses before each step of gradient descent."""
    optimizer, losses = SGD(model.parameters(), lr=lr), []
    for _ in range(num_steps):
        loss = loss_of()
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return losses


def squares(model: Module, x: npt.NDArray[np.float64]) -> Callable[[], Tensor]:
    return lambda: MSELoss("sum")(model(x), Y)


def test_training_by_hand() -> None:
    # The book's first network starts with the first nine draws of NumPy's former generator, seed 0. Its
    # derivative of a square lacks the 2, so its alpha of 0.1 is a learning rate of 0.05.
    draws = np.random.RandomState(0)
    model = Sequential(
        Linear(2, 3, bias=False, initial=given(draws.rand(2, 3).tolist()), dtype="float64"),
        Linear(3, 1, bias=False, initial=given(draws.rand(3, 1).tolist()), dtype="float64"),
    )
    losses = train(model, squares(model, X), lr=0.05)
    first = [5.066439994622395, 0.4959907791902342, 0.4180671892167177]
    np.testing.assert_allclose(losses[:3], first, rtol=1e-12)
    np.testing.assert_allclose(losses[-1], 0.11613979792168384, rtol=1e-12)


@pytest.mark.parametrize("flat", [False, True])
def test_training_with_automatic_derivatives(*, flat: bool) -> None:
    expected = [
        0.58128304, 0.48988149, 0.41375111, 0.34489412, 0.28210124,
        0.2254484, 0.17538853, 0.1324231, 0.09682769, 0.06849361,
    ]  # fmt: skip
    model = Sequential(
        Linear(2, 3, bias=False, initial=given(AUTOGRAD_IN), dtype="float64"),
        Linear(3, 1, bias=False, initial=given(AUTOGRAD_OUT), dtype="float64"),
    )
    if flat:
        model.flatten()
    np.testing.assert_allclose(train(model, squares(model, X), lr=0.1), expected, rtol=0, atol=5.1e-9)


@pytest.mark.parametrize("flat", [False, True])
def test_layers_with_biases(*, flat: bool) -> None:
    expected = [
        2.33428272, 0.06743796, 0.0521849, 0.04079507, 0.03184365,
        0.02479336, 0.01925443, 0.01491699, 0.01153118, 0.00889602,
    ]  # fmt: skip
    model = Sequential(dense(LINEAR_IN), dense(LINEAR_OUT))
    if flat:
        model.flatten()
    np.testing.assert_allclose(train(model, squares(model, X), lr=0.05), expected, rtol=0, atol=5.1e-9)


@pytest.mark.parametrize("fuse", [True, False])
def test_nonlinear_layers(*, fuse: bool) -> None:
    expected = [
        1.06372865, 0.75148144, 0.57384259, 0.39574294, 0.2482279,
        0.15515294, 0.10423398, 0.07571169, 0.05837623, 0.04700013,
    ]  # fmt: skip
    model = Sequential(dense(LINEAR_IN), Tanh(), dense(LINEAR_OUT), Sigmoid(), fuse=fuse)
    np.testing.assert_allclose(train(model, squares(model, X), lr=1.0), expected, rtol=0, atol=5.1e-9)


def test_an_embedding_learns_with_the_network_behind_it() -> None:
    expected = [
        0.98874126, 0.6658868, 0.45639889, 0.31608168, 0.2260925,
        0.16877423, 0.13120515, 0.10555487, 0.08731868, 0.07387834,
    ]  # fmt: skip
    model = Sequential(table(5), Tanh(), dense(EMBEDDING_OUT), Sigmoid())
    losses = train(model, lambda: MSELoss("sum")(model(IDS), Y), lr=0.5)
    np.testing.assert_allclose(losses, expected, rtol=0, atol=5.1e-9)


def test_cross_entropy_of_classes() -> None:
    """The book prints the mean but descends the gradient of the sum over its four rows: the rate is 4 times 0.1."""
    expected = [
        1.3885032434928422, 0.9558181509266037, 0.6823083585795604, 0.5095259967493119, 0.39574491472895856,
        0.31752527285348264, 0.2617222861964216, 0.22061283923954234, 0.18946427334830068, 0.16527389263866668,
    ]  # fmt: skip
    model = Sequential(table(3), Tanh(), dense(CLASSES_OUT))
    losses = train(model, lambda: CrossEntropyLoss()(model(IDS), np.array([0, 1, 0, 1])), lr=4 * 0.1)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


def test_the_sum_of_cross_entropies_gives_the_same_steps() -> None:
    mean, total = (Sequential(table(3), Tanh(), dense(CLASSES_OUT)) for _ in range(2))
    classes = np.array([0, 1, 0, 1])
    means = train(mean, lambda: CrossEntropyLoss()(mean(IDS), classes), lr=0.4)
    totals = train(total, lambda: CrossEntropyLoss("sum")(total(IDS), classes), lr=0.1)
    np.testing.assert_allclose(totals, 4 * np.array(means), rtol=1e-12)


# Chapter 14: a recurrent layer of two units and the matrix [[1, 4], [4, 1]], ten steps without input.

VANISHING_START = [0.7310585786300049, 0.502499979166875]  # the sigmoid of 1 and of 0.01
VANISHING_SLOPES = [
    [0.03439552, 0.03439552],
    [0.00118305, 0.00118305],
    [4.06916726e-05, 4.06916726e-05],
    [1.39961115e-06, 1.39961115e-06],
    [4.81403643e-08, 4.81403637e-08],
    [1.65582672e-09, 1.65582765e-09],
    [5.69682675e-11, 5.69667160e-11],
    [1.97259346e-12, 1.97517920e-12],
    [8.45387597e-14, 8.02306381e-14],
    [1.45938177e-14, 2.16938983e-14],
]  # fmt: skip


def two_units(kind: str) -> RNNCell:
    """The cell of the toy: h' = f(h @ [[1, 4], [4, 1]]), for an input of zeros."""
    cell = RNNCell(1, 2, bias=False, nonlinearity=kind, initial=init.zeros, dtype="float64")  # type: ignore[arg-type]
    cell.weight_hh.data[:] = [[1, 4], [4, 1]]
    return cell


def slopes_and_states(kind: str, num_steps: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The gradient of the sum of the last state by the start, (2,), and the states, (num_steps, 2)."""
    cell = two_units(kind)
    start = Tensor(np.array([VANISHING_START]), requires_grad=True)
    state, states = start, []
    for _ in range(num_steps):
        state = cell(np.zeros((1, 1)), state)
        states.append(state.data[0])
    state.sum().backward()
    return dense_gradient(start)[0], np.array(states)


def test_gradients_vanish_behind_sigmoids() -> None:
    """The book prints the gradient by each of the ten states before the last; a run over fewer steps ends at each."""
    _, states = slopes_and_states("sigmoid", 10)
    np.testing.assert_allclose(states[0], [0.93940638, 0.96852968], rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(states[1], [0.9919462, 0.99121735], rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(states[2], [0.99301385, 0.99302901], rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(states[9], [0.99307291, 0.99307291], rtol=0, atol=5.1e-9)
    cell = two_units("sigmoid")
    for number, expected in enumerate(VANISHING_SLOPES, 1):
        # From the state `number` steps before the end on, as a start of its own.
        before = Tensor(np.array([VANISHING_START, *states])[10 - number : 11 - number], requires_grad=True)
        state = before
        for _ in range(number):
            state = cell(np.zeros((1, 1)), state)
        state.sum().backward()
        # Half a unit of the last digit printed: of eight behind the point, then of nine in all.
        atol, rtol = (5.1e-9, 0) if number < 3 else (0, 6e-9)
        np.testing.assert_allclose(dense_gradient(before)[0], expected, rtol=rtol, atol=atol)


def test_gradients_explode_behind_rectifiers() -> None:
    """Each row of the matrix sums to 5 and no unit is ever off, so k steps back the gradient is exactly 5 to the k."""
    for number in range(1, 11):
        slope, _ = slopes_and_states("relu", number)
        np.testing.assert_array_equal(slope, [5.0**number] * 2)
    # The book's activations start from the first state behind the sigmoids.
    cell = two_units("relu")
    state = Tensor(slopes_and_states("sigmoid", 1)[1])
    states = []
    for _ in range(10):
        state = cell(np.zeros((1, 1)), state)
        states.append(state.data[0])
    np.testing.assert_allclose(states[0], [4.813525101960877, 4.726155187077271], rtol=1e-12)
    np.testing.assert_allclose(states[1], [23.718145850269963, 23.98025559492078], rtol=1e-12)
    np.testing.assert_allclose(states[9], [9315234.181246491, 9316953.883281145], rtol=1e-12)


class CharacterModel(Module):
    """Characters, a recurrent layer, and output weights of zero."""

    def __init__(self, layer: RNN | LSTM, rng: np.random.Generator) -> None:
        self.letters = Embedding(62, 16, rng=rng, dtype="float64")
        self.layer = layer
        self.out = Linear(16, 62, initial=init.zeros, dtype="float64")

    def forward(self, window: npt.NDArray[np.int64]) -> Tensor:
        outputs, _ = self.layer(window, embedding=self.letters)
        logits: Tensor = self.out(outputs)
        return logits


@pytest.mark.parametrize("layer", [RNN, LSTM])
def test_output_weights_of_zero_know_nothing(layer: type[RNN | LSTM]) -> None:
    """Each of the 62 characters is as likely as any: the perplexity of the first window is 62."""
    rng = np.random.default_rng(1)
    model = CharacterModel(layer(16, 16, rng=rng, dtype="float64"), rng)
    window, following = rng.integers(0, 62, size=(2, 25, 16))
    loss = CrossEntropyLoss()(model(window), following)
    assert np.exp(loss.item()) == pytest.approx(62.0, rel=1e-12)


# What chapters 13 to 15 ask of an engine and a list of layers.


def test_a_tensor_that_is_used_twice_has_both_gradients() -> None:
    a, b, c = (Parameter(np.arange(1.0, 6)) for _ in range(3))
    ((a + b) + (b + c)).backward(1.0)
    np.testing.assert_array_equal(dense_gradient(b), [2] * 5)
    for parameter in (a, b, c):
        parameter.grad = None
    ((a + (-b)) + ((-b) + c)).backward(1.0)
    np.testing.assert_array_equal(dense_gradient(b), [-2] * 5)


def test_rows_that_are_read_twice_have_both_gradients() -> None:
    """Rows 1, 2, 3 and 2, 3, 4 of the identity, from a gradient of ones: 0, 1, 2, 2 and 1 in each column."""
    words = Embedding(5, 5, initial=given(np.eye(5).tolist()), dtype="float64")
    read = words(np.array([[1, 2, 3], [2, 3, 4]]))
    assert read.shape == (2, 3, 5)
    read.backward(1.0)
    np.testing.assert_array_equal(dense_gradient(words.weight), np.repeat([[0.0], [1], [2], [2], [1]], 5, axis=1))


def test_a_sequence_of_layers_grows_and_shares_nothing() -> None:
    first, second = Sequential(), Sequential()
    assert first.append(Linear(2, 3, rng=np.random.default_rng(1))) is first
    assert (len(first), len(second)) == (1, 0)
    assert first.append(ReLU())(X.astype("float32")).shape == (4, 3)


def test_a_step_changes_only_what_has_a_gradient() -> None:
    model = Sequential(dense(LINEAR_IN), dense(LINEAR_OUT))
    first, second = model
    before = [parameter.data.copy() for parameter in model.parameters()]
    MSELoss("sum")(second(np.ones((1, 3))), np.zeros((1, 1))).backward()
    SGD(model.parameters(), lr=0.1).step()
    changed = [(old != new.data).any() for old, new in zip(before, model.parameters(), strict=True)]
    assert changed == [False, False, True, True]
    assert isinstance(first, Linear)


def test_the_cell_of_memory_is_the_book_s() -> None:
    """Gates i, f and o through sigmoids and g through tanh: c' = f c + i g, h' = o tanh(c')."""
    rng = np.random.default_rng(2)
    cell = LSTMCell(3, 2, rng=rng, dtype="float64")
    x, h, c = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    hidden, memory = cell(x, (Tensor(h), Tensor(c)))
    assert cell.bias is not None
    i, f, g, o = np.split(x @ cell.weight_ih.data + cell.bias.data + h @ cell.weight_hh.data, 4, axis=1)

    def squash(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 1 / (1 + np.exp(-values))

    expected = squash(f) * c + squash(i) * np.tanh(g)
    np.testing.assert_allclose(memory.data, expected, rtol=1e-13)
    np.testing.assert_allclose(hidden.data, squash(o) * np.tanh(expected), rtol=1e-13)
