"""The tape: what a run backward brings, in which order, and what it frees."""

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import dense_gradient, leaf, parameter

from fedgdl.autograd import Tensor, concat, no_grad, record, sigmoid, squared_error
from fedgdl.autograd.tape import Node
from fedgdl.errors import GraphError


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Leaves freeing to reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_tensor_used_by_itself_twice_has_both_gradients() -> None:
    s = Tensor([3.0], requires_grad=True)
    (s + s).backward()
    np.testing.assert_array_equal(s.grad, [2.0])


def test_a_result_used_twice_hands_on_the_sum_once() -> None:
    # y = sigmoid(x); f = 2 y + y^2; df/dx = (2 + 2 y) y (1 - y).
    x = leaf(4)
    y = x.sigmoid()
    (2 * y + y * y).sum().backward()
    np.testing.assert_allclose(dense_gradient(x), (2 + 2 * y.data) * y.data * (1 - y.data), rtol=1e-14)


def test_branches_of_different_length_meet() -> None:
    # f = (a + b) + (b + c) twice over, through a shared part: d/db = 4.
    a, b, c = leaf(5, seed=1), leaf(5, seed=2), leaf(5, seed=3)
    shared = (a + b) + (b + c)
    (shared.sum() + (0 - (-shared)).sum()).backward()
    for x, expected in ((a, 2), (b, 4), (c, 2)):
        np.testing.assert_array_equal(x.grad, np.full(5, expected))


def test_gradients_of_two_leaves_are_not_the_same_array() -> None:
    a, b = leaf(2), leaf(2)
    (a + b).sum().backward()
    assert isinstance(a.grad, np.ndarray)
    a.grad[:] = 7
    np.testing.assert_array_equal(b.grad, [1, 1])


def test_leaves_collect_over_graphs_until_reset() -> None:
    x = leaf(2)
    x.sum().backward()
    (3 * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [4, 4])
    x.grad = None
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_constants_get_no_gradient_and_results_keep_none() -> None:
    x, constant = leaf(3), Tensor(np.ones(3))
    y = x * constant
    loss = y.sum()
    loss.backward()
    assert constant.grad is None
    assert y.grad is None
    assert loss.grad is None
    assert not (constant + 1).requires_grad


