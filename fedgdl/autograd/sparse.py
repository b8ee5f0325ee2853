"""Gradients of tables of which a batch touches few rows: row numbers and rows instead of a whole array.

A step on a table of 75,000 x 100 that looked at 300 rows writes those 300; a dense gradient
would write all of it. Repeated row numbers add up, as the sum rule says.

Not here: what an optimiser does with a gradient (`fedgdl.optim`).

Example:
    >>> gradient = SparseGradient((3, 1), np.dtype("float32"))
    >>> gradient.append(np.array([2, 0, 2]), np.array([[1], [2], [3]], dtype="float32"))
    >>> gradient.to_dense().ravel()
    array([2., 0., 4.], dtype=float32)
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.autograd.scatter import add_rows
from fedgdl.errors import GraphError

__all__ = ["SparseGradient"]


class SparseGradient:
    """The gradient of a table, as the pieces that arrived.

    The pieces are kept by reference: their arrays may not be written to while they are in here.

    The tables of K clients are a stack, (K, V, D); the id of row i of client k is then k V + i, from 0 to
    K V - 1, and within a piece the clients come in order.

    Args:
        shape: (V, ...) the table's shape, or of a stack (K, V, ...) with at least one axis after V.
        dtype: the table's dtype.

    Attributes:
        pieces: (ids, rows, repeats) as `append` took them, in order of arrival.
    """

    __slots__ = ("dtype", "pieces", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.pieces: list[tuple[npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[np.int64] | None]] = []

    def __repr__(self) -> str:
        """Returns the table's shape and how many ids arrived, never the values."""
        num_ids = sum(len(ids) for ids, _, _ in self.pieces)
        return f"SparseGradient({num_ids} rows of a {self.shape} table, {self.dtype})"

    def append(
        self, ids: npt.NDArray[np.int64], rows: npt.NDArray[Any], repeats: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Takes in one more piece.

        Args:
            ids: (n,) int64 row numbers, 0 to V - 1; they may repeat.
            rows: (n, ...) what is added to the gradient of each of these rows; or (b, ...) with `repeats`. One
                axis less than the shape has says that it is a stack's.
            repeats: (b,) int64 of sum n: the first `repeats[0]` ids share the first row, and so on.

        Raises:
            GraphError: the rows' shape or dtype does not fit the table and the ids.
        """
        count = ids if repeats is None else repeats
        stacked = rows.ndim == len(self.shape) - 1 > 1
        if rows.shape != count.shape + self.shape[1 + stacked :] or rows.dtype != self.dtype:
            message = (
                f"gradient rows for {count.size} ids or bags of a {self.shape} table of {self.dtype} "
                f"cannot have shape {rows.shape} and dtype {rows.dtype}"
            )
            raise GraphError(message)
        self.pieces.append((ids, rows, repeats))

    def add_to(self, array: npt.NDArray[Any], scale: float = 1.0) -> None:
        """Adds `scale` times this gradient to an array (V, ...) of the table's dtype, in place."""
        for ids, rows, repeats in self.pieces:
            add_rows(array, ids, rows, repeats, scale=scale)

    def to_dense(self) -> npt.NDArray[Any]:
        """Returns the gradient as a new array of the table's shape, zero where nothing arrived."""
        dense = np.zeros(self.shape, self.dtype)
        self.add_to(dense)
        return dense
