"""Reused memory: only what nobody can see any more is handed out again, by thread and within its limit."""

import functools
import gc
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import dense_gradient, leaf

from fedgdl.autograd import Tensor, conv2d, linear, max_pool2d, relu, tanh, workspace
from fedgdl.autograd.workspace import empty, empty_like

Array = npt.NDArray[Any]
FLOAT32 = np.dtype("float32")
SMALLEST = 1 << 16
MOST = 1 << 27


def on_its_own(function: Callable[[], None]) -> Callable[[], None]:
    """Runs a test in a new thread, which has no blocks at first."""

    @functools.wraps(function)
    def run() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(function).result()

    return run


def address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def kept_bytes() -> int:
    """What the blocks of this thread take, counted again."""
    found = sum(block.nbytes for blocks in workspace._store.blocks.values() for block in blocks)
    assert found == workspace._store.kept_bytes
    return found


def test_arrays_are_as_asked_for() -> None:
    for shape in ((), (0,), (3,), (0, 5), (200, 200), (1, 20_000), (64, 1, 300)):
        for dtype in ("float32", "float64", "bool", "int8", "int64"):
            array = empty(shape, np.dtype(dtype))
            assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
            assert array.flags.c_contiguous
            assert array.flags.writeable
            assert array.flags.aligned
            like = empty_like(array)
            assert (like.shape, like.dtype, like.flags.c_contiguous) == (shape, np.dtype(dtype), True)
    turned = empty_like(np.zeros((200, 300)).T)
    assert turned.shape == (300, 200)
    assert turned.flags.c_contiguous


@on_its_own
def test_memory_that_nobody_holds_is_used_again() -> None:
    first = empty((256, 256), FLOAT32)
    place = address(first)
    second = empty((256, 256), FLOAT32)
    assert not np.shares_memory(first, second)
    del first
    third = empty((65536,), FLOAT32)
    assert address(third) == place
    assert not np.shares_memory(second, third)
    assert kept_bytes() == 2 * 256 * 256 * 4


@on_its_own
def test_small_arrays_are_numpy_s() -> None:
    kept = empty((SMALLEST - 1,), np.dtype("int8"))
    assert kept.base is None
    assert kept_bytes() == 0
    assert empty((SMALLEST,), np.dtype("int8")).base is not None
    assert kept_bytes() == SMALLEST


