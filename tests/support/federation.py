"""A tiny federation in memory, to be put together as a test needs it: points on a line, a linear model, a task."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from clients.worker import Worker
from fedgdl.autograd import Parameter, Tensor, squared_error
from fedgdl.config import DataConfig, EngineConfig, Experiment, TrainingConfig
from fedgdl.errors import DataError, DataMissing
from fedgdl.federated import Task, make_strategy
from fedgdl.nn import Dropout, Module
from fedgdl.parameters import Layout, Parameters
from fedgdl.runtime import ParameterSlots
from fedgdl.seeding import stream
from fedgdl.wire import (
    ClientMessage,
    Codec,
    ParametersReference,
    ToCoordinator,
    TrainResult,
    TrainStarted,
    TrainTask,
    encode,
)
from server.aggregation import make_aggregation, read_plain_update
from server.coordinator import Federation
from server.engines import Engine
from server.recorder import Recorder

Floats = npt.NDArray[np.float64]

POISON = 666.0
"""A target that `RaisingTask` cannot bear."""


@dataclass(frozen=True)
class Points:
    """Examples, or a batch of them: `inputs` (n, 2) and `targets` (n,), both float64."""

    inputs: Floats
    targets: Floats

    def __len__(self) -> int:
        """Returns the number of points."""
        return len(self.targets)

    def slice(self, start: int, stop: int) -> "Points":
        """Returns points start to stop - 1."""
        return Points(self.inputs[start:stop], self.targets[start:stop])

    def take(self, rows: npt.NDArray[np.int64]) -> "Points":
        """Returns the points of the given rows, in that order."""
        return Points(self.inputs[rows], self.targets[rows])


@dataclass(frozen=True)
class PointsData:
    """Clients with points, and a test set."""

    shards: Mapping[str, Points]
    test: Points
    fingerprint: str = "points-1"
    description: str = "points in memory"
    is_synthetic: bool = True

    @property
    def client_ids(self) -> tuple[str, ...]:
        """The population, sorted."""
        return tuple(sorted(self.shards))

    def client(self, client_id: str) -> Points:
        """Returns one client's points."""
        if client_id not in self.shards:
            message = f"there is no client {client_id!r}"
            raise DataError(message)
        return self.shards[client_id]


class Line(Module):
    """inputs @ weight + bias."""

    def __init__(self, dtype: str) -> None:
        self.weight = Parameter(np.zeros((2, 1), dtype))
        self.bias = Parameter(np.zeros(1, dtype))

    def forward(self, inputs: npt.NDArray[Any]) -> Tensor:
        """Returns (n,) predictions for (n, 2) inputs."""
        return (Tensor(inputs) @ self.weight).reshape(-1) + self.bias


class ThinnedLine(Line):
    """The same of inputs of which training leaves a quarter out."""

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self.dropout = Dropout(0.25)

    def forward(self, inputs: npt.NDArray[Any]) -> Tensor:
        """Returns (n,) predictions for (n, 2) inputs."""
        return (self.dropout(Tensor(inputs)) @ self.weight).reshape(-1) + self.bias


class LineTask(Task[Points]):
    """Least squares through points."""

    def __init__(self, data: PointsData | None = None) -> None:
        self.data = data if data is not None else make_data({"ann": 4, "ben": 6, "cat": 5})

    def load_data(self, experiment: Experiment) -> PointsData:
        """Returns the data that the task was made with."""
        return self.data

    def build_model(self, data: PointsData, experiment: Experiment, rng: np.random.Generator) -> Module:
        """Returns a line through the origin, level."""
        return Line(experiment.dtype)

    def predict(self, model: Module, batch: Points) -> Tensor:
        """Returns (n,) predictions."""
        assert isinstance(model, Line)
        return model(batch.inputs.astype(model.weight.dtype))

    def loss(self, prediction: Tensor, batch: Points) -> Tensor:
        """Returns the sum of squared errors."""
        return squared_error(prediction, batch.targets.astype(prediction.dtype))

    def count_correct(self, prediction: npt.NDArray[Any], batch: Points) -> int:
        """Returns how many predictions are off by less than a half."""
        return int(np.count_nonzero(np.abs(prediction - batch.targets) < 0.5))


