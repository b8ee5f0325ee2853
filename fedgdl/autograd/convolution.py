"""Convolution of images, a few samples at a time in memory that stays in the processor's cache.

Images are (N, H, W, C), kernels (kh, kw, C, O): what belongs to one pixel lies together. What a batch's
products are taken of (each pixel's neighbourhood written out) would leave the cache, so it is made
for some samples at a time, and made again on the way back instead of being kept: see `columns`.
What comes behind the products (pooling, activation, and the way back through them) is done
for the same samples while they are in the cache.

Not here: the ways to take the products (`columns`, `winograd`), pooling by itself (`pooling`).

Example:
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d(Tensor(x), Tensor(np.ones((2, 2, 1, 1)))).data[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
"""

import functools
from typing import Any, Final

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.activation import Activation, ActivationName, find_activation
from fedgdl.autograd.columns import RowColumns, TapColumns
from fedgdl.autograd.geometry import Columns, Geometry
from fedgdl.autograd.maxima import WindowMaxima
from fedgdl.autograd.operands import as_tensor, require_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.autograd.winograd import WinogradColumns, rows_at_once
from fedgdl.errors import GraphError

__all__ = ["columns_of", "conv2d"]

_FEW: Final = 32
"""Below this many numbers in a row of a neighbourhood, products by row are too thin for BLAS."""
_TALLEST: Final = 5
"""Rows of a kernel up to which Winograd's products lose less than a decimal digit."""
_SAVING: Final = 1.6
"""By how much Winograd has to lessen the products to pay for its transforms."""
_FILTERS: Final = 8
"""How many filters there have to be at least, as each transform of an image serves all of them."""


