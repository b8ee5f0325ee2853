"""Modules: what they find, how their parameters become one vector, and how they are copied."""

import copy
import pickle

import numpy as np
import pytest
from tensors import dense_gradient

from fedgdl.autograd import Parameter, Tensor
from fedgdl.errors import ParameterError
from fedgdl.nn import EmbeddingBag, Module, Sigmoid


class Scale(Module):
    """x * factor + shift."""

    def __init__(self, size: int, dtype: str = "float32") -> None:
        self.factor = Parameter(np.ones(size, dtype))
        self.label = "no parameter"
        self.shift = Parameter(np.zeros((1, size), dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift


class Tower(Module):
    """Modules in lists and tuples, a shared one, and parameters before and after them."""

    def __init__(self) -> None:
        self.first = Parameter(np.full(2, 2, "float32"))
        self.scales = [Scale(2)]
        self.nested = ([Scale(2)], Sigmoid())
        self.words = EmbeddingBag(3, 2, dtype="float32")
        self.again = self.words
        self.tied = self.words.weight
        self.last = Parameter(np.full((), 9, "float32"))

    def forward(self, x: Tensor) -> Tensor:
        return self.nested[1](self.nested[0][0](self.scales[0](x))) * self.last


TOWER_NAMES = [
    "first",
    "scales.0.factor",
    "scales.0.shift",
    "nested.0.0.factor",
    "nested.0.0.shift",
    "words.weight",
    "last",
]


def test_parameters_are_found_in_order_each_once() -> None:
    tower = Tower()
    assert [name for name, _ in tower.named_parameters()] == TOWER_NAMES
    assert list(tower.parameters()) == [parameter for _, parameter in tower.named_parameters()]
    assert [type(module).__name__ for module in tower.modules()] == [
        "Tower",
        "Scale",
        "Scale",
        "Sigmoid",
        "EmbeddingBag",
    ]


def test_a_module_that_holds_its_owner_is_walked_once() -> None:
    tower = Tower()
    vars(tower.scales[0])["owner"] = tower
    assert [name for name, _ in tower.named_parameters()] == TOWER_NAMES


def test_calling_runs_forward() -> None:
    y = Scale(2)(Tensor(np.array([3, 4], "float32")))
    np.testing.assert_array_equal(y.data, [[3, 4]])
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()()


def test_train_and_eval_reach_every_module() -> None:
    tower = Tower()
    assert all(module.training for module in tower.modules())
    assert tower.eval() is tower
    assert not any(module.training for module in tower.modules())
    assert Tower().training
    assert tower.train() is tower
    assert all(module.training for module in tower.modules())


def test_flatten_keeps_order_and_values() -> None:
    tower = Tower()
    flat = tower.flatten()
    assert list(flat) == TOWER_NAMES
    assert flat.layout.dtype == "float32"
    np.testing.assert_array_equal(flat.vector, [2, 2, 1, 1, 0, 0, 1, 1, 0, 0, *[0] * 6, 9])
    assert [parameter.name for parameter in tower.parameters()] == TOWER_NAMES


def test_the_vector_and_the_views_are_the_same_memory() -> None:
    tower = Tower()
    flat = tower.flatten()
    for name, parameter in tower.named_parameters():
        assert np.shares_memory(parameter.data, flat.vector)
        assert parameter.data.shape == flat[name].shape
    flat.load(np.arange(flat.layout.size, dtype="float32"))
    np.testing.assert_array_equal(tower.words.weight.data, [[10, 11], [12, 13], [14, 15]])
    assert tower.last.item() == 16
    tower.first.data[1] = -5
    assert flat.vector[1] == -5


def test_flatten_again_returns_the_same_vector_and_keeps_gradients() -> None:
    tower = Tower()
    flat = tower.flatten()
    flat.vector[:] = 3
    (tower.first * 2).sum().backward()
    assert tower.flatten() is flat
    np.testing.assert_array_equal(flat.vector, np.full(flat.layout.size, 3))
    np.testing.assert_array_equal(dense_gradient(tower.first), [2, 2])


def test_dense_gradients_lie_in_one_vector() -> None:
    tower = Tower()
    tower.flatten()
    tower(Tensor(np.ones((1, 2), "float32"))).sum().backward()
    factor, shift = tower.scales[0].factor, tower.scales[0].shift
    assert dense_gradient(factor).base is dense_gradient(shift).base
    assert dense_gradient(factor).base is not None


def test_a_parameter_lies_in_one_vector_only() -> None:
    inner_first = Tower()
    inner_first.words.flatten()
    with pytest.raises(ParameterError, match=r"words.weight of Tower already lie in another vector; flatten the outer"):
        inner_first.flatten()
    outer_first = Tower()
    flat = outer_first.flatten()
    with pytest.raises(ParameterError, match="weight of EmbeddingBag already lie"):
        outer_first.words.flatten()
    vars(outer_first)["late"] = Scale(1)
    with pytest.raises(ParameterError, match="already lie in another vector"):
        outer_first.flatten()
    del vars(outer_first)["late"]
    assert outer_first.flatten() is flat


def test_what_cannot_be_one_vector_is_told() -> None:
    tower = Tower()
    vars(tower)["wide"] = Scale(1, "float64")
    with pytest.raises(ParameterError, match=r"one dtype .* first float32, .* wide.factor float64"):
        tower.flatten()
    assert tower.first.parameters is None
    with pytest.raises(ParameterError, match=r"Sigmoid needs parameters .* it has no parameters"):
        Sigmoid().flatten()


def test_zero_grad_drops_all_gradients() -> None:
    tower = Tower()
    tower(Tensor(np.ones((1, 2), "float32"))).sum().backward()
    assert tower.last.grad is not None
    tower.zero_grad()
    assert all(parameter.grad is None for parameter in tower.parameters())


def test_a_copy_is_a_model_of_its_own() -> None:
    tower = Tower().eval()
    flat = tower.flatten()
    for other in (copy.deepcopy(tower), pickle.loads(pickle.dumps(tower))):
        assert other._flat is None
        assert not other.training
        assert other.tied is other.words.weight
        theirs = other.flatten()
        np.testing.assert_array_equal(theirs.vector, flat.vector)
        assert theirs.layout == flat.layout
        theirs.vector[:] = 4
        assert other.last.item() == 4
        assert tower.last.item() == 9


def test_repr_lists_names_and_shapes() -> None:
    assert repr(Scale(2)) == "Scale(factor (2,), shift (1, 2))"
    assert repr(Sigmoid()) == "Sigmoid()"
