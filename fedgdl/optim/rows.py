"""The rows of a table that a sparse gradient touches, each named once, with the sum of what arrived for it.

Not here: sparse gradients as they arrive (`fedgdl.autograd.SparseGradient`).

Example:
    >>> gradient = SparseGradient((3, 1), np.dtype("float32"))
    >>> gradient.append(np.array([2, 0, 2]), np.array([[1], [2], [3]], dtype="float32"))
    >>> [(ids, rows)] = sum_rows(gradient)
    >>> ids
    array([0, 2])
    >>> rows.ravel()
    array([2., 4.], dtype=float32)
"""

from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import SparseGradient
from fedgdl.autograd.scatter import add_rows
from fedgdl.errors import ParameterError

__all__ = ["Rows", "join_rows", "sum_rows"]

Rows: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]


def sum_rows(gradient: SparseGradient, num_clients: int | None = None) -> list[Rows]:
    """Returns the touched rows of a table, or of each client's table in a stack.

    Args:
        gradient: of a table (V, ...), or of a stack (K, V, ...).
        num_clients: K, if it is a stack's.

    Returns:
        One or K pairs: row numbers (n,) int64, ascending, 0 to V - 1, and the sums (n, ...) of what arrived for each
        of them, in the order of arrival, of the table's dtype. The arrays are new.

    Raises:
        ParameterError: the gradient of a stack names whole clients instead of rows.
    """
    pieces = gradient.pieces
    row_shape = gradient.shape[1:] if num_clients is None else gradient.shape[2:]
    if any(rows.shape[1:] != row_shape for _, rows, _ in pieces):
        message = (
            f"a sparse gradient of a stack {gradient.shape} must name rows of the clients' tables, of shape "
            f"{row_shape}; rows of a stack itself are whole clients"
        )
        raise ParameterError(message)
    arrived = [ids for ids, _, _ in pieces]
    ids, places = np.unique(np.concatenate(arrived or [np.empty(0, np.int64)]), return_inverse=True)
    sums = np.zeros((ids.size, *row_shape), gradient.dtype)
    start = 0
    for piece, rows, repeats in pieces:
        add_rows(sums, places[start : start + piece.size], rows, repeats)
        start += piece.size
    if num_clients is None:
        return [(ids, sums)]
    height = gradient.shape[1]
    ends = np.searchsorted(ids, np.arange(num_clients + 1) * height).tolist()
    return [(ids[a:b] - client * height, sums[a:b]) for client, (a, b) in enumerate(pairwise(ends))]


def join_rows(tables: list[Rows], shape: tuple[int, ...], dtype: np.dtype[Any]) -> SparseGradient:
    """Returns the sparse gradient (V, ...) or (K, V, ...) of what `sum_rows` returned."""
    gradient = SparseGradient(shape, dtype)
    ids = [own + client * shape[1] if client else own for client, (own, _) in enumerate(tables)]
    gradient.append(np.concatenate(ids), np.concatenate([rows for _, rows in tables]))
    return gradient
