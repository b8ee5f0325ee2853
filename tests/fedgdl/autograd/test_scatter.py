"""Sums over rows named by ids: every way of computing them gives what the obvious loop gives."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Bags, bag_lists, slow_bags

from fedgdl.autograd import scatter
from fedgdl.autograd.scatter import add_rows, sum_bags

LOOPS = ["numpy", "scipy", "numba"]


@pytest.fixture
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Everything goes through one kind of loop, however small."""
    kind = request.param
    if kind == "numba":
        pytest.importorskip("numba", reason="numba is not installed: nothing to compile with")
    else:
        monkeypatch.setitem(sys.modules, "numba", None)  # what Python does where a module is not to be found
    if kind == "numpy":
        monkeypatch.setitem(sys.modules, "scipy.sparse._sparsetools", None)
    for threshold in ("_NUMBA_SIZE", "_SCIPY_SIZE", "_SCIPY_SINGLES"):
        monkeypatch.setattr(scatter, threshold, 0)
    scatter._compiled.cache_clear()
    scatter._sparse_products.cache_clear()
    yield kind
    scatter._compiled.cache_clear()
    scatter._sparse_products.cache_clear()


def loop_added(
    array: npt.NDArray[np.floating], bags: Bags, rows: npt.NDArray[np.floating], scale: float
) -> npt.NDArray[np.floating]:
    """`add_rows`, one id at a time, in the array's own precision."""
    result = array.copy()
    for row, bag in zip(rows, bags.lists, strict=True):
        for index in bag:
            result[index] += array.dtype.type(scale) * row
    return result


BAGS = Bags(((2, 2, 2), (), (4, 0), (), (2, 4, 4, 1), ()))


