r"""Messages to bytes and back: a checked frame around MessagePack.

Any byte string decodes to a valid message within the bounds of its schema, or ends in `WireError`;
nothing else can happen. The checksum catches accidental damage; it is no protection from a forger.

A frame is

    offset  bytes  what
    0       2      the letters FG
    2       1      protocol version, 1
    3       1      reserved, 0
    4       4      CRC-32 of the body, little-endian
    8       ...    the body: one MessagePack map

Example:
    >>> from fedgdl.wire.messages import Shutdown, ToWorker
    >>> codec = Codec(ToWorker, max_bytes=1_000)
    >>> codec.decode(encode(Shutdown()))
    Shutdown()
    >>> codec.decode(b"nonsense")
    Traceback (most recent call last):
        ...
    fedgdl.errors.WireError: not a frame: it begins with b'nons', expected b'FG\x01\x00'
"""

import struct
import zlib
from typing import Any, Final, Generic, TypeVar

import msgspec

from fedgdl.errors import WireError

__all__ = ["FRAME_OVERHEAD_BYTES", "Codec", "decode_struct", "encode", "encode_struct"]

_MARK: Final = b"FG\x01\x00"
_HEADER: Final = struct.Struct("<4sI")
FRAME_OVERHEAD_BYTES: Final = _HEADER.size

T = TypeVar("T")
StructT = TypeVar("StructT", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    """Returns the frame of a message."""
    body = msgspec.msgpack.encode(message)
    return _HEADER.pack(_MARK, zlib.crc32(body)) + body


class Codec(Generic[T]):
    """Decodes the frames of one direction.

    Args:
        union: the messages that may come, as a union of structs.
        max_bytes: a longer frame is refused unread.
    """

    def __init__(self, union: Any, max_bytes: int) -> None:  # noqa: ANN401 (a union is no type[T])
        self.max_bytes = max_bytes
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(union)

    def decode(self, frame: bytes) -> T:
        """Returns the message of a frame.

        Raises:
            WireError: the frame is too long, too short, damaged, of another version, or no valid message.
        """
        if len(frame) > self.max_bytes:
            message = f"a frame of {len(frame):,} bytes came, at most {self.max_bytes:,} are allowed"
            raise WireError(message)
        if len(frame) < _HEADER.size:
            message = f"a frame has at least {_HEADER.size} bytes, {len(frame)} came"
            raise WireError(message)
        mark, checksum = _HEADER.unpack_from(frame)
        if mark != _MARK:
            message = f"not a frame: it begins with {mark!r}, expected {_MARK!r}"
            raise WireError(message)
        body = memoryview(frame)[_HEADER.size :]
        if zlib.crc32(body) != checksum:
            message = "the frame's checksum does not match its body"
            raise WireError(message)
        return _decode(self._decoder, body)


def encode_struct(value: msgspec.Struct) -> bytes:
    """Returns a struct as bare MessagePack, for the inside of a payload."""
    return msgspec.msgpack.encode(value)


def decode_struct(data: bytes, kind: type[StructT]) -> StructT:
    """Returns the struct that `encode_struct` wrote.

    Raises:
        WireError: the bytes are no valid struct of that kind.
    """
    return _decode(msgspec.msgpack.Decoder(kind), data)


def _decode(decoder: msgspec.msgpack.Decoder[T], body: bytes | memoryview) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        message = f"not a valid message: {error}"
        raise WireError(message) from error
