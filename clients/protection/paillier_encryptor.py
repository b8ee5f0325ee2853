"""One public key in use: packing, obfuscators, and where wanted a pool of these that fills while a worker is idle.

Not here: what may be encrypted, and for whom (`paillier.py`).

Threat model: as `fedgdl.crypto.paillier`: an obfuscator is used once, those made beforehand likewise.

Example:
    >>> import numpy as np
    >>> from clients.key_holder.material import deal_material
    >>> from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
    >>> from fedgdl.crypto.masking import Identities
    >>> from fedgdl.crypto.paillier import make_obfuscators
    >>> from fedgdl.federated import FedAvg, make_update_encoding
    >>> from fedgdl.parameters import Layout
    >>> aggregation = AggregationConfig(kind="paillier", max_weight=8, key_holder="clients", insecure_key_bits=128)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> material = deal_material(experiment, ["alice", "bob", "sue"], Identities(bytes(32)))
    >>> layout = Layout.of({"w": (2,)})
    >>> encoding = make_update_encoding(experiment, FedAvg("equal"), layout)
    >>> terms = Terms(experiment, encoding, layout.digest, material.certificate)
    >>> encryptor = Encryptor(terms, make_obfuscators(terms.public_key))
    >>> ciphertexts = encryptor.encrypt(np.zeros(encoding.size, encoding.dtype), lambda done, total: print(done, total))
    2 2
    >>> len(ciphertexts) == 2 * terms.public_key.ciphertext_bytes
    True
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy.typing as npt

from clients.key_holder.rules import Terms
from fedgdl.crypto.paillier import ObfuscatorPool, Obfuscators, encrypt_vector

__all__ = ["Encryptor"]


class Encryptor:
    """Encrypts vectors for one key.

    Args:
        terms: the key, and how vectors are packed for it.
        source: makes obfuscators of the key.
        pool: whether some are made while there is nothing else to do (`"background"`), and a first filling at once
            (`"beforehand"`), or none.
        num_vectors: as many vectors' obfuscators are kept in the pool at most.

    Attributes:
        terms: as given.
    """

    def __init__(
        self,
        terms: Terms,
        source: Obfuscators,
        pool: Literal["none", "background", "beforehand"] = "none",
        num_vectors: int = 1,
    ) -> None:
        self.terms = terms
        self._source = source
        self._pool: ObfuscatorPool | None = None
        if pool != "none":
            self._pool = ObfuscatorPool(source, capacity=num_vectors * terms.packing.num_plaintexts)
            if pool == "beforehand":
                self._pool.fill()
            self._pool.pause()
            self._pool.start()

    def encrypt(self, vector: npt.NDArray[Any], on_progress: Callable[[int, int], None]) -> bytes:
        """Returns the ciphertexts of a vector, one after another.

        Args:
            vector: (size,) array of the encoding's dtype.
            on_progress: called with (ciphertexts made, ciphertexts in all).

        Raises:
            CryptoError: the vector does not fit the packing.
        """
        source = self._source if self._pool is None else self._pool
        return encrypt_vector(self.terms.public_key, self.terms.packing, vector, source, on_progress)

    def busy(self) -> None:
        """Lets the pool rest: the worker has something better to do."""
        if self._pool is not None:
            self._pool.pause()

    def idle(self) -> None:
        """Lets the pool fill: the worker has nothing to do."""
        if self._pool is not None:
            self._pool.resume()

    def close(self) -> None:
        """Ends the filling of the pool, for good."""
        if self._pool is not None:
            self._pool.stop()
