"""A model's parameter: a named leaf whose data and gradient lie in vectors shared by the whole model.

The data are a view into `fedgdl.parameters.Parameters`, so an optimiser's step changes the
vector that is sent and averaged, without a copy. The first gradient of a step overwrites the
former one and later gradients add to it: gradients are never zeroed. A table of which a
batch touches few rows gets a `SparseGradient` instead.

Not here: who owns the vectors (`fedgdl.nn.Module.flatten`).

Example:
    >>> weight = Parameter(np.zeros((4, 1), dtype="float32"))
    >>> weight.receive_rows(np.array([3]), np.ones((1, 1), dtype="float32"))
    >>> weight.grad
    SparseGradient(1 rows of a (4, 1) table, float32)
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.autograd.blas import multiply_into
from fedgdl.autograd.scatter import add_rows
from fedgdl.autograd.sparse import SparseGradient
from fedgdl.autograd.tensor import Array, Tensor
from fedgdl.parameters import Layout, Parameters

__all__ = ["GradientVector", "Parameter"]


class GradientVector:
    """One vector for the dense gradients of a model, laid out as its parameters are.

    Allocated when the first dense gradient arrives: a model of sparse tables alone never has one. The
    parts of sparse tables are never written, so they take address space but no memory.

    Args:
        layout: the layout of the model's parameters.
        num_clients: K, for a stack of K such vectors.
    """

    __slots__ = ("_stacked", "_views", "layout")

    def __init__(self, layout: Layout, num_clients: int | None = None) -> None:
        self.layout = layout
        self._stacked = () if num_clients is None else (num_clients,)
        self._views: Parameters | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The vector's shape, (P,) or (K, P)."""
        return (*self._stacked, self.layout.size)

    @property
    def vector(self) -> Array:
        """The vector, (P,) or (K, P); it holds anything where no gradient was put yet."""
        return self._whole().vector

    def view(self, name: str, num_clients: int | None = None) -> Array:
        """Returns the place of one parameter's gradient; it holds anything until the first gradient is copied in.

        Args:
            name: of the parameter.
            num_clients: in a stack, of how many leading clients; all when left out.
        """
        view = self._whole()[name]
        return view if num_clients is None else view[:num_clients]

    def _whole(self) -> Parameters:
        if self._views is None:
            self._views = Parameters(self.layout, np.empty(self.shape, self.layout.dtype))
        return self._views


class Parameter(Tensor):
    """A tensor that an optimiser changes.

    Args:
        data: float32 or float64 array, adopted without copying where it is contiguous, aligned and can be written to.
        requires_grad: false for a frozen parameter, which stays in the vector but gets no gradient.

    Attributes:
        name: its path in the model, e.g. `"words.weight"`; empty until the model is flattened.
        parameters: the vector of which `data` is a view; none until the model is flattened.
        gradients: the vector its dense gradient lies in; none until the model is flattened.

    Raises:
        GraphError: the data are not float32 or float64.
    """

    __slots__ = ("_buffer", "gradients", "name", "parameters")

    def __init__(self, data: npt.ArrayLike, *, requires_grad: bool = True) -> None:
        array = np.asarray(data, order="C")
        super().__init__(array if array.flags.behaved else array.copy(), requires_grad=requires_grad)
        self.name = ""
        self.parameters: Parameters | None = None
        self.gradients: GradientVector | None = None
        self._buffer: Array | None = None

    def bind(self, name: str, parameters: Parameters, gradients: GradientVector) -> None:
        """Moves the data into a model's vector; a gradient that arrived before is dropped.

        Args:
            name: one of the vector's names, of this parameter's shape.
            parameters: the model's vector; its view takes over this parameter's values.
            gradients: where a dense gradient is to be put.
        """
        np.copyto(parameters[name], self.data)
        self.name = name
        self.gradients = gradients
        self.look_into(parameters)

    def look_into(self, parameters: Parameters) -> None:
        """Makes another vector's values this parameter's: those of the leading clients of its stack, say.

        The gradient is dropped, and no value is copied.

        Args:
            parameters: a vector with a view of this parameter's name.
        """
        self.data = parameters[self.name]
        self.parameters = parameters
        self._buffer = None
        self.grad = None

    def step_taken(self, position: int) -> None:
        """Notes that an optimiser has used the gradient up and changed the data.

        Args:
            position: the step's place on the tape; graphs recorded before it are not run backward any more.
        """
        self.grad = None
        self._position = position

    def receive(self, gradient: Array) -> None:
        """Takes in a dense gradient of the data's shape and dtype, copying or adding it in place.

        Raises:
            GraphError: shape or dtype differ from the data's.
        """
        self._check(gradient)
        if self.grad is None and self._buffer is not None:  # as in every step but the first
            np.copyto(self._buffer, gradient)
            self.grad = self._buffer
        elif isinstance(self.grad, np.ndarray):
            self.grad += gradient
        else:
            place = self._place()
            np.copyto(place, gradient)
            self._arrived(place)

    def receive_product(self, a: Array, b: Array) -> None:
        """Takes in the gradient a @ b, multiplied straight into its place where it is the first to arrive.

        Args:
            a: (..., n, k) of the data's dtype.
            b: (..., k, m) of the data's dtype; (..., n, m) is the data's shape.
        """
        if self.grad is None and self._buffer is not None:  # as in every step but the first
            multiply_into(a, b, self._buffer)
            self.grad = self._buffer
        elif isinstance(self.grad, np.ndarray):
            self.grad += a @ b
        else:
            place = self._place()
            multiply_into(a, b, place)
            self._arrived(place)

    def _place(self) -> Array:
        """Returns where a dense gradient belongs."""
        if self._buffer is None:
            if self.gradients is None:
                self._buffer = np.empty_like(self.data)
            else:
                stacked = self.parameters is not None and self.parameters.vector.ndim == 2
                self._buffer = self.gradients.view(self.name, len(self.data) if stacked else None)
        return self._buffer

    def _arrived(self, place: Array) -> None:
        """Makes what was put into its place the gradient."""
        if isinstance(self.grad, SparseGradient):  # rows came first: from here on the gradient is dense
            self.grad.add_to(place)
        self.grad = place

    def receive_rows(
        self, ids: npt.NDArray[np.int64], rows: Array, repeats: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Takes in a gradient that is zero but for some rows, keeping it sparse where it is.

        The three arrays are not to be written to before the step.

        Args:
            ids: (n,) int64 row numbers, 0 to V - 1; they may repeat.
            rows: (n, ...) of the data's row shape and dtype; or (b, ...) with `repeats`.
            repeats: (b,) int64 of sum n: the first `repeats[0]` ids share the first row, and so on.

        Raises:
            GraphError: the rows do not fit.
        """
        if isinstance(self.grad, np.ndarray):
            add_rows(self.grad, ids, rows, repeats)
            return
        if self.grad is None:
            self.grad = SparseGradient(self.data.shape, self.data.dtype)
        self.grad.append(ids, rows, repeats)

    def __repr__(self) -> str:
        """Returns name, shape and dtype, never the values."""
        return f"Parameter({self.name or 'unnamed'}: {self.shape} {self.dtype})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles the values alone; the copy belongs to no vector until its model is flattened."""
        return functools.partial(type(self), requires_grad=self.requires_grad), (np.array(self.data),)
