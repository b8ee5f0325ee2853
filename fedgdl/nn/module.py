"""What layers, losses and models have in common: parameters found by name, and one vector for all of them.

A module is a class with a `forward`. Parameters and modules that it keeps as attributes, also in
lists and tuples, are found by themselves, in the order in which they were assigned, under
their path: `self.words = EmbeddingBag(...)` has the parameter `words.weight`.

Not here: random initial values (each layer draws its own from the `rng` it is given).

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
"""

from collections.abc import Iterator
from typing import Any, Self, cast

from fedgdl.autograd import GradientVector, Parameter, Tensor
from fedgdl.errors import ParameterError
from fedgdl.parameters import DType, Layout, Parameters

__all__ = ["Module"]


class Module:
    """A function of tensors with parameters; derive from it and define `forward`.

    Attributes:
        training: whether layers that differ between the two (dropout, say) are to train or to evaluate.
    """

    training = True
    _flat: Parameters | None = None

    def forward(self, *inputs: Any, **options: Any) -> Tensor:  # noqa: ANN401 (each module declares its own)
        """Returns the module's output; each module defines it, with arguments of its own."""
        message = f"{type(self).__name__} defines no forward"
        raise NotImplementedError(message)

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:  # noqa: ANN401 (those of `forward`)
        """Returns `forward` of the same arguments."""
        return self.forward(*inputs, **options)

    def modules(self) -> Iterator["Module"]:
        """Yields this module and all modules in it, each once."""
        return (member for _, member in _members(self, "", set()) if isinstance(member, Module))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yields (path, parameter) in the order of assignment; a shared one once, under its first path."""
        return ((path, member) for path, member in _members(self, "", set()) if isinstance(member, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Yields the parameters in the order of `named_parameters`."""
        return (parameter for _, parameter in self.named_parameters())

    def train(self) -> Self:
        """Sets this module and all modules in it to training; returns itself."""
        for module in self.modules():
            module.training = True
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
        the model with one copy, and an optimiser's step is at once in `flatten().vector`. Call it on
        the outermost module, once that is complete.

        Raises:
            ParameterError: there are no parameters, their dtypes differ, or one of them already lies
                in the vector of another module or of an earlier state of this one.
        """
        named = dict(self.named_parameters())
        flat = self._flat
        if flat is not None and list(flat) == list(named) and all(p.parameters is flat for p in named.values()):
            return flat
        elsewhere = [name for name, parameter in named.items() if parameter.parameters is not None]
        if elsewhere:
            message = (
                f"{', '.join(elsewhere)} of {type(self).__name__} already lie in another vector; "
                "flatten the outermost module alone, once it is complete"
            )
            raise ParameterError(message)
        self._flat = Parameters(_layout(type(self).__name__, named))
        gradients = GradientVector(self._flat.layout)
        for name, parameter in named.items():
            parameter.bind(name, self._flat, gradients)
        return self._flat

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles the module without its vector; a copy makes its own when it is flattened."""
        return {name: value for name, value in vars(self).items() if name != "_flat"}

    def __repr__(self) -> str:
        """Returns the class and its parameters' names and shapes."""
        inside = ", ".join(f"{name} {parameter.shape}" for name, parameter in self.named_parameters())
        return f"{type(self).__name__}({inside})"


def _layout(owner: str, named: dict[str, Parameter]) -> Layout:
    """Returns the layout of some parameters in their order."""
    dtypes = {str(parameter.dtype) for parameter in named.values()}
    if len(dtypes) != 1:
        dtype_of = ", ".join(f"{name} {parameter.dtype}" for name, parameter in named.items())
        message = f"{owner} needs parameters of one dtype to be one vector, it has {dtype_of or 'no parameters'}"
        raise ParameterError(message)
    shapes = {name: parameter.shape for name, parameter in named.items()}
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
        items = iter(vars(value).items())
    elif isinstance(value, list | tuple):
        items = iter(enumerate(value))
    else:
        return
    for key, member in items:
        yield from _members(member, f"{path}.{key}" if path else str(key), seen)
