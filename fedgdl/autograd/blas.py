"""Products and sums in place, through the linear-algebra library (BLAS) where NumPy alone is slower.

NumPy multiplies matrices with BLAS but never adds to what is there, takes two passes for
y + a x, and multiplies a column by a row ten times slower than memory allows. SciPy hands BLAS's own
routines out; it is imported when the first of them is needed.

A stack of K clients gets for each client the bits that the client gets alone: what is chosen depends on one
client's sizes only, and BLAS sees one client at a time.

Not here: the operations and their gradients (`product`, `convolution`).

Example:
    >>> y = np.array([1.0, 1.0])
    >>> axpy(0.5, np.array([2.0, 4.0]), y)
    >>> y
    array([2., 3.])
"""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import workspace

__all__ = ["SMALL_PRODUCT", "accumulate_product", "axpy", "column_sums", "multiply_into", "row_sums"]

_Array: TypeAlias = npt.NDArray[Any]

_THIN: Final = 12
"""Products of which one side is as short as this are bound by memory, and packing makes them twice as long."""
SMALL_PRODUCT: Final = 1_000_000
"""Up to so many multiplications OpenBLAS's AVX-512 kernels multiply without copying the operands into an order of their
own first, which is 1.2 times as fast for the products of a convolution and twice as fast for thin ones."""
_BLAS_LENGTH: Final = 4096
"""From this length on, BLAS's axpy is faster than two passes of NumPy, its call and SciPy's import included."""


def axpy(alpha: float, x: _Array, y: _Array) -> None:
    """Adds `alpha` times x to y, in place.

    Args:
        alpha: the factor.
        x: (n,) or, of K clients, (K, n), contiguous along n; of the dtype of y.
        y: as x.
    """
    if x.shape[-1] < _BLAS_LENGTH or not (y.flags.writeable and y.flags.aligned):  # which BLAS does not ask
        y += np.multiply(x, float(alpha), out=workspace.empty(x.shape, x.dtype))
        return
    routine = _routine("axpy", y.dtype.char)
    if y.ndim == 1:
        routine(x, y, a=alpha)
        return
    for one, other in zip(x, y, strict=True):
        routine(one, other, a=alpha)


def multiply_into(a: _Array, b: _Array, out: _Array) -> None:
    """Writes a @ b into an array.

    Args:
        a: (n, k), or (K, n, k).
        b: (k, m), or (K, k, m), of the dtype of a.
        out: (n, m), or (K, n, m), each matrix contiguous; whatever it holds is overwritten.
    """
    inner = a.shape[-1]
    if inner == 1:
        _multiply_one(a, b, out)
        return
    axis, pieces = _cut(out.shape[-2], inner, out.shape[-1])
    if pieces == 1:
        (np.dot if out.ndim == 2 else np.matmul)(a, b, out)
    elif axis == 0:
        np.matmul(_split(a, -2, pieces), b[..., np.newaxis, :, :], _split(out, -2, pieces))
    elif axis == 1:
        parts = np.matmul(_split(a, -1, pieces).swapaxes(-2, -3), _split(b, -2, pieces))
        np.add.reduce(parts, -3, out=out)
    else:
        turned = _split(b, -1, pieces).swapaxes(-2, -3)
        np.matmul(a[..., np.newaxis, :, :], turned, _split(out, -1, pieces).swapaxes(-2, -3))


def _multiply_one(a: _Array, b: _Array, out: _Array) -> None:
    """Writes a @ b for an inner length of 1, where NumPy's own product takes ten times as long."""
    if out.ndim == 3:
        for one, other, place in zip(a, b, out, strict=True):
            _multiply_one(one, other, place)
    elif out.size:
        # BLAS counts columns first, so it is asked for the transpose of everything: out.T = b.T @ a.T.
        _routine("gemm", out.dtype.char)(1.0, b.T, a.T, 0.0, out.T, 0, 0, 1)


@functools.lru_cache(maxsize=256)
def _cut(rows: int, inner: int, columns: int) -> tuple[int, int]:
    """Returns along which side (0, 1 or 2) a product is cut, and into how many equal pieces; 1 leaves it whole."""
    sides = (rows, inner, columns)
    work = rows * inner * columns
    if not 1 < min(sides) <= _THIN or work <= SMALL_PRODUCT:
        return 0, 1
    longest = sides.index(max(sides))
    if longest == 2 and inner == min(sides):
        return 0, 1  # many short rows to write: whole is faster
    least = -(-work // SMALL_PRODUCT)
    pieces = next((count for count in range(least, 4 * least) if sides[longest] % count == 0), 1)
    return longest, pieces


def _split(a: _Array, axis: int, pieces: int) -> _Array:
    """Returns a view in which one of the last two axes has become two: pieces, and what is in each."""
    shape = list(a.shape)
    at = a.ndim + axis
    shape[at : at + 1] = [pieces, shape[at] // pieces]
    return a.reshape(shape)


def column_sums(a: _Array) -> _Array:
    """(n, m) -> (m,), of K clients (K, n, m) -> (K, m): the sum of each column."""
    ones = _ones(a.shape[-2], a.dtype.char)
    sums: _Array = np.dot(ones, a) if a.ndim == 2 else np.matmul(ones, a)
    return sums


def row_sums(a: _Array) -> _Array:
    """(n, m) -> (n,), of K clients (K, ..., n, m) -> (K, ..., n): the sum of each row."""
    ones = _ones(a.shape[-1], a.dtype.char)
    sums: _Array = np.dot(a, ones) if a.ndim == 2 else np.matmul(a, ones)
    return sums


@workspace.kept
def _ones(length: int, char: str) -> _Array:
    """Returns ones, (length,), to be read only."""
    return np.ones(length, char)


def accumulate_product(a: _Array, b: _Array, out: _Array, keep: float = 1.0) -> None:
    """Adds a @ b to `keep` times what an array holds, in place. No side may be of length 0.

    Args:
        a: (n, k), contiguous in either order.
        b: (k, m), contiguous in either order.
        out: (n, m), contiguous row by row.
        keep: 0 overwrites, whatever `out` holds.
    """
    left, transpose_left = (b.T, 0) if b.flags.c_contiguous else (b, 1)
    right, transpose_right = (a.T, 0) if a.flags.c_contiguous else (a, 1)
    _routine("gemm", out.dtype.char)(1.0, left, right, keep, out.T, transpose_left, transpose_right, 1)


@functools.cache
def _routine(name: str, char: str) -> Callable[..., Any]:
    """Returns BLAS's routine for float32 ("f") or float64 ("d")."""
    blas = _library()
    routine: Callable[..., Any] = getattr(blas, {"f": "s", "d": "d"}[char] + name)
    return routine


@functools.cache
def _library() -> ModuleType:
    """Returns SciPy's BLAS, with as many threads as NumPy's has at this moment.

    SciPy brings a library of its own, which comes with a thread for each processor: a limit that was set
    before it was loaded does not hold for it.
    """
    import threadpoolctl

    before = threadpoolctl.threadpool_info()
    from scipy.linalg import blas  # 0.1 s and 28 MB, which a model of sparse tables alone never needs

    counts = [library["num_threads"] for library in before if library["user_api"] == "blas"]
    known = {library["filepath"] for library in before}
    for library in threadpoolctl.ThreadpoolController().lib_controllers:
        if counts and library.user_api == "blas" and library.filepath not in known:
            library.set_num_threads(min(counts))
    module: ModuleType = blas
    return module
