"""Encrypted aggregation on the server's side: ciphertexts in, the sum over their clients out.

The coordinator has the public key alone. It checks what comes (its length, its range, the key and packing it was made
for), so that a client at fault is named; who signed it, it cannot tell, since it has nobody's identity: whoever
decrypts finds that out. How the sum is opened, and by whom, is in `decryption.py`.

A client's update is asked for once a round: there is no second attempt, for the difference of two sums over almost the
same clients could be one client's update.

Threat model: an honest-but-curious coordinator holds what is in here. It sees ciphertexts, and of the updates learns
    the sums that are opened. What a coordinator that lies can reach depends on who holds the key, and on `sum_check`:
    see `clients.protection.paillier`.

Not protected against: clients that send wrong updates. A sum that is found to be none is refused as a whole, for nobody
    can tell whose fault it is.

Source:
    Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999.

Example:
    >>> from fedgdl.config import AggregationConfig, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> config = AggregationConfig(kind="paillier", max_weight=8, key_holder="clients")
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=config)
    >>> public_key = PaillierPublicKey(n=(2**61 - 1) * (2**89 - 1))  # no key for anything but an example
    >>> certificate = KeyCertificate(PAILLIER_VERSION, bytes(16), public_key.to_bytes(), 0, 0, bytes(64))
    >>> layout = Layout.of({"w": (2,)})
    >>> aggregation = PaillierAggregation(experiment, FedAvg("equal"), layout, None, certificate=certificate)
    >>> a_round = aggregation.open_round(1, 1, ("alice", "bob", "sue"), "0" * 64)
    >>> [(stage.name, stage.min_answers) for stage in a_round.stages]
    [('encrypted input', 3), ('decrypt', 1)]
"""

from collections.abc import Sequence
from typing import Final

from fedgdl.config import Experiment
from fedgdl.crypto.paillier import Obfuscators, Packing, PaillierPublicKey, make_obfuscators, read_ciphertexts
from fedgdl.errors import AggregationError, ClientError, ConfigError, CryptoError, WireError
from fedgdl.federated import ClientRecord, CohortSums, Strategy
from fedgdl.federated.encoding import UpdateEncoding, make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.paillier import (
    PAILLIER_VERSION,
    EncryptedUpdate,
    KeyCertificate,
    PaillierHeader,
    RoundAnnouncement,
)
from server.aggregation.decryption import (
    ClientsDecryption,
    Decryption,
    HolderDecryption,
    SharesDecryption,
    SumFormat,
    SumOpener,
)
from server.round_state import Stage

__all__ = ["PaillierAggregation", "PaillierCohort", "SumOpener"]

_TRAINING_STAGE: Final = "encrypted input"

_PAYLOAD_OVERHEAD_BYTES: Final = 2_048
"""More than everything in an update besides the ciphertexts takes, with its client's id of up to 800 bytes."""

_MAX_TASK_BYTES: Final = 256_000_000
"""As `clients.worker.MAX_TASK_FRAME_BYTES`; the key holder takes as much."""

_MAX_ID_BYTES: Final = 805
"""A client's id has up to 200 characters of up to 4 bytes, behind its length."""

_TASK_OVERHEAD_BYTES: Final = 100_000
"""More than all else in a task takes: the ids of the 64 clients that it may name, the header and the certificate."""


