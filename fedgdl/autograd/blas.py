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

__all__ = ["accumulate_product", "axpy", "multiply_into"]

_Array: TypeAlias = npt.NDArray[Any]

_BLAS_LENGTH: Final = 4096
"""From this length on, BLAS's axpy is faster than two passes of NumPy, its call and SciPy's import included."""


def axpy(alpha: float, x: _Array, y: _Array) -> None:
    """Adds `alpha` times x to y, in place.

    Args:
        alpha: the factor.
        x: (n,) or, of K clients, (K, n), contiguous along n; of the dtype of y.
        y: as x.
    """
    if x.shape[-1] < _BLAS_LENGTH:
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
        a: (..., n, k).
        b: (..., k, m), of the dtype of a.
        out: (..., n, m), each matrix contiguous; whatever it holds is overwritten.
    """
    if a.shape[-1] != 1:
        (np.dot if out.ndim == 2 else np.matmul)(a, b, out)
    elif out.ndim == 2 and out.size:
        # BLAS counts columns first, so it is asked for the transpose of everything: out.T = b.T @ a.T.
        _routine("gemm", out.dtype.char)(1.0, b.T, a.T, 0.0, out.T, 0, 0, 1)
    else:
        for one, other, place in zip(a, b, out, strict=True) if out.size else ():
            multiply_into(one, other, place)


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
