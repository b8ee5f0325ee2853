"""A table of a model's layers: what shape comes out of each, and how many parameters each has.

Made by `Module.summary`; read `rows` in a program, print it to look at it.

Example:
    >>> rng = np.random.default_rng(1)
    >>> from fedgdl.nn import Linear, ReLU, Sequential
    >>> print(Sequential(Linear(3, 4, rng=rng), ReLU(), Linear(4, 2, rng=rng)).summary((5, 3)))
    path  layer       output shape  parameters
          Sequential  (5, 2)                 0
    0     Linear      (5, 4)                16
    1     ReLU        (5, 4)                 0
    2     Linear      (5, 2)                10
    26 parameters in 104 bytes; the layers' outputs take 200 bytes
"""

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from fedgdl.autograd import Tensor, no_grad
from fedgdl.autograd.tensor import Array
from fedgdl.nn.module import Module
from fedgdl.nn.sequential import Sequential

__all__ = ["Summary", "SummaryRow", "summarize"]

Shapes: TypeAlias = tuple[int, ...] | tuple["Shapes", ...]
"""A shape, or for several outputs their shapes, nested as they are."""


@dataclass(frozen=True)
class SummaryRow:
    """One module of a model.

    Attributes:
        path: where it is in the model, as in the names of parameters; empty for the model itself.
        layer: its class.
        output_shape: of its output in its last call, nested where it has several; none if it was not called.
        num_parameters: of its own, without the modules in it; shared ones are counted where they come first.
    """

    path: str
    layer: str
    output_shape: Shapes | None
    num_parameters: int


@dataclass(frozen=True)
class Summary:
    """What a model is made of.

    Attributes:
        rows: the model and all modules in it, in the order of their paths.
        num_parameters: of the whole model.
        parameter_bytes: the memory of the parameters; their gradients take as much again.
        output_bytes: the memory of what the innermost layers returned, all their calls together.
    """

    rows: tuple[SummaryRow, ...]
    num_parameters: int
    parameter_bytes: int
    output_bytes: int

    def __str__(self) -> str:
        """Returns the rows as an aligned table, and the totals."""
        table = [("path", "layer", "output shape", "parameters")]
        table += [(r.path, r.layer, _in_words(r.output_shape), f"{r.num_parameters:,}") for r in self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join([*map(str.ljust, cells[:-1], widths), cells[-1].rjust(widths[-1])]) for cells in table]
        totals = (
            f"{self.num_parameters:,} parameters in {self.parameter_bytes:,} bytes; "
            f"the layers' outputs take {self.output_bytes:,} bytes"
        )
        return "\n".join([*lines, totals])


def summarize(model: Module, inputs: Sequence[Tensor | Array | tuple[int, ...]]) -> Summary:
    """Returns the summary of a model for inputs; see `Module.summary`."""
    trial = copy.deepcopy(model).eval()
    named = list(trial.named_modules())
    own = _own_parameters(trial)
    calls: dict[int, list[Any]] = {id(module): [] for _, module in named}
    for _, module in named:
        vars(module)["forward"] = _recorded(module.forward, calls[id(module)])
    for _, module in named:
        if isinstance(module, Sequential):
            module.fuse = False  # an activation is to be called, to have an output
    with no_grad():
        trial(*(_zeros(trial, given) if isinstance(given, tuple) else given for given in inputs))
    rows = tuple(SummaryRow(path, type(module).__name__, _last(calls[id(module)]), own[path]) for path, module in named)
    innermost = (module for _, module in named if sum(1 for _ in module.modules()) == 1)
    return Summary(
        rows=rows,
        num_parameters=sum(parameter.size for parameter in trial.parameters()),
        parameter_bytes=sum(parameter.data.nbytes for parameter in trial.parameters()),
        output_bytes=sum(_nbytes(output) for module in innermost for output in calls[id(module)]),
    )


def _recorded(forward: Callable[..., Any], outputs: list[Any]) -> Callable[..., Any]:
    """Returns the same function, which notes what it returns."""

    @functools.wraps(forward)
    def record(*inputs: Any, **options: Any) -> Any:  # noqa: ANN401 (those of `forward`)
        output = forward(*inputs, **options)
        outputs.append(output)
        return output

    return record


def _own_parameters(model: Module) -> dict[str, int]:
    """Returns for each module's path how many parameters it has of its own."""
    own = {path: 0 for path, _ in model.named_modules()}
    for name, parameter in model.named_parameters():
        owner = name
        while owner not in own:  # a parameter in a list has a number between itself and its module
            owner = owner.rpartition(".")[0]
        own[owner] += parameter.size
    return own


def _zeros(model: Module, shape: tuple[int, ...]) -> Tensor:
    """Returns zeros of the model's dtype."""
    dtype = next((parameter.dtype for parameter in model.parameters()), np.dtype("float32"))
    return Tensor(np.zeros(shape, dtype))


def _last(outputs: list[Any]) -> Shapes | None:
    return _shapes(outputs[-1]) if outputs else None


def _shapes(output: Any) -> Shapes:  # noqa: ANN401 (whatever a forward returns)
    """Returns an output's shape, or the shapes of several."""
    return (
        tuple(map(_shapes, output)) if isinstance(output, list | tuple) else np.shape(getattr(output, "data", output))
    )


def _nbytes(output: Any) -> int:  # noqa: ANN401 (whatever a forward returns)
    """Returns the memory of an output, or of several together."""
    if isinstance(output, list | tuple):
        return sum(map(_nbytes, output))
    return output.data.nbytes if isinstance(output, Tensor) else 0


def _in_words(shapes: Shapes | None) -> str:
    return "not called" if shapes is None else str(shapes)
