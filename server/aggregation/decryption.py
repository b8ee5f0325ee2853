"""Who opens the sum of a round's encrypted updates, and how the coordinator asks for it: one class a kind of holder.

    HolderDecryption     a key holder outside; or inside, where the coordinator is its own
    ClientsDecryption    each client that sent an update decrypts the whole sum, and all have to agree
    SharesDecryption     as many clients as the threshold says do their part; if one fails, others stand in for it

With signed sums whoever decrypts gets the clients' updates and adds them up itself; here nothing is added. With trusted
ones the sum is formed here as updates arrive, and re-randomised before it leaves: from the ciphertexts alone nobody can
then tell which updates are in it, the holder of the key included, if it saw them on their way.

Memory: one sum, whatever the cohort; but where clients get signed updates, all of these are kept until they are asked.

Not here: updates themselves (`paillier.py`), and any private key.

Threat model: clients may answer what they like; a sum they spoil is refused, or cannot be. Who lies is named where it
    can be: an answer of the wrong size is its sender's fault, but of two different answers nobody can tell the right
    one, and a wrong partial decryption spoils the whole, or moves it, without a trace.

Not protected against: a client that ends a round that way. See also `clients.protection.paillier`.

Example:
    >>> require_length(b"...", num_bytes=4)
    Traceback (most recent call last):
        ...
    fedgdl.errors.AggregationError: an opened sum has 4 bytes, 3 came
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.crypto.paillier import (
    CiphertextSum,
    Obfuscators,
    Packing,
    PaillierPublicKey,
    read_ciphertexts,
    write_ciphertexts,
)
from fedgdl.crypto.paillier.threshold import combine
from fedgdl.errors import AggregationError, ClientError, CryptoError
from fedgdl.federated.encoding import UpdateEncoding
from fedgdl.wire.codec import encode_struct
from fedgdl.wire.paillier import EncryptedUpdate, KeyCertificate, PaillierHeader, SignedUpdate, SumToOpen
from server.round_state import Stage

__all__ = [
    "ClientsDecryption",
    "Decryption",
    "HolderDecryption",
    "SharesDecryption",
    "SumFormat",
    "SumOpener",
    "require_length",
]


class SumOpener(Protocol):
    """Whoever has the private key, as the coordinator meets it.

    Attributes:
        certificate: of the key that it has now; another one when it had to be replaced.
    """

    @property
    def certificate(self) -> KeyCertificate: ...  # noqa: D102 (described in the class)

    def open_round(self, header: PaillierHeader) -> None:
        """Says that a round begins, and what it is about."""
        ...

    def add(self, client_id: str, update: EncryptedUpdate) -> str:
        """Passes on a client's update, to be added to the round's sum.

        Returns:
            Why it was refused; empty if it was added, and where that will only show when the sum is opened.
        """
        ...

    def open(self, round_index: int, client_ids: Sequence[str], ciphertexts: bytes, num_bytes: int) -> bytes:
        """Returns the round's sum, as `UpdateEncoding.pack` writes it.

        Args:
            round_index: counted from 1.
            client_ids: whose updates are in it, in the order of ids.
            ciphertexts: the sum as the coordinator has formed it; empty where the key holder does.
            num_bytes: which the answer has.

        Raises:
            AggregationError: it stays closed.
        """
        ...


@dataclass(frozen=True, slots=True)
class SumFormat:
    """How updates became ciphertexts, and sums of ciphertexts become vectors.

    Attributes:
        public_key: encrypts.
        packing: whole numbers into plaintexts.
        encoding: updates into whole numbers.
        obfuscators: returns the source of those that sums are re-randomised with.
        is_signed: whether whoever decrypts forms the sum.
    """

    public_key: PaillierPublicKey
    packing: Packing
    encoding: UpdateEncoding
    obfuscators: Callable[[], Obfuscators]
    is_signed: bool

    @property
    def payload_bytes(self) -> int:
        """The length of a vector's ciphertexts."""
        ciphertext_bytes: int = self.public_key.ciphertext_bytes
        return self.packing.num_plaintexts * ciphertext_bytes


