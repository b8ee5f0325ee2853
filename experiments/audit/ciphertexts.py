"""What received ciphertexts tell: whether they are right ones, look uniform, and hide what is beneath.

Ciphertexts of one key are as good as uniform below n^2, whatever they hide, and modulo n as good as uniform below n; so
is, modulo n^2, what is left when the plaintext is taken out. That holds for who cannot factor n: no statistic here has
more than chance to tell them from noise. A check that passes proves no secrecy; it finds obfuscators that are left out,
reused, guessed or of a bad generator. All statistical checks together raise a false alarm in one of a million runs
(`FALSE_ALARM_RATE`); those without chance raise none.

Not here: relations between obfuscators (`experiments.audit.obfuscators`), and how ciphertexts are delivered
(`experiments.audit.encrypted`).

Example:
    >>> import secrets
    >>> key = PaillierPublicKey(n=(2**89 - 1) * (2**107 - 1))
    >>> draw = lambda: pow(2 + secrets.randbelow(int(key.n) - 2), key.n, key.n_squared)
    >>> checks = CiphertextChecks()
    >>> checks.add(1, "alice", key, [key.encrypt(5, draw()) for _ in range(300)], plaintexts=[5] * 300)
    >>> {check.name: check.is_alarm for check in checks.results()}["obfuscators"]
    False
    >>> checks.add(1, "bob", key, [key.encrypt(5, 1)] * 300, plaintexts=[5] * 300)
    >>> {check.name: check.is_alarm for check in checks.results()}["obfuscators"]
    True

Source:
    Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999, section 4.
"""

from collections.abc import Sequence
from typing import Final

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from experiments.audit.obfuscators import ObfuscatorRelations
from experiments.audit.randomness import correlation, distance_of_shares, serial_correlation
from experiments.audit.similarity import Similarities
from experiments.audit.tallies import (
    FALSE_ALARM_RATE,
    ByteTally,
    Check,
    Correlation,
    CorrelationTally,
    DistanceTally,
    check_of_pairs,
)
from fedgdl.crypto.paillier import PaillierPublicKey

__all__ = ["CiphertextChecks"]

_NUM_CHECKS: Final = 8
_ALARM: Final = FALSE_ALARM_RATE / _NUM_CHECKS
"""Each of the statistical checks has its share."""

_LEADING_BYTES: Final = 8
"""Bytes at the front of a ciphertext follow n^2; those behind so many are uniform but for a part in 2^63."""

_RANGE: Final = "range"
_RANGE_QUESTION: Final = "Is a number no ciphertext: 0, not below n^2, or not prime to n?"

Floats = npt.NDArray[np.float64]


