"""What optimisers have in common: which parameters a step changes, the state they keep, the learning rate.

A rule is written once, for arrays of any shape (`_change`): it is given whole runs of a model's vector where
gradients are dense, and the rows that were touched where a table's gradient is sparse. Which runs there
are is found at the first step and kept; each step only looks whether every parameter still has the same
arrays.

Not here: the rules (`sgd`, `adam`, `adagrad`, `yogi`), clipping, and schedules of the learning rate.

Example:
    >>> class Descent(Optimizer):
    ...     def _change(self, step, data, gradient, scratch, state):
    ...         data -= self.lr * gradient
    >>> weight = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = Descent([weight], lr=0.5)
    >>> (weight * np.array([2.0, 0.0])).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    array([0., 1.])
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Parameter, SparseGradient
from fedgdl.autograd.tape import next_position
from fedgdl.errors import ConfigError, ParameterError
from fedgdl.optim.checks import distinct_parameters, not_negative, positive
from fedgdl.optim.rows import sum_rows
from fedgdl.optim.runs import Array, Home, blocks, collect_runs, homes_of

__all__ = ["Optimizer"]

_BLOCK: Final = 1 << 16
"""How many elements are changed at a time, so that the temporary stays small. With Adam on 1.66 million float32 that is
as fast as all at once; blocks of 8,192 take a third longer."""

_Part = tuple[Array, Array, Array, tuple[Array, ...]]


class Optimizer:
    """Changes parameters by a rule of their gradients; derive from it and define `_change`.

    Args:
        parameters: what to change; frozen ones stay.
        lr: the learning rate, a positive finite number.
        state: for each array of the state, its name and what it holds at first.

    Attributes:
        parameters: as given, in a list.

    Raises:
        ConfigError: the learning rate is not positive and finite; there are no parameters, one is given twice, or
            something else than a parameter is.
    """

    _in_blocks: ClassVar[bool] = True
    """Whether `_change` is elementwise and wants a scratch array; otherwise it gets whole runs and no scratch."""

    def __init__(self, parameters: Iterable[Parameter], lr: float, state: Mapping[str, float] | None = None) -> None:
        self._owner = type(self).__name__
        self._lr = positive(self._owner, "lr", lr)
        self.parameters = _some_parameters(self._owner, parameters)
        self._fills = dict(state or {})
        self._planned = False
        self._homes: list[Home] = []
        self._homed: list[object] = []
        self._dense: list[tuple[Parameter, Array, Array | None]] = []
        self._tables: list[tuple[Parameter, Array, Home, int]] = []
        self._runs: list[tuple[npt.NDArray[np.int64], list[_Part]]] = []

    @property
    def lr(self) -> float:
        """The learning rate; set it anew between steps. Zero, where a schedule ends, leaves values as they are.

        Raises:
            ConfigError: it is set to a negative, infinite or no number.
        """
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = not_negative(self._owner, "lr", lr)

    def step(self) -> None:
        """Changes each parameter by the rule, and uses its gradient up.

        A parameter without a gradient stays as it is, and so does its state. Afterwards no parameter has a gradient, so
        a loop of `backward` and `step` needs no `zero_grad`. The arrays of dense gradients are worked in: what they
        hold afterwards is of no use. Graphs that read a parameter before it was changed are not run backward any more.

        Raises:
            ParameterError: a gradient does not fit, or a parameter's data were moved out of its model's vector.
        """
        if not self._plan_holds():
            self._make_plan()
        for steps, parts in self._runs:
            count = 0
            if self._fills:
                np.add(steps, 1, steps)
                count = steps.item(0)
            for data, gradient, scratch, state in parts:
                self._change(count, data, gradient, scratch, state)
        for parameter, data, home, index in self._tables:
            self._change_table(parameter, data, home, index)
        position = next_position()
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.step_taken(position)

    def zero_grad(self) -> None:
        """Drops gradients that no step has used, after a batch that failed, say."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Returns copies of all that the next steps depend on beside values and gradients, to resume a run with.

        `"lr"`, a float64 without axes; and of each parameter, under its name in the model (its number in the list if
        names are missing or repeated), `"<name>.steps"`, int64 without axes or (K,), and the rule's arrays, of the
        parameter's shape or (K, *shape).
        """
        state: dict[str, npt.NDArray[Any]] = {"lr": np.array(self._lr)}
        state.update((name, array.copy()) for name, array in self._named_state())
        return state

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Takes over what `state_dict` gave: the next steps have the bits they would have had there.

        Args:
            state: the same names, shapes and dtypes.

        Raises:
            ParameterError: names, shapes or dtypes differ; nothing is changed then.
            ConfigError: the learning rate is negative or not finite.
        """
        places = {"lr": np.array(self._lr), **dict(self._named_state())}
        arrays = {name: np.asarray(array) for name, array in state.items()}
        notes = [f"{name} is missing" for name in places if name not in arrays]
        notes += [f"{name} is not expected" for name in arrays if name not in places]
        notes += [
            f"{name} has shape {arrays[name].shape} of {arrays[name].dtype} instead of {place.shape} of {place.dtype}"
            for name, place in places.items()
            if name in arrays and (arrays[name].shape != place.shape or arrays[name].dtype != place.dtype)
        ]
        if notes:
            message = f"this is no state of this {self._owner}: {'; '.join(notes)}"
            raise ParameterError(message)
        self.lr = arrays["lr"].item()
        for name, place in places.items():
            np.copyto(place, arrays[name])
        self._planned = False  # parameters that took different numbers of steps may lie in one run of the old plan

    def _change(self, step: int, data: Array, gradient: Array, scratch: Array, state: tuple[Array, ...]) -> None:
        """Changes values and state in place by one step.

        Args:
            step: which step of these parameters this is, from 1 on; 0 for rules without state.
            data: the values, of any shape.
            gradient: of the same shape; it may be overwritten.
            scratch: of the same shape and arbitrary content, if the rule works in blocks.
            state: arrays of the same shape, in the order of the state's names.
        """
        raise NotImplementedError

    def _change_table(self, parameter: Parameter, data: Array, home: Home, index: int) -> None:
        """Changes the rows of a table that its sparse gradient touches, and their state."""
        gradient = parameter.grad
        if not isinstance(gradient, SparseGradient):
            return
        state = home.state_of(index)
        steps = home.steps[: len(data) if home.stacked else 1, index]
        steps += 1
        tables = zip(data, *state, strict=False) if home.stacked else [(data, *state)]
        for count, (table, *arrays), (ids, rows) in zip(
            steps.tolist(), tables, sum_rows(gradient, len(data) if home.stacked else None), strict=True
        ):
            self._change_rows(count, table, arrays, ids, rows)

    def _change_rows(
        self, step: int, table: Array, state: list[Array], ids: npt.NDArray[np.int64], rows: Array
    ) -> None:
        """Applies the rule to some rows of one table, each named once."""
        values = table[ids]
        arrays = tuple(array[ids] for array in state)
        scratch = np.empty_like(rows).reshape(-1)
        flat = tuple(array.reshape(-1) for array in arrays)
        self._change(step, values.reshape(-1), rows.reshape(-1), scratch, flat)
        table[ids] = values
        for array, changed in zip(state, arrays, strict=True):
            array[ids] = changed

    def _plan_holds(self) -> bool:
        """Tells whether every parameter has the arrays, or the lack of them, that the plan was made for."""
        for parameter, data, gradient in self._dense:
            if parameter.grad is not gradient or parameter.data is not data:
                return False
        for parameter, data, _, _ in self._tables:
            if parameter.data is not data or type(parameter.grad) is not SparseGradient:
                return False
        return self._planned

    def _make_plan(self) -> None:
        """Finds out what a step changes, as data and gradients are now."""
        self._planned = False
        self._settle()
        runs = collect_runs(self._homes)
        self._runs = [(run.steps, list(self._parts((run.data, run.gradient, *run.state)))) for run in runs]
        self._dense, self._tables = [], []
        for home, index in self._members():
            parameter = home.members[index]
            if isinstance(parameter.grad, SparseGradient):
                self._tables.append((parameter, parameter.data, home, index))
            else:
                self._dense.append((parameter, parameter.data, parameter.grad))
        self._planned = True

    def _parts(self, arrays: tuple[Array, ...]) -> Iterator[_Part]:
        """Yields a run in the pieces that `_change` gets."""
        scratch = np.empty(min(_BLOCK, arrays[0].size) if self._in_blocks else 0, arrays[0].dtype)
        for data, gradient, *state in blocks(arrays, _BLOCK) if self._in_blocks else [arrays]:
            yield data, gradient, scratch[: data.size].reshape(data.shape) if self._in_blocks else scratch, tuple(state)

    def _settle(self) -> None:
        """Gives the state its place beside the parameters; it moves along when their model was flattened meanwhile."""
        homed: list[object] = [parameter.gradients for parameter in self.parameters]
        if self._homes and all(one is other for one, other in zip(homed, self._homed, strict=True)):
            return
        former = {home.members[index]: (home.steps[:, index], home.state_of(index)) for home, index in self._members()}
        self._homes = homes_of(self.parameters, list(self._fills.values()))
        self._homed = homed
        for home, index in self._members() if former else ():
            steps, state = former[home.members[index]]
            np.copyto(home.steps[:, index], steps)
            for place, array in zip(home.state_of(index), state, strict=True):
                np.copyto(place, array)

    def _members(self) -> Iterator[tuple[Home, int]]:
        """Yields each parameter's home and its place among the members there."""
        return ((home, index) for home in self._homes for index in range(len(home.members)))

    def _named_state(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yields each array of the state under its name, as a view."""
        self._settle()
        if not self._fills:
            return
        names = [parameter.name for parameter in self.parameters]
        if "" in names or len(set(names)) < len(names):
            names = [str(number) for number in range(len(names))]
        name_of = dict(zip(self.parameters, names, strict=True))
        for home, index in self._members():
            name, steps = name_of[home.members[index]], home.steps[:, index]
            yield f"{name}.steps", steps if home.stacked else steps.reshape(())
            for key, array in zip(self._fills, home.state_of(index), strict=True):
                yield f"{name}.{key}", array


def _some_parameters(owner: str, parameters: Iterable[Parameter]) -> list[Parameter]:
    """Returns the parameters as a list.

    Raises:
        ConfigError: there are none, one is given twice, or something else than a parameter is.
    """
    checked = distinct_parameters(owner, parameters)
    if not checked:
        message = f"{owner}: there are no parameters to change; was a generator of them used up before?"
        raise ConfigError(message)
    return checked
