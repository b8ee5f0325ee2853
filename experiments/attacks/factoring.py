"""Takes a modulus apart that is too short: the self-initialising quadratic sieve, on one core.

Many numbers a x + b are looked for whose square, less k n, has small primes alone; products of some of these are
squares too, and X^2 = Y^2 modulo n gives a factor. For a modulus of 128 bits that takes about half a second, and
each 32 bits more take about ten times as long or longer. Of keys of 2,048 bits it says only that they are far away.

Not here: what is done with the factors (`book_paillier`). Not for numbers with small factors, nor for those of more
than `MAX_BITS`: programs written for that (CADO-NFS) go on where this one ends.

Source:
    C. Pomerance, "The Quadratic Sieve Factoring Algorithm", EUROCRYPT 1984. R. D. Silverman, "The Multiple Polynomial
    Quadratic Sieve", Mathematics of Computation 48 (1987): polynomials, multiplier, one large prime. S. P. Contini,
    "Factoring Integers with the Self-Initializing Quadratic Sieve", master's thesis, University of Georgia, 1997.

Example:
    >>> import numpy as np
    >>> factor(0xFFFFFFFB * 0xFFFFFFEF, np.random.default_rng(1))
    (4294967279, 4294967291)
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.errors import CryptoError
from fedgdl.progress import watched

__all__ = ["MAX_BITS", "MIN_BITS", "factor"]

MIN_BITS: Final = 48
"""The sieve's polynomials are products of primes; below this there are too few of the right size."""

MAX_BITS: Final = 200
"""Up to this it is a matter of minutes."""

_SIZES: Final = ((64, 80, 8_192), (96, 200, 32_768), (128, 600, 65_536), (160, 1_600, 131_072), (192, 3_000, 131_072))
"""For moduli of up to so many bits: so many primes, and so many places to both sides of zero; found by trying."""

_MULTIPLIERS: Final = (1, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)
_SMALL: Final = 20
"""Primes below this are not sieved with: they would take most of the time and tell least."""

_SLACK_BITS: Final = 6
"""What the primes that are not sieved with, and rounded logarithms, may make up for."""

_LARGE_PRIME: Final = 60
"""One prime of up to so many times the largest of the base may be left over; two such numbers make a useful one."""

_SPARE: Final = 20
"""So many relations more than primes: that all their products give trivial factors has a chance of 2**-20."""

_TOO_SMALL: Final = 100_000
"""A number with a prime factor below this is no modulus, and is refused."""

_Integers: TypeAlias = npt.NDArray[np.int64]
_Starts: TypeAlias = tuple[_Integers, _Integers]


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """The factor base of k n: its primes (b,), a square root of k n modulo each of them, and their logarithms."""

    number: mpz  # k n
    primes: _Integers
    roots: _Integers
    logarithms: npt.NDArray[np.uint8]
    half_width: int

    @property
    def largest_left_over(self) -> int:
        return _LARGE_PRIME * int(self.primes[-1])

    @property
    def threshold(self) -> int:
        """How many bits of a value must be found by sieving for it to be looked at; values have about `size`."""
        size = self.number.bit_length() / 2 - 0.5 + math.log2(self.half_width)
        return int(size - math.log2(self.largest_left_over) - _SLACK_BITS)


@dataclass(frozen=True, slots=True, eq=False)
class _Relation:
    """A number whose square is, modulo k n, the product of the base's primes to these powers; the last is -1's."""

    root: mpz
    powers: npt.NDArray[np.int64]


