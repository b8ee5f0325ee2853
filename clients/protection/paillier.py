"""Encrypted aggregation on the clients' side: updates leave as ciphertexts, of which others open the sum.

    encrypted input   the client checks what the round is about and whose key it is to use, encodes its update, packs
                      and encrypts it, and signs the ciphertexts for this very round
    decrypt           where clients hold the key, or shares of it: it checks what it is asked to open by the rules of
                      `clients.key_holder.rules`, and decrypts it, or does its part
    stand in          the same, of clients that were not asked in the stage before; with shares only

An update leaves a client once a round, and rounds only increase: two encryptions of almost the same cohort's updates
would have sums whose difference is one client's update. For the same reason a client opens one sum a round.

Threat model, by who holds the key:
    `"process"`, signed sums: the coordinator, even one that lies, opens one sum a round over at least `min_clients`
        updates that their clients signed. The key holder has the key and gets all ciphertexts: it could read each
        update, and is trusted not to. Coordinator and key holder together read everything.
    `"process"`, trusted sums: the coordinator is trusted to add up what it says. One that follows the protocol learns
        the sum; one that lies can have one client's update a round opened, in the name of others. In exchange the key
        holder sees re-randomised sums only.
    `"clients"`: every client has the whole key. The coordinator alone, which has none, learns the sum if it follows the
        protocol. One client that shows it the key, or gets to see others' ciphertexts, reads every update. With signed
        sums all clients of a round get to see all ciphertexts.
    `"threshold"`: fewer than t clients, t being the threshold, together with a coordinator that follows the protocol,
        open nothing but the sum. With signed sums, one that lies gets no other sum than over `min_clients` signed
        updates either; with trusted sums it can have one client's update opened.
    `"coordinator"`: the coordinator reads every update. Others, who see the ciphertexts only, do not.

Not protected against: what a sum tells by itself: of one client out of few, above all if the others tell what they put
    in, or over many rounds. Clients that send wrong updates; slots out of range spill over into their neighbours, which
    is found as a rule, not always. Different sums of one round, opened by different clients: where clients decrypt,
    each goes by what it is told, and a coordinator that lies may name other clients to each. The difference of two sums
    may be a single update. With `"clients"` two clients suffice for that; with `"threshold"` it takes two groups of t
    clients without an honest one in common, which there are not if 2t is more than the number of all clients plus that
    of those who help to lie. (Of all, not of a cohort: a client is told that it is in the cohort, and takes the
    coordinator's word for it.) The usual t excludes it where nobody helps and a cohort is more than half of all
    clients; where cohorts are smaller no t does. Side channels; secrets left in memory, which Python cannot wipe. Who a
    client is stands on `Identities`, whose enrolment is simulated; what a client has done in earlier rounds its worker
    remembers, and no other worker; a simulation in one process protects nobody.

Source:
    Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999. Zhang, Li, Xia,
    Wang, Yan, Liu, "BatchCrypt: Efficient Homomorphic Encryption for Cross-Silo Federated Learning", USENIX ATC 2020
    (many numbers in a plaintext; clients that hold the key). Damgård, Jurik, "A Generalisation, a Simplification and
    Some Applications of Paillier's Probabilistic Public-Key System", PKC 2001 (threshold decryption).

Example:
    >>> from clients.key_holder.material import deal_material
    >>> from fedgdl.config import AggregationConfig, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> aggregation = AggregationConfig(kind="paillier", max_weight=8, key_holder="clients", insecure_key_bits=128)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> identities = Identities(bytes(32))  # random in a run
    >>> material = encode_struct(deal_material(experiment, ["alice", "bob", "sue"], identities))
    >>> layout = Layout.of({"w": (2,)})
    >>> protection = PaillierProtection(experiment, FedAvg("equal"), layout, identities, key_material=material)
    >>> protection.answer("decrypt", 1, "bob", b"please", b"")
    Traceback (most recent call last):
        ...
    fedgdl.errors.ProtocolError: the coordinator asks for a sum of round 1, in which this client sent no update
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from clients.key_holder.material import KeyMaterial
from clients.key_holder.rules import Terms, check_certificate, check_header
from clients.key_holder.transcript import context_digest, update_digest
from clients.protection.paillier_encryptor import Encryptor
from clients.protection.paillier_opening import make_opening
from fedgdl.config import Experiment
from fedgdl.crypto.masking import Identities
from fedgdl.crypto.paillier import make_obfuscators
from fedgdl.errors import ClientError, ConfigError, CryptoError, ProtocolError, WireError
from fedgdl.federated import ClientUpdate, Strategy
from fedgdl.federated.encoding import EncodedUpdate, OnEncoded, make_update_encoding, rounding_stream
from fedgdl.parameters import Layout
from fedgdl.runtime import usable_cores
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.paillier import EncryptedUpdate, KeyCertificate, PaillierHeader, RoundAnnouncement, SumToOpen

__all__ = ["PaillierProtection"]

_TRAINING_STAGE: Final = "encrypted input"

MessageT = TypeVar("MessageT", bound=msgspec.Struct)


@dataclass(slots=True)
class _Part:
    """A client's part in the latest round: what the round is about, and what it has done in it."""

    header: PaillierHeader
    has_sent: bool = False
    has_opened: bool = False


