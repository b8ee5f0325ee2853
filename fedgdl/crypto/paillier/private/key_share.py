"""One holder's share of a Paillier key that decrypts only together with others.

Not here: how shares are made (`dealer`) and partial decryptions put together (`..threshold`).

Threat model: as `..threshold` says; fewer than `threshold` shares tell nothing of a plaintext, for the same reason for
    which nobody else can decrypt.

Not protected against: `threshold` holders who work together; secrets left in memory, which Python cannot wipe; who
    measures how long partial decryptions take learns something of the share, as they are not constant time.

Example:
    >>> from fedgdl.crypto.paillier.private.dealer import deal
    >>> public_key, (share, *_) = deal(num_shares=3, threshold=2, key_bits=128)  # far too short: for examples and tests
    >>> part, = share.partial_decrypt_many([public_key.encrypt(42, obfuscator=public_key.hs)])
    >>> KeyShare.from_bytes(share.to_bytes()).partial_decrypt_many([public_key.encrypt(42, public_key.hs)]) == [part]
    True

Source:
    Damgård, Jurik, "A Generalisation, a Simplification and Some Applications of Paillier's Probabilistic Public-Key
    System", PKC 2001, section 4.1, "Share decryption".
"""

from collections.abc import Callable, Sequence
from math import factorial
from typing import Final, NoReturn

from gmpy2 import mpz

from fedgdl.crypto.paillier.private.chunks import collect, each_chunk
from fedgdl.crypto.paillier.private.documents import decode_document, encode_document
from fedgdl.crypto.paillier.private.powers import power_function
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.crypto.paillier.threshold import require_threshold
from fedgdl.errors import CryptoError

__all__ = ["KeyShare"]

_FORMAT: Final = "fedgdl paillier key share"
_NUMBERS: Final = ("n", "hs", "x", "value", "num_shares", "threshold")
_NO_SHARE: Final = "the share of a Paillier key cannot be used"
_UNUSABLE: Final = "the ciphertexts cannot be used"


class KeyShare:
    """The value at x of the polynomial that shares out a decryption exponent.

    Two shares are equal only when they are the same object. The value is in no `repr`, and a share refuses to be
    pickled or copied: `to_bytes` is the one way out.

    Args:
        public_key: whose ciphertexts the shares decrypt together.
        x: which share this is, from 1 to `num_shares`.
        value: f(x), modulo the order that only the dealer knew; at least 0.
        num_shares: how many there are.
        threshold: how many of them decrypt.

    Raises:
        CryptoError: there is no such share.
    """

    __slots__ = ("_value", "num_shares", "public_key", "threshold", "x")

    def __init__(self, public_key: PaillierPublicKey, x: int, value: int, num_shares: int, threshold: int) -> None:
        require_threshold(num_shares, threshold)
        if not 1 <= x <= num_shares or not 0 <= value < public_key.n_squared:
            raise CryptoError(_NO_SHARE)
        self.public_key, self.x = public_key, x
        self.num_shares, self.threshold = num_shares, threshold
        self._value = mpz(value)

    def partial_decrypt_many(
        self,
        ciphertexts: Sequence[int],
        num_threads: int = 1,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[mpz]:
        """Returns this holder's part of the decryption of ciphertexts: c^(2 num_shares! value) modulo n^2.

        The factorial is no part of the value, where the dealer could put it and exponents would stay short. The parts
        of others would then be roots of powers of c, and of square roots of one number two can be enough to factor n.
        With it here, what others say of c can be computed from the plaintext and any `threshold` - 1 values: it tells
        nothing else.

        Args:
            ciphertexts: as many as there are; each has an inverse modulo n^2, as `read_ciphertexts` has checked.
            num_threads: how many compute at the same time.
            on_progress: called with the number of those done, and of all, a few times a second.

        Raises:
            CryptoError: one is no ciphertext.
        """
        n_squared = self.public_key.n_squared
        if any(not 0 < ciphertext < n_squared for ciphertext in ciphertexts):
            raise CryptoError(_UNUSABLE)
        power = power_function(2 * factorial(self.num_shares) * self._value, n_squared, len(ciphertexts))
        chunks = each_chunk(power, list(map(mpz, ciphertexts)), num_threads)
        return collect(chunks, len(ciphertexts), on_progress)

    def to_bytes(self) -> bytes:
        """Returns the share as a document: JSON, one spelling for each share. It is the secret itself."""
        key = self.public_key
        numbers = {
            "n": int(key.n),
            "hs": None if key.hs is None else int(key.hs),
            "x": self.x,
            "value": int(self._value),
            "num_shares": self.num_shares,
            "threshold": self.threshold,
        }
        return encode_document(_FORMAT, numbers)

    @classmethod
    def from_bytes(cls, data: bytes) -> "KeyShare":
        """Returns the share of a document that `to_bytes` wrote.

        Raises:
            CryptoError: it is none, or was changed in any way.
        """
        numbers = decode_document(_FORMAT, data, _NUMBERS)
        if numbers is None:
            raise CryptoError(_NO_SHARE)
        n, hs, *others = (numbers[name] for name in _NUMBERS)
        present = [number for number in others if number is not None]
        if n is None or len(present) != len(others):
            raise CryptoError(_NO_SHARE)
        x, value, num_shares, threshold = present
        return cls(PaillierPublicKey(n, hs), x, value, num_shares, threshold)

    def __repr__(self) -> str:
        """Returns which share it is, and its key."""
        return f"KeyShare({self.x} of {self.num_shares}, threshold {self.threshold}, {self.public_key!r})"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy a share.

        Raises:
            TypeError: always.
        """
        message = "a share stays with its holder; it cannot be pickled or copied"
        raise TypeError(message)
