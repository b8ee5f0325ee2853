"""Modules of one's own: what they may keep, and how their own parameters meet the clients axis of a stack."""

import numpy as np
import pytest

from fedgdl.autograd import Tensor
from fedgdl.errors import ParameterError
from fedgdl.nn import Linear, Module, Parameter


class Scaled(Module):
    """Each of three features times a factor of its own, and a shift for all."""

    def __init__(self) -> None:
        self.factor = Parameter(np.array([1.0, 2.0, 3.0]))
        self.shift = Parameter(np.array(0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.shift + x * self.factor


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3), (3, 3), (5, 2, 3)])
@pytest.mark.parametrize("num_clients", [1, 2, 3])
def test_own_parameters_meet_the_right_axes_of_a_stack(shape: tuple[int, ...], num_clients: int) -> None:
    stack = Scaled().stack(num_clients)
    vectors = np.random.default_rng(1).normal(size=stack.flatten().vector.shape)
    stack.flatten().load(vectors)
    x = np.random.default_rng(2).normal(size=(num_clients, *shape))
    y = stack(Tensor(x))
    y.backward(1.0)
    for client, vector in enumerate(vectors):
        alone = Scaled()
        alone.flatten().load(vector)
        expected = alone(Tensor(x[client]))
        expected.backward(1.0)
        np.testing.assert_array_equal(y.data[client], expected.data)
        for one, other in zip(stack.parameters(), alone.parameters(), strict=True):
            np.testing.assert_allclose(one.grad[client], other.grad, rtol=1e-14)


def test_modules_in_dictionaries_are_found_and_in_sets_refused() -> None:
    class Heads(Module):
        def __init__(self, heads: object) -> None:
            self.heads = heads

    rng = np.random.default_rng(3)
    heads = {"spam": Linear(2, 1, rng=rng), "topic": Linear(2, 4, rng=rng)}
    names = [name for name, _ in Heads(heads).named_parameters()]
    assert names == ["heads.spam.weight", "heads.spam.bias", "heads.topic.weight", "heads.topic.bias"]
    with pytest.raises(ParameterError, match=r"heads is a set, .*: keep them in a list"):
        list(Heads(set(heads.values())).parameters())
    assert not list(Heads({"a", "b"}).parameters())


def test_a_loss_is_printed_and_compared_as_a_number() -> None:
    loss = Tensor(np.array(0.25), requires_grad=True)
    assert f"{loss:.3f}" == "0.250"
    assert f"{loss}" == str(loss)
    assert float(loss) == 0.25
    assert loss
    assert not Tensor(np.zeros(1))
