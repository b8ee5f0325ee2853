"""What the clients of an encrypted aggregation, the coordinator and the key holder tell each other.

Each struct is the inside of a payload or, in the two unions, a whole frame between coordinator and key holder. What
they mean is in `clients.protection.paillier`, `clients.key_holder` and `server.aggregation.paillier`.

    stage             coordinator to client            client to coordinator
    encrypted input   RoundAnnouncement (to all)       EncryptedUpdate
    decrypt           SumToOpen (to all)               the sum's bytes, or those of a partial decryption
    stand in          SumToOpen (to all)               likewise, of those who were not asked before

Example:
    >>> from fedgdl.wire.codec import decode_struct, encode_struct
    >>> decode_struct(encode_struct(SumToOpen(("alice", "bob"), ciphertexts=b"...")), SumToOpen).client_ids
    ('alice', 'bob')
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from fedgdl.wire.messages import ClientId, Digest, Reason, RoundIndex, Shutdown, WorkerFailed
from fedgdl.wire.secagg import MAX_COHORT, NumClients

__all__ = [
    "KEY_HOLDER_ID",
    "PAILLIER_VERSION",
    "AddUpdate",
    "Added",
    "EncryptedUpdate",
    "FromKeyHolder",
    "KeyCertificate",
    "KeyHolderReady",
    "OpenSum",
    "PaillierHeader",
    "Refused",
    "RoundAnnouncement",
    "RoundOpened",
    "SignedUpdate",
    "SumOpened",
    "SumProgress",
    "SumToOpen",
    "ToKeyHolder",
]

PAILLIER_VERSION: Final = 1
KEY_HOLDER_ID: Final = "\0key holder"
"""Whose identity signs certificates; no client's id begins like this."""

Signature: TypeAlias = Annotated[bytes, Meta(min_length=64, max_length=64)]
ClientIds: TypeAlias = Annotated[tuple[ClientId, ...], Meta(min_length=1, max_length=MAX_COHORT)]


class KeyCertificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A public key that the key holder, or the dealer of its shares, vouches for.

    Attributes:
        version: of the protocol.
        session: 16 random bytes that the key holder draws whenever it starts: what was signed before is void.
        public_key: as `PaillierPublicKey.to_bytes` writes it.
        num_shares: how many clients hold a share of the private key; 0 where it is not shared out.
        threshold: how many of them open a sum; 0 likewise.
        signature: of `KEY_HOLDER_ID` over all the rest.
    """

    version: Annotated[int, Meta(ge=1, le=255)]
    session: Annotated[bytes, Meta(min_length=16, max_length=16)]
    public_key: Annotated[bytes, Meta(min_length=1, max_length=65_536)]
    num_shares: Annotated[int, Meta(ge=0, le=10_000)]
    threshold: Annotated[int, Meta(ge=0, le=10_000)]
    signature: Signature


class PaillierHeader(Struct, frozen=True, forbid_unknown_fields=True):
    """What one round is about; its hash is the context that every client signs its ciphertexts in.

    Attributes:
        version: of the protocol.
        session: of the key's certificate.
        key_id: SHA-256 of the public key.
        round_index: counted from 1.
        model_sha256: of the parameter vector that the clients train from.
        layout_sha256: of the model's layout.
        encoding_sha256: of all that matters for how updates become integers.
        packing_sha256: of all that matters for how integers become plaintexts.
        num_clients: the size of the sampled cohort.
        min_clients: no sum over fewer clients is opened.
    """

    version: Annotated[int, Meta(ge=1, le=255)]
    session: Annotated[bytes, Meta(min_length=16, max_length=16)]
    key_id: Digest
    round_index: RoundIndex
    model_sha256: Digest
    layout_sha256: Digest
    encoding_sha256: Digest
    packing_sha256: Digest
    num_clients: NumClients
    min_clients: NumClients


class RoundAnnouncement(Struct, frozen=True, forbid_unknown_fields=True):
    """What all clients of a round are told before they train."""

    header: PaillierHeader
    certificate: KeyCertificate


class EncryptedUpdate(Struct, frozen=True, forbid_unknown_fields=True):
    """A client's update: its ciphertexts, one after another in their fixed width, and its signature over them.

    Attributes:
        key_id, packing_sha256: as in the header; what was made for others is refused before anything is computed.
        ciphertexts: big-endian, each in `PaillierPublicKey.ciphertext_bytes` bytes.
        signature: of the client, over the round's context, its id and the hash of the ciphertexts.
    """

    key_id: Digest
    packing_sha256: Digest
    ciphertexts: bytes
    signature: Signature


class SignedUpdate(Struct, frozen=True, forbid_unknown_fields=True):
    """One client's part of a sum: who it is of, and its payload."""

    client_id: ClientId
    update: EncryptedUpdate


class SumToOpen(Struct, frozen=True, forbid_unknown_fields=True):
    """What those who hold the key, or shares of it, are asked to open: one of the two, never both.

    Attributes:
        client_ids: whose updates are in the sum, in the order of ids.
        ciphertexts: the sum as the coordinator formed it, re-randomised: whoever opens it takes its word.
        updates: the signed parts, of which whoever opens it forms the sum itself.
        openers: who of the stage's participants is to open it; empty: all.
    """

    client_ids: ClientIds
    ciphertexts: bytes = b""
    updates: Annotated[tuple[SignedUpdate, ...], Meta(max_length=MAX_COHORT)] = ()
    openers: Annotated[tuple[ClientId, ...], Meta(max_length=MAX_COHORT)] = ()


class RoundOpened(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Coordinator to key holder: a round begins. Answered by nothing; what is wrong with it is told with the sum."""

    header: PaillierHeader


class AddUpdate(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Coordinator to key holder: one client's signed update, to be added to the round's sum. Answered by `Added`."""

    round_index: RoundIndex
    part: SignedUpdate


class OpenSum(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Coordinator to key holder: open the round's sum. Answered by `SumProgress`es, then `SumOpened` or `Refused`.

    Attributes:
        round_index: which round.
        client_ids: whose updates are in the sum, in the order of ids.
        ciphertexts: the sum as the coordinator formed it, where the key holder takes its word; else empty.
    """

    round_index: RoundIndex
    client_ids: ClientIds
    ciphertexts: bytes = b""


class KeyHolderReady(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Key holder to coordinator: it has its key, and serves."""

    certificate: KeyCertificate


class Added(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Key holder to coordinator: an update has been added, or, with a reason, has not been and will not be."""

    round_index: RoundIndex
    client_id: ClientId
    refusal: Reason = ""


class SumProgress(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Key holder to coordinator: how many ciphertexts of a sum are opened by now."""

    round_index: RoundIndex
    num_done: Annotated[int, Meta(ge=0)]
    num_total: Annotated[int, Meta(ge=0)]


class SumOpened(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Key holder to coordinator: the sum's whole numbers, as `UpdateEncoding.pack` writes them."""

    round_index: RoundIndex
    vector: bytes


class Refused(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Key holder to coordinator: the round's sum is not opened, and will not be."""

    round_index: RoundIndex
    reason: Reason


ToKeyHolder: TypeAlias = RoundOpened | AddUpdate | OpenSum | Shutdown
FromKeyHolder: TypeAlias = KeyHolderReady | Added | SumProgress | SumOpened | Refused | WorkerFailed
