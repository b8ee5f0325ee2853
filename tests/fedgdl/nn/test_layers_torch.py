"""Layers and losses against PyTorch with the same weights: values and gradients, float64."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tensors import dense_gradient

from fedgdl import nn
from fedgdl.autograd import Tensor

torch = pytest.importorskip("torch", reason="torch is not installed: agreement with PyTorch is not tested")

Array = npt.NDArray[np.float64]
REDUCTIONS = ["mean", "sum", "none"]


def theirs(array: npt.NDArray[Any]) -> Any:
    """An array as PyTorch's tensor that requires a gradient, if it can have one."""
    return torch.tensor(array, requires_grad=array.dtype.kind == "f")


def copy_weights(pairs: list[tuple[nn.Parameter, Any]], layout: Callable[[Array], Array]) -> None:
    """Copies our values into PyTorch's parameters, in its layout."""
    with torch.no_grad():
        for mine, other in pairs:
            other.copy_(torch.tensor(layout(mine.data)))


def agree(mine: npt.NDArray[Any], other: Any) -> None:
    np.testing.assert_allclose(mine, other.detach().numpy(), rtol=1e-9, atol=1e-11)


def parameters_of(layer: Any) -> list[nn.Parameter]:
    return list(layer.parameters())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (1, 4), (2, 5, 4)])
def test_linear(shape: tuple[int, ...], *, bias: bool) -> None:
    rng = np.random.default_rng(1)
    layer = nn.Linear(4, 3, bias, rng=rng, dtype="float64")
    other = torch.nn.Linear(4, 3, bias, dtype=torch.float64)
    copy_weights(list(zip(layer.parameters(), other.parameters(), strict=True)), np.transpose)
    data, slope = rng.normal(size=shape), rng.normal(size=(*shape[:-1], 3))
    x, z = Tensor(data, requires_grad=True), theirs(data)
    y, expected = layer(x), other(z)
    agree(y.data, expected)
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(x), z.grad)
    for one, two in zip(layer.parameters(), other.parameters(), strict=True):
        agree(dense_gradient(one).T, two.grad)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (1, 2)])
def test_convolution_with_pooling(stride: int, padding: int, *, bias: bool) -> None:
    """Images are (N, H, W, C) here and (N, C, H, W) there; kernels (kh, kw, C, O) here and (O, C, kh, kw) there."""
    rng = np.random.default_rng(1)
    layer = nn.Conv2d(2, 3, (3, 2), stride, padding, bias, rng=rng, dtype="float64")
    other = torch.nn.Conv2d(2, 3, (3, 2), stride, padding, bias=bias, dtype=torch.float64)

    def layout(array: Array) -> Array:
        return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array

    copy_weights(list(zip(layer.parameters(), other.parameters(), strict=True)), layout)
    data = rng.normal(size=(4, 9, 8, 2))
    x, z = Tensor(data, requires_grad=True), theirs(data)
    y = nn.MaxPool2d(2)(layer(x))
    expected = torch.nn.MaxPool2d(2)(other(z.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
    agree(y.data, expected)
    slope = rng.normal(size=y.shape)
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(x), z.grad)
    for one, two in zip(layer.parameters(), other.parameters(), strict=True):
        agree(layout(dense_gradient(one)), two.grad)


def test_embedding() -> None:
    rng = np.random.default_rng(1)
    layer, other = nn.Embedding(6, 3, rng=rng, dtype="float64"), torch.nn.Embedding(6, 3, dtype=torch.float64)
    copy_weights([(layer.weight, other.weight)], np.asarray)
    ids, slope = rng.integers(0, 6, size=(4, 5)), rng.normal(size=(4, 5, 3))
    y, expected = layer(ids), other(torch.tensor(ids))
    agree(y.data, expected)
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(layer.weight), other.weight.grad)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag(mode: Any) -> None:
    rng = np.random.default_rng(1)
    layer = nn.EmbeddingBag(6, 3, mode, rng=rng, dtype="float64")
    other = torch.nn.EmbeddingBag(6, 3, mode=mode, include_last_offset=True, dtype=torch.float64)
    copy_weights([(layer.weight, other.weight)], np.asarray)
    token_ids, offsets, slope = rng.integers(0, 6, size=9), np.array([0, 4, 4, 9]), rng.normal(size=(3, 3))
    y, expected = layer(token_ids, offsets), other(torch.tensor(token_ids), torch.tensor(offsets))
    agree(y.data, expected)
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(layer.weight), other.weight.grad)


