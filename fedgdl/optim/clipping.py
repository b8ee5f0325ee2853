"""Clipping of gradients between `backward` and `step`: all together to a norm, or each element to a value.

Not here: clipping of a client's whole update, for privacy or robustness.

Example:
    >>> weight = Parameter(np.zeros(2))
    >>> weight.receive(np.array([3.0, 4.0]))
    >>> clip_grad_norm([weight], max_norm=1.0)
    5.0
    >>> weight.grad
    array([0.6, 0.8])
"""

import math
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, SparseGradient
from fedgdl.errors import ConfigError, GraphError
from fedgdl.optim.checks import distinct_parameters, positive
from fedgdl.optim.rows import Rows, join_rows, sum_rows

__all__ = ["clip_grad_norm", "clip_grad_value"]

_Array: TypeAlias = npt.NDArray[Any]

_SMALLEST_SQUARE: Final = 1e-30
"""A smaller sum of float32 squares may have lost some: it is taken again, of scaled numbers."""


def clip_grad_norm(
    parameters: Iterable[Parameter], max_norm: float, *, error_if_nonfinite: bool = True
) -> float | npt.NDArray[np.float64]:
    """Scales all gradients by one factor so that their norm together is `max_norm` at most; returns what it was.

    In a stack each client has its own norm and its own factor. Rows of a sparse gradient that name the same row of a
    table count as their sum, and are that sum afterwards, clipped or not: a client's bits do not depend on whether
    others are clipped. Dense gradients that need no clipping keep their bits.

    Args:
        parameters: those with gradients are counted.
        max_norm: a positive finite number.
        error_if_nonfinite: whether a norm that is infinite or no number is an error. Otherwise it is returned, and the
            gradients it is the norm of are not scaled.

    Returns:
        The Euclidean norm before clipping; in a stack (A,), that of each client at work. 0 without gradients.

    Raises:
        ConfigError: `max_norm` is not positive and finite, something else than a parameter or one of them twice is
            given, or the parameters are not all of one stack or of none.
        GraphError: a norm is infinite or no number, and `error_if_nonfinite` is set; no gradient is changed.

    Source:
        Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1.
    """
    max_norm = positive("clip_grad_norm", "max_norm", max_norm)
    used = [p for p in distinct_parameters("clip_grad_norm", parameters) if p.grad is not None]
    num_clients = _num_clients(used)
    tables = {p: sum_rows(p.grad, num_clients) for p in used if isinstance(p.grad, SparseGradient)}
    norms = _norms(used, tables, num_clients or 1)
    if error_if_nonfinite and not all(map(math.isfinite, norms)):
        client = [math.isfinite(norm) for norm in norms].index(False)
        where = "" if num_clients is None else f" of client {client} of the stack"
        message = (
            f"clip_grad_norm: the norm of the gradients{where} is {norms[client]}; "
            "lower the learning rate, or pass error_if_nonfinite=False and skip the step"
        )
        raise GraphError(message)
    factors = [max_norm / norm if max_norm < norm < math.inf else 1.0 for norm in norms]
    for parameter in used:
        if parameter in tables:
            _scale_rows(parameter, tables[parameter], factors)
        elif factors.count(1.0) < len(factors):
            _scale(parameter, factors, stacked=num_clients is not None)
    return norms[0] if num_clients is None else np.array(norms)


def clip_grad_value(parameters: Iterable[Parameter], max_value: float) -> None:
    """Limits each element of the gradients to the interval from -`max_value` to `max_value`.

    Rows of a sparse gradient that name the same row of a table are summed first. What is no number stays so.

    Args:
        parameters: those with gradients are changed.
        max_value: a positive finite number.

    Raises:
        ConfigError: `max_value` is not positive and finite, or something else than a parameter or one of them twice is
            given.
    """
    limit = positive("clip_grad_value", "max_value", max_value)
    for parameter in distinct_parameters("clip_grad_value", parameters):
        gradient = parameter.grad
        if isinstance(gradient, SparseGradient):
            tables = sum_rows(gradient, _num_clients([parameter]))
            for _, rows in tables:
                _limit(rows, limit)
            parameter.grad = join_rows(tables, gradient.shape, gradient.dtype)
        elif gradient is not None:
            _limit(_writable(parameter, gradient), limit)


def _limit(array: _Array, limit: float) -> None:
    np.minimum(array, limit, out=array)
    np.maximum(array, -limit, out=array)


def _writable(parameter: Parameter, gradient: _Array) -> _Array:
    """Returns a parameter's dense gradient, replaced by a copy if it cannot be written to."""
    if not gradient.flags.writeable:
        parameter.grad = gradient = np.array(gradient)
    return gradient


def _num_clients(parameters: list[Parameter]) -> int | None:
    """Returns how many clients of a stack the parameters are of, none if of no stack.

    Raises:
        ConfigError: they do not agree.
    """
    found = {len(p.data) if p.parameters is not None and p.parameters.vector.ndim == 2 else None for p in parameters}
    if len(found) > 1:
        message = f"clip_grad_norm: parameters of stacks of different heights cannot be clipped together: {parameters}"
        raise ConfigError(message)
    return found.pop() if found else None


def _norms(used: list[Parameter], tables: dict[Parameter, list[Rows]], height: int) -> list[float]:
    """Returns the norm of each client's gradients; of all, where there is one client or no stack."""
    dense = [parameter.grad.reshape(height, -1) for parameter in used if isinstance(parameter.grad, np.ndarray)]
    squares = [0.0] * height
    # Each product of BLAS is over one client's numbers: its bits do not depend on how many clients there are.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for flat in dense:
            found = [flat[0].dot(flat[0])] if height == 1 else np.vecdot(flat, flat)
            squares = [square + float(more) for square, more in zip(squares, found, strict=True)]
        for touched in tables.values():
            found = [rows.reshape(-1).dot(rows.reshape(-1)) for _, rows in touched]
            squares = [square + float(more) for square, more in zip(squares, found, strict=True)]
    norms = []
    for client, square in enumerate(squares):
        if _SMALLEST_SQUARE < square < math.inf:
            norms.append(math.sqrt(square))
        else:
            mine = [flat[client] for flat in dense] + [touched[client][1] for touched in tables.values()]
            norms.append(_careful_norm(mine))
    return norms


def _careful_norm(arrays: list[_Array]) -> float:
    """Returns the norm of numbers whose squares are too large or too small for their dtype."""
    largest = max((float(np.maximum.reduce(np.abs(array), axis=None, initial=0.0)) for array in arrays), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = [array.astype(np.float64).reshape(-1) / largest for array in arrays]
    return largest * math.sqrt(sum(float(np.dot(array, array)) for array in scaled))


def _scale_rows(parameter: Parameter, touched: list[Rows], factors: list[float]) -> None:
    """Makes the summed rows of a table, multiplied by the factor, or by each client's, its gradient."""
    for (_, rows), factor in zip(touched, factors, strict=True):
        np.multiply(rows, factor, rows)
    parameter.grad = join_rows(touched, parameter.shape, parameter.dtype)


def _scale(parameter: Parameter, factors: list[float], *, stacked: bool) -> None:
    """Multiplies a parameter's dense gradient by the factor, or by each client's."""
    gradient = parameter.grad
    if isinstance(gradient, np.ndarray):
        writable = _writable(parameter, gradient)
        if stacked:
            writable *= np.array(factors, gradient.dtype).reshape(-1, *(1,) * (gradient.ndim - 1))
        else:
            writable *= factors[0]
