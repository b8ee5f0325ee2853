"""A protection and an aggregation of several stages, without cryptography: for tests of what goes round them.

Stages: "advertise", "share", "masked input", which trains, and "unmask". A client draws a secret when it is first
asked, and says it in each of its answers: so the aggregation notices when somebody else answers for it, or the
protection that a client has been moved to another worker. Updates travel as bare float64 deltas behind the secret.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from federation import LineTask, make_data, make_experiment, make_federation, model_at
from scripted_engine import Reply, ScriptedEngine

from clients.worker import Worker
from clients.worker_process import WorkerSetup, load_task, serve
from fedgdl.config import Experiment, StrategyConfig
from fedgdl.errors import AggregationError, ClientError, ProtocolError
from fedgdl.federated import ClientUpdate, CohortSums, Task, client_streams, train_client
from fedgdl.runtime import LogEnd, SharedParameters
from fedgdl.wire import StageTask, TrainTask, encode
from server.coordinator import Coordinator
from server.recorder import Recorder
from server.round_state import Stage

SIZES = {"ann": 4, "ben": 6, "cat": 5, "dan": 3, "eve": 4, "fay": 2}
"""How many points each client has."""

SECRET_BYTES: Final = 16
STAGES: Final = ("advertise", "share", "masked input", "unmask")
TRAINS: Final = "masked input"


class StagedProtection:
    """Answers with a client's secret of the round, and lengthens each answer to what `padding` says of its stage."""

    is_private = True

    def __init__(self, padding: Mapping[str, int] | None = None) -> None:
        self._padding = padding if padding is not None else {}
        self._secrets: dict[tuple[int, str], bytes] = {}

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Returns the client's secret; refuses where it has none, or was told something else than it should be."""
        if stage == "advertise":
            self._secrets[round_index, client_id] = secrets.token_bytes(SECRET_BYTES)
        return self._secret(stage, round_index, client_id, common, message) + bytes(self._padding.get(stage, 0))

    def check_model(self, client_id: str, round_index: int, model_sha256: str) -> None:
        """Refuses a model that the aggregation has not announced: for tests, one whose digest begins with ten zeros."""
        if model_sha256.startswith("0" * 10):
            reason = f"client {client_id!r} was given another model than announced"
            raise ProtocolError(reason)

    def protect(
        self, client_id: str, round_index: int, model_sha256: str, common: bytes, message: bytes, update: ClientUpdate
    ) -> bytes:
        """Returns the secret and the delta."""
        return self._secret(TRAINS, round_index, client_id, common, message) + update.delta.astype("<f8").tobytes()

    def _secret(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        if (round_index, client_id) not in self._secrets:
            reason = f"client {client_id!r} holds no secret of round {round_index}"
            raise ProtocolError(reason)
        if not common.startswith(stage.encode()) or not message.startswith(f"{stage} to {client_id}".encode()):
            reason = f"client {client_id!r} was told what is meant for others"
            raise ProtocolError(reason)
        return self._secrets[round_index, client_id]


@dataclass
class StagedAggregation:
    """Keeps a book of each attempt.

    Attributes:
        size: elements of a delta.
        min_answers: stage -> how many answers are needed; 1 where nothing is said.
        padding: stage -> bytes that each message of it is lengthened by, and what all are told alike.
        refuses: (stage, client id) -> why its answers cannot be used.
        fails: stage, or "finish", -> why an attempt goes no further.
        opens: the stage whose answers open the sum; none: no attempt is the last for that reason.
        attempts: all, in order.
    """

    size: int = 3
    min_answers: dict[str, int] = field(default_factory=dict)
    padding: dict[str, int] = field(default_factory=dict)
    refuses: dict[tuple[str, str], str] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)
    opens: str = ""
    attempts: list["StagedCohort"] = field(default_factory=list)

    @property
    def max_payload_bytes(self) -> int:
        """More than any payload has."""
        return SECRET_BYTES + 8 * self.size + max(self.padding.values(), default=0)

    def open_round(self, round_index: int, attempt: int, cohort: tuple[str, ...], model_sha256: str) -> "StagedCohort":
        """Returns the book of an attempt."""
        self.attempts.append(StagedCohort(self, round_index, attempt, cohort, model_sha256))
        return self.attempts[-1]


@dataclass
class StagedCohort:
    """One attempt; `participants` by stage, and `taken`: stage -> client id -> payload."""

    aggregation: StagedAggregation
    round_index: int
    attempt: int
    cohort: tuple[str, ...]
    model_sha256: str
    participants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    taken: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The four stages."""
        least = self.aggregation.min_answers
        opens = self.aggregation.opens
        return tuple(Stage(name, least.get(name, 1), trains=name == TRAINS, opens=name == opens) for name in STAGES)

    def begin(self, stage: str, client_ids: tuple[str, ...]) -> None:
        """Takes note of who takes part."""
        assert stage == STAGES[len(self.participants)]
        self.participants[stage], self.taken[stage] = client_ids, {}
        if stage in self.aggregation.fails:
            raise AggregationError(self.aggregation.fails[stage])

    def common(self, stage: str) -> bytes:
        """Returns the stage's name."""
        return stage.encode() + bytes(self.aggregation.padding.get(stage, 0))

    def message(self, stage: str, client_id: str) -> bytes:
        """Returns whom it is for."""
        assert client_id in self.participants[stage]
        return f"{stage} to {client_id}".encode() + bytes(self.aggregation.padding.get(stage, 0))

    def take(self, stage: str, client_id: str, payload: bytes) -> None:
        """Takes an answer that holds the client's secret."""
        assert client_id in self.participants[stage]
        assert client_id not in self.taken[stage]
        if (stage, client_id) in self.aggregation.refuses:
            raise ClientError(client_id, self.aggregation.refuses[stage, client_id])
        if stage != "advertise" and payload[:SECRET_BYTES] != self.taken["advertise"][client_id][:SECRET_BYTES]:
            raise ClientError(client_id, "it does not know its own secret")
        self.taken[stage][client_id] = payload

    def finish(self) -> CohortSums:
        """Returns the sum of the deltas, in the order of ids, and how many there are."""
        if "finish" in self.aggregation.fails:
            raise AggregationError(self.aggregation.fails["finish"])
        deltas = [
            np.frombuffer(self.taken[TRAINS][client_id], "<f8", offset=SECRET_BYTES)
            for client_id in self.cohort
            if client_id in self.taken[TRAINS]
        ]
        total: npt.NDArray[np.float64] = np.zeros(self.aggregation.size)
        for delta in deltas:
            total += delta
        sums = {"weighted_delta": total, "weight": np.array([float(len(deltas))])}
        return CohortSums(sums, len(deltas), {"train_loss": 0.5})


