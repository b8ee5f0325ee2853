"""Steps of the convolutional models by hand: a sample or a few at a time, in buffers that stay in the cache."""

from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from experiments.benchmarks.core.hand_common import Flat, SoftmaxCrossEntropy
from experiments.benchmarks.core.workload import Array, Batch, Weights, Workload

__all__ = ["Cnn", "McMahanCnn"]

_BLOCK: Final = 8
"""Samples of the small network whose activations and gradients are worked on at a time."""


class Cnn:
    """3x3x16 with tanh, then dense: the kernels with the bias as a tenth tap on an image of ones."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        kernel, bias, out, out_bias = start.values()
        taps = np.concatenate([kernel.reshape(9, -1), bias[np.newaxis]])
        self._flat = Flat({"taps": taps, "output.weight": out.T, "output.bias": out_bias})
        self._gradient = Flat(self._flat.views)
        n, channels = workload.batch_size, bias.size
        self._columns = np.ones((n, 10, 26 * 26), np.float32)
        self._hidden = np.empty((n, 26 * 26, channels), np.float32)
        self._slope = np.empty((_BLOCK, 26 * 26, channels), np.float32)
        self._d_taps = np.empty((n, *taps.shape), np.float32)
        self._outputs = np.empty((n, out_bias.size), np.float32)
        self._logits = np.empty((out_bias.size, n), np.float32)
        self._ones = np.ones(n, np.float32)
        self._loss = SoftmaxCrossEntropy(n, workload.learning_rate)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is."""
        return batch

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        taps, out, out_bias = self._flat.views.values()
        return {
            "convolution.weight": taps[:9].reshape(3, 3, 1, -1),
            "convolution.bias": taps[9],
            "output.weight": out.T,
            "output.bias": out_bias,
        }

    def step(self, images: Array, digits: npt.NDArray[np.int64]) -> float:
        """Takes one step."""
        taps, out, out_bias = self._flat.views.values()
        hidden, logits = self._hidden, self._logits
        by_image, row, column, _ = images.strides
        windows = as_strided(images, (len(images), 3, 3, 26, 26), (by_image, row, column, row, column))
        self._columns[:, :9].reshape(-1, 3, 3, 26, 26)[...] = windows
        np.matmul(self._columns.swapaxes(1, 2), taps, out=hidden)
        np.tanh(hidden, out=hidden)
        np.dot(hidden.reshape(len(images), -1), out.T, out=self._outputs)
        np.add(self._outputs.T, out_bias[:, np.newaxis], out=logits)
        loss = self._loss(logits, digits)
        self._outputs[...] = logits.T
        self._backward()
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return loss

    def _backward(self) -> None:
        d_taps, d_out, d_out_bias = self._gradient.views.values()
        hidden, slope, out = self._hidden, self._slope, self._flat.views["output.weight"]
        np.dot(self._logits, hidden.reshape(len(hidden), -1), out=d_out)
        np.dot(self._logits, self._ones, out=d_out_bias)
        for first in range(0, len(hidden), _BLOCK):
            block = slice(first, first + _BLOCK)
            activations = hidden[block]
            np.dot(self._outputs[block], out, out=slope.reshape(_BLOCK, -1))
            np.multiply(activations, activations, out=activations)
            np.subtract(1, activations, out=activations)
            slope *= activations
            np.matmul(self._columns[block], slope, out=self._d_taps[block])
        np.add.reduce(self._d_taps, axis=0, out=d_taps)


