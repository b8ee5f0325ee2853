"""The dense layer: each output is a weighted sum of all inputs.

Example:
    >>> layer = Linear(3, 2, rng=np.random.default_rng(1))
    >>> layer(np.ones((5, 3), "float32")).shape
    (5, 2)
    >>> layer
    Linear(weight (3, 2), bias (2,))
"""

import math

import numpy as np

from fedgdl.autograd import Parameter, Tensor, linear
from fedgdl.autograd.activation import ActivationName
from fedgdl.autograd.tensor import Array
from fedgdl.nn import checks, init
from fedgdl.nn.module import Module
from fedgdl.parameters import DType

__all__ = ["Linear"]


class Linear(Module):
    """x @ weight + bias.

    Args:
        in_features: length of the input's last axis.
        out_features: length of the output's last axis.
        bias: whether there is a bias.
        rng: draws the initial values: first the weights, then the bias.
        initial: makes the weights; the bias then starts at zero. Left out, both are drawn evenly from
            [-b, b) with b = 1 / sqrt(in_features), as PyTorch does.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight: (in_features, out_features); PyTorch keeps the transpose.
        bias: (out_features,), or none.

    Raises:
        ParameterError: a size is not positive, `bias` is no truth value, or values are to be drawn without an rng.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,  # noqa: FBT001, FBT002 (PyTorch's order)
        *,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser | None = None,
        dtype: DType = "float32",
    ) -> None:
        has_bias = checks.flag("Linear", "bias", bias)
        shape = (in_features, out_features)
        self.weight = init.initial_parameter(initial or init.fan_in_uniform, shape, rng, dtype)
        self.bias: Parameter | None = None
        if has_bias:
            spread = init.zeros if initial else init.uniform(1 / math.sqrt(in_features))
            self.bias = init.initial_parameter(spread, (out_features,), rng, dtype)

    def forward(self, x: Tensor | Array, activation: ActivationName | None = None) -> Tensor:
        """Returns x @ weight + bias, (..., out_features).

        Args:
            x: (..., in_features), in a stack (K, ..., in_features).
            activation: applied to the result in the same operation; the bits are those of the layer of that name.

        Raises:
            GraphError: x has another last axis or dtype.
        """
        return linear(x, self.weight, self.bias, activation)
