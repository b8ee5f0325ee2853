"""Breaks a key of the book's length before one's eyes, and reads a client's update with it.

The modulus is factored for real (`factoring`), beginning with shorter ones, so that one sees how the time grows. What
that says of a key of 2,048 or 3,072 bits is only which way it goes: nobody has factored one, the largest number of the
kind that was has 829 bits, and better algorithms than this one would be used. No time is extrapolated.

Source:
    The record: F. Boudot, P. Gaudry, A. Guillevic, N. Heninger, E. Thomé, P. Zimmermann, announcement of RSA-250,
    February 2020: about 2,700 core-years. Strengths: NIST SP 800-57 part 1 revision 5 (2020), table 2.

Example:
    >>> from experiments.attacks.book_paillier import make_key
    >>> public_key, _ = make_key(64)
    >>> broken = break_key(public_key, np.random.default_rng(1))
    >>> broken.factors[0] * broken.factors[1] == public_key.n, broken.num_bits
    (True, 64)
"""

import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from experiments.attacks.book_paillier import PublicKey, Steps, decrypt, private_key_of
from experiments.attacks.book_rounds import SentUpdate
from experiments.attacks.factoring import factor

__all__ = [
    "RECORD_BITS",
    "RECORD_CORE_YEARS",
    "STRENGTHS",
    "BrokenKey",
    "BrokenUpdate",
    "break_key",
    "read_with_factors",
]

RECORD_BITS: Final = 829
RECORD_CORE_YEARS: Final = 2_700
STRENGTHS: Final = {2_048: 112, 3_072: 128}
"""Bits of a modulus -> NIST's estimate of how many bits of a symmetric key are as hard to find."""


@dataclass(frozen=True, slots=True)
class BrokenKey:
    """A modulus that was taken apart.

    Attributes:
        num_bits: of the modulus.
        factors: the smaller first.
        seconds: that it took, on one core.
    """

    num_bits: int
    factors: tuple[int, int] = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class BrokenUpdate:
    """What the found factors give of one client's update.

    Attributes:
        num_weights: decrypted.
        num_equal: of these the same as the client's, to the last bit.
        num_moved: words whose weight moved, of which now signs and sizes are known.
        seconds: that decryption took.
    """

    num_weights: int
    num_equal: int
    num_moved: int
    seconds: float


def break_key(public_key: PublicKey, rng: np.random.Generator) -> BrokenKey:
    """Returns the factors of a public key's modulus.

    Args:
        public_key: of phe, with up to `factoring.MAX_BITS` bits.
        rng: which polynomials are tried.

    Raises:
        CryptoError: it is too long.
    """
    began = time.perf_counter()
    factors = factor(int(public_key.n), rng)
    return BrokenKey(int(public_key.n).bit_length(), factors, time.perf_counter() - began)


def read_with_factors(public_key: PublicKey, factors: tuple[int, int], sent: SentUpdate) -> BrokenUpdate:
    """Returns how much of an update can be read once the factors are known; the truth in it only scores.

    Raises:
        CryptoError: they are not the key's factors.
    """
    began = time.perf_counter()
    steps = Steps("decrypting", len(sent.ciphertexts))
    read = decrypt(private_key_of(public_key, factors), sent.ciphertexts, steps)
    seconds = time.perf_counter() - began
    return BrokenUpdate(len(read), int(np.count_nonzero(read == sent.weights)), int(np.count_nonzero(read)), seconds)
