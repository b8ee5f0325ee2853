"""A model's parameters as one contiguous vector with named, zero-copy views.

Sending, averaging, clipping, masking and saving work on the vector; layers work on the
views. Both are the same memory, so nothing is ever flattened or scattered back. A
`Layout` (names, shapes and dtype, in order) says what the vector's elements mean; its hash is
compared wherever a vector arrives from elsewhere.

Not here: gradients (`fedgdl.nn` keeps them beside the tensors), and shared memory
(`fedgdl.runtime.shared_parameters`).

Example:
    >>> parameters = Parameters(Layout.of({"bias": (2,), "weight": (2, 3)}, "float32"))
    >>> parameters["weight"][1, 2] = 5
    >>> parameters.vector
    array([0., 0., 0., 0., 0., 0., 0., 5.], dtype=float32)
"""

import hashlib
import json
import math
import operator
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from fedgdl.errors import ParameterError

__all__ = ["DType", "FloatArray", "Layout", "Parameters", "load_parameters", "save_parameters"]

DType: TypeAlias = Literal["float32", "float64"]
FloatArray: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]

_DTYPES: Final[tuple[str, ...]] = get_args(DType)
_LAYOUT_KEY: Final = "fedgdl.layout"


@dataclass(frozen=True)
class Layout:
    """What the elements of a parameter vector mean.

    Attributes:
        entries: (name, shape) of each parameter, in the order of the vector.
        dtype: the vector's element type, `"float32"` or `"float64"`.
    """

    entries: tuple[tuple[str, tuple[int, ...]], ...]
    dtype: DType

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]], dtype: DType = "float32") -> "Layout":
        """Returns the layout of named shapes, in the mapping's order.

        Raises:
            ParameterError: a name is empty, a side is no whole number from 0 on, or the dtype is neither of the two.
        """
        if dtype not in _DTYPES:
            message = f"parameters are float32 or float64, not {dtype!r}"
            raise ParameterError(message)
        return cls(tuple((name, _checked_shape(name, shape)) for name, shape in shapes.items()), dtype)

    @cached_property
    def size(self) -> int:
        """The number of elements of the vector."""
        return sum(math.prod(shape) for _, shape in self.entries)

    @property
    def nbytes(self) -> int:
        """The vector's size in bytes."""
        return self.size * np.dtype(self.dtype).itemsize

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, shapes and dtype, as 64 hexadecimal digits.

        Two layouts have the same digest exactly when they are equal.
        """
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def slices(self) -> Iterator[tuple[str, slice, tuple[int, ...]]]:
        """Yields (name, where it lies in the vector, shape) for each parameter."""
        start = 0
        for name, shape in self.entries:
            stop = start + math.prod(shape)
            yield name, slice(start, stop), shape
            start = stop

    def to_json(self) -> str:
        """Returns the layout as canonical JSON (no spaces, ASCII, fixed order)."""
        entries = [[name, list(shape)] for name, shape in self.entries]
        return json.dumps({"dtype": self.dtype, "entries": entries}, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Returns the layout that `to_json` wrote.

        Raises:
            ParameterError: the text is not such a layout.
        """
        try:
            layout = msgspec.json.decode(text, type=_LayoutDocument)
        except (msgspec.MsgspecError, RecursionError) as error:
            message = f"not a parameter layout: {text[:80]!r}"
            raise ParameterError(message) from error
        shapes = dict(layout.entries)
        if len(shapes) != len(layout.entries):
            message = f"a parameter layout names a parameter twice: {text[:80]!r}"
            raise ParameterError(message)
        return cls.of(shapes, layout.dtype)

    def difference(self, other: "Layout") -> str:
        """Returns in words how another layout differs from this one; empty when they are equal."""
        mine, theirs = dict(self.entries), dict(other.entries)
        notes = [f"{name} is missing" for name in mine if name not in theirs]
        notes += [f"{name} is not expected" for name in theirs if name not in mine]
        notes += [
            f"{name} has shape {theirs[name]} instead of {mine[name]}"
            for name in mine
            if name in theirs and mine[name] != theirs[name]
        ]
        if self.dtype != other.dtype:
            notes.append(f"dtype is {other.dtype} instead of {self.dtype}")
        if not notes and self != other:
            notes.append("the order of the parameters differs")
        return "; ".join(notes)


def _checked_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    try:
        sides = tuple(operator.index(side) for side in shape)
    except TypeError:
        sides = (-1,)
    if not name or name == "__metadata__" or any(side < 0 for side in sides):  # the name safetensors keeps for itself
        message = f"parameter {name!r} has the impossible shape {shape}"
        raise ParameterError(message)
    return sides


