"""Private keys and shares of them, as those use them who hold some: the key holder, its dealer, and clients.

Whoever needs the private half of the cryptosystem imports it by way of this module and `key_holder.py`; nobody else in
`clients` does.

Not here: whether something may be decrypted (`rules.py`).

Threat model: see `clients.key_holder.material`.

Not protected against: secrets left in memory, which Python cannot wipe; arithmetic that is not constant in time.

Example:
    >>> from clients.key_holder.material import deal_material
    >>> from fedgdl.config import Experiment, TrainingConfig
    >>> from fedgdl.crypto.masking import Identities
    >>> aggregation = AggregationConfig(kind="paillier", key_holder="clients", insecure_key_bits=128)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> decryptor = WholeKey(deal_material(experiment, ["alice", "bob", "sue"], Identities(bytes(32))))
    >>> key = decryptor.public_key
    >>> [int(plaintext) for plaintext in decryptor.decrypt([key.encrypt(42, decryptor.obfuscators().draw(1)[0])])]
    [42]
"""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from gmpy2 import mpz

from clients.key_holder.material import KeyMaterial
from fedgdl.config import AggregationConfig
from fedgdl.crypto.paillier import Obfuscators, PaillierPublicKey, write_ciphertexts
from fedgdl.crypto.paillier.private import (
    CrtObfuscators,
    KeyShare,
    PaillierPrivateKey,
    deal,
    generate,
    read_private_key,
)
from fedgdl.errors import CryptoError, ProtocolError

__all__ = ["KeyShares", "WholeKey", "deal_shares", "make_private_key"]


class WholeKey:
    """The private key, as each client has it with `key_holder = "clients"`.

    Args:
        material: with the key.
        num_threads: that decrypt.

    Attributes:
        public_key: its public half.

    Raises:
        CryptoError: the material cannot be used.
    """

    def __init__(self, material: KeyMaterial, num_threads: int = 1) -> None:
        self._private_key = PaillierPrivateKey.from_document(material.private_key)
        self._num_threads = num_threads
        self.public_key = self._private_key.public_key
        _require_same_key(material, self.public_key)

    def obfuscators(self) -> Obfuscators:
        """Returns a source of obfuscators that makes use of the factors: faster, and just as random."""
        return CrtObfuscators(self._private_key)

    def decrypt(self, ciphertexts: Sequence[mpz]) -> list[mpz]:
        """Returns the plaintexts."""
        return self._private_key.decrypt_many(ciphertexts, self._num_threads)

    def __repr__(self) -> str:
        """Returns which key it is; no secret."""
        return f"WholeKey({self.public_key!r})"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy a secret.

        Raises:
            TypeError: always.
        """
        _refuse_to_pickle()


class KeyShares:
    """The shares of a key of all clients that a worker may host, with `key_holder = "threshold"`.

    Args:
        material: with the shares.
        num_threads: that decrypt.

    Raises:
        CryptoError: the material cannot be used.
    """

    def __init__(self, material: KeyMaterial, num_threads: int = 1) -> None:
        self._num_threads = num_threads
        self._shares = {client_id: KeyShare.from_bytes(share) for client_id, share in material.shares.items()}
        for share in self._shares.values():
            _require_same_key(material, share.public_key)

    def decrypt_partially(self, client_id: str, ciphertexts: Sequence[mpz]) -> bytes:
        """Returns a client's part in the decryption, as `write_ciphertexts` writes it.

        Raises:
            ProtocolError: the client has no share.
        """
        share = self._shares.get(client_id)
        if share is None:
            message = "this client has no share of the key"
            raise ProtocolError(message)
        return write_ciphertexts(share.public_key, share.partial_decrypt_many(ciphertexts, self._num_threads))

    def __repr__(self) -> str:
        """Returns how many there are; no secret."""
        return f"KeyShares({len(self._shares)} clients)"

    def __reduce__(self) -> NoReturn:
        """Refuses to pickle or copy secrets.

        Raises:
            TypeError: always.
        """
        _refuse_to_pickle()


def make_private_key(
    aggregation: AggregationConfig, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> PaillierPrivateKey:
    """Returns the private key of the file that the configuration names; or a new one of the configured size.

    Raises:
        ConfigError, CryptoError: the file cannot be used.
    """
    if aggregation.key_file is not None:
        return read_private_key(Path(aggregation.key_file))
    return generate(aggregation.insecure_key_bits or aggregation.key_bits, random_bytes=random_bytes)


def deal_shares(
    num_shares: int,
    threshold: int,
    num_bits: int,
    *,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[PaillierPublicKey, list[bytes]]:
    """Returns a new public key, and the shares of its private half in the order of x, as documents.

    See `fedgdl.crypto.paillier.private.deal`.
    """
    public_key, shares = deal(num_shares, threshold, num_bits, random_bytes=random_bytes, on_progress=on_progress)
    return public_key, [share.to_bytes() for share in shares]


def _require_same_key(material: KeyMaterial, public_key: PaillierPublicKey) -> None:
    if material.certificate.public_key != public_key.to_bytes():
        message = "the key material cannot be used"
        raise CryptoError(message)


def _refuse_to_pickle() -> NoReturn:
    message = "what can decrypt stays in the process that holds it; it cannot be pickled or copied"
    raise TypeError(message)
