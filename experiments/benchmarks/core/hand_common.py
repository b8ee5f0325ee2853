"""What several steps by hand share: weights as one vector, and softmax cross-entropy that becomes its own gradient.

Everywhere by hand the learning rate enters where the loss meets the output, so each gradient comes
out as what is to be subtracted, and the update of all weights is one subtraction.
"""

import math

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.workload import Array, Weights

__all__ = ["Flat", "SoftmaxCrossEntropy", "SoftmaxCrossEntropyOfOne"]


class Flat:
    """Arrays that lie end to end in one float32 vector.

    Attributes:
        vector: all elements.
        views: each array by name, a view of the vector.
    """

    def __init__(self, arrays: Weights) -> None:
        self.vector: Array = np.concatenate([array.ravel() for array in arrays.values()])
        self.views: Weights = {}
        start = 0
        for name, array in arrays.items():
            self.views[name] = self.vector[start : start + array.size].reshape(array.shape)
            start += array.size


class SoftmaxCrossEntropy:
    """Mean softmax cross-entropy of logits that lie classes first, with kept buffers.

    Args:
        num_examples: n, how many columns the logits have.
        learning_rate: by which the gradient is multiplied.
    """

    def __init__(self, num_examples: int, learning_rate: float) -> None:
        self._columns = np.arange(num_examples)
        self._maxima = np.empty(num_examples, np.float32)
        self._sums = np.empty(num_examples, np.float32)
        self._step = learning_rate / num_examples

    def __call__(self, logits: Array, class_ids: npt.NDArray[np.int64]) -> float:
        """Returns the loss of logits (C, n), and overwrites them with gradient times learning rate."""
        maxima, sums, columns = self._maxima, self._sums, self._columns
        np.maximum.reduce(logits, axis=0, out=maxima)
        logits -= maxima
        chosen = logits[class_ids, columns]
        np.exp(logits, out=logits)
        np.add.reduce(logits, axis=0, out=sums)
        np.log(sums, out=maxima)
        np.divide(self._step, sums, out=sums)
        logits *= sums
        logits[class_ids, columns] -= self._step
        return float(np.add.reduce(maxima) - np.add.reduce(chosen)) / len(columns)


class SoftmaxCrossEntropyOfOne:
    """The same for a single example, in Python numbers where NumPy's calls cost more than their work.

    Args:
        learning_rate: by which the gradient is multiplied.
    """

    def __init__(self, learning_rate: float) -> None:
        self._step = learning_rate

    def __call__(self, logits: Array, class_ids: npt.NDArray[np.int64]) -> float:
        """Returns the loss of logits (C,), and overwrites them with gradient times learning rate."""
        class_id = class_ids.item()
        logits -= np.maximum.reduce(logits)
        chosen = logits.item(class_id)
        np.exp(logits, out=logits)
        total = np.add.reduce(logits).item()
        logits *= self._step / total
        logits[class_id] -= self._step
        return float(math.log(total) - chosen)
