"""What layers, losses and models have in common: parameters found by name, and one vector for all of them.

A module is a class with a `forward`. Parameters and modules that it keeps as attributes, also in
lists, tuples and dictionaries, are found by themselves, in the order in which they were assigned, under
their path: `self.words = EmbeddingBag(...)` has the parameter `words.weight`.

`stack(K)` gives the same model for K clients at once: each parameter has a leading axis of K, inputs and
outputs too, and each client gets the bits that it would get alone, in a flattened model of its own.

Not here: initial values (`init`), and randomness (layers draw what they need from the stream that `train` hands over).

Example:
    >>> class Scale(Module):
    ...     def __init__(self) -> None:
    ...         self.factor = Parameter([2.0])
    ...     def forward(self, x: Tensor) -> Tensor:
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(Tensor([1.0, 3.0]))
    Tensor([2., 6.], float64, requires_grad=True)
    >>> scale.flatten()
    Parameters(factor: 1 x float64)
    >>> scale.stack(3).flatten()
    Parameters(factor: 3 x 1 x float64)
"""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, Protocol, Self, TypeAlias, TypeVar, cast

import numpy as np

from fedgdl.autograd import GradientVector, Parameter, Tensor
from fedgdl.autograd.tensor import Array
from fedgdl.errors import GraphError, ParameterError
from fedgdl.parameters import DType, Layout, Parameters, load_parameters, save_parameters

if TYPE_CHECKING:
    from fedgdl.nn.summaries import Summary

__all__ = ["Module", "Streams"]

Streams: TypeAlias = np.random.Generator | Sequence[np.random.Generator]
"""A stream to draw from, or one for each client of a stack."""

_NOT_COPIED: Final = frozenset({"_flat", "_active", "_all_clients", "rng"})
"""The attributes that copies of a module are made without."""

_Inputs = ParamSpec("_Inputs")
_Output_co = TypeVar("_Output_co", covariant=True)


class _HasForward(Protocol[_Inputs, _Output_co]):
    """Tells type checkers that a call takes and returns what the module's own `forward` does."""

    def forward(self, *inputs: _Inputs.args, **options: _Inputs.kwargs) -> _Output_co: ...


