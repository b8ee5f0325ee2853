"""Who signed what: the long-term identity of each simulated client.

In a deployment every client would enrol once with a key of its own, and all others would know its public half. Here
one secret of the run stands for that enrolment: each client's Ed25519 key is derived from it and the client's id, so
a million clients need no list of keys. Workers hold it; the coordinator never does and so can sign for nobody.

Not here: what is signed. The caller binds label, round and roster into the message.

Threat model: the coordinator sees all signatures and may replace messages and signatures as it likes; it cannot make
    one that verifies. Clients of this simulation are honest with the secret: a worker could sign for any client.

Not protected against: workers that lie about who they are (enrolment is simulated); side channels around the
    library's calls; secrets left in memory, which Python cannot wipe.

Example:
    >>> identities = Identities(bytes(range(32)))  # secrets.token_bytes(32) in a run
    >>> signature = identities.sign("bob", b"my key of round 1")
    >>> identities.verify("bob", b"my key of round 1", signature)
    True
    >>> identities.verify("alice", b"my key of round 1", signature)
    False
"""

import hashlib
from functools import lru_cache
from typing import Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fedgdl.crypto.masking.key_agreement import KEY_BYTES, derive_key
from fedgdl.errors import CryptoError

__all__ = ["SIGNATURE_BYTES", "Identities"]

SIGNATURE_BYTES: Final = 64
"""The length of a signature."""

_LABEL: Final = b"fedgdl identity v1\0"
_MAX_KEPT_KEYS: Final = 4096
_MAX_KEPT_OUTCOMES: Final = 16384  # in a round of a thousand clients: two signatures each, and the rounds around


class Identities:
    """The signing keys of all clients of a run.

    Keys and the outcomes of verifications are remembered, a bounded number of each: both are pure functions, and the
    simulation has every client verify what its neighbours verified too. The secret is in no `repr`, and the object
    refuses to be pickled or copied.

    Args:
        secret: 32 random bytes, drawn once a run.

    Raises:
        CryptoError: the secret is not 32 bytes.

    Source:
        Josefsson, Liusvaara, "Edwards-Curve Digital Signature Algorithm (EdDSA)", RFC 8032, 2017, section 5.1.
    """

    __slots__ = ("_keys", "_outcomes", "_secret")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            message = "the secret of the identities is not 32 bytes"
            raise CryptoError(message)
        self._secret = secret
        self._keys = lru_cache(_MAX_KEPT_KEYS)(self._derive)
        self._outcomes: dict[tuple[str, bytes, bytes], bool] = {}

    def sign(self, client_id: str, message: bytes) -> bytes:
        """Returns the client's signature over a message, 64 bytes."""
        private_key, _ = self._keys(client_id)
        return private_key.sign(message)

    def public_key(self, client_id: str) -> bytes:
        """Returns the public half of the client's key, 32 bytes."""
        _, public_key = self._keys(client_id)
        return public_key.public_bytes_raw()

    def verify(self, client_id: str, message: bytes, signature: bytes) -> bool:
        """Returns whether the client signed exactly this message."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        question = client_id, hashlib.sha256(message).digest(), signature
        outcome = self._outcomes.get(question)
        if outcome is None:
            outcome = self._check(client_id, message, signature)
            if len(self._outcomes) == _MAX_KEPT_OUTCOMES:
                self._outcomes.pop(next(iter(self._outcomes)))
            self._outcomes[question] = outcome
        return outcome

    def _check(self, client_id: str, message: bytes, signature: bytes) -> bool:
        _, public_key = self._keys(client_id)
        try:
            public_key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def _derive(self, client_id: str) -> tuple[Ed25519PrivateKey, Ed25519PublicKey]:
        private_key = Ed25519PrivateKey.from_private_bytes(derive_key(self._secret, _LABEL + client_id.encode()))
        return private_key, private_key.public_key()

    def __repr__(self) -> str:
        """Returns nothing that would tell the secret."""
        return "Identities(...)"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy the secret.

        Raises:
            TypeError: always.
        """
        message = "identities stay in the process that holds their secret; they cannot be pickled or copied"
        raise TypeError(message)
