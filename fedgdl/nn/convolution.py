"""Layers over images: convolution, and the greatest value of each window.

Images are (N, H, W, C): the channels are the last axis, not the second as in PyTorch.

Example:
    >>> layer = Conv2d(1, 16, 3, rng=np.random.default_rng(1))
    >>> features = layer(np.zeros((5, 28, 28, 1), "float32"))
    >>> features.shape
    (5, 26, 26, 16)
    >>> MaxPool2d(2)(features).shape
    (5, 13, 13, 16)
"""

import math

import numpy as np

from fedgdl.autograd import Parameter, Tensor, conv2d, max_pool2d
from fedgdl.autograd.activation import ActivationName
from fedgdl.autograd.tensor import Array
from fedgdl.nn import checks, init
from fedgdl.nn.module import Module
from fedgdl.parameters import DType

__all__ = ["Conv2d", "MaxPool2d"]


class Conv2d(Module):
    """Each output is the weighted sum of a window of the image, the same weights at each place, plus a bias.

    Args:
        in_channels: C, the channels of the input.
        out_channels: O, the channels of the output.
        kernel_size: height and width of the window, or (height, width).
        stride: how far the window moves, in both directions.
        padding: how many zeros are put around the image, on each side.
        bias: whether there is a bias.
        rng: draws the initial values: first the kernels, then the bias.
        initial: makes the kernels; the bias then starts at zero. Left out, both are drawn evenly from
            [-b, b) with b = 1 / sqrt(kh * kw * C), as PyTorch does.
        dtype: `"float32"` or `"float64"`.

    Attributes:
        weight: (kh, kw, C, O).
        bias: (O,), or none.

    Raises:
        ParameterError: a size or the stride is no positive whole number, the padding is none from 0 on, `bias` is no
            truth value, or values are to be drawn without an rng.
    """

    def __init__(  # noqa: PLR0913 (PyTorch's, and how to initialise)
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,  # noqa: FBT001, FBT002 (PyTorch's order)
        *,
        rng: np.random.Generator | None = None,
        initial: init.Initialiser | None = None,
        dtype: DType = "float32",
    ) -> None:
        self.stride = checks.whole("Conv2d", "stride", stride, at_least=1)
        self.padding = checks.whole("Conv2d", "padding", padding, at_least=0)
        has_bias = checks.flag("Conv2d", "bias", bias)
        shape = (*checks.sides("Conv2d", "kernel_size", kernel_size), in_channels, out_channels)
        self.weight = init.initial_parameter(initial or init.fan_in_uniform, shape, rng, dtype)
        self.bias: Parameter | None = None
        if has_bias:
            spread = init.zeros if initial else init.uniform(1 / math.sqrt(math.prod(shape[:-1])))
            self.bias = init.initial_parameter(spread, (out_channels,), rng, dtype)

    def forward(self, x: Tensor | Array, activation: ActivationName | None = None, pool: int = 1) -> Tensor:
        """Returns the feature maps, (N, H', W', O).

        H' = ((H + 2 * padding - kh) // stride + 1) // pool, and W' likewise.

        Args:
            x: (N, H, W, C), in a stack (K, N, H, W, C).
            activation: applied to the result in the same operation; the bits are those of the layer of that name.
            pool: side of the windows of which only the greatest value is kept, before the activation, in the same
                operation; the bits are those of `MaxPool2d`.

        Raises:
            GraphError: x has another shape or dtype, or is smaller than the window, or the result than a window of
                pooling.
        """
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, activation, pool)


class MaxPool2d(Module):
    """The greatest value of each window, in each channel by itself.

    Args:
        kernel_size: side of the window.
        stride: how far the window moves, in both directions; by its own side when left out.

    Raises:
        ParameterError: a size is no positive whole number.
    """

    def __init__(self, kernel_size: int, stride: int | None = None) -> None:
        self.kernel_size = checks.whole("MaxPool2d", "kernel_size", kernel_size, at_least=1)
        self.stride = None if stride is None else checks.whole("MaxPool2d", "stride", stride, at_least=1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the greatest values, (N, H', W', C) with H' = (H - kernel_size) // stride + 1, W' likewise.

        Args:
            x: (N, H, W, C), in a stack (K, N, H, W, C).

        Raises:
            GraphError: x has another number of axes, or is smaller than the window.
        """
        return max_pool2d(x, self.kernel_size, self.stride)
