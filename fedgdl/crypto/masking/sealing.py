"""Messages between two clients that the coordinator carries but can neither read nor change.

A message is sealed under a key of `key_agreement.derive_key` that is used for it alone: its `info` names sender,
receiver, round and attempt. Associated data (again the ids, for whoever reads them from elsewhere) travels openly
beside the message and is protected from change only.

Not here: agreeing on the key.

Threat model: whoever carries a sealed message may read its length, and drop, repeat, swap or change it; anything but
    the same bytes under the same key with the same associated data is refused, always with the same error.

Not protected against: a key used for two messages, which gives both away (the nonce is fixed to zero); whoever has
    the key; side channels around the library's calls; secrets left in memory, which Python cannot wipe.

Example:
    >>> key = bytes(range(32))  # from derive_key, never a constant
    >>> sealed = seal(key, b"a share", b"bob to alice")
    >>> unseal(key, sealed, b"bob to alice")
    b'a share'
    >>> unseal(key, sealed, b"bob to sue")
    Traceback (most recent call last):
        ...
    fedgdl.errors.CryptoError: the sealed message cannot be opened
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedgdl.crypto.masking.key_agreement import KEY_BYTES
from fedgdl.errors import CryptoError

__all__ = ["SEAL_BYTES", "seal", "unseal"]

SEAL_BYTES: Final = 16
"""By how much a sealed message is longer than its plaintext: the tag."""

_NONCE: Final = bytes(12)


def seal(key: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
    """Returns the plaintext encrypted, followed by a tag over it and the associated data.

    Args:
        key: 32 bytes that sealed nothing before and will seal nothing after.
        plaintext: any bytes.
        associated_data: bytes that the opener must name too.

    Returns:
        `len(plaintext) + SEAL_BYTES` bytes.

    Raises:
        CryptoError: the key is not 32 bytes.

    Source:
        Dworkin, "Galois/Counter Mode (GCM) and GMAC", NIST SP 800-38D, 2007, section 7; AES-256, nonce zero, which a
        key for a single message allows (section 8: no nonce twice under a key).
    """
    return _cipher(key).encrypt(_NONCE, plaintext, associated_data)


def unseal(key: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    """Returns the plaintext that `seal` was given.

    Raises:
        CryptoError: anything about key, sealed message or associated data differs.
    """
    try:
        return _cipher(key).decrypt(_NONCE, sealed, associated_data)
    except InvalidTag:
        message = "the sealed message cannot be opened"
        raise CryptoError(message) from None


def _cipher(key: bytes) -> AESGCM:
    if len(key) != KEY_BYTES:
        message = "not an AES-256 key"
        raise CryptoError(message)
    return AESGCM(key)
