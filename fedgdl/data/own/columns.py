"""Checks of columns: each gives values that can be learned from, or says which row cannot.

Example:
    >>> label_column(["cat", 3.5], lambda row: f"row {row}")
    Traceback (most recent call last):
        ...
    fedgdl.errors.DataError: row 1: a label is a name or a whole number, not 3.5
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.errors import DataError
from fedgdl.parameters import DType

__all__ = ["Place", "client_column", "label_column", "number_column", "refuse_not_finite", "text_column"]

Place: TypeAlias = Callable[[int], str]
"""Says where a row (counted from 0) is, for messages."""


def label_column(values: Iterable[object], place: Place) -> list[str] | list[int]:
    """Returns labels, all names or all whole numbers.

    Raises:
        DataError: one is neither, an empty name, or another kind than those before it.
    """
    names: list[str] = []
    numbers: list[int] = []
    for row, value in enumerate(values):
        if isinstance(value, str) and value:
            names.append(value)
        elif isinstance(value, int | np.integer | np.bool_):
            numbers.append(int(value))
        else:
            message = f"{place(row)}: a label is a name or a whole number, not {value!r}"
            raise DataError(message)
        if names and numbers:
            message = f"{place(row)}: the label {value!r} is of another kind than those before it (names or numbers)"
            raise DataError(message)
    return names or numbers


def client_column(values: Iterable[object], place: Place) -> list[str]:
    """Returns clients' names; whole numbers become names.

    Raises:
        DataError: one is neither a name nor a whole number.
    """
    names: list[str] = []
    for row, value in enumerate(values):
        if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | np.integer):
            message = f"{place(row)}: a client is a name or a whole number, not {value!r}"
            raise DataError(message)
        names.append(str(value))
    return names


def text_column(values: Iterable[object], place: Place) -> list[str]:
    """Returns texts.

    Raises:
        DataError: one is no text, or holds nothing but white space.
    """
    texts: list[str] = []
    for row, value in enumerate(values):
        if not isinstance(value, str):
            message = f"{place(row)}: {value!r} is no text"
            raise DataError(message)
        if not value.strip():
            message = f"{place(row)}: the text is empty"
            raise DataError(message)
        texts.append(value)
    return texts


def number_column(values: Iterable[object], place: Place, dtype: DType) -> npt.NDArray[Any]:
    """Returns (rows, ...) finite numbers: one a row or, where rows are lists or arrays of one shape, these.

    Whole numbers stay as they are, others become `dtype`; so do numbers that are written as text.

    Raises:
        DataError: a row is no number, is NaN or infinite, or has another shape than those before it.
    """
    rows = [_numbers(value, place, row) for row, value in enumerate(values)]
    for row, array in enumerate(rows):
        if array.shape != rows[0].shape:
            message = f"{place(row)}: shape {array.shape}, but the rows before it have {rows[0].shape}"
            raise DataError(message)
    column = np.array(rows) if rows else np.zeros(0, dtype)
    if column.dtype.kind in "biu":
        return column
    refuse_not_finite(column, place)
    return column.astype(dtype)


def refuse_not_finite(column: npt.NDArray[np.floating], place: Place) -> None:
    """Refuses NaN and infinity in (rows, ...) numbers.

    Raises:
        DataError: names the first row that has one.
    """
    is_finite = np.isfinite(column).reshape(len(column), math.prod(column.shape[1:])).all(axis=1)
    if not is_finite.all():
        row = int(np.argmin(is_finite))
        values = column[row].reshape(-1)
        bad = values[~np.isfinite(values)][0]
        message = f"{place(row)}: {bad} is no number that can be learned from"
        raise DataError(message)


def _numbers(value: object, place: Place, row: int) -> npt.NDArray[Any]:
    try:
        array = np.asarray(float(value) if isinstance(value, str) else value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        message = f"{place(row)}: {value!r} is no number"
        raise DataError(message)
    return array
