"""Steps of the bags of words by hand; no bag may be empty, and none holds a word twice."""

import itertools

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.hand_common import Flat
from experiments.benchmarks.core.workload import Array, Batch, Weights, Workload

__all__ = ["SentimentBag", "SentimentBags", "SpamBag"]


class SpamBag:
    """One weight a word, summed, through a sigmoid, squared error; of float32 or float64.

    Args:
        start: the table, (V, 1).
        batch_size: how many bags a step sees.
        learning_rate: of the update.
    """

    def __init__(self, start: Weights, *, batch_size: int, learning_rate: float) -> None:
        self._table = start["words.weight"].copy()
        dtype = self._table.dtype
        self._words = np.empty(0, dtype)
        self._prediction, self._slope = np.empty((2, batch_size), dtype)
        self._largest_exponent = 88.0 if dtype == np.float32 else 709.0
        self._rate = 2 * learning_rate

    @property
    def kept_bytes(self) -> int:
        """How many bytes of buffers are kept from step to step."""
        return self._words.nbytes + self._prediction.nbytes + self._slope.nbytes

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is, and makes room for its words."""
        if batch[0].size > self._words.size:
            self._words = np.empty(batch[0].size, self._words.dtype)
        return batch

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return {"words.weight": self._table}

    def step(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], labels: Array) -> float:
        """Takes one step."""
        weights, words = self._table.reshape(-1), self._words[: token_ids.size]
        prediction, slope = self._prediction, self._slope
        weights.take(token_ids, out=words, mode="clip")  # the other modes buffer `out`
        np.add.reduceat(words, offsets[:-1], out=prediction)
        np.negative(prediction, out=prediction)
        np.minimum(prediction, self._largest_exponent, out=prediction)
        np.exp(prediction, out=prediction)
        prediction += 1
        np.reciprocal(prediction, out=prediction)
        np.subtract(1, prediction, out=slope)
        slope *= prediction
        prediction -= labels
        slope *= prediction
        slope *= self._rate
        np.subtract.at(weights, token_ids, slope.repeat(offsets[1:] - offsets[:-1]))
        return float(prediction @ prediction)


class _Sentiment:
    """What both sizes of batch share: the table, and the dense layer with its loss."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        self._table = start["words.weight"].copy()
        dense = {name: start[name] for name in ("output.weight", "output.bias")}
        self._flat, self._gradient = Flat(dense), Flat(dense)
        n, width = workload.batch_size, self._table.shape[1]
        self._hidden = np.empty((n, width), np.float32)
        self._slope = np.empty((n, width), np.float32)
        self._logits, self._softplus = np.empty((2, n), np.float32)
        self._rate = workload.learning_rate / n

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return {"words.weight": self._table, **self._flat.views}

    def _dense(self, labels: Array) -> float:
        """Takes the step of all but the table; turns the sums in `_hidden` into their gradient."""
        weight, bias = self._flat.views.values()
        d_weight, d_bias = self._gradient.views.values()
        hidden, slope, logits, softplus = self._hidden, self._slope, self._logits, self._softplus
        hidden *= 0.5  # sigmoid(x) = (1 + tanh(x / 2)) / 2, which cannot overflow
        np.tanh(hidden, out=hidden)
        hidden *= 0.5
        hidden += 0.5
        np.dot(hidden, weight[:, 0], out=logits)
        logits += bias
        # log(1 + exp(z)) - z y
        np.logaddexp(0, logits, out=softplus)
        loss = (np.add.reduce(softplus) - np.dot(logits, labels)).item() / len(labels)
        logits *= 0.5
        np.tanh(logits, out=logits)
        logits *= 0.5
        logits += 0.5
        logits -= labels
        logits *= self._rate
        np.dot(logits, hidden, out=d_weight[:, 0])
        d_bias[0] = np.add.reduce(logits)
        np.multiply(logits[:, np.newaxis], weight[:, 0], out=slope)
        slope *= hidden
        np.subtract(1, hidden, out=hidden)
        hidden *= slope
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return float(loss)


class SentimentBag(_Sentiment):
    """75,000 x 100, one review at a time: its rows are fetched once and put back."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        super().__init__(workload, start)
        self._rows = np.empty((0, self._table.shape[1]), np.float32)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is, and makes room for its rows."""
        if batch[0].size > len(self._rows):
            self._rows = np.empty((batch[0].size, self._table.shape[1]), np.float32)
        return batch

    def step(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], labels: Array) -> float:
        """Takes one step."""
        rows = self._rows[: token_ids.size]
        self._table.take(token_ids, axis=0, out=rows, mode="clip")
        np.add.reduce(rows, axis=0, out=self._hidden[0])
        loss = self._dense(labels)
        rows -= self._hidden
        self._table[token_ids] = rows
        return loss


class SentimentBags(_Sentiment):
    """75,000 x 100, several reviews, which may share words: one after another, forward and back."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        super().__init__(workload, start)
        self._rows = np.empty((0, self._table.shape[1]), np.float32)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is, and makes room for the rows of its longest review."""
        longest = int(np.diff(batch[1]).max())
        if longest > len(self._rows):
            self._rows = np.empty((longest, self._table.shape[1]), np.float32)
        return batch

    def step(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64], labels: Array) -> float:
        """Takes one step."""
        table, rows, hidden = self._table, self._rows, self._hidden
        ends = offsets.tolist()
        bags = [token_ids[start:end] for start, end in itertools.pairwise(ends)]
        for bag, total in zip(bags, hidden, strict=True):
            words = table.take(bag, axis=0, out=rows[: bag.size], mode="clip")
            np.add.reduce(words, axis=0, out=total)
        loss = self._dense(labels)
        for bag, change in zip(bags, hidden, strict=True):
            words = table.take(bag, axis=0, out=rows[: bag.size], mode="clip")
            words -= change
            table[bag] = words
        return loss