@pytest.mark.parametrize("scale", [0.0, 1.0, -2.5, 1 / 3, np.float64(4), 7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_seed_scales_every_gradient(scale: float, dtype: str) -> None:
    x, y = leaf(4, dtype=dtype), leaf(4, dtype=dtype)
    squared_error(sigmoid(x), np.zeros(4, dtype)).backward(scale)
    (squared_error(sigmoid(y), np.zeros(4, dtype)) * scale).backward()
    assert dense_gradient(x).dtype == dtype
    np.testing.assert_allclose(dense_gradient(x), dense_gradient(y), rtol=1e-6 if dtype == "float32" else 1e-14)


def test_a_number_seeds_each_element_and_an_array_its_own() -> None:
    x = leaf(2, 2)
    (2 * x).backward(0.5)
    np.testing.assert_array_equal(x.grad, np.ones((2, 2)))
    x.grad = None
    seed = np.array([[1.0, 2.0], [3.0, 4.0]])
    (2 * x).backward(seed)
    np.testing.assert_array_equal(x.grad, 2 * seed)


def test_a_leaf_may_be_run_backward_itself() -> None:
    x = leaf(2)
    x.backward(3.0)
    np.testing.assert_array_equal(x.grad, [3, 3])


def test_misuse_of_backward_is_told() -> None:
    x = leaf(3)
    with pytest.raises(GraphError, match=r"shape \(3,\) needs a gradient"):
        (x * 2).backward()
    with pytest.raises(GraphError, match="nothing that requires"):
        Tensor([1.0]).backward()
    with pytest.raises(GraphError, match=r"backward: the gradient has shape \(2,\) and float64, but the tensor \(3,\)"):
        (x * 2).backward(np.ones(2))
    with pytest.raises(GraphError, match="float32, but the tensor"):
        (x * 2).backward(np.ones(3, "float32"))
    assert x.grad is None


def test_a_graph_runs_once() -> None:
    x = leaf(3)
    y = x.sigmoid()
    first, second = y.sum(), (y * y).sum()
    first.backward()
    before = np.array(x.grad)
    for again in (first, second, (y + 1).sum()):
        with pytest.raises(GraphError, match="already run backward"):
            again.backward()
    np.testing.assert_array_equal(x.grad, before)


def test_a_graph_that_failed_on_the_way_is_freed() -> None:
    from fedgdl.autograd.tensor import record

    def refuse(_: object) -> None:
        raise ZeroDivisionError

    x = leaf(2)
    y = x.sigmoid()
    loss = (record(y.data, (y,), refuse) + y).sum()
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    with pytest.raises(GraphError, match="already run"):
        y.sum().backward()
    assert y._pending is None


@pytest.mark.usefixtures("without_collector")
def test_backward_frees_what_it_has_run() -> None:
    x = leaf(3)
    y = x.sigmoid()
    inside = weakref.ref(y)
    loss = (y * y).sum()
    del y
    assert inside() is not None  # the graph holds it
    loss.backward()
    assert inside() is None
    assert loss.item() > 0


@pytest.mark.usefixtures("without_collector")
def test_a_forward_pass_that_is_dropped_is_freed_by_reference_counts() -> None:
    x = leaf(3)
    y = x.sigmoid() * x + 2 * x
    tensor, array = weakref.ref(y), weakref.ref(y.data)
    loss = squared_error((y - 1).reshape(3, 1).sum(axis=0), np.zeros(1))
    del y
    assert tensor() is not None
    del loss
    assert tensor() is None
    assert array() is None


@pytest.mark.usefixtures("without_collector")
def test_a_new_result_under_an_old_name_frees_the_old_graph() -> None:
    x = leaf(3)
    graphs = []
    loss = x.sum()
    for _ in range(3):
        y = x.sigmoid()
        graphs.append(weakref.ref(y))
        loss = (y * y).sum()
        del y
    assert [graph() is None for graph in graphs] == [True, True, False]
    del loss
    assert graphs[-1]() is None


@pytest.mark.parametrize("length", [5_000, 30_000])
def test_no_length_of_chain_reaches_a_recursion_limit(length: int) -> None:
    x = Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(length):
        y = -y
    y.backward()
    np.testing.assert_array_equal(x.grad, [1.0])
    for _ in range(length):  # a graph that is dropped unused must not recurse either
        y = -y
    del y


def test_each_result_is_visited_once_however_many_paths_lead_to_it() -> None:
    x = Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(100):  # 2^100 paths
        y = y + y
    y.backward(0.5**100)
    np.testing.assert_array_equal(x.grad, [1.0])


def test_no_grad_keeps_nothing_and_ends() -> None:
    x = leaf(3)
    with no_grad():
        y = x.sigmoid()
        with no_grad():
            pass
        assert not (x * 2).requires_grad
    assert not y.requires_grad
    assert y._inputs == ()
    assert x.sigmoid().requires_grad
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert x.sigmoid().requires_grad


def test_no_grad_decorates() -> None:
    @no_grad()
    def double(x: Tensor) -> Tensor:
        return 2 * x

    assert not double(leaf(2)).requires_grad
    assert not double(leaf(2)).requires_grad


def test_no_grad_is_for_its_own_thread() -> None:
    x, found = leaf(2), []
    thread = threading.Thread(target=lambda: found.append(x.sigmoid().requires_grad))
    with no_grad():
        thread.start()
        thread.join()
    assert found == [True]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from("+-*")), min_size=1, max_size=20))
