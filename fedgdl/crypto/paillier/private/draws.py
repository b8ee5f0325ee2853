"""Whole numbers that nobody can foresee, from a source of random bytes.

The source is `secrets.token_bytes` wherever a key, a share or an obfuscator is at stake; tests put another in its
place. One that repeats itself, or gives too few bytes, ends in an error and never in an endless search.

Not here: primes (`primes`), and anything drawn for a simulation, which comes from the experiment's seed.

Example:
    >>> draw_bits(12, lambda count: bytes([0xAB] * count))
    mpz(2987)
    >>> import secrets
    >>> 0 <= draw_below(mpz(10), secrets.token_bytes) < 10
    True
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import gmpy2
from gmpy2 import mpz

from fedgdl.errors import CryptoError

__all__ = ["RandomBytes", "draw_below", "draw_bits", "draw_unit", "draw_until"]

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Count -> that many bytes nobody can foresee."""

_MAX_DRAWS: Final = 100_000
"""More than random bytes ever need: of the searches for a prime of 4,096 bits, one in 10^30 would be given up."""

_NOT_RANDOM: Final = "what should give random bytes does not"


def draw_bits(num_bits: int, random_bytes: RandomBytes) -> mpz:
    """Returns a number of at most so many bits, all equally likely.

    Raises:
        CryptoError: the source gives another number of bytes than it was asked for.
    """
    num_bytes = -(-num_bits // 8)
    data = random_bytes(num_bytes)
    if len(data) != num_bytes:
        raise CryptoError(_NOT_RANDOM)
    return mpz(int.from_bytes(data)) & ((mpz(1) << num_bits) - 1)


def draw_below(limit: mpz, random_bytes: RandomBytes) -> mpz:
    """Returns a number from 0 to below the limit, all equally likely.

    Raises:
        CryptoError: the bytes are not random.
    """
    num_bits = limit.bit_length()
    return draw_until(lambda number: number < limit, lambda: draw_bits(num_bits, random_bytes))


def draw_unit(modulus: mpz, random_bytes: RandomBytes) -> mpz:
    """Returns a number below the modulus that has an inverse modulo it, all equally likely.

    Raises:
        CryptoError: the bytes are not random.
    """
    return draw_until(lambda number: gmpy2.gcd(number, modulus) == 1, lambda: draw_below(modulus, random_bytes))


def draw_until(is_accepted: Callable[[mpz], bool], draw: Callable[[], mpz], max_draws: int = _MAX_DRAWS) -> mpz:
    """Returns the first number drawn that is accepted.

    Raises:
        CryptoError: none of `max_draws` was, so they are not random.
    """
    for _ in range(max_draws):
        number = draw()
        if is_accepted(number):
            return number
    raise CryptoError(_NOT_RANDOM)
