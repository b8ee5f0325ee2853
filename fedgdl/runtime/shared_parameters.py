"""The current parameter vector where every worker can read it: two slots in one block of memory.

The coordinator publishes a vector into one slot while workers may still read the other. A message
names slot, version and SHA-256 of the vector; a reader copies the slot and checks all three, so
it trains on exactly the published bits or not at all. The block is shared memory for worker processes,
or plain memory for workers in this process.

Below about 1 MB this is no faster than sending the vector by pipe; it keeps memory and messages
small when models grow.

Example:
    >>> import numpy as np
    >>> from fedgdl.parameters import Layout
    >>> layout = Layout.of({"w": (3,)}, "float64")
    >>> slots = ParameterSlots(bytearray(ParameterSlots.nbytes(layout)), layout)
    >>> where = slots.publish(np.array([1.0, 2.0, 3.0]))
    >>> slots.read(where.slot, where.version, where.sha256)
    array([1., 2., 3.])
"""

import contextlib
import hashlib
import os
import secrets
import struct
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from fedgdl.errors import EngineError, ParameterError
from fedgdl.parameters import Layout
from fedgdl.runtime.signals import hangups_deferred

__all__ = ["ParameterSlots", "Publication", "SharedParameters"]

_HEADER: Final = struct.Struct("<8sQQ")
_MARK: Final = b"fedgdl\x00\x01"
_ALIGNMENT: Final = 64
"""Bytes of a cache line on current x86 and most ARM processors; slots start on one."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a published vector lies (slot 0 or 1), under what number, and its SHA-256 (64 hex digits)."""

    slot: int
    version: int
    sha256: str


class ParameterSlots:
    """Two slots for parameter vectors in a block of memory that somebody else owns.

    Args:
        buffer: writable memory of at least `nbytes(layout)` bytes; read-only memory will do for a reader.
        layout: the vectors' layout.

    Raises:
        ParameterError: the block is too small.
    """

    def __init__(self, buffer: bytearray | memoryview, layout: Layout) -> None:
        if len(buffer) < self.nbytes(layout):
            message = f"a block of {len(buffer):,} bytes cannot hold two vectors of {layout.nbytes:,} bytes"
            raise ParameterError(message)
        self._layout = layout
        self._header = memoryview(buffer)[: _HEADER.size]
        starts = (_ALIGNMENT, _ALIGNMENT + _round_up(layout.nbytes))
        self._slots = [np.frombuffer(buffer, layout.dtype, layout.size, start) for start in starts]
        self._version = 0

    @staticmethod
    def nbytes(layout: Layout) -> int:
        """Returns how many bytes a block for this layout needs."""
        return _ALIGNMENT + 2 * _round_up(layout.nbytes)

    def publish(self, vector: npt.NDArray[Any]) -> Publication:
        """Copies a vector into the slot that is not the current one; returns where it is.

        Args:
            vector: (layout.size,) array of the layout's dtype.

        Raises:
            ParameterError: its shape or dtype differs.
        """
        if vector.shape != (self._layout.size,) or vector.dtype != self._layout.dtype:
            message = (
                f"the slots hold {self._layout.size} {self._layout.dtype} elements, "
                f"got shape {vector.shape} of {vector.dtype}"
            )
            raise ParameterError(message)
        self._version += 1
        slot = self._version % 2
        np.copyto(self._slots[slot], vector)
        versions = [self._version, self._version]
        versions[1 - slot] -= 1
        _HEADER.pack_into(self._header, 0, _MARK, *versions)
        return Publication(slot, self._version, _sha256(vector))

    def read(self, slot: int, version: int, sha256: str) -> npt.NDArray[Any]:
        """Returns a copy of a published vector.

        Raises:
            EngineError: the slot holds another version by now, or other bits than were published.
        """
        vector = self._slots[slot].copy()
        mark, *versions = _HEADER.unpack_from(self._header)
        if mark != _MARK:
            message = "the block of memory holds no parameters: nothing was published yet, or it is not ours"
            raise EngineError(message)
        if versions[slot] != version:
            message = f"slot {slot} holds version {versions[slot]} of the parameters, version {version} was announced"
            raise EngineError(message)
        if _sha256(vector) != sha256:
            message = f"the parameters in slot {slot} are not the ones that were announced: their SHA-256 differs"
            raise EngineError(message)
        return vector

    def release(self) -> None:
        """Drops every view of the block, so that its owner can close it."""
        self._slots = []
        self._header.release()


class SharedParameters:
    """A block of shared memory with two parameter slots.

    The coordinator creates and, alone, removes it; a worker attaches by name. If the coordinator is
    killed, the resource tracker of `multiprocessing` removes the block.

    Args:
        layout: the vectors' layout.
        name: the block to attach to; left out, a new block is created.

    Raises:
        EngineError: there is no memory for it, or no block of that name and size.
    """

    def __init__(self, layout: Layout, name: str | None = None) -> None:
        self._is_owner = name is None
        own_name = f"fedgdl_{os.getpid()}_{secrets.token_hex(4)}"  # whose block it is shows in its name
        try:
            with hangups_deferred():
                self._memory = SharedMemory(name or own_name, self._is_owner, ParameterSlots.nbytes(layout))
        except OSError as error:
            what = "created" if self._is_owner else f"opened under the name {name}"
            message = f"no shared memory of {ParameterSlots.nbytes(layout):,} bytes could be {what}: {error}"
            raise EngineError(message) from error
        block = memoryview(self._memory.buf or b"")
        if len(block) < ParameterSlots.nbytes(layout):
            block.release()
            self._memory.close()
            message = (
                f"the shared memory {name} has {self._memory.size:,} bytes, "
                f"expected {ParameterSlots.nbytes(layout):,}: it was made for another model"
            )
            raise EngineError(message)
        self.slots = ParameterSlots(block if self._is_owner else block.toreadonly(), layout)

    @property
    def name(self) -> str:
        """The block's name, for workers."""
        return self._memory.name

    def close(self) -> None:
        """Lets the block go; its owner also removes it. Harmless when called again."""
        self.slots.release()
        self._memory.close()
        if self._is_owner:
            self._is_owner = False
            with contextlib.suppress(FileNotFoundError):  # somebody cleaned up behind our back
                self._memory.unlink()

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the block."""
        self.close()


def _round_up(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


def _sha256(vector: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(vector).data).hexdigest()
