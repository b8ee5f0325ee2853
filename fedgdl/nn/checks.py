"""Checks of what layers are made with, with messages that name the layer, the argument and the value.

Not here: the checks of what a layer is called with, which are its operation's (`fedgdl.autograd`).

Example:
    >>> whole("Conv2d", "stride", (1, 1), at_least=1)
    Traceback (most recent call last):
    fedgdl.errors.ParameterError: Conv2d: stride must be a whole number from 1 on, got (1, 1)
"""

import operator
from typing import NoReturn, cast

import numpy as np

from fedgdl.errors import ParameterError

__all__ = ["flag", "sides", "whole"]


def flag(owner: str, name: str, value: object) -> bool:
    """Returns True or False, Python's or NumPy's, as Python's.

    Raises:
        ParameterError: it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        _refuse(owner, name, "True or False", value)
    return bool(value)


def whole(owner: str, name: str, value: object, at_least: int) -> int:
    """Returns a whole number of any integer type that is not too small as Python's int.

    Raises:
        ParameterError: it is none.
    """
    number = _integer(value)
    if number is None or number < at_least:
        _refuse(owner, name, f"a whole number from {at_least} on", value)
    return number


def sides(owner: str, name: str, value: object) -> tuple[int, int]:
    """Returns height and width of a window, given as one number for both or as a pair.

    Raises:
        ParameterError: they are not positive whole numbers.
    """
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    numbers = [_integer(side) for side in pair]
    if len(numbers) != 2 or any(number is None or number < 1 for number in numbers):
        _refuse(owner, name, "a whole number from 1 on or two of them, (height, width)", value)
    height, width = cast("list[int]", numbers)
    return height, width


def _integer(value: object) -> int | None:
    """Returns a whole number of any integer type as Python's int, and nothing for anything else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # refused at run time
    except TypeError:
        return None


def _refuse(owner: str, name: str, wanted: str, value: object) -> NoReturn:
    hint = "; pass the generator by name: rng=..." if isinstance(value, np.random.Generator) else ""
    message = f"{owner}: {name} must be {wanted}, got {value!r}{hint}"
    raise ParameterError(message)