def test_any_graph_has_the_gradient_of_its_formula(steps: list[tuple[int, int, str]]) -> None:
    # Each result is one of numbers so far with another, as a tensor and beside it as value and derivatives, forward.
    tensors = [Tensor([0.5], requires_grad=True), Tensor([-1.25], requires_grad=True), Tensor([2.0])]
    inputs = tensors[:2]
    duals = [(0.5, np.array([1.0, 0.0])), (-1.25, np.array([0.0, 1.0])), (2.0, np.zeros(2))]
    for i, j, operation in steps:
        (x, dx), (y, dy) = duals[i % len(duals)], duals[j % len(duals)]
        a, b = tensors[i % len(tensors)], tensors[j % len(tensors)]
        if operation == "+":
            tensors.append(a + b)
            duals.append((x + y, dx + dy))
        elif operation == "-":
            tensors.append(a - b)
            duals.append((x - y, dx - dy))
        else:
            tensors.append((a * b).sigmoid())
            z = 1 / (1 + np.exp(-x * y))
            duals.append((z, z * (1 - z) * (dx * y + x * dy)))
    value, expected = duals[-1]
    np.testing.assert_allclose(tensors[-1].item(), value, rtol=1e-12, atol=1e-12)
    if not tensors[-1].requires_grad:
        return
    tensors[-1].backward()
    found = [0.0 if x.grad is None else dense_gradient(x)[0] for x in inputs]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_loss_scaled_before_backward_scales_every_gradient() -> None:
    gradients = []
    for scale in (1, 3):
        x, weight = leaf(4, 3), parameter(3, 2)
        loss = squared_error(sigmoid(x @ weight), np.zeros((4, 2)))
        (scale * loss).backward()
        gradients.append((dense_gradient(x), dense_gradient(weight)))
    for one, three in zip(*gradients, strict=True):
        np.testing.assert_allclose(three, 3 * one, rtol=1e-13, atol=1e-15)  # sums of a few numbers below 1


def test_a_result_hands_on_once_every_gradient_is_there() -> None:
    order = []

    def spy(name: str, *inputs: Tensor) -> Tensor:
        def vjp(g: npt.NDArray[Any]) -> None:
            order.append((name, g.tolist()))
            for x in inputs:
                x.receive(g)

        return record(np.zeros(1), inputs, vjp)

    x = leaf(1)
    first = spy("first", x)
    second = spy("second", first)
    third = spy("third", first, second)
    spy("last", second, third, first).backward()
    assert order == [("last", [1.0]), ("third", [1.0]), ("second", [2.0]), ("first", [4.0])]
    np.testing.assert_array_equal(x.grad, [4])


def test_what_no_gradient_reaches_is_not_run() -> None:
    def refuse(_: npt.NDArray[Any]) -> None:
        pytest.fail("no gradient came here")

    x = leaf(2)
    unused = record(x.data, (x,), refuse)
    one = record(x.data + unused.data, (x, unused), x.receive)
    one.backward(1.0)
    np.testing.assert_array_equal(x.grad, [1, 1])
    with pytest.raises(GraphError, match="already run backward"):
        unused.sum().backward()


@pytest.mark.usefixtures("without_collector")
def test_results_are_freed_while_the_run_backward_goes_on() -> None:
    freed = []

    def spy(x: Tensor) -> Tensor:
        def vjp(g: npt.NDArray[Any]) -> None:
            freed.append([reference() is None for reference in later])
            x.receive(g)

        return record(x.data, (x,), vjp)

    x = leaf(3)
    early = x.sigmoid()
    y = spy(early)
    z = y.sigmoid()
    u = z * z
    v = u.reshape(3, 1)
    loss = v.sum()
    later = [weakref.ref(item) for item in (z, z.data, u, u.data, v, v.data)]
    del y, z, u, v
    assert not any(reference() is None for reference in later)
    loss.backward()
    assert freed == [[True] * 6]
    with pytest.raises(GraphError, match="already run"):  # what the user holds is there, but its closure is not
        early.backward(1.0)