@pytest.mark.parametrize(
    ("layer", "other"),
    [
        (nn.ReLU(), "ReLU"),
        (nn.Tanh(), "Tanh"),
        (nn.Sigmoid(), "Sigmoid"),
        (nn.Flatten(), "Flatten"),
        (nn.Softmax(), "Softmax(dim=-1)"),
        (nn.Softmax(0), "Softmax(dim=0)"),
    ],
)
def test_layers_without_parameters(layer: nn.Module, other: str) -> None:
    rng = np.random.default_rng(1)
    name, _, option = other.rstrip(")").partition("(dim=")
    module = getattr(torch.nn, name)(*([int(option)] if option else []))
    data = rng.normal(size=(4, 3, 2)) * 10
    x, z = Tensor(data, requires_grad=True), theirs(data)
    y, expected = layer(x), module(z)
    agree(y.data, expected)
    slope = rng.normal(size=y.shape)
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(x), z.grad)


def copy_recurrent(layer: Any, other: Any, suffix: str) -> None:
    """PyTorch keeps transposes, and two biases that it adds up: the second becomes zero."""
    with torch.no_grad():
        getattr(other, f"weight_ih{suffix}").copy_(torch.tensor(layer.weight_ih.data.T))
        getattr(other, f"weight_hh{suffix}").copy_(torch.tensor(layer.weight_hh.data.T))
        getattr(other, f"bias_ih{suffix}").copy_(torch.tensor(layer.bias.data))
        getattr(other, f"bias_hh{suffix}").zero_()


def agree_recurrent(layer: Any, other: Any, suffix: str) -> None:
    for name in ("weight_ih", "weight_hh"):
        agree(dense_gradient(getattr(layer, name)).T, getattr(other, f"{name}{suffix}").grad)
    agree(dense_gradient(layer.bias), getattr(other, f"bias_ih{suffix}").grad)


@pytest.mark.parametrize("num_steps", [1, 25])
@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_rnn(kind: Any, num_steps: int) -> None:
    rng = np.random.default_rng(1)
    layer = nn.RNN(3, 5, nonlinearity=kind, rng=rng, dtype="float64")
    other = torch.nn.RNN(3, 5, nonlinearity=kind, dtype=torch.float64)
    copy_recurrent(layer, other, "_l0")
    window, start = rng.normal(size=(num_steps, 4, 3)), rng.normal(size=(4, 5))
    x, h, z, g = (
        Tensor(window, requires_grad=True),
        Tensor(start, requires_grad=True),
        theirs(window),
        theirs(start[np.newaxis]),
    )
    (outputs, last), (expected, expected_last) = layer(x, h), other(z, g)
    agree(outputs.data, expected)
    agree(last.data, expected_last[0])
    slope, slope_last = rng.normal(size=outputs.shape), rng.normal(size=last.shape)
    ((outputs * slope).sum() + (last * slope_last).sum()).backward()
    ((expected * torch.tensor(slope)).sum() + (expected_last[0] * torch.tensor(slope_last)).sum()).backward()
    agree(dense_gradient(x), z.grad)
    agree(dense_gradient(h), g.grad[0])
    agree_recurrent(layer, other, "_l0")


@pytest.mark.parametrize("num_steps", [1, 25])
def test_lstm(num_steps: int) -> None:
    rng = np.random.default_rng(1)
    layer = nn.LSTM(3, 5, rng=rng, dtype="float64")
    other = torch.nn.LSTM(3, 5, dtype=torch.float64)
    copy_recurrent(layer, other, "_l0")
    window, start = rng.normal(size=(num_steps, 4, 3)), rng.normal(size=(2, 4, 5))
    x, z = Tensor(window, requires_grad=True), theirs(window)
    state = Tensor(start[0], requires_grad=True), Tensor(start[1], requires_grad=True)
    given = theirs(start[:1]), theirs(start[1:])
    (outputs, last), (expected, expected_last) = layer(x, state), other(z, given)
    agree(outputs.data, expected)
    slope, slopes = rng.normal(size=outputs.shape), rng.normal(size=(2, 4, 5))
    total, expected_total = (outputs * slope).sum(), (expected * torch.tensor(slope)).sum()
    for mine, one, weight in zip(last, expected_last, slopes, strict=True):
        agree(mine.data, one[0])
        total = total + (mine * weight).sum()
        expected_total = expected_total + (one[0] * torch.tensor(weight)).sum()
    total.backward()
    expected_total.backward()
    agree(dense_gradient(x), z.grad)
    for mine, one in zip(state, given, strict=True):
        agree(dense_gradient(mine), one.grad[0])
    agree_recurrent(layer, other, "_l0")


