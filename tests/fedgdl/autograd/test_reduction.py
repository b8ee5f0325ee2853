"""Sums, means and largest elements: gradients, ties, stacks, and what they refuse."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import Shape, assert_inputs_are_left_alone, assert_stack_equals_alone, dense_gradient, leaf

from fedgdl.autograd import Tensor, gradcheck, mean
from fedgdl.autograd import max as max_
from fedgdl.autograd import sum as sum_
from fedgdl.errors import GraphError

Function = Callable[[Tensor], Tensor]
CASES: list[tuple[str, Function, Shape]] = [
    *(("sum", sum_, shape) for shape in ((), (1,), (0,), (2, 3))),
    *(("mean", mean, shape) for shape in ((), (1,), (2, 3))),
    *(("max", max_, shape) for shape in ((), (1,), (2, 3), (1, 1, 1))),
    ("sum last", lambda x: sum_(x, -1), (2, 3)),
    ("sum two", lambda x: sum_(x, (0, -1)), (2, 3, 4)),
    ("sum none", lambda x: sum_(x, ()), (2, 3)),
    ("sum keepdims", lambda x: sum_(x, 1, keepdims=True), (2, 3, 4)),
    ("sum of no rows", lambda x: sum_(x, 0), (0, 3)),
    ("sum of no columns", lambda x: sum_(x, 0), (3, 0)),
    ("sum keepdims of all", lambda x: sum_(x, keepdims=True), (2, 3)),
    ("sum of many", sum_, (130, 130)),
    ("sum of many rows", lambda x: sum_(x, 0), (130, 130)),
    ("mean first", lambda x: mean(x, 0), (4, 3)),
    ("mean keepdims", lambda x: mean(x, (0, 2), keepdims=True), (2, 3, 4)),
    ("mean over other axis", lambda x: mean(x, 1), (0, 3)),
    ("mean of many", lambda x: mean(x, -1), (130, 130)),
    ("max first", lambda x: max_(x, 0), (4, 3)),
    ("max middle", lambda x: max_(x, 1), (2, 3, 4)),
    ("max last", lambda x: max_(x, -1), (2, 3, 4)),
    ("max keepdims", lambda x: max_(x, -2, keepdims=True), (2, 3, 4)),
    ("max of all keepdims", lambda x: max_(x, keepdims=True), (2, 3)),
    ("max over other axis", lambda x: max_(x, 1), (0, 3)),
    ("max over axis of one", lambda x: max_(x, 0), (1, 3)),
    ("max of a view", lambda x: max_(x.T, 0), (3, 4)),
]


@pytest.mark.parametrize(("function", "shape"), [case[1:] for case in CASES], ids=[f"{c[0]} {c[2]}" for c in CASES])
def test_gradients(function: Function, shape: Shape) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        gradcheck(function, [rng.normal(size=shape)], rng)


@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=3), st.booleans())
def test_any_axes_of_any_shape(data: st.DataObject, shape: Shape, keepdims: bool) -> None:
    axes = tuple(data.draw(st.sets(st.sampled_from(range(len(shape)))))) if shape else ()
    seed = data.draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for ours, theirs in ((sum_, np.sum), (mean, np.mean)):
        found = ours(Tensor(x), axes, keepdims=keepdims)
        np.testing.assert_allclose(found.data, theirs(x, axis=axes, keepdims=keepdims), rtol=1e-12, atol=1e-12)
        gradcheck(lambda t, f=ours: f(t, axes, keepdims=keepdims), [x], rng)
    for axis in (None, *axes):
        found = max_(Tensor(x), axis, keepdims=keepdims)
        np.testing.assert_array_equal(found.data, x.max(axis, keepdims=keepdims))
        gradcheck(lambda t, a=axis: max_(t, a, keepdims=keepdims), [x], rng)


def test_values() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for found, expected in (
        (Tensor(x).sum(), 15),
        (Tensor(x).sum(-1), [3, 12]),
        (Tensor(x).sum(0, keepdims=True), [[3, 5, 7]]),
        (Tensor(x).mean(1), [1, 4]),
        (Tensor(x).mean(), 2.5),
        (Tensor(x).max(), 5),
        (Tensor(x).max(0), [3, 4, 5]),
        (Tensor(x).max(-1, keepdims=True), [[2], [5]]),
    ):
        assert type(found.data) is np.ndarray
        np.testing.assert_array_equal(found.data, expected)


@pytest.mark.parametrize("keepdims", [False, True])
def test_the_first_of_equals_has_the_gradient(keepdims: bool) -> None:
    x = np.array([[1.0, 3.0, 3.0], [3.0, 3.0, 2.0], [0.0, 0.0, 0.0]])
    for axis, expected in (
        (None, [[0, 1, 0], [0, 0, 0], [0, 0, 0]]),
        (0, [[0, 1, 1], [1, 0, 0], [0, 0, 0]]),
        (1, [[0, 1, 0], [1, 0, 0], [1, 0, 0]]),
    ):
        t = Tensor(x, requires_grad=True)
        max_(t, axis, keepdims=keepdims).backward(1.0)
        np.testing.assert_array_equal(dense_gradient(t), expected)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (1, 100), (100, 1), (3, 5, 2), (130, 31)])
@pytest.mark.parametrize("axis", [-1, -2, (-2, -1)])
def test_stacked_clients_have_the_bits_they_have_alone(
    shape: Shape, axis: int | tuple[int, ...], num_clients: int
) -> None:
    rng = np.random.default_rng(2)
    data = rng.normal(size=(num_clients, *shape)).astype("float32")
    for function in (sum_, mean) if isinstance(axis, tuple) else (sum_, mean, max_):
        assert_stack_equals_alone(lambda x, f=function: f(x, axis), lambda x, _, f=function: f(x, axis), data, rng)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("shape", [(1,), (257,), (7, 13), (100, 784), (3, 5, 2)])
def test_each_client_of_a_stack_has_its_own_loss(shape: Shape, num_clients: int) -> None:
    rng = np.random.default_rng(3)
    data = rng.normal(size=(num_clients, *shape)).astype("float32")
    axes = tuple(range(1, len(shape) + 1))
    for function in (sum_, mean):
        assert_stack_equals_alone(lambda x, f=function: f(x, axes), lambda x, _, f=function: f(x), data, rng)


@pytest.mark.parametrize("function", [sum_, mean, max_])
def test_inputs_are_left_alone_and_float32_stays(function: Function) -> None:
    assert_inputs_are_left_alone(function, np.random.default_rng(4).normal(size=(3, 3)))
    for axis in (None, 0):
        x = leaf(3, 3, dtype="float32")
        y = function(x, axis)
        assert y.dtype == np.float32
        y.backward(np.float64(0.5))
        assert dense_gradient(x).dtype == np.float32


@pytest.mark.parametrize("function", [sum_, mean, max_])
def test_wrong_axes_are_told(function: Callable[..., Tensor]) -> None:
    name, x = function.__name__, Tensor(np.ones((2, 3)))
    for axis in (2, -3):
        with pytest.raises(GraphError, match=rf"{name}: a tensor of shape \(2, 3\) has no axis {axis}"):
            function(x, axis)
    for axis in (1.0, "0", [0]):
        with pytest.raises(GraphError, match=f"{name}: an axis is an integer, not {type(axis).__name__}"):
            function(x, axis)
    with pytest.raises(GraphError, match=f"{name}: operands are .*; got list"):
        function([1.0, 2.0])
    if function is max_:
        with pytest.raises(GraphError, match="max: an axis is an integer, not tuple"):
            function(x, (0, 1))
        return
    for axis in ((0, 0), (0, -2)):
        with pytest.raises(GraphError, match=rf"{name}: the axes .* of a tensor of shape \(2, 3\) name one of them"):
            function(x, axis)


def test_the_mean_and_the_largest_of_nothing_are_refused() -> None:
    with pytest.raises(GraphError, match=r"mean: there are no elements along axes \(0,\) of shape \(0, 3\)"):
        mean(Tensor(np.ones((0, 3))), 0)
    with pytest.raises(GraphError, match=r"max: there are no elements along axis 1 of shape \(2, 0\)"):
        max_(Tensor(np.ones((2, 0))), 1)
    with pytest.raises(GraphError, match=r"max: there are no elements of shape \(0, 3\)"):
        max_(Tensor(np.ones((0, 3))))
