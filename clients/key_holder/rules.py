"""The rules by which a sum of encrypted updates is opened, or is not: the same for whoever can decrypt.

A process that holds the key, a client that does, and a client that holds a share of it follow them alike. They go by
their own copy of the experiment, never by what the coordinator says it is:

    a round is opened once, with a header that says what the experiment says, over as many clients as it asks for;
    with `sum_check = "signed"` each client's ciphertexts carry its signature for this very round, and the sum is formed
        here, of each client once; with `"trusted"` it comes from the coordinator, with a list of clients;
    what is decrypted is given out if it can be the sum of so many clients' updates: no guard bit set, as many clients
        counted as were named, no slot beyond its limit. If not, nobody learns in what way it was not.

Not here: anything that can decrypt, and what became of earlier rounds (`key_holder.py`, `clients.protection.paillier`).

Threat model: a coordinator that chooses every byte, against a holder that follows these rules. Signed: what is opened
    of a round is one sum of updates that at least `min_clients` clients made and signed for this round. Trusted: the
    coordinator is believed what it says it has added up. One that lies has whatever it likes opened once a round, if
    the counter fits: a single client's update, say, with encrypted updates of its own making on top.

Not protected against: clients that put out-of-range numbers into slots, which spill over into the neighbouring ones:
    guard bits and limits find much of that, not all. What a sum tells of those who are in it.

Source:
    What a decryptor has to insist on follows from what encryption leaves open: anybody can add to a Paillier
    ciphertext. Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999,
    section 8, on its additive homomorphic properties.

Example:
    >>> require_sorted(("alice", "bob"))
    >>> require_sorted(("bob", "alice"))
    Traceback (most recent call last):
        ...
    fedgdl.errors.ProtocolError: the coordinator's list of clients is not sorted and unique: 'bob' stands before 'alice'
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NoReturn

from gmpy2 import mpz

from clients.key_holder.transcript import certificate_digest, context_digest, update_digest
from fedgdl.config import Experiment
from fedgdl.crypto.masking import Identities
from fedgdl.crypto.paillier import CiphertextSum, Packing, PaillierPublicKey, read_ciphertexts
from fedgdl.errors import AggregationError, CryptoError, ProtocolError
from fedgdl.federated.encoding import UpdateEncoding
from fedgdl.wire.codec import encode_struct
from fedgdl.wire.paillier import KEY_HOLDER_ID, PAILLIER_VERSION, KeyCertificate, PaillierHeader, SignedUpdate

__all__ = ["RoundGate", "Terms", "certify", "check_certificate", "check_header", "require_sorted", "write_opened"]

_NOT_OPENED: Final = "what was decrypted is no sum of these clients' updates: nothing of it is given out"


class Terms:
    """What whoever encrypts or decrypts knows by itself: the experiment's numbers, and the key's.

    Args:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled.
        encoding: how its updates become whole numbers.
        layout_sha256: of the model's layout.
        certificate: of the key.

    Attributes:
        certificate, encoding, layout_sha256: as given.
        public_key: the certificate's.
        packing: how whole numbers become plaintexts of this key.
        num_clients: of a cohort.
        min_clients: no sum over fewer is opened.
        is_signed: whether sums are formed of signed updates.

    Raises:
        CryptoError: the key cannot be used, or is too short for a single slot.
    """

    def __init__(
        self, experiment: Experiment, encoding: UpdateEncoding, layout_sha256: str, certificate: KeyCertificate
    ) -> None:
        aggregation = experiment.aggregation
        self.certificate, self.encoding, self.layout_sha256 = certificate, encoding, layout_sha256
        self.public_key = PaillierPublicKey.from_bytes(certificate.public_key)
        self.packing = Packing(encoding.size, encoding.sum_bits, self.public_key.plaintext_bits)
        self.num_clients = encoding.max_clients
        self.min_clients = max(aggregation.min_cohort, experiment.strategy.min_updates, certificate.threshold)
        self.is_signed = aggregation.sum_check == "signed" and aggregation.key_holder != "coordinator"


class RoundGate:
    """What is let through to be decrypted in one round: at most one sum.

    In signed rounds it keeps the running sum, never the single updates.

    Args:
        header: of the round; see `check_header`.
        terms: of whoever decrypts.
        identities: knows who can sign for whom.

    Attributes:
        header: as given.
        context: its digest.
    """

    def __init__(self, header: PaillierHeader, terms: Terms, identities: Identities) -> None:
        self.header = header
        self.context = context_digest(encode_struct(header))
        self._terms, self._identities = terms, identities
        self._sum = CiphertextSum(terms.public_key, terms.packing)
        self._client_ids: set[str] = set()
        self._is_closed = False

    def add(self, part: SignedUpdate) -> None:
        """Adds one client's update to the sum.

        Raises:
            ProtocolError: sums are not formed here, the round's is closed, the client's update is in it already, or it
                was made for another key, another packing or another round; says what.
            CryptoError: the ciphertexts cannot be used.
        """
        client_id, update, terms = part.client_id, part.update, self._terms
        if not terms.is_signed:
            _refuse("the sums of this experiment are formed by the coordinator, not by whoever decrypts")
        if self._is_closed:
            _refuse(f"the sum of round {self.header.round_index} is closed")
        if client_id in self._client_ids:
            _refuse(f"the update of {client_id!r} is in the sum of round {self.header.round_index} already")
        if update.key_id != self.header.key_id or update.packing_sha256 != self.header.packing_sha256:
            _refuse(f"the update of {client_id!r} was made for another key or another packing")
        signed = update_digest(self.context, client_id, update.ciphertexts)
        if not self._identities.verify(client_id, signed, update.signature):
            _refuse(
                f"the update said to be of {client_id!r} does not carry its signature for this round: it is of another "
                "client or another round, or was changed on its way"
            )
        self._sum.add(read_ciphertexts(terms.public_key, terms.packing, update.ciphertexts))
        self._client_ids.add(client_id)

    def close(self, client_ids: Sequence[str], ciphertexts: bytes) -> list[mpz]:
        """Returns the sum's ciphertexts, which may be decrypted now; of this round nothing else ever may.

        Args:
            client_ids: whose updates are in the sum, as the coordinator names them.
            ciphertexts: the sum as it has formed it; empty where it is formed here.

        Raises:
            ProtocolError: the round was closed before; the clients are too few, too many, not in order, or not those
                whose updates were added; or a sum came where none should, or the other way round.
            CryptoError: the ciphertexts cannot be used.
        """
        terms = self._terms
        if self._is_closed:
            _refuse(f"of round {self.header.round_index} a sum was asked for before: there is one a round")
        self._is_closed = True
        require_sorted(client_ids)
        if not terms.min_clients <= len(client_ids) <= terms.num_clients:
            _refuse(
                f"the coordinator asks for a sum over {len(client_ids)} clients; no sum over fewer than "
                f"{terms.min_clients} is opened, and a cohort has {terms.num_clients}"
            )
        if terms.is_signed == bool(ciphertexts):
            got = "sent a sum of its own forming" if ciphertexts else "sent no sum"
            _refuse(f"the coordinator {got}, which the configured aggregation.sum_check does not provide for")
        if not terms.is_signed:
            return read_ciphertexts(terms.public_key, terms.packing, ciphertexts)
        if self._client_ids != set(client_ids):
            other = min(self._client_ids ^ set(client_ids))
            _refuse(f"the coordinator names others than those whose updates were added, {other!r} for one")
        return self._sum.ciphertexts


def certify(
    public_key: PaillierPublicKey, identities: Identities, session: bytes, num_shares: int = 0, threshold: int = 0
) -> KeyCertificate:
    """Returns a public key's certificate, signed by the key holder's identity.

    Args:
        public_key: the key.
        identities: signs.
        session: 16 random bytes, drawn anew whenever the key's holder, or the dealer of its shares, starts.
        num_shares: how many clients hold a share of the private key; 0 where it is not shared out.
        threshold: how many of them open a sum.
    """
    unsigned = KeyCertificate(PAILLIER_VERSION, session, public_key.to_bytes(), num_shares, threshold, bytes(64))
    signature = identities.sign(KEY_HOLDER_ID, certificate_digest(unsigned))
    return KeyCertificate(PAILLIER_VERSION, session, public_key.to_bytes(), num_shares, threshold, signature)


def check_certificate(certificate: KeyCertificate, identities: Identities) -> None:
    """Refuses a public key that the key holder, or the dealer of its shares, does not vouch for.

    Raises:
        ProtocolError: the signature does not hold, or the protocol is of another version.
    """
    if certificate.version != PAILLIER_VERSION:
        _refuse(
            f"the certificate is of version {certificate.version} of the protocol, and {PAILLIER_VERSION} is expected"
        )
    if not identities.verify(KEY_HOLDER_ID, certificate_digest(certificate), certificate.signature):
        _refuse("the coordinator announces a public key that the key holder does not vouch for: it may be its own")


def check_header(header: PaillierHeader, terms: Terms, *, round_index: int | None = None) -> None:
    """Refuses a round of another experiment, key or session, or one in which an update would be hidden among too few.

    Args:
        header: what the coordinator announces.
        terms: of whoever is asked to take part.
        round_index: of the task that it came with; none where it came with none.

    Raises:
        ProtocolError: something is not as it should be; says what.
    """
    if header.version != PAILLIER_VERSION:
        _refuse(f"the coordinator speaks version {header.version} of the protocol, and {PAILLIER_VERSION} is expected")
    if header.session != terms.certificate.session:
        _refuse("the coordinator announces a round of another session than the key's: what is of it is void by now")
    if round_index is not None and header.round_index != round_index:
        _refuse(f"the coordinator sends the header of round {header.round_index} in round {round_index}")
    for what, announced, own in (
        ("public key", header.key_id, terms.public_key.key_id),
        ("layout of the model", header.layout_sha256, terms.layout_sha256),
        ("encoding of updates", header.encoding_sha256, terms.encoding.digest),
        ("packing of updates", header.packing_sha256, terms.packing.digest),
    ):
        if announced != own:
            _refuse(f"the coordinator announces another {what} than the configuration and the certificate give")
    for what, count, own_count in (
        ("clients", header.num_clients, terms.num_clients),
        ("clients in a sum at least", header.min_clients, terms.min_clients),
    ):
        if count != own_count:
            _refuse(
                f"the coordinator announces {count} {what}, where the configuration gives {own_count}: with others "
                "than the configured numbers an update may be hidden among too few"
            )


def require_sorted(client_ids: Sequence[str]) -> None:
    """Refuses a list of clients that names one twice, or is not in order.

    Raises:
        ProtocolError: names two neighbours that are not in order.
    """
    for first, second in pairwise(client_ids):
        if first >= second:
            _refuse(f"the coordinator's list of clients is not sorted and unique: {first!r} stands before {second!r}")


def write_opened(terms: Terms, plaintexts: Sequence[int], num_clients: int) -> bytes:
    """Returns a decrypted sum as `UpdateEncoding.pack` writes it, if it can be the sum of so many clients' updates.

    Raises:
        AggregationError: it cannot; in what way is not told, for that would tell of what was decrypted.
    """
    encoding = terms.encoding
    try:
        return encoding.pack(encoding.check(terms.packing.unpack(plaintexts, encoding.dtype), num_clients))
    except (AggregationError, CryptoError):
        raise AggregationError(_NOT_OPENED) from None  # the cause would be told in a traceback


def _refuse(message: str) -> NoReturn:
    raise ProtocolError(message)