@pytest.mark.parametrize("kind", ["tanh", "relu"])
def test_rnn_cell(kind: Any) -> None:
    rng = np.random.default_rng(1)
    layer = nn.RNNCell(3, 5, nonlinearity=kind, rng=rng, dtype="float64")
    other = torch.nn.RNNCell(3, 5, nonlinearity=kind, dtype=torch.float64)
    copy_recurrent(layer, other, "")
    data, start, slope = rng.normal(size=(4, 3)), rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    y, expected = layer(Tensor(data), Tensor(start)), other(torch.tensor(data), torch.tensor(start))
    agree(y.data, expected)
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree_recurrent(layer, other, "")


def test_lstm_cell() -> None:
    rng = np.random.default_rng(1)
    layer = nn.LSTMCell(3, 5, rng=rng, dtype="float64")
    other = torch.nn.LSTMCell(3, 5, dtype=torch.float64)
    copy_recurrent(layer, other, "")
    data, h, c, slope = (rng.normal(size=(4, size)) for size in (3, 5, 5, 5))
    hidden, cell = layer(Tensor(data), (Tensor(h), Tensor(c)))
    expected_hidden, expected_cell = other(torch.tensor(data), (torch.tensor(h), torch.tensor(c)))
    agree(hidden.data, expected_hidden)
    agree(cell.data, expected_cell)
    ((hidden * slope).sum() + (cell * slope).sum()).backward()
    ((expected_hidden + expected_cell) * torch.tensor(slope)).sum().backward()
    agree_recurrent(layer, other, "")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("loss", "other"),
    [
        (nn.MSELoss, torch.nn.MSELoss),
        (nn.BCEWithLogitsLoss, torch.nn.BCEWithLogitsLoss),
    ],
)
def test_losses_of_numbers(loss: Any, other: Any, reduction: str) -> None:
    rng = np.random.default_rng(1)
    data, target = rng.normal(size=(4, 3)) * 20, rng.random((4, 3))
    x, z = Tensor(data, requires_grad=True), theirs(data)
    y, expected = loss(reduction)(x, target), other(reduction=reduction)(z, torch.tensor(target))
    agree(y.data, expected)
    slope = np.asarray(rng.normal(size=y.shape))
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(x), z.grad)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy(reduction: Any) -> None:
    """Windows have their classes last here, second there."""
    rng = np.random.default_rng(1)
    data, classes = rng.normal(size=(6, 4, 3)) * 20, rng.integers(0, 3, size=(6, 4))
    x, z = Tensor(data, requires_grad=True), theirs(data)
    y = nn.CrossEntropyLoss(reduction)(x, classes)
    expected = torch.nn.CrossEntropyLoss(reduction=reduction)(z.permute(0, 2, 1), torch.tensor(classes))
    agree(y.data, expected)
    slope = np.asarray(rng.normal(size=y.shape))
    y.backward(slope)
    expected.backward(torch.tensor(slope))
    agree(dense_gradient(x), z.grad)


def test_a_network() -> None:
    """Linear, ReLU, Linear, Tanh, Linear and cross-entropy with our weights in PyTorch's layers."""
    rng = np.random.default_rng(1)
    sizes = [7, 6, 5, 4]
    layers = [nn.Linear(*pair, rng=rng, dtype="float64") for pair in itertools.pairwise(sizes)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.Tanh(), layers[2])
    others = [torch.nn.Linear(*pair, dtype=torch.float64) for pair in itertools.pairwise(sizes)]
    other = torch.nn.Sequential(others[0], torch.nn.ReLU(), others[1], torch.nn.Tanh(), others[2])
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in other.named_parameters()]
    copy_weights(list(zip(model.parameters(), other.parameters(), strict=True)), np.transpose)
    x, classes = rng.normal(size=(9, 7)), rng.integers(0, 4, size=9)
    loss = nn.CrossEntropyLoss()(model(x), classes)
    expected = torch.nn.CrossEntropyLoss()(other(torch.tensor(x)), torch.tensor(classes))
    agree(loss.data, expected)
    loss.backward()
    expected.backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        agree(dense_gradient(one).T, two.grad)
