"""What one row of the benchmark is: the sizes of a model, its start weights and its batches.

A side of the benchmark (NumPy by hand, fedgdl, PyTorch) is made from a workload and start weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["QUESTION_STEPS", "WINDOW_STEPS", "Array", "Batch", "MakeSide", "Model", "Side", "Weights", "Workload"]

Array: TypeAlias = npt.NDArray[Any]
Weights: TypeAlias = dict[str, Array]
"""Float32 arrays by name, in fedgdl's layouts: dense (in, out), kernels (height, width, in, out)."""
Batch: TypeAlias = tuple[Any, ...]
"""What a step is called with; arrays as `Workload.draw_batch` made them, or what a side made of these."""
Model: TypeAlias = Literal[
    "mlp", "relu-mlp", "cnn", "mcmahan-cnn", "spam-bag", "sentiment-bag", "char-rnn", "char-lstm", "answer-rnn"
]

WINDOW_STEPS: Final = 16
"""Characters that the character models read at a time."""
QUESTION_STEPS: Final = 5
"""Words of a question."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One row.

    Attributes:
        name: as it is typed.
        model: which model is trained.
        what: the model in words, with its shapes.
        batch_size: how many examples a step sees.
        learning_rate: large enough that the steps in common move the weights far beyond rounding.
        draw_weights: returns start weights.
        draw_batch: returns a batch.
    """

    name: str
    model: Model
    what: str
    batch_size: int
    learning_rate: float
    draw_weights: Callable[[np.random.Generator], Weights]
    draw_batch: Callable[[np.random.Generator], Batch]

    @property
    def has_bends(self) -> bool:
        """Whether the model has relu or a maximum, where rounding alone may send a gradient another way."""
        return self.model in {"relu-mlp", "mcmahan-cnn"}


class Side(Protocol):
    """One way to take the steps of a workload."""

    def prepare(self, batch: Batch) -> Batch:
        """Returns the batch in the form in which this side likes it best, made ahead of time."""
        ...

    def step(self, *batch: Any) -> float:  # noqa: ANN401 (each workload has batches of its own)
        """Takes one step forward, backward and down; returns the loss before it."""
        ...

    def weights(self) -> Weights:
        """Returns the weights as they are now, named and laid out as the start weights were."""
        ...


MakeSide: TypeAlias = Callable[[Workload, Weights], Side]
