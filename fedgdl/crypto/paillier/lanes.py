"""Modular products of many large numbers at once, eight side by side in the lanes of vector registers.

Two things are done for a batch of numbers, with the results of gmpy2, bit for bit, in a quarter of the time or less:
all are raised to one power (`LaneModulus`), and products are formed of entries from a table's rows (`LaneTable`).

Needs llvmlite, which numba brings along (`pip install fedgdl[fast]`), and a processor with AVX-512 IFMA (Intel's for
servers since 2021, AMD's since 2022): `lanes_are_available` tells. Elsewhere gmpy2 has to do: with the instructions of
other processors, lanes would save half the time at best.

When it pays: the first use in a process takes a tenth of a second and 70 MB, 30 MB of them its own, for llvmlite and
compiling; `worth_lanes` says whether a batch makes up for that, and imports nothing. Eight numbers take as long as one.
Calls run without the interpreter's lock, so several threads compute at the same time; Ctrl-C is heard after a call.

Measured (one core of an AMD EPYC with AVX-512 IFMA, the other one busy; GMP 6.3; microseconds a number, 64 at once):

    key of                                      2,048 bits               3,072 bits
    obfuscator from a table modulo n^2          100 (gmpy2:    570)        310 (gmpy2:  1,530)
    (p - 1)-th power modulo p^2                 330 (gmpy2:  1,740)      1,020 (gmpy2:  5,360)
    n-th power modulo n^2                     2,280 (gmpy2: 12,700)      7,030 (gmpy2: 39,600)

A single product of two lists is not offered: taking the numbers in and out costs what is saved.

Not here: the machine code (`lane_kernels`), and what is computed with it (`obfuscators`, `private`).

Threat model: an exponent, and the numbers raised to it, may be secret. In `powers` no branch and no address depends on
    them, only on the lengths of the exponent and the modulus; it is assumed that the processor multiplies all numbers
    in the same time.

Not protected against: who shares the processor's caches may learn which entries a `LaneTable` reads. Numbers are put
    into lanes and taken out with Python's arithmetic, in times that depend a little on them. Secrets stay in memory,
    which Python cannot wipe.

Example:
    >>> numbers, exponent, modulus = [2, 3, 2**200], 65537, 2**255 - 19
    >>> expected = [pow(number, exponent, modulus) for number in numbers]
    >>> (LaneModulus(modulus).powers(numbers, exponent) if lanes_are_available() else expected) == expected
    True

Source:
    As in `lane_kernels`.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.crypto.paillier.lane_code import LANES, LIMB_BITS
from fedgdl.crypto.paillier.lane_kernels import BLOCK, WINDOW_BITS, load_kernels
from fedgdl.errors import CryptoError

__all__ = ["MAX_MODULUS_BITS", "LaneModulus", "LaneTable", "lanes_are_available", "worth_lanes"]

MAX_MODULUS_BITS: Final = 32_768
"""Above this, sums of limbs would overflow."""

_MAX_ROWS: Final = 2**12
_MAX_ENTRIES: Final = 2**16
_LIMB_MASK: Final = np.uint64(2**LIMB_BITS - 1)
_PAIR_BYTES: Final = 2 * LIMB_BITS // 8
"""Two limbs are thirteen bytes."""
_WORTHWHILE_PRODUCTS: Final = 250_000
"""So many products modulo numbers of 2,048 bits take 0.2 s less in lanes: more than the first use takes."""

_Words = npt.NDArray[np.uint64]


def lanes_are_available() -> bool:
    """Returns whether this machine has what lanes need; compiles it, once in a process."""
    return load_kernels() is not None


def worth_lanes(modulus_bits: int, num_products: int) -> bool:
    """Returns whether so many products modulo a number of so many bits would be faster in lanes, start included.

    Needs nothing that takes time: where it is so, ask `lanes_are_available`.

    Args:
        modulus_bits: at most `MAX_MODULUS_BITS`.
        num_products: of all numbers together; a power takes about six products for five bits of its exponent.
    """
    return 512 <= modulus_bits <= MAX_MODULUS_BITS and num_products * (modulus_bits / 2048) ** 2 >= _WORTHWHILE_PRODUCTS


class _Lanes:
    """A modulus as the kernels want it, which may be a secret: it is not shown by `repr` and refuses to be pickled."""

    __slots__ = ("_inverse", "_kernels", "_limbs", "_modulus", "_size")

    def __init__(self, modulus: int) -> None:
        self._modulus = mpz(modulus)
        if modulus < 3 or modulus % 2 == 0 or self._modulus.bit_length() > MAX_MODULUS_BITS:
            message = f"a modulus for lanes is odd, at least 3 and of at most {MAX_MODULUS_BITS} bits"
            raise CryptoError(message)
        kernels = load_kernels()
        if kernels is None:
            message = "lanes need fedgdl[fast] and a processor with AVX-512 IFMA: see lanes_are_available"
            raise CryptoError(message)
        self._kernels = kernels
        self._size = _num_limbs(self._modulus.bit_length() + 2)
        self._limbs = _to_limbs([self._modulus], self._size, 1)[0]
        self._inverse = int(gmpy2.invert(-self._modulus, 2**LIMB_BITS))

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy what may be a secret.

        Raises:
            TypeError: always.
        """
        message = "a modulus for lanes may be a secret and stays in its process; it cannot be pickled or copied"
        raise TypeError(message)

    def _to_lanes(self, numbers: Sequence[int]) -> _Words:
        """Returns numbers as (G, L, 8), one a lane, and 0 in the lanes that are left.

        Raises:
            CryptoError: a number is not from 0 to below the modulus.
        """
        _require_below(numbers, self._modulus)
        limbs = _to_limbs(numbers, self._size, -(-len(numbers) // LANES) * LANES)
        lanes: _Words = limbs.reshape(-1, LANES, self._size).swapaxes(1, 2).copy()
        return lanes

    def _in_all_lanes(self, number: int) -> _Words:
        """Returns a number below the modulus as (L, 8)."""
        lanes: _Words = self._to_lanes([number] * LANES)[0]
        return lanes

    def _from_lanes(self, lanes: _Words, count: int) -> list[mpz]:
        """Returns what stands below twice the modulus in the first lanes, as numbers below the modulus."""
        modulus = self._modulus
        numbers = _from_limbs(lanes.swapaxes(1, 2).reshape(-1, self._size)[:count])
        return [number - modulus if number >= modulus else number for number in numbers]


class LaneModulus(_Lanes):
    """An odd modulus, and powers of many numbers modulo it.

    May be used by several threads at once: nothing changes after it is made.

    Args:
        modulus: odd, at least 3, of at most `MAX_MODULUS_BITS` bits.

    Raises:
        CryptoError: it is none of these, or `lanes_are_available` says no.
    """

    __slots__ = ("_one", "_square")

    def __init__(self, modulus: int) -> None:
        super().__init__(modulus)
        self._one = self._in_all_lanes(1)
        self._square = self._in_all_lanes(gmpy2.powmod(2, 2 * LIMB_BITS * self._size, self._modulus))

    def powers(self, bases: Sequence[int], exponent: int) -> list[mpz]:
        """Returns the powers of the bases, all with one exponent, modulo the modulus.

        Raises:
            CryptoError: a base is not from 0 to below the modulus, or the exponent is negative.
        """
        if exponent < 0:
            message = "an exponent for lanes is not negative"
            raise CryptoError(message)
        digits = _digits(exponent)
        lanes = self._to_lanes(bases)
        out = np.empty_like(lanes)
        self._kernels.powers(
            out,
            lanes,
            self._square,
            self._one,
            digits,
            digits.size,
            self._limbs,
            self._inverse,
            _scratch(34 * self._size + BLOCK),
            self._size,
            len(lanes),
        )
        return self._from_lanes(out, len(bases))


class LaneTable(_Lanes):
    """Rows of factors and addends: of each row one factor is multiplied, and the addend beside it added.

    Powers of a fixed base are such products. Factors of half the modulus' length take half the time. May be used by
    several threads at once: nothing changes after it is made.

    Args:
        modulus: odd, at least 3, of at most `MAX_MODULUS_BITS` bits.
        rows: (factors, addends) of each row, up to 4,096 of them: as many factors as addends, and as in every other
            row, up to 65,536. They are asked for one by one and copied.
        entry_bits: in which every factor and addend fits, 1 to `MAX_MODULUS_BITS`.

    Raises:
        CryptoError: the modulus, the number of rows or of their entries, or an entry is none of these, or
            `lanes_are_available` says no.

    Source:
        Brickell, Gordon, McCurley, Wilson, "Fast Exponentiation with Precomputation", EUROCRYPT 1992.
    """

    __slots__ = ("_start", "_table")

    def __init__(self, modulus: int, rows: Iterable[tuple[Sequence[int], Sequence[int]]], entry_bits: int) -> None:
        super().__init__(modulus)
        if not 1 <= entry_bits <= MAX_MODULUS_BITS:
            message = f"the entries of a table for lanes have 1 to {MAX_MODULUS_BITS} bits, not {entry_bits}"
            raise CryptoError(message)
        # Twelve bits for the sum of 2^12 addends; and factors are at most half of what their limbs can hold.
        entry_size = _num_limbs(entry_bits + 12)
        tables = [_read_row(factors, addends, entry_bits, entry_size) for factors, addends in rows]
        if not 1 <= len(tables) <= _MAX_ROWS or len(set(map(len, tables))) != 1:
            message = f"a table for lanes has 1 to {_MAX_ROWS} rows of the same length"
            raise CryptoError(message)
        self._table = np.stack(tables)
        # Each product is divided by 2^(52 entry_size), so the first factor is that to the power of the rows.
        self._start = self._in_all_lanes(gmpy2.powmod(2, LIMB_BITS * entry_size * len(tables), self._modulus))

    @property
    def num_bytes(self) -> int:
        """Memory that the table takes."""
        return self._table.nbytes

    def choose(self, digits: npt.NDArray[np.integer]) -> tuple[list[mpz], list[mpz]]:
        """Returns for each column the product of the chosen factors modulo the modulus, and the sum of the addends.

        Args:
            digits: (rows, count) numbers from 0: which entry of each row.

        Raises:
            CryptoError: there are not as many digits as rows, or a digit is no whole number or has no entry.
        """
        num_rows, num_entries, _, entry_size = self._table.shape
        is_one_a_row = digits.ndim == 2 and len(digits) == num_rows and np.issubdtype(digits.dtype, np.integer)
        if not is_one_a_row or np.any((digits < 0) | (digits >= num_entries)):
            message = f"a table for lanes of {num_rows} rows needs a digit below {num_entries} for each of them"
            raise CryptoError(message)
        count = digits.shape[1]
        num_groups = -(-count // LANES)
        choices = np.zeros((num_groups * LANES, num_rows), np.uint16)
        choices[:count] = digits.T
        products = np.empty((num_groups, self._size, LANES), np.uint64)
        sums = np.empty((num_groups, entry_size, LANES), np.uint64)
        self._kernels.choices(
            products,
            sums,
            self._table,
            choices,
            self._start,
            self._limbs,
            self._inverse,
            _scratch(self._size + BLOCK + entry_size),
            self._size,
            entry_size,
            num_rows,
            num_entries,
            num_groups,
        )
        addends = _from_limbs(sums.swapaxes(1, 2).reshape(-1, entry_size)[:count])
        return self._from_lanes(products, count), addends


def _scratch(num_vectors: int) -> _Words:
    return np.empty((num_vectors, LANES), np.uint64)


def _num_limbs(num_bits: int) -> int:
    """Returns in how many limbs numbers of so many bits fit, whole blocks."""
    return -(-num_bits // (BLOCK * LIMB_BITS)) * BLOCK


def _to_limbs(numbers: Sequence[int], size: int, count: int) -> _Words:
    """Returns numbers as the first of (count, size) limbs, and 0 for the others."""
    num_pairs = size // 2
    width = num_pairs * _PAIR_BYTES
    data = b"".join([mpz(number).to_bytes(width, "little") for number in numbers])
    padded = np.zeros((count, num_pairs, 16), np.uint8)
    padded[: len(numbers), :, :_PAIR_BYTES] = np.frombuffer(data, np.uint8).reshape(-1, num_pairs, _PAIR_BYTES)
    words = padded.view("<u8")
    limbs = np.empty((count, num_pairs, 2), np.uint64)
    limbs[..., 0] = words[..., 0] & _LIMB_MASK
    limbs[..., 1] = words[..., 0] >> LIMB_BITS | words[..., 1] << (64 - LIMB_BITS)
    return limbs.reshape(count, size)


def _from_limbs(limbs: _Words) -> list[mpz]:
    """Returns the numbers of (count, size) limbs."""
    count, size = limbs.shape
    pairs = limbs.reshape(count, size // 2, 2)
    words = np.empty(pairs.shape, "<u8")
    words[..., 0] = pairs[..., 0] | pairs[..., 1] << LIMB_BITS
    words[..., 1] = pairs[..., 1] >> (64 - LIMB_BITS)
    width = size // 2 * _PAIR_BYTES
    data = words.view(np.uint8).reshape(count, size // 2, 16)[..., :_PAIR_BYTES].tobytes()
    return [mpz.from_bytes(data[start : start + width], "little") for start in range(0, len(data), width)]


def _digits(exponent: int) -> npt.NDArray[np.uint8]:
    """Returns the digits of an exponent for `powers`, the highest first."""
    bits = np.unpackbits(
        np.frombuffer(mpz(exponent).to_bytes(-(-exponent.bit_length() // 8), "little"), np.uint8), bitorder="little"
    )[: exponent.bit_length()]
    bits = np.pad(bits, (0, -bits.size % WINDOW_BITS)).reshape(-1, WINDOW_BITS)
    digits: npt.NDArray[np.uint8] = bits[::-1] @ (np.uint8(1) << np.arange(WINDOW_BITS, dtype=np.uint8))
    return digits


def _read_row(factors: Sequence[int], addends: Sequence[int], entry_bits: int, entry_size: int) -> _Words:
    """Returns a row as (entries, 2, entry_size) limbs.

    Raises:
        CryptoError: it has other numbers of factors and addends, or none; one is negative or too long.
    """
    if not 1 <= len(factors) == len(addends) <= _MAX_ENTRIES:
        message = f"a row of a table for lanes has 1 to {_MAX_ENTRIES} factors and as many addends"
        raise CryptoError(message)
    entries = [entry for pair in zip(factors, addends, strict=True) for entry in pair]
    _require_below(entries, mpz(1) << entry_bits)
    return _to_limbs(entries, entry_size, len(entries)).reshape(-1, 2, entry_size)


def _require_below(numbers: Sequence[int], limit: mpz) -> None:
    if not all(0 <= number < limit for number in numbers):
        message = "a number is negative or not below its limit"
        raise CryptoError(message)
