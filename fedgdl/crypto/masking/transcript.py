"""What the keys, signatures and hashes of a secure aggregation are bound to: the same bytes on both sides.

Every function here is pure and public: it takes what was said in a round and returns the bytes that are signed, hashed
or given to `derive_key` as `info`. Each text begins with a label of its own and states the length of each part, so
that no two different statements have the same bytes.

    context      hash of the round's header: session, round, attempt, model, encoding, sizes and thresholds
    roster hash  hash of the context and of all clients' ids, keys and signatures, in the order of ids
    all else     holds both, and the ids it is about

Not here: keys and secrets themselves (`key_agreement`, `secret_sharing`), messages (`fedgdl.wire.secagg`).

Threat model: the coordinator chooses every byte that a client is told. Two clients that were told different headers
    have different contexts, so the signatures of one mean nothing to the other; two that were told different rosters
    derive different keys.

Not protected against: statements that are the same for all and wrong; each client checks those against what it knows.

Example:
    >>> context = context_digest(b"a header")
    >>> survivors_digest(context, bytes(32), ["alice", "bob"]) == survivors_digest(context, bytes(32), ["alicebob"])
    False
    >>> mask_sign("alice", "bob"), mask_sign("bob", "alice")
    (1, -1)

Source:
    Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal, Seth, "Practical Secure Aggregation for
    Privacy-Preserving Machine Learning", CCS 2017: what is signed and sealed in each of its rounds. Header
    and roster in the keys: Pasquini, Francati, Ateniese, "Eluding Secure Aggregation in Federated Learning via Model
    Inconsistency", CCS 2022.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

__all__ = [
    "advertisement_digest",
    "channel_info",
    "context_digest",
    "mask_info",
    "mask_sign",
    "own_mask_commitment",
    "roster_digest",
    "share_binding",
    "share_commitment",
    "survivors_digest",
]

_PROTOCOL: Final = b"fedgdl secagg v1"


def context_digest(header: bytes) -> bytes:
    """Returns the context of a round's attempt, 32 bytes.

    Args:
        header: all that the cohort must agree on, written in one way only.
    """
    return _digest(b"context", header)


def advertisement_digest(context: bytes, client_id: str, channel_key: bytes, mask_key: bytes) -> bytes:
    """Returns what a client signs when it advertises its two public keys, 32 bytes."""
    return _digest(b"advertisement", context, client_id.encode(), channel_key, mask_key)


def roster_digest(context: bytes, entries: Iterable[tuple[str, bytes, bytes, bytes]]) -> bytes:
    """Returns the hash of who takes part with which keys, 32 bytes.

    Args:
        context: of the round.
        entries: (client id, channel key, mask key, signature) of each client, in the order of ids.
    """
    parts = [part for client_id, *keys in entries for part in (client_id.encode(), *keys)]
    return _digest(b"roster", context, *parts)


def channel_info(context: bytes, roster: bytes, sender_id: str, receiver_id: str) -> bytes:
    """Returns the `info` of the key under which one client seals shares for another; each direction has its own."""
    return _text(b"channel", context, roster, sender_id.encode(), receiver_id.encode())


def mask_info(context: bytes, roster: bytes, client_id: str, peer_id: str) -> bytes:
    """Returns the `info` of the seed of two clients' common mask, whichever of them asks."""
    first, second = sorted((client_id, peer_id))
    return _text(b"mask", context, roster, first.encode(), second.encode())


def mask_sign(client_id: str, peer_id: str) -> int:
    """Returns +1 where the client adds the mask it has in common with a peer, -1 where it subtracts it.

    Of two clients, the first in the order of ids adds.

    Source:
        Bonawitz et al. 2017, masking with one-time pads.
    """
    return 1 if client_id < peer_id else -1


def share_binding(context: bytes, roster: bytes, dealer_id: str, holder_id: str) -> bytes:
    """Returns the associated data that sealed shares travel with."""
    return _text(b"shares", context, roster, dealer_id.encode(), holder_id.encode())


def share_commitment(context: bytes, secret_name: str, dealer_id: str, holder_id: str, share: bytes) -> bytes:
    """Returns the hash by which everyone can tell one holder's right share from a wrong one, 32 bytes.

    A share is as good as 256 random bits to whoever lacks it, so its hash tells nothing of it.

    Args:
        context: of the round.
        secret_name: which of the dealer's secrets the share is of.
        dealer_id: whose secret it is.
        holder_id: who holds the share.
        share: 33 bytes.
    """
    return _digest(b"share", context, secret_name.encode(), dealer_id.encode(), holder_id.encode(), share)


def own_mask_commitment(context: bytes, dealer_id: str, seed: bytes) -> bytes:
    """Returns the hash by which the opened seed of a client's own mask is told from a wrong one, 32 bytes."""
    return _digest(b"own mask", context, dealer_id.encode(), seed)


def survivors_digest(context: bytes, roster: bytes, client_ids: Iterable[str]) -> bytes:
    """Returns what the clients whose masked vectors arrived sign, 32 bytes.

    Args:
        context: of the round.
        roster: the roster's hash.
        client_ids: the survivors, in the order of ids.
    """
    return _digest(b"survivors", context, roster, *(client_id.encode() for client_id in client_ids))


def _digest(label: bytes, *parts: bytes) -> bytes:
    return hashlib.sha256(_text(label, *parts)).digest()


def _text(label: bytes, *parts: bytes) -> bytes:
    """Returns the parts, each behind its length in four bytes."""
    return b"".join([piece for part in (_PROTOCOL, label, *parts) for piece in (len(part).to_bytes(4), part)])
