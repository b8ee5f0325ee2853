"""One client's side of one attempt at a protected round: its secrets, what it was told, what it has answered.

A client says each thing once. Whatever it is told, it checks against what it knows by itself before it answers;
what does not fit is a `ProtocolError` that says who did what, and from then on it answers nothing in this round.

Not here: bytes of messages, whether a round may begin at all, encoding of updates (`clients.protection.secagg`).

Threat model and what is not protected: see `clients.protection.secagg`.

Source:
    Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017 (the user's part
    of the protocol against active adversaries). Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic
    Overhead", CCS 2020 (neighbourhoods in place of the whole cohort).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from clients.protection.secagg_checks import (
    check_dealers,
    check_model_hash,
    check_roster,
    check_shares,
    check_signatures,
    check_survivors,
    commit,
)
from fedgdl.crypto.masking import (
    SEED_BYTES,
    SHARE_BYTES,
    Identities,
    KeyPair,
    derive_key,
    seal,
    split,
    transcript,
    unseal,
)
from fedgdl.errors import CryptoError, ProtocolError
from fedgdl.wire.codec import encode_struct
from fedgdl.wire.secagg import (
    DealtShares,
    ForwardedShares,
    KeyAdvertisement,
    Roster,
    RoundHeader,
    ShareCommitments,
    Survivors,
    UnmaskRequest,
    UnmaskShares,
)

__all__ = ["ClientRound", "SeedAndSign"]

SeedAndSign: TypeAlias = tuple[bytes, int]
"""Of a mask: its seed, and +1 where it is added or -1 where it is subtracted."""


@dataclass(slots=True, repr=False, eq=False)
class _Secrets:
    """What nobody else may know.

    Attributes:
        channel: the key pair for shares.
        mask: the key pair for masks.
        own_seed: of the mask that hides this client's update even from whoever knows all its other masks.
        channels: neighbour -> the bytes agreed with it for shares.
        mask_keys: dealer -> this client's share of its private mask key; the dealers are neighbours and itself.
        own_masks: dealer -> this client's share of its own mask's seed, likewise.
    """

    channel: KeyPair
    mask: KeyPair
    own_seed: bytes
    channels: dict[str, bytes] = field(default_factory=dict)
    mask_keys: dict[str, bytes] = field(default_factory=dict)
    own_masks: dict[str, bytes] = field(default_factory=dict)


class ClientRound:
    """What one client does in the stages of one attempt at a round, each once and in order.

    Args:
        client_id: who it is.
        header: what the attempt is about; checked by the caller.
        identities: signs for this client and knows the others' public keys.
        random_bytes: count -> that many bytes nobody can foresee.

    Attributes:
        client_id, header: as given.
        keys: what the client advertises.
    """

    def __init__(
        self, client_id: str, header: RoundHeader, identities: Identities, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.client_id = client_id
        self.header = header
        self._context = transcript.context_digest(encode_struct(header))
        self._identities = identities
        self._random_bytes = random_bytes
        secrets = _Secrets(KeyPair.generate(random_bytes), KeyPair.generate(random_bytes), random_bytes(SEED_BYTES))
        self._kept: _Secrets | None = secrets
        self.keys = self._sign_keys(secrets)
        self._stages = ["share", "masked input", *(["consistency"] if header.is_consistency_checked else []), "unmask"]
        self._roster = b""
        self._mask_keys: dict[str, bytes] = {}  # neighbour -> its public one
        self._dealers: frozenset[str] = frozenset()
        self._survivors: Survivors | None = None
        self._survivors_digest = b""
        self._signature = b""
        self._answer: UnmaskShares | None = None
        self._refused = ""

    def __repr__(self) -> str:
        """Returns who and when; no secret."""
        return f"ClientRound({self.client_id!r}, round {self.header.round_index}, attempt {self.header.attempt})"

    def end(self, reason: str) -> None:
        """Drops all secrets; whatever is asked from now on is refused, for the first reason given."""
        self._kept = self._answer = None
        self._signature = b""
        self._refused = self._refused or reason

    def share(self, roster: Roster) -> DealtShares:
        """Returns shares of the two secrets for the neighbourhood, each sealed for its holder.

        Raises:
            ProtocolError: see `check_roster`; or a neighbour's key is none.
        """
        secrets = self._begin("share")
        check_roster(
            roster,
            client_id=self.client_id,
            keys=self.keys,
            header=self.header,
            context=self._context,
            identities=self._identities,
        )
        self._roster = roster.sha256
        for entry in roster.entries:
            if entry.client_id != self.client_id:
                self._mask_keys[entry.client_id] = entry.keys.mask_key
                secrets.channels[entry.client_id] = _agree(secrets.channel, entry.client_id, entry.keys.channel_key)
        dealt = self._deal(secrets, [entry.client_id for entry in roster.entries])
        self._stages.pop(0)
        return dealt

    def check_model(self, model_sha256: str) -> None:
        """Refuses to train from another model than the one that all clients of the round were told of.

        Raises:
            ProtocolError: it is another, or it is not the time to train.
        """
        self._begin("masked input")
        check_model_hash(model_sha256, self.header)

    def open_masks(self, forwarded: ForwardedShares) -> list[SeedAndSign]:
        """Returns the seeds of all masks to be added to the encoded update, each with its sign: the own one first.

        From here on there is no second update: the same masks on two of them would give away the difference.

        Raises:
            ProtocolError: see `check_dealers`, `check_shares`; or shares cannot be opened.
        """
        secrets = self._begin("masked input")
        check_dealers(forwarded, client_id=self.client_id, neighbours=self._mask_keys.keys(), header=self.header)
        for dealer_id, sealed in forwarded.shares.items():
            self._take_shares(secrets, dealer_id, sealed, forwarded.commitments[dealer_id])
        self._dealers = frozenset(forwarded.shares)
        masks: list[SeedAndSign] = [(secrets.own_seed, +1)]
        for peer_id in sorted(self._dealers):
            shared = _agree(secrets.mask, peer_id, self._mask_keys[peer_id])
            info = transcript.mask_info(self._context, self._roster, self.client_id, peer_id)
            masks.append((derive_key(shared, info), transcript.mask_sign(self.client_id, peer_id)))
        self._stages.pop(0)
        return masks

    def sign(self, survivors: Survivors) -> bytes:
        """Returns the signature of the survivors; of the same ones as often as asked, of others never.

        Raises:
            ProtocolError: see `check_survivors`; or others were named before.
        """
        if self._signature:
            self._require_same(survivors)
            return self._signature
        self._begin("consistency")
        self._take_survivors(survivors)
        self._signature = self._identities.sign(self.client_id, self._survivors_digest)
        self._stages.pop(0)
        return self._signature

    def unmask(self, survivors: Survivors, request: UnmaskRequest) -> UnmaskShares:
        """Returns one of the two shares for each client of the neighbourhood, never both; then drops all secrets.

        The answer is remembered: the same survivors are answered alike, others never.

        Raises:
            ProtocolError: the survivors are not those that were signed, or too few neighbours signed them; without
                a consistency stage see `check_survivors`.
        """
        if self._answer is not None:
            self._require_same(survivors)
            return self._answer
        secrets = self._begin("unmask")
        if self._survivors is None:
            self._take_survivors(survivors)
        self._require_same(survivors)
        named, neighbourhood = frozenset(survivors.client_ids), self._dealers | {self.client_id}
        if self.header.is_consistency_checked:
            check_signatures(
                request.signatures,
                self._survivors_digest,
                signers=neighbourhood & named,
                threshold=self.header.threshold,
                identities=self._identities,
            )
        self._answer = UnmaskShares(
            own_masks={dealer_id: secrets.own_masks[dealer_id] for dealer_id in sorted(neighbourhood & named)},
            mask_keys={dealer_id: secrets.mask_keys[dealer_id] for dealer_id in sorted(neighbourhood - named)},
        )
        self._stages.pop(0)
        self._kept = None
        return self._answer

    def _begin(self, stage: str) -> _Secrets:
        """Returns the secrets, if this stage is the next.

        Raises:
            ProtocolError: it is not, or the client has refused something before.
        """
        if self._refused:
            message = f"this client takes no further part in this round, since it refused: {self._refused}"
            raise ProtocolError(message)
        if self._kept is None or self._stages[0] != stage:
            due = f'"{self._stages[0]}" is next' if self._stages else "this round is over"
            message = f'the coordinator asks for the stage "{stage}" out of turn: {due}'
            raise ProtocolError(message)
        return self._kept

    def _sign_keys(self, secrets: _Secrets) -> KeyAdvertisement:
        channel_key, mask_key = secrets.channel.public_key, secrets.mask.public_key
        digest = transcript.advertisement_digest(self._context, self.client_id, channel_key, mask_key)
        return KeyAdvertisement(channel_key, mask_key, self._identities.sign(self.client_id, digest))

    def _deal(self, secrets: _Secrets, holders: list[str]) -> DealtShares:
        threshold = self.header.threshold
        mask_key_shares = split(secrets.mask.private_bytes(), threshold, len(holders), self._random_bytes)
        own_mask_shares = split(secrets.own_seed, threshold, len(holders), self._random_bytes)
        sealed: dict[str, bytes] = {}
        commitments: dict[str, ShareCommitments] = {}
        for holder_id, mask_key_share, own_mask_share in zip(holders, mask_key_shares, own_mask_shares, strict=True):
            commitments[holder_id] = commit(self._context, self.client_id, holder_id, (mask_key_share, own_mask_share))
            if holder_id == self.client_id:
                secrets.mask_keys[holder_id], secrets.own_masks[holder_id] = mask_key_share, own_mask_share
            else:
                key = self._channel_key(secrets, holder_id, self.client_id, holder_id)
                binding = transcript.share_binding(self._context, self._roster, self.client_id, holder_id)
                sealed[holder_id] = seal(key, mask_key_share + own_mask_share, binding)
        commitment = transcript.own_mask_commitment(self._context, self.client_id, secrets.own_seed)
        return DealtShares(sealed, commitments, commitment)

    def _take_shares(self, secrets: _Secrets, dealer_id: str, sealed: bytes, commitments: ShareCommitments) -> None:
        key = self._channel_key(secrets, dealer_id, dealer_id, self.client_id)
        binding = transcript.share_binding(self._context, self._roster, dealer_id, self.client_id)
        try:
            opened = unseal(key, sealed, binding)
        except CryptoError as error:
            message = (
                f"the shares that {dealer_id!r} dealt cannot be opened: the coordinator changed them, took them from "
                "elsewhere or told the two of different rosters, or they were sealed wrongly"
            )
            raise ProtocolError(message) from error
        shares = opened[:SHARE_BYTES], opened[SHARE_BYTES:]
        check_shares(self._context, dealer_id, self.client_id, shares, commitments)
        secrets.mask_keys[dealer_id], secrets.own_masks[dealer_id] = shares

    def _channel_key(self, secrets: _Secrets, peer_id: str, sender_id: str, receiver_id: str) -> bytes:
        info = transcript.channel_info(self._context, self._roster, sender_id, receiver_id)
        return derive_key(secrets.channels[peer_id], info)

    def _take_survivors(self, survivors: Survivors) -> None:
        check_survivors(
            survivors.client_ids,
            client_id=self.client_id,
            neighbours=self._mask_keys.keys(),
            dealers=self._dealers,
            header=self.header,
        )
        self._survivors = survivors
        self._survivors_digest = transcript.survivors_digest(self._context, self._roster, survivors.client_ids)

    def _require_same(self, survivors: Survivors) -> None:
        if survivors != self._survivors:
            message = (
                "the coordinator names other survivors than before: with both answers it could take off all masks of "
                "a single client's update"
            )
            raise ProtocolError(message)


def _agree(pair: KeyPair, peer_id: str, public_key: bytes) -> bytes:
    """Returns what a key pair agrees on with a peer.

    Raises:
        ProtocolError: the peer's key is one with which everybody knows the result.
    """
    try:
        return pair.agree(public_key)
    except CryptoError as error:
        message = f"{peer_id!r} advertised a key that keeps nothing secret: all agreements with it come to the same"
        raise ProtocolError(message) from error
