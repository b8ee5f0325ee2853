"""Both halves of encrypted aggregation against each other in memory: cohorts, and rounds with drop-outs.

Keys are so short that a small program could factor them: it is the roles that are tested here.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from secagg_rounds import MODEL, SECRET, names

from clients.key_holder.key_holder import KeyHolder
from clients.key_holder.material import KeyMaterial, deal_material
from clients.key_holder.process import KeyHolderSetup, make_key_holder
from clients.protection.paillier import PaillierProtection
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.crypto.masking import Identities
from fedgdl.errors import ClientError, CryptoError, ProtocolError
from fedgdl.federated import ClientUpdate, CohortSums, EncodedUpdate, FedAvg, UpdateEncoding, make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.wire import encode_struct
from server.aggregation.paillier import PaillierAggregation, PaillierCohort
from server.engines import Engine, InlineEngine
from server.key_holder import RemoteKeyHolder, key_holder_frame_bytes

__all__ = ["HOLDERS", "KEY_BITS", "MODEL", "SECRET", "Cohort", "Played", "names"]

KEY_BITS = 128

HOLDERS = (
    ("process", "signed"),
    ("process", "trusted"),
    ("clients", "signed"),
    ("clients", "trusted"),
    ("threshold", "signed"),
    ("threshold", "trusted"),
    ("coordinator", "signed"),
)
"""Who can decrypt, and what of."""


@dataclass(frozen=True)
class Played:
    """A round that came to its end.

    Attributes:
        sums: what was opened.
        contributors: the clients in it.
        vectors: client -> what it encoded.
        payloads: (stage, client) -> what it sent.
        refusals: client -> what it, or the coordinator, said when its answer was refused.
    """

    sums: CohortSums
    contributors: tuple[str, ...]
    vectors: Mapping[str, npt.NDArray[Any]]
    payloads: Mapping[tuple[str, str], bytes]
    refusals: Mapping[str, str]

    @property
    def plain_sum(self) -> npt.NDArray[Any]:
        """The contributors' vectors, added up in the clear."""
        return np.sum([self.vectors[client_id] for client_id in self.contributors], axis=0, dtype=np.uint64)


