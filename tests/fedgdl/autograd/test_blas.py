"""BLAS in place against NumPy: lengths, memory orders, what was there before, stacks, threads and imports."""

import itertools
import json
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.autograd.blas import accumulate_product, axpy, multiply_into

Array = npt.NDArray[Any]
DTYPES = ["float32", "float64"]
LENGTHS = [0, 1, 2, 7, 4095, 4096, 4097, 10_007]  # BLAS comes in at 4,096


def normal(*shape: int, dtype: str = "float64", seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def in_a_process(code: str) -> Any:
    """Runs a program of its own, which prints one JSON document, and returns that."""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


# y + a x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.5, 1 / 3, 1e-30])
def test_axpy_is_numpy_s_sum(length: int, dtype: str, alpha: float) -> None:
    x, y = normal(length, dtype=dtype, seed=1), normal(length, dtype=dtype, seed=2)
    before, values = y.copy(), x.copy()
    axpy(alpha, x, y)
    # Two roundings, or one where the processor multiplies and adds at once, and one of alpha.
    error = 2 * np.finfo(dtype).eps * (np.abs(alpha * x) + np.abs(before))
    assert y.dtype == dtype
    assert (np.abs(y - (before + x.dtype.type(alpha) * x)) <= error).all()
    np.testing.assert_array_equal(x, values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_axpy_of_a_stack_has_the_bits_of_each_row(num_clients: int, length: int, dtype: str) -> None:
    x, y = normal(num_clients, length, dtype=dtype, seed=1), normal(num_clients, length, dtype=dtype, seed=2)
    expected = y.copy()
    for client in range(num_clients):
        alone = expected[client].copy()
        axpy(-0.1, x[client].copy(), alone)
        expected[client] = alone
    axpy(-0.1, x, y)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("length", [100, 5000])
def test_axpy_leaves_the_clients_alone_that_it_was_not_given(length: int) -> None:
    x, y = normal(5, length, seed=1), normal(5, length, seed=2)
    before = y.copy()
    axpy(2.0, x[:3], y[:3])
    np.testing.assert_array_equal(y[3:], before[3:])
    np.testing.assert_allclose(y[:3], before[:3] + 2 * x[:3], rtol=1e-14, atol=1e-14)
    wide = normal(3, 2 * length, seed=3)  # rows with gaps between them
    before = wide.copy()
    axpy(2.0, x[:3], wide[:, :length])
    np.testing.assert_array_equal(wide[:, length:], before[:, length:])
    np.testing.assert_allclose(wide[:, :length], before[:, :length] + 2 * x[:3], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("length", [10, 5000])
def test_axpy_carries_what_is_not_finite(length: int) -> None:
    x, y = np.zeros(length), np.ones(length)
    x[3], x[7] = np.nan, np.inf
    axpy(-1.0, x, y)
    assert np.isnan(y[3])
    assert y[7] == -np.inf
    assert (np.delete(y, [3, 7]) == 1).all()


# Products


SIDES = [(1, 1, 1), (3, 1, 4), (1, 5, 1), (4, 3, 2), (1, 3, 4), (4, 3, 1), (37, 11, 29), (784, 1, 100), (100, 130, 90)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("orders", list(itertools.product("CF", repeat=2)))
@pytest.mark.parametrize("keep", [1.0, 0.0, 0.5])
def test_products_add_up_in_place(
    sides: tuple[int, int, int], orders: tuple[str, str], dtype: str, keep: float
) -> None:
    n, k, m = sides
    a, b, out = (normal(*shape, seed=i, dtype=dtype) for i, shape in enumerate([(n, k), (k, m), (n, m)]))
    before = out.copy()
    address = out.ctypes.data
    accumulate_product(np.asarray(a, order=orders[0]), np.asarray(b, order=orders[1]), out, keep)
    expected = a.astype("float64") @ b + keep * before
    # Each of k products is rounded, and each of their sums: at most k + 2 roundings of numbers no larger than the sum
    # of absolute values.
    bound = (k + 2) * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(before))
    assert (np.abs(out - expected) <= bound).all()
    assert out.ctypes.data == address


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sides", SIDES)
def test_keeping_nothing_forgets_even_nan(sides: tuple[int, int, int], dtype: str) -> None:
    n, k, m = sides
    a, b = normal(n, k, dtype=dtype, seed=1), normal(k, m, dtype=dtype, seed=2)
    for junk in (np.nan, np.inf, -np.inf):
        once, again = np.full((n, m), junk, dtype), np.full((n, m), junk, dtype)
        accumulate_product(a, b, once, keep=0.0)
        multiply_into(a, b, again)
        for out in (once, again):
            np.testing.assert_allclose(out, a @ b, rtol=1e-4 if dtype == "float32" else 1e-11, atol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("orders", list(itertools.product("CF", repeat=2)))
def test_multiplying_into_an_array(sides: tuple[int, int, int], orders: tuple[str, str], dtype: str) -> None:
    n, k, m = sides
    a = np.asarray(normal(n, k, dtype=dtype, seed=1), order=orders[0])
    b = np.asarray(normal(k, m, dtype=dtype, seed=2), order=orders[1])
    out = np.full((n, m), np.nan, dtype)
    multiply_into(a, b, out)
    bound = (k + 1) * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b))
    assert (np.abs(out - a.astype("float64") @ b) <= bound).all()


@pytest.mark.parametrize("sides", [(0, 1, 3), (3, 1, 0), (0, 2, 3), (3, 0, 2), (0, 0, 0)])
def test_empty_products(sides: tuple[int, int, int]) -> None:
    n, k, m = sides
    out = np.full((n, m), np.nan)
    multiply_into(np.ones((n, k)), np.ones((k, m)), out)
    np.testing.assert_array_equal(out, np.zeros((n, m)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("sides", [*SIDES, (0, 1, 3), (3, 0, 2)])
def test_a_stack_of_products_has_the_bits_of_each(num_clients: int, sides: tuple[int, int, int], dtype: str) -> None:
    n, k, m = sides
    a, b = normal(num_clients, n, k, dtype=dtype, seed=1), normal(num_clients, k, m, dtype=dtype, seed=2)
    # As in a stacked gradient vector: gaps between the clients, which are off every alignment.
    vector = np.full((num_clients, n * m + 3), np.nan, dtype)
    out = vector[:, 1 : 1 + n * m].reshape(num_clients, n, m)
    multiply_into(a, b, out)
    for client in range(num_clients):
        alone = np.full((n, m), np.nan, dtype)
        multiply_into(a[client].copy(), b[client].copy(), alone)
        np.testing.assert_array_equal(out[client], alone)
    assert np.isnan(vector[:, [0, -1, -2]]).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 63), st.integers(0, 2**32))
def test_no_address_changes_the_bits(n: int, k: int, m: int, shift: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, start = (rng.normal(size=shape).astype("float32") for shape in ((n, k), (k, m), (n, m)))
    results = []
    for offset in (0, shift):
        places = [np.zeros(array.size + 64, "float32")[offset : offset + array.size] for array in (a, b, start)]
        one, other, out = (place.reshape(array.shape) for place, array in zip(places, (a, b, start), strict=True))
        one[...], other[...], out[...] = a, b, start
        accumulate_product(one, other, out)
        results.append(out.copy())
    np.testing.assert_array_equal(*results)


# The library


def test_a_limit_of_one_thread_holds_for_the_library_that_comes_later() -> None:
    found = in_a_process("""
import json, numpy, threadpoolctl
threadpoolctl.threadpool_limits(1, user_api="blas")
from fedgdl.autograd import blas
before = len([one for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"])
blas.axpy(1.0, numpy.ones(5000), numpy.ones(5000))
after = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
print(json.dumps([before, after]))
""")
    before, after = found
    assert before >= 1
    assert len(after) >= before
    assert set(after) == {1}


def test_without_a_limit_both_libraries_have_the_same_number_of_threads() -> None:
    counts = in_a_process("""
import json, numpy, threadpoolctl
from fedgdl.autograd import blas
blas.accumulate_product(numpy.ones((2, 2)), numpy.ones((2, 2)), numpy.ones((2, 2)))
print(json.dumps([one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]))
""")
    assert len(set(counts)) == 1


def test_the_context_of_one_thread_holds_for_a_library_that_came_after_the_last_one() -> None:
    counts = in_a_process("""
import json, numpy, threadpoolctl
from fedgdl.autograd import blas
from fedgdl.runtime.threads import one_blas_thread
with one_blas_thread():
    pass
blas.axpy(1.0, numpy.ones(5000), numpy.ones(5000))
with one_blas_thread():
    print(json.dumps([one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]))
""")
    assert set(counts) == {1}


def test_scipy_is_imported_when_it_is_needed() -> None:
    found = in_a_process("""
import json, sys, numpy
from fedgdl.autograd import Parameter, blas, embedding_bag, linear, squared_error
loaded = []
table = Parameter(numpy.zeros((10, 4), "float32"))
loss = squared_error(embedding_bag(table, numpy.array([1, 2]), numpy.array([0, 2])), numpy.zeros((1, 4), "float32"))
loss.backward()
linear(numpy.ones((3, 4)), Parameter(numpy.ones((4, 2)))).sum().backward()
blas.axpy(1.0, numpy.ones(4095), numpy.ones(4095))
loaded.append("scipy" in sys.modules)
blas.axpy(1.0, numpy.ones(4096), numpy.ones(4096))
loaded.append("scipy" in sys.modules)
print(json.dumps(loaded))
""")
    assert found == [False, True]


def test_what_may_not_be_written_to_is_not() -> None:
    x, y = np.ones(5_000, "float32"), np.zeros(5_000, "float32")
    y.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        axpy(1.0, x, y)
    assert not y.any()
    askew = np.frombuffer(bytearray(20_001), "float32", offset=1)
    axpy(2.0, x, askew)
    np.testing.assert_array_equal(askew, 2)