class ThinnedLineTask(LineTask):
    """Least squares with dropout."""

    def build_model(self, data: PointsData, experiment: Experiment, rng: np.random.Generator) -> Module:
        """Returns a line through the origin, level."""
        return ThinnedLine(experiment.dtype)


class RaisingTask(LineTask):
    """Raises in the middle of training when a batch holds `POISON`, leaving half a step's gradients behind."""

    def loss(self, prediction: Tensor, batch: Points) -> Tensor:
        """Returns the sum of squared errors, or raises."""
        if (batch.targets == POISON).any():
            super().loss(prediction, batch).backward()
            message = "this point \udcff is poison"  # a character that UTF-8 cannot express
            raise ArithmeticError(message)
        return super().loss(prediction, batch)


class NeedyTask(LineTask):
    """Cannot be made without an argument."""

    def __init__(self, number: int) -> None:
        super().__init__()


class DeadlyTask(LineTask):
    """Ends its process, without a word, in the training of whoever has nine points."""

    def count_correct(self, prediction: npt.NDArray[Any], batch: Points) -> int:
        """Returns how many predictions are near."""
        if len(batch) == 9:
            os._exit(3)
        return super().count_correct(prediction, batch)


class NowhereElseTask(LineTask):
    """Has data in the process that starts the others alone."""

    def load_data(self, experiment: Experiment) -> PointsData:
        """Returns the data, or raises."""
        if multiprocessing.parent_process() is not None:
            message = "the points are elsewhere"
            raise DataError(message)
        return super().load_data(experiment)


class NoDataTask(LineTask):
    """Has data nowhere."""

    def load_data(self, experiment: Experiment) -> PointsData:
        """Raises."""
        message = "these points are not on this machine \udcff"  # a character that UTF-8 cannot express
        raise DataMissing(message)


def make_points(num_points: int, rng: np.random.Generator) -> Points:
    """Returns points near the line 2 x - y + 1."""
    inputs = rng.normal(size=(num_points, 2))
    return Points(inputs, inputs @ np.array([2.0, -1.0]) + 1 + rng.normal(scale=0.1, size=num_points))


def make_data(sizes: Mapping[str, int], num_test: int = 10) -> PointsData:
    """Returns data with a client of each given name and number of points."""
    rng = np.random.default_rng(7)
    return PointsData({name: make_points(size, rng) for name, size in sizes.items()}, make_points(num_test, rng))


def make_experiment(**changes: Any) -> Experiment:
    """Returns an inline experiment of `LineTask` in float64, with some keys changed."""
    plain = Experiment(
        name="points",
        task="federation:LineTask",
        data=DataConfig(source="points"),
        training=TrainingConfig(learning_rate=0.125, batch_size=2, shuffle=False),
        dtype="float64",
        engine=EngineConfig(kind="inline"),
    )
    return msgspec.structs.replace(plain, **changes)


def make_federation(
    engine: Engine, experiment: Experiment, task: LineTask, recorder: Recorder | None = None
) -> Federation:
    """Returns a whole federation around an engine, its parameters in plain memory."""
    data = task.load_data(experiment)
    model = task.build_model(data, experiment, stream(experiment.seed, "initialise"))
    layout = model.flatten().layout
    strategy = make_strategy(experiment.strategy)
    return Federation(
        experiment=experiment,
        task=task,
        data=data,
        model=model,
        parameters=model.flatten(),
        strategy=strategy,
        aggregation=make_aggregation(experiment, strategy, layout),
        slots=make_slots(layout),
        engine=engine,
        recorder=recorder if recorder is not None else Recorder(),
    )


def make_slots(layout: Layout) -> ParameterSlots:
    """Returns parameter slots in plain memory."""
    return ParameterSlots(bytearray(ParameterSlots.nbytes(layout)), layout)


