"""Vectors of whole numbers as Paillier plaintexts: many slots side by side in each, so that one sum adds them all.

A slot has one bit more than the largest sum needs, its guard. As long as every client keeps to its limits no sum
reaches the guard, and none spills into the slot above. Slot i of a plaintext is its bits i * slot_bits and up; the
first values of a vector are in the first plaintext, and what is left over in the last one is zero.

Not here: what the values mean, and that a sum fits (`fedgdl.federated.encoding` proves it).

Threat model: plaintexts come from sums that others formed. What can be seen to be no sum of packed vectors (a guard
    bit, anything beyond the last slot) is refused as a whole: nothing of it becomes data.

Not protected against: a client whose values are beyond its limits, or whose slots spill without reaching a guard in
    the end. Packing assumes nothing for secrecy, and adds nothing to it.

Example:
    >>> packing = Packing(size=5, sum_bits=7, plaintext_bits=30)
    >>> packing.slot_bits, packing.slots_per_plaintext, packing.num_plaintexts
    (8, 3, 2)
    >>> plaintexts = packing.pack(np.array([1, 2, 3, 4, 5], np.uint32))
    >>> [hex(plaintext) for plaintext in plaintexts]
    ['0x30201', '0x504']
    >>> packing.unpack([2 * plaintext for plaintext in plaintexts], np.uint32)
    array([ 2,  4,  6,  8, 10], dtype=uint32)

Source:
    Zhang et al., "BatchCrypt: Efficient Homomorphic Encryption for Cross-Silo Federated Learning", USENIX ATC 2020:
    many quantised values in one plaintext. Slots and guards are simpler here, as no value is negative.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.crypto.fixed_point import RingArray
from fedgdl.errors import CryptoError

__all__ = ["Packing"]

_VERSION: Final = 1
_WORD_BITS: Final = 64
_MAX_SUM_BITS: Final = 63
_BLOCK_VALUES: Final = 65_536
"""Values worked on at once: as words of 64 bits they take 512 KB, which stay in a core's cache."""

_NO_SUM: Final = "the plaintexts are no sum of packed vectors"


