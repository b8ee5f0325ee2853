"""Recurrent layers: whole windows against single steps, states, tables of words, and gradients over 25 steps."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tensors import dense_gradient, leaf

from fedgdl.autograd import Tensor, gradcheck
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import LSTM, RNN, Embedding, LSTMCell, RNNCell, init

KINDS = ["tanh", "relu", "sigmoid"]
RNG = np.random.default_rng(0)


def cell_of(layer: RNN | LSTM, *, bias: bool = True) -> Any:
    """A cell that shares the layer's parameters."""
    num_inputs = layer.weight_ih.shape[0]
    cell: RNNCell | LSTMCell
    if isinstance(layer, RNN):
        cell = RNNCell(num_inputs, layer.hidden_size, bias, layer.nonlinearity, rng=RNG, dtype="float64")
    else:
        cell = LSTMCell(num_inputs, layer.hidden_size, bias, rng=RNG, dtype="float64")
    cell.weight_ih, cell.weight_hh, cell.bias = layer.weight_ih, layer.weight_hh, layer.bias
    return cell


def gradients(layer: RNN | LSTM, *others: Tensor) -> list[npt.NDArray[np.float64]]:
    """The gradients of the layer's parameters and of others, which are dropped."""
    found = [dense_gradient(tensor).copy() for tensor in (*layer.parameters(), *others)]
    for tensor in (*layer.parameters(), *others):
        tensor.grad = None
    return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(25, 4, 3), (1, 4, 3), (6, 1, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_an_rnn_is_a_loop_of_cells(kind: Any, shape: tuple[int, int, int], *, bias: bool) -> None:
    layer = RNN(3, 5, nonlinearity=kind, bias=bias, rng=np.random.default_rng(1), dtype="float64")
    cell = cell_of(layer, bias=bias)
    window, start, slope = leaf(*shape), leaf(shape[1], 5, seed=1), leaf(*shape[:2], 5, seed=2).data
    outputs, last = layer(window, start)
    (outputs * slope).sum().backward()
    found = gradients(layer, window, start)
    state, total = start, Tensor(0.0)
    for step in range(shape[0]):
        state = cell(window[step], state)
        np.testing.assert_allclose(state.data, outputs.data[step], rtol=1e-12, atol=1e-14)
        total = total + (state * slope[step]).sum()
    np.testing.assert_array_equal(last.data, outputs.data[-1])
    total.backward()
    for one, other in zip(found, gradients(layer, window, start), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(25, 4, 3), (1, 4, 3), (6, 1, 3)])
