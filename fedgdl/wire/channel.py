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
            ChannelClosed: the other end is gone.
            WireError: the frame is longer than allowed; the channel is closed by that.
        """
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
        """Closes this end; the other end then gets `ChannelClosed`."""
        self.connection.close()


class MemoryChannel:
    """A channel within this process; `receive` on an empty one raises instead of waiting for ever."""

    def __init__(self, inbox: deque[bytes], outbox: deque[bytes]) -> None:
        self._inbox = inbox
        self._outbox = outbox

    @classmethod
    def pair(cls) -> tuple["MemoryChannel", "MemoryChannel"]:
        """Returns the two ends of a new channel."""
        one: deque[bytes] = deque()
        other: deque[bytes] = deque()
        return cls(one, other), cls(other, one)

    @property
    def has_frame(self) -> bool:
        """Whether a frame waits to be received."""
        return bool(self._inbox)

    def send(self, frame: bytes) -> None:
        """Puts one frame into the other end's inbox."""
        self._outbox.append(bytes(frame))

    def receive(self) -> bytes:
        """Returns the oldest frame of the inbox.

        Raises:
            ChannelClosed: there is none, and nobody else could put one there.
        """
        if not self._inbox:
            message = "no frame is waiting"
            raise ChannelClosed(message)
        return self._inbox.popleft()
