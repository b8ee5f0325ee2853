"""What ciphertexts tell of their obfuscators: whether one is used twice, related to another, or easily guessed.

A ciphertext is (1 + m n) x modulo n^2, so modulo n it is x: anybody can compare obfuscators, whatever they hide. Two
ciphertexts with the same one tell the difference of their plaintexts; two with inverse ones tell the sum; one with an
obfuscator that can be guessed tells all. Right obfuscators do none of it, as surely as keys are not guessed: what is
found here did not come about by accident.

Not here: whether obfuscators look uniform (`experiments.audit.ciphertexts`).

Example:
    >>> key = PaillierPublicKey(n=10_007 * 10_037)
    >>> relations = ObfuscatorRelations()
    >>> relations.add("alice", key, [key.encrypt(5, 3**key.n), key.encrypt(8, 1)])
    >>> relations.add("bob", key, [key.encrypt(7, 3**key.n % key.n_squared)])
    >>> relations.repeated().found
    '3 ciphertexts; 1 obfuscator came before, first in one of bob that alice had used'
    >>> relations.weak().found
    '3 of 3 obfuscators were guessed, first one of alice'
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Final

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from experiments.audit.tallies import Check
from fedgdl.crypto.paillier import PaillierPublicKey

__all__ = ["ObfuscatorRelations"]

_DIGEST_BYTES: Final = 16
_SMALL_EXPONENTS: Final = 2**16
"""Exponents of a key's base below this are guessed for every obfuscator."""

_GIANT_STEPS: Final = 2**8
_MAX_SEARCHED: Final = 64
"""Of so many obfuscators, exponents below `_SMALL_EXPONENTS * _GIANT_STEPS` are guessed."""

_SEARCHED_OF_A_VECTOR: Final = 4
_SMALL_BASES: Final = 2**8
"""Of a textbook key, obfuscators that are the n-th power of a number below this are guessed."""

_REPEATED: Final = "one-time obfuscators"
_REPEATED_QUESTION: Final = (
    "Has a ciphertext, or what hides one, come twice, as its inverse, or at the same distance from its neighbour?"
)
_WEAK: Final = "unpredictable obfuscators"
_WEAK_QUESTION: Final = "Is an obfuscator 1, or a small power, so that it can be guessed?"