def factor(n: int, rng: np.random.Generator) -> tuple[int, int]:
    """Returns two factors of a number, the smaller first, both greater than 1; whoever watches sees how far it is.

    Args:
        n: a number of `MIN_BITS` to `MAX_BITS` bits, no prime and no power, without a prime factor below 100,000.
        rng: which polynomials are tried; the factors do not depend on it.

    Raises:
        CryptoError: it is a number that this cannot take apart.
    """
    number = mpz(n)
    if not MIN_BITS <= number.bit_length() <= MAX_BITS:
        message = f"numbers of {MIN_BITS} to {MAX_BITS} bits are taken apart, this one has {number.bit_length():,}"
        raise CryptoError(message)
    if gmpy2.is_prime(number) or gmpy2.is_power(number) or gmpy2.gcd(number, gmpy2.primorial(_TOO_SMALL)) > 1:
        message = "the number is a prime, a power, or has a small factor; none of these is a modulus"
        raise CryptoError(message)
    base = _make_base(number)
    wanted, relations = len(base.primes) + _SPARE, list[_Relation]()
    source = _relations(base, number, rng)
    while True:
        relations += [next(source) for _ in watched(range(wanted), f"factoring {number.bit_length()} bits")]
        for one in _factors_of(number, base, relations):
            if 1 < one < number:
                return min(int(one), int(number // one)), max(int(one), int(number // one))
        wanted = _SPARE


def _primes_below(limit: int) -> _Integers:
    is_prime = np.ones(limit, bool)
    is_prime[:2] = False
    for number in range(2, math.isqrt(limit) + 1):
        if is_prime[number]:
            is_prime[number * number :: number] = False
    return np.flatnonzero(is_prime)


def _make_base(n: mpz) -> _Base:
    """Returns the primes modulo which k n is a square, for the k that makes them small."""
    _, count, half_width = next((row for row in _SIZES if n.bit_length() <= row[0]), _SIZES[-1])
    candidates = _primes_below(64 * count + 1_000)
    number = max(_MULTIPLIERS, key=lambda k: _worth(k, n, candidates[1:100].tolist())) * n
    primes, roots = list[int](), list[int]()
    for prime in candidates.tolist():
        residue = int(number % prime)
        if prime > 2 and residue and gmpy2.jacobi(residue, prime) != 1:
            continue
        values = np.arange(prime // 2 + 1, dtype=np.int64)
        primes.append(prime)
        roots.append(int(np.flatnonzero(values * values % prime == residue)[0]))
        if len(primes) == count:
            break
    return _Base(
        number,
        np.array(primes, np.int64),
        np.array(roots, np.int64),
        np.rint(np.log2(primes)).astype(np.uint8),
        half_width,
    )


def _worth(k: int, n: mpz, odd_primes: list[int]) -> float:
    """Returns how much of a value of the polynomials small primes divide out on average, as a logarithm.

    Source: Silverman 1987, section 5 (the function of Knuth and Schroeppel).
    """
    number = k * n
    worth = {1: 2.0, 5: 1.0}.get(int(number % 8), 0.5) * math.log(2) - 0.5 * math.log(k)
    for prime in odd_primes:
        if k % prime == 0:
            worth += math.log(prime) / prime
        elif gmpy2.jacobi(number, prime) == 1:
            worth += 2 * math.log(prime) / (prime - 1)
    return worth


def _relations(base: _Base, n: mpz, rng: np.random.Generator) -> Iterator[_Relation]:
    """Yields relations without end, none twice."""
    seen, halves = set[mpz](), dict[int, _Relation]()
    for leading in _leading_coefficients(base, rng):
        for relation, left_over in _sieve_all(base, leading):
            if left_over == 1:
                whole = relation
            elif left_over not in halves:
                if gmpy2.gcd(left_over, n) == 1:  # in an unbalanced n it may be a factor
                    halves[left_over] = relation
                continue
            else:
                other = halves[left_over]
                root = relation.root * other.root * gmpy2.invert(left_over, n) % n
                whole = _Relation(root, relation.powers + other.powers)
            key = min(whole.root % n, -whole.root % n)
            if key not in seen:
                seen.add(key)
                yield whole


def _leading_coefficients(base: _Base, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Yields which primes of the base make up `a`, about sqrt(2 k n) / half_width, never the same ones twice."""
    target = float(gmpy2.isqrt(2 * base.number) // base.half_width)
    bits = math.log2(target)
    count = max(2, round(bits / (11 if bits > 30 else 9)))
    middle = int(np.searchsorted(base.primes, target ** (1 / count)))
    reach = max(3 * count, 15)
    usable = np.flatnonzero((base.roots != 0) & (base.primes > 3))
    pool = usable[(usable >= middle - reach) & (usable < middle + reach)]
    used = set[tuple[int, ...]]()
    for tries in itertools.count(1):
        found = dict[tuple[int, ...], float]()
        for _ in range(30):
            most = sorted(rng.choice(pool, count - 1, replace=False).tolist())
            product = math.prod(base.primes[most].tolist())
            nearest = usable[min(int(np.searchsorted(base.primes[usable], target / product)), len(usable) - 1)]
            chosen = tuple(sorted({*most, int(nearest) if tries < 1_000 else int(rng.choice(usable))}))
            if len(chosen) == count and chosen not in used:
                found[chosen] = abs(math.log2(product * float(base.primes[nearest]) / target))
        if found:
            best = min(found, key=lambda chosen: found[chosen])
            used.add(best)
            yield best


def _sieve_all(base: _Base, leading: tuple[int, ...]) -> Iterator[tuple[_Relation, int]]:
    """Yields what the polynomials (a x + b)^2 - k n with one `a` give: relations, and the prime left over or 1."""
    primes = base.primes.tolist()
    a = mpz(math.prod(primes[index] for index in leading))
    parts = []
    for index in leading:
        prime, rest = primes[index], a // primes[index]
        gamma = int(base.roots[index]) * int(gmpy2.invert(rest, prime)) % prime
        parts.append(rest * min(gamma, prime - gamma))
    residues = [int(a % prime) for prime in primes]
    inverses = np.array(
        [pow(residue, -1, prime) if residue else 0 for residue, prime in zip(residues, primes, strict=True)], np.int64
    )
    parts_modulo = np.array([[int(part % prime) for prime in primes] for part in parts], np.int64)
    is_sieved = (inverses != 0) & (base.primes >= _SMALL)
    for signs in itertools.product((1, -1), repeat=len(leading) - 1):
        all_signs = np.array((1, *signs), np.int64)
        b = sum(int(sign) * part for sign, part in zip(all_signs, parts, strict=True))
        b_modulo = all_signs @ parts_modulo
        first, second = (
            ((root - b_modulo) * inverses + base.half_width) % base.primes for root in (base.roots, -base.roots)
        )
        yield from _sieve(base, leading, is_sieved, (a, b), (first, second))


def _sieve(
    base: _Base,
    leading: tuple[int, ...],
    is_sieved: npt.NDArray[np.bool_],
    polynomial: tuple[mpz, mpz],
    starts: _Starts,
) -> Iterator[tuple[_Relation, int]]:
    """Yields what one polynomial (a, b) gives; `starts`: for each prime the two places from which it divides."""
    found = np.zeros(2 * base.half_width, np.uint8)
    sieved = [column[is_sieved].tolist() for column in (base.primes, base.logarithms, *starts)]
    for prime, logarithm, first, second in zip(*sieved, strict=True):
        found[first::prime] += logarithm
        found[second::prime] += logarithm
    a, b = polynomial
    c = (b * b - base.number) // a
    for place in np.flatnonzero(found >= base.threshold).tolist():
        x = place - base.half_width
        value = (a * x + 2 * b) * x + c
        powers = np.zeros(len(base.primes) + 1, np.int64)
        powers[-1], value = int(value < 0), abs(value)
        here = place % base.primes
        for index in np.flatnonzero(~is_sieved | (here == starts[0]) | (here == starts[1])).tolist():
            value, powers[index] = gmpy2.remove(value, int(base.primes[index]))
        if value <= base.largest_left_over:  # and so a prime, or 1
            powers[list(leading)] += 1
            yield _Relation(a * x + b, powers), int(value)


def _factors_of(n: mpz, base: _Base, relations: list[_Relation]) -> Iterator[mpz]:
    """Yields gcd(X - Y, n) for every product X^2 = Y^2 that elimination modulo 2 finds."""
    pivots = dict[int, tuple[int, int]]()
    for place, relation in enumerate(relations):
        odd = int.from_bytes(np.packbits((relation.powers & 1).astype(np.uint8)).tobytes())
        members = 1 << place
        while odd and odd.bit_length() in pivots:
            other_odd, other_members = pivots[odd.bit_length()]
            odd, members = odd ^ other_odd, members ^ other_members
        if odd:
            pivots[odd.bit_length()] = (odd, members)
            continue
        chosen = [one for index, one in enumerate(relations) if members >> index & 1]
        left, right = mpz(1), mpz(1)
        for one in chosen:
            left = left * one.root % n
        powers = np.sum([one.powers for one in chosen], axis=0)[:-1] // 2
        for prime, power in zip(base.primes.tolist(), powers.tolist(), strict=True):
            right = right * gmpy2.powmod(prime, power, n) % n
        yield gmpy2.gcd(left - right, n)
