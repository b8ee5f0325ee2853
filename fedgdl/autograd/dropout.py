"""Dropout: a random part of the elements is left out, so that no result comes to depend on any one of them.

Not here: when a model is trained and draws, and when not (`fedgdl.nn`).

Example:
    >>> x = Tensor(np.ones(8), requires_grad=True)
    >>> y = dropout(x, 0.5, np.random.default_rng(3))
    >>> y.data
    array([2., 0., 0., 0., 0., 2., 2., 2.])
    >>> y.sum().backward()
    >>> bool((x.grad == y.data).all())
    True
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fedgdl.autograd.operands import NUMBERS, as_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.autograd.workspace import empty, empty_like
from fedgdl.errors import GraphError

__all__ = ["dropout"]

_FLOAT32: Final = np.dtype(np.float32)
_BOOL: Final = np.dtype(np.bool_)


def dropout(x: Tensor | Array, p: float, rng: np.random.Generator | Sequence[np.random.Generator]) -> Tensor:
    """(...) -> (...): each element with probability p 0, else divided by 1 - p, so that the mean stays ("inverted").

    One uniform float32 is drawn for each element, in order, whatever the dtype of x; elements below p are left
    out. Nothing is drawn when p is 0: the result is x itself.

    Args:
        x: any shape; with several streams (K, ...).
        p: the share of elements to leave out, from 0 up to, but not including 1.
        rng: draws the mask; or K streams for a stack of K clients, each of which draws what its client
            alone would draw.

    Raises:
        GraphError: p is out of range, or the streams are not generators, one for each client.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent Neural
    Networks from Overfitting", Journal of Machine Learning Research 15, 2014, section 10 (scaling in training).
    """
    x = as_tensor("dropout", x)
    share = _share(p)
    streams = _streams(rng, x.data.shape)
    if share == 0.0:
        return x
    uniform = empty(x.data.shape, _FLOAT32)
    if isinstance(rng, np.random.Generator):
        rng.random(dtype=np.float32, out=uniform)
    else:
        for client, stream in enumerate(streams):
            stream.random(dtype=np.float32, out=uniform[client, ...])
    kept = np.greater_equal(uniform, share, out=empty(uniform.shape, _BOOL))
    factor = uniform if x.data.dtype == _FLOAT32 else empty_like(x.data)
    np.copyto(factor, kept)
    factor *= 1.0 / (1.0 - share)

    def vjp(g: Array) -> None:
        x.receive(np.multiply(g, factor, out=empty_like(factor)))

    return record(np.multiply(x.data, factor, out=empty_like(factor)), (x,), vjp)


def _share(p: object) -> float:
    """Returns the share of elements to leave out, once it is checked."""
    if isinstance(p, NUMBERS) and 0 <= p < 1:
        return float(p)
    message = f"dropout: p is a number, at least 0 and below 1, not {p!r}"
    raise GraphError(message)


def _streams(rng: object, shape: tuple[int, ...]) -> Sequence[np.random.Generator]:
    """Returns the streams as a sequence, once it is checked that they are one, or one for each client."""
    if isinstance(rng, np.random.Generator):
        return (rng,)
    if not isinstance(rng, Sequence) or not all(isinstance(stream, np.random.Generator) for stream in rng):
        message = f"dropout: rng is a Generator, or a list of one for each client, not {type(rng).__name__}"
        raise GraphError(message)
    if shape[:1] != (len(rng),):
        message = f"dropout: {len(rng)} streams do not fit clients stacked to shape {shape}"
        raise GraphError(message)
    return rng