@dataclass
class Cohort:
    """Clients, each in a worker of its own, a coordinator, and whoever holds the key.

    Attributes:
        size: of the cohort.
        key_holder, sum_check: see `AggregationConfig`.
        parameters: of the model.
        settings: of `AggregationConfig`, other than the usual.
        client_ids: of the cohort, in order; left out, `names`.
        population: of which the cohort is a part; left out, the cohort.
        make_engine: returns where the key holder runs; left out, in this very process.
        opener_settings: of `RemoteKeyHolder`.
        key_holders: all that have been made in this process, the newest last.
    """

    size: int = 3
    key_holder: Any = "process"
    sum_check: Any = "signed"
    parameters: int = 5
    settings: Mapping[str, Any] = field(default_factory=dict)
    client_ids: tuple[str, ...] = ()
    population: tuple[str, ...] = ()
    make_engine: Callable[["Cohort"], Engine] | None = None
    opener_settings: Mapping[str, Any] = field(default_factory=dict)
    key_holders: list[KeyHolder] = field(default_factory=list)

    def __post_init__(self) -> None:
        usual = {
            "max_weight": 64,
            "min_cohort": 2,
            "key_holder": self.key_holder,
            "sum_check": self.sum_check,
            "insecure": self.key_holder == "coordinator",
            "insecure_key_bits": KEY_BITS,
        }
        config = AggregationConfig(kind="paillier", **{**usual, **self.settings})
        self.client_ids = self.client_ids or names(self.size)
        self.population = self.population or self.client_ids
        self.experiment = Experiment("cohort", "spam", TrainingConfig(0.1), cohort_size=self.size, aggregation=config)
        self.strategy, self.layout = FedAvg("num_examples"), Layout.of({"w": (self.parameters,)})
        self.identities = Identities(SECRET)
        self.vectors: dict[str, npt.NDArray[Any]] = {}
        self.opener: RemoteKeyHolder | None = None
        self.material = self._make_key()
        self.aggregation = PaillierAggregation(
            self.experiment,
            self.strategy,
            self.layout,
            self.opener,
            certificate=None if self.opener is not None else self.material.certificate,
            client_ids=self.population if self.key_holder == "threshold" else (),
        )
        self.protections = {client_id: self.make_protection() for client_id in self.client_ids}

    @property
    def encoding(self) -> UpdateEncoding:
        return make_update_encoding(self.experiment, self.strategy, self.layout)

    @property
    def setup(self) -> KeyHolderSetup:
        return KeyHolderSetup(self.experiment, self.layout, SECRET, log_level=30)

    def make_protection(self, **more: Any) -> PaillierProtection:
        """Returns the protection of a further worker."""
        return PaillierProtection(
            self.experiment,
            self.strategy,
            self.layout,
            self.identities,
            self._keep,
            key_material=encode_struct(self.material),
            **more,
        )

    def update(self, client_id: str) -> ClientUpdate:
        """Returns a client's update, always the same: elements from -2 to 2, from 1 to 80 examples."""
        drawn = hashlib.shake_256(client_id.encode()).digest(3 + 2 * self.parameters)
        delta = np.frombuffer(drawn[3:], "<i2").astype(np.float32) / 2**14
        return ClientUpdate(delta, 1 + drawn[0] % 80, train_loss=drawn[1] / 64, train_accuracy=drawn[2] / 255)

    def open(self, round_index: int = 1) -> PaillierCohort:
        """Returns the coordinator's side of a round."""
        return self.aggregation.open_round(round_index, 1, self.client_ids, MODEL)

    def ask(self, stage: str, client_id: str, common: bytes, round_index: int = 1) -> bytes:
        """Returns a client's answer in a stage, that which trains included."""
        protection = self.protections[client_id]
        if stage != "encrypted input":
            return protection.answer(stage, round_index, client_id, common, b"")
        protection.check_model(client_id, round_index, MODEL)
        return protection.protect(client_id, round_index, MODEL, common, b"", self.update(client_id))

    def play_stage(
        self, a_round: PaillierCohort, stage: str, client_ids: Iterable[str], *, lost: Iterable[str] = ()
    ) -> tuple[tuple[str, ...], dict[str, bytes], dict[str, str]]:
        """Plays one stage; returns who answered, in order, what they sent, and why others did not."""
        participants = tuple(client_ids)
        a_round.begin(stage, tuple(sorted(participants)))
        common = a_round.common(stage)
        payloads: dict[str, bytes] = {}
        refusals: dict[str, str] = {}
        gone = set(lost)
        for client_id in participants:
            if client_id in gone:
                continue
            try:
                payloads[client_id] = self.ask(stage, client_id, common, a_round._header.round_index)
                a_round.take(stage, client_id, payloads[client_id])
            except (ClientError, CryptoError, ProtocolError) as error:
                payloads.pop(client_id, None)
                refusals[client_id] = str(error)
        return tuple(sorted(payloads)), payloads, refusals

    def play(self, *, lost: Mapping[str, str] | None = None, reverse: bool = False, round_index: int = 1) -> Played:
        """Plays a whole round.

        Args:
            lost: client -> the stage in which it does not answer any more.
            reverse: whether the clients answer in the reverse order.
            round_index: counted from 1.
        """
        a_round = self.open(round_index)
        participants: Sequence[str] = self.client_ids
        contributors: tuple[str, ...] = ()
        payloads: dict[tuple[str, str], bytes] = {}
        refusals: dict[str, str] = {}
        for stage in a_round.stages:
            gone = [client_id for client_id, when in (lost or {}).items() if when == stage.name]
            in_turn = tuple(reversed(participants)) if reverse else participants
            answered, sent, refused = self.play_stage(a_round, stage.name, in_turn, lost=gone)
            payloads.update({(stage.name, client_id): payload for client_id, payload in sent.items()})
            refusals.update(refused)
            participants = answered
            if stage.trains:
                contributors = answered
        return Played(a_round.finish(), contributors, dict(self.vectors), payloads, refusals)

    def _make_key(self) -> KeyMaterial:
        """Starts the key holder, or deals the key out; returns what workers get of it."""
        if self.key_holder in {"clients", "threshold"}:
            return deal_material(self.experiment, self.population, self.identities)
        engine = InlineEngine(self.make_key_holder) if self.make_engine is None else self.make_engine(self)
        self.opener = RemoteKeyHolder(engine, **self.opener_settings)
        self.opener.start(key_holder_frame_bytes(self.encoding.num_bytes))
        return KeyMaterial(self.opener.certificate)

    def make_key_holder(self) -> KeyHolder:
        """Returns a key holder with a key of its own, and keeps it in mind."""
        self.key_holders.append(make_key_holder(self.setup))
        return self.key_holders[-1]

    def _keep(self, client_id: str, _: int, encoded: EncodedUpdate) -> None:
        self.vectors[client_id] = encoded.vector.copy()
