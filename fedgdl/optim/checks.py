"""Checks of parameters and hyper-parameters, with messages that name the owner, the argument and the value.

Not here: the checks of an experiment's configuration (`fedgdl.config`), which say the same of its keys.

Example:
    >>> fraction("Adam", "betas[0]", 1.5)
    Traceback (most recent call last):
    fedgdl.errors.ConfigError: Adam: betas[0] must be a number from 0 up to but not including 1, got 1.5
"""

import math
from collections.abc import Iterable
from numbers import Real
from typing import NoReturn, cast

from fedgdl.autograd import Parameter
from fedgdl.errors import ConfigError

__all__ = ["distinct_parameters", "fraction", "fractions", "not_negative", "positive", "whole"]


def positive(owner: str, name: str, value: float) -> float:
    """Returns a positive finite number as Python's float.

    A NumPy float64 would turn the float32 parameters it is multiplied with into float64.

    Raises:
        ConfigError: it is none.
    """
    number = _number(value)
    if not 0 < number < math.inf:
        _refuse(owner, name, "a positive finite number", value)
    return number


def not_negative(owner: str, name: str, value: float) -> float:
    """Returns a finite number that is 0 or more as Python's float.

    Raises:
        ConfigError: it is none.
    """
    number = _number(value)
    if not 0 <= number < math.inf:
        _refuse(owner, name, "a finite number that is 0 or more", value)
    return number


def fraction(owner: str, name: str, value: float) -> float:
    """Returns a number of the half-open interval [0, 1) as Python's float.

    Raises:
        ConfigError: it is none.
    """
    number = _number(value)
    if not 0 <= number < 1:
        _refuse(owner, name, "a number from 0 up to but not including 1", value)
    return number


def fractions(owner: str, name: str, values: tuple[float, float]) -> tuple[float, float]:
    """Returns two numbers of the half-open interval [0, 1) as Python's floats.

    Raises:
        ConfigError: they are not two, or not such numbers.
    """
    try:
        first, second = values
    except (TypeError, ValueError):
        _refuse(owner, name, "two numbers", values)
    return fraction(owner, f"{name}[0]", first), fraction(owner, f"{name}[1]", second)


def whole(owner: str, name: str, value: int, at_least: int) -> int:
    """Returns a whole number that is not too small as Python's int.

    Raises:
        ConfigError: it is none.
    """
    number = _number(value)
    if not at_least <= number < math.inf or number != math.floor(number):
        _refuse(owner, name, f"a whole number from {at_least} on", value)
    return int(number)


def distinct_parameters(owner: str, parameters: Iterable[Parameter]) -> list[Parameter]:
    """Returns the parameters as a list.

    Raises:
        ConfigError: one is given twice, or something else than a parameter is.
    """
    checked: dict[Parameter, None] = {}
    for value in cast("Iterable[object]", parameters):
        if not isinstance(value, Parameter):
            message = f"{owner}: expected parameters, got {type(value).__name__}; pass model.parameters()"
            raise ConfigError(message)
        if value in checked:
            message = f"{owner}: {value} is given twice; pass each parameter once"
            raise ConfigError(message)
        checked[value] = None
    return list(checked)


def _number(value: object) -> float:
    """Returns a number as Python's float, and anything else as not a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    return float(value)


def _refuse(owner: str, name: str, wanted: str, value: object) -> NoReturn:
    message = f"{owner}: {name} must be {wanted}, got {value!r}"
    raise ConfigError(message)
