"""The models in PyTorch, eager, as its users write them: layers, a loss, `torch.optim.SGD`.

Import it only where PyTorch is installed, which fedgdl never needs. Where there are several plain ways (an optimiser
that works tensor by tensor, on lists of them, or fused; sparse or dense gradients of a table) each is a variant.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from experiments.benchmarks.core.workload import Array, Batch, Model, Side, Weights, Workload

__all__ = ["VERSION", "one_thread", "variants"]

VERSION: Final = str(torch.__version__)

_OPTIMIZERS: Final[dict[str, dict[str, bool]]] = {"SGD": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Has PyTorch use one thread within this context."""
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(former)


def variants(workload: Workload, start: Weights) -> dict[str, Side]:
    """Returns each plain way to take the workload's steps, by name."""
    torch.manual_seed(0)  # layers draw start weights of their own, which are written over
    if workload.model in {"spam-bag", "sentiment-bag"}:
        make_bag = _spam if workload.model == "spam-bag" else _sentiment
        return {
            "sparse": _TorchSide(make_bag(is_sparse=True, start=start), workload, start, {}),
            "dense": _TorchSide(make_bag(is_sparse=False, start=start), workload, start, {}),
        }
    make = _NETWORKS[workload.model]
    return {name: _TorchSide(make(start), workload, start, options) for name, options in _OPTIMIZERS.items()}


@dataclass(frozen=True, slots=True)
class _Part:
    """One of PyTorch's parameters, and how it is laid out against fedgdl's."""

    parameter: Any
    to_theirs: Callable[[Array], Array] = lambda array: array
    to_ours: Callable[[Array], Array] = lambda array: array


@dataclass(frozen=True, slots=True)
class _Network:
    """What is trained: a function of the batch but for its last part, the loss of its output and that, parameters."""

    forward: Callable[..., Any]
    loss: Callable[[Any, Any], Any]
    parts: dict[str, _Part]
    prepare: Callable[..., Batch] = lambda *batch: batch


class _TorchSide:
    def __init__(self, network: _Network, workload: Workload, start: Weights, options: dict[str, bool]) -> None:
        self._network = network
        with torch.no_grad():
            for name, part in network.parts.items():
                part.parameter.copy_(torch.from_numpy(np.ascontiguousarray(part.to_theirs(start[name]))))
        parameters = [part.parameter for part in network.parts.values()]
        self._optimizer = torch.optim.SGD(parameters, lr=workload.learning_rate, **options)

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch as tensors in PyTorch's layout."""
        return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in self._network.prepare(*batch))

    def step(self, *batch: Any) -> float:  # noqa: ANN401 (each workload has batches of its own)
        """Takes one step."""
        *inputs, target = batch
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._network.loss(self._network.forward(*inputs), target)
        loss.backward()
        self._optimizer.step()
        return float(loss.item())

    def weights(self) -> Weights:
        """Returns the weights as they are now, in fedgdl's layouts."""
        return {
            name: part.to_ours(part.parameter.detach().numpy().copy()) for name, part in self._network.parts.items()
        }


def _transposed(array: Array) -> Array:
    return array.T


def _dense(layers: dict[str, Any]) -> dict[str, _Part]:
    """Returns the parts of dense layers, whose weights are (out, in) in PyTorch."""
    parts = {}
    for name, layer in layers.items():
        parts[f"{name}.weight"] = _Part(layer.weight, _transposed, _transposed)
        parts[f"{name}.bias"] = _Part(layer.bias)
    return parts


def _convolutions(layers: dict[str, Any]) -> dict[str, _Part]:
    """Returns the parts of convolutions, whose kernels are (out, in, height, width) in PyTorch."""
    parts = {}
    for name, layer in layers.items():
        parts[f"{name}.weight"] = _Part(
            layer.weight, lambda kernel: kernel.transpose(3, 2, 0, 1), lambda kernel: kernel.transpose(2, 3, 1, 0)
        )
        parts[f"{name}.bias"] = _Part(layer.bias)
    return parts


def _after_flattening(layer: Any, channels: int, size: int) -> _Part:  # noqa: ANN401
    """Returns the weights of a dense layer on a flattened image, channels first in PyTorch and last in fedgdl."""
    return _Part(
        layer.weight,
        lambda array: array.reshape(size, size, channels, -1).transpose(3, 2, 0, 1).reshape(-1, channels * size**2),
        lambda array: array.reshape(-1, channels, size, size).transpose(2, 3, 1, 0).reshape(size**2 * channels, -1),
    )


def _channels_first(images: Array, digits: Array) -> Batch:
    return images.transpose(0, 3, 1, 2), digits


def _mlp(start: Weights) -> _Network:
    pixels, width = start["hidden.weight"].shape
    hidden, output = nn.Linear(pixels, width), nn.Linear(width, start["output.bias"].size)
    model = nn.Sequential(hidden, nn.Tanh(), output)
    return _Network(model, functional.cross_entropy, _dense({"hidden": hidden, "output": output}))


def _relu_mlp(start: Weights) -> _Network:
    pixels, width = start["hidden.weight"].shape
    hidden, output = nn.Linear(pixels, width), nn.Linear(width, start["output.bias"].size)
    model = nn.Sequential(hidden, nn.ReLU(), output)
    return _Network(model, functional.mse_loss, _dense({"hidden": hidden, "output": output}))


