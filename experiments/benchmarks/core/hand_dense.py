"""Steps of the dense models by hand: buffers that are kept, gradients worked out on paper, nothing checked."""

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.hand_common import Flat, SoftmaxCrossEntropy, SoftmaxCrossEntropyOfOne
from experiments.benchmarks.core.workload import Array, Batch, Weights, Workload

__all__ = ["Mlp", "MlpOfOne", "ReluMlpOfOne"]


class Mlp:
    """784-100-10 with tanh and softmax cross-entropy, for a batch of several images."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        self._flat, self._gradient = Flat(start), Flat(start)
        n, hidden = workload.batch_size, start["hidden.bias"].size
        self._hidden = np.empty((n, hidden), np.float32)
        self._slope = np.empty((n, hidden), np.float32)
        self._logits = np.empty((start["output.bias"].size, n), np.float32)
        self._ones = np.ones(n, np.float32)
        self._loss = SoftmaxCrossEntropy(n, workload.learning_rate)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is."""
        return batch

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return self._flat.views

    def step(self, images: Array, digits: npt.NDArray[np.int64]) -> float:
        """Takes one step."""
        into, into_bias, out, out_bias = self._flat.views.values()
        d_into, d_into_bias, d_out, d_out_bias = self._gradient.views.values()
        hidden, slope, logits, ones = self._hidden, self._slope, self._logits, self._ones
        np.dot(images, into, out=hidden)
        hidden += into_bias
        np.tanh(hidden, out=hidden)
        np.dot(out.T, hidden.T, out=logits)
        logits += out_bias[:, np.newaxis]
        loss = self._loss(logits, digits)
        np.dot(hidden.T, logits.T, out=d_out)
        np.dot(logits, ones, out=d_out_bias)
        np.dot(logits.T, out.T, out=slope)
        np.multiply(hidden, hidden, out=hidden)
        np.subtract(1, hidden, out=hidden)
        slope *= hidden
        np.dot(images.T, slope, out=d_into)
        np.dot(ones, slope, out=d_into_bias)
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return loss


class MlpOfOne:
    """784-100-10 with tanh and softmax cross-entropy, one image at a time: vectors instead of matrices."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        self._flat, self._gradient = Flat(start), Flat(start)
        # The gradients of the biases are what the outputs' gradients are: they are computed in place.
        self._hidden = np.empty_like(start["hidden.bias"])
        self._loss = SoftmaxCrossEntropyOfOne(workload.learning_rate)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the only image as a vector."""
        images, digits = batch
        return images[0], digits

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return self._flat.views

    def step(self, image: Array, digit: npt.NDArray[np.int64]) -> float:
        """Takes one step."""
        into, into_bias, out, out_bias = self._flat.views.values()
        d_into, slope, d_out, logits = self._gradient.views.values()
        hidden = self._hidden
        np.dot(image, into, out=hidden)
        hidden += into_bias
        np.tanh(hidden, out=hidden)
        np.dot(hidden, out, out=logits)
        logits += out_bias
        loss = self._loss(logits, digit)
        np.multiply(hidden[:, np.newaxis], logits, out=d_out)
        np.dot(out, logits, out=slope)
        np.multiply(hidden, hidden, out=hidden)
        np.subtract(1, hidden, out=hidden)
        slope *= hidden
        np.dot(image[:, np.newaxis], slope[np.newaxis], out=d_into)
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return loss


class ReluMlpOfOne:
    """784-40-10 with relu and mean squared error, one image at a time."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        self._flat, self._gradient = Flat(start), Flat(start)
        self._hidden = np.empty_like(start["hidden.bias"])
        self._is_on = np.empty(self._hidden.size, np.bool_)
        self._rate = 2 * workload.learning_rate / start["output.bias"].size

    def prepare(self, batch: Batch) -> Batch:
        """Returns the only image and its target as vectors."""
        images, targets = batch
        return images[0], targets[0]

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return self._flat.views

    def step(self, image: Array, target: Array) -> float:
        """Takes one step."""
        into, into_bias, out, out_bias = self._flat.views.values()
        d_into, slope, d_out, error = self._gradient.views.values()
        hidden, is_on = self._hidden, self._is_on
        np.dot(image, into, out=hidden)
        hidden += into_bias
        np.greater(hidden, 0, out=is_on)
        hidden *= is_on
        np.dot(hidden, out, out=error)
        error += out_bias
        error -= target
        loss = np.dot(error, error).item() / error.size
        error *= self._rate
        np.multiply(hidden[:, np.newaxis], error, out=d_out)
        np.dot(out, error, out=slope)
        slope *= is_on
        np.dot(image[:, np.newaxis], slope[np.newaxis], out=d_into)
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return float(loss)
