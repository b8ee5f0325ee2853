"""The models on fedgdl's own core, as its users write them: layers, a loss, `optim.SGD`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.core.workload import Array, Batch, Model, Side, Weights, Workload
from fedgdl import nn
from fedgdl.autograd import Tensor, sigmoid
from fedgdl.optim import SGD

__all__ = ["with_fedgdl"]


def with_fedgdl(workload: Workload, start: Weights) -> Side:
    """Returns the workload's step as every training loop of this project takes it."""
    rng = np.random.default_rng(0)  # draws start weights that are written over
    return _FedgdlSide(_NETWORKS[workload.model](start, rng), workload, start)


@dataclass(frozen=True, slots=True)
class _Network:
    """What is trained: a function of the batch but for its last part, and the loss of its output and that."""

    model: nn.Module
    loss: Callable[[Any, Any], Tensor]
    prepare: Callable[..., Batch] = lambda *batch: batch


class _FedgdlSide:
    def __init__(self, network: _Network, workload: Workload, start: Weights) -> None:
        self._network = network
        self._parameters = network.model.flatten()
        self._names = dict(zip(start, self._parameters, strict=True))
        for name, array in start.items():
            self._parameters[self._names[name]][...] = array
        self._optimizer = SGD(network.model.parameters(), lr=workload.learning_rate)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch in the form that the model takes."""
        return self._network.prepare(*batch)

    def step(self, *batch: Any) -> float:  # noqa: ANN401 (each workload has batches of its own)
        """Takes one step."""
        *inputs, target = batch
        loss = self._network.loss(self._network.model(*inputs), target)
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def weights(self) -> Weights:
        """Returns the weights as they are now."""
        return {name: self._parameters[ours] for name, ours in self._names.items()}


class _SpamBag(nn.Module):
    def __init__(self, num_words: int) -> None:
        self.words = nn.EmbeddingBag(num_words, 1, initial=nn.init.zeros)

    def forward(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Tensor:
        return sigmoid(self.words(token_ids, offsets).reshape(-1))


class _SentimentBag(nn.Module):
    def __init__(self, num_words: int, width: int, rng: np.random.Generator) -> None:
        self.words = nn.EmbeddingBag(num_words, width, initial=nn.init.zeros)
        self.output = nn.Linear(width, 1, rng=rng)

    def forward(self, token_ids: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Tensor:
        return self.output(sigmoid(self.words(token_ids, offsets))).reshape(-1)


class _Characters(nn.Module):
    """Predicts the next character after each one."""

    def __init__(self, start: Weights, recurrent: nn.RNN | nn.LSTM, rng: np.random.Generator) -> None:
        words, width = start["embedding.weight"].shape
        self.embedding = nn.Embedding(words, width, rng=rng)
        self.recurrent = recurrent
        self.output = nn.Linear(width, words, rng=rng)

    def forward(self, ids: npt.NDArray[np.int64], state: Any) -> Tensor:  # noqa: ANN401 (the recurrent layer's)
        states, _ = self.recurrent(ids, state, embedding=self.embedding)
        return self.output(states)


class _Answer(nn.Module):
    """Predicts one word after all words of a question."""

    def __init__(self, start: Weights, rng: np.random.Generator) -> None:
        words, width = start["embedding.weight"].shape
        self.embedding = nn.Embedding(words, width, rng=rng)
        self.recurrent = nn.RNN(width, width, nonlinearity="sigmoid", rng=rng)
        self.output = nn.Linear(width, words, rng=rng)

    def forward(self, ids: npt.NDArray[np.int64], state: Tensor) -> Tensor:
        _, last = self.recurrent(ids, state, embedding=self.embedding)
        return self.output(last)


def _mlp(start: Weights, rng: np.random.Generator) -> _Network:
    (pixels, width), (_, classes) = start["hidden.weight"].shape, start["output.weight"].shape
    model = nn.Sequential(nn.Linear(pixels, width, rng=rng), nn.Tanh(), nn.Linear(width, classes, rng=rng))
    return _Network(model, nn.CrossEntropyLoss())


def _relu_mlp(start: Weights, rng: np.random.Generator) -> _Network:
    (pixels, width), (_, classes) = start["hidden.weight"].shape, start["output.weight"].shape
    model = nn.Sequential(nn.Linear(pixels, width, rng=rng), nn.ReLU(), nn.Linear(width, classes, rng=rng))
    return _Network(model, nn.MSELoss())


def _cnn(start: Weights, rng: np.random.Generator) -> _Network:
    channels, (features, classes) = start["convolution.bias"].size, start["output.weight"].shape
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3, rng=rng), nn.Tanh(), nn.Flatten(), nn.Linear(features, classes, rng=rng)
    )
    return _Network(model, nn.CrossEntropyLoss())


def _mcmahan_cnn(start: Weights, rng: np.random.Generator) -> _Network:
    few, many = start["first.bias"].size, start["second.bias"].size
    (features, width), (_, classes) = start["hidden.weight"].shape, start["output.weight"].shape
    model = nn.Sequential(
        *(nn.Conv2d(1, few, 5, padding=2, rng=rng), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(few, many, 5, padding=2, rng=rng), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(features, width, rng=rng), nn.ReLU(), nn.Linear(width, classes, rng=rng)),
    )
    return _Network(model, nn.CrossEntropyLoss())


def _spam_bag(start: Weights, _: np.random.Generator) -> _Network:
    return _Network(_SpamBag(len(start["words.weight"])), nn.MSELoss("sum"))


def _sentiment_bag(start: Weights, rng: np.random.Generator) -> _Network:
    num_words, width = start["words.weight"].shape
    return _Network(_SentimentBag(num_words, width, rng), nn.BCEWithLogitsLoss())


def _char_rnn(start: Weights, rng: np.random.Generator) -> _Network:
    model = _Characters(start, nn.RNN(*start["recurrent.weight_ih"].shape, rng=rng), rng)
    return _Network(model, nn.CrossEntropyLoss(), lambda ids, state, class_ids: (ids, Tensor(state), class_ids))


def _char_lstm(start: Weights, rng: np.random.Generator) -> _Network:
    inputs, gates = start["recurrent.weight_ih"].shape
    model = _Characters(start, nn.LSTM(inputs, gates // 4, rng=rng), rng)

    def prepare(ids: Array, state: Array, class_ids: Array) -> Batch:
        return ids, (Tensor(state), Tensor(np.zeros_like(state))), class_ids

    return _Network(model, nn.CrossEntropyLoss(), prepare)


def _answer_rnn(start: Weights, rng: np.random.Generator) -> _Network:
    model = _Answer(start, rng)
    return _Network(model, nn.CrossEntropyLoss(), lambda ids, state, class_ids: (ids, Tensor(state), class_ids[-1]))


_NETWORKS: Final[dict[Model, Callable[[Weights, np.random.Generator], _Network]]] = {
    "mlp": _mlp,
    "relu-mlp": _relu_mlp,
    "cnn": _cnn,
    "mcmahan-cnn": _mcmahan_cnn,
    "spam-bag": _spam_bag,
    "sentiment-bag": _sentiment_bag,
    "char-rnn": _char_rnn,
    "char-lstm": _char_lstm,
    "answer-rnn": _answer_rnn,
}
