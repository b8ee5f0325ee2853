"""Obfuscators: the random n-th powers modulo n^2 that hide plaintexts, each of them one only.

    scheme       an obfuscator                       what it assumes besides Paillier's own assumption
    textbook     r^n, r random below n               nothing
    djn          hs^a, a random of half n's bits     powers of hs with such exponents cannot be told from all others

Powers of a random base modulo n with exponents of half the length are as good as all others if n is hard to factor
(Goldreich and Rosen); hs^a = (h^a)^n is made of h^a modulo n alone.

A power of hs from a table (`power_table`) needs one product modulo n^2, and a quarter of one, for two digits of its
exponent, and no squaring. Where the processor has lanes (`lanes`), it takes a quarter of that.

Not here: how a party that knows the factors of n does it (`private`), and what is made beforehand (`pool`).

Threat model: as in `public_key`: who cannot tell an obfuscator from a random n-th power learns nothing of what it
    hides. The randomness is the operating system's.

Not protected against: an obfuscator that is used twice; the quotient of the two ciphertexts tells the difference of
    their plaintexts. Not constant time: digits of an exponent choose places in memory, which may show to a program
    that shares the processor's caches; and exponents are not wiped from memory, which Python cannot do.

Measured (a core of an AMD EPYC, GMP 6.3, obfuscators 64 at a time; in products modulo n^2, one of which takes 4.5 us
with 2,048 bits and 8.7 us with 3,072 when the other core is idle, and half as long again when it is not):

    bits of n   window bits   table     made in     an obfuscator   in lanes
    2,048       6               7 MB    0.1 s       110             25
    2,048       8              20 MB    0.2 s        92: 0.42 ms    23: 0.11 ms
    2,048       10             65 MB    0.8 s        78             16
    2,048       (textbook)                          2,300           480
    3,072       8              43 MB    0.6 s       127: 1.1 ms     28: 0.25 ms
    3,072       10            136 MB    2.5 s       107

In lanes a table is a tenth larger and takes up to twice as long to make; lanes themselves take 0.1 s and 70 MB, once
in a process.

Example:
    >>> n = 1019 * 1187  # a real one has 2048 bits or more
    >>> source = make_obfuscators(PaillierPublicKey(n, hs=pow(-(5**2), n, n * n)))
    >>> first, second = source.draw(2)
    >>> pow(first, (1019 - 1) * (1187 - 1), n * n)  # so it is for n-th powers
    mpz(1)

Source:
    Damgård, Jurik, Nielsen, "A Generalization of Paillier's Public-Key System with Applications to Electronic
    Voting", International Journal of Information Security 9(6), 2010: hs, and exponents of half the length.
    Goldreich, Rosen, "On the Security of Modular Exponentiation with Application to the Construction of Pseudorandom
    Generators", Journal of Cryptology 16(2), 2003.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import gmpy2
import numpy as np
from gmpy2 import mpz

from fedgdl.crypto.paillier.lanes import LaneModulus, lanes_are_available, worth_lanes
from fedgdl.crypto.paillier.power_table import PowerTable
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.errors import CryptoError

__all__ = ["Obfuscators", "TableObfuscators", "TextbookObfuscators", "make_obfuscators"]

_TABLE_CHUNK: Final = 64
"""So many powers are formed side by side, row by row of the table: a row stays in a core's cache meanwhile."""

_POWER_CHUNK: Final = 8
"""So many are raised to the n-th power before Ctrl-C is heard: 0.3 s with a key of 3,072 bits."""

_MAX_WINDOW_BITS: Final = 12
_MAX_DRAWS: Final = 1000
_NOT_RANDOM: Final = "the random bytes are not random"


class Obfuscators(Protocol):
    """Where a key's obfuscators come from."""

    @property
    def public_key(self) -> PaillierPublicKey:
        """The key that they are for."""

    def draw(self, count: int) -> list[mpz]:
        """Returns so many obfuscators, below n^2: whoever draws them is the only one, and uses each once."""


