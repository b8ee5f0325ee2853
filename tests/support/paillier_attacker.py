"""A coordinator that lies in an encrypted aggregation, and tries to read one client's update with all that it gets."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from gmpy2 import mpz
from paillier_rounds import Cohort

from fedgdl.crypto.paillier import (
    CiphertextSum,
    Packing,
    PaillierPublicKey,
    encrypt_vector,
    make_obfuscators,
    read_ciphertexts,
    write_ciphertexts,
)
from fedgdl.crypto.paillier.private import PaillierPrivateKey
from fedgdl.errors import CryptoError, ProtocolError
from fedgdl.wire import Codec, decode_struct, encode, encode_struct
from fedgdl.wire.paillier import (
    Added,
    AddUpdate,
    EncryptedUpdate,
    FromKeyHolder,
    OpenSum,
    PaillierHeader,
    Refused,
    RoundAnnouncement,
    RoundOpened,
    SignedUpdate,
    SumOpened,
    SumToOpen,
)

__all__ = ["Attacker", "same"]

Vector = npt.NDArray[Any]


class Attacker:
    """A coordinator that has everything a coordinator has, and says what it likes.

    Attributes:
        cohort: whom it attacks; what is in there it may not look into, but for the material that it is given.
        announcement: what an honest coordinator would say at the beginning of the round.
        updates: client -> what it sent.
        opened: every sum that somebody opened for it.
        refusals: what was said to it instead.
        key: the private key; none, unless it was given it.
    """

    def __init__(self, cohort: Cohort, round_index: int = 1) -> None:
        self.cohort = cohort
        self.announcement = decode_struct(cohort.open(round_index).common("encrypted input"), RoundAnnouncement)
        self.updates: dict[str, EncryptedUpdate] = {}
        self.opened: list[Vector] = []
        self.refusals: list[str] = []
        self.key: PaillierPrivateKey | None = None
        self._codec: Codec[FromKeyHolder] = Codec(FromKeyHolder, 10_000_000)

    @property
    def header(self) -> PaillierHeader:
        return self.announcement.header

    @property
    def public_key(self) -> PaillierPublicKey:
        return PaillierPublicKey.from_bytes(self.announcement.certificate.public_key)

    @property
    def packing(self) -> Packing:
        encoding = self.cohort.encoding
        return Packing(encoding.size, encoding.sum_bits, self.public_key.plaintext_bits)

    def ask_for_updates(
        self, client_ids: Sequence[str] = (), announcement: RoundAnnouncement | None = None
    ) -> "Attacker":
        """Has clients train and send their updates; all of the cohort, if none are named."""
        said = announcement or self.announcement
        for client_id in client_ids or self.cohort.client_ids:
            try:
                payload = self.cohort.ask("encrypted input", client_id, encode_struct(said), said.header.round_index)
            except (CryptoError, ProtocolError) as error:
                self.refusals.append(str(error))
            else:
                self.updates[client_id] = decode_struct(payload, EncryptedUpdate)
        return self

    def part(self, client_id: str) -> SignedUpdate:
        """Returns a client's update, as whoever decrypts is to get it."""
        return SignedUpdate(client_id, self.updates[client_id])

    def sum_of(self, *addends: bytes) -> bytes:
        """Returns the sum of ciphertexts."""
        total = CiphertextSum(self.public_key, self.packing)
        for ciphertexts in addends:
            total.add(read_ciphertexts(self.public_key, self.packing, ciphertexts))
        return write_ciphertexts(self.public_key, total.ciphertexts)

    def encrypted(self, vector: Vector) -> bytes:
        """Returns ciphertexts of a vector of the attacker's own choice."""
        return encrypt_vector(self.public_key, self.packing, vector, make_obfuscators(self.public_key))

    def padding(self, count: int) -> Vector:
        """Returns a vector that counts as so many clients' updates, and holds nothing else."""
        vector = np.zeros(self.cohort.encoding.size, self.cohort.encoding.dtype)
        vector[self.cohort.encoding._tail["counter"]] = count
        return vector

    def begin(self, header: PaillierHeader | None = None) -> None:
        """Tells the key holder that a round begins."""
        assert not list(self.cohort.key_holders[-1].handle(encode(RoundOpened(header or self.header))))

    def add(self, *parts: SignedUpdate, round_index: int = 0) -> None:
        """Has the key holder add updates."""
        for part in parts:
            frame = encode(AddUpdate(round_index or self.header.round_index, part))
            (answer,) = map(self._codec.decode, self.cohort.key_holders[-1].handle(frame))
            assert isinstance(answer, Added)
            self._note(answer.refusal)

    def open(self, client_ids: Sequence[str], ciphertexts: bytes = b"", round_index: int = 0) -> None:
        """Has the key holder open a sum, or, if the attacker has the key, opens what it has asked to be added."""
        frame = encode(OpenSum(round_index or self.header.round_index, tuple(client_ids), ciphertexts))
        answers = list(map(self._codec.decode, self.cohort.key_holders[-1].handle(frame)))
        for answer in answers:
            match answer:
                case SumOpened():
                    self.opened.append(self.cohort.encoding.unpack(answer.vector))
                case Refused():
                    self._note(answer.reason)

    def open_by_itself(self, *client_ids: str) -> None:
        """Decrypts the sum of these clients' updates, if the attacker has the key."""
        if self.key is None:
            return
        data = self.sum_of(*(self.updates[client_id].ciphertexts for client_id in client_ids))
        ciphertexts = read_ciphertexts(self.public_key, self.packing, data)
        self.opened.append(self._unpacked(self.key.decrypt_many(ciphertexts)))

    def ask_to_open(self, client_id: str, request: SumToOpen, stage: str = "decrypt") -> bytes:
        """Has a client open a sum, or do its part in that; returns its answer, empty if it refuses."""
        try:
            answer = self.cohort.ask(stage, client_id, encode_struct(request), self.header.round_index)
        except (CryptoError, ProtocolError) as error:
            self._note(str(error))
            return b""
        if len(answer) == self.cohort.encoding.num_bytes:
            self.opened.append(self.cohort.encoding.unpack(answer))
        return answer

    def signed_request(self, *client_ids: str, openers: Sequence[str] = ()) -> SumToOpen:
        """Returns the request to open the sum of these clients' updates."""
        parts = tuple(map(self.part, client_ids))
        return SumToOpen(tuple(client_ids), updates=parts, openers=tuple(openers))

    def took(self, plaintexts: Sequence[mpz]) -> None:
        """Takes in what it has put together from partial decryptions."""
        self.opened.append(self._unpacked(plaintexts))

    def read(self, victim: str) -> Vector | None:
        """Returns the victim's encoded update, if it can be had from what was opened: alone, or as a difference.

        Whatever counts as one client is taken for the victim's, with the attacker's own padding in it or without.
        """
        counter = self.cohort.encoding._tail["counter"]
        candidates = [*self.opened, *(first - second for first, second in combinations(self.opened, 2))]
        candidates += [second - first for first, second in combinations(self.opened, 2)]
        for candidate in candidates:
            for count in range(len(self.cohort.client_ids)):
                alone = candidate - self.padding(count)
                if alone[counter] == 1 and same(alone, self.cohort.vectors.get(victim)):
                    return alone
        return None

    def _unpacked(self, plaintexts: Sequence[mpz]) -> Vector:
        return self.packing.unpack(plaintexts, self.cohort.encoding.dtype)

    def _note(self, refusal: str) -> None:
        if refusal:
            self.refusals.append(refusal)


def same(one: Vector | None, other: Vector | None) -> bool:
    """Whether two vectors are the same."""
    return one is not None and other is not None and bool(np.array_equal(one, other))
