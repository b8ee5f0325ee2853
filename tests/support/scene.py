"""A coordinator on a stage: workers, played by a scripted transport, that do well unless they are given other lines."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from federation import LineTask, PointsData, make_data, make_experiment, make_federation
from scripted_engine import Dies, Reply, ScriptedEngine, Task

from fedgdl.config import EngineConfig, StrategyConfig
from fedgdl.wire import (
    PlainUpdate,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerReady,
    encode,
    encode_struct,
)
from server.coordinator import Coordinator, Federation
from server.recorder import Recorder

START = np.array([0.5, -0.5, 0.25])
"""The model before the first round: two weights and a bias."""

DELTAS = {"ann": np.array([1.0, 0, 0]), "ben": np.array([0, 2.0, 0]), "cat": np.array([0, 0, 3.0])}
"""What each client's result says, unless a test has it say something else."""

SIZES = {"ann": 4, "ben": 6, "cat": 5}
SOON = EngineConfig(kind="inline", round_deadline_seconds=1e-9)
"""A deadline that has passed when the workers' first answers have been taken in."""


class Scene:
    """A coordinator, and workers that do well unless a test gives them other lines.

    Attributes:
        lines: client id -> what its worker says instead of a good result.
        greetings: worker id -> what it says at its start instead of being ready.
        arrival: if set, the order of the clients in which their results come, once all have been asked for.
        answered: what the coordinator told whoever watches.
    """

    def __init__(
        self, num_workers: int = 3, data: PointsData | None = None, *, keep: bool = False, **changes: Any
    ) -> None:
        self.engine = ScriptedEngine(num_workers, self.greet, self.answer)
        self.lines: dict[str, Reply | Iterable[Reply]] = {}
        self.greetings: dict[int, Iterable[Reply]] = {}
        self.arrival: tuple[str, ...] = ()
        self.holders: dict[str, int] = {}
        task = LineTask(data if data is not None else make_data(SIZES))
        experiment = make_experiment(**{"strategy": StrategyConfig(weighting="equal"), **changes})
        self.recorder = Recorder(keep=keep)
        self.federation: Federation = make_federation(self.engine, experiment, task, self.recorder)
        self.federation.parameters.load(START)
        self.answered: list[tuple[int, str, bool]] = []
        self.coordinator = Coordinator(self.federation, lambda *args: self.answered.append(args))

    @property
    def vector(self) -> npt.NDArray[Any]:
        """The model."""
        return self.federation.parameters.vector

    @property
    def train_tasks(self) -> list[TrainTask]:
        """The tasks to train, in the order in which they were sent."""
        return [task for _, task in self.engine.tasks if isinstance(task, TrainTask)]

    def started(self) -> "Scene":
        """Starts the workers and returns the scene."""
        self.coordinator.start()
        return self

    def ready(self, **changes: str) -> bytes:
        """Returns the frame of a worker that is ready, with some of its fields changed."""
        message = WorkerReady(self.federation.parameters.layout.digest, self.federation.data.fingerprint)
        return encode(msgspec.structs.replace(message, **changes))

    def greet(self, worker_id: int) -> Iterable[Reply]:
        """Returns what a worker says at its start."""
        return self.greetings.get(worker_id, [self.ready()])

    def answer(self, worker_id: int, task: Task) -> Iterable[Reply]:
        """Yields what a worker says to a task."""
        if self.arrival:
            self.holders |= dict.fromkeys(clients_of(task), worker_id)
            for client_id in self.arrival if len(self.holders) == len(self.arrival) else ():
                reply = self.lines[client_id]
                assert isinstance(reply, bytes)
                self.engine.say(self.holders[client_id], reply)
            return
        for client_id in clients_of(task):
            yield encode(TrainStarted(task.round_index, client_id))
            lines = self.lines.get(client_id, result(client_id, task.round_index))
            yield from [lines] if isinstance(lines, bytes | Dies) else lines


def clients_of(task: Task) -> tuple[str, ...]:
    """Returns whom a task names."""
    return tuple(client.client_id for client in task.clients)


def result(client_id: str, round_index: int = 1, **changes: Any) -> bytes:
    """Returns the frame of a client's result, with some of its payload's fields changed."""
    delta = DELTAS.get(client_id, np.ones(3))
    terms = {"weighted_delta": delta.tobytes(), "weight": np.array([1.0]).tobytes()}
    update = PlainUpdate(terms, SIZES.get(client_id, 1), train_loss=0.25, train_accuracy=0.75)
    update = msgspec.structs.replace(update, **changes)
    return encode(TrainResult(round_index, client_id, encode_struct(update)))


def terms(delta: npt.ArrayLike = (1.0, 0, 0), weight: float = 1.0) -> dict[str, bytes]:
    """Returns the terms of federated averaging as a payload holds them."""
    return {
        "weighted_delta": np.array(delta, "float64").tobytes(),
        "weight": np.array([weight], "float64").tobytes(),
    }


def mean_of(*client_ids: str) -> npt.NDArray[np.float64]:
    """Returns the model after a round in which these clients, weighing the same, delivered their `DELTAS`."""
    mean: npt.NDArray[np.float64] = np.mean([DELTAS[client_id] for client_id in client_ids], axis=0)
    return START + mean


def spoilt(frame: bytes) -> bytes:
    """Returns a frame with one bit flipped."""
    return frame[:-1] + bytes([frame[-1] ^ 1])
