"""Sums over rows of a table that are named by their ids: into the table, and out of it.

NumPy's own ways to add to rows whose ids repeat, or to sum bags of rows, take five to ten
times as long as the memory does. Compiled loops take their place: numba's for large tables of
ids where numba is installed (`pip install fedgdl[fast]`), else those by which SciPy multiplies sparse
matrices. Both add in the order of the ids, so both give the same bits. Which loop runs depends on
one client's sizes only.

Not here: the operations (`embedding`), and gradients that stay sparse (`sparse`).

Example:
    >>> table = np.zeros((3, 2))
    >>> add_rows(table, np.array([2, 0, 2]), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    >>> table
    array([[2., 2.],
           [0., 0.],
           [4., 4.]])
"""

import functools
import importlib
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import workspace

__all__ = ["add_rows", "sum_bags"]

_Array = npt.NDArray[Any]
_Ids = npt.NDArray[np.int64]

_SCIPY_SIZE: Final = 1 << 10
"""From this number of elements in rows on, SciPy's loops take half of NumPy's time or less."""
_SCIPY_SINGLES: Final = 1 << 14
"""From this number on for rows of one element, where NumPy is only a little slower and need not be left for
small models' sake: SciPy takes 0.1 s and 28 MB."""
_NUMBA_SIZE: Final = 1 << 18
"""From this number of elements in rows on, numba is looked for: its import takes half a second."""


def add_rows(array: _Array, ids: _Ids, rows: _Array, repeats: _Ids | None = None, *, scale: float = 1.0) -> None:
    """Adds `scale` times a row to `array[id]` for every id, in place; repeated ids each count.

    In a stack of K tables, array (K, V, ...) and one axis less in the rows, the id of row i of client k is k V + i,
    and the ids of a client lie together, in the clients' order. Each client gets the bits it gets alone.

    Args:
        array: (V, ...) floats to change.
        ids: (n,) int64 row numbers, 0 to V - 1; not checked again.
        rows: (n, ...) of the array's dtype and row shape, one for each id; or (b, ...) with `repeats`.
        repeats: (b,) int64 of sum n: the first `repeats[0]` ids share the first row, and so on.
        scale: what the rows are multiplied by.
    """
    if rows.ndim < array.ndim:
        for client, (own_ids, own_rows, own_repeats) in _by_client(array.shape, ids, rows, repeats):
            add_rows(array[client], own_ids, own_rows, own_repeats, scale=scale)
        return
    width = array.shape[1] if array.ndim == 2 else math.prod(array.shape[1:])
    size = ids.size * width
    if size == 0:
        return
    if not array.flags.c_contiguous:
        np.add.at(array, ids, _each(rows, repeats, scale))
    elif (compiled := _numba_loops(size, width)) is not None:
        flat = array.reshape(-1, width), rows.reshape(-1, width)
        compiled.add(flat[0], ids, _bounds(ids, repeats), flat[1], rows.dtype.type(scale))
    elif (sparse := _scipy_loops(size, width)) is not None:
        # The table gains a sparse matrix (V, b), `scale` where a bag names a row, times the rows (b, width).
        factors = np.empty(ids.size, array.dtype)
        factors.fill(scale)
        bounds = _bounds(ids, repeats)
        if width == 1:
            sparse.csc_matvec(len(array), len(rows), bounds, ids, factors, rows, array)
        else:
            sparse.csc_matvecs(len(array), len(rows), width, bounds, ids, factors, rows, array)
    else:
        # Only one-dimensional `add.at` has a fast loop, so wider rows are addressed element by element.
        positions = ids if width == 1 else (ids[:, np.newaxis] * width + np.arange(width)).reshape(-1)
        np.add.at(array.reshape(-1), positions, _each(rows, repeats, scale).reshape(-1))


def sum_bags(table: _Array, ids: _Ids, bounds: _Ids) -> _Array:
    """(V, D), (n,), (b + 1,) -> (b, D): the sum of each bag's rows, a new array; zeros for an empty bag.

    Args:
        table: floats.
        ids: int64 row numbers, 0 to V - 1; not checked again.
        bounds: int64, from 0 to n, never falling; bag i is `ids[bounds[i]:bounds[i + 1]]`.
    """
    num_bags, width = bounds.size - 1, table.shape[1]
    size = ids.size * width
    if not table.flags.c_contiguous:
        return _sum_by_numpy(table, ids, bounds)
    if (compiled := _numba_loops(size, width)) is not None:
        sums = np.zeros((num_bags, width), table.dtype)
        compiled.sum(table, ids, bounds, sums)
        return sums
    if (sparse := _scipy_loops(size, width)) is not None:
        sums = np.zeros((num_bags, width), table.dtype)
        # A sparse matrix (b, V), 1 where a bag names a row, times the table.
        ones = np.empty(ids.size, table.dtype)
        ones.fill(1.0)
        if width == 1:
            sparse.csr_matvec(num_bags, len(table), bounds, ids, ones, table, sums)
        else:
            sparse.csr_matvecs(num_bags, len(table), width, bounds, ids, ones, table, sums)
        return sums
    return _sum_by_numpy(table, ids, bounds)


