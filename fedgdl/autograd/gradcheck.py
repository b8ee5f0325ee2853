"""The check of a gradient: the gradient that `backward` brings against a difference of two values.

One random direction through all inputs at once and one random weight for each output replace
the whole Jacobian: a wrong gradient agrees along a random direction only by a
coincidence of about one in a million. Run it several times, in odd shapes.

Not here: checks where a function has a kink; keep the inputs away from it.

Example:
    >>> rng = np.random.default_rng(1)
    >>> gradcheck(lambda x, y: (x * y).sum(axis=0), [rng.normal(size=(3, 2)), rng.normal(size=2)], rng)
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from fedgdl.autograd.sparse import SparseGradient
from fedgdl.autograd.tape import no_grad
from fedgdl.autograd.tensor import Array, Tensor
from fedgdl.errors import GraphError

__all__ = ["gradcheck"]

_STEP: Final = 1e-6
"""Half the distance between the two values. For inputs, outputs and derivatives of about 1, the cut-off series
costs about 1e-12 and the rounding of float64 about 1e-10."""
_TOLERANCE: Final = 1e-6
"""How far the two may differ, relative to the larger of 1, the expected and the found derivative."""


def gradcheck(function: Callable[..., Tensor], inputs: Sequence[Tensor | Array], rng: np.random.Generator) -> None:
    """Compares a function's gradient with a central difference along a random direction.

    Args:
        function: takes the inputs as tensors and returns a tensor of any shape; the same every time.
        inputs: float64 arrays, or leaves that require a gradient (a model's parameters, say, which the function
            may also reach by itself). Their data are as before afterwards, and their gradients are dropped.
        rng: draws the direction and the output's weights.

    Raises:
        GraphError: the gradient is wrong, or an input is not of the kinds above; the message has the
            function, the direction, the expected and the found derivative.
    """
    if not isinstance(inputs, list | tuple):
        message = "gradcheck takes a list of inputs: gradcheck(function, [x], rng)"
        raise GraphError(message)
    leaves = [_leaf(x) for x in inputs]
    originals = [leaf.data for leaf in leaves]
    directions = [rng.normal(size=leaf.shape) for leaf in leaves]
    result = function(*leaves)
    weights = rng.normal(size=result.shape)
    result.backward(weights)
    found = float(sum(np.vdot(_dense(leaf), u) for leaf, u in zip(leaves, directions, strict=True)))
    values = []
    try:
        for step in (_STEP, -_STEP):
            for leaf, original, u in zip(leaves, originals, directions, strict=True):
                leaf.data = np.asarray(original + step * u)  # without axes, NumPy would give a scalar
            with no_grad():
                values.append(float(np.vdot(function(*leaves).data, weights)))
    finally:
        for leaf, original in zip(leaves, originals, strict=True):
            leaf.data, leaf.grad = original, None
    expected = (values[0] - values[1]) / (2 * _STEP)
    if not abs(expected - found) <= _TOLERANCE * max(1.0, abs(expected), abs(found)):  # also when one is NaN
        name = getattr(function, "__qualname__", repr(function))
        along = "; ".join(np.array2string(u, precision=4, threshold=12) for u in directions)
        message = f"the gradient of {name} along {along}: expected {expected!r}, got {found!r}"
        raise GraphError(message)


def _leaf(x: Tensor | Array) -> Tensor:
    leaf = x if isinstance(x, Tensor) else Tensor(x, requires_grad=True)
    if leaf.dtype != np.float64 or not leaf.requires_grad:
        message = f"gradcheck needs float64 inputs that require a gradient, got {leaf.dtype} of shape {leaf.shape}"
        raise GraphError(message)
    leaf.grad = None
    return leaf


def _dense(leaf: Tensor) -> Array:
    if leaf.grad is None:
        return np.zeros_like(leaf.data)
    return leaf.grad.to_dense() if isinstance(leaf.grad, SparseGradient) else leaf.grad