def conv2d(
    x: Tensor | Array,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    activation: ActivationName | None = None,
    pool: int = 1,
) -> Tensor:
    """(N, H, W, C), (kh, kw, C, O), (O,) -> (N, Ho, Wo, O): activation(largest of windows(cross-correlation + bias)).

    Ho = ((H + 2 padding - kh) // stride + 1) // pool, and Wo alike. In a stack of K clients every operand has a
    first axis of length K. Where there are many channels and the stride is 1, rounding errors are some 2 to 4 times
    those of direct sums: see `winograd`.

    Args:
        x: the images.
        weight: the kernels; as in every deep-learning library, they are not mirrored.
        bias: one number for each of the O channels, if any.
        stride: by how many pixels the window moves, in both directions.
        padding: how many zeros are put around the image, on each side.
        activation: what is applied to the sum, if anything.
        pool: side of the windows of which only the largest value is kept, as `max_pool2d` does, before the activation.

    Raises:
        GraphError: shapes or dtypes do not fit, the kernel is larger than the padded image, or stride, padding,
            activation or pool are impossible.
    """
    images = as_tensor("conv2d", x)
    _require_fit(images, weight, bias, stride, padding)
    geometry = Geometry.of(images.shape[-4:], weight.shape[-4:], stride, padding, max(pool, 1))
    if pool < 1 or not geometry.rows or not geometry.columns:
        message = f"conv2d: no windows of side {pool} in the result of x {images.shape} and weight {weight.shape}"
        raise GraphError(message)
    columns = columns_of(geometry, weight.dtype)
    function = None if activation is None else find_activation("conv2d", activation)
    # One client is a stack of one.
    xs, ws = (_stacked(tensor.data, 5) for tensor in (images, weight))
    biases = [None] * len(xs) if bias is None else list(_stacked(bias.data, 2))
    side = (geometry.rows // pool, geometry.columns // pool)
    ys = workspace.empty((len(xs), geometry.num_samples, *side, geometry.filters), xs.dtype)
    tails = [_Tail(geometry, y, function, pool) for y in ys]
    for own_x, own_w, own_bias, tail in zip(xs, ws, biases, tails, strict=True):
        for part, sums in columns.forward(own_x, own_w, own_bias, tail.room):
            tail.finish(part, sums)

    def vjp(g: Array) -> None:
        dws = np.zeros(ws.shape, ws.dtype)
        wanted = bias is not None and bias.requires_grad
        dbiases = np.zeros((len(xs), geometry.filters), xs.dtype) if wanted else [None] * len(xs)
        dxs = workspace.empty(xs.shape, xs.dtype) if images.requires_grad else [None] * len(xs)
        for client, (tail, own_g) in enumerate(zip(tails, _stacked(g, 5), strict=True)):
            gradient = functools.partial(tail.gradient, own_g)
            columns.backward(xs[client], ws[client], gradient, dws[client], dbiases[client], dxs[client])
        if bias is not None and isinstance(dbiases, np.ndarray):
            bias.receive(dbiases.reshape(bias.shape))
        if weight.requires_grad:
            weight.receive(dws.reshape(weight.shape))
        if isinstance(dxs, np.ndarray):
            images.receive(dxs.reshape(images.shape))

    result = ys if weight.ndim == 5 else ys[0]
    return record(result, (images, weight) if bias is None else (images, weight, bias), vjp)


def columns_of(geometry: Geometry, dtype: np.dtype[Any]) -> Columns:
    """Returns the fastest way to take the products of these sizes, whatever the number of samples and of clients."""
    height, width = geometry.kernel_height, geometry.kernel_width
    if width * geometry.channels < _FEW:
        return TapColumns(geometry, dtype)
    if geometry.stride == 1 and height <= _TALLEST and max(geometry.padding) < min(height, width):
        tile = rows_at_once(geometry.rows, height)
        products = -(-geometry.rows // tile) * (tile + height - 1)
        if geometry.filters >= _FILTERS and geometry.rows * height >= _SAVING * products:
            return WinogradColumns(geometry, dtype)
    return RowColumns(geometry, dtype)


class _Tail:
    """What is done to the sums of one client's samples, part by part: pooling, activation, and the way back.

    Args:
        geometry: of the convolution.
        y: (N, Ho, Wo, O), the result.
        function: the activation, if any.
        pool: side of the windows.
    """

    def __init__(self, geometry: Geometry, y: Array, function: Activation | None, pool: int) -> None:
        self._sizes = geometry.result[1:]
        self._y = y
        self._function = function
        self._maxima = WindowMaxima(geometry.result, pool, y.dtype) if pool > 1 else None

    def room(self, part: slice) -> Array:
        """Returns where the sums of some samples go."""
        if self._maxima is None:
            return self._y[part]
        return workspace.empty((part.stop - part.start, *self._sizes), self._y.dtype)

    def finish(self, part: slice, sums: Array) -> None:
        """(n, rows, columns, O): makes the sums of some samples their result."""
        y = self._y[part]
        if self._maxima is not None:
            self._maxima.take(part, sums, y)
        if self._function is not None:
            self._function.apply(y)

    def gradient(self, g: Array, part: slice) -> Array:
        """(N, Ho, Wo, O) -> (n, rows, columns, O): the gradient by the sums of some samples.

        Args:
            g: the gradient by the result, of all samples.
            part: which samples.
        """
        slope = g[part]
        if self._function is not None:
            slope = self._function.slope_times(slope, self._y[part])
        if self._maxima is None:
            return slope
        return self._maxima.spread(part, slope, workspace.empty((len(slope), *self._sizes), slope.dtype))


def _stacked(array: Array, ndim: int) -> Array:
    """Returns an array with a first axis for clients, of length 1 if it had none."""
    return array if array.ndim == ndim else array[np.newaxis]


def _require_fit(images: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> None:
    """Raises GraphError unless the operands of `conv2d` fit."""
    require_tensor("conv2d", "weight", weight)
    if bias is not None:
        require_tensor("conv2d", "bias", bias)
    x, w = images.shape, weight.shape
    complaint = ""
    if len(w) not in (4, 5) or len(x) != len(w) or x[-1] != w[-2] or x[:-4] != w[:-4] or 0 in (*w, *x[-3:]):
        complaint = f"needs x (N, H, W, C) and weight (kh, kw, C, O), for K clients each with K first, got {x} and {w}"
        if len(x) == 4 == len(w) and x[1] == w[2]:
            complaint += "; are the channels first? Then pass x.transpose(0, 2, 3, 1)"
        elif len(x) == 3 and len(w) == 4 and w[2] == 1:
            complaint += "; images without a channel axis are x[..., np.newaxis]"
    elif images.dtype != weight.dtype:
        complaint = f"x of shape {x} is {images.dtype}, but the weight of shape {w} is {weight.dtype}; "
        complaint += f"pass x.astype(np.{weight.dtype})"
    elif stride < 1 or padding < 0:
        complaint = f"needs a stride from 1 and a padding from 0 on, got {stride} and {padding}"
    elif min(x[-3] + 2 * padding - w[-4], x[-2] + 2 * padding - w[-3]) < 0:
        complaint = f"a kernel of {w[-4:-2]} is larger than an image of {x[-3:-1]} with padding {padding}"
    elif bias is not None and (bias.shape != w[:-4] + w[-1:] or bias.dtype != weight.dtype):
        complaint = f"a weight of shape {w} and {weight.dtype} needs a bias of shape {w[:-4] + w[-1:]}, "
        complaint += f"got {bias.shape} of {bias.dtype}"
    if complaint:
        message = f"conv2d: {complaint}"
        raise GraphError(message)
