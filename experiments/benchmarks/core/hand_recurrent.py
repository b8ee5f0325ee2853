"""Steps of the recurrent models by hand.

Input weights are multiplied with the table of embeddings before the look-up, so a window needs one row of that
product for each id. The character models lie features first, one column for each example: that is how
their products run fastest.
"""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.hand_common import Flat, SoftmaxCrossEntropy
from experiments.benchmarks.core.workload import QUESTION_STEPS, WINDOW_STEPS, Array, Batch, Weights, Workload

__all__ = ["AnswerRnn", "CharLstm", "CharRnn"]


class _Characters(ABC):
    """What both character models share: all but the run through time and back."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        num_steps = WINDOW_STEPS
        self._flat = Flat(self._from_given(start))
        self._gradient = Flat(self._flat.views)
        n, (words, width), outputs = workload.batch_size, start["embedding.weight"].shape, len(start["recurrent.bias"])
        self._steps = num_steps
        self._projected = np.empty((outputs, words), np.float32)
        self._d_projected = np.empty((outputs, words), np.float32)
        self._input = np.empty((outputs, n), np.float32)
        self._states = np.empty((num_steps + 1, width, n), np.float32)
        self._state_window = np.empty((width, num_steps + 1, n), np.float32)
        self._slope_window = np.empty((outputs, num_steps, n), np.float32)
        self._d_states = np.empty((width, num_steps, n), np.float32)
        self._d_state = np.empty((width, n), np.float32)
        self._logits = np.empty((words, num_steps * n), np.float32)
        self._one_hot = np.zeros((num_steps * n, words), np.float32)
        self._columns = np.arange(num_steps * n)
        self._ones = np.ones(num_steps * n, np.float32)
        self._loss = SoftmaxCrossEntropy(num_steps * n, workload.learning_rate)

    def _from_given(self, given: Weights) -> Weights:
        """Returns the weights as they lie here: outputs first."""
        return _transposed(given)

    def _to_given(self, mine: Weights) -> Weights:
        """Returns the weights as they are given: inputs first."""
        return _transposed(mine)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch with the start state features first."""
        ids, state, class_ids = batch
        return ids, np.ascontiguousarray(state.T), class_ids.reshape(-1)

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return self._to_given(self._flat.views)

    @abstractmethod
    def _forward(self, ids: npt.NDArray[np.int64]) -> None:
        """Fills `_states` and `_state_window` from the start state on."""

    @abstractmethod
    def _backward(self) -> None:
        """Fills `_slope_window`, the gradient of what goes into the cells, from `_d_states`."""

    def step(self, ids: npt.NDArray[np.int64], state: Array, class_ids: npt.NDArray[np.int64]) -> float:
        """Takes one step."""
        table, weight_ih, _, bias, out, out_bias = self._flat.views.values()
        d_table, d_weight_ih, d_weight_hh, d_bias, d_out, d_out_bias = self._gradient.views.values()
        logits, width = self._logits, len(state)
        np.dot(weight_ih, table.T, out=self._projected)
        self._projected += bias[:, np.newaxis]
        self._states[0] = state
        self._state_window[:, 0] = state
        self._forward(ids)
        after = self._state_window[:, 1:].reshape(width, -1)
        np.dot(out, after, out=logits)
        logits += out_bias[:, np.newaxis]
        loss = self._loss(logits, class_ids)
        np.dot(logits, after.T, out=d_out)
        np.dot(logits, self._ones, out=d_out_bias)
        np.dot(out.T, logits, out=self._d_states.reshape(width, -1))
        self._backward()
        slopes = self._slope_window.reshape(len(bias), -1)
        np.dot(slopes, self._state_window[:, :-1].reshape(width, -1).T, out=d_weight_hh)
        self._one_hot.fill(0)
        self._one_hot[self._columns, ids.reshape(-1)] = 1
        np.dot(slopes, self._one_hot, out=self._d_projected)
        np.add.reduce(self._d_projected, axis=1, out=d_bias)
        np.dot(self._d_projected, table, out=d_weight_ih)
        np.dot(self._d_projected.T, weight_ih, out=d_table)
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return loss


