"""Where parameters and their optimiser's state lie, and which of them a step can change in one go.

The parameters of a flattened model lie side by side in one vector and their dense gradients in another,
laid out alike. An optimiser's state is laid out like these, so neighbours that all have a dense gradient
are one run: a step on a whole network is one update of one long array. Tables with sparse gradients,
parameters without a gradient and frozen ones interrupt a run.

In a stack of K clients the vectors are (K, P) and a run is (A, n), A being the leading clients at work.
Clients that took different numbers of steps lie in different runs.

Not here: what is done with a run (`optimizer` and the rules).

Example:
    >>> weight = Parameter(np.zeros((2, 3)))
    >>> weight.backward(1.0)
    >>> [run.data.shape for run in collect_runs(homes_of([weight], fills=()))]
    [(6,)]
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter
from fedgdl.errors import ParameterError

__all__ = ["Home", "Run", "blocks", "collect_runs", "homes_of"]

Array: TypeAlias = npt.NDArray[Any]


class Home:
    """One vector with some of its parameters and their state; or a parameter that lies in no vector.

    Args:
        members: parameters of one model's vector, or a single one that lies in none.
        fills: what each array of the state holds at first.

    Attributes:
        members: as given.
        stacked: whether they are those of K clients at once.
        state: an array for each fill, laid out like the vector. One that is 0 at first takes memory only
            where it was written to.
        steps: (K, number of members) int64, how many steps each client's parameter has taken; K is 1 outside stacks.
    """

    __slots__ = ("_starts", "members", "stacked", "state", "steps")

    def __init__(self, members: list[Parameter], fills: Sequence[float]) -> None:
        first = members[0]
        shape: tuple[int, ...] = (first.size,)
        starts = {first.name: 0}
        if first.gradients is not None:
            shape = first.gradients.shape
            starts = {name: where.start for name, where, _ in first.gradients.layout.slices()}
        self.members = members
        self.stacked = len(shape) == 2
        self.state = tuple(
            np.full(shape, fill, first.dtype) if fill else np.zeros(shape, first.dtype) for fill in fills
        )
        self.steps = np.zeros((math.prod(shape[:-1]), len(members)), np.int64)
        self._starts = [starts[member.name] for member in members]

    def where(self, index: int) -> slice:
        """Returns where a member lies in the vector, or in each client's."""
        shape = self.members[index].shape
        return slice(start := self._starts[index], start + math.prod(shape[1:] if self.stacked else shape))

    def state_of(self, index: int) -> tuple[Array, ...]:
        """Returns views of a member's state, of its shape; in a stack (K, *shape), of all K clients."""
        shape, where = self.members[index].shape, self.where(index)
        if self.stacked:
            shape = (len(self.steps), *shape[1:])
        return tuple(array[..., where].reshape(shape) for array in self.state)


@dataclass(slots=True)
class Run:
    """Neighbours in a vector that one update changes.

    Attributes:
        data: (n,), or (A, n) in a stack, contiguous along n: the values, a view.
        gradient: of the same shape, a view.
        state: arrays of the same shape, views.
        steps: (1, members) or (A, members) int64 view, all equal: how many steps these parameters have taken.
    """

    data: Array
    gradient: Array
    state: tuple[Array, ...]
    steps: npt.NDArray[np.int64]


def homes_of(parameters: Iterable[Parameter], fills: Sequence[float]) -> list[Home]:
    """Returns the vectors that some parameters lie in, in the order in which they are first named."""
    together: dict[object, list[Parameter]] = {}
    for parameter in parameters:
        together.setdefault(parameter if parameter.gradients is None else parameter.gradients, []).append(parameter)
    return [Home(members, fills) for members in together.values()]


def collect_runs(homes: Iterable[Home]) -> list[Run]:
    """Returns the runs of all parameters that have a dense gradient at this moment.

    A gradient that cannot be written to, or is scattered over memory, is replaced by a copy.

    Raises:
        ParameterError: a parameter's data or gradient cannot be used as they are.
    """
    return [run for home in homes for places in _neighbours(home) for run in _runs_of(home, places)]


