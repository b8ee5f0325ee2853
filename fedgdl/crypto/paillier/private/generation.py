"""New Paillier keys.

The modulus is the product of two random primes that are 3 modulo 4, of half its bits each; hs = h^n modulo n^2 with
h = -x^2 for a random x is the base of obfuscators.

Not here: keys whose decryption is shared out (`dealer`), and the third kind of key that some libraries offer, with
obfuscators from a small hidden subgroup: the assumption that it rests on could not be checked in the literature.

Threat model: who sees the public key and knows all of this but the random bytes cannot find the primes as long as
    numbers of this size cannot be factored: 3,072 bits are held to be worth 128 bits of security, 2,048 bits 112.

Not protected against: short keys, which this module makes when asked (a modulus of 128 bits is factored in seconds);
    a source of random bytes that others can foresee.

Example:
    >>> key = generate(128)  # far too short: for examples and tests
    >>> key.public_key.num_bits, key.public_key.scheme
    (128, 'djn')
    >>> key.decrypt(key.public_key.encrypt(42, key.public_key.hs))
    mpz(42)

Source:
    Damgård, Jurik, Nielsen, "A Generalization of Paillier's Public-Key System with Applications to Electronic Voting",
    International Journal of Information Security 9(6), 2010.
    Barker, "Recommendation for Key Management", NIST SP 800-57 part 1, revision 5, 2020, table 2 (strengths).
"""

import secrets
from typing import Final

import gmpy2
from gmpy2 import mpz

from fedgdl.crypto.paillier.private.draws import RandomBytes, draw_unit, draw_until
from fedgdl.crypto.paillier.private.primes import are_far_apart, draw_prime
from fedgdl.crypto.paillier.private.private_key import PaillierPrivateKey
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.errors import CryptoError

__all__ = ["MAX_KEY_BITS", "MAX_PAIRS", "MIN_KEY_BITS", "generate", "key_from_primes", "require_key_bits"]

MIN_KEY_BITS: Final = 128
MAX_KEY_BITS: Final = 16_384

MAX_PAIRS: Final = 100
"""So many second primes are drawn for a first one; two in three fit."""


def generate(key_bits: int, *, random_bytes: RandomBytes = secrets.token_bytes) -> PaillierPrivateKey:
    """Returns a new key of scheme `"djn"`; 3,072 bits take about a quarter of a second.

    Args:
        key_bits: of the modulus, exactly; even, from `MIN_KEY_BITS` to `MAX_KEY_BITS`.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Raises:
        CryptoError: there are no keys of this size, or the bytes are not random.
    """
    require_key_bits(key_bits)
    p = draw_prime(key_bits // 2, random_bytes)
    q = draw_until(lambda q: _fit(p, q), lambda: draw_prime(key_bits // 2, random_bytes), MAX_PAIRS)
    return key_from_primes(p, q, random_bytes=random_bytes)


def key_from_primes(p: int, q: int, *, random_bytes: RandomBytes = secrets.token_bytes) -> PaillierPrivateKey:
    """Returns a key of scheme `"djn"` from two primes that are 3 modulo 4; its hs is drawn.

    Raises:
        CryptoError: these are no such primes, or the bytes are not random.
    """
    n = mpz(p) * q
    x = draw_unit(n, random_bytes)
    hs = gmpy2.powmod(-x * x % n, n, n * n)
    return PaillierPrivateKey(p, q, PaillierPublicKey(n, hs))


def require_key_bits(key_bits: int) -> None:
    """Checks that there are keys of a size.

    Raises:
        CryptoError: there are none.
    """
    if key_bits % 2 or not MIN_KEY_BITS <= key_bits <= MAX_KEY_BITS:
        message = f"a Paillier key has an even number of bits from {MIN_KEY_BITS} to {MAX_KEY_BITS}, not {key_bits}"
        raise CryptoError(message)


def _fit(p: mpz, q: mpz) -> bool:
    """Returns whether two primes of the same length can make a key together; two pairs of random ones in three can.

    Among odd primes r, which divides p - 1 with probability 1 / (r - 1), the product of 1 - 1 / (r - 1)^2 is 0.66.
    """
    phi = (p - 1) * (q - 1)
    return bool(are_far_apart(p, q) and gmpy2.gcd(p - 1, q - 1) == 2 and gmpy2.gcd(p * q, phi) == 1)
