"""A tensor that remembers how it was computed, and the run backward through what it remembers.

Each result of an operation holds its place on the tape (a number that only grows), its inputs
and a closure `vjp` (vector-Jacobian product) that hands the gradient on to these inputs.
`backward` collects what can be reached, without recursion, and runs it from the highest place
to the lowest, so that a tensor used several times has every gradient together before it hands
on their sum. What has run is freed.

Rules an operation keeps:
    - `vjp` closes over arrays and input tensors, never over its own result: no reference cycles, so
      a forward pass that is dropped is freed at once.
    - Gradients that are passed on are owned by no one: they are never written to. Only leaves
      (tensors that are not the result of an operation) own the array their gradients add up in.
    - Data of parameters may change only when no graph that read them is left.

Not here: the operations (`operations`), and parameters that live in a model's vector (`parameter`).

Example:
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = (x * x + 2 * x).sum()
    >>> loss.backward()
    >>> x.grad
    array([4., 6., 8.])
"""

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias, Union

import numpy as np
import numpy.typing as npt

from fedgdl.autograd.sparse import SparseGradient, add_rows
from fedgdl.errors import GraphError

__all__ = ["Array", "Operand", "Tensor", "no_grad", "record"]

Array: TypeAlias = npt.NDArray[Any]
Operand: TypeAlias = Union["Tensor", Array, float, np.integer[Any], np.floating[Any]]


class _Mode(threading.local):
    """Whether operations of this thread are recorded."""

    recording = True


