"""The streetlights of chapters 6 and 7, whether one walked, and the network that learns when to.

Example:
    >>> network()
    Sequential(0.weight (3, 4), 2.weight (4, 1))
"""

from typing import Final

import numpy as np

from fedgdl.nn import Linear, ReLU, Sequential
from fedgdl.zoo.book_draws import given
from fedgdl.zoo.descent import Descent, Step, flat, from_minus_one_to_one

__all__ = ["DEEP_LIGHTS", "DEEP_WALKS", "LIGHTS", "NAMES", "START", "WALKS", "forward", "network", "train"]

LIGHTS: Final = ((1, 0, 1), (0, 1, 1), (0, 0, 1), (1, 1, 1), (0, 1, 1), (1, 0, 1))
"""Six crossings: which of three lights are on."""

WALKS: Final = (0, 1, 0, 1, 1, 0)
"""Whether people walked; it is the middle light that decides."""

DEEP_LIGHTS: Final = ((1, 0, 1), (0, 1, 1), (0, 0, 1), (1, 1, 1))
DEEP_WALKS: Final = (1, 1, 0, 0)
"""One walks when exactly one of the first two lights is on: no weighted sum of the lights says so."""

START: Final = (0.5, 0.48, -0.7)
"""The book's start weights of the single layer."""

NAMES: Final = ("left light", "middle light", "right light")

_ALPHA: Final = 0.2
_SEED: Final = 1


def network(num_hidden: int = 4) -> Sequential:
    """Returns the network 3-h-1 without biases, ReLU inside, float64, with the book's start weights."""
    first, second = from_minus_one_to_one(_SEED, (3, num_hidden), (num_hidden, 1))
    return Sequential(
        Linear(3, num_hidden, bias=False, initial=given(first), dtype="float64"),
        ReLU(),
        Linear(num_hidden, 1, bias=False, initial=given(second), dtype="float64"),
    )


def train(model: Sequential, num_passes: int) -> list[list[Step]]:
    """Teaches the model the four crossings, one after the other, and returns the steps of each pass."""
    descent = Descent(model, _ALPHA)
    examples = [(row, (walk,)) for row, walk in zip(DEEP_LIGHTS, DEEP_WALKS, strict=True)]
    return [[descent.learn(lights, walk) for lights, walk in examples] for _ in range(num_passes)]


def forward(model: Sequential, lights: tuple[int, ...]) -> tuple[tuple[float, ...], ...]:
    """Returns what the units of each layer hold for one crossing: inputs, hidden units, output."""
    inputs = np.asarray(lights, float)
    hidden = model[:2](inputs)
    return flat(inputs), flat(hidden.data), flat(model[2](hidden).data)