class _Pool:
    """2x2 max-pooling, bias and relu of one convolution, whose outputs lie by their place in the window.

    So the four candidates of each maximum are four contiguous blocks. Bias and relu come after the pooling, with which
    they commute, on a quarter of the elements. Of equal candidates the first one gets the gradient.
    """

    def __init__(self, num_samples: int, size: int, channels: int) -> None:
        shape = (size, channels)
        self._second_of_row = np.empty((num_samples, 2, *shape), np.bool_)
        self._second_row = np.empty((num_samples, *shape), np.bool_)
        self._is_on = np.empty((num_samples, *shape), np.bool_)
        self._maxima = np.empty((2, *shape), np.float32)
        self.slope = np.empty((4, *shape), np.float32)

    def forward(self, sample: int, candidates: Array, bias: Array, out: Array) -> None:
        """Writes the activations of one sample, (size, channels), of candidates (4, size, channels)."""
        second_of_row, maxima = self._second_of_row[sample], self._maxima
        np.greater(candidates[1::2], candidates[::2], out=second_of_row)
        np.maximum(candidates[1::2], candidates[::2], out=maxima)
        np.greater(maxima[1], maxima[0], out=self._second_row[sample])
        np.maximum(maxima[1], maxima[0], out=out)
        out += bias
        np.greater(out, 0, out=self._is_on[sample])
        np.maximum(out, 0, out=out)

    def backward(self, sample: int, gradient: Array) -> None:
        """Sets `slope` to the gradient of the candidates; overwrites that of the activations by that of the maxima."""
        slope, second_of_row = self.slope, self._second_of_row[sample]
        gradient *= self._is_on[sample]
        np.multiply(gradient, self._second_row[sample], out=slope[2])
        np.subtract(gradient, slope[2], out=slope[0])
        np.multiply(slope[::2], second_of_row, out=slope[1::2])
        np.subtract(slope[::2], slope[1::2], out=slope[::2])