def _cnn(start: Weights) -> _Network:
    channels, classes = start["convolution.bias"].size, start["output.bias"].size
    convolution, output = nn.Conv2d(1, channels, 3), nn.Linear(26 * 26 * channels, classes)
    parts = _convolutions({"convolution": convolution}) | _dense({"output": output})
    parts["output.weight"] = _after_flattening(output, channels, 26)
    model = nn.Sequential(convolution, nn.Tanh(), nn.Flatten(), output)
    return _Network(model, functional.cross_entropy, parts, _channels_first)


def _mcmahan_cnn(start: Weights) -> _Network:
    few, many, width = start["first.bias"].size, start["second.bias"].size, start["hidden.bias"].size
    first, second = nn.Conv2d(1, few, 5, padding=2), nn.Conv2d(few, many, 5, padding=2)
    hidden, output = nn.Linear(7 * 7 * many, width), nn.Linear(width, start["output.bias"].size)
    parts = _convolutions({"first": first, "second": second}) | _dense({"hidden": hidden, "output": output})
    parts["hidden.weight"] = _after_flattening(hidden, many, 7)
    model = nn.Sequential(
        *(first, nn.MaxPool2d(2), nn.ReLU()),
        *(second, nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), hidden, nn.ReLU(), output),
    )
    return _Network(model, functional.cross_entropy, parts, _channels_first)


def _without_last_offset(token_ids: Array, offsets: Array, labels: Array) -> Batch:
    return token_ids, offsets[:-1], labels


def _spam(start: Weights, *, is_sparse: bool) -> _Network:
    words = nn.EmbeddingBag(*start["words.weight"].shape, mode="sum", sparse=is_sparse)
    return _Network(
        lambda token_ids, offsets: torch.sigmoid(words(token_ids, offsets)).squeeze(1),
        lambda prediction, labels: functional.mse_loss(prediction, labels, reduction="sum"),
        {"words.weight": _Part(words.weight)},
        _without_last_offset,
    )


def _sentiment(start: Weights, *, is_sparse: bool) -> _Network:
    words = nn.EmbeddingBag(*start["words.weight"].shape, mode="sum", sparse=is_sparse)
    output = nn.Linear(start["words.weight"].shape[1], 1)
    return _Network(
        lambda token_ids, offsets: output(torch.sigmoid(words(token_ids, offsets))).squeeze(1),
        functional.binary_cross_entropy_with_logits,
        {"words.weight": _Part(words.weight)} | _dense({"output": output}),
        _without_last_offset,
    )


def _characters(start: Weights, cell: Callable[[int, int], Any]) -> _Network:
    words, width = start["embedding.weight"].shape
    embedding, recurrent, output = nn.Embedding(words, width), cell(width, width), nn.Linear(width, words)
    # PyTorch has a second bias beside the first, with the same gradient: at rest, so that one step stays one step.
    recurrent.bias_hh_l0.requires_grad_(requires_grad=False).zero_()
    parts = {
        "embedding.weight": _Part(embedding.weight),
        "recurrent.weight_ih": _Part(recurrent.weight_ih_l0, _transposed, _transposed),
        "recurrent.weight_hh": _Part(recurrent.weight_hh_l0, _transposed, _transposed),
        "recurrent.bias": _Part(recurrent.bias_ih_l0),
    }

    def forward(ids: Any, state: Any, cells: Any = None) -> Any:  # noqa: ANN401
        states, _ = recurrent(embedding(ids), state if cells is None else (state, cells))
        return output(states)

    def loss(logits: Any, class_ids: Any) -> Any:  # noqa: ANN401
        return functional.cross_entropy(logits.flatten(0, 1), class_ids.flatten())

    return _Network(forward, loss, parts | _dense({"output": output}))


def _char_rnn(start: Weights) -> _Network:
    network = _characters(start, nn.RNN)
    return _Network(network.forward, network.loss, network.parts, lambda ids, state, last: (ids, state[None], last))


def _char_lstm(start: Weights) -> _Network:
    network = _characters(start, nn.LSTM)

    def prepare(ids: Array, state: Array, class_ids: Array) -> Batch:
        return ids, state[None], np.zeros_like(state[None]), class_ids

    return _Network(network.forward, network.loss, network.parts, prepare)


def _answer_rnn(start: Weights) -> _Network:
    words, width = start["embedding.weight"].shape
    embedding, output = nn.Embedding(words, width), nn.Linear(width, words)
    into, onward = nn.Linear(width, width), nn.Linear(width, width, bias=False)

    def forward(ids: Any, state: Any) -> Any:  # noqa: ANN401
        for projected in into(embedding(ids)):  # `nn.RNN` has no sigmoid
            state = torch.sigmoid(projected + onward(state))
        return output(state)

    parts = {
        "embedding.weight": _Part(embedding.weight),
        "recurrent.weight_ih": _Part(into.weight, _transposed, _transposed),
        "recurrent.weight_hh": _Part(onward.weight, _transposed, _transposed),
        "recurrent.bias": _Part(into.bias),
    }
    return _Network(
        forward,
        functional.cross_entropy,
        parts | _dense({"output": output}),
        lambda ids, state, class_ids: (ids, state, class_ids[-1]),
    )


_NETWORKS: Final[dict[Model, Callable[[Weights], _Network]]] = {
    "mlp": _mlp,
    "relu-mlp": _relu_mlp,
    "cnn": _cnn,
    "mcmahan-cnn": _mcmahan_cnn,
    "char-rnn": _char_rnn,
    "char-lstm": _char_lstm,
    "answer-rnn": _answer_rnn,
}
