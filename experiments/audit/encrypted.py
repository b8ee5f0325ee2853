"""The payloads of encrypted updates, one by one: what each says of itself, and its ciphertexts for the checks.

Not here: what ciphertexts tell (`experiments.audit.ciphertexts`).

Example:
    >>> from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
    >>> aggregation = AggregationConfig("paillier", max_weight=1)
    >>> experiment = Experiment("two", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> examiner = EncryptedExaminer(experiment, Layout.of({"w": (2,)}), announcements={})
    >>> {check.is_alarm for check in examiner.results()}  # nothing came
    {None}
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from experiments.audit.ciphertexts import CiphertextChecks
from experiments.audit.examiner import MAX_FRAME_BYTES, Truth
from experiments.audit.tallies import Check, Correlation
from fedgdl.config import Experiment
from fedgdl.crypto.paillier import Packing, PaillierPublicKey
from fedgdl.errors import CryptoError, WireError
from fedgdl.federated import make_strategy
from fedgdl.federated.encoding import make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.wire import Codec, ToCoordinator, TrainResult, decode_struct
from fedgdl.wire.paillier import EncryptedUpdate, PaillierHeader, RoundAnnouncement

__all__ = ["EncryptedExaminer"]

_ENVELOPE: Final = "envelopes"
_ENVELOPE_QUESTION: Final = (
    "Does one differ from the others in size, or is it of another key or packing, unsigned, or signed as another one?"
)


class EncryptedExaminer:
    """Reads the payloads of the stage "encrypted input", and tells what they show.

    Args:
        experiment: the configuration, with cohort size and largest weight settled.
        layout: the model's.
        announcements: round -> what all clients of the round were told, as `RoundAnnouncement` is written.

    Attributes:
        stage: the name of the stage whose payloads are read.
        encoding: how updates were encoded.
        byte_labels: what the rows of `counts` are.
    """

    stage = "encrypted input"
    byte_labels = ("all bytes but the leading ones",)

    def __init__(self, experiment: Experiment, layout: Layout, announcements: Mapping[int, bytes]) -> None:
        self.encoding = make_update_encoding(experiment, make_strategy(experiment.strategy), layout)
        self._announcements = announcements
        self._codec: Codec[ToCoordinator] = Codec(ToCoordinator, MAX_FRAME_BYTES)
        self._keys: dict[bytes, PaillierPublicKey] = {}
        self._checks = CiphertextChecks()
        self._sizes: set[int] = set()
        self._signatures: set[bytes] = set()
        self._num_updates = 0
        self._oddities: dict[str, str] = {}

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(1, 256) how often a byte had each value."""
        return self._checks.counts

    @property
    def correlations(self) -> list[Correlation]:
        """Of each vector of ciphertexts with the plaintexts beneath it."""
        return self._checks.correlations

    def take(self, round_index: int, client_id: str, frame: bytes, truth: Truth) -> None:
        """Takes one client's update in.

        Raises:
            WireError: there is none in the frame, or what its round was about is not known.
        """
        message = self._codec.decode(frame)
        if not isinstance(message, TrainResult):
            text = f"no update, but {type(message).__name__}"
            raise WireError(text)
        update = decode_struct(message.payload, EncryptedUpdate)
        header, public_key = self._announced(round_index)
        packing = Packing(self.encoding.size, self.encoding.sum_bits, public_key.plaintext_bits)
        self._look_at_envelope(f"{client_id}, round {round_index}", update, len(message.payload), header)
        width, data = public_key.ciphertext_bytes, update.ciphertexts
        if len(data) != packing.num_plaintexts * width:
            text = f"{len(data):,} bytes are not {packing.num_plaintexts:,} ciphertexts"
            raise WireError(text)
        ciphertexts = [mpz.from_bytes(data[start : start + width], "big") for start in range(0, len(data), width)]
        beneath = truth(round_index, client_id)
        plaintexts = None if beneath is None else _packed(packing, beneath)
        self._checks.add(round_index, client_id, public_key, ciphertexts, plaintexts)

    def results(self) -> list[Check]:
        """Returns what came of it."""
        return [self._envelopes(), *self._checks.results()]

    def _announced(self, round_index: int) -> tuple[PaillierHeader, PaillierPublicKey]:
        """Returns what a round was about, and the key that its updates are to be encrypted for."""
        announcement = self._announcements.get(round_index)
        if announcement is None:
            message = f"round {round_index} was never announced"
            raise WireError(message)
        told = decode_struct(announcement, RoundAnnouncement)
        document = told.certificate.public_key
        try:
            if document not in self._keys:
                self._keys[document] = PaillierPublicKey.from_bytes(document)
        except CryptoError as error:
            raise WireError(str(error)) from error
        return told.header, self._keys[document]

    def _look_at_envelope(self, where: str, update: EncryptedUpdate, num_bytes: int, header: PaillierHeader) -> None:
        """Notes what is odd about an update, ciphertexts apart."""
        odd = {
            "of another size": bool(self._sizes) and num_bytes not in self._sizes,
            "of another key": update.key_id != header.key_id,
            "of another packing": update.packing_sha256 != header.packing_sha256,
            "unsigned": len(set(update.signature)) == 1,
            "signed as another one": update.signature in self._signatures,
        }
        for what, is_so in odd.items():
            if is_so:
                self._oddities.setdefault(what, where)
        self._num_updates += 1
        self._sizes.add(num_bytes)
        self._signatures.add(update.signature)

    def _envelopes(self) -> Check:
        if not self._num_updates:
            return Check(_ENVELOPE, _ENVELOPE_QUESTION, None, "no updates")
        sizes = f"{self._num_updates:,} updates of {' or '.join(f'{size:,}' for size in sorted(self._sizes)[:5])} bytes"
        odd = [f"{what}: {where}" for what, where in self._oddities.items()]
        return Check(_ENVELOPE, _ENVELOPE_QUESTION, bool(odd), "; first ".join([sizes, *odd]))


def _packed(packing: Packing, vector: npt.NDArray[Any]) -> list[mpz] | None:
    """Returns the plaintexts of a client's true update; none where the simulator's file holds no such update."""
    try:
        return packing.pack(vector)
    except CryptoError:
        return None
