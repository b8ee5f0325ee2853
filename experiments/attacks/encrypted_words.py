"""Reads one encrypted vector of a Paillier aggregation, as far as anybody can, and as whoever has the key can.

A ciphertext is (1 + m n) r modulo n^2, where r, a random n-th power, hides the plaintext m. The vector is read in four
ways, of which each would read all of it if a mistake were made: three if r were left out, one if all of a client's
ciphertexts had the same r. None is better than blind guessing. Whoever has the private key and gets at single
ciphertexts reads everything: which is why the key holder is another process, or many, than the coordinator, and why
one that works with the coordinator is no protection.

Not here: the rounds, the sum and colluding clients, which are read alike whatever protects the vectors
(`protected_words`); the book's way of encrypting, which leaks (`exponents`).

Example:
    >>> slots = slots_of([0x30201, 0x504], Packing(size=5, sum_bits=7, plaintext_bits=30))
    >>> slots
    array([1, 2, 3, 4, 5], dtype=uint64)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import gmpy2
import numpy as np
import numpy.typing as npt
from gmpy2 import mpz
from msgspec.structs import replace

from experiments.attacks.protected_words import ProtectedRound, furthest, signed_distance
from experiments.attacks.words import Reading, read_words
from fedgdl.config import AggregationConfig
from fedgdl.crypto.paillier import Packing, PaillierPublicKey, read_ciphertexts
from fedgdl.crypto.paillier.private import PaillierPrivateKey, generate, write_private_key
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.wire import decode_struct
from fedgdl.wire.paillier import EncryptedUpdate, RoundAnnouncement

__all__ = ["READINGS", "EncryptedWords", "public_view", "read_encrypted", "slots_of", "vector_of"]

READINGS: Final[Mapping[str, str]] = {
    "as_update": "read as if nothing hid the plaintexts",
    "largest": "its largest slots",
    "unusual": "its slots furthest from the most frequent value",
    "same_obfuscator": "its largest slots, each ciphertext divided by others",
}
"""Ways to read one encrypted vector -> in words. All but the first are told how many words the e-mail has."""

_STAGE: Final = "encrypted input"
_SECURE_BITS: Final = 2_048
_REFERENCES: Final = 3
"""Ciphertexts by which all are divided: of three that hold little but zeros the middle one tells what zero is."""


class EncryptedWords:
    """Paillier aggregation with a key of its own; see `protected_words.WordsProtocol`.

    The key is made here and handed to the simulated key holder as a file, so that what it could read can be shown.

    Args:
        key_bits: of the key; below 2,048 for tests alone.
        folder: where the key's file is written, readable by its owner alone.

    Raises:
        CryptoError: there are no keys of this size.
    """

    kind: str = "paillier"
    readings: Mapping[str, str] = READINGS

    def __init__(self, key_bits: int, folder: Path) -> None:
        self._private_key: PaillierPrivateKey = generate(key_bits)
        self._key_bits, self._path = key_bits, folder / "key.json"
        write_private_key(self._path, self._private_key)

    def configure(self, config: AggregationConfig) -> AggregationConfig:
        """Returns the aggregation, encrypted with the key, which a key holder of its own has.

        Raises:
            ConfigError: somebody else is to have it; then the coordinator, or clients, might read more.
        """
        if (config.key_holder, config.sum_check) != ("process", "signed"):
            message = (
                'the attack is on key_holder = "process" with sum_check = "signed", and takes no others: '
                f'got key_holder = "{config.key_holder}" and sum_check = "{config.sum_check}"'
            )
            raise ConfigError(message)
        config = replace(config, kind="paillier", key_holder="process", key_file=str(self._path), max_attempts=1)
        if self._key_bits < _SECURE_BITS:
            return replace(config, insecure_key_bits=self._key_bits)
        return replace(config, key_bits=self._key_bits, insecure_key_bits=None)

    def read(self, a_round: ProtectedRound, client_id: str, num_words: int) -> dict[str, Reading]:
        """Returns what each of the readings makes of a client's ciphertexts."""
        public_key, packing = public_view(a_round)
        return read_encrypted(a_round, public_key, packing, vector_of(a_round, client_id), num_words)

    def read_with_secret(self, a_round: ProtectedRound, client_id: str) -> Reading | None:
        """Returns what the key holder reads if it decrypts a client's ciphertexts instead of a sum."""
        packing = public_view(a_round)[1]
        plaintexts = self._private_key.decrypt_many(vector_of(a_round, client_id))
        return read_words(a_round.changes_in(packing.unpack(plaintexts, a_round.encoding.dtype)))