class Decryption(Protocol):
    """Has the sum of one round opened.

    Attributes:
        stages: of the round, after the one that trains.
    """

    @property
    def stages(self) -> tuple[Stage, ...]: ...  # noqa: D102 (described in the class)

    def add(self, client_id: str, update: EncryptedUpdate, ciphertexts: list[mpz]) -> None:
        """Takes a client's update into the sum.

        Raises:
            ClientError: it is refused.
        """
        ...

    def begin(self, stage: str, client_ids: Sequence[str]) -> None:
        """Says who takes part in a stage."""
        ...

    def common(self, stage: str) -> bytes:
        """Returns what every participant of the stage is told."""
        ...

    def take(self, stage: str, client_id: str, payload: bytes) -> None:
        """Takes a participant's answer.

        Raises:
            ClientError: it is none.
        """
        ...

    def finish(self, client_ids: Sequence[str]) -> npt.NDArray[Any]:
        """Returns the opened sum over these clients, whose updates were all that were added.

        Raises:
            AggregationError: it stays closed.
        """
        ...


@dataclass(slots=True)
class _Collected:
    """A round's updates: their running sum, or where they are signed, all of them."""

    form: SumFormat
    parts: dict[str, SignedUpdate] = field(default_factory=dict)
    client_ids: set[str] = field(default_factory=set)
    _sum: CiphertextSum | None = None
    _ciphertexts: bytes = b""

    def add(self, client_id: str, update: EncryptedUpdate, ciphertexts: list[mpz]) -> None:
        """Takes an update in."""
        self.client_ids.add(client_id)
        if self.form.is_signed:
            self.parts[client_id] = SignedUpdate(client_id, update)
            return
        if self._sum is None:
            self._sum = CiphertextSum(self.form.public_key, self.form.packing)
        self._sum.add(ciphertexts)

    def ciphertexts(self, *, is_leaving: bool) -> bytes:
        """Returns the sum; re-randomised if it leaves, and then always the same: parts of one sum have to fit."""
        if self._sum is None:
            message = "no client sent a usable update; there is nothing to open"
            raise AggregationError(message)
        if not is_leaving:
            return write_ciphertexts(self.form.public_key, self._sum.ciphertexts)
        if not self._ciphertexts:
            self._ciphertexts = self._sum.rerandomised(self.form.obfuscators())
        return self._ciphertexts

    def request(self, openers: Sequence[str] = ()) -> SumToOpen:
        """Returns what clients are asked to open."""
        client_ids = tuple(sorted(self.client_ids))
        if self.form.is_signed:
            updates = tuple(self.parts[client_id] for client_id in client_ids)
            return SumToOpen(client_ids, updates=updates, openers=tuple(openers))
        return SumToOpen(client_ids, ciphertexts=self.ciphertexts(is_leaving=True), openers=tuple(openers))


class HolderDecryption:
    """A key holder opens the sum; clients have no further part in the round.

    Args:
        form: how updates became ciphertexts.
        opener: the key holder.
        round_index: counted from 1.
        is_leaving: whether the sum leaves the coordinator's process.
    """

    stages: tuple[Stage, ...] = ()

    def __init__(self, form: SumFormat, opener: SumOpener, round_index: int, *, is_leaving: bool) -> None:
        self._form, self._opener, self._round_index, self._is_leaving = form, opener, round_index, is_leaving
        self._collected = _Collected(form)

    def add(self, client_id: str, update: EncryptedUpdate, ciphertexts: list[mpz]) -> None:
        """Passes a signed update on, or adds it up."""
        if not self._form.is_signed:
            self._collected.add(client_id, update, ciphertexts)
            return
        refusal = self._opener.add(client_id, update)
        if refusal:
            raise ClientError(client_id, f"the key holder refuses its update: {refusal}")

    def begin(self, stage: str, client_ids: Sequence[str]) -> None:
        """Does nothing: there are no further stages."""

    def common(self, stage: str) -> bytes:
        """Returns nothing: there are no further stages."""
        return b""

    def take(self, stage: str, client_id: str, payload: bytes) -> None:
        """Refuses: there are no further stages."""
        raise ClientError(client_id, f'it sent an answer to the stage "{stage}", which there is not')

    def finish(self, client_ids: Sequence[str]) -> npt.NDArray[Any]:
        """Asks the key holder."""
        encoding = self._form.encoding
        ciphertexts = b"" if self._form.is_signed else self._collected.ciphertexts(is_leaving=self._is_leaving)
        opened = self._opener.open(self._round_index, client_ids, ciphertexts, encoding.num_bytes)
        require_length(opened, encoding.num_bytes)
        return encoding.unpack(opened)


