"""Reads which words are in an update whose every number is encrypted, from the exponents that are sent in clear.

The book encrypts floats with a library that encrypts the mantissa and sends the exponent to base 16 as it is. A weight
that did not move is 0.0 and has the exponent -14; few that moved are large enough to have the same. So the exponents
name nearly all words of an update, and the size of each change up to a factor of 16. With one scale for all numbers
the exponents are all the same, and say nothing.

Threat model: whoever sees the ciphertexts and has the public key, the coordinator say; no key is broken.

Not here: encryption itself (`book_paillier`), and what this project does instead (`fedgdl.crypto.paillier`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15. phe 1.5, `phe.encoding.EncodedNumber.encode`.

Example:
    >>> read_exponents(np.array([-14, -16, -14, -18]), zero_exponent=-14)
    array([1, 3])
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.attacks.book_paillier import Ciphertexts, PublicKey, exponents_of, zero_exponent

__all__ = ["ExponentFinding", "find_by_exponents", "read_exponents"]


@dataclass(frozen=True, slots=True)
class ExponentFinding:
    """What the exponents of one encrypted update tell.

    Attributes:
        whose: the client.
        num_words: of the vocabulary.
        zero_exponent: of a weight that did not move, which the attacker works out for himself.
        num_moved: how many weights moved; the truth.
        num_read: how many words the attacker names.
        hits: how many of these moved.
        moved: exponent -> how many of the weights with it moved.
        unmoved: exponent -> how many of the weights with it did not.
    """

    whose: str
    num_words: int
    zero_exponent: int
    num_moved: int
    num_read: int
    hits: int
    moved: Mapping[int, int]
    unmoved: Mapping[int, int]

    @property
    def precision(self) -> float:
        """The share of the words named that moved; 0 if none was named."""
        return self.hits / self.num_read if self.num_read else 0.0

    @property
    def recall(self) -> float:
        """The share of the words that moved that were named."""
        return self.hits / self.num_moved if self.num_moved else 0.0

    @property
    def chance_precision(self) -> float:
        """The precision of blind guesses."""
        return self.num_moved / self.num_words


def read_exponents(exponents: npt.NDArray[np.int64], zero_exponent: int) -> npt.NDArray[np.int64]:
    """Returns the ids of the words that moved, as far as exponents tell: those that zero has not.

    Args:
        exponents: (words,) as they are sent in clear.
        zero_exponent: of a weight that did not move.
    """
    return np.flatnonzero(exponents != zero_exponent)


def find_by_exponents(
    whose: str,
    public_key: PublicKey,
    ciphertexts: Ciphertexts,
    update: npt.NDArray[np.float64],
    precision: float | None,
) -> ExponentFinding:
    """Returns what the exponents of an encrypted update tell.

    Args:
        whose: the client.
        public_key: that it was encrypted with.
        ciphertexts: what the attacker sees, one a word.
        update: (words,) what they hold; only scores.
        precision: as it was encrypted with, which is no secret.
    """
    exponents = exponents_of(ciphertexts)
    zero = zero_exponent(public_key, precision)
    read = read_exponents(exponents, zero)
    has_moved = update != 0
    return ExponentFinding(
        whose,
        num_words=len(update),
        zero_exponent=zero,
        num_moved=int(np.count_nonzero(has_moved)),
        num_read=len(read),
        hits=int(np.count_nonzero(has_moved[read])),
        moved=_histogram(exponents[has_moved]),
        unmoved=_histogram(exponents[~has_moved]),
    )


def _histogram(exponents: npt.NDArray[np.int64]) -> dict[int, int]:
    values, counts = np.unique(exponents, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