class PaillierProtection:
    """The clients that one worker hosts, in encrypted aggregation.

    Args:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled.
        strategy: says which terms of which sums a client forms.
        layout: the model's.
        identities: signs for the clients, and knows who can sign for whom.
        on_encoded: see `OnEncoded`.
        key_material: what the worker was given of the key, see `KeyMaterial`.
        on_progress: called with (client id, round, ciphertexts made, ciphertexts in all) while an update is encrypted.
        num_workers: among how many workers a cohort is spread: this one prepares for its share of the clients, and
            takes its share of the cores to decrypt.

    Attributes:
        is_private: yes: a single client's numbers stay off the wire.

    Raises:
        ConfigError: there is no key material; or see `make_update_encoding`.
        CryptoError: the key material cannot be used.
        ProtocolError: nobody vouches for it.
    """

    is_private: Final = True

    def __init__(
        self,
        experiment: Experiment,
        strategy: Strategy,
        layout: Layout,
        identities: Identities,
        on_encoded: OnEncoded = lambda *_: None,
        *,
        key_material: bytes | None,
        on_progress: Callable[[str, int, int, int], None] = lambda *_: None,
        num_workers: int = 1,
    ) -> None:
        material = _read_material(key_material)
        check_certificate(material.certificate, identities)
        self._experiment, self._layout_sha256 = experiment, layout.digest
        self._encoding = make_update_encoding(experiment, strategy, layout)
        self._identities, self._on_encoded, self._on_progress = identities, on_encoded, on_progress
        self._num_vectors = -(-self._encoding.max_clients // num_workers)
        terms = Terms(experiment, self._encoding, layout.digest, material.certificate)
        num_threads = max(1, usable_cores() // num_workers)
        self._opening, source = make_opening(experiment.aggregation, terms, identities, material, num_threads)
        self._encryptor = Encryptor(terms, source, experiment.aggregation.obfuscator_pool, self._num_vectors)
        self._latest = 0
        self._parts: dict[str, _Part] = {}

    def __repr__(self) -> str:
        """Returns how many clients take part in which round; no secret."""
        return f"PaillierProtection({len(self._parts)} clients in round {self._latest})"

    def busy(self) -> None:
        """Says that the worker has something to do: obfuscators are not made beforehand meanwhile."""
        self._encryptor.busy()

    def idle(self) -> None:
        """Says that the worker has nothing to do."""
        self._encryptor.idle()

    def close(self) -> None:
        """Ends what runs in the background."""
        self._encryptor.close()

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Returns a client's answer in a stage without training: the sum, its part in the decryption, or nothing.

        Nothing, if others are to open the sum, or nobody is any more.

        Raises:
            ProtocolError: the client refuses; the message says what it caught.
            CryptoError: ciphertexts cannot be used.
        """
        if self._opening is None or stage not in self._opening.stages:
            refusal = f'the coordinator asks for a stage "{stage}", which this protocol does not have'
            raise ProtocolError(refusal)
        part = self._parts.get(client_id)
        if part is None or not part.has_sent or part.header.round_index != round_index:
            refusal = f"the coordinator asks for a sum of round {round_index}, in which this client sent no update"
            raise ProtocolError(refusal)
        if stage == "stand in" and not common:
            return b""
        request = _read(stage, common, SumToOpen)
        if request.openers and client_id not in request.openers:
            return b""
        if part.has_opened:
            refusal = f"the coordinator asks for a second sum of round {round_index}; a client opens one a round"
            raise ProtocolError(refusal)
        part.has_opened = True
        if client_id not in request.client_ids:
            refusal = "the coordinator asks this client for a sum without its own update, which it sent"
            raise ProtocolError(refusal)
        return self._opening.open(client_id, part.header, request, common)

    def check_model(self, client_id: str, round_index: int, model_sha256: str) -> None:
        """Makes sure, before a client trains, that it may take part in the round.

        What the round was announced with comes with the task and is checked before anything is encrypted.

        Raises:
            ProtocolError: it has taken part in this round, or in a later one.
        """
        self._require_new(client_id, round_index)

    def protect(
        self, client_id: str, round_index: int, model_sha256: str, common: bytes, message: bytes, update: ClientUpdate
    ) -> bytes:
        """Returns a client's update, encoded, encrypted and signed.

        Raises:
            ProtocolError: the round is none that this client takes part in; says why.
            CryptoError: the announced key cannot be used.
            ClientError: the update has no code, see `UpdateEncoding.encode`.
            FedgdlError: the strategy's terms are not what it declares.
        """
        self._require_new(client_id, round_index)
        announced = _read(_TRAINING_STAGE, common, RoundAnnouncement)
        encryptor = self._encryptor_for(announced.certificate)
        header, terms = announced.header, encryptor.terms
        check_header(header, terms, round_index=round_index)
        if header.model_sha256 != model_sha256:
            refusal = (
                f"the coordinator sent the parameters {model_sha256[:12]}... to train from, while the round's header "
                f"names {header.model_sha256[:12]}...: others may have got others"
            )
            raise ProtocolError(refusal)
        part = self._take_part(client_id, header)
        encoded = self._encode(client_id, round_index, update)
        ciphertexts = encryptor.encrypt(
            encoded.vector, lambda done, total: self._on_progress(client_id, round_index, done, total)
        )
        signed = update_digest(context_digest(encode_struct(header)), client_id, ciphertexts)
        part.has_sent = True
        return encode_struct(
            EncryptedUpdate(
                key_id=terms.public_key.key_id,
                packing_sha256=terms.packing.digest,
                ciphertexts=ciphertexts,
                signature=self._identities.sign(client_id, signed),
            )
        )

    def _encode(self, client_id: str, round_index: int, update: ClientUpdate) -> EncodedUpdate:
        try:
            rng = rounding_stream(self._experiment.seed, round_index, client_id)
            encoded = self._encoding.encode(update, rng)
        except CryptoError as error:
            raise ClientError(client_id, f"its update cannot be encoded: {error}") from error
        self._on_encoded(client_id, round_index, encoded)
        return encoded

    def _require_new(self, client_id: str, round_index: int) -> None:
        """Refuses a round that is over, or that the client takes part in already.

        Raises:
            ProtocolError: it is one.
        """
        if round_index < self._latest or (round_index == self._latest and client_id in self._parts):
            message = (
                f"the coordinator asks for an update in round {round_index} after round {self._latest}, or twice in "
                "one: a client sends one update a round, and rounds only increase"
            )
            raise ProtocolError(message)

    def _take_part(self, client_id: str, header: PaillierHeader) -> _Part:
        """Takes note that a client takes part in a round; from here on there is no second update."""
        if header.round_index != self._latest:
            self._parts.clear()
        self._latest = header.round_index
        self._parts[client_id] = part = _Part(header)
        return part

    def _encryptor_for(self, certificate: KeyCertificate) -> Encryptor:
        """Returns what encrypts for the certificate's key, which may be new: the key holder may have been replaced.

        Raises:
            ProtocolError: nobody vouches for the key, or clients hold another.
            CryptoError: the key cannot be used.
        """
        terms = self._encryptor.terms
        if certificate == terms.certificate:
            return self._encryptor
        if self._opening is not None:
            message = "the coordinator announces another key than the one that the clients hold"
            raise ProtocolError(message)
        check_certificate(certificate, self._identities)
        if certificate.public_key == terms.certificate.public_key:  # another session of the same key
            self._encryptor.terms = Terms(self._experiment, self._encoding, self._layout_sha256, certificate)
            return self._encryptor
        terms = Terms(self._experiment, self._encoding, self._layout_sha256, certificate)
        has_pool = self._experiment.aggregation.obfuscator_pool != "none"  # beforehand it is too late for
        source = make_obfuscators(terms.public_key)
        encryptor = Encryptor(terms, source, "background" if has_pool else "none", self._num_vectors)
        self._encryptor.close()
        self._encryptor = encryptor
        return encryptor


def _read_material(data: bytes | None) -> KeyMaterial:
    """Returns what a worker was given of the key.

    Raises:
        ConfigError: nothing.
        CryptoError: something else.
    """
    if data is None:
        message = 'aggregation.kind = "paillier" needs a key to encrypt with'
        raise ConfigError(message)
    try:
        return decode_struct(data, KeyMaterial)
    except WireError:
        message = "the key material cannot be used"
        raise CryptoError(message) from None  # what cannot be read may hold what must not be told


def _read(stage: str, data: bytes, kind: type[MessageT]) -> MessageT:
    try:
        return decode_struct(data, kind)
    except WireError as error:
        message = f'what the coordinator says in the stage "{stage}" cannot be read'
        raise ProtocolError(message) from error
