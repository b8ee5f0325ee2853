"""What the clients of a secure aggregation and the coordinator tell each other: the insides of payloads.

Each struct is one message of one stage, in bounds; `encode_struct` and `decode_struct` are their bytes. What
they mean is in `clients.protection.secagg` and `server.aggregation.secagg`.

    stage          coordinator to client               client to coordinator
    advertise      RoundHeader (to all alike)           KeyAdvertisement
    share          Roster (each its neighbourhood)      DealtShares
    masked input   ForwardedShares                      the bare bytes of the masked vector
    consistency    Survivors (to all alike)             64 bytes: a signature of the survivors
    unmask         UnmaskRequest                        UnmaskShares

Example:
    >>> from fedgdl.wire.codec import decode_struct, encode_struct
    >>> decode_struct(encode_struct(Survivors(("alice", "bob"))), Survivors)
    Survivors(client_ids=('alice', 'bob'))
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from fedgdl.wire.messages import ClientId, Digest, RoundIndex

__all__ = [
    "MAX_COHORT",
    "PROTOCOL_VERSION",
    "SIGNATURE_BYTES",
    "DealtShares",
    "ForwardedShares",
    "KeyAdvertisement",
    "Roster",
    "RosterEntry",
    "RoundHeader",
    "ShareCommitments",
    "Survivors",
    "UnmaskRequest",
    "UnmaskShares",
]

PROTOCOL_VERSION: Final = 1
MAX_COHORT: Final = 100_000
"""Clients of a cohort; so many ids still fit into a frame."""

SIGNATURE_BYTES: Final = 64
"""The length of a survivor's answer in the consistency stage."""

Key: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Signature: TypeAlias = Annotated[bytes, Meta(min_length=64, max_length=64)]
Share: TypeAlias = Annotated[bytes, Meta(min_length=33, max_length=33)]
Hash: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
SealedShares: TypeAlias = Annotated[bytes, Meta(min_length=82, max_length=82)]
"""One client's shares of its mask key and of its own mask's seed, 33 bytes each, readable by one other client alone."""

NumClients: TypeAlias = Annotated[int, Meta(ge=2, le=MAX_COHORT)]


class RoundHeader(Struct, frozen=True, forbid_unknown_fields=True):
    """What one attempt at one round is about; its hash is the context that every key and signature is bound to.

    Attributes:
        version: of the protocol.
        session: 16 random bytes, the same for all rounds of a run.
        round_index: counted from 1.
        attempt: counted from 1 in each round.
        model_sha256: of the parameter vector that the clients train from.
        layout_sha256: of the model's layout.
        encoding_sha256: of all that matters for how updates become integers.
        num_clients: the size of the sampled cohort.
        degree: how many neighbours a client has.
        threshold: how many shares open a secret.
        min_survivors: no sum over fewer clients is opened.
        is_consistency_checked: whether the survivors sign who they are.
    """

    version: Annotated[int, Meta(ge=1, le=255)]
    session: Annotated[bytes, Meta(min_length=16, max_length=16)]
    round_index: RoundIndex
    attempt: Annotated[int, Meta(ge=1, le=100)]
    model_sha256: Digest
    layout_sha256: Digest
    encoding_sha256: Digest
    num_clients: NumClients
    degree: Annotated[int, Meta(ge=1, le=MAX_COHORT)]
    threshold: NumClients
    min_survivors: NumClients
    is_consistency_checked: bool


class KeyAdvertisement(Struct, frozen=True, forbid_unknown_fields=True):
    """A client's keys of one round, signed together with the round's context and its id.

    Attributes:
        channel_key: X25519 public key for the shares that others send it.
        mask_key: X25519 public key for pairwise masks.
        signature: Ed25519.
    """

    channel_key: Key
    mask_key: Key
    signature: Signature


class RosterEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """One client that takes part, with what it advertised."""

    client_id: ClientId
    keys: KeyAdvertisement


class Roster(Struct, frozen=True, forbid_unknown_fields=True):
    """A client's neighbourhood, itself included, in the order of ids.

    Attributes:
        sha256: the hash of the whole cohort's entries in the order of ids; in a complete graph the client can
            compute it.
        entries: the neighbourhood.
    """

    sha256: Hash
    entries: Annotated[tuple[RosterEntry, ...], Meta(min_length=2, max_length=MAX_COHORT)]


class ShareCommitments(Struct, frozen=True, forbid_unknown_fields=True):
    """Hashes of one holder's two shares of one client, so that a wrong one is told from a right one."""

    mask_key: Hash
    own_mask: Hash


class DealtShares(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client deals out.

    Attributes:
        shares: holder -> sealed shares, for each neighbour (not for itself).
        commitments: holder -> commitments, for each neighbour and itself.
        own_mask_commitment: the hash of its own mask's seed.
    """

    shares: Annotated[dict[ClientId, SealedShares], Meta(min_length=1, max_length=MAX_COHORT)]
    commitments: Annotated[dict[ClientId, ShareCommitments], Meta(min_length=2, max_length=MAX_COHORT)]
    own_mask_commitment: Hash


class ForwardedShares(Struct, frozen=True, forbid_unknown_fields=True):
    """What the neighbours that dealt shares have dealt to one client.

    Attributes:
        shares: dealer -> sealed shares.
        commitments: dealer -> what it has committed to for this client.
    """

    shares: Annotated[dict[ClientId, SealedShares], Meta(max_length=MAX_COHORT)]
    commitments: Annotated[dict[ClientId, ShareCommitments], Meta(max_length=MAX_COHORT)]


class Survivors(Struct, frozen=True, forbid_unknown_fields=True):
    """The clients whose masked vectors are in the sum, in the order of ids; the same to all."""

    client_ids: Annotated[tuple[ClientId, ...], Meta(min_length=2, max_length=MAX_COHORT)]


class UnmaskRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Asks a client for its shares of the survivors' own masks and of the dropped neighbours' mask keys.

    Attributes:
        signatures: survivor -> its signature of the survivors, of those in the client's neighbourhood; empty where
            consistency is not checked.
    """

    signatures: Annotated[dict[ClientId, Signature], Meta(max_length=MAX_COHORT)]


class UnmaskShares(Struct, frozen=True, forbid_unknown_fields=True):
    """A client's answer: for each client of its neighbourhood one of the two shares, never both.

    Attributes:
        own_masks: survivor -> share of its own mask's seed.
        mask_keys: dropped client -> share of its private mask key.
    """

    own_masks: Annotated[dict[ClientId, Share], Meta(max_length=MAX_COHORT)]
    mask_keys: Annotated[dict[ClientId, Share], Meta(max_length=MAX_COHORT)]
