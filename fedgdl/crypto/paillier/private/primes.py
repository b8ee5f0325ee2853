"""Secret primes: random ones that are 3 modulo 4, and safe ones, of which (p - 1) / 2 is prime as well.

The two highest bits of every prime are set, so that the product of two has exactly twice as many bits. A number passes
for a prime after the Baillie-PSW test and 16 rounds of Miller and Rabin's: no composite is known that passes the
first, and of random ones fewer than one in 4^16 passes the second. GMP's bases are always the same, so a composite that
somebody made for them could pass the second test, but not the first.

Not here: which two primes make a key (`generation`).

Threat model: others know how primes are searched for, and not the random bytes. All primes of the wanted form with the
    wanted number of bits are equally likely; of safe primes, those that follow a long gap are likelier, which leaves
    almost as many bits to guess.

Not protected against: who watches how long a search takes learns how many candidates failed.

Example:
    >>> import secrets
    >>> prime = draw_prime(64, secrets.token_bytes)
    >>> prime.bit_length(), int(prime % 4), is_prime(prime)
    (64, 3, True)
    >>> is_prime((draw_safe_prime(64, secrets.token_bytes) - 1) // 2)
    True

Source:
    Digital Signature Standard, FIPS 186-5, 2023, appendices A.1.3 (random primes) and B.3 (how many tests).
    Baillie, Wagstaff, "Lucas Pseudoprimes", Mathematics of Computation 35, 1980.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.crypto.paillier.private.draws import RandomBytes, draw_bits, draw_until

__all__ = ["MIN_PRIME_BITS", "are_far_apart", "draw_prime", "draw_safe_prime", "expected_tests", "is_prime"]

MIN_PRIME_BITS: Final = 32
"""Shorter primes are not drawn: small divisors are looked for first, and one of them could be the prime itself."""

_TESTS: Final = 40  # GMP counts the Baillie-PSW test as 24
_SMALL_PRIMES: Final = gmpy2.primorial(10_000)
_STEP: Final = 12
"""Safe primes above 7 are 11 modulo 12: p and (p - 1) / 2 are odd, and neither is a multiple of 3."""

_MAX_RUNS: Final = 100
"""Of runs of candidates; nearly two in three have a safe prime."""

_LIMB_BITS: Final = 30
_EULER: Final = 1.781  # e to the power of Euler's constant


def is_prime(number: mpz) -> bool:
    """Returns whether a number is a prime, but for a chance that can be forgotten."""
    return bool(gmpy2.is_prime(number, _TESTS))


def are_far_apart(p: mpz, q: mpz) -> bool:
    """Returns whether two primes differ early enough, so that their product's square root does not lead to them.

    Source:
        FIPS 186-5, appendix A.1.3: |p - q| > 2^(nlen/2 - 100).
    """
    return bool(abs(p - q).bit_length() > max(p.bit_length(), q.bit_length()) - 100)


def draw_prime(num_bits: int, random_bytes: RandomBytes) -> mpz:
    """Returns a random prime that is 3 modulo 4.

    Args:
        num_bits: of the prime, at least `MIN_PRIME_BITS`; its two highest bits are set.
        random_bytes: count -> that many bytes nobody can foresee.

    Raises:
        CryptoError: the bytes are not random.
    """
    fixed_bits = mpz(3) << (num_bits - 2) | 3
    return draw_until(
        lambda number: gmpy2.gcd(number, _SMALL_PRIMES) == 1 and is_prime(number),
        lambda: draw_bits(num_bits, random_bytes) | fixed_bits,
    )


def draw_safe_prime(num_bits: int, random_bytes: RandomBytes, on_test: Callable[[], None] | None = None) -> mpz:
    """Returns the first safe prime at or above a random number.

    A run of candidates from there on is sieved with small primes, p and (p - 1) / 2 at the same time; what is left is
    tested. Where a run has no safe prime, another number is drawn.

    Args:
        num_bits: of the prime, at least `MIN_PRIME_BITS`; its two highest bits are set.
        random_bytes: count -> that many bytes nobody can foresee.
        on_test: called before each test of a candidate; `expected_tests` says how many there are on average.

    Raises:
        CryptoError: the bytes are not random.

    Source:
        Brandt, Damgård, "On Generation of Probable Primes by Incremental Search", CRYPTO 1992. Wiener, "Safe Prime
        Generation with a Combined Sieve", IACR ePrint 2003/186.
    """
    highest_bits = mpz(3) << (num_bits - 2)

    def search() -> mpz:
        first = draw_bits(num_bits, random_bytes) | highest_bits
        first += (_STEP - 1 - first) % _STEP
        for index in _sieved(first):
            if on_test is not None:
                on_test()
            candidate = first + _STEP * int(index)
            # One test of the half finds almost all composites; what passes is tested in earnest.
            if gmpy2.is_strong_prp(candidate // 2, 2) and is_prime(candidate) and is_prime(candidate // 2):
                return candidate
        return mpz(0)

    return draw_until(lambda prime: prime.bit_length() == num_bits, search, _MAX_RUNS)


def expected_tests(num_bits: int) -> float:
    """Returns how many candidates `draw_safe_prime` tests on average.

    Source:
        Mertens' third theorem: numbers without a prime factor below L are primes e^gamma ln(L) times as often as
        others of their size; here that holds for p and (p - 1) / 2.
    """
    return float((num_bits * np.log(2) / (_EULER * np.log(_sieve_limit(num_bits)))) ** 2)


def _sieve_limit(num_bits: int) -> int:
    """Returns up to where small primes are sieved with: where sieving on would cost as much as it saves."""
    return num_bits * num_bits


def _sieved(first: mpz) -> npt.NDArray[np.int64]:
    """Returns the indices i, ascending, for which neither first + 12 i nor half of it has a small prime factor.

    The run is as long as it takes to find one safe prime on average: of numbers around 2^b that are 11 modulo 12, one
    in about b^2 / 16 is one.
    """
    num_bits = first.bit_length()
    primes = _primes_from_5(_sieve_limit(num_bits))
    is_left = np.ones(num_bits * num_bits // 16, dtype=np.bool_)
    # 12 i = -first modulo r makes first + 12 i a multiple of r; 12 i = 1 - first does so with half of it. The inverse
    # of 12 modulo r is (r (12 - r mod 12) + 1) / 12, as every r is its own inverse modulo 12.
    inverse = (primes * (_STEP - primes % _STEP) + 1) // _STEP
    remainders = _remainders(first, primes)
    for numerator in (primes - remainders, primes + 1 - remainders):
        starts = numerator * inverse % primes
        is_many = primes < is_left.size
        for start, prime in zip(starts[is_many].tolist(), primes[is_many].tolist(), strict=True):
            is_left[start::prime] = False
        once = starts[~is_many]
        is_left[once[once < is_left.size]] = False
    return np.flatnonzero(is_left)


def _remainders(number: mpz, primes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns a large number modulo each of many primes below 2^32."""
    remainders = np.zeros_like(primes)
    for limb in reversed(gmpy2.unpack(number, _LIMB_BITS)):
        remainders = (remainders << _LIMB_BITS | int(limb)) % primes
    return remainders


@lru_cache(maxsize=4)
def _primes_from_5(limit: int) -> npt.NDArray[np.int64]:
    """Returns the primes from 5 to below a limit."""
    is_left = np.ones(limit, dtype=np.bool_)
    is_left[:5] = False
    is_left[4::2] = is_left[6::3] = False
    for number in range(5, int(limit**0.5) + 1, 2):
        if is_left[number]:
            is_left[number * number :: number] = False
    return np.flatnonzero(is_left).astype(np.int64)
