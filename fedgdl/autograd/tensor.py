"""Tensors: arrays that remember how they were computed, and what they offer in formulas.

Not here: what the operations do (`arithmetic`, `reduction`, `shape` and their like), the run
backward (`tape`), and parameters that live in a model's vector (`parameter`).

Example:
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x + 2 * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([4., 6., 8.])
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from types import EllipsisType
from typing import Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from fedgdl import autograd  # still on its way in; complete by the time a method is called
from fedgdl.autograd.tape import Array, Node, mode, next_position
from fedgdl.errors import GraphError

__all__ = ["Array", "Index", "Operand", "Tensor", "record"]

Operand: TypeAlias = Union["Tensor", Array, float, np.integer[Any], np.floating[Any]]
_Part: TypeAlias = (
    int
    | slice
    | EllipsisType
    | npt.NDArray[np.integer[Any]]
    | npt.NDArray[np.bool_]
    | Sequence[int]
    | Sequence[bool]
    | None
)
Index: TypeAlias = _Part | tuple[_Part, ...]
"""What may stand in brackets after a tensor: what NumPy takes after an array."""


class Tensor(Node):
    """An array of floats, and how it was computed.

    Args:
        data: float32 or float64 array to adopt without copying, or (nested) numbers with a point.
        requires_grad: whether `backward` is to bring this tensor a gradient.

    Attributes:
        data: the array.
        requires_grad: whether a gradient is wanted; true for results that depend on such a tensor.
        grad: for leaves, the sum of the gradients that arrived, of the data's shape and dtype (for tables
            among a model's parameters possibly a `SparseGradient`); none when nothing arrived. Set it to
            none to start again. Results of operations keep no gradient.

    Raises:
        GraphError: the data are not float32 or float64.
    """

    __slots__ = ()

    # NumPy leaves `array + tensor` to the tensor's `__radd__`, instead of adding element by element.
    __array_ufunc__ = None

    def item(self) -> float:
        """Returns the value of a tensor of one element.

        Raises:
            GraphError: it has more elements, or none.
        """
        if self.data.size != 1:
            message = f"item: needs a tensor of one element, got shape {self.data.shape}"
            raise GraphError(message)
        return float(self.data.item())

    def __float__(self) -> float:
        """Returns the value of a tensor of one element, as `item` does."""
        return self.item()

    def __bool__(self) -> bool:
        """Returns whether the one element is not zero; a tensor of several has no truth, and raises GraphError."""
        return bool(self.item())

    def __format__(self, form: str) -> str:
        """Formats the value of a tensor of one element as a number: `f"{loss:.3f}"`."""
        return format(self.item(), form) if form else str(self)

    def detach(self) -> "Tensor":
        """Returns a tensor of the same data (not copied) that is a constant."""
        return Tensor(self.data)

    def __repr__(self) -> str:
        """Returns the values as NumPy prints them, and whether a gradient is wanted."""
        values = np.array2string(self.data, separator=", ", prefix="Tensor(")
        return f"Tensor({values}, {self.dtype}{', requires_grad=True' if self.requires_grad else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles a leaf as its data alone.

        Raises:
            GraphError: this is the result of an operation; its graph cannot be copied.
        """
        if self._vjp is not None:
            message = (
                f"a result of shape {self.shape} cannot be copied with its graph; copy its `data` or `detach()` it"
            )
            raise GraphError(message)
        return functools.partial(type(self), requires_grad=self.requires_grad), (self.data,)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:  # noqa: FBT001 (NumPy's protocol)
        """Returns the data to NumPy.

        Raises:
            GraphError: the tensor requires a gradient, which NumPy would lose silently.
        """
        if self.requires_grad:
            message = f"NumPy was given a tensor of shape {self.shape} that requires a gradient; pass its `data`"
            raise GraphError(message)
        return np.array(self.data, dtype=dtype, copy=copy)

    def __add__(self, other: Operand) -> "Tensor":
        """Returns self + other, broadcast."""
        return autograd.add(self, other)

    def __radd__(self, other: Operand) -> "Tensor":
        """Returns other + self, broadcast."""
        return autograd.add(other, self)

    def __sub__(self, other: Operand) -> "Tensor":
        """Returns self - other, broadcast."""
        return autograd.sub(self, other)

    def __rsub__(self, other: Operand) -> "Tensor":
        """Returns other - self, broadcast."""
        return autograd.sub(other, self)

    def __mul__(self, other: Operand) -> "Tensor":
        """Returns the elementwise product, broadcast."""
        return autograd.mul(self, other)

    def __rmul__(self, other: Operand) -> "Tensor":
        """Returns the elementwise product, broadcast."""
        return autograd.mul(other, self)

    def __truediv__(self, other: Operand) -> "Tensor":
        """Returns the elementwise quotient, broadcast."""
        return autograd.div(self, other)

    def __rtruediv__(self, other: Operand) -> "Tensor":
        """Returns the elementwise quotient, broadcast."""
        return autograd.div(other, self)

    def __pow__(self, exponent: Operand) -> "Tensor":
        """Returns self to the power of a number, or of an exponent for each element."""
        return autograd.pow(self, exponent)

    def __rpow__(self, base: Operand) -> "Tensor":
        """Returns a base above 0 to the power of each element."""
        return autograd.pow(base, self)

    def __neg__(self) -> "Tensor":
        """Returns -self."""
        return autograd.neg(self)

    def __matmul__(self, other: "Tensor | Array") -> "Tensor":
        """Returns the matrix product over the last two axes."""
        return autograd.matmul(self, other)

    def __rmatmul__(self, other: Array) -> "Tensor":
        """Returns the matrix product over the last two axes."""
        return autograd.matmul(other, self)

    def __getitem__(self, index: "Index") -> "Tensor":
        """Returns a part, by any index that NumPy takes."""
        return autograd.getitem(self, index)

    def __iter__(self) -> "Iterator[Tensor]":
        """Yields the parts along the first axis."""
        if not self.data.ndim:
            message = "a tensor without axes has no parts to go through"
            raise GraphError(message)
        return (autograd.getitem(self, index) for index in range(len(self.data)))

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Tensor":
        """Returns the sum over an axis, some axes, or all elements."""
        return autograd.sum(self, axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Tensor":
        """Returns the mean over an axis, some axes, or all elements."""
        return autograd.mean(self, axis, keepdims=keepdims)

    def max(self, axis: int | None = None, *, keepdims: bool = False) -> "Tensor":
        """Returns the largest along an axis, or of all elements."""
        return autograd.max(self, axis, keepdims=keepdims)

    def exp(self) -> "Tensor":
        """Returns e to the power of self, elementwise."""
        return autograd.exp(self)

    def log(self) -> "Tensor":
        """Returns the natural logarithm, elementwise."""
        return autograd.log(self)

    def relu(self) -> "Tensor":
        """Returns the larger of 0 and self, elementwise."""
        return autograd.relu(self)

    def tanh(self) -> "Tensor":
        """Returns the hyperbolic tangent, elementwise."""
        return autograd.tanh(self)

    def sigmoid(self) -> "Tensor":
        """Returns 1 / (1 + exp(-self)), elementwise."""
        return autograd.sigmoid(self)

    def softmax(self, axis: int = -1) -> "Tensor":
        """Returns exp(self) divided by its sum along an axis."""
        return autograd.softmax(self, axis)

    def log_softmax(self, axis: int = -1) -> "Tensor":
        """Returns the logarithm of the softmax along an axis."""
        return autograd.log_softmax(self, axis)

    def reshape(self, *shape: int | tuple[int, ...]) -> "Tensor":
        """Returns the same elements in another shape, given as numbers or as a tuple; one side may be -1."""
        return autograd.reshape(self, _listed(shape))

    def transpose(self, *axes: int | tuple[int, ...]) -> "Tensor":
        """Returns the axes in the order given as numbers or as a tuple, or reversed."""
        return autograd.transpose(self, _listed(axes) if axes else None)

    def swapaxes(self, axis: int, other: int) -> "Tensor":
        """Returns two axes in each other's place."""
        return autograd.swapaxes(self, axis, other)

    @property
    def T(self) -> "Tensor":  # noqa: N802 (its name in NumPy and PyTorch)
        """The transposed matrix.

        Raises:
            GraphError: this is no matrix; in a stack of matrices, say which axes with `swapaxes`.
        """
        if self.data.ndim != 2:
            message = f"T: needs a tensor of two axes, got shape {self.data.shape}; use swapaxes or transpose"
            raise GraphError(message)
        return autograd.transpose(self)


def record(data: Array, inputs: tuple[Tensor, ...], vjp: Callable[[Array], None]) -> Tensor:
    """Returns the result of an operation, on the tape where a run backward could need it.

    Args:
        data: the result's array; NumPy's scalars become arrays without axes.
        inputs: the tensors the result depends on.
        vjp: takes the gradient by the result and calls `receive` or `receive_rows` of the inputs that
            require a gradient.
    """
    result = Tensor.__new__(Tensor)  # without __init__: an operation's result needs no checks
    result.data = data if type(data) is np.ndarray else np.asarray(data)
    result.grad = result._pending = None
    if mode.recording:
        for tensor in inputs:
            if tensor.requires_grad:
                result.requires_grad = True
                result._position = next_position()
                result._inputs = inputs
                result._vjp = vjp
                return result
    result.requires_grad = False
    result._position = 0
    result._inputs = ()
    result._vjp = None
    return result


def _listed(numbers: tuple[int | tuple[int, ...], ...]) -> tuple[int, ...]:
    """Returns the numbers of a shape or an order, whether they came one by one or as one tuple."""
    if len(numbers) == 1 and isinstance(numbers[0], tuple):
        return numbers[0]
    return numbers  # type: ignore[return-value] # tuples among them are refused by NumPy
