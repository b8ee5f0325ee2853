"""A cohort of secure aggregation in memory, both roles as they are in a run, with the CPU time that each takes.

Everyone trains the same update, so what the sum must be is known beforehand. One client is on its own, as on a device:
it checks every signature itself. The others share a worker, which remembers the signatures that it has checked.

Not here: engines, processes and training (`fedgdl bench secagg` measures whole rounds as well).

Example:
    >>> cohort = MeasuredCohort(num_clients=4, size=1000)
    >>> times = cohort.play(num_lost=1)
    >>> sorted(times.client), len(times.server["masked input"])
    (['advertise', 'consistency', 'masked input', 'share', 'unmask'], 3)
"""

import secrets
import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from clients.protection.secagg import SecaggProtection
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.crypto.masking import Identities
from fedgdl.errors import RunFailed
from fedgdl.federated import ClientUpdate, CohortSums, FedAvg, make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.seeding import stream
from server.aggregation.secagg import SecaggAggregation

__all__ = ["MeasuredCohort", "RoundTimes"]

_MODEL_SHA256: Final = "0" * 64
_NUM_EXAMPLES: Final = 600
_SEED: Final = 12345


@dataclass(frozen=True, slots=True)
class RoundTimes:
    """The CPU seconds of one round.

    Attributes:
        client: stage -> of the client that is on its own.
        server: stage -> of taking each answer.
        finish: of opening the sum: shares, keys and masks.
        finish_wall: the same on the wall; it may take several threads.
    """

    client: dict[str, float] = field(default_factory=dict)
    server: dict[str, list[float]] = field(default_factory=dict)
    finish: list[float] = field(default_factory=list)
    finish_wall: list[float] = field(default_factory=list)


class MeasuredCohort:
    """Clients and a coordinator that play round after round.

    Args:
        num_clients: n.
        size: the model's weights.

    Attributes:
        client_ids: in order; the first is the one on its own.
        encoding: of the updates.
        update: every client's.
    """

    def __init__(self, num_clients: int, size: int) -> None:
        aggregation = AggregationConfig(kind="secagg", max_weight=1024)
        experiment = Experiment(
            "benchmark", "digits", TrainingConfig(0.1), cohort_size=num_clients, aggregation=aggregation
        )
        strategy, layout = FedAvg("num_examples"), Layout.of({"weights": (size,)})
        self.client_ids = tuple(f"client-{index:05}" for index in range(num_clients))
        self.encoding = make_update_encoding(experiment, strategy, layout)
        delta = stream(_SEED, "benchmark of secagg").normal(0, 0.05, size).astype(np.float32)
        self.update = ClientUpdate(delta, _NUM_EXAMPLES, train_loss=1.0, train_accuracy=0.5)
        self._aggregation = SecaggAggregation(experiment, strategy, layout)
        secret = secrets.token_bytes(32)
        self._alone, self._others = (
            SecaggProtection(experiment, strategy, layout, Identities(secret)) for _ in range(2)
        )
        self._round_index = 0

    def play(self, num_lost: int = 0) -> RoundTimes:
        """Plays the next round, in which so many clients, others each time, are lost before they send their update.

        Raises:
            RunFailed: the opened sum is not the sum.
        """
        self._round_index += 1
        a_round = self._aggregation.open_round(self._round_index, 1, self.client_ids, _MODEL_SHA256)
        times, participants, lost = RoundTimes(), self.client_ids, self._lost(num_lost)
        for stage in a_round.stages:
            a_round.begin(stage.name, participants)
            common = a_round.common(stage.name)
            if stage.trains:
                participants = tuple(client_id for client_id in participants if client_id not in lost)
            times.server[stage.name] = []
            for client_id in participants:
                message = a_round.message(stage.name, client_id)
                start = time.process_time()
                payload = self._answer(stage.name, client_id, common, message)
                answered = time.process_time()
                a_round.take(stage.name, client_id, payload)
                times.server[stage.name].append(time.process_time() - answered)
                if client_id == self.client_ids[0]:
                    times.client[stage.name] = answered - start
        start, wall = time.process_time(), time.perf_counter()
        sums = a_round.finish()
        times.finish.append(time.process_time() - start)
        times.finish_wall.append(time.perf_counter() - wall)
        self._check(sums, len(participants))
        return times

    def _answer(self, stage: str, client_id: str, common: bytes, message: bytes) -> bytes:
        protection = self._alone if client_id == self.client_ids[0] else self._others
        if stage == "masked input":
            return protection.protect(client_id, self._round_index, _MODEL_SHA256, common, message, self.update)
        return protection.answer(stage, self._round_index, client_id, common, message)

    def _lost(self, num_lost: int) -> frozenset[str]:
        """Returns clients other than the first, from another place on in each round."""
        others = self.client_ids[1:]
        return frozenset(others[(self._round_index + 7 * index) % len(others)] for index in range(num_lost))

    def _check(self, sums: CohortSums, num_survivors: int) -> None:
        plain = self.encoding.encode(self.update).vector * np.uint32(num_survivors)
        expected = self.encoding.decode(plain, num_survivors)
        if any(not np.array_equal(total, sums.sums[name]) for name, total in expected.sums.items()):
            message = f"the sum that {num_survivors} clients were opened to is not the sum of their updates"
            raise RunFailed(message)
