"""What a recipe wants drawn, as plain values; `experiments.report` draws them.

Not here: matplotlib, colours or files.

Example:
    >>> error = Line("training error", (1, 2, 3), (0.5, 0.2, 0.1))
    >>> Curves("Error by epoch", "epoch", "error", (error,)).lines[0].name
    'training error'
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

__all__ = ["Curves", "Images", "Line", "Mark", "Network", "Picture", "Points", "Text"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: its name, and the two coordinates of its points."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a plot that is pointed out (where to stop training, say)."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over a common axis.

    Attributes:
        title, x_label, y_label: what is written.
        lines: at least one.
        marks: points pointed out.
        is_log: whether the vertical axis is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    is_log: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Small images in a grid: weights or kernels, zero in the middle of the colours when `is_signed`.

    Attributes:
        title: what is written above.
        images: (n, height, width) floats.
        captions: n of them, or none.
        is_signed: whether values below zero have a colour of their own.
    """

    title: str
    images: npt.NDArray[Any]
    captions: Sequence[str] = ()
    is_signed: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Named points of the plane, coloured by a number: words by their polarity, say.

    Attributes:
        title: what is written above.
        points: (n, 2) floats.
        names: n of them.
        values: (n,) floats that choose the colours, zero in the middle; `value_name` says what they are.
    """

    title: str
    points: npt.NDArray[Any]
    names: Sequence[str]
    values: npt.NDArray[Any]
    value_name: str


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network as units and the weights between them.

    Attributes:
        title: what is written above.
        layers: the names of each layer's units, input first.
        weights: between each layer and the next, (in, out) floats.
        values: what each unit holds in a forward pass, a list a layer; empty: not shown.
    """

    title: str
    layers: Sequence[Sequence[str]]
    weights: Sequence[npt.NDArray[Any]]
    values: Sequence[Sequence[float]] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Text that a model wrote, or a summary of one, kept and shown as it is."""

    title: str
    text: str


Picture: TypeAlias = Curves | Images | Points | Network | Text
