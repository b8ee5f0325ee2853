"""K clients at once: every layer and loss gives each client, bit for bit, what it gets alone."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tensors import dense_gradient

from fedgdl.autograd import Tensor
from fedgdl.errors import ParameterError
from fedgdl.nn import (
    LSTM,
    RNN,
    BCEWithLogitsLoss,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    EmbeddingBag,
    Flatten,
    Linear,
    LSTMCell,
    MaxPool2d,
    Module,
    MSELoss,
    ReLU,
    RNNCell,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Callable[[np.random.Generator], Tensor]:
    return lambda rng: Tensor(rng.normal(size=shape).astype("float32"), requires_grad=True)


def numbers(bound: int, *shape: int) -> Callable[[np.random.Generator], Array]:
    return lambda rng: rng.integers(0, bound, size=shape)


def targets(*shape: int) -> Callable[[np.random.Generator], Array]:
    return lambda rng: rng.random(shape, "float32")


@dataclass(frozen=True)
class Case:
    """A module, what it takes, and which of its outputs is looked at."""

    name: str
    module: Module
    inputs: tuple[Callable[[np.random.Generator], Any], ...]
    output: Callable[[Any], Tensor] = lambda output: output


class Reader(Module):
    """A recurrent layer that reads token ids through a table."""

    def __init__(self, layer: RNN | LSTM) -> None:
        self.words = Embedding(6, 3, rng=RNG)
        self.layer = layer

    def forward(self, ids: Array) -> Any:
        return self.layer(ids, embedding=self.words)


CASES = [
    Case("linear", Linear(4, 3, rng=RNG), (floats(5, 4),)),
    Case("linear of one example", Linear(4, 3, rng=RNG), (floats(1, 4),)),
    Case("linear without bias", Linear(4, 3, bias=False, rng=RNG), (floats(5, 4),)),
    Case("linear on more axes", Linear(4, 3, rng=RNG), (floats(2, 5, 4),)),
    *(
        Case(f"linear with {type(layer).__name__}", Sequential(Linear(7, 6, rng=RNG), layer), (floats(5, 7),))
        for layer in (ReLU(), Tanh(), Sigmoid())
    ),
    *(
        Case(
            f"convolution with {type(layer).__name__}",
            Sequential(Conv2d(2, 3, 3, rng=RNG), layer),
            (floats(4, 6, 5, 2),),
        )
        for layer in (ReLU(), Tanh(), Sigmoid())
    ),
    *(Case(type(layer).__name__, layer, (floats(5, 3),)) for layer in (ReLU(), Tanh(), Sigmoid(), Flatten())),
    *(Case(f"softmax over {axis}", Softmax(axis), (floats(5, 3, 2),)) for axis in (-1, 0, 1)),
    Case("convolution", Conv2d(2, 3, 3, rng=RNG), (floats(4, 6, 5, 2),)),
    Case("convolution in strides", Conv2d(2, 3, 3, 2, 1, rng=RNG), (floats(1, 6, 5, 2),)),
    Case("convolution without bias", Conv2d(1, 3, 2, bias=False, rng=RNG), (floats(2, 4, 4, 1),)),
    Case("max pool", MaxPool2d(2), (floats(2, 6, 4, 3),)),
    Case("max pool of overlapping windows", MaxPool2d(3, 1), (floats(2, 5, 5, 2),)),
    Case("embedding", Embedding(6, 3, rng=RNG), (numbers(6, 4, 2),)),
    Case("RNN cell", RNNCell(3, 4, rng=RNG), (floats(2, 3), floats(2, 4))),
    Case("LSTM cell h", LSTMCell(3, 4, rng=RNG), (floats(2, 3),), lambda output: output[0]),
    Case("LSTM cell c", LSTMCell(3, 4, rng=RNG), (floats(2, 3),), lambda output: output[1]),
    *(
        Case(f"RNN {word} by {kind}", RNN(3, 4, nonlinearity=kind, rng=RNG), (floats(5, 2, 3), floats(2, 4)), pick)
        for kind in ("tanh", "relu", "sigmoid")
        for word, pick in (("outputs", lambda output: output[0]), ("state", lambda output: output[1]))
    ),
    Case("LSTM outputs", LSTM(3, 4, rng=RNG), (floats(5, 2, 3),), lambda output: output[0]),
    Case("LSTM h", LSTM(3, 4, bias=False, rng=RNG), (floats(5, 2, 3),), lambda output: output[1][0]),
    Case("LSTM c", LSTM(3, 4, rng=RNG), (floats(1, 1, 3),), lambda output: output[1][1]),
    Case("RNN of ids", Reader(RNN(3, 4, rng=RNG)), (numbers(6, 5, 2),), lambda output: output[0]),
    Case("LSTM of ids", Reader(LSTM(3, 4, rng=RNG)), (numbers(6, 5, 2),), lambda output: output[0]),
    Case("dropout", Dropout(0.3), (floats(6, 7),)),
    Case("dropout of nothing", Dropout(0), (floats(6, 7),)),
    Case(
        "network with convolution and dropout",
        Sequential(
            Conv2d(1, 4, 3, rng=RNG),
            ReLU(),
            Dropout(0.25),
            MaxPool2d(2),
            Flatten(),
            Linear(16, 5, rng=RNG),
            Dropout(0.5),
        ),
        (floats(3, 6, 6, 1),),
    ),
    *(
        case
        for reduction in ("mean", "sum", "none")
        for case in (
            Case(f"MSE {reduction}", MSELoss(reduction), (floats(4, 3), targets(4, 3))),
            Case(f"binary cross-entropy {reduction}", BCEWithLogitsLoss(reduction), (floats(7), targets(7))),
            Case(f"cross-entropy {reduction}", CrossEntropyLoss(reduction), (floats(6, 5), numbers(5, 6))),
            Case(
                f"cross-entropy of windows {reduction}",
                CrossEntropyLoss(reduction),
                (floats(3, 6, 5), numbers(5, 3, 6)),
            ),
        )
    ),
]


def stacked(values: list[Any]) -> Any:
    """The inputs of all clients as one."""
    if isinstance(values[0], Tensor):
        return Tensor(np.stack([value.data for value in values]), requires_grad=True)
    return np.stack(values)


def clients_of(module: Module, num_clients: int, rng: np.random.Generator) -> tuple[Module, list[Module]]:
    """A stack of clients, each with values of its own, and the same clients alone."""
    stack, alone = module.stack(num_clients), [copy.deepcopy(module) for _ in range(num_clients)]
    if list(stack.parameters()):
        vectors = stack.flatten().vector
        vectors[:] = rng.normal(size=vectors.shape)
        for client, vector in zip(alone, vectors, strict=True):
            client.flatten().load(vector)
    stack.train([np.random.default_rng(index) for index in range(num_clients)])
    for index, client in enumerate(alone):
        client.train(np.random.default_rng(index))
    return stack, alone


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_client_gets_the_bits_it_gets_alone(case: Case, num_clients: int) -> None:
    rng = np.random.default_rng(num_clients)
    stack, alone = clients_of(case.module, num_clients, rng)
    inputs = [[draw(rng) for draw in case.inputs] for _ in range(num_clients)]
    for _ in range(2):  # twice: streams move on, and gradients are overwritten
        together = [stacked(list(values)) for values in zip(*inputs, strict=True)]
        output = case.output(stack(*together))
        gradient = rng.normal(size=output.shape).astype("float32")
        output.backward(gradient)
        for index, client in enumerate(alone):
            own = case.output(client(*inputs[index]))
            np.testing.assert_array_equal(output.data[index], own.data)
            own.backward(gradient[index])
            for mine, theirs in zip(client.parameters(), stack.parameters(), strict=True):
                np.testing.assert_array_equal(dense_gradient(theirs)[index], dense_gradient(mine))
            for mine, theirs in zip(inputs[index], together, strict=True):
                if isinstance(mine, Tensor):
                    np.testing.assert_array_equal(dense_gradient(theirs)[index], dense_gradient(mine))
                    mine.grad = None
            client.zero_grad()
        stack.zero_grad()


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_of_all_clients_lie_end_to_end(num_clients: int, mode: str) -> None:
    rng = np.random.default_rng(num_clients)
    stack, alone = clients_of(EmbeddingBag(6, 3, mode, rng=rng), num_clients, rng)  # type: ignore[arg-type]
    sizes = rng.integers(0, 5, size=(num_clients, 4))
    token_ids = [rng.integers(0, 6, size=own.sum()) for own in sizes]
    output = stack(np.concatenate(token_ids), np.cumsum([0, *sizes.ravel()]))
    assert output.shape == (num_clients, 4, 3)
    gradient = rng.normal(size=output.shape).astype("float32")
    output.backward(gradient)
    (table,) = stack.parameters()
    for index, client in enumerate(alone):
        own = client(token_ids[index], np.cumsum([0, *sizes[index]]))
        np.testing.assert_array_equal(output.data[index], own.data)
        own.backward(gradient[index])
        (mine,) = client.parameters()
        np.testing.assert_array_equal(dense_gradient(table)[index], dense_gradient(mine))


@pytest.mark.parametrize("loss", [MSELoss("sum"), MSELoss()], ids=["sum", "mean"])
def test_one_start_of_the_gradient_serves_all_clients(loss: MSELoss) -> None:
    """`backward(1.0)` on (K,) starts each client's run as `backward()` does alone."""
    rng = np.random.default_rng(1)
    stack, alone = clients_of(Linear(3, 2, rng=rng), 3, rng)
    x, y = rng.random((3, 4, 3), "float32"), rng.random((3, 4, 2), "float32")
    losses = loss.stack(3)(stack(x), y)
    assert losses.shape == (3,)
    losses.backward(1.0)
    for index, client in enumerate(alone):
        own = loss(client(x[index]), y[index])
        assert own.item() == losses.data[index]
        own.backward()
        for mine, theirs in zip(client.parameters(), stack.parameters(), strict=True):
            np.testing.assert_array_equal(dense_gradient(theirs)[index], dense_gradient(mine))


