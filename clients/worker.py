"""The worker's logic: frames in, frames out. It knows nothing of pipes or processes.

Both engines run this one object: `inline` calls it, `clients.worker_process` wraps it in a process.
"""

import logging
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from clients.client import Participation
from clients.faults import Faults
from clients.population import Population
from clients.protection.protection import make_protection
from fedgdl.config import Experiment
from fedgdl.errors import ClientError
from fedgdl.federated import Task, build_task_model, load_task_data, make_strategy
from fedgdl.parameters import FloatArray, Layout
from fedgdl.runtime import ParameterSlots, one_blas_thread
from fedgdl.wire import (
    MAX_REASON_CHARACTERS,
    ClientFailed,
    Codec,
    ParametersReference,
    Shutdown,
    ToCoordinator,
    ToWorker,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerReady,
    encode,
)

__all__ = ["MAX_TASK_FRAME_BYTES", "Worker", "error_in_words", "fit_for_a_message"]

MAX_TASK_FRAME_BYTES: Final = 4_000_000
"""More than the longest task: 4,096 client ids of up to 200 characters of up to 4 bytes."""

logger = logging.getLogger(__name__)


class Worker:
    """Trains the clients that tasks name, one after another, in one resident model.

    Args:
        experiment: the configuration.
        task: what is learned.

    Raises:
        DataError: the data cannot be loaded.
        ConfigError: the task gives no data set or no model.
        TaskError: its code raised.
    """

    def __init__(self, experiment: Experiment, task: Task[Any]) -> None:
        data = load_task_data(task, experiment)
        model = build_task_model(task, data, experiment, np.random.default_rng(0))  # its values are overwritten below
        self._participation = Participation(
            experiment=experiment,
            task=task,
            model=model,
            parameters=model.flatten(),
            strategy=make_strategy(experiment.strategy),
            protection=make_protection(experiment.aggregation),
            faults=Faults(experiment.faults),
        )
        self._population = Population(data)
        self._fingerprint = data.fingerprint
        self._codec: Codec[ToWorker] = Codec(ToWorker, MAX_TASK_FRAME_BYTES)
        self._slots: ParameterSlots | None = None
        self.is_shut_down = False
        self._errors_told: set[str] = set()
        self._received: tuple[ParametersReference, FloatArray] | None = None

    @property
    def layout(self) -> Layout:
        """The layout of the worker's model."""
        return self._participation.parameters.layout

    def attach(self, slots: ParameterSlots) -> None:
        """Says where the rounds' parameters are to be read from."""
        self._slots = slots

    def ready(self) -> bytes:
        """Returns the frame that tells the coordinator what this worker has loaded."""
        return encode(WorkerReady(self.layout.digest, self._fingerprint))

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the frames that answer one frame, each as soon as there is one.

        A client that cannot take part is answered for by `ClientFailed`; the others go on.

        Raises:
            WireError: the frame is no valid message to a worker.
            EngineError: the parameters it names are not to be found.
        """
        message = self._codec.decode(frame)
        if isinstance(message, Shutdown):
            self.is_shut_down = True
            return
        incoming = self._read_parameters(message.parameters)
        faults = self._participation.faults
        for client_id in message.client_ids:
            yield encode(TrainStarted(message.round_index, client_id))
            self._participation.parameters.load(incoming)
            with one_blas_thread():
                answer = encode(self._train(message, client_id))
            yield faults.spoil_frame(answer, client_id, message.round_index)
            faults.reach("after_sending", client_id, message.round_index)

    def _train(self, message: TrainTask, client_id: str) -> ToCoordinator:
        logger.info("round %d: %s trains", message.round_index, client_id)
        try:
            payload = self._population.client(client_id).take_part(message, self._participation)
        except ClientError as error:
            return ClientFailed(message.round_index, client_id, fit_for_a_message(error.reason))
        except Exception as error:  # noqa: BLE001 (a task may raise anything; the round goes on without this client)
            words = error_in_words(error)
            is_new = words not in self._errors_told
            self._errors_told.add(words)
            log = logger.exception if is_new else logger.info  # one traceback for each kind of error will do
            log("round %d: the training of %s raised: %s", message.round_index, client_id, words)
            return ClientFailed(message.round_index, client_id, words, is_defect=True)
        return TrainResult(message.round_index, client_id, payload)

    def _read_parameters(self, reference: ParametersReference) -> FloatArray:
        if self._slots is None:
            message = "a worker must be attached to parameter slots before its first task"
            raise RuntimeError(message)
        if self._received is None or self._received[0] != reference:
            self._received = reference, self._slots.read(reference.slot, reference.version, reference.sha256)
        return self._received[1]


def error_in_words(error: Exception) -> str:
    """Returns an error's type and text, fit for a message."""
    return fit_for_a_message(f"{type(error).__name__}: {error}")


def fit_for_a_message(text: str) -> str:
    """Returns a text not too long, and in characters that can be sent: names of files, say, may hold others."""
    return text.encode(errors="backslashreplace").decode()[:MAX_REASON_CHARACTERS]
