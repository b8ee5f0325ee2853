"""What is signed in an encrypted aggregation: the same bytes at the client that signs and at whoever checks.

Every function here is pure and public. Each text begins with a label of its own and states the length of each part, so
that no two different statements have the same bytes.

    context       hash of the round's header: session, key, round, model, encoding, packing, numbers of clients
    update        holds the context, the client's id and the hash of its ciphertexts; the client signs it
    certificate   holds all of a public key's certificate but the signature; the key holder, or the dealer, signs it

Not here: keys and messages (`fedgdl.crypto.masking.Identities`, `fedgdl.wire.paillier`).

Threat model: the coordinator chooses every byte that others are told. A signature of one round, key or session means
    nothing in another, since the context is another one.

Not protected against: a signer that signs something wrong.

Example:
    >>> update_digest(context_digest(b"round 1"), "bob", b"...") == update_digest(context_digest(b"2"), "bob", b"...")
    False
"""

import hashlib
from typing import Final

from fedgdl.wire.paillier import KeyCertificate

__all__ = ["certificate_digest", "context_digest", "update_digest"]

_PROTOCOL: Final = b"fedgdl paillier v1"


def context_digest(header: bytes) -> bytes:
    """Returns the context of a round, 32 bytes.

    Args:
        header: all that its clients and whoever decrypts must agree on, as `encode_struct` writes it.
    """
    return _digest(b"context", header)


def update_digest(context: bytes, client_id: str, ciphertexts: bytes) -> bytes:
    """Returns what a client signs of its update, 32 bytes."""
    return _digest(b"update", context, client_id.encode(), hashlib.sha256(ciphertexts).digest())


def certificate_digest(certificate: KeyCertificate) -> bytes:
    """Returns what is signed of a public key's certificate, 32 bytes: all of it but the signature."""
    numbers = (certificate.version, certificate.num_shares, certificate.threshold)
    return _digest(
        b"certificate", *(str(number).encode() for number in numbers), certificate.session, certificate.public_key
    )


def _digest(label: bytes, *parts: bytes) -> bytes:
    text = b"".join([piece for part in (_PROTOCOL, label, *parts) for piece in (len(part).to_bytes(4), part)])
    return hashlib.sha256(text).digest()