def test_a_stack_starts_as_copies_of_one_client() -> None:
    model = Sequential(Linear(3, 2, rng=RNG), Tanh())
    stack = model.stack(4)
    assert {module.num_clients for module in stack.modules()} == {4}
    assert {module.num_clients for module in model.modules()} == {None}
    assert type(stack) is Sequential
    for one, many in zip(model.parameters(), stack.parameters(), strict=True):
        np.testing.assert_array_equal(many.data, np.stack([one.data] * 4))
    vector = model.flatten().vector
    flat = stack.flatten()
    assert flat.layout == model.flatten().layout
    np.testing.assert_array_equal(flat.vector, np.stack([vector] * 4))
    assert stack.flatten() is flat
    flat.load(np.arange(8, dtype="float32"))
    for parameter in stack.parameters():
        assert np.shares_memory(parameter.data, flat.vector)
        assert (parameter.data == parameter.data[0]).all()


def test_a_stack_keeps_ties_modes_and_frozen_parameters() -> None:
    class Tied(Module):
        def __init__(self) -> None:
            self.first = Linear(2, 2, rng=RNG)
            self.second = self.first
            self.weight = self.first.weight

    model = Tied().eval()
    assert model.first.bias is not None
    model.first.bias.requires_grad = False
    stack = model.stack(2)
    assert stack.second is stack.first
    assert stack.weight is stack.first.weight
    assert not stack.first.training
    assert stack.first.bias is not None
    assert not stack.first.bias.requires_grad
    assert stack.flatten().vector.shape == (2, 6)


