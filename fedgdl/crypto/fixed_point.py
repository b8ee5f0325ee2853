"""Real numbers as whole ones: the encoding that exact, masked and encrypted sums share.

A value x in [-clip, clip] becomes the code round(x / step) + offset, a whole number from 0 to 2 * offset ("offset
binary"), where offset = 2**(bits - 1) - 1 and step = clip / offset. Codes are added modulo 2**ring_bits; as long as
the true sum is below that (`require_room`), it is exact, in any order, and `decode_sum` gives it back.
On the wire a sum needs only as many bytes a slot as its largest value has (`wire_bytes`): 256**n divides
2**ring_bits, so the low bytes of a sum are the sum of the low bytes (`pack`, `unpack`).

Not here: what the codes mean (`fedgdl.federated.encoding`), and secrecy: an encoding hides nothing.

Example:
    >>> import numpy as np
    >>> encoding = FixedPoint(clip=1.0, bits=3, rounding="nearest", ring_bits=32)
    >>> encoding.encode(np.array([-7.0, -1.0, 0.0, 0.3, 1.0]))
    array([0, 0, 3, 4, 6], dtype=uint32)
    >>> total = encoding.encode(np.array([0.3])) + encoding.encode(np.array([-1.0]))
    >>> encoding.decode_sum(total, num_addends=2) * 3  # in steps of a third: 1 - 3
    array([-2.])

Error, for the mean of K decoded values that lay within [-clip, clip]:
    nearest: at most step / 2; root mean square step / sqrt(12 K) where the values' positions within a step are
    uniform and independent.
    stochastic: less than step; root mean square step / sqrt(6 K) likewise (at most step / sqrt(4 K) wherever the
    values lie); the expected error of every value is 0.
    Both up to the rounding of float64 itself: 2**(bits - 52) of a step, and 2**-51 of the sum.

Source:
    Derived: a position f in [0, 1) within a step gives, rounded to the nearest, an error uniform in +-1/2 of a step
    (variance 1/12); rounded up with probability f, an error of mean 0 and variance f (1 - f) <= 1/4, whose mean over
    f is 1/6. Means of K independent ones divide the variance by K.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.errors import ConfigError, CryptoError

__all__ = ["FixedPoint", "RingArray", "Rounding", "pack", "require_room", "ring_dtype", "unpack", "wire_bytes"]

RingArray: TypeAlias = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
Rounding: TypeAlias = Literal["nearest", "stochastic"]

_PIECE: Final = 32_768
"""Elements worked on at once: their float64 copy, 256 KB, stays in a core's cache."""

