"""Both halves of secure aggregation against each other in memory: cohorts, and rounds with drop-outs."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from clients.protection.secagg import SecaggProtection
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.crypto.masking import Identities
from fedgdl.errors import ClientError, ProtocolError
from fedgdl.federated import ClientUpdate, CohortSums, EncodedUpdate, FedAvg, UpdateEncoding, make_update_encoding
from fedgdl.parameters import Layout
from server.aggregation.secagg import SecaggAggregation, SecaggCohort

MODEL = "5e" * 32
"""What stands for the SHA-256 of a model."""

STAGES = ("advertise", "share", "masked input", "consistency", "unmask")
SECRET = bytes(range(32))
"""Of the identities of tests."""


def names(count: int) -> tuple[str, ...]:
    """Returns the ids of so many clients, in order."""
    return tuple(f"client-{index:04}" for index in range(count))


def insecure_stream(seed: str) -> Callable[[int], bytes]:
    """Returns a source of "random" bytes that anyone can foresee, for tests of exact bytes."""
    position = 0

    def draw(count: int) -> bytes:
        nonlocal position
        end = position + count
        drawn = hashlib.shake_256(seed.encode()).digest(end)[position:]
        position = end
        return drawn

    return draw


@dataclass(frozen=True)
class Played:
    """A round that came to its end.

    Attributes:
        sums: what was opened.
        survivors: the clients in it.
        vectors: client -> what it encoded, before masks.
        payloads: (stage, client) -> what it sent.
        refusals: client -> what it said when it refused.
    """

    sums: CohortSums
    survivors: tuple[str, ...]
    vectors: Mapping[str, npt.NDArray[Any]]
    payloads: Mapping[tuple[str, str], bytes]
    refusals: Mapping[str, str]

    @property
    def plain_sum(self) -> npt.NDArray[Any]:
        """The survivors' vectors, added up in the clear."""
        return np.sum([self.vectors[client_id] for client_id in self.survivors], axis=0, dtype=np.uint64)


@dataclass
class Cohort:
    """Clients, each in a worker of its own, and a coordinator.

    Attributes:
        size: of the cohort.
        parameters: of the model.
        settings: of `AggregationConfig`, other than the usual.
        seed: where given, randomness can be foreseen.
        client_ids: in order; left out, `names`.
    """

    size: int
    parameters: int = 5
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: str = ""
    client_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        config = AggregationConfig(kind="secagg", **{"max_weight": 64, "min_cohort": 2, **self.settings})
        self.client_ids = self.client_ids or names(self.size)
        self.experiment = Experiment("cohort", "spam", TrainingConfig(0.1), cohort_size=self.size, aggregation=config)
        self.strategy, self.layout = FedAvg("num_examples"), Layout.of({"w": (self.parameters,)})
        self.vectors: dict[str, npt.NDArray[Any]] = {}
        identities = Identities(SECRET)
        self.aggregation = SecaggAggregation(self.experiment, self.strategy, self.layout, **self._source("coordinator"))
        self.protections = {
            client_id: SecaggProtection(
                self.experiment,
                self.strategy,
                self.layout,
                identities,
                self._keep,
                **self._source(client_id),
            )
            for client_id in self.client_ids
        }

    @property
    def encoding(self) -> UpdateEncoding:
        return make_update_encoding(self.experiment, self.strategy, self.layout)

    def update(self, client_id: str) -> ClientUpdate:
        """Returns a client's update, always the same: elements from -2 to 2, from 1 to 80 examples."""
        drawn = hashlib.shake_256(client_id.encode()).digest(3 + 2 * self.parameters)
        delta = np.frombuffer(drawn[3:], "<i2").astype(np.float32) / 2**14
        return ClientUpdate(delta, 1 + drawn[0] % 80, train_loss=drawn[1] / 64, train_accuracy=drawn[2] / 255)

    def open(self, round_index: int = 1, attempt: int = 1) -> SecaggCohort:
        """Returns the coordinator's side of a round."""
        return self.aggregation.open_round(round_index, attempt, self.client_ids, MODEL)

    def ask(self, stage: str, client_id: str, common: bytes, message: bytes, round_index: int = 1) -> bytes:
        """Returns a client's answer in a stage, that which trains included."""
        protection = self.protections[client_id]
        if stage != "masked input":
            return protection.answer(stage, round_index, client_id, common, message)
        protection.check_model(client_id, round_index, MODEL)
        return protection.protect(client_id, round_index, MODEL, common, message, self.update(client_id))

    def play_stage(
        self, a_round: SecaggCohort, stage: str, client_ids: Iterable[str], *, lost: Iterable[str] = ()
    ) -> tuple[tuple[str, ...], dict[str, bytes], dict[str, str]]:
        """Plays one stage; returns who answered, in order, what they sent, and what others said as they refused."""
        participants = tuple(client_ids)
        a_round.begin(stage, tuple(sorted(participants)))
        common = a_round.common(stage)
        payloads: dict[str, bytes] = {}
        refusals: dict[str, str] = {}
        gone = set(lost)
        for client_id in participants:
            if client_id in gone:
                continue
            message = a_round.message(stage, client_id)
            try:
                payloads[client_id] = self.ask(stage, client_id, common, message, a_round._header.round_index)
                a_round.take(stage, client_id, payloads[client_id])
            except (ClientError, ProtocolError) as error:
                payloads.pop(client_id, None)
                refusals[client_id] = str(error)
        return tuple(sorted(payloads)), payloads, refusals

    def play(
        self,
        *,
        lost: Mapping[str, str] | None = None,
        order: Callable[[Sequence[str]], Sequence[str]] = tuple,
        round_index: int = 1,
        attempt: int = 1,
    ) -> Played:
        """Plays a whole round.

        Args:
            lost: client -> the stage in which it does not answer any more.
            order: of the clients' answers in a stage.
            round_index: counted from 1.
            attempt: likewise.
        """
        a_round = self.open(round_index, attempt)
        participants, survivors = self.client_ids, ()
        payloads: dict[tuple[str, str], bytes] = {}
        refusals: dict[str, str] = {}
        for stage in a_round.stages:
            gone = [client_id for client_id, when in (lost or {}).items() if when == stage.name]
            participants, sent, refused = self.play_stage(a_round, stage.name, order(participants), lost=gone)
            payloads.update({(stage.name, client_id): payload for client_id, payload in sent.items()})
            refusals.update(refused)
            if stage.trains:
                survivors = participants
        return Played(a_round.finish(), survivors, dict(self.vectors), payloads, refusals)

    def _source(self, who: str) -> dict[str, Any]:
        return {"random_bytes": insecure_stream(f"{self.seed}/{who}")} if self.seed else {}

    def _keep(self, client_id: str, _: int, encoded: EncodedUpdate) -> None:
        self.vectors[client_id] = encoded.vector.copy()