class _LayoutDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A layout as JSON."""

    dtype: DType
    entries: tuple[tuple[str, tuple[int, ...]], ...]


class Parameters:
    """One vector of a model's parameters and its named views.

    Those of K clients at once are a stack: a vector for each, one below the other, in one array.

    Args:
        layout: what the elements mean.
        vector: (layout.size,) array of the layout's dtype to adopt without copying, or a stack of them,
            (K, layout.size); zeros (layout.size,) when left out.

    Attributes:
        layout: as given.
        vector: as given. The view of a parameter in a stack has shape (K, *shape), contiguous for each client.

    Raises:
        ParameterError: the vector's shape, dtype or memory order does not fit the layout.
    """

    __slots__ = ("_views", "layout", "vector")

    def __init__(self, layout: Layout, vector: FloatArray | None = None) -> None:
        self.layout = layout
        self.vector: npt.NDArray[Any] = np.zeros(layout.size, layout.dtype) if vector is None else vector
        stacked = self.vector.shape[:-1]
        if self.vector.shape[-1:] != (layout.size,) or len(stacked) > 1 or self.vector.dtype != layout.dtype:
            message = (
                f"the layout needs a vector of {layout.size} {layout.dtype} elements, "
                f"got shape {self.vector.shape} of {self.vector.dtype}"
            )
            raise ParameterError(message)
        if not self.vector.flags.c_contiguous:
            message = "the parameter vector must be contiguous in memory; pass a copy"
            raise ParameterError(message)
        self._views = {name: self.vector[..., where].reshape(stacked + shape) for name, where, shape in layout.slices()}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Returns the view of one parameter, of its shape or, in a stack, (K, *shape); writing to it writes on."""
        try:
            return self._views[name]
        except KeyError:
            message = f"there is no parameter {name!r}; there are {', '.join(self._views) or 'none'}"
            raise ParameterError(message) from None

    def __iter__(self) -> Iterator[str]:
        """Yields the parameters' names in the order of the vector."""
        return iter(self._views)

    def __len__(self) -> int:
        """Returns the number of named parameters."""
        return len(self._views)

    def __repr__(self) -> str:
        """Returns the names, the number of elements and the dtype, never the values."""
        stacked = "".join(f"{num_clients} x " for num_clients in self.vector.shape[:-1])
        return f"Parameters({', '.join(self._views)}: {stacked}{self.layout.size} x {self.layout.dtype})"

    def __reduce__(self) -> tuple[type["Parameters"], tuple[Layout, FloatArray]]:
        """Pickles and deep-copies layout and vector; the views are made anew, in the copy's own vector."""
        return Parameters, (self.layout, self.vector)

    def load(self, vector: FloatArray) -> None:
        """Copies a vector into this one: one copy, and every view sees it.

        Args:
            vector: (size,) array of the layout's dtype, in a stack for every client; or a whole stack.

        Raises:
            ParameterError: its shape or dtype differs.
        """
        fits = vector.shape in {self.vector.shape, self.vector.shape[-1:]}
        if not fits or vector.dtype != self.vector.dtype:
            message = (
                f"expected {self.layout.size} {self.vector.dtype} elements, got shape {vector.shape} of {vector.dtype}"
            )
            raise ParameterError(message)
        np.copyto(self.vector, vector)

    def leading(self, num_clients: int) -> "Parameters":
        """Returns the first clients of a stack: views of this one's memory.

        Raises:
            ParameterError: this is no stack, or one of fewer clients.
        """
        if self.vector.ndim != 2 or not 0 < num_clients <= len(self.vector):
            message = f"a vector of shape {self.vector.shape} has no {num_clients} leading clients"
            raise ParameterError(message)
        return Parameters(self.layout, self.vector[:num_clients])

    def copy(self) -> "Parameters":
        """Returns parameters of the same layout with a vector of their own."""
        return Parameters(self.layout, self.vector.copy())

    def sha256(self) -> str:
        """Returns SHA-256 of the layout's digest and the little-endian vector: equal exactly for equal bits."""
        digest = hashlib.sha256(bytes.fromhex(self.layout.digest))
        digest.update(self.vector.astype(self.vector.dtype.newbyteorder("<"), copy=False).tobytes())
        return digest.hexdigest()


def save_parameters(parameters: Parameters, path: Path) -> None:
    """Writes one model's parameters to a safetensors file, whole or not at all.

    The file holds each parameter under its name and the layout in its metadata. It appears under
    its final name only when it is complete: a process killed on the way leaves the former file.

    Raises:
        ParameterError: they are a stack, of many clients' models, or the folder does not exist.
    """
    if parameters.vector.ndim != 1:
        message = f"{parameters!r} is a stack: save one client's model, Parameters(layout, stack.vector[client])"
        raise ParameterError(message)
    from safetensors.numpy import save  # 60 ms to import, needed once a run

    if not path.parent.is_dir():
        message = f"{path} cannot be written: there is no folder {path.parent}"
        raise ParameterError(message)
    tensors = {name: parameters[name] for name in parameters}
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        scratch.write_bytes(save(tensors, metadata={_LAYOUT_KEY: parameters.layout.to_json()}))
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def load_parameters(path: Path, expected: Layout | None = None) -> Parameters:
    """Reads parameters that `save_parameters` wrote.

    Args:
        path: the safetensors file.
        expected: the layout the caller's model has; left out, any layout is taken.

    Raises:
        ParameterError: the file is missing, damaged, or of another layout; the message names the
            differing parameters and shapes.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: an element type that NumPy does not have
        message = f"{path} cannot be read as a model file: {error}"
        raise ParameterError(message) from error
    if _LAYOUT_KEY not in metadata:
        message = f"{path} holds no fedgdl layout; it was written by another program"
        raise ParameterError(message)
    layout = Layout.from_json(metadata[_LAYOUT_KEY])
    if expected is not None and layout != expected:
        message = f"{path} does not fit the model: {expected.difference(layout)}"
        raise ParameterError(message)
    found = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in tensors.items()}
    if found != {name: (shape, layout.dtype) for name, shape in layout.entries}:
        message = f"{path} contradicts its own layout; it is damaged"
        raise ParameterError(message)
    parameters = Parameters(layout)
    for name in parameters:
        parameters[name][...] = tensors[name]
    return parameters