class Bench:
    """One worker and the parameters it is to train from, without engine or coordinator."""

    def __init__(self, experiment: Experiment, task: LineTask, vector: npt.NDArray[Any] | None = None) -> None:
        self.experiment = experiment
        self.worker = Worker(experiment, task)
        self.slots = make_slots(self.worker.layout)
        self.worker.attach(self.slots)
        self.vector = np.zeros(self.worker.layout.size, experiment.dtype) if vector is None else vector
        self.reference = publish(self.slots, self.vector)
        self.codec: Codec[ToCoordinator] = Codec(ToCoordinator, max_bytes=1_000_000)

    def task(self, client_ids: Iterable[str], round_index: int = 1) -> TrainTask:
        """Returns the message that has some clients trained."""
        return TrainTask(round_index, self.reference, self.experiment.training, told(client_ids))

    def answers(self, client_ids: Iterable[str], round_index: int = 1) -> list[Any]:
        """Returns the messages that the worker answers a task with, one for each client."""
        return [self.codec.decode(frame) for frame in self.answer_frames(client_ids, round_index)]

    def answer_frames(self, client_ids: Iterable[str], round_index: int = 1) -> Iterator[bytes]:
        """Yields the frames of these answers; each comes behind one that says that the client's training begins."""
        frames = self.worker.handle(encode(self.task(client_ids, round_index)))
        for client_id, begins in zip(client_ids, frames, strict=False):
            assert self.codec.decode(begins) == TrainStarted(round_index, client_id)
            yield next(frames)
        assert next(frames, None) is None

    def terms(self, answer: TrainResult) -> dict[str, npt.NDArray[Any]]:
        """Returns the terms in an answer's plain payload."""
        layout = self.worker.layout
        shapes = make_strategy(self.experiment.strategy).sum_shapes(layout)
        return read_plain_update(answer.payload, shapes, np.dtype(layout.dtype))[1]


def told(client_ids: Iterable[str]) -> tuple[ClientMessage, ...]:
    """Returns what tasks say of clients that are told nothing."""
    return tuple(ClientMessage(client_id) for client_id in client_ids)


def publish(slots: ParameterSlots, vector: npt.NDArray[Any]) -> ParametersReference:
    """Publishes a vector and returns the reference that a message carries."""
    where = slots.publish(vector)
    return ParametersReference(where.slot, where.version, where.sha256)


def trained_by_hand(points: Points, start: Floats, plan: TrainingConfig, orders: Iterable[npt.NDArray[Any]]) -> Floats:
    """Returns (3,) weights and bias after SGD as a slow loop over single points and single numbers.

    Args:
        points: one client's.
        start: (3,) the two weights and the bias to start from.
        plan: batch size, learning rate, reduction and what to do with a last, smaller batch.
        orders: for each epoch the order of its points.
    """
    w0, w1, bias = (float(value) for value in start)
    for order in orders:
        rows = [int(row) for row in order]
        for first in range(0, len(rows), plan.batch_size):
            batch = rows[first : first + plan.batch_size]
            if plan.drop_last and len(batch) < plan.batch_size:
                continue
            g0 = g1 = g_bias = 0.0
            for row in batch:
                x0, x1 = (float(value) for value in points.inputs[row])
                slope = 2 * (w0 * x0 + w1 * x1 + bias - float(points.targets[row]))
                g0, g1, g_bias = g0 + slope * x0, g1 + slope * x1, g_bias + slope
            rate = plan.learning_rate / (len(batch) if plan.loss_reduction == "mean" else 1)
            w0, w1, bias = w0 - rate * g0, w1 - rate * g1, bias - rate * g_bias
    return np.array([w0, w1, bias])


def model_at(task: LineTask, experiment: Experiment, vector: npt.NDArray[Any]) -> tuple[Module, Parameters]:
    """Returns a new model that holds a given vector, and its parameters."""
    model = task.build_model(task.data, experiment, np.random.default_rng(0))
    parameters = model.flatten()
    parameters.load(vector)
    return model, parameters