def make_worker(experiment: Experiment, task: Task[Any], padding: Mapping[str, int] | None = None) -> Worker:
    """Returns a worker whose clients answer in stages."""
    worker = Worker(experiment, task)
    worker._protection = StagedProtection(padding)
    return worker


@dataclass(frozen=True)
class StagedSetup:
    """What a worker process with such clients is started with."""

    setup: WorkerSetup
    padding: Mapping[str, int] = field(default_factory=dict)


def main(connection: "Connection[bytes, bytes]", log_end: LogEnd, staged: StagedSetup) -> None:
    """Runs such a worker in a process."""
    serve(connection, log_end, staged.setup.log_level, lambda: _open_worker(staged))


@contextmanager
def _open_worker(staged: StagedSetup) -> Iterator[Worker]:
    setup = staged.setup
    worker = make_worker(setup.experiment, load_task(setup.experiment, setup.pickled_task), staged.padding)
    with SharedParameters(worker.layout, setup.memory_name) as memory:
        worker.attach(memory.slots)
        yield worker


class StagedScene:
    """A coordinator and workers in memory whose clients answer in stages, unless they are given other lines.

    Args:
        num_workers: how many are alive at a time.
        task: what is learned.
        changes: of the experiment's keys.

    Attributes:
        lines: (stage, client id) -> what the worker says once, instead of the client's answer.
        aggregation: keeps the books.
        silent: workers that never get ready.
        answered: what the coordinator told whoever watches.
    """

    def __init__(
        self, num_workers: int = 2, task: LineTask | None = None, recorder: Recorder | None = None, **changes: Any
    ) -> None:
        self.task = task if task is not None else LineTask(make_data(SIZES))
        self.experiment = make_experiment(**{"strategy": StrategyConfig(weighting="equal"), **changes})
        self.engine = ScriptedEngine(num_workers, self._greet, self._answer)
        self.lines: dict[tuple[str, str], Iterable[Reply]] = {}
        self.workers: dict[int, Worker] = {}
        self.silent: set[int] = set()
        self.aggregation = StagedAggregation()
        self.recorder = recorder if recorder is not None else Recorder(keep=True)
        federation = make_federation(self.engine, self.experiment, self.task, self.recorder)
        self.federation = replace(federation, aggregation=self.aggregation)
        self.answered: list[tuple[int, str, bool]] = []
        self.coordinator = Coordinator(self.federation, lambda *args: self.answered.append(args))

    def started(self) -> "StagedScene":
        """Starts the workers and returns the scene."""
        self.coordinator.start()
        return self

    def asked(self, stage: str) -> list[str]:
        """Returns whom tasks of a stage named, in the order in which they were sent."""
        return [
            client.client_id
            for _, task in self.engine.tasks
            if (task.stage if isinstance(task, StageTask) else TRAINS) == stage
            for client in task.clients
        ]

    def _greet(self, worker_id: int) -> Iterable[Reply]:
        worker = make_worker(self.experiment, self.task)
        worker.attach(self.federation.slots)
        self.workers[worker_id] = worker
        return [] if worker_id in self.silent else [worker.ready()]

    def _answer(self, worker_id: int, task: TrainTask | StageTask) -> Iterable[Reply]:
        stage = task.stage if isinstance(task, StageTask) else TRAINS
        for client in task.clients:
            alone = msgspec.structs.replace(task, clients=(client,))
            yield from self.lines.pop((stage, client.client_id), None) or self.workers[worker_id].handle(encode(alone))


def expected_model(scene: StagedScene, client_ids: Iterable[str], round_index: int = 1) -> npt.NDArray[Any]:
    """Returns the model after a round that begins with the scene's, from what each of these clients' training gives."""
    experiment, vector = scene.experiment, scene.federation.parameters.vector
    deltas = []
    for client_id in sorted(client_ids):
        model, parameters = model_at(scene.task, experiment, vector)
        shuffle, dropout = client_streams(experiment.seed, round_index, client_id)
        points = scene.task.data.client(client_id)
        deltas.append(
            train_client(scene.task, model, parameters, points, experiment.training, shuffle, dropout_rng=dropout).delta
        )
    total = np.zeros(len(vector))
    for delta in deltas:
        total += delta
    moved: npt.NDArray[Any] = vector + total / float(len(deltas))
    return moved
