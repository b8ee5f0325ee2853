"""gradcheck finds wrong gradients, passes right ones, and leaves its inputs alone."""

import numpy as np
import pytest
from tensors import leaf, parameter

from fedgdl.autograd import Tensor, embedding_bag, gradcheck
from fedgdl.autograd.tensor import Array, record
from fedgdl.errors import GraphError


def square(x: Tensor, factor: float = 2.0) -> Tensor:
    """Returns x * x, whose gradient is right for the factor 2 alone."""

    def vjp(g: Array) -> None:
        x.receive(g * factor * x.data)

    return record(x.data * x.data, (x,), vjp)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_right_gradients_pass() -> None:
    gradcheck(square, [rng().normal(size=(2, 3))], rng())


@pytest.mark.parametrize("factor", [1.0, -2.0, 0.0, 2.0001, np.nan])
def test_wrong_gradients_are_found(factor: float) -> None:
    with pytest.raises(GraphError, match=r"the gradient of .*<lambda> along \[.*\]: expected .*, got "):
        gradcheck(lambda x: square(x, factor), [rng().normal(size=3)], rng())


def test_a_gradient_wrong_in_one_element_is_found() -> None:
    def almost(x: Tensor) -> Tensor:
        def vjp(g: Array) -> None:
            slope = 2 * g * x.data
            slope[7] *= 1.01
            x.receive(slope)

        return record(x.data * x.data, (x,), vjp)

    with pytest.raises(GraphError, match="almost"):
        gradcheck(almost, [rng().normal(size=20)], rng())


def test_a_lost_gradient_is_found() -> None:
    with pytest.raises(GraphError, match="expected"):
        gradcheck(lambda x: x * x.detach(), [rng().normal(size=3)], rng())


def test_inputs_are_as_before_and_without_gradient() -> None:
    x, table = leaf(3), parameter(4, 2)
    data, values = x.data, x.data.copy()
    table.grad = np.ones((4, 2))
    gradcheck(lambda a, t: embedding_bag(t, np.array([1, 1]), np.array([0, 2])).sum() * a, [x, table], rng())
    assert x.data is data
    np.testing.assert_array_equal(x.data, values)
    assert x.grad is None
    assert table.grad is None


def test_an_input_that_has_no_effect_has_gradient_zero() -> None:
    gradcheck(lambda x, _: x * 2, [rng().normal(size=2), rng().normal(size=2)], rng())


def test_inputs_of_another_kind_are_refused() -> None:
    for wrong in (np.ones(2, "float32"), Tensor([1.0])):
        with pytest.raises(GraphError, match="float64 inputs that require a gradient"):
            gradcheck(lambda x: x * 2, [wrong], rng())