class CiphertextChecks:
    """Takes the ciphertexts of a run in, vector by vector, and says what they tell.

    Attributes:
        correlations: for each vector whose true update is known that of the ciphertexts, and that of them modulo n.
    """

    def __init__(self) -> None:
        self.correlations: list[Correlation] = []
        self._num_numbers, self._num_wrong, self._first_wrong = 0, 0, ""
        self._relations = ObfuscatorRelations()
        self._bytes, self._obfuscators = ByteTally(1), ByteTally(1)
        self._places: ByteTally | None = None  # as many as a ciphertext has, which the first one tells
        self._distances, self._residues = DistanceTally(), DistanceTally()
        self._leading, self._leading_residues = np.zeros(256, np.int64), np.zeros(256, np.int64)
        self._truth, self._serial = CorrelationTally(), CorrelationTally()
        self._similarities = Similarities()

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(1, 256) how often a byte of a ciphertext had each value, its leading ones left out."""
        return self._bytes.counts

    def add(
        self,
        round_index: int,
        client_id: str,
        public_key: PaillierPublicKey,
        ciphertexts: Sequence[mpz],
        plaintexts: Sequence[int] | None,
    ) -> None:
        """Takes one vector in.

        Args:
            round_index: the round; never smaller than that of the vector before.
            client_id: whose it is.
            public_key: that it was made for.
            ciphertexts: the received numbers.
            plaintexts: what is beneath them; none where it is not known.
        """
        where = f"{client_id}, round {round_index}"
        n, n_squared = public_key.n, public_key.n_squared
        self._num_numbers += len(ciphertexts)
        num_wrong = sum(not (0 < number < n_squared and gmpy2.gcd(number, n) == 1) for number in ciphertexts)
        if num_wrong:
            self._first_wrong = self._first_wrong or where
            self._num_wrong += num_wrong
            return  # what is no ciphertext has no obfuscator, and its bytes are not those of one
        if not ciphertexts:
            return
        self._relations.add(f"{client_id} in round {round_index}", public_key, ciphertexts)
        places = _counts_by_place(ciphertexts, public_key.ciphertext_bytes)
        self._bytes.add(places.sum(axis=0, keepdims=True), where)
        if self._places is None:
            self._places = ByteTally(len(places))
        self._places.add(places, where)
        shares = _shares(ciphertexts, n_squared)
        self._take_distance(self._distances, self._leading, shares, where)
        residues = _shares([ciphertext % n for ciphertext in ciphertexts], n)
        self._take_distance(self._residues, self._leading_residues, residues, where)
        serial = serial_correlation(shares) if len(shares) > 2 else None
        if serial is not None:
            self._serial.add(serial, len(shares), where)
        self._similarities.add(round_index, client_id, shares)
        if plaintexts is not None and len(plaintexts) == len(ciphertexts):
            self._compare(round_index, client_id, public_key, ciphertexts, plaintexts, (shares, residues))

    def results(self) -> list[Check]:
        """Returns what the ciphertexts so far tell."""
        return [
            self._range(),
            self._relations.repeated(),
            self._relations.weak(),
            self._bytes.check("bytes", "Is any value of a byte more frequent than the others?", alarm=_ALARM),
            (self._places or ByteTally(1)).check(
                "places of bytes", "Is one more frequent at some place of a ciphertext?", alarm=_ALARM
            ),
            self._distances.check(
                "distribution", "Are large or small ciphertexts more frequent than others?", self._leading, alarm=_ALARM
            ),
            self._residues.check(
                "distribution modulo n",
                "Are large or small ones more frequent modulo n, where no plaintext changes them?",
                self._leading_residues,
                alarm=_ALARM,
            ),
            self._obfuscators.check(
                "obfuscators",
                "Is any byte more frequent in what is left of a ciphertext without its plaintext, the obfuscator?",
                alarm=_ALARM,
                uses_truth=True,
            ),
            self._truth.check(
                "correlation with the true update",
                "Does a ciphertext rise and fall with the plaintext beneath it?",
                alarm=_ALARM,
                uses_truth=True,
            ),
            check_of_pairs(
                self._similarities, "Do two vectors of this or of the next round rise and fall together?", alarm=_ALARM
            ),
            self._serial.check("serial correlation", "Does a ciphertext tell of the next one?", alarm=_ALARM),
        ]

    def _range(self) -> Check:
        if not self._num_numbers:
            return Check(_RANGE, _RANGE_QUESTION, None, "no ciphertexts")
        found = f"{self._num_wrong:,} of {self._num_numbers:,}"
        if self._num_wrong:
            found += f"; first one of {self._first_wrong}"
        return Check(_RANGE, _RANGE_QUESTION, self._num_wrong > 0, found)

    @staticmethod
    def _take_distance(tally: DistanceTally, leading: npt.NDArray[np.int64], shares: Floats, where: str) -> None:
        tally.add(distance_of_shares(shares), len(shares), where)
        leading += np.bincount((shares * 256).astype(np.int64), minlength=256)

    def _compare(
        self,
        round_index: int,
        client_id: str,
        public_key: PaillierPublicKey,
        ciphertexts: Sequence[mpz],
        plaintexts: Sequence[int],
        seen: tuple[Floats, ...],
    ) -> None:
        """Compares a vector with what is beneath it."""
        where, n_squared = f"{client_id}, round {round_index}", public_key.n_squared
        # 1 - m n is the inverse of 1 + m n modulo n^2.
        obfuscators = [
            ciphertext * (1 - plaintext * public_key.n) % n_squared
            for ciphertext, plaintext in zip(ciphertexts, plaintexts, strict=True)
        ]
        places = _counts_by_place(obfuscators, public_key.ciphertext_bytes)
        self._obfuscators.add(places.sum(axis=0, keepdims=True), where)
        truth = _shares([mpz(plaintext) for plaintext in plaintexts], mpz(2) ** public_key.plaintext_bits)
        for numbers in seen if len(truth) > 2 else ():
            value = correlation(numbers, truth)
            if value is not None:
                self._truth.add(value, len(truth), where)
                self.correlations.append(Correlation(round_index, client_id, value, len(truth)))


def _counts_by_place(numbers: Sequence[mpz], num_bytes: int) -> npt.NDArray[np.int64]:
    """Returns (places, 256) how often the bytes of numbers have each value, for each place but the leading ones."""
    data = b"".join(number.to_bytes(num_bytes, "big") for number in numbers)
    table = np.frombuffer(data, np.uint8).reshape(-1, num_bytes)[:, min(_LEADING_BYTES, num_bytes - 1) :]
    places = np.arange(table.shape[1])
    counts = np.bincount((table + 256 * places).reshape(-1), minlength=256 * len(places))
    return counts.reshape(-1, 256)


def _shares(numbers: Sequence[mpz], limit: mpz) -> Floats:
    """Returns numbers as shares of a limit that they are below, in [0, 1)."""
    shift = max(0, limit.bit_length() - 64)
    scale = float(limit >> shift)
    return np.minimum([float(number >> shift) / scale for number in numbers], 1 - 2.0**-53)