class PaillierAggregation:
    """Opens rounds of encrypted aggregation.

    Args:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled.
        strategy: declares the sums.
        layout: the model's.
        opener: whoever has the private key; none where clients have it, or shares of it.
        certificate: of the public key, where clients hold the private one.
        client_ids: the whole population, where they hold shares of it.
        max_task_bytes: no task, and no message to the key holder, may be longer.

    Raises:
        ConfigError: a task would be too long; or there is nobody to open sums; or sums may wrap around the ring.
        CryptoError: the public key cannot be used.
    """

    def __init__(
        self,
        experiment: Experiment,
        strategy: Strategy,
        layout: Layout,
        opener: SumOpener | None,
        *,
        certificate: KeyCertificate | None = None,
        client_ids: Sequence[str] = (),
        max_task_bytes: int = _MAX_TASK_BYTES,
    ) -> None:
        self._experiment, self._layout_sha256 = experiment, layout.digest
        self._encoding = make_update_encoding(experiment, strategy, layout)
        self._opener, self._given = opener, certificate
        self._positions = {client_id: x for x, client_id in enumerate(sorted(client_ids), start=1)}
        self._certificate = self._newest_certificate()
        self._key = _KeyInUse(self._certificate, self._encoding, experiment)
        self._require_holders()
        _require_short_tasks(experiment, self._key.form, self._encoding.max_clients, max_task_bytes)
        self._max_payload_bytes = max(self._encoding.num_bytes, self._key.form.payload_bytes) + _PAYLOAD_OVERHEAD_BYTES

    @property
    def max_payload_bytes(self) -> int:
        """The size that no valid payload exceeds: that of an encrypted update, of a sum or of a part of one."""
        return self._max_payload_bytes

    def open_round(
        self, round_index: int, attempt: int, cohort: tuple[str, ...], model_sha256: str
    ) -> "PaillierCohort":
        """Returns a fresh aggregation for a round.

        Raises:
            AggregationError: the cohort is not of the configured size, which all its clients insist on; or it is not
                the first attempt.
            EngineError: the key holder was lost, and cannot be replaced.
        """
        if attempt != 1:
            message = f"round {round_index} is not tried again: a client sends one encrypted update a round"
            raise AggregationError(message)
        if len(cohort) != self._encoding.max_clients:
            message = f"a cohort of {len(cohort):,} came, and one of {self._encoding.max_clients:,} is configured"
            raise AggregationError(message)
        certificate = self._newest_certificate()
        if certificate.public_key != self._certificate.public_key:
            self._key = _KeyInUse(certificate, self._encoding, self._experiment)
        self._certificate = certificate
        strategy, aggregation = self._experiment.strategy, self._experiment.aggregation
        header = PaillierHeader(
            version=PAILLIER_VERSION,
            session=certificate.session,
            key_id=self._key.form.public_key.key_id,
            round_index=round_index,
            model_sha256=model_sha256,
            layout_sha256=self._layout_sha256,
            encoding_sha256=self._encoding.digest,
            packing_sha256=self._key.form.packing.digest,
            num_clients=self._encoding.max_clients,
            min_clients=max(aggregation.min_cohort, strategy.min_updates, certificate.threshold),
        )
        return PaillierCohort(header, certificate, cohort, self._key.form, self._decryption(header), self._opener)

    def _newest_certificate(self) -> KeyCertificate:
        certificate = self._given if self._opener is None else self._opener.certificate
        if certificate is None:
            message = 'aggregation.kind = "paillier" needs a key holder, or the certificate of a key that clients hold'
            raise ConfigError(message)
        return certificate

    def _decryption(self, header: PaillierHeader) -> Decryption:
        """Returns what will open the sum of a round."""
        form, key_holder = self._key.form, self._experiment.aggregation.key_holder
        if self._opener is not None:
            return HolderDecryption(form, self._opener, header.round_index, is_leaving=key_holder != "coordinator")
        if key_holder == "clients":
            return ClientsDecryption(form)
        return SharesDecryption(form, self._positions, self._certificate.threshold)

    def _require_holders(self) -> None:
        """Refuses a key that others hold than the configuration says.

        Raises:
            ConfigError: they do.
        """
        key_holder, certificate = self._experiment.aggregation.key_holder, self._certificate
        are_clients = key_holder in {"clients", "threshold"}
        num_shares = max(1, len(self._positions)) if key_holder == "threshold" else 0
        if (self._opener is None) != are_clients or certificate.num_shares != num_shares:
            message = f'aggregation.key_holder = "{key_holder}" does not go with the key that the run was given'
            raise ConfigError(message)


class _KeyInUse:
    """A public key with what belongs to it; its table of powers is made when a sum is first re-randomised.

    Args:
        certificate: of the key.
        encoding: of updates.
        experiment: the configuration.
    """

    def __init__(self, certificate: KeyCertificate, encoding: UpdateEncoding, experiment: Experiment) -> None:
        public_key = PaillierPublicKey.from_bytes(certificate.public_key)
        aggregation = experiment.aggregation
        self.form = SumFormat(
            public_key=public_key,
            packing=Packing(encoding.size, encoding.sum_bits, public_key.plaintext_bits),
            encoding=encoding,
            obfuscators=self._obfuscators,
            is_signed=aggregation.sum_check == "signed" and aggregation.key_holder != "coordinator",
        )
        self._source: Obfuscators | None = None

    def _obfuscators(self) -> Obfuscators:
        if self._source is None:
            self._source = make_obfuscators(self.form.public_key)
        return self._source