def blocks(arrays: Sequence[Array], size: int) -> Iterator[tuple[Array, ...]]:
    """Yields arrays of one shape, (n,) or (A, n), in pieces of at most `size` elements."""
    if arrays[0].ndim == 2 and all(array.flags.c_contiguous for array in arrays):
        arrays = [array.reshape(-1) for array in arrays]
    if arrays[0].ndim == 1:
        for start in range(0, arrays[0].size, size):
            yield tuple(array[start : start + size] for array in arrays)
    elif arrays[0].shape[1] > size:
        for rows in zip(*arrays, strict=True):
            yield from blocks(rows, size)
    elif arrays[0].size:
        height = size // arrays[0].shape[1]
        for top in range(0, len(arrays[0]), height):
            yield tuple(array[top : top + height] for array in arrays)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one member with a dense gradient lies.

    Attributes:
        index: of the member in its home.
        where: its place in the vector.
        vector: what its data are a view of: the vector, that of A clients, or the data themselves, flat.
        gradients: the same of its gradient; none where this lies outside the vector of gradients.
    """

    index: int
    where: slice
    vector: Array
    gradients: Array | None


def _place(home: Home, index: int, gradient: Array) -> _Place:
    """Returns where a member lies.

    Raises:
        ParameterError: data or gradient cannot be used as they are.
    """
    parameter, where = home.members[index], home.where(index)
    data = parameter.data
    if gradient.shape != data.shape or gradient.dtype != data.dtype:
        message = f"{parameter} cannot take a step along a gradient of shape {gradient.shape} and {gradient.dtype}"
        raise ParameterError(message)
    if parameter.parameters is None or parameter.gradients is None:
        if not data.flags.c_contiguous:
            message = f"the data of {parameter} must be contiguous in memory; assign a copy"
            raise ParameterError(message)
        return _Place(index, where, data.reshape(-1), None)
    vector = parameter.parameters.vector
    if data is not parameter.parameters[parameter.name] and not _is_view(data, vector, where):
        message = (
            f"the data of {parameter} lie in its model's vector no longer; "
            "write into them (parameter.data[...] = values) instead of replacing them"
        )
        raise ParameterError(message)
    gradients = parameter.gradients.vector
    if home.stacked:
        gradients = gradients[: len(vector)]
    inside = gradient is parameter.gradients.view(parameter.name) or _is_view(gradient, gradients, where)
    return _Place(index, where, vector, gradients if inside else None)


def _is_view(array: Array, vector: Array, where: slice) -> bool:
    """Tells whether an array is the view of a place in a vector, or of that place in each vector of a stack."""
    place = vector[..., where]
    return array.size == 0 == place.size or (
        array.size == place.size
        and array.__array_interface__["data"] == place.__array_interface__["data"]
        and (len(vector) == 1 or vector.ndim == 1 or array.strides[0] == vector.strides[0])
    )


def _neighbours(home: Home) -> Iterator[list[_Place]]:
    """Yields groups of members with dense gradients that lie end to end and have taken the same steps."""
    group: list[_Place] = []
    for index, parameter in enumerate(home.members):
        if not isinstance(parameter.grad, np.ndarray):
            continue
        place = _place(home, index, parameter.grad)
        if group and not _joins(home, group[-1], place):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _joins(home: Home, left: _Place, right: _Place) -> bool:
    """Tells whether one update can change both of two members."""
    return (
        right.index == left.index + 1
        and right.where.start == left.where.stop
        and right.vector.shape == left.vector.shape
        and left.gradients is not None
        and right.gradients is not None
        and (not home.state or np.array_equal(home.steps[:, left.index], home.steps[:, right.index]))
    )


def _runs_of(home: Home, places: list[_Place]) -> Iterator[Run]:
    """Yields neighbours as one run, or as one for each number of steps that clients have taken."""
    first, last = places[0], places[-1]
    where = slice(first.where.start, last.where.stop)
    data = first.vector[..., where]
    gradient = (
        _own_gradient(home.members[first.index], data) if first.gradients is None else first.gradients[..., where]
    )
    state = tuple(array[..., where] for array in home.state)
    members = slice(first.index, last.index + 1)
    if not home.stacked or not home.state:
        yield Run(data, gradient, state, home.steps[: len(data) if home.stacked else 1, members])
        return
    counts = home.steps[: len(data), first.index]
    changes = np.flatnonzero(counts[1:] != counts[:-1]) + 1
    for top, bottom in pairwise([0, *changes.tolist(), len(data)]):
        rows = slice(top, bottom)
        yield Run(data[rows], gradient[rows], tuple(array[rows] for array in state), home.steps[rows, members])


def _own_gradient(parameter: Parameter, data: Array) -> Array:
    """Returns a gradient outside the vector of gradients in the shape of its place in the vector."""
    gradient = np.asarray(parameter.grad)
    if not (gradient.flags.writeable and gradient.flags.c_contiguous):
        parameter.grad = gradient = np.array(gradient, order="C")
    return gradient.reshape(data.shape)
