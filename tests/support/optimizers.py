"""Optimisers and their rules as slow loops over single numbers; models of one vector, and stacks of them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl import optim
from fedgdl.autograd import GradientVector, Parameter
from fedgdl.parameters import Layout, Parameters

Array: TypeAlias = npt.NDArray[Any]
Gradients: TypeAlias = Sequence[float | None]
"""The gradient of one number in each step; none where its row of the table was not touched."""

OPTIMIZERS: Mapping[str, Callable[[Iterable[Parameter]], optim.Optimizer]] = {
    "SGD": lambda parameters: optim.SGD(parameters, 0.1),
    "SGD with weight decay": lambda parameters: optim.SGD(parameters, 0.1, weight_decay=0.3),
    "SGD with momentum": lambda parameters: optim.SGD(parameters, 0.1, momentum=0.8, weight_decay=0.3),
    "SGD with Nesterov": lambda parameters: optim.SGD(parameters, 0.1, momentum=0.8, weight_decay=0.3, nesterov=True),
    "Adam": lambda parameters: optim.Adam(parameters, 0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
    "AdamW": lambda parameters: optim.AdamW(parameters, 0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
    "Adagrad": lambda parameters: optim.Adagrad(
        parameters, 0.1, lr_decay=0.2, weight_decay=0.3, initial_accumulator_value=0.4, eps=1e-3
    ),
    "Yogi": lambda parameters: optim.Yogi(
        parameters, 0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3, initial_accumulator_value=0.4
    ),
}
"""Every rule, with hyper-parameters that all take part."""


def slow_sgd(value: float, gradients: Gradients, decay: float, momentum: float, *, nesterov: bool = False) -> float:
    velocity = 0.0
    for gradient in gradients:
        if gradient is not None:
            decayed = gradient + decay * value
            velocity = momentum * velocity + decayed
            value -= 0.1 * (decayed + momentum * velocity if nesterov else velocity)
    return value


def slow_adam(value: float, gradients: Gradients, *, decoupled: bool = False) -> float:
    m = v = 0.0
    for t, gradient in enumerate(gradients, start=1):
        if gradient is not None:
            decayed = gradient if decoupled else gradient + 0.3 * value
            if decoupled:
                value -= 0.1 * 0.3 * value
            m = 0.8 * m + (1 - 0.8) * decayed
            v = 0.95 * v + (1 - 0.95) * decayed**2
            value -= 0.1 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.95**t)) + 1e-3)
    return value


def slow_adagrad(value: float, gradients: Gradients) -> float:
    total = 0.4
    for t, gradient in enumerate(gradients, start=1):
        if gradient is not None:
            decayed = gradient + 0.3 * value
            total += decayed**2
            value -= 0.1 / (1 + (t - 1) * 0.2) * decayed / (math.sqrt(total) + 1e-3)
    return value


def slow_yogi(value: float, gradients: Gradients) -> float:
    m, v = 0.0, 0.4
    for gradient in gradients:
        if gradient is not None:
            decayed = gradient + 0.3 * value
            m = 0.8 * m + (1 - 0.8) * decayed
            v -= (1 - 0.95) * float(np.sign(v - decayed**2)) * decayed**2
            value -= 0.1 * m / (math.sqrt(v) + 1e-3)
    return value


SLOW: Mapping[str, Callable[[float, Gradients], float]] = {
    "SGD": lambda value, gradients: slow_sgd(value, gradients, 0.0, 0.0),
    "SGD with weight decay": lambda value, gradients: slow_sgd(value, gradients, 0.3, 0.0),
    "SGD with momentum": lambda value, gradients: slow_sgd(value, gradients, 0.3, 0.8),
    "SGD with Nesterov": lambda value, gradients: slow_sgd(value, gradients, 0.3, 0.8, nesterov=True),
    "Adam": slow_adam,
    "AdamW": lambda value, gradients: slow_adam(value, gradients, decoupled=True),
    "Adagrad": slow_adagrad,
    "Yogi": slow_yogi,
}
"""The same rules, from their papers' formulas, for one number."""

SHAPES: Mapping[str, tuple[int, ...]] = {"first": (70, 64), "bias": (64,), "words": (6, 3), "last": (5,), "scale": ()}
"""Dense parameters on both sides of a table; the first is long enough for BLAS."""


class Flat:
    """Parameters in one vector, as those of a flattened model; or in a stack of K."""

    def __init__(
        self, num_clients: int | None = None, shapes: Mapping[str, tuple[int, ...]] = SHAPES, dtype: str = "float32"
    ) -> None:
        layout = Layout.of(dict(shapes), "float32" if dtype == "float32" else "float64")
        stacked = () if num_clients is None else (num_clients,)
        self.whole = Parameters(layout, np.zeros((*stacked, layout.size), dtype))
        gradients = GradientVector(layout, num_clients)
        self.by_name: dict[str, Parameter] = {}
        for name, shape in shapes.items():
            self.by_name[name] = Parameter(np.zeros((*stacked, *shape), dtype))
            self.by_name[name].bind(name, self.whole, gradients)

    @property
    def vector(self) -> Array:
        return self.whole.vector

    @property
    def parameters(self) -> list[Parameter]:
        return list(self.by_name.values())

    def activate(self, num_clients: int) -> None:
        """Leaves only the leading clients of a stack at work."""
        leading = self.whole.leading(num_clients)
        for parameter in self.parameters:
            parameter.look_into(leading)


def send_gradients(flat: Flat, streams: Sequence[np.random.Generator], num_pieces: int = 2) -> None:
    """Gives dense parameters a dense and the table (`words`) a sparse gradient, drawn for each client from its stream.

    One stream is for parameters outside a stack.
    """
    stacked = flat.vector.ndim == 2
    for name, parameter in flat.by_name.items():
        shape, dtype = parameter.shape[1:] if stacked else parameter.shape, parameter.dtype
        if name != "words":
            drawn = np.array([rng.normal(size=shape) for rng in streams]).astype(dtype)
            parameter.receive(drawn if stacked else drawn[0])
    words = flat.by_name["words"]
    height, *row_shape = words.shape[1:] if stacked else words.shape
    for _ in range(num_pieces):
        ids = [rng.integers(height, size=rng.integers(5)) for rng in streams]
        rows = [
            rng.normal(size=(own.size, *row_shape)).astype(words.dtype) for rng, own in zip(streams, ids, strict=True)
        ]
        numbered = [client * height + own for client, own in enumerate(ids)]
        words.receive_rows(np.concatenate(numbered), np.concatenate(rows))
