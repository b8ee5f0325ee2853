"""Secure aggregation on the server's side: masked updates in, the sum over the clients that stayed out.

Masked vectors are added as they arrive, so that a cohort takes the memory of one; whole numbers have the same sum in
any order. In the end the survivors' own masks are taken off, and those masks that lost clients should have cancelled:
see `server.aggregation.unmasking`, and for what is said in each stage `clients.protection.secagg`.

What is checked here protects the round from clients: sizes, doubled or worthless keys, shares that are not what their
dealer committed to. The coordinator has nobody's identity, so it cannot check signatures: a client that signs wrongly
is found by its neighbours, who then refuse to go on. What protects clients from the coordinator, they check themselves.

Threat model: an honest-but-curious coordinator holds what is in here. It sees who takes part and who is lost, keys,
    sealed shares and masked vectors; of the updates it learns the sum over at least `min_survivors` clients.

Not protected against: clients that send wrong updates within their slots' range; a sum with a slot out of range is
    refused as a whole, for nobody can tell whose fault it is. See also `clients.protection.secagg`.

Source:
    Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal, Seth, "Practical Secure Aggregation for
    Privacy-Preserving Machine Learning", CCS 2017. Bell, Bonawitz, Gascon, Lepoint, Raykova, "Secure Single-Server
    Aggregation with (Poly)Logarithmic Overhead", CCS 2020.

Example:
    >>> from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> from fedgdl.parameters import Layout
    >>> config = AggregationConfig(kind="secagg", max_weight=1_000)
    >>> experiment = Experiment("four", "spam", TrainingConfig(0.1), cohort_size=4, aggregation=config)
    >>> aggregation = SecaggAggregation(experiment, FedAvg("equal"), Layout.of({"w": (2,)}))
    >>> a_round = aggregation.open_round(1, 1, ("alice", "bob", "dan", "sue"), "0" * 64)
    >>> [(stage.name, stage.min_answers) for stage in a_round.stages]
    [('advertise', 3), ('share', 3), ('masked input', 3), ('consistency', 3), ('unmask', 3)]
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fedgdl.config import Experiment
from fedgdl.crypto.masking import KeyPair, add_masks, is_canonical, transcript
from fedgdl.crypto.masking.cohort import cohort_graph
from fedgdl.crypto.masking.graph import neighbourhoods
from fedgdl.errors import AggregationError, ClientError, CryptoError, WireError
from fedgdl.federated import ClientRecord, CohortSums, Strategy
from fedgdl.federated.encoding import UpdateEncoding, make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.runtime import usable_cores
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import (
    PROTOCOL_VERSION,
    SIGNATURE_BYTES,
    DealtShares,
    ForwardedShares,
    KeyAdvertisement,
    Roster,
    RosterEntry,
    RoundHeader,
    Survivors,
    UnmaskRequest,
    UnmaskShares,
)
from server.aggregation.unmasking import open_mask_key, open_own_mask, pair_masks
from server.round_state import Stage

__all__ = ["SecaggAggregation", "SecaggCohort"]

_MAX_BYTES_PER_HOLDER: Final = 2_048
"""More than a dealer says of one holder: its id twice, at most 800 bytes each, a sealed share, two hashes, names."""

_PAYLOAD_OVERHEAD_BYTES: Final = 4_096

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)


class SecaggAggregation:
    """Opens rounds of secure aggregation.

    Args:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled.
        strategy: declares the sums.
        layout: the model's.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Attributes:
        graph: neighbours, thresholds and what they reach.

    Raises:
        ConfigError: no graph of that size gives what is asked for, or sums over a cohort may wrap around the ring.
    """

    def __init__(
        self,
        experiment: Experiment,
        strategy: Strategy,
        layout: Layout,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._is_consistency_checked = experiment.aggregation.consistency
        self._encoding = make_update_encoding(experiment, strategy, layout)
        self._layout_sha256 = layout.digest
        self._random_bytes = random_bytes
        self._session = random_bytes(16)
        self.graph = cohort_graph(self._encoding.max_clients, experiment.aggregation)

    @property
    def max_payload_bytes(self) -> int:
        """The size that no valid payload exceeds: that of a masked vector, or of the shares that a client deals."""
        num_holders = self.graph.degree + 1
        return max(self._encoding.num_bytes, num_holders * _MAX_BYTES_PER_HOLDER + _PAYLOAD_OVERHEAD_BYTES)

    def open_round(self, round_index: int, attempt: int, cohort: tuple[str, ...], model_sha256: str) -> "SecaggCohort":
        """Returns a fresh aggregation for one attempt at one round.

        Raises:
            AggregationError: the cohort is not of the configured size, which all its clients insist on.
        """
        graph = self.graph
        if len(cohort) != graph.num_clients:
            message = f"a cohort of {len(cohort):,} came, and one of {graph.num_clients:,} is configured"
            raise AggregationError(message)
        header = RoundHeader(
            version=PROTOCOL_VERSION,
            session=self._session,
            round_index=round_index,
            attempt=attempt,
            model_sha256=model_sha256,
            layout_sha256=self._layout_sha256,
            encoding_sha256=self._encoding.digest,
            num_clients=graph.num_clients,
            degree=graph.degree,
            threshold=graph.threshold,
            min_survivors=graph.min_survivors,
            is_consistency_checked=self._is_consistency_checked,
        )
        return SecaggCohort(header, cohort, self._encoding, self._random_bytes)


class SecaggCohort:
    """One attempt at one round: what is said to its clients, and what becomes of their answers.

    Args:
        header: what the attempt is about.
        cohort: the sampled clients, in the order of ids.
        encoding: how updates became vectors.
        random_bytes: for the order of a sparse graph.
    """

    def __init__(
        self,
        header: RoundHeader,
        cohort: tuple[str, ...],
        encoding: UpdateEncoding,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.stages = _stages(header)
        self._header = header
        self._context = transcript.context_digest(encode_struct(header))
        self._encoding = encoding
        self._random_bytes = random_bytes
        self._stage = ""
        self._participants: frozenset[str] = frozenset()
        self._answered = set(cohort)  # whoever answered the stage before may take part in the next
        self._probe = KeyPair.generate()
        self._owners: dict[bytes, str] = {}  # public key -> client
        self._roster: dict[str, RosterEntry] = {}
        self._roster_sha256 = b""
        self._neighbours: Mapping[str, tuple[str, ...]] = {}
        self._dealt: dict[str, DealtShares] = {}
        self._total: npt.NDArray[Any] = np.zeros(encoding.size, encoding.dtype)
        self._survivors: frozenset[str] = frozenset()
        self._signatures: dict[str, bytes] = {}
        self._opened: dict[str, UnmaskShares] = {}

    def begin(self, stage: str, client_ids: tuple[str, ...]) -> None:
        """Says who takes part in a stage: in the first the cohort, else those whose answer to the one before was taken.

        Raises:
            AggregationError: it is not this stage's turn, others take part than have answered, or too few have.
        """
        names = ["", *(each.name for each in self.stages)]
        if stage not in names or names.index(stage) != names.index(self._stage) + 1:
            message = f'the stage "{stage}" cannot follow "{self._stage}"'
            raise AggregationError(message)
        participants = frozenset(client_ids)
        if participants != self._answered:
            message = f'others take part in the stage "{stage}" than answered the one before'
            raise AggregationError(message)
        if len(participants) < self.stages[names.index(stage) - 1].min_answers:
            message = f'{len(participants)} clients are too few for the stage "{stage}"'
            raise AggregationError(message)
        if stage == "share":
            self._draw_up_roster(participants)
        elif self._stage == "masked input":
            self._survivors = participants
        self._stage, self._participants, self._answered = stage, participants, set()

    def common(self, stage: str) -> bytes:
        """Returns what every participant of the stage is told alike."""
        if stage == "advertise":
            return encode_struct(self._header)
        return encode_struct(Survivors(tuple(sorted(self._survivors)))) if stage in {"consistency", "unmask"} else b""

    def message(self, stage: str, client_id: str) -> bytes:
        """Returns what one participant of the stage is told."""
        match stage:
            case "share":
                entries = tuple(self._roster[holder_id] for holder_id in self._holders(client_id))
                return encode_struct(Roster(self._roster_sha256, entries))
            case "masked input":
                dealers = [peer_id for peer_id in self._neighbours[client_id] if peer_id in self._participants]
                return encode_struct(
                    ForwardedShares(
                        shares={dealer_id: self._dealt[dealer_id].shares[client_id] for dealer_id in dealers},
                        commitments={dealer_id: self._dealt[dealer_id].commitments[client_id] for dealer_id in dealers},
                    )
                )
            case "unmask":
                signers = [peer_id for peer_id in self._holders(client_id) if peer_id in self._signatures]
                return encode_struct(UnmaskRequest({peer_id: self._signatures[peer_id] for peer_id in signers}))
        return b""

    def take(self, stage: str, client_id: str, payload: bytes) -> ClientRecord | None:
        """Takes the answer of a client that was asked and has not answered yet; none tells anything for a report.

        Raises:
            ClientError: the stage is over or the client not in it, it has answered before, or its answer is malformed
                or wrong; says how.
        """
        if stage != self._stage or client_id not in self._participants:
            raise ClientError(client_id, f'it sent an answer to the stage "{stage}", in which it was not asked now')
        if client_id in self._answered:
            raise ClientError(client_id, f'it sent a second answer to the stage "{stage}"')
        match stage:
            case "advertise":
                self._take_keys(client_id, _read(client_id, payload, KeyAdvertisement))
            case "share":
                self._take_shares(client_id, _read(client_id, payload, DealtShares))
            case "masked input":
                self._add(client_id, payload)
            case "consistency":
                self._take_signature(client_id, payload)
            case "unmask":
                self._take_opened(client_id, _read(client_id, payload, UnmaskShares))
        self._answered.add(client_id)
        return None

    def finish(self) -> CohortSums:
        """Returns the sums over the survivors.

        Raises:
            AggregationError: the last stage has not begun, too few shares of some client's secret came, some secret
                was dealt wrongly, or what is opened cannot be a sum of updates.
        """
        if self._stage != self.stages[-1].name or len(self._survivors) < self._header.min_survivors:
            message = (
                f"{len(self._survivors)} masked updates came, and at least {self._header.min_survivors} clients must "
                "be in a sum: nothing is opened"
            )
            raise AggregationError(message)
        masks = [(self._open_own_mask(client_id), -1) for client_id in sorted(self._survivors)]
        for lost_id in sorted(self._dealt.keys() - self._survivors):
            masks += self._open_pair_masks(lost_id)
        add_masks(self._total, masks, num_threads=usable_cores())  # the workers have nothing to do meanwhile
        return self._encoding.decode(self._total, len(self._survivors))

    def _draw_up_roster(self, participants: frozenset[str]) -> None:
        """Settles who takes part with which keys, and who is whose neighbour."""
        self._roster = {client_id: self._roster[client_id] for client_id in sorted(participants)}
        entries = [
            (client_id, entry.keys.channel_key, entry.keys.mask_key, entry.keys.signature)
            for client_id, entry in self._roster.items()
        ]
        self._roster_sha256 = transcript.roster_digest(self._context, entries)
        self._neighbours = neighbourhoods(list(self._roster), self._header.degree, self._random_bytes)

    def _holders(self, client_id: str) -> list[str]:
        """Returns who holds a client's shares, in the order of x = 1, 2, ...: its neighbours and itself."""
        return sorted((*self._neighbours[client_id], client_id))

    def _take_keys(self, client_id: str, keys: KeyAdvertisement) -> None:
        for key in (keys.channel_key, keys.mask_key):
            if not is_canonical(key):
                raise ClientError(client_id, "it advertised a key as no honest client writes it")
            if key in self._owners:
                raise ClientError(client_id, f"it advertised a key that {self._owners[key]!r} had advertised before")
            try:
                self._probe.agree(key)
            except CryptoError as error:
                raise ClientError(client_id, "it advertised a key that keeps nothing secret") from error
        if keys.channel_key == keys.mask_key:
            raise ClientError(client_id, "it advertised the same key for shares and for masks")
        self._owners |= {keys.channel_key: client_id, keys.mask_key: client_id}
        self._roster[client_id] = RosterEntry(client_id, keys)

    def _take_shares(self, client_id: str, dealt: DealtShares) -> None:
        neighbours = set(self._neighbours[client_id])
        if dealt.shares.keys() != neighbours or dealt.commitments.keys() != neighbours | {client_id}:
            raise ClientError(client_id, "it dealt shares to others than its neighbours, or not to all of them")
        self._dealt[client_id] = dealt

    def _add(self, client_id: str, payload: bytes) -> None:
        try:
            self._total += self._encoding.unpack(payload)
        except CryptoError as error:
            raise ClientError(client_id, f"its masked update has not the size of one: {error}") from error

    def _take_signature(self, client_id: str, payload: bytes) -> None:
        if len(payload) != SIGNATURE_BYTES:
            raise ClientError(client_id, f"a signature has {SIGNATURE_BYTES} bytes, it sent {len(payload):,}")
        self._signatures[client_id] = payload

    def _take_opened(self, client_id: str, opened: UnmaskShares) -> None:
        dealers = self._dealt.keys() & self._holders(client_id)
        if opened.own_masks.keys() != dealers & self._survivors or opened.mask_keys.keys() != dealers - self._survivors:
            raise ClientError(client_id, "it opened shares of others than it was asked for, or not of all of them")
        for secret_name, shares in (("own mask", opened.own_masks), ("mask key", opened.mask_keys)):
            for dealer_id, share in shares.items():
                commitments = self._dealt[dealer_id].commitments[client_id]
                expected = commitments.own_mask if secret_name == "own mask" else commitments.mask_key
                came = transcript.share_commitment(self._context, secret_name, dealer_id, client_id, share)
                if came != expected:
                    reason = f"its share of the {secret_name} of {dealer_id!r} is not the one that was dealt to it"
                    raise ClientError(client_id, reason)
        self._opened[client_id] = opened

    def _opened_by_holders(self, dealer_id: str) -> list[tuple[int, UnmaskShares]]:
        """Returns what those holders of a client's shares that answered have opened, each with its x."""
        holders = enumerate(self._holders(dealer_id), start=1)
        return [(x, self._opened[holder_id]) for x, holder_id in holders if holder_id in self._opened]

    def _open_own_mask(self, dealer_id: str) -> bytes:
        shares = {x: opened.own_masks[dealer_id] for x, opened in self._opened_by_holders(dealer_id)}
        commitment = self._dealt[dealer_id].own_mask_commitment
        return open_own_mask(self._context, dealer_id, shares, self._header.threshold, commitment)

    def _open_pair_masks(self, lost_id: str) -> list[tuple[bytes, int]]:
        shares = {x: opened.mask_keys[lost_id] for x, opened in self._opened_by_holders(lost_id)}
        keys = self._roster[lost_id].keys
        pair = open_mask_key(lost_id, shares, self._header.threshold, keys.mask_key)
        peers = [
            (peer_id, self._roster[peer_id].keys.mask_key)
            for peer_id in self._neighbours[lost_id]
            if peer_id in self._survivors
        ]
        return pair_masks(self._context, self._roster_sha256, lost_id, pair, peers)


def _stages(header: RoundHeader) -> tuple[Stage, ...]:
    """Returns the stages of a round, each with how many answers it needs at least.

    Each must be answered by at least as many as the next one needs. On a sparse graph a secret may still lack shares
    when the last has been answered.
    """
    fewest = max(header.min_survivors, header.threshold)
    return (
        Stage("advertise", fewest),
        Stage("share", fewest),
        Stage("masked input", fewest, trains=True),
        *([Stage("consistency", header.threshold)] if header.is_consistency_checked else []),
        Stage("unmask", header.threshold, opens=True),
    )


def _read(client_id: str, payload: bytes, kind: type[AnswerT]) -> AnswerT:
    try:
        return decode_struct(payload, kind)
    except WireError as error:
        raise ClientError(client_id, f"its answer cannot be read: {error}") from error
