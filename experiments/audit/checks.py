"""What the received vectors tell: whether they look like noise, and whether the sum is the true one.

In a protected run each check asks a question to which a right mask answers no; a check fails when what it sees would
come about by accident in one of some million runs (`FALSE_ALARM_RATE` for all checks together). A check that passes
proves no secrecy: it finds masks that were left out, reused, too short or of a bad generator. In a run without
protection the same checks show what there is to read.

Vectors come one at a time, in the order of rounds; of each only a few thousand elements are kept until the next
round is over.

Not here: ciphertexts (`experiments.audit.ciphertexts`).

Example:
    >>> checks = VectorChecks(num_bytes=3)
    >>> rng, truth = np.random.default_rng(5), np.arange(2_000)
    >>> checks.add(1, "alice", rng.integers(0, 2**24, 2_000, dtype=np.uint32), truth)
    >>> {check.name: check.is_alarm for check in checks.results()}["correlation with the true update"]
    False
    >>> checks.add(1, "bob", truth.astype(np.uint32), truth)
    >>> {check.name: check.is_alarm for check in checks.results()}["correlation with the true update"]
    True
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.audit.randomness import byte_counts, correlation, distance, serial_correlation
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

__all__ = ["VectorChecks"]

_NUM_CHECKS: Final = 6
_ALARM: Final = FALSE_ALARM_RATE / _NUM_CHECKS

Words = npt.NDArray[np.unsignedinteger[Any]]
Floats = npt.NDArray[np.float64]


class VectorChecks:
    """Takes the vectors of a run in, one by one, and says what they tell.

    Args:
        num_bytes: of a word; in a masked vector each of them is uniform.

    Attributes:
        correlations: one for each vector whose true update is known.
    """

    def __init__(self, num_bytes: int) -> None:
        self.correlations: list[Correlation] = []
        self._num_bytes, self._largest_word = num_bytes, 256**num_bytes - 1
        self._words, self._masks, self._distances = ByteTally(num_bytes), ByteTally(num_bytes), DistanceTally()
        self._truth, self._serial = CorrelationTally(), CorrelationTally()
        self._similarities = Similarities()

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(num_bytes, 256) how often each byte had each value, in all vectors together."""
        return self._words.counts

    def add(
        self,
        round_index: int,
        client_id: str,
        words: Words,
        truth: npt.NDArray[Any] | None,
        values: Floats | None = None,
    ) -> None:
        """Takes one vector in.

        Args:
            round_index: the round; never smaller than that of the vector before.
            client_id: whose it is.
            words: (d,) the received vector as unsigned integers.
            truth: (d,) what is beneath the mask, unsigned integers where the words are a sum of it and a mask; none
                where it is not known.
            values: (d,) the received numbers, where they are not the words themselves.
        """
        where = f"{client_id}, round {round_index}"
        numbers = np.asarray(words if values is None else values, np.float64)
        self._words.add(byte_counts(words, self._num_bytes), where)
        if len(words):
            self._distances.add(distance(words, self._num_bytes), len(words), where)
        serial = serial_correlation(numbers) if len(words) > 2 else None
        if serial is not None:
            self._serial.add(serial, len(words), where)
        if truth is not None and len(words) > 2:
            self._compare(round_index, client_id, words, numbers, truth)
        self._similarities.add(round_index, client_id, numbers)

    def results(self) -> list[Check]:
        """Returns what the vectors so far tell."""
        truth = self._truth.check(
            "correlation with the true update",
            "Does a received vector rise and fall with the update that the client sent?",
            alarm=_ALARM,
            uses_truth=True,
        )
        masks = self._masks.check(
            "masks",
            "Is what lies between a received vector and its update, the mask, uniform?",
            alarm=_ALARM,
            uses_truth=True,
        )
        return [
            self._words.check("bytes", "Is any value of a byte more frequent than the others?", alarm=_ALARM),
            self._distances.check(
                "distribution",
                "Are large or small elements more frequent than the others?",
                self._words.counts[-1],
                alarm=_ALARM,
            ),
            truth,
            masks,
            check_of_pairs(
                self._similarities, "Do two vectors of this or of the next round share a mask?", alarm=_ALARM
            ),
            self._serial.check("serial correlation", "Does an element tell of the next one?", alarm=_ALARM),
        ]

    def _compare(
        self, round_index: int, client_id: str, words: Words, numbers: Floats, truth: npt.NDArray[Any]
    ) -> None:
        """Compares a vector with what is beneath its mask."""
        where = f"{client_id}, round {round_index}"
        if np.issubdtype(truth.dtype, np.unsignedinteger):
            mask = (words - truth.astype(words.dtype)) & words.dtype.type(self._largest_word)
            self._masks.add(byte_counts(mask, self._num_bytes), where)
        value = correlation(numbers, np.asarray(truth, np.float64))
        if value is not None:
            self._truth.add(value, len(words), where)
            self.correlations.append(Correlation(round_index, client_id, value, len(words)))