@pytest.mark.usefixtures("without_collector")
def test_a_run_backward_frees_what_its_closures_hold() -> None:
    x, constant = leaf(3), np.ones(3)
    reference = weakref.ref(constant)
    y = x * constant
    del constant
    assert reference() is not None
    y.backward(1.0)
    assert reference() is None


def test_a_vjp_that_raises_leaves_nothing_pending_and_later_graphs_are_right() -> None:
    def refuse(_: npt.NDArray[Any]) -> None:
        raise ZeroDivisionError

    x = leaf(2)
    first = x.sigmoid()
    second = first * 2
    wrong = record(second.data, (second,), refuse)
    loss = (wrong + first + second).sum()
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert [node._pending is None for node in (first, second, wrong, loss)] == [True] * 4
    assert x.grad is None
    for tensor in (first, second, wrong, loss):
        with pytest.raises(GraphError, match="already run"):
            tensor.backward(1.0)
    (x.sigmoid() * 2).sum().backward()
    y = x.sigmoid().data
    np.testing.assert_allclose(dense_gradient(x), 2 * y * (1 - y), rtol=1e-14)


def test_a_seed_that_does_not_fit_leaves_the_graph_whole() -> None:
    x = leaf(3)
    y = x * 2
    for wrong in (np.ones(2), np.ones((3, 1)), np.ones(3, "float32"), np.array(1.0), np.ones(3, np.int64)):
        with pytest.raises(GraphError, match=r"backward: the gradient has shape .*, but the tensor \(3,\) and float64"):
            y.backward(wrong)
    y.backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_passes_through(value: float) -> None:
    x, y = leaf(3), leaf(3)
    joined = concat([x + 1, y - 2], 0).reshape(2, 3)
    seed = np.array([[1, value, 3], [4, 5, value]])
    (-joined).backward(seed)
    np.testing.assert_array_equal(x.grad, -seed[0])
    np.testing.assert_array_equal(y.grad, -seed[1])
    z = leaf(2)
    (z + z).backward(value)  # two of them are added up, and again where they arrive
    np.testing.assert_array_equal(z.grad, np.full(2, 2 * value))


def test_a_node_alone_collects_rows_and_products() -> None:
    node = Node(np.zeros((3, 2)), requires_grad=True)
    node.receive_rows(np.array([2, 0, 2]), np.array([[1.0, 1], [2, 2], [3, 3]]))
    np.testing.assert_array_equal(node.grad, [[2, 2], [0, 0], [4, 4]])
    node.receive_rows(np.array([1, 1, 0]), np.array([[1.0, 0], [0, 1]]), np.array([2, 1]))
    np.testing.assert_array_equal(node.grad, [[2, 3], [2, 0], [4, 4]])
    node.receive_product(np.array([[1.0], [0], [2]]), np.array([[1.0, 10]]))
    np.testing.assert_array_equal(node.grad, [[3, 13], [2, 0], [6, 24]])
    with pytest.raises(GraphError, match=r"a gradient of shape \(2, 2\) and float64 came for data of shape \(3, 2\)"):
        node.receive_product(np.ones((2, 1)), np.ones((1, 2)))


def test_the_array_that_was_received_stays_the_caller_s() -> None:
    node, gradient = Node(np.zeros(2), requires_grad=True), np.ones(2)
    node.receive(gradient)
    node.receive(gradient)
    np.testing.assert_array_equal(gradient, [1, 1])
    gradient[:] = 9
    np.testing.assert_array_equal(node.grad, [2, 2])


def test_two_threads_have_graphs_of_their_own() -> None:
    barrier, found = threading.Barrier(2), {}

    def run(seed: int) -> None:
        x = leaf(5, seed=seed)
        for _ in range(50):
            barrier.wait(timeout=60)
            loss = squared_error(sigmoid(x), np.zeros(5))
            barrier.wait(timeout=60)
            loss.backward()
        found[seed] = dense_gradient(x)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        y = 1 / (1 + np.exp(-leaf(5, seed=seed).data))
        np.testing.assert_allclose(found[seed], 50 * 2 * y * y * (1 - y), rtol=1e-12)