def _sum_by_numpy(table: _Array, ids: _Ids, bounds: _Ids) -> _Array:
    """(V, D), (n,), (b + 1,) -> (b, D): `sum_bags` without compiled loops; the order of a bag's sum is NumPy's."""
    starts = bounds[:-1]
    rows = workspace.empty((ids.size, table.shape[1]), table.dtype)
    table.take(ids, axis=0, out=rows, mode="clip")  # any other mode buffers `out` for fear of a wrong id
    full = starts < bounds[1:]
    if full.all():
        return np.add.reduceat(rows, starts, axis=0)
    sums = np.zeros((starts.size, table.shape[1]), table.dtype)
    if full.any():
        # `reduceat` takes an empty bag for a bag of one; without the empty bags, the others still lie end to end.
        sums[full] = np.add.reduceat(rows, starts[full], axis=0)
    return sums


def _each(rows: _Array, repeats: _Ids | None, scale: float) -> _Array:
    """Returns the scaled row of each id, (n, ...)."""
    scaled = rows if scale == 1.0 else scale * rows
    return scaled if repeats is None else scaled.repeat(repeats, axis=0)


def _bounds(ids: _Ids, repeats: _Ids | None) -> _Ids:
    """Returns where each row's ids begin and end, (b + 1,)."""
    if repeats is None:
        return np.arange(ids.size + 1)
    bounds = np.zeros(repeats.size + 1, np.int64)
    np.add.accumulate(repeats, out=bounds[1:])
    return bounds


def _by_client(
    shape: tuple[int, ...], ids: _Ids, rows: _Array, repeats: _Ids | None
) -> Iterator[tuple[int, tuple[_Ids, _Array, _Ids | None]]]:
    """Yields each client's index and its own ids, rows and repeats, for a stack (K, V, ...)."""
    num_clients, num_rows = shape[:2]
    bounds = _bounds(ids, repeats)
    # Ids lie in the clients' order, so those below (k + 1) V are the first of them; likewise the bags.
    ends = np.searchsorted(ids // num_rows, np.arange(num_clients), side="right").tolist()
    bag_ends = np.searchsorted(bounds, ends, side="left").tolist()
    start = bag_start = 0
    for client, (end, bag_end) in enumerate(zip(ends, bag_ends, strict=True)):
        if end > start:
            own_repeats = None if repeats is None else repeats[bag_start:bag_end]
            yield client, (ids[start:end] - client * num_rows, rows[bag_start:bag_end], own_repeats)
        start, bag_start = end, bag_end


class _Loops(NamedTuple):
    """Loops that numba compiled."""

    add: Callable[[_Array, _Ids, _Ids, _Array, Any], None]
    sum: Callable[[_Array, _Ids, _Ids, _Array], None]


def _add_loop(table: _Array, ids: _Ids, bounds: _Ids, rows: _Array, scale: Any) -> None:  # noqa: ANN401 (a NumPy scalar)
    """Adds `scale` times row i of the rows to the table's rows `ids[bounds[i]:bounds[i + 1]]`."""
    for bag in range(len(rows)):
        for position in range(bounds[bag], bounds[bag + 1]):
            row = ids[position]
            for column in range(table.shape[1]):
                table[row, column] += scale * rows[bag, column]


def _sum_loop(table: _Array, ids: _Ids, bounds: _Ids, sums: _Array) -> None:
    """Adds the table's rows `ids[bounds[i]:bounds[i + 1]]` to row i of the sums."""
    for bag in range(len(sums)):
        for position in range(bounds[bag], bounds[bag + 1]):
            row = ids[position]
            for column in range(table.shape[1]):
                sums[bag, column] += table[row, column]


def _numba_loops(size: int, width: int) -> _Loops | None:
    """Returns the compiled loops where numba is installed and they are the fastest for elements in rows."""
    return _compiled() if size >= _NUMBA_SIZE and width > 1 else None


def _scipy_loops(size: int, width: int) -> ModuleType | None:
    """Returns SciPy's loops where they are faster than NumPy's for elements in rows."""
    return _sparse_products() if size >= (_SCIPY_SIZE if width > 1 else _SCIPY_SINGLES) else None


@functools.cache
def _compiled() -> _Loops | None:
    """Returns the loops as numba compiles them, at their first call; none where numba is not installed."""
    try:
        numba = importlib.import_module("numba")
    except ImportError:
        return None
    try:
        return _Loops(*(numba.njit(loop, cache=True, nogil=True) for loop in (_add_loop, _sum_loop)))
    except RuntimeError:  # there is no folder that numba may keep its compiled code in
        return _Loops(*(numba.njit(loop, nogil=True) for loop in (_add_loop, _sum_loop)))


@functools.cache
def _sparse_products() -> ModuleType | None:
    """Returns SciPy's products of a sparse matrix and rows; none in a version that names them otherwise.

    SciPy's public product makes a new array, so it could sum bags but not add to a table in place.
    """
    try:
        products = importlib.import_module("scipy.sparse._sparsetools")
    except ImportError:
        return None
    names = ("csc_matvec", "csc_matvecs", "csr_matvec", "csr_matvecs")
    return products if all(hasattr(products, name) for name in names) else None
