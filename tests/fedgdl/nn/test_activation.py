"""Functions between layers: they are the operations of the same name."""

from collections.abc import Callable

import numpy as np
import pytest
from tensors import leaf

from fedgdl.autograd import Tensor, gradcheck, relu, sigmoid, softmax, tanh
from fedgdl.errors import GraphError
from fedgdl.nn import Module, ReLU, Sigmoid, Softmax, Tanh

PAIRS = [(ReLU(), relu), (Tanh(), tanh), (Sigmoid(), sigmoid), (Softmax(), softmax)]


@pytest.mark.parametrize(("layer", "operation"), PAIRS)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 1), (0, 2)])
def test_layers_are_the_operations(
    layer: Module, operation: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    for dtype in ("float32", "float64"):
        x = leaf(*shape, dtype=dtype)
        np.testing.assert_array_equal(layer(x).data, operation(x).data)
        assert layer(x).dtype == dtype
    assert not list(layer.parameters())


@pytest.mark.parametrize(("layer", "_"), PAIRS)
def test_gradients(layer: Module, _: object) -> None:
    rng = np.random.default_rng(1)
    gradcheck(layer, [rng.normal(size=(4, 3))], rng)


def test_softmax_takes_any_axis_of_a_client() -> None:
    x = leaf(2, 3, 4)
    for axis in (-1, 0, 1, 2):
        y = Softmax(axis)(x)
        np.testing.assert_array_equal(y.data, softmax(x, axis).data)
        np.testing.assert_allclose(y.data.sum(axis), np.ones_like(y.data.sum(axis)), rtol=1e-14)
    stacked = Softmax(0).stack(2)(x)
    np.testing.assert_allclose(stacked.data.sum(1), np.ones((2, 4)), rtol=1e-14)
    with pytest.raises(GraphError, match="softmax: "):
        Softmax(3)(x)
