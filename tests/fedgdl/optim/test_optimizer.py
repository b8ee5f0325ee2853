"""What all optimisers share: which parameters move, gradients used up, state saved and restored, memory."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from optimizers import OPTIMIZERS, Array, Flat, send_gradients
from tensors import parameter as parameter_of

from fedgdl import optim
from fedgdl.autograd import Parameter
from fedgdl.errors import ConfigError, GraphError, ParameterError
from fedgdl.optim.optimizer import Optimizer

rules = pytest.mark.parametrize("rule", OPTIMIZERS)


@rules
def test_parameters_without_gradient_and_frozen_ones_stay_in_value_and_state(rule: str) -> None:
    flat = Flat(shapes={"used": (2,), "unused": (2,), "frozen": (2,), "other": (2,)}, dtype="float64")
    flat.by_name["frozen"].requires_grad = False
    optimizer = OPTIMIZERS[rule](flat.parameters)
    before = optimizer.state_dict()
    for name in ("used", "other"):
        flat.by_name[name].receive(np.ones(2))
    optimizer.step()
    np.testing.assert_array_equal(flat.vector != 0, [True, True, False, False, False, False, True, True])
    changed = {name for name, array in optimizer.state_dict().items() if not np.array_equal(array, before[name])}
    assert {name.split(".")[0] for name in changed} == ({"used", "other"} if len(before) > 1 else set())


@rules
def test_a_step_uses_every_gradient_up_and_keeps_arrays_and_dtype(rule: str) -> None:
    flat = Flat()
    arrays = [parameter.data for parameter in flat.parameters]
    optimizer = OPTIMIZERS[rule](flat.parameters)
    optimizer.lr = np.float64(0.1)
    for step in range(3):
        send_gradients(flat, [np.random.default_rng(step)])
        optimizer.step()
        assert [parameter.grad for parameter in flat.parameters] == [None] * 5
    assert all(parameter.data is array for parameter, array in zip(flat.parameters, arrays, strict=True))
    assert type(optimizer.lr) is float
    assert {array.dtype.name for name, array in optimizer.state_dict().items() if name != "lr"} <= {"float32", "int64"}


@rules
def test_gradients_may_come_to_other_parameters_each_step(rule: str) -> None:
    """Each parameter moves by its own gradients and its own number of steps, whoever else had one."""
    flat = Flat(shapes={"a": (3,), "b": (2,), "c": (4,)}, dtype="float64")
    alone = [Parameter(np.zeros(parameter.shape)) for parameter in flat.parameters]
    optimizer, each = OPTIMIZERS[rule](flat.parameters), [OPTIMIZERS[rule]([parameter]) for parameter in alone]
    rng = np.random.default_rng(4)
    for has_gradient in ([1, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]):
        for parameter, other, given in zip(flat.parameters, alone, has_gradient, strict=True):
            if given:
                gradient = rng.normal(size=parameter.shape)
                parameter.receive(gradient)
                other.receive(gradient)
        optimizer.step()
        for one in each:
            one.step()
    np.testing.assert_allclose(flat.vector, np.concatenate([other.data for other in alone]), rtol=1e-13)


@rules
def test_a_gradient_may_be_dense_in_one_step_and_sparse_in_another(rule: str) -> None:
    flat, dense = Flat(shapes={"words": (3, 2), "last": (2,)}, dtype="float64"), Parameter(np.zeros((3, 2)))
    optimizer, other = OPTIMIZERS[rule](flat.parameters), OPTIMIZERS[rule]([dense])
    rng = np.random.default_rng(5)
    for step in range(6):
        rows = rng.normal(size=(3, 2))
        flat.by_name["last"].receive(np.ones(2))
        if step % 3 == 1:
            flat.by_name["words"].receive_rows(np.arange(3), rows)
        else:
            flat.by_name["words"].receive(rows)
        dense.receive(rows)
        optimizer.step()
        other.step()
    np.testing.assert_allclose(flat.by_name["words"].data, dense.data, rtol=1e-12)


@rules
def test_a_run_resumed_from_its_state_has_the_same_bits(rule: str) -> None:
    def train(flat: Flat, optimizer: Optimizer, steps: range) -> None:
        for step in steps:
            optimizer.lr = 0.1 / (1 + step)
            send_gradients(flat, [np.random.default_rng(step)])
            if step == 1:
                flat.by_name["bias"].grad = None  # so that neighbours have taken different numbers of steps
            optimizer.step()

    whole, first, second = Flat(), Flat(), Flat()
    train(whole, OPTIMIZERS[rule](whole.parameters), range(8))
    former = OPTIMIZERS[rule](first.parameters)
    train(first, former, range(5))
    second.whole.load(first.vector)
    resumed = OPTIMIZERS[rule](second.parameters)
    send_gradients(second, [np.random.default_rng(0)])  # it may have a plan already
    resumed.step()
    second.whole.load(first.vector)
    resumed.load_state_dict(former.state_dict())
    assert resumed.lr == former.lr
    train(second, resumed, range(5, 8))
    np.testing.assert_array_equal(second.vector, whole.vector)


def test_the_state_has_names_shapes_and_steps() -> None:
    flat = Flat(shapes={"weight": (2, 3), "bias": (3,)})
    optimizer = optim.Adam(flat.parameters)
    flat.by_name["bias"].receive(np.ones(3, "float32"))
    optimizer.step()
    state = optimizer.state_dict()
    assert {name: array.shape for name, array in state.items()} == {
        "lr": (),
        "weight.steps": (),
        "weight.gradient_sum": (2, 3),
        "weight.square_sum": (2, 3),
        "bias.steps": (),
        "bias.gradient_sum": (3,),
        "bias.square_sum": (3,),
    }
    assert (state["weight.steps"], state["bias.steps"]) == (0, 1)
    np.testing.assert_array_equal(state["bias.gradient_sum"], np.ones(3))
    state["bias.gradient_sum"][:] = 7  # a copy: the optimiser's own stays
    assert (optimizer.state_dict()["bias.gradient_sum"] == 1).all()


def test_parameters_without_names_are_numbered() -> None:
    twins = [Parameter([1.0]), Parameter([2.0])]
    assert set(optim.Adagrad(twins).state_dict()) == {"lr", "0.steps", "0.square_sum", "1.steps", "1.square_sum"}
    assert set(optim.SGD(twins, 0.1).state_dict()) == {"lr"}


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda state: state.pop("lr"), "lr is missing"),
        (lambda state: state.pop("0.square_sum"), "0.square_sum is missing"),
        (lambda state: state.update(extra=np.zeros(1)), "extra is not expected"),
        (lambda state: state.update({"0.square_sum": np.zeros(3)}), r"shape \(3,\) of float64 instead of \(2,\)"),
        (
            lambda state: state.update({"0.steps": np.zeros((), "int32")}),
            r"shape \(\) of int32 instead of \(\) of int64",
        ),
    ],
)
def test_a_state_of_something_else_is_refused_whole(change: Callable[[dict[str, Array]], object], note: str) -> None:
    optimizer = optim.Adagrad([Parameter([1.0, 2.0])], lr=0.5)
    before = optimizer.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    change(state)
    with pytest.raises(ParameterError, match=note):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


@rules
def test_the_state_moves_along_when_parameters_are_packed_into_a_vector(rule: str) -> None:
    flat, single = Flat(dtype="float64"), [Parameter(parameter.data) for parameter in Flat(dtype="float64").parameters]
    optimizer, expected = OPTIMIZERS[rule](single), OPTIMIZERS[rule](flat.parameters)
    for step in range(4):
        send_gradients(flat, [np.random.default_rng(step)])
        if step == 2:
            packed = Flat(dtype="float64")
            for parameter, name in zip(single, flat.by_name, strict=True):
                gradients = packed.by_name[name].gradients
                assert gradients is not None
                parameter.bind(name, packed.whole, gradients)
        for parameter, other in zip(flat.parameters, single, strict=True):
            gradient = parameter.grad
            other.grad = gradient.copy() if isinstance(gradient, np.ndarray) else gradient
        expected.step()
        optimizer.step()
    for parameter, other in zip(flat.parameters, single, strict=True):
        np.testing.assert_allclose(other.data, parameter.data, rtol=1e-13)


@rules
def test_steps_take_no_memory_after_the_first(rule: str) -> None:
    flat = Flat(shapes={"weight": (300, 300), "bias": (300,)})
    gradients = [np.ones(parameter.shape, "float32") for parameter in flat.parameters]
    optimizer = OPTIMIZERS[rule](flat.parameters)

    def steps(number: int) -> None:
        for _ in range(number):
            for parameter, gradient in zip(flat.parameters, gradients, strict=True):
                parameter.receive(gradient)
            optimizer.step()

    steps(3)
    tracemalloc.start()
    try:
        steps(10)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        steps(1000)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000
    assert peak - before < 10_000  # nothing of the size of a parameter, 360 kB, is made on the way


@pytest.mark.parametrize("elsewhere", ["a", "b", "ab", "bc", "abc"])
def test_a_gradient_from_elsewhere_is_used_too(elsewhere: str) -> None:
    flat = Flat(shapes={"a": (2, 3), "b": (2, 3), "c": (2, 3)}, dtype="float64")
    gradient = np.arange(6.0).reshape(2, 3)
    scattered, read_only = np.asfortranarray(gradient), gradient.copy()
    read_only.flags.writeable = False
    for name, own in zip("abc", (gradient.copy(), scattered, read_only), strict=True):
        if name in elsewhere:
            flat.by_name[name].grad = own
        else:
            flat.by_name[name].receive(gradient)
    optim.SGD(flat.parameters, lr=1.0, momentum=0.5, nesterov=True).step()
    np.testing.assert_array_equal(flat.vector, -1.5 * np.tile(gradient.reshape(-1), 3))


@pytest.mark.parametrize("gradient", [np.ones(2), np.ones((1, 3)), np.ones(3, "float32")])
def test_a_gradient_that_does_not_fit_is_refused_before_anything_moves(gradient: Array) -> None:
    first, second = Parameter(np.zeros(3)), Parameter(np.zeros(3))
    first.grad, second.grad = np.ones(3), gradient
    optimizer = optim.Adam([first, second])
    for _ in range(2):
        with pytest.raises(ParameterError, match="cannot take a step along a gradient of shape"):
            optimizer.step()
    np.testing.assert_array_equal(first.data, 0)
    second.grad = np.ones(3)
    optimizer.step()
    assert (first.data == second.data).all()
    assert (first.data < 0).all()


def test_data_that_left_their_vector_are_noticed() -> None:
    flat = Flat(shapes={"a": (2,), "b": (2,)})
    optimizer = optim.SGD(flat.parameters, 0.1)
    flat.by_name["a"].data = np.ones(2, "float32")
    flat.by_name["a"].receive(np.ones(2, "float32"))
    with pytest.raises(ParameterError, match=r"write into them \(parameter.data\[...\] = values\)"):
        optimizer.step()


def test_data_of_a_parameter_without_vector_may_be_replaced_but_not_scattered() -> None:
    weight = Parameter(np.zeros((2, 3)))
    optimizer = optim.SGD([weight], 1.0)
    for data in (np.zeros((2, 3)), np.ones((2, 3))):
        weight.data = data
        weight.receive(np.ones((2, 3)))
        optimizer.step()
        np.testing.assert_array_equal(weight.data, data)
        assert weight.data is data
    weight.data = np.zeros((3, 2)).T
    weight.receive(np.ones((2, 3)))
    with pytest.raises(ParameterError, match="must be contiguous"):
        optimizer.step()


def test_two_models_and_two_dtypes_in_one_optimizer() -> None:
    flats = [Flat(shapes={"a": (2,), "b": (3,)}, dtype=dtype) for dtype in ("float32", "float64")]
    optimizer = optim.Adam([*flats[0].parameters, *flats[1].parameters], lr=0.5)
    for flat in flats:
        for parameter in flat.parameters:
            parameter.receive(np.ones(parameter.shape, parameter.dtype))
    optimizer.step()
    for flat in flats:
        np.testing.assert_allclose(flat.vector, -0.5, rtol=1e-6)
    assert {"0.steps", "3.steps"} < set(optimizer.state_dict())


def test_zero_grad_drops_gradients() -> None:
    flat = Flat()
    send_gradients(flat, [np.random.default_rng(0)])
    optimizer = optim.Adam(flat.parameters)
    optimizer.zero_grad()
    optimizer.step()
    assert not flat.vector.any()


def test_parameters_that_cannot_be_optimized_are_refused() -> None:
    one = Parameter([1.0])
    generator = iter([one])
    list(generator)
    with pytest.raises(ConfigError, match="Adam: there are no parameters to change"):
        optim.Adam(generator)
    with pytest.raises(ConfigError, match=r"SGD: Parameter\(unnamed: \(1,\) float64\) is given twice"):
        optim.SGD([one, Parameter([2.0]), one], lr=0.1)
    with pytest.raises(ConfigError, match="Yogi: expected parameters, got ndarray"):
        optim.Yogi([one, np.zeros(2)])  # type: ignore[list-item]


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), float("inf"), True, "0.1", None])
@pytest.mark.parametrize("cls", [optim.SGD, optim.Adam, optim.AdamW, optim.Adagrad, optim.Yogi])
def test_impossible_learning_rates_are_refused(cls: Callable[..., Optimizer], lr: float) -> None:
    with pytest.raises(ConfigError, match=f"{cls.__name__}: lr must be a positive finite number, got {lr!r}"):
        cls([Parameter([1.0])], lr=lr)
    optimizer = cls([Parameter([1.0])], lr=1)
    if lr != 0 or lr is True:
        with pytest.raises(ConfigError, match=f"lr must be a finite number that is 0 or more, got {lr!r}"):
            optimizer.lr = lr
        assert optimizer.lr == 1


@pytest.mark.parametrize("cls", [optim.SGD, optim.Adam, optim.AdamW, optim.Adagrad, optim.Yogi])
def test_with_a_learning_rate_of_zero_nothing_moves(cls: Callable[..., Optimizer]) -> None:
    one = Parameter([1.0])
    optimizer = cls([one], lr=1, weight_decay=0.5)
    optimizer.lr = 0
    one.receive(np.ones(1))
    optimizer.step()
    np.testing.assert_array_equal(one.data, [1.0])


@pytest.mark.parametrize(
    ("cls", "argument", "value"),
    [
        (optim.SGD, "momentum", 1.0),
        (optim.SGD, "momentum", -0.1),
        (optim.SGD, "weight_decay", -1),
        (optim.SGD, "weight_decay", float("inf")),
        (optim.Adam, "betas", 0.9),
        (optim.Adam, "betas", (0.9,)),
        (optim.Adam, "betas[0]", (1.0, 0.9)),
        (optim.AdamW, "betas[1]", (0.9, float("nan"))),
        (optim.Adam, "eps", 0),
        (optim.AdamW, "weight_decay", -1),
        (optim.Adagrad, "lr_decay", -1),
        (optim.Adagrad, "eps", -1),
        (optim.Adagrad, "initial_accumulator_value", -1),
        (optim.Adagrad, "weight_decay", "0.1"),
        (optim.Yogi, "betas[1]", (0.9, 1)),
        (optim.Yogi, "eps", float("inf")),
        (optim.Yogi, "initial_accumulator_value", -1e-9),
    ],
)
def test_impossible_hyper_parameters_are_named_with_their_value(
    cls: Callable[..., Optimizer], argument: str, value: object
) -> None:
    name, _, index = argument.partition("[")
    shown = value[int(index[0])] if index and isinstance(value, tuple) else value
    with pytest.raises(ConfigError) as caught:
        cls([Parameter([1.0])], lr=0.1, **{name: value})
    assert str(caught.value).startswith(f"{cls.__name__}: {argument} must be ")
    assert str(caught.value).endswith(f", got {shown!r}")


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ConfigError, match="SGD: nesterov=True needs momentum above 0"):
        optim.SGD([Parameter([1.0])], lr=0.1, nesterov=True)


def test_a_graph_that_is_older_than_a_step_is_refused() -> None:
    weight, other = parameter_of(3), parameter_of(3, seed=1)
    optimizer = optim.SGD([weight, other], lr=0.5)
    stale, unaffected = (weight * weight).sum(), (other * 2).sum()
    (weight * 3).sum().backward()
    optimizer.step()
    with pytest.raises(
        GraphError, match=r"backward: a parameter of shape \(3,\) was changed by a step after this graph"
    ):
        stale.backward()
    unaffected.backward()  # `other` had no gradient, so the step left it alone
    np.testing.assert_array_equal(other.grad, [2.0, 2, 2])
    again = (weight * weight).sum()
    again.backward()
    np.testing.assert_array_equal(weight.grad, 2 * weight.data)