class CharRnn(_Characters):
    """An RNN with tanh."""

    def _forward(self, ids: npt.NDArray[np.int64]) -> None:
        weight_hh, projected, inputs = self._flat.views["recurrent.weight_hh"], self._projected, self._input
        for step in range(self._steps):
            state = self._states[step + 1]
            np.dot(weight_hh, self._states[step], out=state)
            projected.take(ids[step], axis=1, out=inputs, mode="clip")
            state += inputs
            np.tanh(state, out=state)
            self._state_window[:, step + 1] = state

    def _backward(self) -> None:
        weight_hh, d_state, slope = self._flat.views["recurrent.weight_hh"], self._d_state, self._input
        d_state.fill(0)
        for step in reversed(range(self._steps)):
            state = self._states[step + 1]
            d_state += self._d_states[:, step]
            np.multiply(state, state, out=slope)
            np.subtract(1, slope, out=slope)
            slope *= d_state
            self._slope_window[:, step] = slope
            if step:
                np.dot(weight_hh.T, slope, out=d_state)


class CharLstm(_Characters):
    """An LSTM; its gates lie as input, forget, output, candidate, so that the sigmoids are one block."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        super().__init__(workload, start)
        shape = self._d_state.shape
        self._gates = np.empty((self._steps, 4 * shape[0], shape[1]), np.float32)
        self._cells = np.zeros((self._steps + 1, *shape), np.float32)
        self._tanh_cells = np.empty((self._steps, *shape), np.float32)
        self._d_cell, self._product = np.empty((2, *shape), np.float32)

    def _from_given(self, given: Weights) -> Weights:
        return _last_gates_exchanged(_transposed(given))

    def _to_given(self, mine: Weights) -> Weights:
        return _transposed(_last_gates_exchanged(mine))

    def _forward(self, ids: npt.NDArray[np.int64]) -> None:
        weight_hh, projected, inputs = self._flat.views["recurrent.weight_hh"], self._projected, self._input
        width = len(self._d_state)
        for step in range(self._steps):
            gates, state, cell = self._gates[step], self._states[step + 1], self._cells[step + 1]
            np.dot(weight_hh, self._states[step], out=gates)
            projected.take(ids[step], axis=1, out=inputs, mode="clip")
            gates += inputs
            sigmoids = gates[: 3 * width]
            sigmoids *= 0.5
            np.tanh(gates, out=gates)
            sigmoids *= 0.5
            sigmoids += 0.5
            put_in, keep, put_out, candidate = gates.reshape(4, width, -1)
            np.multiply(keep, self._cells[step], out=cell)
            np.multiply(put_in, candidate, out=state)
            cell += state
            np.tanh(cell, out=self._tanh_cells[step])
            np.multiply(put_out, self._tanh_cells[step], out=state)
            self._state_window[:, step + 1] = state

    def _backward(self) -> None:
        weight_hh, d_state, slope = self._flat.views["recurrent.weight_hh"], self._d_state, self._input
        d_cell, product, width = self._d_cell, self._product, len(self._d_state)
        d_put_in, d_keep, d_put_out, d_candidate = slope.reshape(4, width, -1)
        d_state.fill(0)
        d_cell.fill(0)
        for step in reversed(range(self._steps)):
            gates, tanh_cell = self._gates[step], self._tanh_cells[step]
            put_in, keep, put_out, candidate = gates.reshape(4, width, -1)
            d_state += self._d_states[:, step]
            np.subtract(1, gates[: 3 * width], out=slope[: 3 * width])
            slope[: 3 * width] *= gates[: 3 * width]
            np.multiply(candidate, candidate, out=d_candidate)
            np.subtract(1, d_candidate, out=d_candidate)
            np.multiply(d_state, tanh_cell, out=product)
            d_put_out *= product
            np.multiply(tanh_cell, tanh_cell, out=product)
            np.subtract(1, product, out=product)
            product *= d_state
            product *= put_out
            d_cell += product
            np.multiply(d_cell, candidate, out=product)
            d_put_in *= product
            np.multiply(d_cell, self._cells[step], out=product)
            d_keep *= product
            np.multiply(d_cell, put_in, out=product)
            d_candidate *= product
            d_cell *= keep
            self._slope_window[:, step] = slope
            if step:
                np.dot(weight_hh.T, slope, out=d_state)


class AnswerRnn:
    """A small RNN with sigmoid that answers after the last step; examples first."""

    def __init__(self, workload: Workload, start: Weights) -> None:
        self._flat, self._gradient = Flat(start), Flat(start)
        n, (words, width) = workload.batch_size, start["embedding.weight"].shape
        self._steps = QUESTION_STEPS
        self._projected = np.empty((words, width), np.float32)
        self._d_projected = np.empty((words, width), np.float32)
        self._inputs = np.empty((self._steps, n, width), np.float32)
        self._states = np.empty((self._steps + 1, n, width), np.float32)
        self._d_states = np.empty((self._steps, n, width), np.float32)
        self._d_state = np.empty((n, width), np.float32)
        self._logits = np.empty((words, n), np.float32)
        self._features = np.arange(width)
        self._places = np.empty((self._steps, n, width), np.int64)
        self._ones = np.ones(max(n, words), np.float32)
        self._loss = SoftmaxCrossEntropy(n, workload.learning_rate)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as it is."""
        return batch

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return self._flat.views

    def step(self, ids: npt.NDArray[np.int64], state: Array, class_ids: npt.NDArray[np.int64]) -> float:
        """Takes one step."""
        table, weight_ih, weight_hh, bias, out, out_bias = self._flat.views.values()
        states, logits = self._states, self._logits
        np.dot(table, weight_ih, out=self._projected)
        self._projected += bias
        self._projected.take(ids, axis=0, out=self._inputs, mode="clip")
        self._inputs *= 0.5
        states[0] = state
        half = weight_hh * 0.5
        for step in range(self._steps):
            new = states[step + 1]
            np.dot(states[step], half, out=new)
            new += self._inputs[step]
            np.tanh(new, out=new)
            new *= 0.5
            new += 0.5
        np.dot(out.T, states[-1].T, out=logits)
        logits += out_bias[:, np.newaxis]
        loss = self._loss(logits, class_ids[-1])
        self._backward(ids)
        np.subtract(self._flat.vector, self._gradient.vector, out=self._flat.vector)
        return loss

    def _backward(self, ids: npt.NDArray[np.int64]) -> None:
        table, weight_ih, weight_hh, _, out, _ = self._flat.views.values()
        d_table, d_weight_ih, d_weight_hh, d_bias, d_out, d_out_bias = self._gradient.views.values()
        states, logits, slopes, d_state = self._states, self._logits, self._d_states, self._d_state
        n, width = d_state.shape
        np.dot(states[-1].T, logits.T, out=d_out)
        np.dot(logits, self._ones[:n], out=d_out_bias)
        np.dot(logits.T, out.T, out=d_state)
        after = states[1:]
        np.subtract(1, after, out=slopes)
        slopes *= after
        for step in reversed(range(self._steps)):
            slope = slopes[step]
            slope *= d_state
            if step:
                np.dot(slope, weight_hh.T, out=d_state)
        np.dot(states[:-1].reshape(-1, width).T, slopes.reshape(-1, width), out=d_weight_hh)
        np.multiply(ids[..., np.newaxis], width, out=self._places)
        self._places += self._features
        self._d_projected.fill(0)
        np.add.at(self._d_projected.reshape(-1), self._places.reshape(-1), slopes.reshape(-1))
        np.dot(self._ones[: len(table)], self._d_projected, out=d_bias)
        np.dot(table.T, self._d_projected, out=d_weight_ih)
        np.dot(self._d_projected, weight_ih.T, out=d_table)


def _transposed(weights: Weights) -> Weights:
    """Returns all matrices but the embedding turned over."""
    return {name: array if name == "embedding.weight" else array.T for name, array in weights.items()}


def _last_gates_exchanged(weights: Weights) -> Weights:
    """Returns the recurrent arrays, outputs first, with the third and fourth quarter in each other's place."""
    exchanged = dict(weights)
    for name in ("recurrent.weight_ih", "recurrent.weight_hh", "recurrent.bias"):
        put_in, keep, third, fourth = np.split(weights[name], 4)
        exchanged[name] = np.concatenate([put_in, keep, fourth, third])
    return exchanged
