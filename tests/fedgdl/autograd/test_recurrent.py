"""rnn and lstm over a window: against the obvious loop, exact gradients, stacks, memory, and what they refuse."""

import gc
import tracemalloc
import weakref
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from stacks import stacked_parameter
from tensors import dense_gradient, leaf, parameter

from fedgdl.autograd import Parameter, Tensor, gradcheck, no_grad
from fedgdl.autograd.recurrent import lstm, rnn, rnn_and_last
from fedgdl.errors import GraphError

Array = npt.NDArray[np.float64]

# Steps, sequences, units: one of each, no step, odd sizes, enough units to turn the product around.
SIZES = [(1, 1, 1), (1, 3, 2), (4, 1, 3), (3, 2, 1), (0, 2, 3), (7, 5, 3), (3, 2, 130), (2, 1, 130)]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
}


def rnn_operands(steps: int, sequences: int, units: int) -> list[Tensor]:
    weight = parameter(units, units, seed=2)
    weight.data /= units**0.5
    return [leaf(steps, sequences, units), leaf(sequences, units, seed=1), weight]


def lstm_operands(steps: int, sequences: int, units: int) -> list[Tensor]:
    weight = parameter(units, 4 * units, seed=3)
    weight.data /= units**0.5
    starts = [leaf(sequences, units, seed=seed) for seed in (1, 2)]
    return [leaf(steps, sequences, 4 * units), *starts, weight]


def slow_rnn(x: Array, h: Array, w: Array, activation: str) -> Array:
    states = []
    for step in x:
        h = ACTIVATIONS[activation](step + h @ w)
        states.append(h)
    return np.array(states).reshape(len(x), *h.shape)