class ObfuscatorRelations:
    """Takes the ciphertexts of a run in, vector by vector.

    It keeps 48 bytes of each.
    """

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._ends: list[int] = []
        self._obfuscators, self._inverses, self._ratios = bytearray(), bytearray(), bytearray()
        self._guessers: dict[str, _Guesser] = {}
        self._num_searched = 0
        self._num_guessed, self._first_guessed = 0, ""

    @property
    def num_ciphertexts(self) -> int:
        """How many there were."""
        return self._ends[-1] if self._ends else 0

    def add(self, label: str, public_key: PaillierPublicKey, ciphertexts: Sequence[mpz]) -> None:
        """Takes the ciphertexts of one vector in.

        Args:
            label: whose it is and when it came, in words.
            public_key: that they were made for.
            ciphertexts: numbers that are prime to n.
        """
        n, width = public_key.n, -(-public_key.num_bits // 8)
        residues = [ciphertext % n for ciphertext in ciphertexts]
        inverses = _inverses(residues, n)
        ratios = [after * before % n for before, after in zip(inverses, residues[1:], strict=False)]
        known = _digests(residues, width)
        self._obfuscators += known
        self._inverses += _digests(inverses, width)
        self._ratios += _digests(ratios, width)
        self._labels.append(label)
        self._ends.append(self.num_ciphertexts + len(residues))
        if public_key.key_id not in self._guessers:
            self._guessers[public_key.key_id] = _Guesser(public_key)
        guesser = self._guessers[public_key.key_id]
        guessed = guesser.guess(known)
        searched = residues[: min(_SEARCHED_OF_A_VECTOR, _MAX_SEARCHED - self._num_searched)]
        self._num_searched += len(searched)
        guessed |= {index for index, residue in enumerate(searched) if guesser.search(residue)}
        if guessed and not self._num_guessed:
            self._first_guessed = label
        self._num_guessed += len(guessed)

    def repeated(self) -> Check:
        """Returns whether obfuscators were used twice, or in a way that tells of one another."""
        if not self.num_ciphertexts:
            return Check(_REPEATED, _REPEATED_QUESTION, None, "no ciphertexts")
        found = [f"{self.num_ciphertexts:,} ciphertexts"]
        earlier, later = _equals(self._obfuscators)
        if later.size:
            first = int(later.argmin())
            where = f"first in one of {self._whose(later[first])} that {self._whose(earlier[first])} had used"
            found.append(f"{_count(later.size, 'obfuscator')} came before, {where}")
        one, other = _equals(self._obfuscators + self._inverses)
        cancelling = (one < self.num_ciphertexts) & (other >= self.num_ciphertexts)
        cancelling &= other - self.num_ciphertexts != one  # its own inverse: 1, which `weak` tells
        if cancelling.any():
            found.append(f"{_count(int(cancelling.sum()), 'obfuscator')} cancel another")
        num_steps = _equals(self._ratios)[0].size
        if num_steps and not later.size:
            found.append(f"{_count(num_steps, 'obfuscator')} follow from the one before as others do")
        return Check(_REPEATED, _REPEATED_QUESTION, len(found) > 1, "; ".join(found))

    def weak(self) -> Check:
        """Returns whether obfuscators could be guessed."""
        if not self.num_ciphertexts:
            return Check(_WEAK, _WEAK_QUESTION, None, "no ciphertexts")
        if not self._num_guessed:
            found = f"none of {self.num_ciphertexts:,} was guessed; larger powers were tried for {self._num_searched}"
        else:
            verb = "was" if self._num_guessed == 1 else "were"
            found = (
                f"{self._num_guessed:,} of {_count(self.num_ciphertexts, 'obfuscator')} {verb} guessed, "
                f"first one of {self._first_guessed}"
            )
        return Check(_WEAK, _WEAK_QUESTION, self._num_guessed > 0, found)

    def _whose(self, index: np.int64) -> str:
        return self._labels[int(np.searchsorted(self._ends, index, side="right"))]


class _Guesser:
    """Guesses obfuscators of one key: small powers of its base, or n-th powers of small numbers."""

    def __init__(self, public_key: PaillierPublicKey) -> None:
        n, width = public_key.n, -(-public_key.num_bits // 8)
        self._n, self._width = n, width
        self._giant_step: mpz | None = None
        if public_key.hs is None:
            powers = _powers_of_small_bases(n)
        else:
            base, powers = public_key.hs % n, [mpz(1)]
            for _ in range(_SMALL_EXPONENTS - 1):
                powers.append(powers[-1] * base % n)
            self._giant_step = gmpy2.invert(powers[-1] * base % n, n)
        digests = _digests(powers, width)
        self._known = {digests[start : start + _DIGEST_BYTES] for start in range(0, len(digests), _DIGEST_BYTES)}

    def guess(self, digests: bytes) -> set[int]:
        """Returns which of some obfuscators, given by their digests, are known."""
        starts = range(0, len(digests), _DIGEST_BYTES)
        return {start // _DIGEST_BYTES for start in starts if digests[start : start + _DIGEST_BYTES] in self._known}

    def search(self, residue: mpz) -> bool:
        """Returns whether an obfuscator is a small power of the base.

        Source:
            Shanks's baby steps and giant steps: Menezes, van Oorschot, Vanstone, "Handbook of Applied Cryptography",
            1996, algorithm 3.56.
        """
        if self._giant_step is None:
            return False
        for _ in range(_GIANT_STEPS):
            if _digests([residue], self._width) in self._known:
                return True
            residue = residue * self._giant_step % self._n
        return False


def _powers_of_small_bases(n: mpz) -> list[mpz]:
    """Returns the n-th powers of small numbers modulo n: of primes by exponentiation, of the others by products."""
    powers = [mpz(1)] * _SMALL_BASES
    for base in range(2, _SMALL_BASES):
        divisor = next((number for number in range(2, math.isqrt(base) + 1) if base % number == 0), None)
        powers[base] = gmpy2.powmod(base, n, n) if divisor is None else powers[divisor] * powers[base // divisor] % n
    return powers[1:]


def _inverses(residues: Sequence[mpz], n: mpz) -> list[mpz]:
    """Returns the inverses of numbers modulo n.

    Source:
        Montgomery, "Speeding the Pollard and Elliptic Curve Methods of Factorization", Mathematics of Computation 48,
        1987, section 10.3.1: one inversion, and three products for each number.
    """
    products = [mpz(1)]
    for residue in residues:
        products.append(products[-1] * residue % n)
    inverse, inverses = gmpy2.invert(products[-1], n), []
    for residue, product in zip(reversed(residues), reversed(products[:-1]), strict=True):
        inverses.append(inverse * product % n)
        inverse = inverse * residue % n
    return inverses[::-1]


def _digests(numbers: Sequence[mpz], width: int) -> bytes:
    """Returns 16 bytes of each number, as good as the number itself where equal ones are looked for."""
    return b"".join(
        hashlib.blake2b(number.to_bytes(width, "little"), digest_size=_DIGEST_BYTES).digest() for number in numbers
    )


def _equals(digests: bytes | bytearray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the places of digests that are equal, as pairs: of each value every place but its last, and the next."""
    halves = np.frombuffer(bytes(digests), "<u8").reshape(-1, 2)
    order = np.lexsort(halves.T)  # a stable sort: equal ones stay in the order of their places
    pairs = np.flatnonzero((halves[order[1:]] == halves[order[:-1]]).all(axis=1))
    return order[pairs], order[pairs + 1]


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