_SMALLEST_CLIP: Final = 2.0**-900
_LARGEST_CLIP: Final = 2.0**900
"""Between these neither a step nor its inverse leaves the normal float64 numbers."""


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """How a real number becomes a whole one, and a sum of whole ones a real one again.

    Attributes:
        clip: values outside of [-clip, clip] are set to the nearer end.
        bits: of a code, 2 to 32.
        rounding: `"nearest"` (ties to even), or `"stochastic"`: up or down at random, right on average.
        ring_bits: 32 or 64; sums are formed modulo 2 to this power.

    Raises:
        CryptoError: an attribute is none of these.
    """

    clip: float
    bits: int
    rounding: Rounding
    ring_bits: Literal[32, 64]

    def __post_init__(self) -> None:
        """Refuses what is no fixed point."""
        if not _SMALLEST_CLIP <= self.clip <= _LARGEST_CLIP:
            message = f"fixed point needs a finite, positive clip, got {self.clip!r}"
            raise CryptoError(message)
        if not 2 <= self.bits <= 32 or self.ring_bits not in {32, 64} or self.rounding not in {"nearest", "stochastic"}:
            message = (
                "fixed point needs 2 to 32 bits in a ring of 32 or 64 and nearest or stochastic rounding, "
                f"got {self.bits} in {self.ring_bits}, {self.rounding!r}"
            )
            raise CryptoError(message)

    @property
    def offset(self) -> int:
        """The code of zero."""
        return (1 << (self.bits - 1)) - 1

    @property
    def max_code(self) -> int:
        """The largest code, that of `clip`."""
        return 2 * self.offset

    @property
    def step(self) -> float:
        """The difference of two values with neighbouring codes."""
        return self.clip / self.offset

    @property
    def max_error(self) -> float:
        """The largest error of one value within [-clip, clip], and so of a mean of such: see the module."""
        return self.step / 2 if self.rounding == "nearest" else self.step

    @property
    def dtype(self) -> np.dtype[Any]:
        """The ring's dtype, uint32 or uint64."""
        return ring_dtype(self.ring_bits)

    def encode(
        self,
        values: npt.NDArray[np.floating[Any]],
        rng: np.random.Generator | None = None,
        *,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Returns the codes of values, each clipped and rounded by itself.

        Args:
            values: floating-point array of any shape; the arithmetic is that of float64.
            rng: for stochastic rounding, and only then; one uniform number is drawn for each value, in order.
            out: contiguous array of the ring's dtype and the values' shape to write to; left out, a new one.

        Returns:
            Array of the ring's dtype and the values' shape, 0 to `max_code`.

        Raises:
            CryptoError: a value is NaN or infinite, rng is there or missing against the rounding, or `out` does
                not fit.
        """
        if (rng is None) != (self.rounding == "nearest"):
            message = "stochastic rounding needs a random generator, and rounding to the nearest takes none"
            raise CryptoError(message)
        if out is None:
            out = np.empty(values.shape, self.dtype)
        elif out.shape != values.shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            message = f"codes of shape {values.shape} do not fit into {out.dtype} of shape {out.shape}"
            raise CryptoError(message)
        source, target = values.reshape(-1), out.reshape(-1)
        scratch = np.empty(min(_PIECE, source.size))
        for piece in _pieces(source.size):
            self._encode_piece(source[piece], target[piece], scratch[: piece.stop - piece.start], rng)
        return out

    def _encode_piece(
        self,
        values: npt.NDArray[Any],
        codes: npt.NDArray[Any],
        scratch: npt.NDArray[np.float64],
        rng: np.random.Generator | None,
    ) -> None:
        offset = self.offset
        smallest, largest = float(values.min()), float(values.max())  # NaN if one is
        if not (math.isfinite(smallest) and math.isfinite(largest)):
            message = "a value to be encoded is NaN or infinite"
            raise CryptoError(message)
        with np.errstate(over="ignore", under="ignore"):  # what overflows here is clipped
            np.multiply(values, offset / self.clip, out=scratch, dtype=np.float64)
        if max(largest, -smallest) > self.clip:
            np.maximum(scratch, -offset, out=scratch)
            np.minimum(scratch, offset, out=scratch)
        if rng is None:
            np.rint(scratch, out=scratch)
        else:
            scratch += rng.random(scratch.size)
            np.floor(scratch, out=scratch)
            np.minimum(scratch, offset, out=scratch)  # offset + 0.99... may have become offset + 1
        # From -offset to offset it fits the signed integers; the offset is added in the ring, where it may wrap.
        np.copyto(codes.view(np.dtype(f"i{codes.itemsize}")), scratch, casting="unsafe")
        codes += codes.dtype.type(offset)

    def decode_sum(self, codes: npt.NDArray[Any], num_addends: int) -> npt.NDArray[np.float64]:
        """Returns the sum of the values whose codes were added up.

        Args:
            codes: sums of `num_addends` codes each, of the ring's dtype, any shape.
            num_addends: how many codes each is a sum of.

        Returns:
            float64 array of the same shape: (sum - num_addends * offset) * step, a function of the integers alone.

        Raises:
            CryptoError: the dtype is another, or a sum is larger than so many codes can give.
            ConfigError: so many codes may wrap around the ring.
        """
        require_room(num_addends, self.max_code, self.ring_bits)
        flat = codes.reshape(-1)
        if codes.dtype != self.dtype or (flat.size and int(flat.max()) > num_addends * self.max_code):
            message = "what was opened is no sum of so many encoded values"
            raise CryptoError(message)
        sums = np.empty(flat.size)
        zero = flat.dtype.type(num_addends * self.offset)
        for piece in _pieces(flat.size):
            # The true difference is within half a ring of 0: read as signed, the wrapped one is the same number.
            difference = (flat[piece] - zero).view(np.dtype(f"i{flat.itemsize}"))
            np.multiply(difference, self.step, out=sums[piece], dtype=np.float64)
        return sums.reshape(codes.shape)


def require_room(num_addends: int, largest_code: int, ring_bits: int, *, remedy: str = "") -> None:
    """Proves that no sum of so many codes wraps around the ring.

    Args:
        num_addends: how many codes are added, at least 1.
        largest_code: the largest that each may be.
        ring_bits: sums are formed modulo 2 to this power.
        remedy: what to change if they do not fit, for the message.

    Raises:
        ConfigError: num_addends * largest_code is not below 2**ring_bits, or there are no addends.
    """
    if num_addends < 1:
        message = f"a sum needs at least one addend, got {num_addends}"
        raise ConfigError(message)
    if num_addends * largest_code >= 2**ring_bits:
        message = (
            f"a sum of {num_addends:,} codes of up to {largest_code:,} needs "
            f"{(num_addends * largest_code).bit_length()} bits and may wrap around the ring of {ring_bits}"
        )
        raise ConfigError(f"{message}: {remedy}" if remedy else message)


def ring_dtype(ring_bits: int) -> np.dtype[Any]:
    """Returns uint32 for a ring of 32 bits and uint64 for one of 64."""
    return np.dtype(f"u{ring_bits // 8}")


def wire_bytes(largest_sum: int) -> int:
    """Returns how many bytes a slot needs so that sums from 0 to `largest_sum` can be told apart; at least 1."""
    return max(1, -(-largest_sum.bit_length() // 8))


def pack(vector: npt.NDArray[Any], num_bytes: int) -> bytes:
    """Returns the low bytes of each slot, little-endian, one slot after the other.

    Args:
        vector: (n,) array of uint32 or uint64.
        num_bytes: how many of each slot's bytes are kept.

    Returns:
        n * num_bytes bytes.

    Raises:
        CryptoError: a slot does not have so many bytes.
    """
    _require_slot(num_bytes, vector.dtype)
    part = num_bytes & -num_bytes  # a slot's kept bytes are whole words of so many, aligned on both sides
    little = np.ascontiguousarray(vector, vector.dtype.newbyteorder("<"))
    words = little.view(f"<u{part}").reshape(vector.size, vector.itemsize // part)
    packed = np.empty((vector.size, num_bytes // part), words.dtype)
    for word in range(packed.shape[1]):  # whole columns: a copy of rows of 3 bytes takes five times as long
        packed[:, word] = words[:, word]
    return packed.tobytes()


def unpack(data: bytes, num_bytes: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Returns the slots that `pack` wrote, their upper bytes zero.

    Args:
        data: n * num_bytes bytes.
        num_bytes: bytes of a slot.
        dtype: uint32 or uint64.

    Returns:
        (n,) new array of the dtype.

    Raises:
        CryptoError: the length is no multiple of `num_bytes`, or the dtype has not so many bytes.
    """
    dtype = np.dtype(dtype)
    _require_slot(num_bytes, dtype)
    size, rest = divmod(len(data), num_bytes)
    if rest:
        message = f"{len(data):,} bytes are no whole number of slots of {num_bytes}"
        raise CryptoError(message)
    # Each slot is read with the bytes of its successor above its own, which are then cleared.
    padded = data + bytes(dtype.itemsize - num_bytes)
    overlapping: npt.NDArray[Any] = np.ndarray((size,), dtype.newbyteorder("<"), padded, strides=(num_bytes,))
    return overlapping.astype(dtype) if num_bytes == dtype.itemsize else overlapping & dtype.type(256**num_bytes - 1)


def _require_slot(num_bytes: int, dtype: np.dtype[Any]) -> None:
    if dtype not in {np.dtype(np.uint32), np.dtype(np.uint64)} or not 1 <= num_bytes <= dtype.itemsize:
        message = f"slots of uint32 or uint64 have 1 to 4 or 8 bytes on the wire; got {num_bytes} of {dtype}"
        raise CryptoError(message)


def _pieces(size: int) -> Iterator[slice]:
    for start in range(0, size, _PIECE):
        yield slice(start, min(start + _PIECE, size))