HOLDERS: dict[str, Callable[[Array], Any]] = {
    "itself": lambda array: array,
    "a slice": lambda array: array[3:5],
    "one element": lambda array: array[7:8, 7:8],
    "nothing of it": lambda array: array[:0],
    "a reshape": lambda array: array.reshape(-1),
    "a transpose": lambda array: array.T,
    "a view of a view": lambda array: array[1:].reshape(-1)[::2].reshape(-1, 2)[3:, :1],
    "another dtype": lambda array: array.view("int32"),
    "a diagonal": np.diagonal,
    "broadcast": lambda array: np.broadcast_to(array[:1], (5, 256)),
    "windows": lambda array: np.lib.stride_tricks.sliding_window_view(array, (2, 2)),
    "strided by hand": lambda array: np.lib.stride_tricks.as_strided(array, (2, 2), (4, 4)),
    "a memory view": memoryview,
    "a part of a memory view": lambda array: memoryview(array)[5:7],
    "an array of a memory view": lambda array: np.frombuffer(memoryview(array), "uint8"),
    "an iterator": lambda array: array.flat,
    "another array's constructor": lambda array: np.ndarray((4,), FLOAT32, array, 0, (4,)),
    "an exchanged array": np.from_dlpack,
    "an attribute": lambda array: array.real,
    "a matrix": lambda array: array.view(np.recarray),
    "its owner": lambda array: array.base,
    "a tensor": Tensor,
    "a closure": lambda array: lambda: array,
    "a list in a tuple": lambda array: ([array],),
    "its address as C sees it": lambda array: array.ctypes.data_as(np.ctypeslib.ndpointer()) and array.ctypes,
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_whatever_looks_into_memory_keeps_it(hold: Callable[[Array], Any]) -> None:
    array = empty((256, 256), FLOAT32)
    array.fill(1)
    place = address(array)
    holder = hold(array)
    del array
    others = [empty((256, 256), FLOAT32) for _ in range(3)]
    assert place not in [address(other) for other in others]
    del holder, others
    gc.collect()  # some holders are held in a circle by NumPy or Python
    free = [empty((256, 256), FLOAT32) for _ in range(10)]
    assert place in [address(other) for other in free]


def test_a_copy_holds_nothing() -> None:
    array = empty((256, 256), FLOAT32)
    array.fill(3)
    copies = [array.copy(), pickle.loads(pickle.dumps(array)), array[:2].astype("float64")]
    place = address(array)
    del array
    free = [empty((256, 256), FLOAT32) for _ in range(10)]
    assert place in [address(other) for other in free]
    for other in free:
        other.fill(0)
    assert all((copied == 3).all() for copied in copies)


SIDES = st.sampled_from([1, 100, 16_384, 16_500, 17_000, 20_000, 32_768, 70_000])
VIEWS: list[Callable[[Array], Array]] = [
    lambda array: array,
    lambda array: array[::3],
    lambda array: array[len(array) // 2 :],
    lambda array: array.reshape(1, -1).T,
    lambda array: array[1:].view("uint8").reshape(-1, 4)[:, :2],
]


@given(st.lists(st.tuples(SIDES, st.sampled_from(VIEWS), st.lists(st.integers(0, 20), max_size=3)), max_size=30))
def test_what_is_kept_is_never_overwritten(steps: list[tuple[int, Callable[[Array], Array], list[int]]]) -> None:
    alive: list[tuple[Array, Array]] = []
    for number, (size, view, dropped) in enumerate(steps):
        array = empty((size,), FLOAT32)
        array.fill(number)
        kept = view(array)
        alive.append((kept, kept.copy()))
        del array, kept
        for index in dropped:
            if index < len(alive):
                del alive[index]
    for kept, copied in alive:
        np.testing.assert_array_equal(kept, copied)


# Each takes an image (1, 48, 48, 8) of float32, 72 KiB, and returns one.
STEPS: list[Callable[[Tensor], Tensor]] = [
    relu,
    tanh,
    lambda x: conv2d(x, leaf(3, 3, 8, 8, dtype="float32"), leaf(8, dtype="float32"), padding=1, activation="tanh"),
    lambda x: linear(x, leaf(8, 8, dtype="float32"), leaf(8, dtype="float32"), "sigmoid"),
    lambda x: max_pool2d(x, 1) + x,
    lambda x: conv2d(x, leaf(1, 1, 8, 8, dtype="float32"), activation="relu") * 0.5,
]


@settings(max_examples=25, deadline=None)  # each takes some ten convolutions
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.booleans(), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(0, 20), max_size=8),
)
def test_no_later_operation_overwrites_what_a_user_keeps(
    steps: list[tuple[Callable[[Tensor], Tensor], bool, bool]], dropped: list[int]
) -> None:
    x = tensor = leaf(1, 48, 48, 8, dtype="float32")
    kept: list[tuple[Array, Array]] = []

    def keep(array: Array) -> None:
        view = array.reshape(-1)[5:]
        kept.append((view, view.copy()))

    for step, keeps_data, runs_backward in steps:
        tensor = step(tensor)
        if keeps_data:
            keep(tensor.data)
        if runs_backward:
            tensor.backward(1.0)
            keep(dense_gradient(x))
            x = tensor = Tensor(tensor.data, requires_grad=True)
        for index in dropped[:1]:
            if index < len(kept):
                del kept[index]
    for view, copied in kept:
        np.testing.assert_array_equal(view, copied)


