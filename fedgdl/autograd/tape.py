"""The tape: what a result remembers of its computation, and the run backward through it.

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
    - Data of parameters may change only when no graph that read them is left. An optimiser's step gives
      each parameter a place on the tape, so that a graph that was recorded before it is refused.

Not here: the operations, and what a tensor offers in formulas (`tensor`).

Example:
    >>> x = Node(np.array([1.0, 2.0]), requires_grad=True)
    >>> x.receive(np.array([1.0, 0.0]))
    >>> x.receive(np.array([0.5, 0.5]))
    >>> x.grad
    array([1.5, 0.5])
"""

import contextlib
import itertools
import operator
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import workspace
from fedgdl.autograd.blas import multiply_into
from fedgdl.autograd.scatter import add_rows
from fedgdl.autograd.sparse import SparseGradient
from fedgdl.errors import GraphError

__all__ = ["UNIT", "Array", "Node", "mode", "next_position", "no_grad"]

Array: TypeAlias = npt.NDArray[Any]


class _Mode(threading.local):
    """Whether operations of this thread are recorded."""

    recording = True


mode: Final = _Mode()
UNIT: Final = {char: np.broadcast_to(np.ones((), char), ()) for char in "fd"}  # read-only
"""For float32 and float64, the gradient of a loss by itself."""
_position: Final = operator.attrgetter("_position")
next_position: Final = itertools.count(1).__next__


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Operations within this context, in this thread, keep nothing for a run backward; also a decorator."""
    former = mode.recording
    mode.recording = False
    try:
        yield
    finally:
        mode.recording = former


class Node:
    """An array of floats with its place on the tape; `Tensor` is the one kind there is, and describes both.

    Args:
        data: float32 or float64 array to adopt without copying, or (nested) numbers with a point.
        requires_grad: whether `backward` is to bring this node a gradient.

    Raises:
        GraphError: the data are not float32 or float64.
    """

    __slots__ = ("__weakref__", "_inputs", "_pending", "_position", "_vjp", "data", "grad", "requires_grad")

    def __init__(self, data: npt.ArrayLike, *, requires_grad: bool = False) -> None:
        array = np.asarray(data)
        if array.dtype.char not in "fd" or not array.dtype.isnative:
            message = f"Tensor: data must be float32 or float64, got {array.dtype} of shape {array.shape}"
            raise GraphError(message)
        self.data: Array = array
        self.requires_grad = requires_grad
        self.grad: Array | SparseGradient | None = None
        self._position = 0
        self._inputs: tuple[Node, ...] = ()
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
                node = nodes.pop()
                vjp, pending = node._vjp, node._pending
                node._vjp, node._pending, node._inputs = _freed, None, ()
                if pending is not None and vjp is not None:
                    vjp(pending)
        finally:
            for node in nodes:  # none are left, unless a vjp raised
                node._vjp, node._pending, node._inputs = _freed, None, ()

    def receive(self, gradient: Array) -> None:
        """Takes in a gradient of the data's shape and dtype, adding it to what arrived before.

        Called by the `vjp` of operations; the array stays the caller's and is not written to.

        Raises:
            GraphError: shape or dtype differ from the data's, a defect of the operation that calls.
        """
        if gradient.shape != self.data.shape or gradient.dtype is not self.data.dtype:
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

    def receive_product(self, a: Array, b: Array) -> None:
        """Takes in the gradient a @ b: what a matrix product brings its operands.

        Args:
            a: (..., n, k) of the data's dtype.
            b: (..., k, m) of the data's dtype; (..., n, m) is the data's shape.
        """
        if a.ndim > 3:
            self.receive(a @ b)
            return
        product = workspace.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
        multiply_into(a, b, product)
        self.receive(product)

    def _check(self, gradient: Array) -> None:
        if gradient.shape != self.data.shape or gradient.dtype != self.data.dtype:
            message = (
                f"a gradient of shape {gradient.shape} and {gradient.dtype} "
                f"came for data of shape {self.data.shape} and {self.data.dtype}"
            )
            raise GraphError(message)

    def _seed(self, gradient: float | Array | None) -> Array:
        if gradient is None:
            if self.data.ndim == 0:
                return UNIT[self.data.dtype.char]
            if self.data.size != 1:
                message = f"backward: a tensor of shape {self.shape} needs a gradient; sum it first, or pass 1.0"
                raise GraphError(message)
            gradient = 1.0
        if isinstance(gradient, np.ndarray):
            if gradient.shape != self.data.shape or gradient.dtype != self.data.dtype:
                message = (
                    f"backward: the gradient has shape {gradient.shape} and {gradient.dtype}, "
                    f"but the tensor {self.shape} and {self.dtype}"
                )
                raise GraphError(message)
            return gradient
        if not isinstance(cast("object", gradient), int | float | np.integer | np.floating):
            message = f"backward: a gradient is a number or an array, got {type(gradient).__name__}"
            raise GraphError(message)
        seed = np.array(float(gradient), self.data.dtype)
        return seed if self.data.ndim == 0 else np.full(self.data.shape, seed)

    def _nodes(self) -> "list[Node]":
        """Returns the results of operations this tensor depends on, itself among them, in the tape's order."""
        nodes = [] if self._vjp is None else [self]
        seen = {self}
        for node in nodes:  # which grows as it is walked
            if node._vjp is _freed:
                _freed(node.data)
            for tensor in node._inputs:
                if tensor._vjp is None:
                    if tensor._position > node._position:
                        _refuse_stale(tensor)
                elif tensor not in seen:
                    seen.add(tensor)
                    nodes.append(tensor)
        nodes.sort(key=_position)
        return nodes


def _refuse_stale(leaf: Node) -> NoReturn:
    """Raises GraphError about a leaf that was changed after the graph had read it."""
    name = getattr(leaf, "name", "") or "a parameter"
    message = (
        f"backward: {name} of shape {leaf.shape} was changed by a step after this graph had read it; "
        "compute the loss again, or run backward before the step"
    )
    raise GraphError(message)


def _freed(_: Array) -> NoReturn:
    """Stands where a result's closure was, once it has run."""
    message = (
        "backward: a part of this graph was already run backward and freed; "
        "add up the losses and run backward once, or compute it again"
    )
    raise GraphError(message)