class PaillierCohort:
    """One round: what is said to its clients, and what becomes of their answers.

    Args:
        header: what the round is about.
        certificate: of the key that updates are encrypted with.
        cohort: the sampled clients, in the order of ids.
        form: how updates become ciphertexts.
        decryption: opens the sum.
        opener: is told that the round begins; none where clients decrypt.
    """

    def __init__(
        self,
        header: PaillierHeader,
        certificate: KeyCertificate,
        cohort: tuple[str, ...],
        form: SumFormat,
        decryption: Decryption,
        opener: SumOpener | None,
    ) -> None:
        self.stages = (
            Stage(_TRAINING_STAGE, header.min_clients, trains=True, opens=True),
            *decryption.stages,
        )
        self._header, self._certificate, self._form = header, certificate, form
        self._decryption, self._opener = decryption, opener
        self._stage = ""
        self._participants: frozenset[str] = frozenset()
        self._answered = set(cohort)  # whoever answered the stage before may take part in the next
        self._contributors: set[str] = set()

    def begin(self, stage: str, client_ids: tuple[str, ...]) -> None:
        """Says who takes part in a stage: in the first the cohort, else those whose answer to the one before was taken.

        Raises:
            AggregationError: it is not this stage's turn, others take part than have answered, or too few have.
            EngineError: the key holder was lost, and cannot be replaced.
        """
        names = ["", *(each.name for each in self.stages)]
        position = names.index(stage) - 1 if stage in names else -1
        if position != names.index(self._stage):
            message = f'the stage "{stage}" cannot follow "{self._stage}"'
            raise AggregationError(message)
        participants = frozenset(client_ids)
        if participants != self._answered:
            message = f'others take part in the stage "{stage}" than answered the one before'
            raise AggregationError(message)
        # A stage has enough participants if it can have enough answers, and the one before had them.
        if len(participants) < max(each.min_answers for each in self.stages[max(0, position - 1) : position + 1]):
            message = f'{len(participants)} clients are too few for the stage "{stage}"'
            raise AggregationError(message)
        if stage != _TRAINING_STAGE:
            self._decryption.begin(stage, sorted(participants))
        elif self._opener is not None:
            self._opener.open_round(self._header)
        self._stage, self._participants, self._answered = stage, participants, set()

    def common(self, stage: str) -> bytes:
        """Returns what every participant of the stage is told alike."""
        if stage == _TRAINING_STAGE:
            return encode_struct(RoundAnnouncement(self._header, self._certificate))
        return self._decryption.common(stage)

    def message(self, stage: str, client_id: str) -> bytes:
        """Returns nothing: all are told alike."""
        return b""

    def take(self, stage: str, client_id: str, payload: bytes) -> ClientRecord | None:
        """Takes the answer of a client that was asked and has not answered yet; none tells anything for a report.

        Raises:
            ClientError: the stage is over or the client not in it, it has answered before, or its answer is malformed,
                for another key, or refused by the key holder; says how.
            EngineError: the key holder was lost, and cannot be replaced.
        """
        if stage != self._stage or client_id not in self._participants:
            raise ClientError(client_id, f'it sent an answer to the stage "{stage}", in which it was not asked now')
        if client_id in self._answered:
            raise ClientError(client_id, f'it sent a second answer to the stage "{stage}"')
        if stage == _TRAINING_STAGE:
            self._take_update(client_id, payload)
        else:
            self._decryption.take(stage, client_id, payload)
        self._answered.add(client_id)
        return None

    def finish(self) -> CohortSums:
        """Returns the sums over the clients whose updates were taken.

        Raises:
            AggregationError: the last stage has not begun, too few updates came, or whoever decrypts opened none that
                can be a sum of updates.
            EngineError: the key holder was lost, and cannot be replaced.
        """
        if self._stage != self.stages[-1].name or len(self._contributors) < self._header.min_clients:
            message = (
                f"{len(self._contributors)} encrypted updates came, and at least {self._header.min_clients} clients "
                "must be in a sum: nothing is opened"
            )
            raise AggregationError(message)
        vector = self._decryption.finish(sorted(self._contributors))
        return self._form.encoding.decode(vector, len(self._contributors))

    def _take_update(self, client_id: str, payload: bytes) -> None:
        try:
            update = decode_struct(payload, EncryptedUpdate)
        except WireError as error:
            raise ClientError(client_id, f"its answer cannot be read: {error}") from error
        if update.key_id != self._header.key_id:
            raise ClientError(client_id, "its update was encrypted with another key than that of the round")
        if update.packing_sha256 != self._header.packing_sha256:
            raise ClientError(client_id, "its update was packed in another way than that of the round")
        try:
            ciphertexts = read_ciphertexts(self._form.public_key, self._form.packing, update.ciphertexts)
        except CryptoError as error:
            raise ClientError(client_id, f"its update cannot be used: {error}") from error
        self._decryption.add(client_id, update, ciphertexts)
        self._contributors.add(client_id)


def _require_short_tasks(experiment: Experiment, form: SumFormat, num_clients: int, max_task_bytes: int) -> None:
    """Refuses what would need longer tasks than are allowed.

    Raises:
        ConfigError: says what would do.
    """
    update_bytes = form.payload_bytes + _PAYLOAD_OVERHEAD_BYTES
    single_bytes = update_bytes + num_clients * _MAX_ID_BYTES + _TASK_OVERHEAD_BYTES
    if single_bytes > max_task_bytes:
        message = (
            f"an encrypted update has {form.payload_bytes:,} bytes, and a message holds {max_task_bytes:,} at most: "
            'take aggregation.kind = "secagg", or a smaller model'
        )
        raise ConfigError(message)
    key_holder = experiment.aggregation.key_holder
    all_bytes = num_clients * update_bytes + _TASK_OVERHEAD_BYTES
    if form.is_signed and key_holder in {"clients", "threshold"} and all_bytes > max_task_bytes:
        message = (
            f'with aggregation.sum_check = "signed" and key_holder = "{key_holder}" each client is sent the encrypted '
            f"updates of the whole cohort, {all_bytes:,} bytes, and a message holds {max_task_bytes:,} at most: take "
            'aggregation.sum_check = "trusted", whose sum is as long as one update, or key_holder = "process"'
        )
        raise ConfigError(message)
