"""Memory for large temporaries that is used again as soon as nobody holds it any more.

A fresh array of some megabytes costs more in page faults than most operations cost in
arithmetic: a training step that asks for new memory each time takes two to three times as long. So
large arrays are views into blocks that this module keeps, one store per thread. A block is handed out again
only when no array that looks into it is left, which its reference count tells: whoever keeps a
result, keeps it for as long as he likes.

Not here: arrays that live as long as their model (`fedgdl.parameters`).

Example:
    >>> first = empty((256, 256), np.dtype("float32"))
    >>> address = first.ctypes.data
    >>> del first
    >>> empty((128, 512), np.dtype("float32")).ctypes.data == address
    True
"""

import functools
import math
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["empty", "empty_like", "kept"]

_SMALLEST_BYTES: Final = 1 << 16
"""Below, NumPy's own allocation is as fast: 64 KiB stay under the size from which the C library asks the
system for fresh pages each time (128 KiB at first)."""
_MOST_BYTES: Final = 1 << 27
"""How many bytes of blocks a thread keeps, 128 MiB: about six times what a batch of 50 takes in a convolutional
network of 1.7 million parameters. Arrays beyond that are NumPy's."""

_MOST_BLOCKS: Final = 32
"""How many blocks of one size a thread keeps: to ask each whether it is free takes 0.03 us."""
_LONGEST_KEPT: Final = 4096
"""Up to this length, constant arrays are kept from step to step: 2 MB of each kind at most."""
_PATIENCE: Final = 16
"""Of so many arrays for which there is no room, one makes the store look for blocks to give back."""

_T = TypeVar("_T")
_Block = npt.NDArray[np.uint8]


class _Store(threading.local):
    """One thread's blocks by size."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[_Block]] = {}
        self.kept_bytes = 0
        self._refusals = 0

    def has_room(self, size: int) -> bool:
        """Returns whether a block of this size may be kept, once those that no array looks into are given back."""
        if self.kept_bytes + size <= _MOST_BYTES:
            return True
        self._refusals += 1
        if size > _MOST_BYTES or self._refusals % _PATIENCE != 1:  # to look through all blocks takes its time
            return False
        self.drop_free()
        return self.kept_bytes + size <= _MOST_BYTES

    def drop_free(self) -> None:
        """Gives back the blocks that no array looks into."""
        self.blocks = {size: _split(blocks)[1] for size, blocks in self.blocks.items()}
        self.kept_bytes = sum(size * len(blocks) for size, blocks in self.blocks.items())


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Returns a contiguous array of arbitrary content, of reused memory if it is large.

    Args:
        shape: of the array.
        dtype: of the array.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < _SMALLEST_BYTES:
        return np.empty(shape, dtype)
    step = 1 << (nbytes.bit_length() - 4)  # at most an eighth: batches of almost one size share their blocks
    size = -(-nbytes // step) * step
    blocks = _store.blocks.get(size)
    if blocks is None:
        blocks = _store.blocks[size] = []
    for block in blocks:
        # Views of views refer to the block itself, so its count has every array that looks into it.
        if sys.getrefcount(block) == _FREE_COUNT:
            return np.ndarray(shape, dtype, block)
    if len(blocks) == _MOST_BLOCKS or not _store.has_room(size):
        return np.empty(shape, dtype)
    block = np.empty(size, np.uint8)
    _store.blocks.setdefault(size, blocks).append(block)
    _store.kept_bytes += size
    return np.ndarray(shape, dtype, block)


def kept(make: Callable[[int, _T], npt.NDArray[Any]]) -> Callable[[int, _T], npt.NDArray[Any]]:
    """Returns a function like `make`, whose arrays are read-only and, where they are short, made once.

    Args:
        make: returns a new array, from its length and whatever else determines it.
    """

    def make_frozen(length: int, what: _T) -> npt.NDArray[Any]:
        array = make(length, what)
        array.setflags(write=False)
        return array

    once = functools.lru_cache(maxsize=64)(make_frozen)

    def look_up(length: int, what: _T) -> npt.NDArray[Any]:
        return once(length, what) if length <= _LONGEST_KEPT else make_frozen(length, what)

    return look_up


def empty_like(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns a contiguous array of an array's shape and dtype, of arbitrary content; reused memory if it is large."""
    return empty(array.shape, array.dtype)


def _split(blocks: list[_Block]) -> tuple[list[_Block], list[_Block]]:
    """Returns the free blocks and the others."""
    free: list[_Block] = []
    used: list[_Block] = []
    for block in blocks:
        (free if sys.getrefcount(block) == _FREE_COUNT else used).append(block)
    return free, used


def _count_free() -> int:
    """Returns what `getrefcount` says where blocks are counted, of a block that no array looks into."""
    for block in [np.empty(0, np.uint8)]:  # a list and a loop, as there: what these hold depends on the interpreter
        return sys.getrefcount(block)
    raise AssertionError


_FREE_COUNT: Final = _count_free()
_store: Final = _Store()
