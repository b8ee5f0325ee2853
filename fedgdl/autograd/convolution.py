"""Convolution of images, a few samples at a time in memory that stays in the processor's cache.

Images are (N, H, W, C), kernels (kh, kw, C, O): what belongs to one pixel lies together. The
columns of a whole batch (each pixel's neighbourhood written out) would leave the cache, so they are made
for some samples at a time, and made again on the way back instead of being kept: see `columns`.

Not here: the two ways of making columns (`columns`), pooling (`pooling`).

Example:
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> conv2d(Tensor(x), Tensor(np.ones((2, 2, 1, 1)))).data[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]])
"""

import numpy as np

from fedgdl.autograd import workspace
from fedgdl.autograd.activation import ActivationName, find_activation
from fedgdl.autograd.columns import Geometry, columns_of
from fedgdl.autograd.operands import as_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["conv2d"]


def conv2d(
    x: Tensor | Array,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    activation: ActivationName | None = None,
) -> Tensor:
    """(N, H, W, C), (kh, kw, C, O), (O,) -> (N, Ho, Wo, O): activation(cross-correlation + bias).

    Ho = (H + 2 padding - kh) // stride + 1, and Wo alike. In a stack of K clients every operand has a
    first axis of length K.

    Args:
        x: the images.
        weight: the kernels; as in every deep-learning library, they are not mirrored.
        bias: one number for each of the O channels, if any.
        stride: by how many pixels the window moves, in both directions.
        padding: how many zeros are put around the image, on each side.
        activation: what is applied to the sum, if anything.

    Raises:
        GraphError: shapes or dtypes do not fit, the kernel is larger than the padded image, or stride,
            padding or activation are impossible.
    """
    images = as_tensor("conv2d", x)
    _require_fit(images, weight, bias, stride, padding)
    geometry = Geometry.of(images.shape[-4:], weight.shape[-4:], stride, padding)
    columns = columns_of(geometry, weight.dtype)
    function = None if activation is None else find_activation("conv2d", activation)
    # One client is a stack of one.
    xs, ws = (_stacked(tensor.data, 5) for tensor in (images, weight))
    ys = workspace.empty((len(xs), *geometry.result), xs.dtype)
    biases = np.zeros((len(xs), 1), xs.dtype) if bias is None else _stacked(bias.data, 2)
    for client in range(len(xs)):
        for part in columns.forward(xs[client], ws[client], ys[client]):
            np.add(part, biases[client], out=part)
            if function is not None:
                function.apply(part)

    def vjp(g: Array) -> None:
        gs = _stacked(g, 5)
        if function is not None:
            gs = function.slope_times(gs, ys)
        if bias is not None and bias.requires_grad:
            bias.receive(_channel_sums(gs).reshape(bias.shape))
        dws = np.zeros(ws.shape, ws.dtype)
        dxs = workspace.empty(xs.shape, xs.dtype) if images.requires_grad else [None] * len(xs)
        for client in range(len(xs)):
            columns.backward(xs[client], ws[client], gs[client], dws[client], dxs[client])
        if weight.requires_grad:
            weight.receive(dws.reshape(weight.shape))
        if isinstance(dxs, np.ndarray):
            images.receive(dxs.reshape(images.shape))

    result = ys if weight.ndim == 5 else ys[0]
    return record(result, (images, weight) if bias is None else (images, weight, bias), vjp)


def _stacked(array: Array, ndim: int) -> Array:
    """Returns an array with a first axis for clients, of length 1 if it had none."""
    return array if array.ndim == ndim else array[np.newaxis]


def _channel_sums(gs: Array) -> Array:
    """(K, N, Ho, Wo, O) -> (K, O): the sums over all pixels of all samples of each client."""
    return np.stack([np.add.reduce(g.reshape(-1, g.shape[-1]), 0) for g in gs])


def _require_fit(images: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> None:
    """Raises GraphError unless the operands of `conv2d` fit."""
    x, w = images.shape, weight.shape
    complaint = ""
    if len(w) not in (4, 5) or len(x) != len(w) or x[-1] != w[-2] or x[:-4] != w[:-4] or 0 in (*w, *x[-3:]):
        complaint = f"needs x (N, H, W, C) and weight (kh, kw, C, O), stacked with K before both, got {x} and {w}"
    elif images.dtype != weight.dtype:
        complaint = f"x of shape {x} is {images.dtype}, but the weight of shape {w} is {weight.dtype}"
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
