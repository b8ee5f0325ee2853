"""Reads one masked vector of a secure aggregation, as far as anybody can.

A masked vector is noise. It is read in four ways, the last of which first takes off the mask that the coordinator is
told of at the end of every round; none is better than blind guessing. Of the masks that clients have in common nobody
has the secret but the two clients themselves.

Not here: the rounds, the sum and colluders, which are read alike whatever protects the vectors (`protected_words`).

Example:
    >>> sorted(READINGS) == sorted(MaskedWords.readings)
    True
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from experiments.attacks.protected_words import ProtectedRound, furthest, signed_distance
from experiments.attacks.words import Reading, read_words
from fedgdl.config import AggregationConfig
from fedgdl.crypto.masking import combine, mask
from fedgdl.wire import decode_struct
from fedgdl.wire.secagg import DealtShares, UnmaskShares

__all__ = ["READINGS", "MaskedWords", "masked_vector", "own_mask", "read_masked"]

READINGS: Final[Mapping[str, str]] = {
    "as_update": "read like an update in the clear",
    "largest": "its largest slots",
    "unusual": "its slots furthest from the most frequent value",
    "own_mask_off": "its largest slots, its own mask taken off",
}
"""Ways to read one masked vector -> in words. All but the first are told how many words the e-mail has."""


class MaskedWords:
    """Secure aggregation by masks; see `protected_words.WordsProtocol`."""

    kind: str = "secagg"
    readings: Mapping[str, str] = READINGS

    def configure(self, config: AggregationConfig) -> AggregationConfig:
        """Returns the aggregation, masked."""
        return replace(config, kind="secagg")

    def read(self, a_round: ProtectedRound, client_id: str, num_words: int) -> dict[str, Reading]:
        """Returns what each of the readings makes of a client's masked vector."""
        return read_masked(a_round, masked_vector(a_round, client_id), own_mask(a_round, client_id), num_words)

    def read_with_secret(self, a_round: ProtectedRound, client_id: str) -> Reading | None:
        """Returns none: there is nobody who has all masks' secrets."""
        return None


def read_masked(
    a_round: ProtectedRound, masked: npt.NDArray[Any], own_mask: npt.NDArray[Any], num_words: int
) -> dict[str, Reading]:
    """Returns what each of `READINGS` makes of a masked vector.

    Args:
        a_round: the round.
        masked: (size,) the vector.
        own_mask: (size,) of the same client.
        num_words: how many words to name, where nothing but their order can be told.
    """
    words = masked[a_round.words]
    values, counts = np.unique(words, return_counts=True)
    distances = signed_distance(words, int(values[counts.argmax()]), 8 * a_round.encoding.bytes_per_slot)
    return {
        "as_update": read_words(a_round.changes_in(masked)),
        "largest": furthest(a_round.changes_in(masked), num_words),
        "unusual": furthest(distances, num_words),
        "own_mask_off": furthest(a_round.changes_in(masked - own_mask), num_words),
    }


def masked_vector(a_round: ProtectedRound, client_id: str) -> npt.NDArray[Any]:
    """Returns a client's masked vector, (size,) in the ring's dtype, as it reached the coordinator."""
    return a_round.encoding.unpack(a_round.payload("masked input", client_id))


def own_mask(a_round: ProtectedRound, client_id: str) -> npt.NDArray[Any]:
    """Returns the mask that a client added for itself, put together from the shares of it that its peers gave.

    The protocol gives the coordinator no less of a client whose vector is in the sum; what is left on the vector
    are the masks that it has in common with others.
    """
    dealt = decode_struct(a_round.payload("share", client_id), DealtShares)
    places = {holder_id: x for x, holder_id in enumerate(sorted(dealt.commitments), start=1)}
    shares = {}
    for holder_id, payload in a_round.payloads("unmask").items():
        if holder_id in places:
            given = decode_struct(payload, UnmaskShares).own_masks
            if client_id in given:
                shares[places[holder_id]] = given[client_id]
    return mask(combine(shares), a_round.encoding.size, a_round.encoding.dtype)