@pytest.mark.parametrize("loops", LOOPS, indirect=True)
@pytest.mark.parametrize("width", [1, 2, 3, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("loops")
def test_bags_are_added_with_the_bits_of_the_loop(width: int, dtype: str) -> None:
    rng = np.random.default_rng(width)
    array, rows = rng.normal(size=(5, width)).astype(dtype), rng.normal(size=(6, width)).astype(dtype)
    expected = loop_added(array, BAGS, rows, -0.1)
    add_rows(array, BAGS.token_ids, rows, np.diff(BAGS.offsets), scale=-0.1)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("loops", LOOPS, indirect=True)
@pytest.mark.parametrize("row_shape", [(), (1,), (3,), (2, 3), (0,)])
@pytest.mark.usefixtures("loops")
def test_single_rows_are_added_with_the_bits_of_the_loop(row_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    ids = np.array([3, 0, 3, 3, 1])
    array, rows = rng.normal(size=(5, *row_shape)), rng.normal(size=(5, *row_shape))
    rows.setflags(write=False)
    expected = loop_added(array, Bags(tuple((index,) for index in ids.tolist())), rows, 1.0)
    add_rows(array, ids, rows)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("loops", LOOPS, indirect=True)
@pytest.mark.parametrize("width", [1, 2, 3, 17])
@pytest.mark.parametrize("bags", [BAGS, Bags(()), Bags(((), ())), Bags(((0, 1, 1), (4,)))])
def test_compiled_loops_sum_bags_in_the_order_of_their_ids(loops: str, bags: Bags, width: int) -> None:
    table = np.random.default_rng(1).normal(size=(5, width)).astype("float32")
    expected = np.zeros((len(bags.lists), width), "float32")
    for i, bag in enumerate(bags.lists):
        for index in bag:
            expected[i] += table[index]
    sums = sum_bags(table, bags.token_ids, bags.offsets)
    assert sums.dtype == np.float32
    if loops == "numpy":
        np.testing.assert_allclose(sums, expected, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(sums, expected)


@pytest.mark.parametrize("loops", LOOPS, indirect=True)
@pytest.mark.usefixtures("loops")
def test_views_that_cannot_be_written_to() -> None:
    ids, offsets, rows = np.array([9, 0, 2, 1, 9]), np.array([0, 9, 2, 9, 3]), np.ones((2, 6))
    for array in (ids, offsets, rows):
        array.setflags(write=False)
    table = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(sum_bags(table, ids[1:4], offsets[::2]), [[6, 8, 10], [3, 4, 5]])
    add_rows(table, ids[1:4][::-1], rows[:, ::2], np.array([1, 2]), scale=10.0)
    np.testing.assert_array_equal(table, np.arange(9.0).reshape(3, 3) + 10)


@pytest.mark.parametrize("width", [1, 3])
@given(bags=bag_lists(num_words=5), scale=st.sampled_from([1.0, -0.5]), order=st.sampled_from(["C", "F"]))
def test_any_bags(width: int, bags: Bags, scale: float, order: str) -> None:
    rng = np.random.default_rng(1)
    array = np.asarray(rng.normal(size=(5, width)), order=order)  # type: ignore[call-overload]
    np.testing.assert_allclose(
        sum_bags(array, bags.token_ids, bags.offsets), slow_bags(array, bags, "sum"), rtol=1e-13, atol=1e-13
    )
    rows = rng.normal(size=(len(bags.lists), width))
    expected = loop_added(array, bags, rows, scale)
    add_rows(array, bags.token_ids, rows, np.diff(bags.offsets), scale=scale)
    np.testing.assert_allclose(array, expected, rtol=1e-13, atol=1e-13)


def test_sizes_on_both_sides_of_every_threshold_agree() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(50, 64)).astype("float32")
    for num_ids in (10, 100, 5_000):  # 640, 6,400 and 320,000 elements
        ids, offsets = rng.integers(0, 50, num_ids), np.array([0, num_ids // 3, num_ids])
        expected = [np.add.accumulate(table[bag])[-1] for bag in np.split(ids, offsets[1:2])]
        np.testing.assert_allclose(sum_bags(table, ids, offsets), expected, rtol=1e-5, atol=1e-5)
        array, rows = table.copy(), rng.normal(size=(2, 64)).astype("float32")
        wanted = loop_added(array, Bags(tuple(tuple(bag) for bag in np.split(ids, offsets[1:2]))), rows, 0.3)
        add_rows(array, ids, rows, np.diff(offsets), scale=0.3)
        np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("loops", LOOPS, indirect=True)
@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.usefixtures("loops")
def test_a_stack_gets_for_each_client_what_it_gets_alone(num_clients: int, width: int) -> None:
    rng = np.random.default_rng(num_clients)
    vectors = rng.normal(size=(num_clients, 4 * width + 3)).astype("float32")
    stack = vectors[:, 1 : 1 + 4 * width].reshape(num_clients, 4, width)
    assert np.shares_memory(stack, vectors)
    clients = [Bags(((3, 3, 0), (), (1,))), Bags(()), Bags(((), (2,))), Bags(((),)), Bags(((0, 0), ()))][:num_clients]
    rows = [rng.normal(size=(len(bags.lists), width)).astype("float32") for bags in clients]
    alone = [loop_added(own, bags, own_rows, 0.1) for own, bags, own_rows in zip(stack, clients, rows, strict=True)]
    around = vectors[:, [0, -1]].copy()
    add_rows(
        stack,
        np.concatenate([bags.token_ids + 4 * client for client, bags in enumerate(clients)]),
        np.concatenate(rows),
        np.concatenate([np.diff(bags.offsets) for bags in clients]),
        scale=0.1,
    )
    np.testing.assert_array_equal(stack, alone)
    np.testing.assert_array_equal(vectors[:, [0, -1]], around)


def test_rows_of_their_own_in_a_stack() -> None:
    stack = np.zeros((3, 2, 1))
    add_rows(stack, np.array([0, 0, 5, 4, 5]), np.array([[1.0], [2.0], [4.0], [8.0], [16.0]]))
    np.testing.assert_array_equal(stack[..., 0], [[3, 0], [0, 0], [8, 20]])


def test_small_sums_import_neither_scipy_nor_numba() -> None:
    program = (
        "import sys, numpy as np\n"
        "from fedgdl.autograd import Parameter, embedding_bag\n"
        "table = Parameter(np.ones((5, 4)))\n"
        "embedding_bag(table, np.array([1, 2, 1]), np.array([0, 2, 3])).backward(1.0)\n"
        "table.grad.add_to(table.data)\n"
        "print(sorted({'scipy', 'numba'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "[]\n"
