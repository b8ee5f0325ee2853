"""Modules: what they find, how their parameters become one vector, and how they are copied, saved and loaded."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensors import dense_gradient

from fedgdl.autograd import Parameter, Tensor
from fedgdl.errors import ParameterError
from fedgdl.nn import Dropout, EmbeddingBag, Linear, Module, Sequential, Sigmoid, Tanh, init


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
        self.words = EmbeddingBag(3, 2, initial=init.zeros)
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
    assert [path for path, _ in tower.named_modules()] == ["", "scales.0", "nested.0.0", "nested.1", "words"]


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


def test_a_module_may_return_several_tensors() -> None:
    class Both(Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x * 2

    once, twice = Both()(Tensor([1.0]))
    assert (once.item(), twice.item()) == (1, 2)


def test_a_module_may_name_its_contents_itself() -> None:
    class Renamed(Scale):
        def contents(self) -> Any:
            return ((name.replace("factor", "weight"), value) for name, value in super().contents())

    assert [name for name, _ in Renamed(2).named_parameters()] == ["weight", "shift"]


def test_a_stream_reaches_what_draws_however_deep() -> None:
    dropout = Dropout()
    model = Sequential(Sequential(dropout))
    rng = np.random.default_rng(1)
    assert model.train(rng) is model
    assert dropout.rng is rng
    assert model.rng is None
    model.eval()
    assert dropout.rng is rng
    assert model.train()[0] is model[0]
    assert dropout.rng is None


def network(seed: int = 1, hidden: int = 4, dtype: str = "float32") -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Linear(3, hidden, rng=rng, dtype=dtype),  # type: ignore[arg-type]
        Tanh(),
        Linear(hidden, 2, rng=rng, dtype=dtype),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_was_saved_is_loaded(tmp_path: Path, dtype: str, *, flat: bool) -> None:
    model, other = network(1, dtype=dtype), network(2, dtype=dtype)
    if flat:
        model.flatten()
        other.flatten()
    model.save(tmp_path / "model.safetensors")
    other.load(str(tmp_path / "model.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(theirs.data, mine.data)
        assert (mine.parameters is not None) == flat
    if flat:
        np.testing.assert_array_equal(other.flatten().vector, model.flatten().vector)


def test_to_save_and_load_a_part_leaves_its_vector_alone(tmp_path: Path) -> None:
    model = network()
    flat = model.flatten()
    model[0].save(tmp_path / "first")
    first = flat.vector[:16].copy()
    flat.vector[:] = 0
    model[0].load(tmp_path / "first")
    np.testing.assert_array_equal(flat.vector[:16], first)
    np.testing.assert_array_equal(flat.vector[16:], np.zeros(10))
    assert model.flatten() is flat


def test_a_file_that_does_not_fit_is_refused_by_its_differences(tmp_path: Path) -> None:
    network(hidden=5).save(tmp_path / "wide")
    model = network()
    before = copy.deepcopy(model)
    with pytest.raises(ParameterError, match=r"0.weight has shape \(3, 5\) instead of \(3, 4\); 0.bias has shape"):
        model.load(tmp_path / "wide")
    with pytest.raises(ParameterError, match=r"2\.weight is not expected; 2\.bias is not expected"):
        Sequential(Linear(3, 5, rng=np.random.default_rng(1))).load(tmp_path / "wide")
    with pytest.raises(ParameterError, match="dtype is float32 instead of float64"):
        network(hidden=5, dtype="float64").load(tmp_path / "wide")
    with pytest.raises(ParameterError, match="cannot be read as a model file"):
        model.load(tmp_path / "missing")
    (tmp_path / "damaged").write_bytes((tmp_path / "wide").read_bytes()[:50])
    with pytest.raises(ParameterError, match="cannot be read as a model file"):
        model.load(tmp_path / "damaged")
    for old, new in zip(before.parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(old.data, new.data)


def test_a_stack_is_loaded_but_not_saved(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "one")
    stack = network(2).stack(3)
    with pytest.raises(ParameterError, match=r"a stack of 3 clients is not saved; load one client's row of `flatten"):
        stack.save(tmp_path / "stack")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    stack.load(tmp_path / "one")
    np.testing.assert_array_equal(stack.flatten().vector, [model.flatten().vector] * 3)


def test_a_narrowed_stack_is_loaded_as_a_whole(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "one")
    model[0].save(tmp_path / "first")
    model[:1].save(tmp_path / "slice")
    expected = model.flatten().vector
    stack = network(2).stack(3)
    flat = stack.flatten()
    stack.activate(2).load(tmp_path / "one")
    np.testing.assert_array_equal(flat.vector, [expected] * 3)
    assert {parameter.shape[0] for parameter in stack.parameters()} == {2}  # narrowed still
    for part, file in ((stack[0], "first"), (stack[:1], "slice")):
        flat.vector[:] = 0
        part.load(tmp_path / file)
        np.testing.assert_array_equal(flat.vector[:, :16], [expected[:16]] * 3)
        np.testing.assert_array_equal(flat.vector[:, 16:], np.zeros((3, 10)))
    other = copy.deepcopy(stack)  # a model of its own, of the two clients
    other.load(tmp_path / "one")
    np.testing.assert_array_equal(other.flatten().vector, [expected] * 2)
    np.testing.assert_array_equal(flat.vector[:, 16:], np.zeros((3, 10)))


def test_what_has_no_parameters_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="it has no parameters"):
        Tanh().save(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


def test_copies_of_stacks_are_stacks_of_their_own() -> None:
    stack = network().stack(2)
    flat = stack.flatten()
    flat.vector[1] = 7
    for other in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack))):
        assert {module.num_clients for module in other.modules()} == {2}
        theirs = other.flatten()
        np.testing.assert_array_equal(theirs.vector, flat.vector)
        assert not np.shares_memory(theirs.vector, flat.vector)