_mode: Final = _Mode()
_positions: Final = itertools.count(1)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Operations within this context, in this thread, keep nothing for a run backward; also a decorator."""
    former = _mode.recording
    _mode.recording = False
    try:
        yield
    finally:
        _mode.recording = former


class Tensor:
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

    __slots__ = ("__weakref__", "_inputs", "_pending", "_position", "_vjp", "data", "grad", "requires_grad")

    # NumPy leaves `array + tensor` to the tensor's `__radd__`, instead of adding element by element.
    __array_ufunc__ = None

    def __init__(self, data: npt.ArrayLike, *, requires_grad: bool = False) -> None:
        array = np.asarray(data)
        if array.dtype.char not in "fd":
            message = f"Tensor: data must be float32 or float64, got {array.dtype} of shape {array.shape}"
            raise GraphError(message)
        self.data: Array = array
        self.requires_grad = requires_grad
        self.grad: Array | SparseGradient | None = None
        self._position = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._vjp: Callable[[Array], None] | None = None
        self._pending: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The data's shape."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The data's dtype, float32 or float64."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    def item(self) -> float:
        """Returns the value of a tensor of one element.

        Raises:
            GraphError: it has more elements, or none.
        """
        if self.data.size != 1:
            message = f"item: needs a tensor of one element, got shape {self.data.shape}"
            raise GraphError(message)
        return float(self.data.item())

    def detach(self) -> "Tensor":
        """Returns a tensor of the same data (not copied) that is a constant."""
        return Tensor(self.data)

    def backward(self, gradient: float | Array | None = None) -> None:
        """Brings every leaf that this tensor was computed from its gradient, and frees the graph.

        Args:
            gradient: the gradient of what is minimised by this tensor: a number that stands for each
                element (any scale of a loss), or an array of the data's shape and dtype. Left out, 1;
                only a tensor of one element may leave it out.

        Raises:
            GraphError: the tensor depends on nothing that requires a gradient, its graph was already run
                backward, or the gradient is missing or does not fit.
        """
        if not self.requires_grad:
            message = f"backward: this tensor of shape {self.shape} depends on nothing that requires a gradient"
            raise GraphError(message)
        nodes = self._nodes()
        self.receive(self._seed(gradient))
        try:
            while nodes:
                vjp, pending = nodes.pop()._release()
                if pending is not None:
                    vjp(pending)
        finally:
            for node in nodes:  # none are left, unless a vjp raised
                node._release()

    def receive(self, gradient: Array) -> None:
        """Takes in a gradient of the data's shape and dtype, adding it to what arrived before.

        Called by the `vjp` of operations; the array stays the caller's and is not written to.

        Raises:
            GraphError: shape or dtype differ from the data's, a defect of the operation that calls.
        """
        self._check(gradient)
        if self._vjp is not None:
            self._pending = gradient if self._pending is None else self._pending + gradient
        elif self.grad is None:
            self.grad = np.array(gradient)
        else:
            self.grad += gradient

    def receive_rows(
        self, ids: npt.NDArray[np.int64], rows: Array, repeats: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Takes in a gradient that is zero but for some rows.

        Args:
            ids: (n,) int64 row numbers of the data, 0 to V - 1; they may repeat.
            rows: (n, ...) what is added to the gradient of each of these rows; or (b, ...) with `repeats`.
            repeats: (b,) int64 of sum n: the first `repeats[0]` ids share the first row, and so on.
        """
        dense = np.zeros_like(self.data)
        add_rows(dense, ids, rows, repeats)
        self.receive(dense)

    def _check(self, gradient: Array) -> None:
        if gradient.shape != self.data.shape or gradient.dtype != self.data.dtype:
            message = (
                f"a gradient of shape {gradient.shape} and {gradient.dtype} "
                f"came for data of shape {self.data.shape} and {self.data.dtype}"
            )
            raise GraphError(message)

    def _seed(self, gradient: float | Array | None) -> Array:
        if gradient is None:
            if self.data.size != 1:
                message = f"backward: a tensor of shape {self.shape} needs a gradient; sum it first, or pass 1.0"
                raise GraphError(message)
            gradient = 1.0
        if isinstance(gradient, np.ndarray):
            return gradient
        seed = np.array(float(gradient), self.data.dtype)
        return seed if self.data.ndim == 0 else np.full(self.data.shape, seed)

    def _nodes(self) -> "list[Tensor]":
        """Returns the results of operations this tensor depends on, itself among them, in the tape's order."""
        nodes: list[Tensor] = []
        seen = {self}
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node._vjp is None:
                continue
            if node._vjp is _freed:
                _freed(node.data)
            nodes.append(node)
            for tensor in node._inputs:
                if tensor not in seen:
                    seen.add(tensor)
                    waiting.append(tensor)
        nodes.sort(key=_by_position)
        return nodes

    def _release(self) -> tuple[Callable[[Array], None], Array | None]:
        """Forgets how this result was computed; returns its closure and the gradient that waited for it."""
        vjp, pending = self._vjp or _freed, self._pending
        self._vjp, self._pending, self._inputs = _freed, None, ()
        return vjp, pending

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
        return operations.add(self, other)

    def __radd__(self, other: Operand) -> "Tensor":
        """Returns other + self, broadcast."""
        return operations.add(other, self)

    def __sub__(self, other: Operand) -> "Tensor":
        """Returns self - other, broadcast."""
        return operations.sub(self, other)

    def __rsub__(self, other: Operand) -> "Tensor":
        """Returns other - self, broadcast."""
        return operations.sub(other, self)

    def __mul__(self, other: Operand) -> "Tensor":
        """Returns the elementwise product, broadcast."""
        return operations.mul(self, other)

    def __rmul__(self, other: Operand) -> "Tensor":
        """Returns the elementwise product, broadcast."""
        return operations.mul(other, self)

    def __neg__(self) -> "Tensor":
        """Returns -self."""
        return operations.neg(self)

    def __matmul__(self, other: "Tensor | Array") -> "Tensor":
        """Returns the matrix product over the last two axes."""
        return operations.matmul(self, other)

    def __rmatmul__(self, other: Array) -> "Tensor":
        """Returns the matrix product over the last two axes."""
        return operations.matmul(other, self)

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Tensor":
        """Returns the sum over an axis, some axes, or all elements."""
        return operations.sum(self, axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> "Tensor":
        """Returns the mean over an axis, some axes, or all elements."""
        return operations.mean(self, axis, keepdims=keepdims)

    def reshape(self, *shape: int) -> "Tensor":
        """Returns the same elements in another shape; one side may be -1."""
        return operations.reshape(self, shape)

    def sigmoid(self) -> "Tensor":
        """Returns 1 / (1 + exp(-self)), elementwise."""
        return operations.sigmoid(self)


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
    if _mode.recording:
        for tensor in inputs:
            if tensor.requires_grad:
                result.requires_grad = True
                result._position = next(_positions)
                result._inputs = inputs
                result._vjp = vjp
                return result
    result.requires_grad = False
    result._position = 0
    result._inputs = ()
    result._vjp = None
    return result


def _freed(_: Array) -> NoReturn:
    """Stands where a result's closure was, once it has run."""
    message = (
        "backward: a part of this graph was already run backward and freed; "
        "add up the losses and run backward once, or compute it again"
    )
    raise GraphError(message)


def _by_position(tensor: Tensor) -> int:
    return tensor._position


# The operators need the operations, and these need Tensor: whichever module is asked for first, both are whole here.
from fedgdl.autograd import operations  # noqa: E402
