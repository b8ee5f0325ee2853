"""Initialisers: the values that a layer's parameters start from.

An initialiser is a function of (shape, rng, dtype) that returns a new array. `zeros` draws nothing and takes
any rng, even none; the others draw from the generator they are given and from nothing else. Layers take one as
`initial=`. `uniform(bound)`, `normal(std)` and `constant(value)` make initialisers.

A matrix of weights is (in, out) here and a kernel (kh, kw, in, out), so the numbers of inputs and outputs
that the formulas ask for are

    fan_in = product of all sides but the last
    fan_out = last side times all sides but the last two

Not here: which initialiser a layer uses when none is named (each layer says so itself).

Example:
    >>> rng = np.random.default_rng(1)
    >>> kaiming_normal((100, 50), rng, "float64").std().round(2)  # the square root of 2 / 100
    np.float64(0.14)
    >>> constant(0.5)((2,), None, "float32")
    array([0.5, 0.5], dtype=float32)
"""

import math
import operator
from typing import Protocol, cast

import numpy as np

from fedgdl.autograd import Parameter
from fedgdl.errors import ParameterError
from fedgdl.parameters import DType, FloatArray

__all__ = [
    "Initialiser",
    "constant",
    "embedding_uniform",
    "fan_in_uniform",
    "initial_parameter",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "orthogonal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


class Initialiser(Protocol):
    """What makes a parameter's first values."""

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType, /) -> FloatArray:
        """Returns a new array of this shape and dtype, drawn from rng where values are drawn.

        Raises:
            ParameterError: values are to be drawn and there is no rng, or the shape has no such values.
        """


def initial_parameter(
    initial: Initialiser, shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType
) -> Parameter:
    """Returns a new parameter of an initialiser's values.

    Raises:
        ParameterError: a side of the shape is no positive number, the values do not have the shape and dtype that
            were asked for, or the initialiser refuses.
    """
    if not _is_shape(shape):
        message = f"each side of a layer's parameters must be a whole number from 1 on, got shape {shape}"
        raise ParameterError(message)
    values = initial(shape, rng, dtype)
    if values.shape != shape or values.dtype != dtype:
        message = (
            f"the initialiser was asked for shape {shape} of {dtype} and returned {values.shape} of {values.dtype}"
        )
        raise ParameterError(message)
    return Parameter(values)


def zeros(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:  # noqa: ARG001
    """Returns zeros; nothing is drawn."""
    return np.zeros(shape, dtype)


def constant(value: float) -> Initialiser:
    """Returns an initialiser that gives each element the same value; nothing is drawn."""

    def initial(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:  # noqa: ARG001
        return np.full(shape, value, dtype)

    return initial


def uniform(bound: float) -> Initialiser:
    """Returns an initialiser that draws evenly from [-bound, bound)."""

    def initial(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
        values = _drawing("uniform", rng).random(shape, dtype)
        values -= 0.5
        values *= 2 * bound
        return values

    return initial


def normal(std: float) -> Initialiser:
    """Returns an initialiser that draws from the normal distribution of mean 0 and this standard deviation."""

    def initial(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
        values = _drawing("normal", rng).standard_normal(shape, dtype)
        values *= std
        return values

    return initial


def fan_in_uniform(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns values evenly drawn from [-b, b) with b = 1 / sqrt(fan_in).

    Source:
        The range in which PyTorch's `Linear` and `Conv2d` start (`reset_parameters`, as `kaiming_uniform_` with
        a = sqrt(5)).
    """
    fan_in, _ = _fans(shape)
    return uniform(1 / math.sqrt(fan_in))(shape, rng, dtype)


def embedding_uniform(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns a table (V, D) of values evenly drawn from [-0.5 / D, 0.5 / D).

    Source:
        Andrew W. Trask, Grokking Deep Learning, 2019, chapter 13, class `Embedding`.
    """
    return uniform(0.5 / shape[-1])(shape, rng, dtype)


def kaiming_uniform(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns values evenly drawn from [-b, b) with b = sqrt(6 / fan_in), of variance 2 / fan_in.

    Source:
        He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, equation 10 (the variance).
    """
    fan_in, _ = _fans(shape)
    return uniform(math.sqrt(6 / fan_in))(shape, rng, dtype)


def kaiming_normal(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns normal values of standard deviation sqrt(2 / fan_in).

    Source:
        He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, equation 10; with a zero bias the `Linear` of
        Andrew W. Trask, Grokking Deep Learning, 2019, chapter 13.
    """
    fan_in, _ = _fans(shape)
    return normal(math.sqrt(2 / fan_in))(shape, rng, dtype)


def xavier_uniform(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns values evenly drawn from [-b, b) with b = sqrt(6 / (fan_in + fan_out)).

    Source:
        Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
        equation 16.
    """
    return uniform(math.sqrt(6 / sum(_fans(shape))))(shape, rng, dtype)


def xavier_normal(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns normal values of standard deviation sqrt(2 / (fan_in + fan_out)).

    Source:
        Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
        equation 12 (the variance).
    """
    return normal(math.sqrt(2 / sum(_fans(shape))))(shape, rng, dtype)


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator | None, dtype: DType) -> FloatArray:
    """Returns a random matrix of orthonormal columns, or of orthonormal rows where it is wider than tall.

    More axes than two count as a matrix (fan_in, last side). Drawn and computed in float64.

    Source:
        Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
        networks", ICLR 2014; made evenly spread by the signs of R as in Mezzadri, "How to generate random matrices
        from the classical compact groups", Notices of the AMS 54, 2007, section 5.
    """
    fan_in, _ = _fans(shape)
    short, long = sorted((fan_in, shape[-1]))
    q, r = np.linalg.qr(_drawing("orthogonal", rng).standard_normal((long, short)))
    q *= np.sign(np.diagonal(r))
    return np.ascontiguousarray((q if fan_in == long else q.T).reshape(shape), dtype)


def _is_shape(shape: tuple[int, ...]) -> bool:
    """Tells whether all sides are whole numbers from 1 on."""
    try:
        return all(operator.index(side) > 0 for side in shape)
    except TypeError:
        return False


def _drawing(name: str, rng: np.random.Generator | None) -> np.random.Generator:
    """Returns the generator that an initialiser needs."""
    if rng is None:
        message = f"initial values ({name}) are drawn: pass rng=np.random.default_rng(seed), or initial=init.zeros"
        raise ParameterError(message)
    if not isinstance(cast("object", rng), np.random.Generator):
        message = f"rng must be np.random.default_rng(seed), got {type(rng).__name__}"
        raise ParameterError(message)
    return rng


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns fan_in and fan_out of weights."""
    if len(shape) < 2:
        message = f"this initialiser needs weights of at least two axes (..., in, out), got shape {shape}"
        raise ParameterError(message)
    return math.prod(shape[:-1]), shape[-1] * math.prod(shape[:-2])
