"""Layers one after another: order, names, fused activations, and what it offers of a list."""

import copy
import pickle

import numpy as np
import pytest
from tensors import dense_gradient, leaf

from fedgdl.autograd import Tensor, gradcheck
from fedgdl.errors import ParameterError
from fedgdl.nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh


def network(seed: int = 1) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Conv2d(1, 2, 2, rng=rng), Sigmoid(), Flatten(), Linear(18, 5, rng=rng), ReLU(), Linear(5, 3, rng=rng), Tanh()
    )


IMAGES = np.random.default_rng(5).random((6, 4, 4, 1), "float32")


def test_layers_run_in_order() -> None:
    rng = np.random.default_rng(1)
    layers = [Linear(3, 4, rng=rng), Tanh(), Linear(4, 2, rng=rng)]
    x = np.ones((5, 3), "float32")
    expected = layers[2](layers[1](layers[0](x)))
    np.testing.assert_array_equal(Sequential(*layers)(x).data, expected.data)


def test_parameters_have_the_numbers_of_their_layers() -> None:
    names = ["0.weight", "0.bias", "3.weight", "3.bias", "5.weight", "5.bias"]
    assert [name for name, _ in network().named_parameters()] == names
    assert list(network().flatten()) == names
    nested = Sequential(network(), Linear(3, 1, rng=np.random.default_rng(1)))
    assert [name for name, _ in nested.named_parameters()] == [*(f"0.{name}" for name in names), "1.weight", "1.bias"]


def test_what_a_derived_class_keeps_is_found_too() -> None:
    class Scaled(Sequential):
        def __init__(self) -> None:
            super().__init__(Linear(2, 2, rng=np.random.default_rng(1)))
            self.extra = Linear(2, 1, bias=False, rng=np.random.default_rng(1))

    assert [name for name, _ in Scaled().named_parameters()] == ["0.weight", "0.bias", "extra.weight"]


@pytest.mark.parametrize("activation", [ReLU, Tanh, Sigmoid])
def test_a_fused_activation_gives_the_same_bits(activation: type[ReLU | Tanh | Sigmoid]) -> None:
    rng = np.random.default_rng(1)
    for layer, shape in ((Linear(7, 5, rng=rng), (6, 7)), (Conv2d(2, 3, 2, rng=rng), (3, 4, 4, 2))):
        gradients = []
        for fuse in (True, False):
            model = Sequential(layer, activation(), fuse=fuse)
            x = leaf(*shape, dtype="float32")
            y = model(x)
            y.backward(np.random.default_rng(2).random(y.shape, "float32"))
            gradients.append([y.data, dense_gradient(x), *(dense_gradient(p).copy() for p in model.parameters())])
            model.zero_grad()
        for fused, plain in zip(*gradients, strict=True):
            np.testing.assert_array_equal(fused, plain)


def test_fusing_leaves_one_operation_and_can_be_turned_off() -> None:
    model = network()
    fused = model(IMAGES)
    assert len(model._steps) == 4
    assert model.fuse
    model.fuse = False
    assert len(model._steps) == 7
    np.testing.assert_array_equal(model(IMAGES).data, fused.data)


def test_only_exactly_the_known_layers_are_fused() -> None:
    class Doubling(Linear):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x) * 2

    class Leaky(ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + x * 0.1

    rng = np.random.default_rng(1)
    doubling, plain, x = Doubling(2, 2, rng=rng), Linear(2, 2, rng=rng), leaf(3, 2, dtype="float32")
    np.testing.assert_array_equal(Sequential(doubling, Tanh())(x).data, Tanh()(plain_of(doubling)(x) * 2).data)
    np.testing.assert_array_equal(Sequential(plain, Leaky())(x).data, Leaky()(plain(x)).data)
    assert len(Sequential(plain, Softmax())._steps) == 2
    assert len(Sequential(plain, Tanh(), Tanh())._steps) == 2
    assert len(Sequential(Tanh(), plain)._steps) == 2


@pytest.mark.parametrize("activation", [ReLU, Tanh, Sigmoid, None])
@pytest.mark.parametrize(("channels", "filters"), [(1, 3), (16, 3), (16, 8)])
def test_fused_pooling_gives_the_same_result(
    channels: int, filters: int, activation: type[ReLU | Tanh | Sigmoid] | None
) -> None:
    rng = np.random.default_rng(1)
    layer = Conv2d(channels, filters, 3, padding=1, rng=rng)
    orders = [[layer, MaxPool2d(2)] + ([activation()] if activation else [])]
    if activation is ReLU:
        orders.append([layer, ReLU(), MaxPool2d(2, 2)])
    for layers in orders:
        gradients = []
        for fuse in (True, False):
            model = Sequential(*layers, fuse=fuse)
            assert len(model._steps) == (1 if fuse else len(layers))
            x = leaf(3, 8, 8, channels, dtype="float32")
            y = model(x)
            y.backward(np.random.default_rng(2).random(y.shape, "float32"))
            gradients.append([y.data, dense_gradient(x), *(dense_gradient(p).copy() for p in model.parameters())])
            model.zero_grad()
        (fused, *ours), (plain, *theirs) = gradients
        np.testing.assert_array_equal(fused, plain)
        for own, other in zip(ours, theirs, strict=True):  # sums over samples have an order of their own
            np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-4)


