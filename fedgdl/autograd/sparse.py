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

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.errors import GraphError

__all__ = ["SparseGradient", "add_rows"]


def add_rows(
    array: npt.NDArray[Any],
    ids: npt.NDArray[np.int64],
    rows: npt.NDArray[Any],
    repeats: npt.NDArray[np.int64] | None = None,
    *,
    scale: float = 1.0,
) -> None:
    """Adds `scale` times a row to `array[id]` for every id, in place; repeated ids each count.

    Args:
        array: (V, ...) floats to change.
        ids: (n,) int64 row numbers, 0 to V - 1; not checked again.
        rows: (n, ...) of the array's dtype and row shape, one for each id; or (b, ...) with `repeats`.
        repeats: (b,) int64 of sum n: the first `repeats[0]` ids share the first row, and so on.
        scale: what the rows are multiplied by.
    """
    scaled = rows if scale == 1.0 else scale * rows
    if repeats is not None:
        scaled = scaled.repeat(repeats, axis=0)
    if not array.flags.c_contiguous:
        np.add.at(array, ids, scaled)
        return
    # Only one-dimensional `add.at` has a fast loop, so wider rows are addressed element by element.
    width = math.prod(array.shape[1:])
    positions = ids if width == 1 else (ids[:, np.newaxis] * width + np.arange(width)).reshape(-1)
    np.add.at(array.reshape(-1), positions, scaled.reshape(-1))


class SparseGradient:
    """The gradient of a table, as the pieces that arrived.

    The pieces are kept by reference: their arrays may not be written to while they are in here.

    Args:
        shape: (V, ...) the table's shape.
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
            rows: (n, ...) what is added to the gradient of each of these rows; or (b, ...) with `repeats`.
            repeats: (b,) int64 of sum n: the first `repeats[0]` ids share the first row, and so on.

        Raises:
            GraphError: the rows' shape or dtype does not fit the table and the ids.
        """
        count = ids if repeats is None else repeats
        if rows.shape != (*count.shape, *self.shape[1:]) or rows.dtype != self.dtype:
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