@on_its_own
def test_batches_of_almost_one_size_share_their_memory() -> None:
    # From 64 to 128 KiB blocks come in steps of 8 KiB, from 128 to 256 KiB in steps of 16 KiB, and so on.
    for start in (1 << 16, 1 << 17, 1 << 20, 1 << 25):
        step = start // 8
        for low in range(start, 2 * start, step):
            places = set()
            for size in (low + 1, low + step // 2, low + step):
                array = empty((size,), np.dtype("uint8"))
                places.add(address(array))
                del array
            assert len(places) == 1
            workspace._store.drop_free()
    assert kept_bytes() == 0


@given(st.integers(SMALLEST, 1 << 22))
def test_a_block_is_large_enough_and_not_by_much(nbytes: int) -> None:
    array = empty((nbytes,), np.dtype("uint8"))
    owner = array.base
    assert isinstance(owner, np.ndarray)
    assert nbytes <= owner.nbytes < nbytes * 9 / 8


@on_its_own
def test_arrays_beyond_the_limit_are_numpy_s() -> None:
    for nbytes in (MOST + 1, 2 * MOST):
        array = empty((nbytes,), np.dtype("uint8"))
        assert array.shape == (nbytes,)
        assert array.base is None
        assert kept_bytes() == 0
    largest = empty((MOST,), np.dtype("uint8"))
    assert kept_bytes() == MOST
    assert empty((1 << 20,), np.dtype("uint8")).base is None  # nothing is left, and nothing is free
    place = address(largest)
    del largest
    again = empty((MOST,), np.dtype("uint8"))
    assert address(again) == place


@on_its_own
def test_what_is_free_makes_room_for_other_sizes() -> None:
    half, quarter = MOST // 2, MOST // 4
    held, free = empty((half,), np.dtype("uint8")), empty((half,), np.dtype("uint8"))
    assert kept_bytes() == MOST
    del free
    other = empty((quarter,), np.dtype("uint8"))
    assert other.base is not None
    assert kept_bytes() == half + quarter
    assert held.base is not None


@on_its_own
def test_no_more_is_kept_than_the_limit() -> None:
    rng = np.random.default_rng(1)
    alive: list[Array] = []
    for _ in range(400):  # untouched memory takes addresses alone
        alive.append(empty((int(rng.integers(1, MOST // 3)),), np.dtype("uint8")))
        if len(alive) > 5:
            del alive[int(rng.integers(len(alive)))]
        assert kept_bytes() <= MOST


def test_threads_have_their_own_memory() -> None:
    barrier, overwritten, stores = threading.Barrier(4), [], set()

    def run(number: int) -> None:
        stores.add(id(workspace._store.blocks))
        for _ in range(50):
            arrays = [empty((20_000,), FLOAT32) for _ in range(3)]
            for array in arrays:
                array.fill(number)
            barrier.wait(timeout=60)
            overwritten.extend(True for array in arrays if not (array == number).all())
            del arrays, array

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overwritten == []
    assert len(stores) == 4


def test_an_array_outlives_its_thread() -> None:
    found: list[Array] = []

    def run() -> None:
        array = empty((20_000,), FLOAT32)
        array.fill(5)
        found.append(array[10:])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    for other in [empty((20_000,), FLOAT32) for _ in range(5)]:
        other.fill(0)
    assert (found[0] == 5).all()


@on_its_own
def test_a_new_thread_starts_with_nothing() -> None:
    assert kept_bytes() == 0
    assert workspace._store.blocks == {}


@on_its_own
def test_repeated_steps_need_no_new_memory() -> None:
    weight, x = leaf(64, 256, dtype="float32"), leaf(100, 64, dtype="float32")
    amounts = []
    for _ in range(5):
        linear(x, weight, activation="tanh").sum().backward()
        amounts.append(kept_bytes())
    assert len(set(amounts[1:])) == 1
    assert amounts[0] > 0