def test_a_stack_takes_at_least_one_client_and_no_stack() -> None:
    for impossible in (0, -1):
        with pytest.raises(ParameterError, match=f"at least one client, not {impossible}"):
            Linear(1, 1, rng=RNG).stack(impossible)
    with pytest.raises(ParameterError, match="Linear is a stack of 2 clients already"):
        Linear(1, 1, rng=RNG).stack(2).stack(2)


def step(model: Module, x: Array, y: Array) -> None:
    """One step of gradient descent with a rate of 1/2."""
    loss = MSELoss() if model.num_clients is None else MSELoss().stack(model.num_clients)
    loss(model(x), y).backward(1.0)
    for parameter in model.parameters():
        parameter.data -= 0.5 * dense_gradient(parameter)
        parameter.grad = None


def test_clients_with_fewer_steps_leave_the_active_slice() -> None:
    """Five clients take 4, 4, 2, 1 and 1 steps, each with its own batches and dropout: as if each were alone."""
    rng = np.random.default_rng(3)
    model = Sequential(Linear(3, 6, rng=rng), Tanh(), Dropout(0.5), Linear(6, 2, rng=rng))
    stack, alone = clients_of(model, 5, rng)
    num_steps = np.array([4, 4, 2, 1, 1])
    x, y = rng.random((4, 5, 7, 3), "float32"), rng.random((4, 5, 7, 2), "float32")
    for index in range(4):
        active = int((num_steps > index).sum())
        assert stack.activate(active) is stack
        assert {module.num_clients for module in stack.modules()} == {active}
        step(stack, x[index, :active], y[index, :active])
        for number, client in enumerate(alone[:active]):
            step(client, x[index, number], y[index, number])
    vector = stack.flatten().vector
    assert vector.shape[0] == 5
    for row, client in zip(vector, alone, strict=True):
        np.testing.assert_array_equal(row, client.flatten().vector)


