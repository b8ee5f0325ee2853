"""Layers over images: values against plain loops, gradients, initial ranges, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from tensors import leaf

from fedgdl.autograd import gradcheck
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import Conv2d, MaxPool2d, Sequential

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv2d(2, 3, 3, rng=RNG, dtype="float64"), (2, 5, 4, 2)),
        (Conv2d(1, 2, (1, 3), 2, 1, rng=RNG, dtype="float64"), (3, 4, 6, 1)),
        (Conv2d(2, 1, 2, bias=False, rng=RNG, dtype="float64"), (1, 2, 2, 2)),
    ],
)
def test_convolution_is_a_weighted_sum_of_each_window(layer: Conv2d, shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=shape)
    padded = np.pad(x, ((0, 0), (layer.padding, layer.padding), (layer.padding, layer.padding), (0, 0)))
    kh, kw, _, num_out = layer.weight.shape
    height, width = ((padded.shape[axis] - side) // layer.stride + 1 for axis, side in ((1, kh), (2, kw)))
    expected = np.zeros((shape[0], height, width, num_out))
    for row in range(height):
        for column in range(width):
            top, left = row * layer.stride, column * layer.stride
            window = padded[:, top : top + kh, left : left + kw, :, np.newaxis]
            expected[:, row, column] = (window * layer.weight.data).sum(axis=(1, 2, 3))
    if layer.bias is not None:
        expected += layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("kernel_size", "stride", "padding"), [(3, 1, 0), (2, 2, 1), ((3, 1), 1, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_convolution(kernel_size: int | tuple[int, int], stride: int, padding: int, *, bias: bool) -> None:
    rng = np.random.default_rng(1)
    layer = Conv2d(2, 3, kernel_size, stride, padding, bias, rng=rng, dtype="float64")
    gradcheck(lambda x, *_: layer(x), [rng.normal(size=(2, 5, 4, 2)), *layer.parameters()], rng)


def test_parameters_of_convolution_have_names_shapes_and_ranges() -> None:
    layer = Conv2d(4, 300, 5, rng=np.random.default_rng(1))
    assert [(name, p.shape, p.dtype.name) for name, p in layer.named_parameters()] == [
        ("weight", (5, 5, 4, 300), "float32"),
        ("bias", (300,), "float32"),
    ]
    for values in (parameter.data for parameter in layer.parameters()):  # 1 / sqrt(5 * 5 * 4) = 0.1
        assert -0.1 <= values.min() < -0.098
        assert 0.098 < values.max() <= 0.1
    plain = Conv2d(1, 1, 1, bias=False, rng=RNG)
    assert [name for name, _ in plain.named_parameters()] == ["weight"]


def test_pooling_takes_the_greatest_of_each_window() -> None:
    x = np.arange(2 * 4 * 6 * 3, dtype=float).reshape(2, 4, 6, 3)
    np.testing.assert_array_equal(MaxPool2d(2)(leaf(1) * 0 + x).data, x[:, 1::2, 1::2])
    np.testing.assert_array_equal(MaxPool2d(2, 1)(leaf(1) * 0 + x).data, x[:, 1:, 1:])
    rng = np.random.default_rng(1)
    gradcheck(MaxPool2d(2), [rng.permutation(x.ravel()).reshape(x.shape)], rng)


def test_what_does_not_fit_is_told() -> None:
    layer = Conv2d(2, 3, 3, rng=RNG)
    with pytest.raises(GraphError, match=r"conv2d: .*\(4, 4, 2\)"):
        layer(np.zeros((4, 4, 2), "float32"))
    with pytest.raises(GraphError, match="conv2d: "):
        layer(np.zeros((1, 2, 2, 2), "float32"))
    with pytest.raises(GraphError, match="max_pool2d: "):
        MaxPool2d(3)(leaf(1, 2, 2, 1))
    for impossible in ((0, 1), (1, 0)):
        with pytest.raises(ParameterError, match="a whole number from 1 on, got shape"):
            Conv2d(*impossible, 1, rng=RNG)
    with pytest.raises(ParameterError, match="pass rng="):
        Conv2d(1, 1, 1)


@pytest.mark.parametrize("integer", [int, np.int64, np.uint8, np.array])
def test_integers_of_any_type_are_taken(integer: Any) -> None:
    """The layer and its operation get Python's, and fuse with a pooling as usual."""
    layer = Conv2d(1, 2, integer(3), integer(2), integer(1), rng=RNG, dtype="float64")
    pooling = MaxPool2d(integer(2), integer(2))
    assert layer.weight.shape == (3, 3, 1, 2)
    assert Conv2d(1, 2, (integer(3), integer(1)), rng=RNG).weight.shape == (3, 1, 1, 2)
    assert Conv2d(1, 2, [3, 1], rng=RNG).weight.shape == (3, 1, 1, 2)  # type: ignore[arg-type]
    for number in (layer.stride, layer.padding, pooling.kernel_size, pooling.stride):
        assert type(number) is int
    x = RNG.normal(size=(2, 8, 8, 1))
    np.testing.assert_array_equal(Sequential(layer, pooling)(x).data, pooling(layer(x)).data)


NO_SIDES = [(3, 3, 3), (3,), (), 0, -1, (3, 0), 3.0, (3, 1.5), "33", None, True, np.ones(2, int), {3, 5}]
NO_NUMBERS = [(1, 1), 1.0, "same", True, np.ones(2, int), -1]


def allowed(error: pytest.ExceptionInfo[ParameterError], value: object) -> str:
    """What a message says between the argument's name and the value."""
    message = str(error.value)
    assert message.endswith(f", got {value!r}")
    return message.removesuffix(f", got {value!r}")


@pytest.mark.parametrize("value", NO_SIDES, ids=repr)
def test_a_window_is_a_whole_number_or_two(value: Any) -> None:
    with pytest.raises(ParameterError) as error:
        Conv2d(1, 2, value, rng=RNG)
    assert (
        allowed(error, value) == "Conv2d: kernel_size must be a whole number from 1 on or two of them, (height, width)"
    )
    with pytest.raises(ParameterError) as error:
        MaxPool2d(value)
    assert allowed(error, value) == "MaxPool2d: kernel_size must be a whole number from 1 on"


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_stride_and_padding_are_whole_numbers(value: Any) -> None:
    for make, owner, name, least in (
        (lambda: Conv2d(1, 2, 3, stride=value, rng=RNG), "Conv2d", "stride", 1),
        (lambda: Conv2d(1, 2, 3, padding=value, rng=RNG), "Conv2d", "padding", 0),
        (lambda: MaxPool2d(2, value), "MaxPool2d", "stride", 1),
    ):
        with pytest.raises(ParameterError) as error:
            make()
        assert allowed(error, value) == f"{owner}: {name} must be a whole number from {least} on"
    for make in (lambda: Conv2d(1, 2, 3, 0, rng=RNG), lambda: MaxPool2d(2, 0)):
        with pytest.raises(ParameterError, match="stride must be a whole number from 1 on, got 0"):
            make()


def test_a_generator_by_position_is_told_its_name() -> None:
    with pytest.raises(
        ParameterError, match=r"Conv2d: stride must be .*, got Generator.*; pass .* by name: rng=\.\.\."
    ):
        Conv2d(1, 2, 3, RNG)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"Conv2d: bias must be True or False, got Generator.*rng=\.\.\."):
        Conv2d(1, 2, 3, 1, 0, RNG)  # type: ignore[arg-type]
