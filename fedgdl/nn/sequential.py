"""Layers one after another.

A `ReLU`, `Tanh` or `Sigmoid` directly behind a `Linear` or `Conv2d` becomes part of that layer's operation: the same
bits with fewer passes over memory. So does a `MaxPool2d` of windows that do not overlap behind a `Conv2d`, with a
`ReLU` before it or any activation behind it.

Example:
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> model = Sequential(Linear(3, 4, rng=rng), ReLU(), Linear(4, 2, rng=rng))
    >>> model(np.ones((5, 3), "float32")).shape
    (5, 2)
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
"""

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any, Self, overload

from fedgdl.errors import ParameterError
from fedgdl.nn.activation import ReLU, Sigmoid, Tanh
from fedgdl.nn.convolution import Conv2d, MaxPool2d
from fedgdl.nn.linear import Linear
from fedgdl.nn.module import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Each layer takes what the one before it returned; without layers, the identity.

    Parameters have PyTorch's paths, `0.weight`, `2.bias` and so on. `len(model)`, `model[1]`, `model[:-1]` (the
    same layers, not copies) and `for layer in model` are understood.

    Args:
        layers: the modules, in order.
        fuse: whether activations and pooling become part of the operation before them.

    Raises:
        ParameterError: something is no module.
    """

    def __init__(self, *layers: Module, fuse: bool = True) -> None:
        self._layers: list[Module] = []
        self._fuse = fuse
        for layer in layers:
            self.append(layer)
        self._steps = self._plan()

    @property
    def fuse(self) -> bool:
        """Whether activations and pooling become part of the operation before them; it may be set anew."""
        return self._fuse

    @fuse.setter
    def fuse(self, fuse: bool) -> None:
        self._fuse = fuse
        self._steps = self._plan()

    def append(self, layer: Module) -> Self:
        """Adds a layer behind the last one; returns itself.

        Raises:
            ParameterError: it is no module.
        """
        given: object = layer
        if not isinstance(given, Module):
            message = f"Sequential takes modules, one by one: Sequential(a, b, c), got {type(given).__name__}"
            raise ParameterError(message)
        self._layers.append(layer)
        self._steps = self._plan()
        return self

    def forward(self, x: Any) -> Any:  # noqa: ANN401 (the first layer's input, the last one's output)
        """Returns the last layer's output; x is what the first layer takes."""
        for step in self._steps:
            x = step(x)
        return x

    def contents(self) -> Iterator[tuple[str, object]]:
        """Yields the layers under their numbers, and what else a derived class keeps under its name."""
        for index, layer in enumerate(self._layers):
            yield str(index), layer
        yield from super().contents()

    def __len__(self) -> int:
        """Returns the number of layers."""
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        """Yields the layers in order."""
        return iter(self._layers)

    @overload
    def __getitem__(self, index: int) -> Module: ...

    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...

    def __getitem__(self, index: int | slice) -> "Module | Sequential":
        """Returns a layer by its number, or some layers as a `Sequential` of the same layers."""
        if not isinstance(index, slice):
            return self._layers[operator.index(index)]
        part = Sequential(*self._layers[index], fuse=self._fuse)
        part.training, part.num_clients = self.training, self.num_clients
        part._all_clients = self._all_clients
        return part

    def _plan(self) -> list[Callable[..., Any]]:
        """Returns what to call: each layer's `forward`, with what it takes over from the layers behind it, if any."""
        steps: list[tuple[Module, dict[str, Any]]] = []
        for layer in self._layers:
            taken = _taken_over(*steps[-1], layer) if self._fuse and steps else {}
            if taken:
                steps[-1][1].update(taken)
            else:
                steps.append((layer, {}))
        return [functools.partial(layer.forward, **taken) if taken else layer.forward for layer, taken in steps]


def _taken_over(layer: Module, already: dict[str, Any], follower: Module) -> dict[str, Any]:
    """Returns the arguments by which a layer that took over some does its follower's work too; none if it cannot."""
    # Exactly these classes: a derived one may compute something else.
    if type(layer) not in (Linear, Conv2d):
        return {}
    if isinstance(follower, ReLU | Tanh | Sigmoid) and type(follower) in (ReLU, Tanh, Sigmoid):
        return {} if "activation" in already else {"activation": follower.fused}
    if type(layer) is Conv2d and isinstance(follower, MaxPool2d) and type(follower) is MaxPool2d:
        # The pooling comes first then, and of the activations ReLU alone keeps the order of values to the last bit.
        fits = "pool" not in already and already.get("activation", "relu") == "relu"
        if fits and follower.stride in (None, follower.kernel_size):
            return {"pool": follower.kernel_size}
    return {}
