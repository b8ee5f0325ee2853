"""One client that trains alone, and the worker that has clients do so, inline or as the program of a process."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Annotated, Any, TypeAlias

import numpy as np
from msgspec import Meta, Struct

from clients.worker import MAX_TASK_FRAME_BYTES, error_in_words, fit_for_a_message
from clients.worker_process import load_task, serve
from experiments.baselines.results import ClientScore
from fedgdl.config import Experiment
from fedgdl.errors import DataError
from fedgdl.federated import (
    Task,
    build_task_model,
    client_streams,
    evaluate,
    load_task_data,
    num_visits,
    plan_of_round,
    train_client,
)
from fedgdl.runtime import LogEnd, one_blas_thread
from fedgdl.seeding import stream
from fedgdl.wire import Codec, Shutdown, WorkerFailed, WorkerReady, encode

__all__ = ["AloneSetup", "AloneWorker", "FromAloneWorker", "TrainAlone", "TrainedAlone", "main", "rounds_alone"]


class TrainAlone(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """To a worker: have this client train alone."""

    client_id: Annotated[str, Meta(min_length=1, max_length=200)]


class TrainedAlone(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """From a worker: what came of it."""

    score: ClientScore


ToAloneWorker: TypeAlias = TrainAlone | Shutdown
FromAloneWorker: TypeAlias = WorkerReady | WorkerFailed | TrainedAlone


@dataclass(frozen=True, slots=True)
class AloneSetup:
    """What a worker is started with.

    Attributes:
        experiment: the configuration.
        num_rounds: the rounds of the federation.
        pickled_task: a task of the user's own, as cloudpickle wrote it; none: the one that the configuration names.
        log_level: log records below this level are not made.
    """

    experiment: Experiment
    num_rounds: int
    pickled_task: bytes | None
    log_level: int


def rounds_alone(num_rounds: int, cohort_size: int | None, num_clients: int) -> list[int]:
    """Returns the rounds in which a client trains alone: as many as a client is in, spread evenly.

    These are the federation's rounds times the share of the population in a cohort, rounded, and at least one; the
    last is the federation's last, so that decayed learning rates fit.

    Example:
        >>> rounds_alone(6, None, 3), rounds_alone(6, 1, 3), rounds_alone(2, 1, 100)
        ([1, 2, 3, 4, 5, 6], [3, 6], [2])
    """
    share = 1.0 if cohort_size is None else min(1.0, cohort_size / num_clients)
    count = max(1, math.floor(num_rounds * share + 0.5))
    return [-(-index * num_rounds // count) for index in range(1, count + 1)]


class AloneWorker:
    """Has one client after another train alone in one resident model, and tests what came of it.

    Args:
        experiment: the configuration.
        task: what is learned.
        num_rounds: the rounds of the federation.
    """

    def __init__(self, experiment: Experiment, task: Task[Any], num_rounds: int) -> None:
        self._experiment = experiment
        self._task = task
        self._data = load_task_data(task, experiment)
        self._model = build_task_model(task, self._data, experiment, stream(experiment.seed, "initialise"))
        self._parameters = self._model.flatten()
        self._start = self._parameters.vector.copy()
        self._rounds = rounds_alone(num_rounds, experiment.cohort_size, len(self._data.client_ids))
        self._codec: Codec[ToAloneWorker] = Codec(ToAloneWorker, MAX_TASK_FRAME_BYTES)
        self.is_shut_down = False

    def ready(self) -> bytes:
        """Returns the frame that says what this worker has loaded."""
        return encode(WorkerReady(self._parameters.layout.digest, self._data.fingerprint))

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the frame that answers one frame."""
        message = self._codec.decode(frame)
        if isinstance(message, Shutdown):
            self.is_shut_down = True
            return
        yield encode(TrainedAlone(self.score(message.client_id)))

    def score(self, client_id: str) -> ClientScore:
        """Returns how good the model is that a client trains alone; a client that cannot train is scored with why."""
        try:
            examples = self._data.client(client_id)
            with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below
                return self._train(client_id, examples)
        except DataError as error:
            return ClientScore(client_id, 0, 0, reason=fit_for_a_message(str(error)))
        except Exception as error:  # noqa: BLE001 (a task may raise anything; the other clients go on)
            return ClientScore(client_id, 0, 0, reason=error_in_words(error))

    def _train(self, client_id: str, examples: Any) -> ClientScore:  # noqa: ANN401 (whatever the task's data are)
        experiment = self._experiment
        self._parameters.load(self._start)
        seen = 0
        for round_index in self._rounds:
            shuffle, dropout = client_streams(experiment.seed, round_index, client_id)
            plan = plan_of_round(experiment.training, round_index)
            train_client(self._task, self._model, self._parameters, examples, plan, shuffle, dropout_rng=dropout)
            seen += num_visits(len(examples), plan)
            if not np.isfinite(self._parameters.vector).all():
                return ClientScore(client_id, len(examples), seen, reason="its model holds NaN or infinity")
        metrics = evaluate(self._task, self._model, self._data.test)
        return ClientScore(client_id, len(examples), seen, metrics.loss, metrics.accuracy)


def main(connection: "Connection[bytes, bytes]", log_end: LogEnd, setup: AloneSetup) -> None:
    """Runs such a worker in a process, until it is shut down or its starter is gone."""
    serve(connection, log_end, setup.log_level, lambda: contextlib.nullcontext(_make_worker(setup)))


def _make_worker(setup: AloneSetup) -> AloneWorker:
    return AloneWorker(setup.experiment, load_task(setup.experiment, setup.pickled_task), setup.num_rounds)