class TableObfuscators:
    """Random powers of a DJN key's hs, formed with a table that is made once.

    May be used by several threads at once: nothing changes after the table is made.

    Args:
        public_key: of scheme "djn".
        window_bits: bits of a digit, 1 to 12: the table has 2**window_bits powers for each digit of an exponent.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Attributes:
        public_key: as given.

    Raises:
        CryptoError: the key has no hs, or the window is none of these.
    """

    def __init__(
        self,
        public_key: PaillierPublicKey,
        window_bits: int = 8,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if public_key.hs is None or not 1 <= window_bits <= _MAX_WINDOW_BITS:
            message = (
                f"a table needs a key of scheme djn and windows of 1 to {_MAX_WINDOW_BITS} bits, not {window_bits}"
            )
            raise CryptoError(message)
        self.public_key = public_key
        self._random_bytes = random_bytes
        self._digit = np.dtype(np.uint8 if window_bits <= 8 else "<u2")
        self._mask = 2**window_bits - 1
        # Exponents have at least half as many bits as n, and whole digits, in pairs.
        self._num_windows = 2 * -(-public_key.num_bits // (4 * window_bits))
        self._table = PowerTable(public_key.n, public_key.hs, window_bits, self._num_windows)

    @property
    def num_bytes(self) -> int:
        """Memory that the table takes."""
        return self._table.num_bytes

    def draw(self, count: int) -> list[mpz]:
        """Returns so many fresh obfuscators.

        Raises:
            CryptoError: the random bytes are not as many as asked for.
        """
        return [power for size in _chunk_sizes(count, _TABLE_CHUNK) for power in self._draw_chunk(size)]

    def _draw_chunk(self, count: int) -> list[mpz]:
        num_bytes = count * self._num_windows * self._digit.itemsize
        data = self._random_bytes(num_bytes)
        if len(data) != num_bytes:
            raise CryptoError(_NOT_RANDOM)
        return self._table.powers(np.frombuffer(data, self._digit).reshape(self._num_windows, count) & self._mask)


class TextbookObfuscators:
    """The n-th powers of random numbers modulo n^2: right for every key, and slow.

    May be used by several threads at once, which then share the cores: powers are computed without the interpreter.

    Args:
        public_key: of either scheme.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Attributes:
        public_key: as given.
    """

    def __init__(
        self, public_key: PaillierPublicKey, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self.public_key = public_key
        self._random_bytes = random_bytes

    def draw(self, count: int) -> list[mpz]:
        """Returns so many fresh obfuscators.

        Raises:
            CryptoError: the random bytes are not random.
        """
        raise_all = self._power_function(count)
        powers: list[mpz] = []
        for size in _chunk_sizes(count, _POWER_CHUNK):
            powers += raise_all([self._draw_unit() for _ in range(size)])
        return powers

    def _power_function(self, count: int) -> Callable[[list[mpz]], list[mpz]]:
        """Returns what raises numbers to the n-th power modulo n^2, the quickest way for so many."""
        n, n_squared, num_bits = self.public_key.n, self.public_key.n_squared, self.public_key.num_bits
        if worth_lanes(2 * num_bits, count * num_bits * 6 // 5) and lanes_are_available():
            lanes = LaneModulus(n_squared)
            return lambda units: lanes.powers(units, n)
        return lambda units: list(gmpy2.powmod_base_list(units, n, n_squared))

    def _draw_unit(self) -> mpz:
        """Returns a random number below n that has no factor in common with it."""
        n, num_bits = self.public_key.n, self.public_key.num_bits
        for _ in range(_MAX_DRAWS):
            data = self._random_bytes(-(-num_bits // 8))
            if len(data) != -(-num_bits // 8):
                break
            unit = gmpy2.f_mod_2exp(mpz.from_bytes(data, "big"), num_bits)
            if 0 < unit < n and gmpy2.gcd(unit, n) == 1:
                return unit
        raise CryptoError(_NOT_RANDOM)


def make_obfuscators(public_key: PaillierPublicKey) -> TableObfuscators | TextbookObfuscators:
    """Returns where obfuscators of the key's scheme come from; a table is made anew at each call."""
    return TextbookObfuscators(public_key) if public_key.hs is None else TableObfuscators(public_key)


def _chunk_sizes(count: int, largest: int) -> Iterator[int]:
    for done in range(0, count, largest):
        yield min(largest, count - done)