def test_activating_copies_nothing_and_widens_again() -> None:
    stack = Linear(3, 2, rng=RNG).stack(4)
    flat = stack.flatten()
    stack(np.ones((4, 1, 3), "float32")).sum().backward()
    stack.activate(2)
    assert all(parameter.grad is None for parameter in stack.parameters())
    assert stack.weight.shape == (2, 3, 2)
    assert np.shares_memory(stack.weight.data, flat.vector)
    assert stack.flatten() is flat
    stack.weight.data[:] = 7
    stack(np.ones((2, 1, 3), "float32")).sum().backward()
    assert dense_gradient(stack.weight).shape == (2, 3, 2)
    stack.activate(4)
    assert stack.weight.shape == (4, 3, 2)
    assert (stack.weight.data[:2] == 7).all()
    assert (stack.weight.data[2:] != 7).all()
    assert stack.activate(3).activate(1).weight.shape == (1, 3, 2)


def test_only_a_flattened_stack_is_narrowed() -> None:
    single = Linear(3, 2, rng=RNG)
    single.flatten()
    for model in (single, copy.deepcopy(Linear(3, 2, rng=RNG).stack(2))):  # a copy is flattened anew
        with pytest.raises(ParameterError, match=r"only a model after stack\(K\) and flatten\(\)"):
            model.activate(1)
    stack = Linear(3, 2, rng=RNG).stack(2)
    stack.flatten()
    for impossible in (0, 3, -1):
        with pytest.raises(ParameterError, match=f"no {impossible} leading clients"):
            stack.activate(impossible)


def test_a_copy_of_a_narrowed_stack_has_its_clients() -> None:
    stack = Linear(3, 2, rng=RNG).stack(4)
    stack.flatten().vector[:] = np.arange(32, dtype="float32").reshape(4, 8)
    other = copy.deepcopy(stack.activate(2))
    assert other.num_clients == 2
    np.testing.assert_array_equal(other.flatten().vector, np.arange(16).reshape(2, 8))