def slow_lstm(x: Array, h: Array, c: Array, w: Array) -> tuple[Array, Array]:
    sigmoid, states = ACTIVATIONS["sigmoid"], []
    for step in x:
        i, f, g, o = np.split(step + h @ w, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.array(states).reshape(len(x), *h.shape), c


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_rnn_is_the_loop(size: tuple[int, int, int], activation: str) -> None:
    x, h, w = rnn_operands(*size)
    result = rnn(x, h, w, activation)  # type: ignore[arg-type]
    np.testing.assert_allclose(result.data, slow_rnn(x.data, h.data, w.data, activation), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_rnn_gradients(size: tuple[int, int, int], activation: str) -> None:
    rng = np.random.default_rng(1)
    gradcheck(lambda x, h, w: rnn(x, h, w, activation), rnn_operands(*size), rng)  # type: ignore[arg-type]


def test_relu_gradient_away_from_its_kink() -> None:
    x, h, w = rnn_operands(4, 3, 2)
    x.data = np.sign(x.data) * 20 + x.data  # farther from 0 than the states can pull
    w.data *= 0.1
    gradcheck(lambda x, h, w: rnn(x, h, w, "relu"), [x, h, w], np.random.default_rng(1))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_lstm_is_the_loop(size: tuple[int, int, int]) -> None:
    operands = lstm_operands(*size)
    for result, expected in zip(lstm(*operands), slow_lstm(*(operand.data for operand in operands)), strict=True):
        np.testing.assert_allclose(result.data, expected, rtol=1e-12, atol=1e-13)


USES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "states": lambda states, _: states,
    "last": lambda _, last: last,
    "both": lambda states, last: (states * states).sum() + last.sum(),
    "each twice": lambda states, last: (states.sigmoid() * states).sum() + (last * last).sum(),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_lstm_gradients(size: tuple[int, int, int], use: Callable[[Tensor, Tensor], Tensor]) -> None:
    gradcheck(lambda *operands: use(*lstm(*operands)), lstm_operands(*size), np.random.default_rng(1))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_gradients_of_all_states_and_the_last(
    size: tuple[int, int, int], use: Callable[[Tensor, Tensor], Tensor]
) -> None:
    operands = rnn_operands(*size)
    states, last = rnn_and_last(*operands, "sigmoid")
    np.testing.assert_array_equal(last.data, states.data[-1] if size[0] else operands[1].data)
    gradcheck(lambda x, h, w: use(*rnn_and_last(x, h, w, "sigmoid")), operands, np.random.default_rng(1))


def test_a_window_in_two_pieces_has_the_gradients_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    x, h, c, w = lstm_operands(25, 3, 4)
    states, cell = lstm(x, h, c, w)
    weights = rng.normal(size=states.shape)
    ((states * weights).sum() + cell.sum()).backward()
    whole = [dense_gradient(operand).copy() for operand in (x, h, c, w)]
    first, second = (Tensor(piece.copy(), requires_grad=True) for piece in (x.data[:10], x.data[10:]))
    h.grad = c.grad = w.grad = None
    early, middle = lstm(first, h, c, w)
    late, last = lstm(second, early[-1], middle, w)
    ((early * weights[:10]).sum() + (late * weights[10:]).sum() + last.sum()).backward()
    pieces = [np.concatenate([dense_gradient(first), dense_gradient(second)]), *map(dense_gradient, (h, c, w))]
    for piece, expected in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(piece, expected, rtol=1e-11, atol=1e-12)


def test_steps_one_by_one_are_the_window() -> None:
    x, h, w = rnn_operands(25, 3, 4)
    state = h
    for step in range(25):
        state = rnn(x[step : step + 1], state, w)[0]
    state.sum().backward()
    one_by_one = [dense_gradient(operand).copy() for operand in (x, h, w)]
    x.grad = h.grad = w.grad = None
    rnn(x, h, w)[-1].sum().backward()
    for operand, expected in zip((x, h, w), one_by_one, strict=True):
        np.testing.assert_allclose(dense_gradient(operand), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("wanted", range(4))
def test_only_what_requires_a_gradient_gets_one(wanted: int) -> None:
    whole = lstm_operands(3, 2, 2)
    lstm(*whole)[0].backward(1.0)
    constants = [
        operand if place == wanted else operand.detach() for place, operand in enumerate(lstm_operands(3, 2, 2))
    ]
    lstm(*constants)[0].backward(1.0)
    for place, (operand, expected) in enumerate(zip(constants, whole, strict=True)):
        if place == wanted:
            np.testing.assert_array_equal(dense_gradient(operand), dense_gradient(expected))
        else:
            assert operand.grad is None


def test_starts_and_products_may_be_arrays() -> None:
    x, h, c, w = lstm_operands(3, 2, 2)
    lstm(x.data, h.data, c.data, w)[0].backward(1.0)
    with_tensors = lstm_operands(3, 2, 2)
    lstm(*with_tensors)[0].backward(1.0)
    np.testing.assert_array_equal(dense_gradient(w), dense_gradient(with_tensors[3]))


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("size", [(1, 1, 3), (5, 4, 16), (3, 1, 7), (2, 3, 130)], ids=str)
@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_a_stack_has_the_bits_of_each_client_alone(kind: str, size: tuple[int, int, int], num_clients: int) -> None:
    rng = np.random.default_rng(num_clients)
    steps, sequences, units = size
    gates = 4 * units if kind == "lstm" else units

    def normal(*sizes: int) -> npt.NDArray[np.float32]:
        return rng.normal(size=(num_clients, *sizes)).astype("float32")

    starts = [Tensor(normal(sequences, units), requires_grad=True) for _ in range(2 if kind == "lstm" else 1)]
    weight = stacked_parameter(normal(units, gates) / np.float32(units**0.5))
    operands = [Tensor(normal(steps, sequences, gates), requires_grad=True), *starts, weight]
    g_states, g_cell = normal(steps, sequences, units), normal(sequences, units)
    result = run(kind, operands, g_states, g_cell)
    for client in range(num_clients):
        alone = [Tensor(operand.data[client].copy(), requires_grad=True) for operand in operands[:-1]]
        alone.append(Parameter(weight.data[client].copy()))
        own = run(kind, alone, g_states[client], g_cell[client])
        for ours, theirs in zip(result, own, strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_array_equal(ours[client], theirs)


def run(kind: str, operands: list[Tensor], g_states: Array, g_cell: Array) -> list[Array]:
    """The results and all gradients."""
    if kind == "rnn":
        results: tuple[Tensor, ...] = (rnn(*operands),)
        loss = (results[0] * g_states).sum()
    else:
        results = lstm(*operands)
        loss = (results[0] * g_states).sum() + (results[1] * g_cell).sum()
    loss.backward()
    return [*(result.data for result in results), *map(dense_gradient, operands)]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_stacked_gradients(use: Callable[[Tensor, Tensor], Tensor]) -> None:
    rng = np.random.default_rng(1)
    operands = [leaf(2, 3, 2, 8), leaf(2, 2, 2, seed=1), leaf(2, 2, 2, seed=2), leaf(2, 2, 8, seed=3)]
    gradcheck(lambda *all_of_them: use(*lstm(*all_of_them)), operands, rng)
    gradcheck(
        lambda x, h, w: use(*rnn_and_last(x, h, w)),
        [leaf(2, 3, 2, 2), leaf(2, 2, 2, seed=1), leaf(2, 2, 2, seed=3)],
        rng,
    )


def test_gates_far_out_neither_overflow_nor_stop() -> None:
    x = np.array([[[-1e4, 1e4, 1e4, -1e4]], [[1e4, -1e4, -1e4, 1e4]]], "float32")
    start, weight = np.ones((1, 1), "float32"), parameter(1, 4, dtype="float32")
    states, cell = lstm(x, start, start, weight)
    np.testing.assert_array_equal(states.data[:, 0, 0], np.array([0, np.tanh(np.float32(-1))]))
    np.testing.assert_array_equal(cell.data, [[-1]])
    (states.sum() + cell.sum()).backward()
    np.testing.assert_array_equal(dense_gradient(weight), np.zeros((1, 4)))


def test_operands_are_left_as_they_are() -> None:
    operands = lstm_operands(3, 2, 2)
    for operand in operands:
        operand.data.setflags(write=False)
    states, cell = lstm(*operands)
    seed = np.ones(states.shape)
    seed.setflags(write=False)
    before = states.data.copy(), cell.data.copy()
    states.backward(seed)
    np.testing.assert_array_equal(states.data, before[0])
    np.testing.assert_array_equal(cell.data, before[1])
    states = rnn(*(operand.detach() for operand in rnn_operands(3, 2, 2)))
    assert not states.requires_grad


def test_one_backward_run_frees_both_results() -> None:
    states, cell = lstm(*lstm_operands(3, 2, 2))
    cell.backward(1.0)
    with pytest.raises(GraphError, match="already run backward"):
        states.backward(1.0)


def test_without_recording_nothing_requires_a_gradient() -> None:
    with no_grad():
        states, cell = lstm(*lstm_operands(3, 2, 2))
    assert not states.requires_grad
    assert not cell.requires_grad


@pytest.mark.parametrize("run_back", [False, True])
def test_no_reference_cycles(run_back: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        states, cell = lstm(*lstm_operands(3, 2, 2))
        others = rnn(*rnn_operands(3, 2, 2))
        if run_back:
            (states.sum() + cell.sum() + others.sum()).backward()
        results = [weakref.ref(result) for result in (states, cell, others)]
        del states, cell, others
        assert [result() for result in results] == [None, None, None]
    finally:
        gc.enable()


def test_memory_stays_flat_over_many_steps() -> None:
    operands = [
        Tensor(operand.data.astype("float32"), requires_grad=True) for operand in lstm_operands(6, 8, 64)
    ]  # gates of 48 KiB, a window of 12

    def step() -> None:
        states, cell = lstm(*operands)
        (states.sum() + cell.sum()).backward()
        for operand in operands:
            operand.grad = None

    for _ in range(20):
        step()
    resident = psutil.Process().memory_info().rss
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1_000):
            step()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 2_000
    assert psutil.Process().memory_info().rss - resident < 8 << 20


REFUSED: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("weights not square", ((3, 2, 4), (2, 4), (4, 5))),
    ("weights of one axis", ((3, 2, 4), (2, 4), (4,))),
    ("a window without time", ((2, 4), (2, 4), (4, 4))),
    ("products of another width", ((3, 2, 5), (2, 4), (4, 4))),
    ("a state of another batch", ((3, 2, 4), (1, 4), (4, 4))),
    ("a state with a time", ((3, 2, 4), (1, 2, 4), (4, 4))),
    ("a stack of weights alone", ((3, 2, 4), (2, 4), (3, 4, 4))),
    ("stacks of different size", ((2, 3, 2, 4), (2, 2, 4), (3, 4, 4))),
]


@pytest.mark.parametrize("shapes", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_misuse_is_told(shapes: tuple[tuple[int, ...], ...]) -> None:
    x, h, w = (leaf(*shape) for shape in shapes)
    with pytest.raises(GraphError, match=r"^rnn: needs projected \(T, B, H\), states \(B, H\) and weight_hh \(H, H\)"):
        rnn(x, h, w)
    wide = leaf(*w.shape[:-1], 4 * w.shape[-1])
    with pytest.raises(GraphError, match=r"^lstm: needs projected \(T, B, 4H\)"):
        lstm(leaf(*x.shape[:-1], 4 * x.shape[-1]), h, h, wide)


def test_other_misuse_is_told() -> None:
    x, h, w = rnn_operands(2, 2, 2)
    with pytest.raises(GraphError, match=r"^rnn: the activation is one of relu, tanh, sigmoid, not 'gelu'"):
        rnn(x, h, w, "gelu")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"of float64, .* of float32, and weight_hh"):
        rnn(x, h.data.astype("float32"), w)
    with pytest.raises(GraphError, match=r"^rnn: operands must be float32 or float64, got int64"):
        rnn(np.zeros((2, 2, 2), np.int64), h, w)
    *operands, weight = lstm_operands(2, 2, 2)
    with pytest.raises(GraphError, match=r"^lstm: needs projected"):
        lstm(operands[0], operands[1], leaf(3, 2), weight)
