"""The book's way of encrypting a model, with the library that it uses: one ciphertext for each weight.

What is wrong with it is shown by `exponents` (a float's exponent is sent in clear), `book_rounds` (one client's model
is decrypted, not the sum) and `short_key` (its key has 128 bits). This project's own way of encrypting is in
`fedgdl.crypto.paillier`: many weights in a ciphertext, on one scale, checked before and after.

Not here: anything to protect data with.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, "Homomorphically encrypted federated learning".
    python-paillier (phe): `phe.encoding.EncodedNumber` on floats, exponents and precision.

Example:
    >>> public_key, private_key = make_key(128)
    >>> update = encrypt(public_key, np.array([0.0, -0.0025]))
    >>> exponents_of(update).tolist(), decrypt(private_key, update).tolist()
    ([-14, -16], [0.0, -0.0025])
    >>> exponents_of(encrypt(public_key, np.array([0.0, -0.0025]), FIXED_PRECISION)).tolist()
    [-11, -11]
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from phe.encoding import EncodedNumber
from phe.paillier import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey, generate_paillier_keypair

from fedgdl.errors import CryptoError
from fedgdl.progress import report

__all__ = [
    "FIXED_PRECISION",
    "MIN_KEY_BITS",
    "Ciphertexts",
    "PrivateKey",
    "PublicKey",
    "Steps",
    "add",
    "decrypt",
    "encrypt",
    "exponents_of",
    "make_key",
    "private_key_of",
    "sizes_of",
    "zero_exponent",
]

PublicKey: TypeAlias = PaillierPublicKey
PrivateKey: TypeAlias = PaillierPrivateKey
Ciphertexts: TypeAlias = list[EncryptedNumber]
"""A ciphertext, and an exponent in clear, for each weight."""

_Weights: TypeAlias = npt.NDArray[np.float64]

FIXED_PRECISION: Final = 2.0**-42
"""Asked for with each number, it gives all of them the exponent -11: one scale, and a cure for the plain exponents."""

MIN_KEY_BITS: Final = 64
"""In less, a float's 53 bits and their sign have no room."""

_CHUNK: Final = 500
"""Whoever watches hears of so many weights at once."""

T = TypeVar("T")


class Steps:
    """Tells whoever watches how far work of many parts is, as one whole.

    Args:
        what: is done.
        total: steps of all parts.
    """

    def __init__(self, what: str, total: int) -> None:
        self._what, self._done, self._total = what, 0, total

    def __call__(self, count: int) -> None:
        """Notes that so many more steps are done."""
        self._done += count
        report(self._what, self._done, self._total)


def _unwatched(_count: int) -> None:
    """Tells nobody."""


def make_key(num_bits: int) -> tuple[PublicKey, PrivateKey]:
    """Returns a public key whose modulus has so many bits, and its private key, from the system's randomness.

    Args:
        num_bits: even, `MIN_KEY_BITS` or more; the book takes 128.

    Raises:
        CryptoError: the number is odd or smaller.
    """
    if num_bits < MIN_KEY_BITS or num_bits % 2:
        message = f"a key of the book's kind has an even number of bits, {MIN_KEY_BITS} or more; got {num_bits}"
        raise CryptoError(message)
    public_key, private_key = generate_paillier_keypair(n_length=num_bits)
    return public_key, private_key


def private_key_of(public_key: PublicKey, factors: tuple[int, int]) -> PrivateKey:
    """Returns the private key that whoever knows the two factors of a public key's modulus has.

    Raises:
        CryptoError: they are not its factors.
    """
    try:
        return PaillierPrivateKey(public_key, *factors)
    except ValueError as error:
        message = "these are not the factors of the key's modulus"
        raise CryptoError(message) from error


def encrypt(
    public_key: PublicKey,
    weights: _Weights,
    precision: float | None = None,
    advance: Callable[[int], None] = _unwatched,
) -> Ciphertexts:
    """Returns a ciphertext for each weight.

    Args:
        public_key: of phe.
        weights: (n,) floats.
        precision: none, as in the book: each number gets the exponent that its own size asks for; else all of them
            the same.
        advance: called with how many more weights are encrypted.

    Raises:
        CryptoError: a weight is not finite, or has no room in the key.
    """
    ciphertexts: Ciphertexts = []
    try:
        for chunk in _chunks(weights.tolist(), advance):
            ciphertexts += [public_key.encrypt(weight, precision=precision) for weight in chunk]
    except (ValueError, OverflowError) as error:
        message = f"a weight cannot be encrypted with this key: {error}"
        raise CryptoError(message) from error
    return ciphertexts


def add(vectors: Sequence[Ciphertexts], advance: Callable[[int], None] = _unwatched) -> Ciphertexts:
    """Returns the encrypted sum of encrypted vectors, at least one, weight by weight; `advance` as in `encrypt`."""
    columns = list(zip(*vectors, strict=True))
    return [sum(column[1:], start=column[0]) for chunk in _chunks(columns, advance) for column in chunk]


def decrypt(private_key: PrivateKey, ciphertexts: Ciphertexts, advance: Callable[[int], None] = _unwatched) -> _Weights:
    """Returns the weights, (n,); `advance` as in `encrypt`.

    Raises:
        CryptoError: a ciphertext is of another key, or holds a number too large for it.
    """
    try:
        weights = [private_key.decrypt(one) for chunk in _chunks(ciphertexts, advance) for one in chunk]
    except (ValueError, OverflowError) as error:
        message = f"a ciphertext cannot be decrypted with this key: {error}"
        raise CryptoError(message) from error
    return np.array(weights, np.float64)


def exponents_of(ciphertexts: Ciphertexts) -> npt.NDArray[np.int64]:
    """Returns what is sent in clear beside each ciphertext, (n,): the exponent to base 16."""
    return np.array([one.exponent for one in ciphertexts], np.int64)


def zero_exponent(public_key: PublicKey, precision: float | None = None) -> int:
    """Returns the exponent that a weight of zero gets; whoever has the public key can see it."""
    return int(EncodedNumber.encode(public_key, 0.0, precision=precision).exponent)


def sizes_of(exponent: int) -> tuple[float, float]:
    """Returns between which powers of two a float other than zero lies, the upper one excluded, given its exponent.

    Example:
        >>> low, high = sizes_of(-16)
        >>> low <= 0.0025 < high, high / low
        (True, 16.0)
    """
    least = round(exponent * EncodedNumber.LOG2_BASE) + EncodedNumber.FLOAT_MANTISSA_BITS - 1
    return 2.0**least, 2.0 ** (least + EncodedNumber.LOG2_BASE)


def _chunks(items: Sequence[T], advance: Callable[[int], None]) -> Iterator[Sequence[T]]:
    """Yields the items in parts, and tells how many of them are done."""
    for start in range(0, len(items), _CHUNK):
        part = items[start : start + _CHUNK]
        yield part
        advance(len(part))
