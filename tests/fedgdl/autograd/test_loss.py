"""Losses: gradients in odd shapes, values, large logits, the bits of stacks, and what they refuse."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import Shape, assert_inputs_are_left_alone, assert_stack_equals_alone, dense_gradient, leaf

from fedgdl.autograd import Tensor, gradcheck, sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from fedgdl.errors import GraphError

REDUCTIONS = ["mean", "sum", "none"]
# One, none of a batch, batches of one, and more axes.
SHAPES: list[Shape] = [(), (1,), (0,), (4,), (1, 1), (0, 3), (2, 3), (2, 3, 4)]

Loss = Callable[..., Tensor]


def reductions_of(shape: Shape) -> list[dict[str, Any]]:
    """Every way in which losses of this shape may be reduced: there is no mean of nothing."""
    ways = [{"reduction": reduction} for reduction in REDUCTIONS if math.prod(shape) or reduction != "mean"]
    if shape and shape[0]:
        ways += [
            {"reduction": reduction, "per_client": True}
            for reduction in REDUCTIONS
            if math.prod(shape[1:]) or reduction != "mean"
        ]
    return ways


def reduced(losses: npt.NDArray[Any], reduction: str, *, per_client: bool = False) -> npt.NDArray[Any]:
    """The obvious reduction."""
    if reduction == "none":
        return losses
    axes = tuple(range(1 if per_client else 0, losses.ndim))
    return losses.sum(axes) if reduction == "sum" else losses.mean(axes)


CASES = [(shape, way) for shape in SHAPES for way in reductions_of(shape)]
CASE_IDS = [f"{shape} {' '.join(map(str, way.values()))}" for shape, way in CASES]


# Gradients


@pytest.mark.parametrize(("shape", "way"), CASES, ids=CASE_IDS)
def test_gradients_of_the_squared_error(shape: Shape, way: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    x, target = rng.normal(size=shape), rng.normal(size=shape)
    gradcheck(lambda x, t: squared_error(x, t, **way), [x, target], rng)
    gradcheck(lambda x: squared_error(x, target, **way), [x], rng)
    gradcheck(lambda t: squared_error(Tensor(x), t, **way), [target], rng)


@pytest.mark.parametrize("num_classes", [1, 2, 5])
@pytest.mark.parametrize(("shape", "way"), CASES, ids=CASE_IDS)
def test_gradients_of_the_softmax_cross_entropy(shape: Shape, way: dict[str, Any], num_classes: int) -> None:
    rng = np.random.default_rng(5)
    ids = rng.integers(0, num_classes, shape)
    gradcheck(lambda x: softmax_cross_entropy(x, ids, **way), [rng.normal(size=(*shape, num_classes))], rng)


@pytest.mark.parametrize(("shape", "way"), CASES, ids=CASE_IDS)
def test_gradients_of_the_sigmoid_cross_entropy(shape: Shape, way: dict[str, Any]) -> None:
    rng = np.random.default_rng(6)
    targets = np.asarray(rng.random(shape))
    gradcheck(lambda x: sigmoid_cross_entropy(x, targets, **way), [rng.normal(size=shape)], rng)
    gradcheck(lambda x: sigmoid_cross_entropy(x, Tensor(targets), **way), [rng.normal(size=shape)], rng)


def test_the_gradient_with_one_tensor_in_both_places() -> None:
    rng = np.random.default_rng(5)
    gradcheck(lambda x: squared_error(x, x.sigmoid()), [rng.normal(size=(3, 3))], rng)
    x = leaf(3)
    squared_error(x, x).backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 0])


# Values


def test_the_value_of_the_squared_error() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert squared_error(Tensor(x), np.ones((2, 3))).item() == 1 + 0 + 1 + 4 + 9 + 16
    assert squared_error(Tensor(x), np.ones((2, 3)), "mean").item() == 31 / 6
    np.testing.assert_array_equal(squared_error(Tensor(x), np.ones((2, 3)), "none").data, [[1, 0, 1], [4, 9, 16]])
    np.testing.assert_array_equal(squared_error(Tensor(x), np.ones((2, 3)), per_client=True).data, [2, 29])
    np.testing.assert_array_equal(
        squared_error(Tensor(x), np.ones((2, 3)), "mean", per_client=True).data, [2 / 3, 29 / 3]
    )


def test_values_that_are_known() -> None:
    x = Tensor(np.zeros((2, 4)), requires_grad=True)  # all classes alike: log 4 each
    loss = softmax_cross_entropy(x, np.array([0, 3]), "sum")
    np.testing.assert_allclose(loss.item(), 2 * math.log(4), rtol=1e-15)
    loss.backward()
    np.testing.assert_array_equal(x.grad, [[-0.75, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, -0.75]])
    y = Tensor(np.zeros(3), requires_grad=True)  # a coin: log 2 whatever came
    loss = sigmoid_cross_entropy(y, np.array([0.0, 0.25, 1.0]), "sum")
    np.testing.assert_allclose(loss.item(), 3 * math.log(2), rtol=1e-15)
    loss.backward()
    np.testing.assert_array_equal(y.grad, [0.5, 0.25, -0.5])
    assert softmax_cross_entropy(Tensor([[3.0]]), np.array([0])).item() == 0  # a single class is certain


@given(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), st.integers(1, 4), st.integers(0, 2**32))
def test_the_softmax_cross_entropy_of_each_row(shape: Shape, num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, ids = rng.normal(scale=5, size=(*shape, num_classes)), rng.integers(0, num_classes, shape)
    losses = np.empty(shape)
    for index in np.ndindex(shape):
        odds = [math.exp(logit - x[(*index, ids[index])]) for logit in x[index]]
        losses[index] = math.log(math.fsum(odds))
    for way in reductions_of(shape):
        np.testing.assert_allclose(
            softmax_cross_entropy(Tensor(x), ids, **way).data, reduced(losses, **way), rtol=1e-13, atol=1e-14
        )


@given(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), st.integers(0, 2**32))
def test_the_sigmoid_cross_entropy_of_each_element(shape: Shape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, targets = np.asarray(rng.normal(scale=5, size=shape)), np.asarray(rng.random(shape))
    losses = np.empty(shape)
    for index in np.ndindex(shape):
        yes, no = (1 / (1 + math.exp(sign * x[index])) for sign in (-1, 1))
        losses[index] = -targets[index] * math.log(yes) - (1 - targets[index]) * math.log(no)
    for way in reductions_of(shape):
        found = sigmoid_cross_entropy(Tensor(x), targets, **way).data
        np.testing.assert_allclose(found, reduced(losses, **way), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_are_exact_and_silent(dtype: str) -> None:
    logits = np.array([[1e4, 0.0], [1e4, 0.0], [-1e4, 1e4], [1e4, 1e4], [-1e4, -1e4]], dtype)
    x = Tensor(logits, requires_grad=True)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        losses = softmax_cross_entropy(x, np.array([0, 1, 0, 1, 0]), "none")
        losses.backward(1.0)
    half = np.log(np.array(2, dtype))
    np.testing.assert_array_equal(losses.data, np.array([0, 1e4, 2e4, half, half], dtype))
    np.testing.assert_array_equal(x.grad, [[0, 0], [1, -1], [-1, 1], [0.5, -0.5], [-0.5, 0.5]])

    y = Tensor(np.array([1e4, 1e4, -1e4, -1e4, 1e4], dtype), requires_grad=True)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        losses = sigmoid_cross_entropy(y, np.array([1, 0, 1, 0, 0.5], dtype), "none")
        losses.backward(1.0)
    np.testing.assert_array_equal(losses.data, [0, 1e4, 1e4, 0, 5e3])
    np.testing.assert_array_equal(y.grad, [0, 1, -1, 0, 0.5])
    assert losses.dtype == dense_gradient(y).dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_losses_are_not_lost(dtype: str) -> None:
    # exp(-30) is far below the rounding of 1 in float32: 1 + exp(-30) is 1, but log(1 + exp(-30)) is about exp(-30).
    loss = sigmoid_cross_entropy(Tensor(np.array([30.0, -30.0], dtype)), np.array([1, 0], dtype), "none")
    np.testing.assert_allclose(loss.data, [math.exp(-30)] * 2, rtol=1e-6)


def test_a_class_that_is_ruled_out_costs_nothing() -> None:
    x = Tensor(np.array([[0.0, -np.inf, 0.0]]), requires_grad=True)
    loss = softmax_cross_entropy(x, np.array([0]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), math.log(2), rtol=1e-15)
    np.testing.assert_array_equal(x.grad, [[-0.5, 0, 0.5]])


# The gradient that comes in


LOSSES: dict[str, tuple[Loss, Callable[[Shape], npt.NDArray[Any]]]] = {
    "squared_error": (squared_error, lambda shape: np.random.default_rng(1).normal(size=shape)),
    "softmax_cross_entropy": (
        softmax_cross_entropy,
        lambda shape: np.random.default_rng(1).integers(0, shape[-1], shape[:-1]),
    ),
    "sigmoid_cross_entropy": (sigmoid_cross_entropy, lambda shape: np.random.default_rng(1).random(shape)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("per_client", [True, False])
def test_a_loss_scaled_before_backward_scales_the_gradient(name: str, reduction: str, per_client: bool) -> None:
    loss, goal_of = LOSSES[name]
    goal = goal_of((3, 4, 5))
    gradients = []
    for scale in (1, 3, -0.5):
        x = leaf(3, 4, 5)
        (scale * loss(x, goal, reduction, per_client=per_client)).backward(1.0)
        gradients.append(dense_gradient(x))
    # One rounding of the scaled factor and one of the product: two units in the last place.
    np.testing.assert_allclose(gradients[1], 3 * gradients[0], rtol=2**-51)
    np.testing.assert_array_equal(gradients[2], -0.5 * gradients[0])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_clients_may_be_scaled_apart(name: str) -> None:
    loss, goal_of = LOSSES[name]
    goal = goal_of((3, 4, 5))
    x, weights = leaf(3, 4, 5), np.array([1.0, 0.0, -2.0])
    loss(x, goal, "mean", per_client=True).backward(weights)
    for client, weight in enumerate(weights):
        own = Tensor(x.data[client], requires_grad=True)
        loss(own, goal[client], "mean").backward(weight)
        np.testing.assert_array_equal(own.grad, dense_gradient(x)[client])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("shape", [(3,), (1, 10), (7, 3), (50, 10), (300, 2), (5, 4, 3), (129, 1), (2100, 10)])
def test_a_stack_has_the_bits_of_each_client(name: str, reduction: str, num_clients: int, shape: Shape) -> None:
    loss, goal_of = LOSSES[name]
    data = np.random.default_rng(2).normal(scale=3, size=(num_clients, *shape)).astype("float32")
    goal = goal_of(data.shape)
    if goal.dtype != np.int64:
        goal = goal.astype("float32")
    assert_stack_equals_alone(
        lambda x: loss(x, goal, reduction, per_client=True),
        lambda x, client: loss(x, np.asarray(goal[client]), reduction),
        data,
        np.random.default_rng(3),
    )


@given(st.integers(1, 5), st.integers(1, 700), st.integers(0, 2**32))
def test_sums_of_squares_have_the_bits_of_each_client(num_clients: int, length: int, seed: int) -> None:
    data = np.random.default_rng(seed).normal(size=(num_clients, length)).astype("float32")
    zeros = np.zeros_like(data)
    together = squared_error(Tensor(data), zeros, per_client=True).data
    for client in range(num_clients):
        assert squared_error(Tensor(data[client].copy()), zeros[client]).item() == together[client]


# Types


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("per_client", [True, False])
def test_float32_stays_float32(name: str, reduction: str, per_client: bool) -> None:
    loss, goal_of = LOSSES[name]
    goal = goal_of((3, 3))
    for scale in (1.0, 1 / 3):
        x = leaf(3, 3, dtype="float32")
        result = loss(x, goal if goal.dtype == np.int64 else goal.astype("float32"), reduction, per_client=per_client)
        assert type(result.data) is np.ndarray
        assert (result * scale).dtype == np.float32
        (result * scale).backward(np.float64(0.5))
        assert dense_gradient(x).dtype == np.float32


def test_inputs_are_left_alone() -> None:
    rng = np.random.default_rng(6)
    ids, targets = np.array([0, 2, 1]), rng.random((3, 3))
    for array in (ids, targets):
        array.setflags(write=False)
    for reduction in REDUCTIONS:
        assert_inputs_are_left_alone(
            lambda x, t, way=reduction: squared_error(x, t, way), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
        )
        assert_inputs_are_left_alone(
            lambda x, way=reduction: softmax_cross_entropy(x, ids, way), rng.normal(size=(3, 3))
        )
        assert_inputs_are_left_alone(
            lambda x, way=reduction: sigmoid_cross_entropy(x, targets, way), rng.normal(size=(3, 3))
        )


@pytest.mark.parametrize("name", LOSSES)
def test_operands_in_any_memory_order(name: str) -> None:
    loss, goal_of = LOSSES[name]
    goal, x, y = goal_of((6, 4)), leaf(6, 4), Tensor(np.asfortranarray(leaf(6, 4).data), requires_grad=True)
    twice = np.repeat(goal, 2, axis=0)[::2]
    loss(x, goal, "mean").backward()
    loss(y, twice, "mean").backward()
    np.testing.assert_allclose(dense_gradient(y), dense_gradient(x), rtol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_what_came_out_of_a_pickle_fits(name: str) -> None:
    loss, goal_of = LOSSES[name]
    goal, x = goal_of((2, 3)), leaf(2, 3)
    again = loss(pickle.loads(pickle.dumps(x)), pickle.loads(pickle.dumps(goal)))
    assert again.item() == loss(x, goal).item()


def test_constants_need_no_run_backward() -> None:
    x = Tensor(np.zeros((2, 3)))
    assert not softmax_cross_entropy(x, np.array([0, 1])).requires_grad
    assert not sigmoid_cross_entropy(x, np.zeros((2, 3))).requires_grad
    assert not squared_error(x, np.zeros((2, 3))).requires_grad
    target = leaf(2, 3)
    squared_error(x, target).backward()
    np.testing.assert_array_equal(target.grad, 2 * target.data)


def test_class_ids_may_be_a_list() -> None:
    x = leaf(2, 3)
    assert softmax_cross_entropy(x, [0, 2]).item() == softmax_cross_entropy(x, np.array([0, 2])).item()


# What is refused


@pytest.mark.parametrize("name", ["squared_error", "sigmoid_cross_entropy"])
def test_wrong_operands_are_named(name: str) -> None:
    x, loss = Tensor(np.ones((2, 2))), LOSSES[name][0]
    with pytest.raises(GraphError, match=rf"{name}: operands must be float32 or float64, got int64 of shape \(2, 2\)"):
        loss(x, np.ones((2, 2), np.int64))
    for other in (np.ones((2, 2), "float32"), Tensor(np.ones((2, 2), "float32"))):
        with pytest.raises(
            GraphError, match=rf"{name}: the prediction of shape \(2, 2\) is float64, the target of \(2, 2\) float32"
        ):
            loss(x, other)
    with pytest.raises(GraphError, match=rf"{name}: operands are .*; got str"):
        loss(x, "2")


@pytest.mark.parametrize("name", ["squared_error", "sigmoid_cross_entropy"])
@pytest.mark.parametrize(
    ("shape", "other"), [((3, 1), (3,)), ((3,), (1,)), ((3,), ()), ((1,), ()), ((2, 3), (3, 2)), ((0, 3), (0, 2))]
)
def test_targets_do_not_broadcast(name: str, shape: Shape, other: Shape) -> None:
    for target in (np.ones(other), Tensor(np.ones(other))):
        with pytest.raises(GraphError) as caught:
            LOSSES[name][0](Tensor(np.ones(shape)), target)
        assert str(caught.value) == f"{name}: the prediction has shape {shape}, but the target {other}"


@pytest.mark.parametrize(
    ("ids", "span"),
    [([0, 3], "0 to 3"), ([-1, 2], "-1 to 2"), ([-(2**63), 0], "-9223372036854775808 to 0"), ([7, 7], "7 to 7")],
)
def test_classes_out_of_range_are_told(ids: list[int], span: str) -> None:
    with pytest.raises(GraphError) as caught:
        softmax_cross_entropy(Tensor(np.ones((2, 3))), np.array(ids))
    assert str(caught.value) == f"softmax_cross_entropy: class ids must be 0 to 2, got {span}"


def test_no_axis_makes_a_wrong_class_right() -> None:
    ids = np.zeros((2, 3, 4), np.int64)
    for wrong in (-1, 5):
        ids[1, 2, 3] = wrong
        with pytest.raises(GraphError, match=rf"class ids must be 0 to 4, got {min(wrong, 0)} to {max(wrong, 0)}"):
            softmax_cross_entropy(Tensor(np.ones((2, 3, 4, 5))), ids, per_client=True)


@pytest.mark.parametrize("dtype", ["float64", "bool"])
def test_class_ids_are_whole_numbers(dtype: str) -> None:
    with pytest.raises(GraphError, match=f"softmax_cross_entropy: class ids must be integers, got {dtype}"):
        softmax_cross_entropy(Tensor(np.ones((2, 3))), np.ones(2, dtype))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64"])
def test_class_ids_of_any_integer_type_are_the_same(dtype: str) -> None:
    logits = leaf(2, 3)
    ids = np.array([2, 1])
    assert softmax_cross_entropy(logits, ids.astype(dtype)).item() == softmax_cross_entropy(logits, ids).item()
    with pytest.raises(GraphError, match="class ids must be 0 to 2"):
        softmax_cross_entropy(logits, np.array([0, 200], dtype))


def test_logits_are_a_tensor() -> None:
    with pytest.raises(GraphError, match="softmax_cross_entropy: the logits must be a tensor, got ndarray"):
        softmax_cross_entropy(np.ones((2, 3)), np.ones(2, np.int64))


@pytest.mark.parametrize(
    ("logits", "ids"),
    [((2, 3), (3,)), ((2, 3), ()), ((2, 3), (2, 1)), ((3,), (3,)), ((), ()), ((2, 0), (2,)), ((4, 2, 3), (2, 4))],
)
def test_class_ids_fit_the_logits(logits: Shape, ids: Shape) -> None:
    with pytest.raises(GraphError) as caught:
        softmax_cross_entropy(Tensor(np.ones(logits)), np.zeros(ids, np.int64))
    hint = "; are they one-hot? Then pass labels.argmax(-1)" if logits == ids else ""
    assert str(caught.value) == (
        f"softmax_cross_entropy: needs logits (..., C) and class ids (...), got shapes {logits} and {ids}{hint}"
    )


@pytest.mark.parametrize("name", LOSSES)
def test_impossible_reductions_are_told(name: str) -> None:
    loss, goal_of = LOSSES[name]
    for wrong in ("max", "", None):
        with pytest.raises(GraphError, match=rf'{name}: the reduction is "mean", "sum" or "none", not {wrong!r}'):
            loss(Tensor(np.ones((2, 3))), goal_of((2, 3)), wrong)
    with pytest.raises(GraphError, match=rf"{name}: there is no mean of losses of shape \(0,"):
        loss(Tensor(np.ones((0, 3))), goal_of((0, 3)), "mean")
    with pytest.raises(GraphError, match=rf"{name}: there is no mean of losses of shape \(2, 0"):
        loss(Tensor(np.ones((2, 0, 3))), goal_of((2, 0, 3)), "mean", per_client=True)


def test_a_loss_per_client_needs_clients() -> None:
    for name, call in {
        "squared_error": lambda: squared_error(Tensor(1.0), np.array(1.0), per_client=True),
        "sigmoid_cross_entropy": lambda: sigmoid_cross_entropy(Tensor(1.0), np.array(1.0), per_client=True),
        "softmax_cross_entropy": lambda: softmax_cross_entropy(Tensor([1.0, 2.0]), np.array(1), per_client=True),
    }.items():
        with pytest.raises(GraphError, match=rf"{name}: a loss per client needs an axis of clients, got shape \(\)"):
            call()


def test_targets_of_the_sigmoid_are_constants() -> None:
    with pytest.raises(GraphError, match=r"sigmoid_cross_entropy: targets are constants, .*`detach"):
        sigmoid_cross_entropy(Tensor(np.ones(2)), leaf(2))
