"""Encrypted vectors: from whole numbers to bytes, back to checked ciphertexts, and sums of them.

On the wire a ciphertext has a fixed width, so that its length tells nothing of what is in it.

Not here: who may open a sum, and who signed what (`clients`, `server`); decryption (`private`).

Threat model: bytes come from anybody. What cannot be ciphertexts of the key is refused, with one answer for all that
    can be wrong. A sum that is given away is re-randomised: nobody can see which ciphertexts were added.

Not protected against: ciphertexts that were changed into others, or copied from another client; signatures are for
    that. Not constant time.

Example:
    >>> import numpy as np
    >>> from fedgdl.crypto.paillier.obfuscators import make_obfuscators
    >>> p, q = 1019, 1187  # real ones have 1024 bits or more
    >>> key = PaillierPublicKey(p * q, hs=pow(-(5**2), p * q, (p * q) ** 2))
    >>> packing, source = Packing(3, sum_bits=4, plaintext_bits=key.plaintext_bits), make_obfuscators(key)
    >>> total = CiphertextSum(key, packing)
    >>> for vector in ([1, 2, 3], [9, 8, 7]):
    ...     data = encrypt_vector(key, packing, np.array(vector, np.uint32), source)
    ...     total.add(read_ciphertexts(key, packing, data))
    >>> secret = (p - 1) * (q - 1)
    >>> opened = [(pow(c, secret, key.n**2) - 1) // key.n * pow(secret, -1, key.n) % key.n for c in total.ciphertexts]
    >>> packing.unpack(opened, np.uint32)
    array([10, 10, 10], dtype=uint32)
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import gmpy2
from gmpy2 import mpz

from fedgdl.crypto.fixed_point import RingArray
from fedgdl.crypto.paillier.obfuscators import Obfuscators
from fedgdl.crypto.paillier.packing import Packing
from fedgdl.crypto.paillier.pool import ObfuscatorPool
from fedgdl.crypto.paillier.public_key import PaillierPublicKey, SplitObfuscator
from fedgdl.errors import CryptoError

__all__ = ["CiphertextSum", "encrypt_vector", "read_ciphertexts", "write_ciphertexts"]

_CHUNK: Final = 64
"""So many plaintexts are encrypted before progress is told and Ctrl-C is heard; a table of powers likes some."""

_UNUSABLE: Final = "the ciphertexts cannot be used"


def encrypt_vector(
    public_key: PaillierPublicKey,
    packing: Packing,
    vector: RingArray,
    obfuscators: Obfuscators,
    on_progress: Callable[[int, int], None] | None = None,
) -> bytes:
    """Returns the ciphertexts of a vector, as `write_ciphertexts` writes them.

    Args:
        public_key: to encrypt with.
        packing: how the vector becomes plaintexts, which are no longer than the key's.
        vector: (size,) array of uint32 or uint64, each value below 2**sum_bits.
        obfuscators: of this key; as many are drawn as there are plaintexts.
        on_progress: called with the number of ciphertexts made, and of all, after each few.

    Raises:
        CryptoError: the vector does not fit the packing, or packing or obfuscators do not fit the key.
    """
    if packing.plaintext_bits > public_key.plaintext_bits or obfuscators.public_key != public_key:
        message = "the packing, or the obfuscators, are for another key"
        raise CryptoError(message)
    plaintexts = packing.pack(vector)
    parts = []
    for start in range(0, len(plaintexts), _CHUNK):
        chunk = plaintexts[start : start + _CHUNK]
        ciphertexts = public_key.encrypt_many(chunk, _draw(obfuscators, len(chunk)))
        parts.append(write_ciphertexts(public_key, ciphertexts))
        if on_progress is not None:
            on_progress(start + len(chunk), len(plaintexts))
    return b"".join(parts)


def _draw(obfuscators: Obfuscators, count: int) -> list[SplitObfuscator]:
    if isinstance(obfuscators, ObfuscatorPool):
        return obfuscators.draw_split(count)
    return [obfuscators.public_key.split(obfuscator) for obfuscator in obfuscators.draw(count)]


def read_ciphertexts(public_key: PaillierPublicKey, packing: Packing, data: bytes) -> list[mpz]:
    """Returns the ciphertexts of a vector, each of which can be one of this key.

    Args:
        public_key: that they were made with.
        packing: of the vector.
        data: as `write_ciphertexts` wrote it.

    Raises:
        CryptoError: there are more or fewer ciphertexts, or one of them is 0, not below n^2 or has a factor in common
            with n; which of these is not told.
    """
    width, n = public_key.ciphertext_bytes, public_key.n
    if len(data) != packing.num_plaintexts * width:
        raise CryptoError(_UNUSABLE)
    ciphertexts = [mpz.from_bytes(data[start : start + width], "big") for start in range(0, len(data), width)]
    product = mpz(1)  # has a factor in common with n if one of them has; 0 has all of them
    for ciphertext in ciphertexts:
        product = product * (ciphertext % n) % n
    if gmpy2.gcd(product, n) != 1 or max(ciphertexts) >= public_key.n_squared:
        raise CryptoError(_UNUSABLE)
    return ciphertexts


def write_ciphertexts(public_key: PaillierPublicKey, ciphertexts: Iterable[mpz]) -> bytes:
    """Returns ciphertexts one after the other, each big-endian in `public_key.ciphertext_bytes` bytes."""
    width = public_key.ciphertext_bytes
    return b"".join([ciphertext.to_bytes(width, "big") for ciphertext in ciphertexts])


class CiphertextSum:
    """The sum of encrypted vectors, one added after the other.

    Args:
        public_key: of all of them.
        packing: of all of them.

    Attributes:
        num_addends: how many have been added.
    """

    def __init__(self, public_key: PaillierPublicKey, packing: Packing) -> None:
        self._public_key, self._packing = public_key, packing
        self._totals: list[mpz] = []
        self.num_addends = 0

    def add(self, ciphertexts: Sequence[mpz]) -> None:
        """Adds an encrypted vector.

        Args:
            ciphertexts: as `read_ciphertexts` returns them; they are not checked a second time.

        Raises:
            CryptoError: these are more or fewer than a vector's.
        """
        if len(ciphertexts) != self._packing.num_plaintexts:
            raise CryptoError(_UNUSABLE)
        n_squared = self._public_key.n_squared
        if self.num_addends:
            pairs = zip(self._totals, ciphertexts, strict=True)
            self._totals = [total * ciphertext % n_squared for total, ciphertext in pairs]
        else:
            self._totals = list(ciphertexts)
        self.num_addends += 1

    @property
    def ciphertexts(self) -> list[mpz]:
        """The sum's ciphertexts, which show what was added to whoever has it.

        Raises:
            CryptoError: nothing has been added.
        """
        if not self.num_addends:
            message = "a sum of no ciphertexts is none"
            raise CryptoError(message)
        return list(self._totals)

    def rerandomised(self, obfuscators: Obfuscators) -> bytes:
        """Returns the sum as bytes, with an obfuscator more in each ciphertext: nobody can tell what was added.

        Raises:
            CryptoError: nothing has been added, or the obfuscators are of another key.
        """
        totals = self.ciphertexts
        if obfuscators.public_key != self._public_key:
            message = "the obfuscators are for another key"
            raise CryptoError(message)
        fresh = obfuscators.draw(len(totals))
        return write_ciphertexts(self._public_key, map(self._public_key.add, totals, fresh))