class McMahanCnn:
    """5x5x32 and 5x5x64, each padded, pooled and with relu; dense 512 with relu; dense 10."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        self._flat = Flat({**start, "hidden.weight": start["hidden.weight"].T})
        self._gradient = Flat(self._flat.views)
        n = workload.batch_size
        self._images = np.zeros((n, 32, 32), np.float32)  # padded by 2
        self._first = np.zeros((n, 18, 18, 32), np.float32)  # padded by 2
        self._first_pool = _Pool(n, 14 * 14, 32)
        self._second_pool = _Pool(n, 7 * 7, 64)
        self._features = np.empty((n, 7 * 7 * 64), np.float32)
        self._d_features = np.empty_like(self._features)
        self._hidden, self._slope = np.empty((2, 512, n), np.float32)
        self._is_on = np.empty((512, n), np.bool_)
        self._logits = np.empty((start["output.bias"].size, n), np.float32)
        self._ones = np.ones(n, np.float32)
        self._loss = SoftmaxCrossEntropy(n, workload.learning_rate)
        self._make_windows()

    def _make_windows(self) -> None:
        """Lays the views that read the columns of a convolution out of a padded input, and the room for them."""
        by_image, row, column = self._images.strides
        strides = (by_image, row, column, row, column, 2 * row, 2 * column)
        self._image_windows = as_strided(self._images, (len(self._images), 5, 5, 2, 2, 14, 14), strides)
        by_image, row, column, channel = self._first.strides
        strides = (by_image, row, column, 2 * row, 2 * column, row, channel)
        self._first_windows = as_strided(self._first, (len(self._first), 2, 2, 7, 7, 5, 5 * 32), strides)
        # What comes back through the second convolution is a convolution, too: of its output's
        # gradient, padded by 2, with the kernels turned round.
        self._padded_slope = np.zeros((18, 18, 64), np.float32)
        row, column, channel = self._padded_slope.strides
        self._slope_windows = as_strided(self._padded_slope, (14, 14, 5, 5 * 64), (row, column, row, channel))
        # By place in the pooling window, as the pooling gives it.
        inner = (slice(2, 16), slice(2, 16))
        self._slope_inside = self._padded_slope[inner].reshape(7, 2, 7, 2, 64).transpose(1, 3, 0, 2, 4)
        self._first_inside = self._first[:, 2:16, 2:16]
        self._turned = np.empty((5, 5, 64, 32), np.float32)
        self._columns_1 = np.empty((25, 4 * 14 * 14), np.float32)
        self._columns_2 = np.empty((4 * 7 * 7, 800), np.float32)
        self._columns_back = np.empty((14 * 14, 1600), np.float32)
        self._candidates_1 = np.empty((4, 14 * 14, 32), np.float32)
        self._candidates_2 = np.empty((4, 7 * 7, 64), np.float32)
        self._activation = np.empty((14 * 14, 32), np.float32)
        self._d_kernel_1 = np.empty((25, 32), np.float32)
        self._d_kernel_2 = np.empty((800, 64), np.float32)
        self._ones_49, self._ones_196 = np.ones(49, np.float32), np.ones(196, np.float32)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is."""
        return batch

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return {**self._flat.views, "hidden.weight": self._flat.views["hidden.weight"].T}

    def step(self, images: Array, digits: npt.NDArray[np.int64]) -> float:
        """Takes one step."""
        self._images[:, 2:30, 2:30] = images[..., 0]
        for sample in range(len(images)):
            self._forward(sample)
        loss = self._dense(digits)
        _, _, second, *_ = self._flat.views.values()
        self._turned[...] = second[::-1, ::-1].transpose(0, 1, 3, 2)
        for d_kernel in list(self._gradient.views.values())[:4]:
            d_kernel.fill(0)
        for sample in range(len(images)):
            self._backward(sample)
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return loss

    def _forward(self, sample: int) -> None:
        first, first_bias, second, second_bias, *_ = self._flat.views.values()
        self._columns_1.reshape(5, 5, 2, 2, 14, 14)[...] = self._image_windows[sample]
        np.dot(self._columns_1.T, first.reshape(25, 32), out=self._candidates_1.reshape(784, 32))
        self._first_pool.forward(sample, self._candidates_1, first_bias, self._activation)
        self._first_inside[sample] = self._activation.reshape(14, 14, 32)
        self._columns_2.reshape(2, 2, 7, 7, 5, 160)[...] = self._first_windows[sample]
        np.dot(self._columns_2, second.reshape(800, 64), out=self._candidates_2.reshape(196, 64))
        self._second_pool.forward(sample, self._candidates_2, second_bias, self._features[sample].reshape(49, 64))

    def _dense(self, digits: npt.NDArray[np.int64]) -> float:
        """Takes the dense layers forward and backward; returns the loss."""
        _, _, _, _, into, into_bias, out, out_bias = self._flat.views.values()
        _, _, _, _, d_into, d_into_bias, d_out, d_out_bias = self._gradient.views.values()
        hidden, slope, logits = self._hidden, self._slope, self._logits
        np.dot(into, self._features.T, out=hidden)
        hidden += into_bias[:, np.newaxis]
        np.greater(hidden, 0, out=self._is_on)
        np.maximum(hidden, 0, out=hidden)
        np.dot(out.T, hidden, out=logits)
        logits += out_bias[:, np.newaxis]
        loss = self._loss(logits, digits)
        np.dot(hidden, logits.T, out=d_out)
        np.dot(logits, self._ones, out=d_out_bias)
        np.dot(out, logits, out=slope)
        slope *= self._is_on
        np.dot(slope, self._features, out=d_into)
        np.dot(slope, self._ones, out=d_into_bias)
        np.dot(slope.T, into, out=self._d_features)
        return loss

    def _backward(self, sample: int) -> None:
        d_first, d_first_bias, d_second, d_second_bias, *_ = self._gradient.views.values()
        pooled = self._d_features[sample].reshape(49, 64)
        self._second_pool.backward(sample, pooled)
        d_second_bias += np.dot(self._ones_49, pooled)
        slope = self._second_pool.slope
        self._columns_2.reshape(2, 2, 7, 7, 5, 160)[...] = self._first_windows[sample]
        np.dot(self._columns_2.T, slope.reshape(196, 64), out=self._d_kernel_2)
        d_second.reshape(800, 64)[...] += self._d_kernel_2
        self._slope_inside[...] = slope.reshape(2, 2, 7, 7, 64)
        self._columns_back.reshape(14, 14, 5, 320)[...] = self._slope_windows
        np.dot(self._columns_back, self._turned.reshape(1600, 32), out=self._activation)
        self._first_pool.backward(sample, self._activation)
        d_first_bias += np.dot(self._ones_196, self._activation)
        self._columns_1.reshape(5, 5, 2, 2, 14, 14)[...] = self._image_windows[sample]
        np.dot(self._columns_1, self._first_pool.slope.reshape(784, 32), out=self._d_kernel_1)
        d_first.reshape(25, 32)[...] += self._d_kernel_1
