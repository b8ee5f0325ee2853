"""The tape: what a run backward brings, in which order, and what it frees."""

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from tensors import dense_gradient, leaf

from fedgdl.autograd import Tensor, no_grad, sigmoid, squared_error
from fedgdl.errors import GraphError


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Leaves freeing to reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_tensor_adopts_its_data_and_takes_floats_only() -> None:
    array = np.zeros(3, "float32")
    assert Tensor(array).data is array
    assert Tensor([1.0, 2.0]).dtype == np.float64
    for wrong in ([1, 2], np.zeros(2, "float16"), np.zeros(2, bool), np.zeros(2, complex)):
        with pytest.raises(GraphError, match=r"Tensor: data must be float32 or float64, got .* of shape \(2,\)"):
            Tensor(wrong)


def test_properties_and_item() -> None:
    x = Tensor(np.ones((2, 3), "float32"))
    assert (x.shape, x.dtype, x.ndim, x.size) == ((2, 3), np.dtype("float32"), 2, 6)
    assert type(Tensor([[2.5]]).item()) is float
    assert Tensor([[2.5]]).item() == 2.5
    with pytest.raises(GraphError, match="one element"):
        x.item()


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
    with pytest.raises(GraphError, match=r"shape \(2,\) and float64 came for data of shape \(3,\)"):
        (x * 2).backward(np.ones(2))
    with pytest.raises(GraphError, match="float32 came for data"):
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


def test_operators_take_numbers_and_arrays_on_both_sides() -> None:
    x, array = Tensor([1.0, 2.0]), np.array([10.0, 20.0])
    for found, expected in (
        (x + 1, [2, 3]),
        (1 + x, [2, 3]),
        (x - 1, [0, 1]),
        (1 - x, [0, -1]),
        (x * 3, [3, 6]),
        (3 * x, [3, 6]),
        (-x, [-1, -2]),
        (array + x, [11, 22]),
        (array - x, [9, 18]),
        (x - array, [-9, -18]),
        (array * x, [10, 40]),
        (np.float64(2) * x, [2, 4]),
        (x + np.int64(2), [3, 4]),
        (array.reshape(1, 2) @ x.reshape(2, 1), [[50]]),
        (x.reshape(1, 2) @ array.reshape(2, 1), [[50]]),
    ):
        assert type(found) is Tensor
        np.testing.assert_array_equal(found.data, expected)


def test_numpy_gets_constants_and_no_tensor_with_a_gradient() -> None:
    np.testing.assert_array_equal(np.asarray(Tensor([1.0, 2.0])), [1, 2])
    assert np.asarray(Tensor([1.0]), dtype="float32").dtype == np.float32
    with pytest.raises(GraphError, match="pass its `data`"):
        np.asarray(leaf(2))
    with pytest.raises(TypeError):
        np.exp(leaf(2))


def test_detach_shares_the_data_alone() -> None:
    x = leaf(2)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert x.detach().data is x.data


def test_repr_tells_values_dtype_and_gradient() -> None:
    assert repr(Tensor(np.array([0.5], "float32"))) == "Tensor([0.5], float32)"
    assert repr(Tensor([0.5], requires_grad=True)) == "Tensor([0.5], float64, requires_grad=True)"


def test_leaves_are_copied_without_their_gradient_and_results_are_not() -> None:
    x = leaf(2)
    x.sum().backward()
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.requires_grad
        assert other.grad is None
        assert not np.shares_memory(other.data, x.data)
        np.testing.assert_array_equal(other.data, x.data)
    with pytest.raises(GraphError, match="cannot be copied"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize(
    "module", ["arithmetic", "gradcheck", "operands", "parameter", "product", "shape", "sparse", "tape", "tensor"]
)
def test_each_module_may_be_imported_first(module: str) -> None:
    code = f"from fedgdl.autograd import {module}; from fedgdl import Tensor; print((Tensor([1.0]) + 1).item())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2.0\n", "")