def read_encrypted(
    a_round: ProtectedRound,
    public_key: PaillierPublicKey,
    packing: Packing,
    ciphertexts: Sequence[mpz],
    num_words: int,
) -> dict[str, Reading]:
    """Returns what each of `READINGS` makes of an encrypted vector.

    Args:
        a_round: the round.
        public_key: with which the vector is encrypted.
        packing: how it was packed.
        ciphertexts: of the vector.
        num_words: how many words to name, where nothing but their order can be told.
    """
    slots = slots_of([(ciphertext - 1) // public_key.n for ciphertext in ciphertexts], packing)
    changes = a_round.changes_in(slots, packing.slot_bits)
    words = slots[a_round.words]
    values, counts = np.unique(words, return_counts=True)
    distances = signed_distance(words, int(values[counts.argmax()]), packing.slot_bits)
    quotients = _differences(public_key, packing, ciphertexts)[a_round.words]
    return {
        "as_update": read_words(changes),
        "largest": furthest(changes, num_words),
        "unusual": furthest(distances, num_words),
        "same_obfuscator": furthest(quotients, num_words),
    }


def public_view(a_round: ProtectedRound) -> tuple[PaillierPublicKey, Packing]:
    """Returns the key that the round's clients were told to encrypt with, and how vectors were packed for it.

    Raises:
        RunFailed: they were told none.
    """
    if _STAGE not in a_round.told:
        message = "the round told its clients no public key; there is nothing to read"
        raise RunFailed(message)
    announced = decode_struct(a_round.told[_STAGE], RoundAnnouncement)
    public_key = PaillierPublicKey.from_bytes(announced.certificate.public_key)
    return public_key, Packing(a_round.encoding.size, a_round.encoding.sum_bits, public_key.plaintext_bits)


def vector_of(a_round: ProtectedRound, client_id: str) -> list[mpz]:
    """Returns a client's ciphertexts, as they reached the coordinator."""
    update = decode_struct(a_round.payload(_STAGE, client_id), EncryptedUpdate)
    return read_ciphertexts(*public_view(a_round), update.ciphertexts)


def slots_of(numbers: Sequence[mpz | int], packing: Packing) -> npt.NDArray[np.uint64]:
    """Returns the slots, (size,), of whole numbers taken for plaintexts, whatever they are: nothing is refused.

    Args:
        numbers: as many as a vector has plaintexts, none below 0.
        packing: says where slots lie.
    """
    mask, width = (1 << packing.slot_bits) - 1, packing.slot_bits
    slots = [int(number >> width * place) & mask for number in numbers for place in range(packing.slots_per_plaintext)]
    return np.array(slots[: packing.size], np.uint64)


def _differences(
    public_key: PaillierPublicKey, packing: Packing, ciphertexts: Sequence[mpz]
) -> npt.NDArray[np.float64]:
    """Returns how far each slot is above those at its place in other plaintexts, (size,), if all share an obfuscator.

    The quotient of two such ciphertexts is 1 + (m - m') n: nothing hides the difference. To keep slots from borrowing
    of one another, each has half of its range added. The middle one of three differences is taken.
    """
    n, n_squared, half = public_key.n, public_key.n_squared, 1 << packing.sum_bits
    raised = sum(half << packing.slot_bits * place for place in range(packing.slots_per_plaintext))
    others = np.linspace(0, len(ciphertexts) - 1, _REFERENCES).astype(int)
    found = []
    for other in others.tolist():
        inverse = gmpy2.invert(ciphertexts[other], n_squared)
        numbers = [((one * inverse % n_squared - 1) // n + raised) % n for one in ciphertexts]
        found.append(slots_of(numbers, packing).astype(np.float64) - half)
    return np.asarray(np.median(found, axis=0))
