"""The dealer: makes a Paillier key, shares out what decrypts, and forgets the rest.

The exponent d = 0 modulo m and 1 modulo n, with m = (p - 1) (q - 1) / 4, decrypts: c^d = (n + 1)^plaintext. It is the
value at 0 of a random polynomial modulo n m with `threshold` coefficients; the holder of share x gets its value there.
Safe primes make m a product of two primes, so that the numbers that the interpolation divides by have inverses, and
the squares modulo n^2 a group in which almost every element generates all.

Not here: the rest of the protocol (`key_share`, `..threshold`), and keys that no dealer ever held whole: distributed
generation of a modulus.

Threat model: the dealer is honest, and gone before anything is encrypted. Then up to `threshold` - 1 holders together
    know nothing that decrypts: their values are random modulo n m, up to the chance of one in 2^(|n| / 2) by which
    those that they could draw themselves without knowing m differ.

Not protected against: a dealer who keeps the primes.

Example:
    >>> public_key, shares = deal(num_shares=3, threshold=2, key_bits=128)  # far too short: for examples and tests
    >>> [share.x for share in shares]
    [1, 2, 3]

Source:
    Damgård, Jurik, "A Generalisation, a Simplification and Some Applications of Paillier's Probabilistic Public-Key
    System", PKC 2001, section 4.1, "Key generation", with s = 1.
"""

import secrets
from collections.abc import Callable

import gmpy2
from gmpy2 import mpz

from fedgdl.crypto.paillier.private.draws import RandomBytes, draw_below, draw_until
from fedgdl.crypto.paillier.private.generation import MAX_PAIRS, key_from_primes, require_key_bits
from fedgdl.crypto.paillier.private.key_share import KeyShare
from fedgdl.crypto.paillier.private.primes import are_far_apart, draw_safe_prime, expected_tests, is_prime
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.crypto.paillier.threshold import require_threshold
from fedgdl.errors import CryptoError

__all__ = ["deal", "share_key"]


def deal(
    num_shares: int,
    threshold: int,
    key_bits: int,
    *,
    random_bytes: RandomBytes = secrets.token_bytes,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[PaillierPublicKey, tuple[KeyShare, ...]]:
    """Returns a new public key and the shares x = 1 ... num_shares of what decrypts.

    The search for safe primes takes a few seconds for 3,072 bits, and sometimes several times as long.

    Args:
        num_shares: how many holders there are, at most `MAX_SHARES`.
        threshold: how many of them decrypt, at least 1.
        key_bits: of the modulus, exactly; even.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.
        on_progress: called with the number of candidates for primes that were tested, and how many that takes on
            average: the search may end earlier, and go on for longer.

    Raises:
        CryptoError: there are no such shares or keys, or the bytes are not random.
    """
    require_threshold(num_shares, threshold)
    require_key_bits(key_bits)
    prime_bits = key_bits // 2
    num_tested, num_expected = 0, round(2 * expected_tests(prime_bits))

    def count_test() -> None:
        nonlocal num_tested
        num_tested += 1
        if on_progress is not None:
            on_progress(num_tested, num_expected)

    p = draw_safe_prime(prime_bits, random_bytes, count_test)
    q = draw_until(
        lambda q: q != p and are_far_apart(p, q),
        lambda: draw_safe_prime(prime_bits, random_bytes, count_test),
        MAX_PAIRS,
    )
    return share_key(p, q, num_shares, threshold, random_bytes=random_bytes)


def share_key(
    p: int,
    q: int,
    num_shares: int,
    threshold: int,
    *,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> tuple[PaillierPublicKey, tuple[KeyShare, ...]]:
    """Returns the public key of two safe primes, and the shares x = 1 ... num_shares of what decrypts.

    Args:
        p: a safe prime, whose half is above `num_shares`.
        q: another one.
        num_shares: how many holders there are, at most `MAX_SHARES`.
        threshold: how many of them decrypt, at least 1.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Raises:
        CryptoError: these are no such primes, there are no such shares, or the bytes are not random.
    """
    require_threshold(num_shares, threshold)
    halves = mpz(p) // 2, mpz(q) // 2
    if any(half <= num_shares or not is_prime(half) for half in halves):
        message = "these primes cannot be shared out"
        raise CryptoError(message)
    public_key = key_from_primes(p, q, random_bytes=random_bytes).public_key
    m = halves[0] * halves[1]
    order = public_key.n * m
    coefficients = [m * gmpy2.invert(m, public_key.n)]
    coefficients += [draw_below(order, random_bytes) for _ in range(threshold - 1)]
    values = ((x, _value_at(x, coefficients, order)) for x in range(1, num_shares + 1))
    return public_key, tuple(KeyShare(public_key, x, value, num_shares, threshold) for x, value in values)


def _value_at(x: int, coefficients: list[mpz], order: mpz) -> mpz:
    value = mpz(0)
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % order
    return value
