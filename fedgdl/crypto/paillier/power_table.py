"""Powers of one base modulo a square, from a table that is made once: one product for two digits of an exponent.

For the digit that counts 2^(window_bits i) in an exponent the table holds base^(2^(window_bits i) d) for every digit d,
and the power is the product of those that the digits choose: no squaring is left. Modulo root^2 every power is
b (1 + l root) with b and l below root. The l are only added up, as (1 + l root)(1 + k root) = 1 + (l + k) root; the b,
half as long as a power, are multiplied in pairs before anything is reduced. Where the processor has lanes (`lanes`),
eight powers are formed at a time, unless they are short.

Not here: where digits come from, and what the powers are for (`obfuscators`, `private.crt_obfuscators`).

Threat model: none of its own: the digits may be secret, and so may root.

Not protected against: who shares the processor's caches may learn which entries are read. Not constant time.

Example:
    >>> table = PowerTable(root=1019, base=5, window_bits=4, num_windows=2)
    >>> table.powers(np.array([[3, 15], [0, 2]])) == [5**3 % 1019**2, 5 ** (15 + 2 * 16) % 1019**2]
    True

Source:
    Brickell, Gordon, McCurley, Wilson, "Fast Exponentiation with Precomputation", EUROCRYPT 1992; the two halves of
    entries are derived above.
"""

import sys
from collections.abc import Iterator
from typing import Any, Final, NoReturn, TypeAlias

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.crypto.paillier.lanes import LaneTable, lanes_are_available

__all__ = ["PowerTable"]

_Row: TypeAlias = tuple[list[mpz], list[mpz]]

_MIN_LANE_BITS: Final = 2048
"""Shorter powers are of keys for teaching and tests, which lanes would save less time than they take to compile."""


class PowerTable:
    """The powers of a base modulo root^2 that are needed to form all others.

    May be used by several threads at once: nothing changes after it is made. Its `repr` shows nothing and it refuses to
    be pickled, as root may be a secret.

    Args:
        root: odd; powers are modulo its square.
        base: has an inverse modulo root.
        window_bits: bits of a digit: there are 2**window_bits entries for each digit of an exponent.
        num_windows: digits of an exponent.
    """

    __slots__ = ("_lanes", "_root", "_rows")

    def __init__(self, root: int, base: int, window_bits: int, num_windows: int) -> None:
        self._root = mpz(root)
        rows = _make_rows(self._root, mpz(base), 2**window_bits, num_windows)
        self._lanes: LaneTable | None = None
        self._rows: list[_Row] = []
        if 2 * self._root.bit_length() >= _MIN_LANE_BITS and lanes_are_available():
            self._lanes = LaneTable(self._root**2, rows, self._root.bit_length())
        else:
            self._rows = list(rows)

    @property
    def num_bytes(self) -> int:
        """Memory that the table takes."""
        if self._lanes is not None:
            return self._lanes.num_bytes
        lists = [entries for row in self._rows for entries in row]
        return sum(sys.getsizeof(entries) + sum(map(sys.getsizeof, entries)) for entries in lists)

    def powers(self, digits: npt.NDArray[np.integer[Any]]) -> list[mpz]:
        """Returns the powers modulo root^2, one for each column of digits.

        Args:
            digits: (num_windows, count) whole numbers from 0 to below 2**window_bits, the lowest digits first.
        """
        products, multiples = self._choose(digits) if self._lanes is None else self._lanes.choose(digits)
        root, square = self._root, self._root**2
        pairs = zip(products, multiples, strict=True)
        return [(product + root * (product % root * multiple % root)) % square for product, multiple in pairs]

    def _choose(self, digits: npt.NDArray[np.integer[Any]]) -> tuple[list[mpz], list[mpz]]:
        """Returns for each column the product modulo root^2 of the chosen b, and the sum of the l beside them."""
        square = self._root**2
        products, multiples = [mpz(1)] * digits.shape[1], [mpz(0)] * digits.shape[1]
        chosen = zip(self._rows, digits.tolist(), strict=True)
        for (factors, more), column in chosen:
            (next_factors, still_more), next_column = next(chosen, (_ONES, [0] * len(column)))
            for index, (digit, next_digit) in enumerate(zip(column, next_column, strict=True)):
                products[index] = factors[digit] * next_factors[next_digit] * products[index] % square
                multiples[index] += more[digit] + still_more[next_digit]
        return products, multiples

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy a table.

        Raises:
            TypeError: always.
        """
        message = "a table of powers may tell a secret, and stays in its process; it cannot be pickled or copied"
        raise TypeError(message)


_ONES: Final[_Row] = [mpz(1)], [mpz(0)]


def _make_rows(root: mpz, base: mpz, num_entries: int, num_windows: int) -> Iterator[_Row]:
    """Yields the row of each window: for each digit b and l of the power b (1 + l root)."""
    factor = base % root
    multiple = base // root % root * gmpy2.invert(factor, root) % root
    for _ in range(num_windows):
        factors, multiples = _powers(root, factor, multiple, num_entries + 1)
        # The power after a row's last is the first of the next row.
        factor, multiple = factors.pop(), multiples.pop()
        yield factors, multiples


def _powers(root: mpz, factor: mpz, multiple: mpz, count: int) -> _Row:
    """Returns the powers 0 ... count - 1 of factor (1 + multiple root) modulo root^2, in the same form."""
    inverse_step = inverse = gmpy2.invert(factor, root)
    factors, multiples = [mpz(1), factor], [mpz(0), multiple]
    while len(factors) < count:
        product = factors[-1] * factor
        # product = rest + carry root = rest (1 + carry / rest root) modulo root^2
        inverse = inverse * inverse_step % root
        factors.append(product % root)
        multiples.append((product // root * inverse + multiples[-1] + multiple) % root)
    return factors, multiples
