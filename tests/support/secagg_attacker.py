"""A coordinator that lies: it keeps whatever it gets, and tries to read one client's update out of it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from secagg_rounds import Cohort

from fedgdl.crypto.masking import KeyPair, add_masks, combine, derive_key, transcript
from fedgdl.errors import AggregationError, CryptoError, ProtocolError
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import Survivors, UnmaskRequest, UnmaskShares
from server.aggregation.secagg import SecaggCohort


class Attacker:
    """What the coordinator of a round knows, and what it can make of it.

    Args:
        cohort: the clients.
        a_round: the coordinator's side of the round.

    Attributes:
        masked: client -> the masked update it sent.
        refusals: what clients said when they refused, by client.
    """

    def __init__(self, cohort: Cohort, a_round: SecaggCohort) -> None:
        self.cohort, self.a_round = cohort, a_round
        self.masked: dict[str, bytes] = {}
        self.refusals: dict[str, str] = {}
        self._own_masks: dict[str, dict[int, bytes]] = defaultdict(dict)
        self._mask_keys: dict[str, dict[int, bytes]] = defaultdict(dict)

    def play_to(self, last: str) -> tuple[str, ...]:
        """Plays honestly, this stage included; returns who takes part in the next one."""
        participants = self.cohort.client_ids
        for stage in self.a_round.stages:
            participants, payloads, refusals = self.cohort.play_stage(self.a_round, stage.name, participants)
            assert not refusals
            for client_id, payload in payloads.items():
                if stage.trains:
                    self.masked[client_id] = payload
                if stage.name == "unmask":
                    self.keep(client_id, decode_struct(payload, UnmaskShares))
            if stage.name == last:
                break
        return participants

    def ask(self, stage: str, client_id: str, common: bytes = b"", message: bytes = b"") -> bytes | None:
        """Asks a client; returns its answer, or nothing when it refuses, which is kept in `refusals`."""
        try:
            return self.cohort.ask(stage, client_id, common, message)
        except ProtocolError as error:
            self.refusals[client_id] = str(error)
            return None

    def ask_to_unmask(
        self, client_ids: Iterable[str], survivors: Iterable[str], signatures: dict[str, bytes] | None = None
    ) -> None:
        """Asks clients for the shares that go with a list of survivors, and keeps those that come."""
        common = encode_struct(Survivors(tuple(survivors)))
        request = encode_struct(UnmaskRequest(signatures or {}))
        for client_id in client_ids:
            answer = self.ask("unmask", client_id, common, request)
            if answer is not None:
                self.keep(client_id, decode_struct(answer, UnmaskShares))

    def keep(self, holder_id: str, opened: UnmaskShares) -> None:
        """Adds one holder's shares to those that are known."""
        for known, shares in ((self._own_masks, opened.own_masks), (self._mask_keys, opened.mask_keys)):
            for dealer_id, share in shares.items():
                known[dealer_id][1 + self.a_round._holders(dealer_id).index(holder_id)] = share

    def corrupt(self, client_id: str) -> None:
        """Has a client tell both shares of everyone, as no honest one does."""
        secrets = self.cohort.protections[client_id]._rounds[client_id]._kept
        assert secrets is not None
        self.keep(client_id, UnmaskShares(dict(secrets.own_masks), dict(secrets.mask_keys)))

    def read(self, victim: str) -> npt.NDArray[Any] | None:
        """Returns a client's encoded update, if everything that is known suffices to take all masks off."""
        encoding = self.cohort.encoding
        if victim not in self.masked:
            return None
        vector = encoding.unpack(self.masked[victim])
        masks: list[tuple[bytes, int]] = []
        own_seed = self._open(victim, self._own_masks)
        if own_seed is not None:
            masks.append((own_seed, -1))
        for peer_id in self.a_round._neighbours[victim]:
            if peer_id in self.a_round._dealt:
                masks += self._common_mask(victim, peer_id)
        add_masks(vector, masks)
        try:
            return encoding.check(vector, 1)
        except AggregationError:
            return None

    def _common_mask(self, victim: str, peer_id: str) -> list[tuple[bytes, int]]:
        for one, other in ((victim, peer_id), (peer_id, victim)):
            private = self._open(one, self._mask_keys)
            if private is not None and KeyPair.from_private_bytes(private).public_key == self._public(one):
                shared = KeyPair.from_private_bytes(private).agree(self._public(other))
                info = transcript.mask_info(self.a_round._context, self.a_round._roster_sha256, one, other)
                return [(derive_key(shared, info), -transcript.mask_sign(victim, peer_id))]
        return []

    def _public(self, client_id: str) -> bytes:
        return self.a_round._roster[client_id].keys.mask_key

    @staticmethod
    def _open(dealer_id: str, known: dict[str, dict[int, bytes]]) -> bytes | None:
        try:
            return combine(known[dealer_id])
        except CryptoError:
            return None


def same(read: npt.NDArray[Any] | None, true: npt.NDArray[Any]) -> bool:
    """Returns whether what an attacker read is the update."""
    return read is not None and np.array_equal(read, true)
