"""Two clients agree on a key that the coordinator, who carries their messages, does not learn.

Each client draws an X25519 key pair and publishes its half; from the own private and the peer's public key both reach
the same 32 bytes. From these, `derive_key` makes keys for one use each: its `info` says what for, in which round and
between whom, so that no key serves two purposes and both notice when they were told different things.

Not here: who signs a public key (`identity`), what the keys are used for (`mask_stream`, `sealing`).

Threat model: others see all public keys and may send any bytes in their place. A key that a third party put into the
    roster is found by its signature, not here; one that forces a known result is refused.

Not protected against: timing and cache side channels around the library's calls; reading this process's memory:
    Python cannot wipe a secret.

Example:
    >>> bob, alice = KeyPair.generate(), KeyPair.generate()
    >>> shared = bob.agree(alice.public_key)
    >>> shared == alice.agree(bob.public_key)
    True
    >>> len(derive_key(shared, b"example: mask, round 1, alice and bob"))
    32
"""

import secrets
from collections.abc import Callable
from typing import Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedgdl.errors import CryptoError

__all__ = ["KEY_BYTES", "KeyPair", "derive_key", "is_canonical"]

KEY_BYTES: Final = 32
"""The length of public, private, agreed and derived keys."""

_FIELD_PRIME: Final = 2**255 - 19


class KeyPair:
    """An X25519 private key and its public half.

    Two pairs are equal only when they are the same object. The private key is in no `repr`, and a pair refuses to be
    pickled or copied.

    Source:
        Langley, Hamburg, Turner, "Elliptic Curves for Security", RFC 7748, 2016, sections 5 and 6.1.
    """

    __slots__ = ("_private_key", "public_key")

    def __init__(self, private_key: X25519PrivateKey) -> None:
        self._private_key = private_key
        self.public_key: bytes = private_key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> "KeyPair":
        """Returns a new pair from 32 random bytes.

        Args:
            random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.
        """
        return cls.from_private_bytes(random_bytes(KEY_BYTES))

    @classmethod
    def from_private_bytes(cls, private_bytes: bytes) -> "KeyPair":
        """Returns the pair of a private key that `private_bytes` gave.

        Raises:
            CryptoError: these are not 32 bytes.
        """
        if len(private_bytes) != KEY_BYTES:
            message = "not an X25519 private key"
            raise CryptoError(message)
        return cls(X25519PrivateKey.from_private_bytes(private_bytes))

    def private_bytes(self) -> bytes:
        """Returns the private key, 32 bytes as they were drawn: what is shared among neighbours, never sent whole."""
        return self._private_key.private_bytes_raw()

    def agree(self, peer_public: bytes) -> bytes:
        """Returns the 32 bytes that only the holders of the two private keys can compute.

        They are no key yet: `derive_key` makes keys of them.

        Args:
            peer_public: the other's public key, 32 bytes.

        Raises:
            CryptoError: these are not 32 bytes, or a point of low order, with which anyone knows the result: zero.
        """
        try:
            return self._private_key.exchange(X25519PublicKey.from_public_bytes(peer_public))
        except ValueError:
            message = "not an X25519 public key"
            raise CryptoError(message) from None

    def __repr__(self) -> str:
        """Returns the public key alone."""
        return f"KeyPair(public_key={self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy a private key.

        Raises:
            TypeError: always.
        """
        message = "a key pair stays in the process that drew it; it cannot be pickled or copied"
        raise TypeError(message)


def is_canonical(public_key: bytes) -> bool:
    """Returns whether a public key is written as `KeyPair.public_key` is: 32 bytes, a number below 2^255 - 19.

    Agreement works with other writings of the same key as well. Keys that are to differ have to be canonical, or a
    copy passes for a new key.

    Source:
        RFC 7748, section 5: the topmost bit is ignored, and larger numbers stand for their remainders.
    """
    return len(public_key) == KEY_BYTES and int.from_bytes(public_key, "little") < _FIELD_PRIME


def derive_key(shared: bytes, info: bytes) -> bytes:
    """Returns the 32-byte key of one purpose; keys of different `info` tell nothing of one another.

    Args:
        shared: what `KeyPair.agree` gave.
        info: what the key is for: label, round, roster and the two clients, written unambiguously.

    Source:
        Krawczyk, Eronen, "HMAC-based Extract-and-Expand Key Derivation Function (HKDF)", RFC 5869, 2010, section 2;
        SHA-256, without salt (section 3.1).
    """
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(shared)