def test_pooling_is_fused_where_it_changes_nothing() -> None:
    class Half(MaxPool2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 0.5

    rng = np.random.default_rng(1)
    layer = Conv2d(1, 2, 3, padding=1, rng=rng)
    images = rng.random((2, 8, 8, 1), "float32")
    for layers, steps in (
        ([layer, MaxPool2d(2), MaxPool2d(2)], 2),
        ([layer, MaxPool2d(2), ReLU(), MaxPool2d(2)], 2),
        ([layer, ReLU(), MaxPool2d(2), Tanh()], 2),
        ([layer, MaxPool2d(3, 2)], 2),  # overlapping windows
        ([layer, MaxPool2d(2, 3)], 2),  # gaps between windows
        ([layer, Tanh(), MaxPool2d(2)], 2),  # which may round two values to one
        ([layer, Half(2)], 2),
        ([MaxPool2d(2), layer, MaxPool2d(2)], 2),
    ):
        model = Sequential(*layers)
        assert len(model._steps) == steps
        np.testing.assert_array_equal(model(Tensor(images)).data, Sequential(*layers, fuse=False)(Tensor(images)).data)


def plain_of(layer: Linear) -> Linear:
    """An ordinary layer that shares another's parameters."""
    twin = Linear(2, 2, rng=np.random.default_rng(1))
    twin.weight, twin.bias = layer.weight, layer.bias
    return twin


def test_gradients() -> None:
    rng = np.random.default_rng(1)
    model = Sequential(
        Linear(3, 4, rng=rng, dtype="float64"), Tanh(), Linear(4, 2, rng=rng, dtype="float64"), Sigmoid()
    )
    gradcheck(lambda x, *_: model(x), [rng.normal(size=(5, 3)), *model.parameters()], rng)


def test_it_is_a_list_of_layers() -> None:
    model = network()
    layers = list(model)
    assert len(model) == len(layers) == 7
    assert model[0] is layers[0]
    assert model[-1] is layers[6]
    with pytest.raises(IndexError):
        model[7]
    front = model.eval()[:3]
    assert isinstance(front, Sequential)
    assert list(front) == layers[:3]
    assert not front.training
    np.testing.assert_array_equal(model[3:](front(IMAGES)).data, model(IMAGES).data)


def test_a_part_of_a_stack_is_a_stack() -> None:
    part = network().stack(2)[:3]
    assert part.num_clients == 2
    assert part(np.stack([IMAGES] * 2)).shape == (2, 6, 18)


def test_append_adds_behind_and_fuses_too() -> None:
    rng = np.random.default_rng(1)
    model = Sequential()
    x = leaf(3, 2, dtype="float32")
    assert model(x) is x
    assert model.append(Linear(2, 2, rng=rng)).append(Tanh()) is model
    assert len(model) == 2
    assert len(model._steps) == 1
    assert not list(Sequential())


def test_only_modules_are_layers() -> None:
    for wrong in ([Tanh(), Tanh()], np.tanh, None):
        with pytest.raises(ParameterError, match=r"takes modules, one by one: Sequential\(a, b, c\), got"):
            Sequential(wrong)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="got str"):
        Sequential().append("tanh")  # type: ignore[arg-type]


def test_copies_run_their_own_layers() -> None:
    model = network()
    before = model(IMAGES).data
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(other, Module)
        np.testing.assert_array_equal(other(IMAGES).data, before)
        other.flatten().vector[:] = 0
        np.testing.assert_array_equal(other(IMAGES).data, np.zeros((6, 3)))
    np.testing.assert_array_equal(model(IMAGES).data, before)