class ClientsDecryption:
    """Each client whose update is in the sum decrypts it.

    Args:
        form: how updates became ciphertexts.
    """

    stages: tuple[Stage, ...] = (Stage("decrypt", 1, opens=True),)

    def __init__(self, form: SumFormat) -> None:
        self._form = form
        self._collected = _Collected(form)
        self._answers: dict[str, bytes] = {}

    def add(self, client_id: str, update: EncryptedUpdate, ciphertexts: list[mpz]) -> None:
        """Keeps a signed update, or adds it up."""
        self._collected.add(client_id, update, ciphertexts)

    def begin(self, stage: str, client_ids: Sequence[str]) -> None:
        """Does nothing: all are asked alike."""

    def common(self, stage: str) -> bytes:
        """Returns the sum, or all of which it is formed."""
        return encode_struct(self._collected.request())

    def take(self, stage: str, client_id: str, payload: bytes) -> None:
        """Keeps what a client opened."""
        try:
            require_length(payload, self._form.encoding.num_bytes)
        except AggregationError as error:
            raise ClientError(client_id, str(error)) from error
        known = next((answer for answer in self._answers.values() if answer == payload), payload)
        self._answers[client_id] = known  # of equal answers one is kept

    def finish(self, client_ids: Sequence[str]) -> npt.NDArray[Any]:
        """Returns what all have opened alike."""
        if not self._answers:
            message = "no client opened the sum"
            raise AggregationError(message)
        first_id = min(self._answers)
        others = sorted(each for each, answer in self._answers.items() if answer != self._answers[first_id])
        if others:
            message = f"{first_id!r} and {others[0]!r} opened different sums: one of them is wrong, and none is used"
            raise AggregationError(message)
        return self._form.encoding.unpack(self._answers[first_id])


class SharesDecryption:
    """As many clients as the threshold says do their part; the first ones, in the order of ids.

    Args:
        form: how updates became ciphertexts.
        positions: client id -> x of its share, for the whole population.
        threshold: how many parts open a sum.
    """

    def __init__(self, form: SumFormat, positions: Mapping[str, int], threshold: int) -> None:
        self.stages: tuple[Stage, ...] = (
            Stage("decrypt", threshold, opens=True),
            Stage("stand in", threshold, opens=True),
        )
        self._form, self._positions, self._threshold = form, positions, threshold
        self._collected = _Collected(form)
        self._asked: set[str] = set()
        self._openers: tuple[str, ...] = ()
        self._partials: dict[int, list[mpz]] = {}

    def add(self, client_id: str, update: EncryptedUpdate, ciphertexts: list[mpz]) -> None:
        """Keeps a signed update, or adds it up."""
        self._collected.add(client_id, update, ciphertexts)

    def begin(self, stage: str, client_ids: Sequence[str]) -> None:
        """Names as many as parts are missing, of those who have not been asked for theirs."""
        num_missing = self._threshold - len(self._partials)
        self._openers = tuple([each for each in sorted(client_ids) if each not in self._asked][:num_missing])
        self._asked.update(self._openers)

    def common(self, stage: str) -> bytes:
        """Returns the sum, or all of which it is formed, and who is to open it; nothing, if that is done."""
        return encode_struct(self._collected.request(self._openers)) if self._openers else b""

    def take(self, stage: str, client_id: str, payload: bytes) -> None:
        """Keeps a client's part."""
        if client_id not in self._openers:
            if payload:
                raise ClientError(client_id, "it sent a part in the decryption, and others were asked for theirs")
            return
        try:
            partials = read_ciphertexts(self._form.public_key, self._form.packing, payload)
        except CryptoError as error:
            raise ClientError(client_id, "its part in the decryption cannot be used") from error
        self._partials[self._positions[client_id]] = partials

    def finish(self, client_ids: Sequence[str]) -> npt.NDArray[Any]:
        """Puts the parts together."""
        if len(self._partials) < self._threshold:
            message = (
                f"{len(self._partials)} clients did their part in the decryption, and {self._threshold} are needed: "
                "the sum stays closed"
            )
            raise AggregationError(message)
        form = self._form
        partials = {x: self._partials[x] for x in sorted(self._partials)}
        try:
            plaintexts = combine(form.public_key, len(self._positions), self._threshold, partials)
            return form.packing.unpack(plaintexts, form.encoding.dtype)
        except CryptoError as error:
            message = "the clients' parts in the decryption do not fit together: at least one of them is wrong"
            raise AggregationError(message) from error


def require_length(opened: bytes, num_bytes: int) -> None:
    """Refuses an opened sum that has not the length of one.

    Raises:
        AggregationError: it has not.
    """
    if len(opened) != num_bytes:
        message = f"an opened sum has {num_bytes:,} bytes, {len(opened):,} came"
        raise AggregationError(message)