class Packing:
    """How vectors of one size are laid out in plaintexts.

    Args:
        size: values of a vector, at least 1.
        sum_bits: bits that hold the largest possible sum of a slot, 1 to 63.
        plaintext_bits: plaintexts are below 2 to this power.

    Attributes:
        size, sum_bits, plaintext_bits: as given.
        slot_bits: `sum_bits` and the guard.
        slots_per_plaintext: as many as there is room for.
        num_plaintexts: of a vector.
        spec: every parameter that two parties must agree on, as JSON-ready values.
        digest: SHA-256 of the spec, 64 hexadecimal digits.

    Raises:
        CryptoError: an argument is out of its range, or not even one slot fits.
    """

    __slots__ = (
        "_num_words",
        "digest",
        "num_plaintexts",
        "plaintext_bits",
        "size",
        "slot_bits",
        "slots_per_plaintext",
        "spec",
        "sum_bits",
    )

    def __init__(self, size: int, sum_bits: int, plaintext_bits: int) -> None:
        if size < 1 or not 1 <= sum_bits <= _MAX_SUM_BITS or plaintext_bits <= sum_bits:
            message = (
                f"{size:,} slots for sums of {sum_bits} bits (1 to {_MAX_SUM_BITS}) and a guard cannot be packed into "
                f"plaintexts of {plaintext_bits} bits"
            )
            raise CryptoError(message)
        self.size, self.sum_bits, self.plaintext_bits = size, sum_bits, plaintext_bits
        self.slot_bits = sum_bits + 1
        self.slots_per_plaintext = plaintext_bits // self.slot_bits
        self.num_plaintexts = -(-size // self.slots_per_plaintext)
        self._num_words = -(-self.slots_per_plaintext * self.slot_bits // _WORD_BITS)
        self.spec: dict[str, Any] = {
            "version": _VERSION,
            "size": size,
            "slot_bits": self.slot_bits,
            "slots_per_plaintext": self.slots_per_plaintext,
        }
        text = json.dumps(self.spec, separators=(",", ":"), sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def pack(self, vector: RingArray) -> list[mpz]:
        """Returns the plaintexts of a vector.

        Args:
            vector: (size,) array of uint32 or uint64, each value below 2**sum_bits.

        Returns:
            `num_plaintexts` whole numbers.

        Raises:
            CryptoError: the vector has another size or dtype, or a value is too large.
        """
        if vector.shape != (self.size,) or not _is_ring(vector.dtype) or int(vector.max()) >> self.sum_bits:
            message = (
                f"expected {self.size:,} values of uint32 or uint64 below 2**{self.sum_bits}, got {vector.dtype} of "
                f"shape {vector.shape}"
            )
            raise CryptoError(message)
        slots, num_bytes = self.slots_per_plaintext, 8 * self._num_words
        plaintexts: list[mpz] = []
        for rows in self._blocks():
            part = vector[rows.start * slots : rows.stop * slots]
            columns = np.zeros((rows.stop - rows.start, slots), np.uint64)
            columns.reshape(-1)[: part.size] = part
            data = self._merge(np.ascontiguousarray(columns.T)).tobytes()
            starts = range(0, len(data), num_bytes)
            plaintexts += [mpz.from_bytes(data[start : start + num_bytes], "little") for start in starts]
        return plaintexts

    def unpack(self, plaintexts: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Returns the vector of plaintexts, or the sum of vectors of their sums.

        Args:
            plaintexts: `num_plaintexts` whole numbers.
            dtype: uint32, for sums of at most 32 bits, or uint64.

        Returns:
            (size,) new array of the dtype, each value below 2**sum_bits.

        Raises:
            CryptoError: there are more or fewer plaintexts, a guard bit or a bit that is no slot's is set, or the
                dtype does not hold the sums.
        """
        dtype = np.dtype(dtype)
        if not _is_ring(dtype) or 8 * dtype.itemsize < self.sum_bits:
            message = f"sums of {self.sum_bits} bits are uint32 or uint64, as they fit, not {dtype}"
            raise CryptoError(message)
        used = mpz(1) << self.slots_per_plaintext * self.slot_bits
        if len(plaintexts) != self.num_plaintexts or min(plaintexts) < 0 or max(plaintexts) >= used:
            raise CryptoError(_NO_SUM)
        slots, num_bytes = self.slots_per_plaintext, 8 * self._num_words
        vector = np.empty(self.num_plaintexts * slots, dtype)
        for rows in self._blocks():
            data = b"".join([plaintext.to_bytes(num_bytes, "little") for plaintext in plaintexts[rows]])
            words = np.frombuffer(data, "<u8").reshape(-1, self._num_words)
            columns = self._split(np.ascontiguousarray(words.T, np.uint64))
            if int(columns.max()) >> self.sum_bits:
                raise CryptoError(_NO_SUM)
            vector[rows.start * slots : rows.stop * slots] = columns.T.reshape(-1)
        if vector[self.size :].any():
            raise CryptoError(_NO_SUM)
        return vector[: self.size].copy()

    def _blocks(self) -> Iterator[slice]:
        """Yields slices of plaintexts that are worked on at once."""
        count = max(1, _BLOCK_VALUES // self.slots_per_plaintext)
        for start in range(0, self.num_plaintexts, count):
            yield slice(start, min(start + count, self.num_plaintexts))

    def _merge(self, columns: npt.NDArray[np.uint64]) -> npt.NDArray[Any]:
        """Returns (plaintexts, words) little-endian words of (slots, plaintexts) values."""
        words = np.zeros((self._num_words, columns.shape[1]), np.uint64)
        for slot, column in enumerate(columns):
            word, shift = divmod(slot * self.slot_bits, _WORD_BITS)
            words[word] |= column << np.uint64(shift)
            if shift + self.slot_bits > _WORD_BITS:
                words[word + 1] |= column >> np.uint64(_WORD_BITS - shift)
        return words.T.astype("<u8", order="C")

    def _split(self, words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """Returns (slots, plaintexts) values of (words, plaintexts) words."""
        columns = np.empty((self.slots_per_plaintext, words.shape[1]), np.uint64)
        for slot in range(self.slots_per_plaintext):
            word, shift = divmod(slot * self.slot_bits, _WORD_BITS)
            columns[slot] = words[word] >> np.uint64(shift)
            if shift + self.slot_bits > _WORD_BITS:
                columns[slot] |= words[word + 1] << np.uint64(_WORD_BITS - shift)
        columns &= np.uint64(2**self.slot_bits - 1)
        return columns

    def __repr__(self) -> str:
        """Returns sizes alone."""
        return (
            f"Packing({self.size:,} slots of {self.slot_bits} bits in {self.num_plaintexts:,} plaintexts of "
            f"{self.slots_per_plaintext})"
        )


def _is_ring(dtype: np.dtype[Any]) -> bool:
    return dtype in {np.dtype(np.uint32), np.dtype(np.uint64)}
