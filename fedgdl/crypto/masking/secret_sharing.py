"""A secret among many holders: any `threshold` of them restore it, fewer know nothing of it.

The secret is a polynomial's value at 0; all else of the polynomial is random. The holder of share x has its value at
x: as many points as the polynomial has coefficients determine it, and one fewer leaves every secret equally possible.
All is done modulo the prime 2^256 + 297, so that any 32 bytes are a secret, a private key or a seed.

Not here: who holds which share (`graph`), and bringing it there unread (`sealing`).

Threat model: up to threshold - 1 holders put their shares together; what they learn of the secret is nothing, whatever
    they can compute.

Not protected against: wrong shares. Those of one holder give another secret, which only a comparison with something
    known finds (a private key has its public key). Not constant time: how long whole numbers are shows in the time
    that is spent on them. Secrets left in memory, which Python cannot wipe.

Example:
    >>> secret = bytes(range(32))
    >>> shares = split(secret, threshold=2, num_shares=3)
    >>> combine({1: shares[0], 3: shares[2]}) == secret
    True
"""

import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isqrt, prod
from operator import mul
from typing import Final

import gmpy2
from gmpy2 import mpz

from fedgdl.errors import CryptoError

__all__ = ["SECRET_BYTES", "SHARE_BYTES", "combine", "split"]

SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33

_PRIME: Final = mpz(2**256 + 297)
"""The least prime above 2^256."""

_DRAW_BYTES: Final = 40
_DRAW_LIMIT: Final = int(2 ** (8 * _DRAW_BYTES) // _PRIME * _PRIME)
"""Draws below it have every remainder equally often; one in 2^63 is not below."""

_NO_SECRET: Final = "the shares determine no secret"


def split(
    secret: bytes,
    threshold: int,
    num_shares: int,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[bytes, ...]:
    """Returns the shares x = 1 ... num_shares of a secret.

    Args:
        secret: 32 bytes.
        threshold: how many shares restore it, at least 1.
        num_shares: how many there are, at least `threshold`.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Returns:
        For each share 33 bytes: the polynomial's value at x, big-endian.

    Raises:
        CryptoError: the secret is not 32 bytes, the threshold is below 1 or above the number of shares, or the
            random bytes are not random.

    Source:
        Shamir, "How to Share a Secret", Communications of the ACM 22(11), 1979.
    """
    if len(secret) != SECRET_BYTES:
        message = "a shared secret is 32 bytes"
        raise CryptoError(message)
    if not 1 <= threshold <= num_shares:
        message = f"{num_shares} shares cannot have the threshold {threshold}"
        raise CryptoError(message)
    coefficients = [mpz(int.from_bytes(secret)), *_draw(threshold - 1, random_bytes)]
    return tuple(int(value).to_bytes(SHARE_BYTES) for value in _values(coefficients, num_shares))


def combine(shares: Mapping[int, bytes]) -> bytes:
    """Returns the secret that all given shares determine.

    Args:
        shares: x -> share; exactly `threshold` of `split`'s, or more, which costs more and gives the same.

    Returns:
        The secret, 32 bytes: another one when a share is wrong or too few are given.

    Raises:
        CryptoError: there is no share, an x is none, a share is malformed, or what they determine is no secret.

    Source:
        Shamir 1979; Lagrange's interpolation at 0.
    """
    xs = tuple(sorted(shares))
    if not xs or not 1 <= xs[0] <= xs[-1] < _PRIME:
        raise CryptoError(_NO_SECRET)
    values = [_parse(shares[x]) for x in xs]
    secret = int(sum(map(mul, _weights_at_zero(xs), values)) % _PRIME)
    if secret.bit_length() > 8 * SECRET_BYTES:
        raise CryptoError(_NO_SECRET)
    return secret.to_bytes(SECRET_BYTES)


def _parse(share: bytes) -> int:
    value = int.from_bytes(share)
    if len(share) != SHARE_BYTES or value >= _PRIME:
        raise CryptoError(_NO_SECRET)
    return value


def _draw(count: int, random_bytes: Callable[[int], bytes]) -> list[mpz]:
    """Returns numbers that are uniform below the prime.

    Raises:
        CryptoError: the bytes are too few, or above the limit as random ones never are.
    """
    data = random_bytes(_DRAW_BYTES * count)
    draws = [int.from_bytes(data[start : start + _DRAW_BYTES]) for start in range(0, len(data), _DRAW_BYTES)]
    for index, draw in enumerate(draws):
        if draw >= _DRAW_LIMIT:
            draws[index] = int.from_bytes(random_bytes(_DRAW_BYTES))
    if len(data) != _DRAW_BYTES * count or any(draw >= _DRAW_LIMIT for draw in draws):
        message = "what should give random bytes does not"
        raise CryptoError(message)
    return [mpz(draw) % _PRIME for draw in draws]


def _values(coefficients: list[mpz], num_values: int) -> list[mpz]:
    """Returns a polynomial's values at 1 ... num_values, modulo the prime.

    The polynomial is cut into blocks of about as many coefficients as there are blocks. Those of all blocks that are
    multiplied by the same power of x are one long number, so one multiplication serves all blocks; the blocks' values
    are then coefficients of a polynomial in x^block_size. Remainders are taken last, as x is small.

    Source:
        Paterson, Stockmeyer, "On the Number of Nonscalar Multiplications Necessary to Evaluate Polynomials", SIAM
        Journal on Computing 2(1), 1973 (the blocks).
    """
    num_blocks = isqrt(len(coefficients))
    block_size = -(-len(coefficients) // num_blocks)
    # A block's value is below 2^257 (1 + x + ... + x^(block_size - 1)).
    slot_bits = 257 + block_size * num_values.bit_length()
    rows = [gmpy2.pack(coefficients[power::block_size], slot_bits) for power in reversed(range(block_size))]
    values = []
    for x in range(1, num_values + 1):
        blocks = mpz(0)
        for row in rows:
            blocks = blocks * x + row
        step, value = mpz(x) ** block_size, mpz(0)
        for block in reversed(gmpy2.unpack(blocks, slot_bits)):
            value = value * step + block
        values.append(value % _PRIME)
    return values


@lru_cache(maxsize=256)
def _weights_at_zero(xs: tuple[int, ...]) -> tuple[mpz, ...]:
    """Returns by what the values at xs are multiplied so that their sum is the value at 0."""
    product = prod(xs)
    denominators = (x * prod([other - x for other in xs if other != x]) for x in xs)
    return tuple(product * gmpy2.invert(denominator, _PRIME) % _PRIME for denominator in denominators)
