"""Long masks from short seeds: what two clients add and subtract so that their sum shows neither.

A seed of 32 bytes stands for one endless stream of bytes, the key stream of AES-256 in counter mode; read as
little-endian unsigned whole numbers it is a mask. Masks are added modulo 2^32 or 2^64, which hides a vector of such
numbers completely: a mask uniform in the ring makes any sum with it uniform.

The stream is computed as what AES-256-GCM makes of zeros, which is the same bytes (SP 800-38D, section 7.1: GCM
encrypts by counter mode from its first counter block plus one) and which OpenSSL computes faster, then added while it
is in the processor's cache.

Not here: where seeds come from (`key_agreement`), encoding numbers into the ring (`fedgdl.crypto.fixed_point`).

Threat model: whoever lacks the seed cannot tell a mask from random numbers, as far as AES-256 holds.

Not protected against: a seed used for two masks: their difference, hence that of the vectors, is then open. Side
    channels around the library's calls; secrets left in memory, which Python cannot wipe.

Example:
    >>> import numpy as np
    >>> seed = bytes(range(32))  # from derive_key, never a constant
    >>> vector = np.arange(4, dtype=np.uint32)
    >>> add_masks(vector, [(seed, +1)])
    >>> (vector - mask(seed, 4, np.uint32)).tolist()
    [0, 1, 2, 3]
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM

from fedgdl.crypto.fixed_point import RingArray
from fedgdl.errors import CryptoError

__all__ = ["MAX_MASK_BYTES", "SEED_BYTES", "add_masks", "mask"]

SEED_BYTES: Final = 32
MAX_MASK_BYTES: Final = 2**36 - 32
"""How long a mask can be: afterwards the counter, 32 bits of it, would begin again.

Source:
    SP 800-38D, section 5.2.1.1: a plaintext has at most 2^39 - 256 bits.
"""

_PIECE_BYTES: Final = 128 * 1024  # a piece of the vector and one of a mask together fit a core's second-level cache
_NUM_OPEN_STREAMS: Final = 64  # bounds the memory for masks' states; the vector is gone through once for so many
_BYTES_WORTH_A_THREAD: Final = 2**24  # of masks; a thread takes about two milliseconds for so many
_ZEROS: Final = bytes(_PIECE_BYTES)
_NONCE: Final = bytes(12)


def mask(seed: bytes, size: int, dtype: npt.DTypeLike) -> RingArray:
    """Returns the mask of a seed.

    A longer mask of the same seed begins with the shorter one.

    Args:
        seed: 32 bytes.
        size: how many elements.
        dtype: `np.uint32` or `np.uint64`.

    Returns:
        (size,) array: the key stream of AES-256 in counter mode under the seed, from the counter block whose bytes
        are 0 but the last, which is 2, read as little-endian numbers on any machine.

    Raises:
        CryptoError: the seed is not 32 bytes, the dtype is another, or the mask would be longer than
            `MAX_MASK_BYTES`.

    Source:
        Dworkin, "Recommendation for Block Cipher Modes of Operation", NIST SP 800-38A, 2001, section 6.5 (CTR).
    """
    little_endian = _ring_dtype(np.dtype(dtype))
    _require_length(size * little_endian.itemsize)
    stream = _open_stream(seed)
    elements = np.empty(size, little_endian)
    data = elements.view(np.uint8)
    for start in range(0, data.size, _PIECE_BYTES):
        piece = data[start : start + _PIECE_BYTES]
        stream.update_into(_ZEROS[: piece.size], piece.data)
    return elements.astype(little_endian.newbyteorder("="), copy=False)


def add_masks(vector: RingArray, seeds_and_signs: Sequence[tuple[bytes, int]], *, num_threads: int = 1) -> None:
    """Adds masks to a vector, in place and modulo 2^32 or 2^64, or takes them away again.

    Args:
        vector: uint32 or uint64 array (size,), which is changed.
        seeds_and_signs: (seed, sign) of each mask; +1 adds `mask(seed, size, dtype)`, -1 subtracts it.
        num_threads: how many threads may work at it, each but the first with a vector of its own for the sum of its
            masks; where these are short, fewer do. The result is the same, since whole numbers are added.

    Raises:
        CryptoError: the vector is none of a ring or too long, a seed is not 32 bytes, or a sign is something else;
            the vector is as it was.
    """
    _ring_dtype(vector.dtype)
    if vector.ndim != 1:
        message = f"masks are for vectors, not for an array of {vector.ndim} axes"
        raise CryptoError(message)
    _require_length(vector.nbytes)
    for seed, sign in seeds_and_signs:
        _require_seed(seed)
        if sign not in {1, -1}:
            message = "a mask is added (+1) or subtracted (-1)"
            raise CryptoError(message)
    num_threads = max(1, min(num_threads, len(seeds_and_signs) * vector.nbytes // _BYTES_WORTH_A_THREAD))
    if num_threads == 1:
        _accumulate(vector, seeds_and_signs)
        return
    others = [np.zeros_like(vector) for _ in range(1, num_threads)]
    with ThreadPoolExecutor(num_threads) as pool:
        for _ in pool.map(
            _accumulate, [vector, *others], [seeds_and_signs[k::num_threads] for k in range(num_threads)]
        ):
            pass  # an error of a thread is raised here
    for other in others:
        vector += other


def _accumulate(vector: RingArray, seeds_and_signs: Sequence[tuple[bytes, int]]) -> None:
    """Adds checked masks to a checked vector, piece by piece."""
    piece_size = _PIECE_BYTES // vector.itemsize
    elements = np.empty(min(vector.size, piece_size), vector.dtype.newbyteorder("<"))
    data = elements.view(np.uint8)
    for first in range(0, len(seeds_and_signs), _NUM_OPEN_STREAMS):
        streams = [
            (_open_stream(seed), np.add if sign == 1 else np.subtract)
            for seed, sign in seeds_and_signs[first : first + _NUM_OPEN_STREAMS]
        ]
        for start in range(0, vector.size, piece_size):
            piece = vector[start : start + piece_size]
            zeros, part, addend = _ZEROS[: piece.nbytes], data[: piece.nbytes].data, elements[: piece.size]
            for stream, combine in streams:
                stream.update_into(zeros, part)
                combine(piece, addend, out=piece)


def _open_stream(seed: bytes) -> AEADEncryptionContext:
    _require_seed(seed)
    return Cipher(AES256(seed), GCM(_NONCE)).encryptor()


def _require_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        message = "the seed of a mask is 32 bytes"
        raise CryptoError(message)


def _require_length(num_bytes: int) -> None:
    if not 0 <= num_bytes <= MAX_MASK_BYTES:
        message = f"a mask has from 0 to {MAX_MASK_BYTES} bytes, not {num_bytes}"
        raise CryptoError(message)


def _ring_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Returns the little-endian dtype of a ring's elements."""
    if dtype not in {np.dtype(np.uint32), np.dtype(np.uint64)}:
        message = f"masks are of uint32 or uint64, not {dtype}"
        raise CryptoError(message)
    return dtype.newbyteorder("<")