class Module:
    """A function of tensors with parameters; derive from it and define `forward`.

    Attributes:
        training: whether layers that differ between the two (dropout, say) are to train or to evaluate.
        num_clients: in a stack the number of clients that it computes, K or fewer; else none.
        draws: whether this kind of layer draws from `rng` in training.
        rng: what a layer that draws was handed by `train`; none until then, and in copies.
    """

    training: bool = True
    num_clients: int | None = None
    draws: ClassVar[bool] = False
    rng: Streams | None = None
    _flat: Parameters | None = None
    _active: Parameters | None = None  # what the parameters look into: `_flat`, or its leading clients
    _all_clients: Parameters | None = None  # once narrowed, on every module inside: the outermost one's `_flat`

    def forward(self, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401 (each module declares its own)
        """Returns the module's output or outputs; each module defines it, with arguments of its own."""
        message = f"{type(self).__name__} defines no forward"
        raise NotImplementedError(message)

    def __call__(
        self: _HasForward[_Inputs, _Output_co], *inputs: _Inputs.args, **options: _Inputs.kwargs
    ) -> _Output_co:
        """Returns `forward` of the same arguments."""
        return self.forward(*inputs, **options)

    def contents(self) -> Iterator[tuple[str, object]]:
        """Yields (name, value) of all that this module keeps, its parameters and modules among it.

        A module that is to have other paths than its attributes' names defines its own.
        """
        yield from vars(self).items()

    def modules(self) -> Iterator["Module"]:
        """Yields this module and all modules in it, each once."""
        return (module for _, module in self.named_modules())

    def named_modules(self) -> Iterator[tuple[str, "Module"]]:
        """Yields (path, module) of this module, whose path is empty, and of all modules in it, each once."""
        return ((path, member) for path, member in _members(self, "", set()) if isinstance(member, Module))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yields (path, parameter) in the order of assignment; a shared one once, under its first path."""
        return ((path, member) for path, member in _members(self, "", set()) if isinstance(member, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Yields the parameters in the order of `named_parameters`."""
        return (parameter for _, parameter in self.named_parameters())

    def train(self, rng: Streams | None = None) -> Self:
        """Sets this module and all modules in it to training; returns itself.

        Args:
            rng: what layers that draw (dropout, say) are to draw from until `train` is called again; in a stack a
                generator for each of its K clients. Left out, such a layer refuses to train.

        Raises:
            GraphError: a stack got something else than K generators, or another module than one generator.
        """
        streams = self._checked_streams(rng)
        for module in self.modules():
            module.training = True
            if module.draws:
                module.rng = streams
        return self

    def eval(self) -> Self:
        """Sets this module and all modules in it to evaluation; returns itself."""
        for module in self.modules():
            module.training = False
        return self

    def zero_grad(self) -> None:
        """Drops the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def flatten(self) -> Parameters:
        """Packs all parameters into one vector and returns it; called again, returns the same one.

        From then on each parameter's data are a view of the vector: `flatten().load(vector)` sets
        the model with one copy, and an optimiser's step is at once in `flatten().vector`, (P,) or, in a
        stack, (K, P). Call it on the outermost module, once that is complete.

        Raises:
            ParameterError: there are no parameters, their dtypes differ, or one of them already lies
                in the vector of another module or of an earlier state of this one.
        """
        named = dict(self.named_parameters())
        flat = self._flat
        if flat is not None and list(flat) == list(named) and all(p.parameters is self._active for p in named.values()):
            return flat
        elsewhere = [name for name, parameter in named.items() if parameter.parameters is not None]
        if elsewhere:
            message = (
                f"{', '.join(elsewhere)} of {type(self).__name__} already lie in another vector; "
                "flatten the outermost module alone, once it is complete"
            )
            raise ParameterError(message)
        layout = self._layout(named)
        stacked = () if self.num_clients is None else (self.num_clients,)
        self._flat = self._active = Parameters(layout, np.empty((*stacked, layout.size), layout.dtype))
        gradients = GradientVector(layout, self.num_clients)
        for name, parameter in named.items():
            parameter.bind(name, self._flat, gradients)
        return self._flat

    def stack(self, num_clients: int) -> Self:
        """Returns a copy for K clients at once, each of which has this model's values.

        Parameters have shape (K, *shape); so have inputs and outputs, (K, n, ...), and a loss gives (K,). Each client
        gets the bits that a model of its own gets if that is flattened. (A model that is not takes its steps
        parameter by parameter instead of all at once, and may round differently.)
        The copy has no gradients and no streams. It is flattened at once, to a vector (K, P), by which optimisers
        and clipping know a stack: flatten copies of a stack, too, before they are trained.

        Args:
            num_clients: K, at least 1.

        Raises:
            ParameterError: K is less than 1, or this is a stack already.
        """
        if self.num_clients is not None:
            message = f"{type(self).__name__} is a stack of {self.num_clients} clients already; stack the single model"
            raise ParameterError(message)
        if num_clients < 1:
            message = f"a stack has at least one client, not {num_clients}"
            raise ParameterError(message)
        stacked = copy.deepcopy(self)
        for module in stacked.modules():
            module.num_clients = num_clients
        parameters = list(stacked.parameters())
        for parameter in parameters:
            parameter.data = np.repeat(parameter.data[np.newaxis], num_clients, axis=0)
        if parameters:
            stacked.flatten()  # a parameter in a vector (K, P) is known by it as one of K clients
        return stacked

    def activate(self, num_clients: int) -> Self:
        """Restricts a flattened stack to its leading clients, drops all gradients, and returns itself.

        The other clients keep their values; `activate(K)` widens again. Nothing is copied: when some clients have
        fewer steps than others, order them by falling step count and narrow the stack as they finish.

        Args:
            num_clients: how many of the K, at least 1.

        Raises:
            ParameterError: this is no flattened stack, or has fewer clients.
        """
        if self._flat is None or self.num_clients is None:
            message = f"{type(self).__name__} cannot be narrowed: only a model after stack(K) and flatten() can"
            raise ParameterError(message)
        active = self._flat if num_clients == len(self._flat.vector) else self._flat.leading(num_clients)
        for parameter in self.parameters():
            parameter.look_into(active)
        for module in self.modules():
            module.num_clients = num_clients
            module._all_clients = self._flat  # noqa: SLF001 (another of this class)
        self._active = active
        return self

    def save(self, path: Path | str) -> None:
        """Writes the parameters to a safetensors file, whole or not at all.

        Args:
            path: the file; a former one is replaced.

        Raises:
            ParameterError: this is a stack, there are no parameters, or their dtypes differ.
        """
        if self.num_clients is not None:
            message = (
                f"a stack of {self.num_clients} clients is not saved; load one client's row of `flatten().vector` "
                "into the single model and save that"
            )
            raise ParameterError(message)
        named = dict(self.named_parameters())
        parameters = Parameters(self._layout(named))
        for name, parameter in named.items():
            np.copyto(parameters[name], parameter.data)
        save_parameters(parameters, Path(path))

    def load(self, path: Path | str) -> None:
        """Sets the parameters to those of a file that `save` wrote; in a stack, those of each of its K clients.

        Clients that `activate` has left out get them, too.

        Args:
            path: the safetensors file.

        Raises:
            ParameterError: the file is missing, damaged, or of another model; the message names the differing
                parameters and shapes, and no parameter has changed.
        """
        named = dict(self.named_parameters())
        loaded = load_parameters(Path(path), self._layout(named))
        for name, parameter in named.items():
            whole = None if parameter.parameters is None else self._all_clients
            np.copyto(parameter.data if whole is None else whole[parameter.name], loaded[name])

    def summary(self, *inputs: Tensor | Array | tuple[int, ...]) -> "Summary":
        """Returns a table of the layers: output shapes, numbers of parameters and memory; print it, or read its rows.

        A copy of the model runs forward once, in evaluation and unrecorded: nothing of this one changes.

        Args:
            inputs: what `forward` takes, by position; a tuple of sides stands for zeros of this shape.
        """
        from fedgdl.nn.summaries import summarize  # it needs modules itself

        return summarize(self, inputs)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles the module without its vector and streams; a copy makes or gets its own."""
        return {name: value for name, value in vars(self).items() if name not in _NOT_COPIED}

    def __repr__(self) -> str:
        """Returns the class and its parameters' names and shapes."""
        inside = ", ".join(f"{name} {parameter.shape}" for name, parameter in self.named_parameters())
        return f"{type(self).__name__}({inside})"

    def _checked_streams(self, rng: Streams | None) -> Streams | None:
        """Returns the streams, once there are as many as there are clients."""
        if rng is None:
            return None
        if self.num_clients is None:
            if not isinstance(rng, np.random.Generator):
                kind = type(rng).__name__
                hint = "; to evaluate, call eval()" if kind == "bool" else ""
                message = f"train: a model of one client draws from one numpy.random.Generator, got {kind}{hint}"
                raise GraphError(message)
            return rng
        num_clients = self.num_clients if self._flat is None else len(self._flat.vector)
        if isinstance(rng, np.random.Generator) or len(rng) != num_clients:
            given = "one for all" if isinstance(rng, np.random.Generator) else len(rng)
            message = f"train: a stack of {num_clients} clients draws from {num_clients} generators, got {given}"
            raise GraphError(message)
        return tuple(rng)

    def _layout(self, named: dict[str, Parameter]) -> Layout:
        """Returns the layout of this module's parameters for one client, in their order."""
        dtypes = {str(parameter.dtype) for parameter in named.values()}
        if len(dtypes) != 1:
            dtype_of = ", ".join(f"{name} {parameter.dtype}" for name, parameter in named.items())
            owner = type(self).__name__
            message = f"{owner} needs parameters of one dtype to be one vector, it has {dtype_of or 'no parameters'}"
            raise ParameterError(message)
        first = 0 if self.num_clients is None else 1
        shapes = {name: parameter.shape[first:] for name, parameter in named.items()}
        return Layout.of(shapes, cast("DType", dtypes.pop()))


def _members(value: object, path: str, seen: set[int]) -> Iterator[tuple[str, "Parameter | Module"]]:
    """Yields the parameters and modules at and under a value, each once, with their paths."""
    items: Iterator[tuple[object, object]]
    if isinstance(value, Parameter | Module):
        if id(value) in seen:
            return
        seen.add(id(value))
        yield path, value
        if isinstance(value, Parameter):
            return
        items = value.contents()
    elif isinstance(value, list | tuple):
        items = iter(enumerate(value))
    elif isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, set | frozenset) and any(isinstance(member, Parameter | Module) for member in value):
        message = f"{path} is a set, and the order of its modules changes from run to run: keep them in a list"
        raise ParameterError(message)
    else:
        return
    for key, member in items:
        yield from _members(member, f"{path}.{key}" if path else str(key), seen)
