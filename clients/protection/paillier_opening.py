"""What a client does when it is asked to open a sum, where clients hold the key or shares of it.

All clients of a worker are told the same, so what it comes to is worked out once: the sum that they are asked to open
is formed and checked once, and with the whole key decrypted once. Each client still decides for itself whether it may.

Not here: the rules (`clients.key_holder.rules`), and which sums a client has opened before (`paillier.py`).

Threat model: as `clients.protection.paillier` says of `"clients"` and `"threshold"`.

Example:
    >>> memory: _Once[bytes] = _Once()
    >>> memory.get(b"what was asked", lambda: b"the answer")
    b'the answer'
    >>> memory.get(b"what was asked", lambda: b"worked out again")
    b'the answer'
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gmpy2 import mpz

from clients.key_holder.material import KeyMaterial
from clients.key_holder.rules import RoundGate, Terms, write_opened
from fedgdl.config import AggregationConfig
from fedgdl.crypto.masking import Identities
from fedgdl.crypto.paillier import Obfuscators, make_obfuscators
from fedgdl.errors import AggregationError, CryptoError, ProtocolError
from fedgdl.wire.codec import encode_struct
from fedgdl.wire.paillier import PaillierHeader, SumToOpen

if TYPE_CHECKING:
    from clients.key_holder.decryptors import KeyShares, WholeKey

__all__ = ["Opening", "make_opening"]

ResultT = TypeVar("ResultT")


class Opening(Protocol):
    """How the clients of one worker open sums.

    Attributes:
        stages: in which they are asked to.
    """

    @property
    def stages(self) -> frozenset[str]: ...  # noqa: D102 (described in the class)

    def open(self, client_id: str, header: PaillierHeader, request: SumToOpen, told: bytes) -> bytes:
        """Returns what a client makes of a sum.

        Args:
            client_id: who is asked.
            header: of the round that it sent an update in.
            request: what it is asked to open.
            told: the same, in the bytes that came.

        Raises:
            ProtocolError: the rules do not allow it.
            CryptoError: ciphertexts cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What of an error is remembered: it would hold on to what was decrypted before it was raised."""

    kind: type[CryptoError | ProtocolError]
    words: str


class _Once(Generic[ResultT]):
    """Remembers what the last question came to, be it a refusal."""

    def __init__(self) -> None:
        self._last: tuple[bytes, ResultT | _Refusal] | None = None

    def get(self, question: bytes, work_out: Callable[[], ResultT]) -> ResultT:
        """Returns what a question comes to, or raises what working it out raised."""
        if self._last is None or self._last[0] != question:
            self._last = None  # what it held may be large, and so may be what comes
            try:
                self._last = question, work_out()
            except (CryptoError, ProtocolError) as error:
                self._last = question, _Refusal(type(error), str(error))
        outcome = self._last[1]
        if isinstance(outcome, _Refusal):
            raise outcome.kind(outcome.words)
        return outcome


class _KeyOpening:
    """Each client decrypts the whole sum by itself.

    Args:
        terms: of the key.
        identities: knows who can sign for whom.
        whole_key: decrypts.
    """

    stages = frozenset({"decrypt"})

    def __init__(self, terms: Terms, identities: Identities, whole_key: "WholeKey") -> None:
        self._terms, self._identities, self._whole_key = terms, identities, whole_key
        self._memory: _Once[bytes] = _Once()

    def open(self, client_id: str, header: PaillierHeader, request: SumToOpen, told: bytes) -> bytes:
        """Returns the sum, as `UpdateEncoding.pack` writes it."""

        def decrypt() -> bytes:
            ciphertexts = _form(self._terms, self._identities, header, request)
            try:
                return write_opened(self._terms, self._whole_key.decrypt(ciphertexts), len(request.client_ids))
            except AggregationError as error:
                raise ProtocolError(str(error)) from None

        return self._memory.get(_question(header, told), decrypt)


class _ShareOpening:
    """Each client does its part in the decryption; what that comes to, the coordinator alone will know.

    Args:
        terms: of the key.
        identities: knows who can sign for whom.
        shares: of the clients.
    """

    stages = frozenset({"decrypt", "stand in"})

    def __init__(self, terms: Terms, identities: Identities, shares: "KeyShares") -> None:
        self._terms, self._identities, self._shares = terms, identities, shares
        self._memory: _Once[list[mpz]] = _Once()

    def open(self, client_id: str, header: PaillierHeader, request: SumToOpen, told: bytes) -> bytes:
        """Returns the client's partial decryption of each ciphertext, one after another in their fixed width."""
        ciphertexts = self._memory.get(
            _question(header, told), lambda: _form(self._terms, self._identities, header, request)
        )
        return self._shares.decrypt_partially(client_id, ciphertexts)


def make_opening(
    aggregation: AggregationConfig, terms: Terms, identities: Identities, material: KeyMaterial, num_threads: int
) -> tuple[Opening | None, Obfuscators]:
    """Returns how clients open sums, none where others do, and where the obfuscators of the key come from.

    Args:
        aggregation: says who holds the key.
        terms: of the key.
        identities: knows who can sign for whom.
        material: what the worker was given of the key.
        num_threads: that decrypt.

    Raises:
        CryptoError: the material cannot be used.
    """
    if aggregation.key_holder == "clients":
        from clients.key_holder.decryptors import WholeKey  # lazily: where others decrypt, nothing here can

        whole_key = WholeKey(material, num_threads)
        return _KeyOpening(terms, identities, whole_key), whole_key.obfuscators()
    if aggregation.key_holder == "threshold":
        from clients.key_holder.decryptors import KeyShares

        return _ShareOpening(terms, identities, KeyShares(material, num_threads)), make_obfuscators(terms.public_key)
    return None, make_obfuscators(terms.public_key)


def _form(terms: Terms, identities: Identities, header: PaillierHeader, request: SumToOpen) -> list[mpz]:
    """Returns the sum that the rules let through.

    Raises:
        ProtocolError, CryptoError: there is none.
    """
    gate = RoundGate(header, terms, identities)
    for part in request.updates:
        gate.add(part)
    return gate.close(request.client_ids, request.ciphertexts)


def _question(header: PaillierHeader, told: bytes) -> bytes:
    """Returns a digest of all that the answer depends on."""
    return hashlib.sha256(hashlib.sha256(encode_struct(header)).digest() + told).digest()