def test_an_lstm_is_a_loop_of_cells(shape: tuple[int, int, int], *, bias: bool) -> None:
    layer = LSTM(3, 5, bias=bias, rng=np.random.default_rng(1), dtype="float64")
    cell = cell_of(layer, bias=bias)
    window, slope = leaf(*shape), leaf(*shape[:2], 5, seed=2).data
    start = leaf(shape[1], 5, seed=3), leaf(shape[1], 5, seed=4)
    outputs, (hidden, memory) = layer(window, start)
    ((outputs * slope).sum() + (memory * slope[0]).sum() + (hidden * slope[-1]).sum()).backward()
    found = gradients(layer, window, *start)
    state, total = start, Tensor(0.0)
    for step in range(shape[0]):
        state = cell(window[step], state)
        np.testing.assert_allclose(state[0].data, outputs.data[step], rtol=1e-12, atol=1e-14)
        total = total + (state[0] * slope[step]).sum()
    np.testing.assert_array_equal(hidden.data, outputs.data[-1])
    np.testing.assert_allclose(memory.data, state[1].data, rtol=1e-12)
    (total + (state[1] * slope[0]).sum() + (state[0] * slope[-1]).sum()).backward()
    for one, other in zip(found, gradients(layer, window, *start), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_an_rnn_over_25_steps(kind: Any) -> None:
    rng = np.random.default_rng(1)
    layer = RNN(3, 4, nonlinearity=kind, rng=rng, dtype="float64")
    inputs = [rng.normal(size=(25, 2, 3)), rng.normal(size=(2, 4)), *layer.parameters()]
    gradcheck(lambda window, start, *_: layer(window, start)[0], inputs, rng)
    gradcheck(lambda window, start, *_: layer(window, start)[1], inputs, rng)


def test_gradients_of_an_lstm_over_25_steps() -> None:
    rng = np.random.default_rng(1)
    layer = LSTM(3, 4, rng=rng, dtype="float64")
    inputs = [rng.normal(size=(25, 2, 3)), *rng.normal(size=(2, 2, 4)), *layer.parameters()]
    gradcheck(lambda window, h, c, *_: layer(window, (h, c))[0], inputs, rng)
    gradcheck(lambda window, h, c, *_: layer(window, (h, c))[1][0], inputs, rng)
    gradcheck(lambda window, h, c, *_: layer(window, (h, c))[1][1], inputs, rng)


@pytest.mark.parametrize("cell", [RNNCell, LSTMCell])
def test_gradients_of_cells(cell: type[RNNCell | LSTMCell]) -> None:
    rng = np.random.default_rng(1)
    layer = cell(3, 4, rng=rng, dtype="float64")
    inputs = [rng.normal(size=(2, 3)), *layer.parameters()]
    if isinstance(layer, RNNCell):
        gradcheck(lambda x, *_: layer(x), inputs, rng)
    else:
        for part in (0, 1):
            gradcheck(lambda x, *_, part=part: layer(x)[part], inputs, rng)


@pytest.mark.parametrize("layer", [RNN, LSTM])
@pytest.mark.parametrize("num_words", [5, 60])
def test_a_table_of_words_gives_what_its_rows_give(layer: type[RNN | LSTM], num_words: int) -> None:
    """Also where there are fewer words in the window than in the table."""
    rng = np.random.default_rng(1)
    words, reader = Embedding(num_words, 3, rng=rng, dtype="float64"), layer(3, 4, rng=rng, dtype="float64")
    ids = rng.integers(0, num_words, size=(7, 4))
    slope = rng.normal(size=(7, 4, 4))
    found = []
    for outputs, _ in (reader(ids, embedding=words), reader(words(ids))):
        (outputs * slope).sum().backward()
        found.append([outputs.data, *gradients(reader, words.weight)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("layer", [RNN, LSTM])
def test_without_a_state_it_starts_at_zero(layer: type[RNN | LSTM]) -> None:
    rng = np.random.default_rng(1)
    zeros = Tensor(np.zeros((2, 4)))
    start = zeros if layer is RNN else (zeros, zeros)
    for dtype in ("float32", "float64"):
        reader = layer(3, 4, rng=rng, dtype=dtype)  # type: ignore[arg-type]
        assert reader(np.zeros((5, 2, 3), dtype))[0].dtype == dtype
    window = rng.normal(size=(5, 2, 3))
    np.testing.assert_array_equal(reader(window)[0].data, reader(window, start)[0].data)
    cell = cell_of(reader)
    first, given = cell(window[0]), cell(window[0], start)
    np.testing.assert_array_equal(
        (first if layer is RNN else first[1]).data, (given if layer is RNN else given[1]).data
    )


@pytest.mark.parametrize("layer", [RNN, LSTM])
def test_a_detached_state_cuts_backpropagation_and_nothing_else(layer: type[RNN | LSTM]) -> None:
    """Two windows with the state carried along give the outputs of one long window, and gradients of their own."""
    rng = np.random.default_rng(1)
    reader = layer(3, 4, rng=rng, dtype="float64")
    first, second = leaf(5, 2, 3), leaf(5, 2, 3, seed=1)
    whole, _ = reader(np.concatenate([first.data, second.data]))
    _, state = reader(first)
    carried = state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)
    outputs, _ = reader(second, carried)
    np.testing.assert_allclose(outputs.data, whole.data[5:], rtol=1e-12, atol=1e-14)
    outputs.sum().backward()
    assert first.grad is None
    assert second.grad is not None


def test_parameters_have_names_shapes_and_ranges() -> None:
    for layer, width in ((RNN, 100), (RNNCell, 100), (LSTM, 400), (LSTMCell, 400)):
        made = layer(30, 100, rng=np.random.default_rng(1))
        assert [(name, p.shape, p.dtype.name) for name, p in made.named_parameters()] == [
            ("weight_ih", (30, width), "float32"),
            ("weight_hh", (100, width), "float32"),
            ("bias", (width,), "float32"),
        ]
        for parameter in made.parameters():  # 1 / sqrt(100) = 0.1; of 100 values the greatest exceeds 0.09
            assert 0.09 < abs(parameter.data).max() <= 0.1
        plain = layer(2, 3, bias=False, rng=np.random.default_rng(1), initial=init.orthogonal)
        assert [name for name, _ in plain.named_parameters()] == ["weight_ih", "weight_hh"]
        np.testing.assert_allclose(plain.weight_hh.data @ plain.weight_hh.data.T, np.eye(3), atol=1e-6)


def test_with_an_initialiser_the_bias_starts_at_zero() -> None:
    layer = LSTM(2, 3, rng=np.random.default_rng(1), initial=init.normal(1))
    assert layer.bias is not None
    np.testing.assert_array_equal(layer.bias.data, np.zeros(12))


@pytest.mark.parametrize("layer", [RNN, LSTM, RNNCell, LSTMCell])
def test_impossible_arguments_are_told(layer: type[RNN | LSTM | RNNCell | LSTMCell]) -> None:
    for sizes in ((0, 1), (1, 0)):
        with pytest.raises(ParameterError, match="a whole number from 1 on, got shape"):
            layer(*sizes, rng=RNG)
    with pytest.raises(ParameterError, match="pass rng="):
        layer(1, 1)
    with pytest.raises(GraphError, match="linear: "):
        layer(3, 2, rng=RNG)(np.zeros((4, 2, 5), "float32"))


def test_an_unknown_nonlinearity_is_told() -> None:
    for layer in (RNN, RNNCell):
        with pytest.raises(ParameterError, match=r"nonlinearity is .* not 'sine'"):
            layer(1, 1, nonlinearity="sine", rng=RNG)  # type: ignore[arg-type]


def test_states_and_ids_must_fit() -> None:
    window = np.zeros((5, 2, 3), "float32")
    wrong = Tensor(np.zeros((3, 4), "float32"))
    with pytest.raises(GraphError, match=r"rnn: .*\(3, 4\)"):
        RNN(3, 4, rng=RNG)(window, wrong)
    with pytest.raises(GraphError, match=r"lstm: .*\(3, 4\)"):
        LSTM(3, 4, rng=RNG)(window, (wrong, wrong))
    words = Embedding(6, 3, rng=RNG)
    with pytest.raises(GraphError, match="ids must be 0 to 5"):
        RNN(3, 4, rng=RNG)(np.full((5, 2), 6), embedding=words)
    with pytest.raises(GraphError, match="operands must be float32 or float64, got int64"):
        RNN(3, 4, rng=RNG)(np.zeros((5, 2, 3), np.int64))


@pytest.mark.parametrize("layer", [RNN, LSTM, RNNCell, LSTMCell])
def test_a_bias_is_true_or_false(layer: Any) -> None:
    with pytest.raises(
        ParameterError, match=rf"{layer.__name__}: bias must be True or False, got Generator.*rng=\.\.\."
    ):
        layer(2, 3, bias=RNG)
    with pytest.raises(ParameterError, match=f"{layer.__name__}: bias must be True or False, got None"):
        layer(2, 3, bias=None, rng=RNG)


def parts(state: Any) -> list[Tensor]:
    """The tensors of a state."""
    return [state] if isinstance(state, Tensor) else list(state)


@pytest.mark.parametrize("num_clients", [None, 2])
@pytest.mark.parametrize("layer", [RNN, LSTM])
def test_a_window_without_steps_leaves_the_state_as_it_was(layer: type[RNN | LSTM], num_clients: int | None) -> None:
    """Its values, and each part's own gradient on the way back; also where ids are read through a table."""
    single = layer(3, 4, rng=RNG, dtype="float64")
    reader: Any = single if num_clients is None else single.stack(num_clients)
    stacked = () if num_clients is None else (num_clients,)
    start = [leaf(*stacked, 2, 4, seed=seed) for seed in (1, 2)][: 1 if layer is RNN else 2]
    outputs, state = reader(np.zeros((*stacked, 0, 2, 3)), start[0] if layer is RNN else tuple(start))
    assert outputs.shape == (*stacked, 0, 2, 4)
    for number, (before, after) in enumerate(zip(start, parts(state), strict=True), start=1):
        np.testing.assert_array_equal(after.data, before.data)
        (after * number).sum().backward()
        np.testing.assert_array_equal(dense_gradient(before), np.full(before.shape, float(number)))
    words = Embedding(5, 3, rng=RNG, dtype="float64")
    outputs, state = single(np.zeros((0, 2), np.int64), embedding=words)
    assert outputs.shape == (0, 2, 4)
    for after in parts(state):
        np.testing.assert_array_equal(after.data, np.zeros((2, 4)))
