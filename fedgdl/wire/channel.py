"""The seam where the world begins: a channel carries frames, and knows nothing of what they mean.

`PipeChannel` is the real one, over a connection of `multiprocessing`; `MemoryChannel` is its
fake for tests and for the inline engine. Both move bytes only: nothing is ever unpickled.

Example:
    >>> here, there = MemoryChannel.pair()
    >>> here.send(b"hello")
    >>> there.receive()
    b'hello'
"""

from collections import deque
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Protocol

from fedgdl.errors import WireError

__all__ = ["Channel", "ChannelClosed", "MemoryChannel", "PipeChannel"]


class ChannelClosed(WireError):
    """The other end is gone, maybe in the middle of a frame."""


class Channel(Protocol):
    """Carries whole frames, in order."""

    def send(self, frame: bytes) -> None:
        """Sends one frame.

        Raises:
            ChannelClosed: the other end is gone.
        """
        ...

    def receive(self) -> bytes:
        """Returns the next frame, waiting for it.

        Raises:
            ChannelClosed: the other end is gone, maybe in the middle of a frame; or the frame is longer than
                allowed, after which no other can be received.
        """
        ...

    def close(self) -> None:
        """Closes this end; the other end gets `ChannelClosed` once it has received what was sent before."""
        ...


class PipeChannel:
    """A channel over one end of a duplex pipe.

    Args:
        connection: the end; the channel becomes its owner.
        max_bytes: a longer frame is refused before it is read.
    """

    def __init__(self, connection: "Connection[bytes, bytes]", max_bytes: int) -> None:
        self.connection = connection
        self._max_bytes = max_bytes

    def send(self, frame: bytes) -> None:
        """Sends one frame; waits while the pipe is full."""
        try:
            self.connection.send_bytes(frame)
        except OSError as error:
            message = f"the other end of the pipe is gone: {error}"
            raise ChannelClosed(message) from error

    def receive(self) -> bytes:
        """Returns the next frame, waiting for it."""
        try:
            return self.connection.recv_bytes(self._max_bytes)
        except EOFError as error:
            message = "the other end of the pipe is gone"
            raise ChannelClosed(message) from error
        except OSError as error:
            message = f"the pipe broke, or a frame of more than {self._max_bytes:,} bytes came: {error}"
            raise ChannelClosed(message) from error

    def close(self) -> None:
        """Closes this end; the other end gets `ChannelClosed` once it has received what was sent before."""
        self.connection.close()


@dataclass(slots=True)
class _Line:
    """The frames on their way in one direction, and whether an end of it is closed."""

    frames: deque[bytes] = field(default_factory=deque)
    is_closed: bool = False


class MemoryChannel:
    """A channel within this process; `receive` on an empty one raises instead of waiting for ever.

    Args:
        inbox: what the other end sends.
        outbox: what this end sends.
        max_bytes: a longer frame is refused; none: there is no limit.
    """

    def __init__(self, inbox: _Line, outbox: _Line, max_bytes: int | None = None) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._max_bytes = max_bytes
        self._is_readable = True

    @classmethod
    def pair(cls, max_bytes: int | None = None) -> tuple["MemoryChannel", "MemoryChannel"]:
        """Returns the two ends of a new channel."""
        one, other = _Line(), _Line()
        return cls(one, other, max_bytes), cls(other, one, max_bytes)

    @property
    def has_frame(self) -> bool:
        """Whether a frame waits to be received."""
        return self._is_readable and bool(self._inbox.frames)

    def send(self, frame: bytes) -> None:
        """Puts one frame into the other end's inbox."""
        if self._outbox.is_closed:
            message = "the other end of the channel is gone"
            raise ChannelClosed(message)
        self._outbox.frames.append(bytes(frame))

    def receive(self) -> bytes:
        """Returns the oldest frame of the inbox.

        Raises:
            ChannelClosed: there is none, and nobody else could put one there; or it is longer than allowed.
        """
        if not self.has_frame:
            message = "the other end of the channel is gone" if self._inbox.is_closed else "no frame is waiting"
            raise ChannelClosed(message)
        frame = self._inbox.frames.popleft()
        if self._max_bytes is not None and len(frame) > self._max_bytes:
            self._is_readable = False
            message = f"a frame of more than {self._max_bytes:,} bytes came"
            raise ChannelClosed(message)
        return frame

    def close(self) -> None:
        """Closes this end; the other end gets `ChannelClosed` once it has received what was sent before."""
        self._is_readable = False
        self._inbox.is_closed = self._outbox.is_closed = True
