"""The worker's logic: frames in, frames out. It knows nothing of pipes or processes.

Both engines run this one object: `inline` calls it, `clients.worker_process` wraps it in a process.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clients.client import Workbench
from clients.faults import Faults
from clients.observer import Observer
from clients.population import Population
from clients.protection import WorksWhileIdle, make_protection
from fedgdl.config import Experiment
from fedgdl.errors import ClientError, CryptoError, EngineError, ProtocolError, WireError
from fedgdl.federated import Task, build_task_model, load_task_data, make_strategy
from fedgdl.parameters import FloatArray, Layout
from fedgdl.runtime import ParameterSlots, one_blas_thread
from fedgdl.wire import (
    MAX_REASON_CHARACTERS,
    ClientFailed,
    ClientMessage,
    Codec,
    ParametersReference,
    Shutdown,
    StageResult,
    StageTask,
    ToCoordinator,
    ToWorker,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerReady,
    encode,
)

if TYPE_CHECKING:
    from fedgdl.crypto.masking import Identities

__all__ = ["MAX_TASK_FRAME_BYTES", "Worker", "error_in_words", "fit_for_a_message"]

MAX_TASK_FRAME_BYTES: Final = 256_000_000
"""More than the longest task. In a round of several stages one names 64 clients at most, each of which may be told two
things of 1,000 others, by ids of up to 200 characters of up to 4 bytes: 64 * 1,000 * 2 * 950 bytes. What all are told
alike is less: 100,000 ids. A plain task names 4,096 clients at most, and tells them nothing."""

logger = logging.getLogger(__name__)


class _Absent(Exception):
    """Why a client has no answer: all of it, and what of that a private run tells the coordinator; fit to be sent."""

    def __init__(self, reason: str, public_reason: str, *, is_defect: bool = False) -> None:
        super().__init__(reason)
        self.reason = fit_for_a_message(reason)
        self.public_reason = fit_for_a_message(public_reason)
        self.is_defect = is_defect


class Worker:
    """Answers for the clients that tasks name, one after another; trains them in one resident model.

    Args:
        experiment: the configuration; where updates are encoded, its `cohort_size` and `aggregation.max_weight` are
            numbers by now.
        task: what is learned.
        identities_secret: 32 bytes that its clients' identities are derived from; none where nothing is signed.
        observer: writes the simulator's truth down; none: nobody does.
        key_material: what its clients know of the key that updates are encrypted with; none where none are.
        num_workers: how many workers share the clients, and the cores.

    Raises:
        DataError: the data cannot be loaded.
        ConfigError: the task gives no data set or no model, or the protection needs identities or a key.
        CryptoError: the key material cannot be used.
        TaskError: its code raised.
    """

    def __init__(
        self,
        experiment: Experiment,
        task: Task[Any],
        identities_secret: bytes | None = None,
        observer: Observer | None = None,
        key_material: bytes | None = None,
        *,
        num_workers: int = 1,
    ) -> None:
        data = load_task_data(task, experiment)
        model = build_task_model(task, data, experiment, np.random.default_rng(0))  # its values are overwritten below
        self._faults = Faults(experiment.faults)
        self._bench = Workbench(experiment, task, model, model.flatten(), self._faults)
        self._observer = observer
        self._protection = make_protection(
            experiment,
            make_strategy(experiment.strategy),
            self.layout,
            _identities(identities_secret),
            observer.update_encoded if observer is not None else lambda *_: None,
            key_material=key_material,
            num_workers=num_workers,
            on_encrypted=self._encrypted,
        )
        self._idle_work = self._protection if isinstance(self._protection, WorksWhileIdle) else None
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
        return self._bench.parameters.layout

    def attach(self, slots: ParameterSlots) -> None:
        """Says where the rounds' parameters are to be read from."""
        self._slots = slots

    def ready(self) -> bytes:
        """Returns the frame that tells the coordinator what this worker has loaded."""
        if self._idle_work is not None:
            self._idle_work.idle()
        return encode(WorkerReady(self.layout.digest, self._fingerprint))

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the frames that answer one frame, each as soon as there is one.

        A client that cannot take part is answered for by `ClientFailed`; the others go on. After the last answer
        nothing is sent or logged: the coordinator may be writing the next task, and reads nothing until that is read.

        Raises:
            WireError: the frame is no valid message to a worker.
            EngineError: the parameters it names are not to be found, or the observer cannot write.
        """
        message = self._codec.decode(frame)
        if self._idle_work is not None:
            self._idle_work.busy()
        match message:
            case Shutdown():
                self.is_shut_down = True
            case StageTask():
                for told in message.clients:
                    self._faults.reach(message.stage, told.client_id, message.round_index)
                    yield encode(self._answer(message, told))
            case TrainTask():
                incoming = self._read_parameters(message.parameters)
                for told in message.clients:
                    yield encode(TrainStarted(message.round_index, told.client_id))
                    self._bench.parameters.load(incoming)
                    with one_blas_thread():
                        answer = encode(self._train(message, told))
                    yield self._faults.spoil_frame(answer, told.client_id, message.round_index)
                    self._faults.reach("after_sending", told.client_id, message.round_index)
        if self.is_shut_down:
            self.close()
        elif self._idle_work is not None:
            self._idle_work.idle()

    def close(self) -> None:
        """Ends for good what it does while it has nothing to do; harmless when called again."""
        if self._idle_work is not None:
            self._idle_work.close()

    def _answer(self, task: StageTask, told: ClientMessage) -> ToCoordinator:
        """Returns a client's answer in a stage without training."""
        round_index, client_id = task.round_index, told.client_id
        try:
            with self._errors_caught(round_index, client_id, f"answer to the stage {task.stage!r}"), _refusals():
                payload = self._protection.answer(task.stage, round_index, client_id, task.common, told.message)
        except _Absent as absent:
            return self._failed(round_index, client_id, absent)
        return StageResult(round_index, task.stage, client_id, payload)

    def _train(self, task: TrainTask, told: ClientMessage) -> ToCoordinator:
        """Returns a client's protected update, trained from the parameters that the model holds now."""
        round_index, client_id, model_sha256 = task.round_index, told.client_id, task.parameters.sha256
        logger.info("round %d: %s trains", round_index, client_id)
        try:
            with self._errors_caught(round_index, client_id, "protection"), _refusals():
                self._protection.check_model(client_id, round_index, model_sha256)
            with self._errors_caught(round_index, client_id, "training"):
                update = self._population.client(client_id).train(round_index, task.plan, self._bench)
            with self._errors_caught(round_index, client_id, "protection"), _refusals():
                payload = self._protection.protect(
                    client_id, round_index, model_sha256, task.common, told.message, update
                )
        except _Absent as absent:
            if self._observer is not None:
                self._observer.client_failed(client_id, round_index, absent.reason)
            return self._failed(round_index, client_id, absent)
        if self._observer is not None:
            self._observer.client_done(client_id, round_index, update)
        return TrainResult(round_index, client_id, payload)

    def _encrypted(self, client_id: str, round_index: int, num_done: int, num_total: int) -> None:
        """Takes note of how many of a client's ciphertexts there are by now."""
        if 2 * num_done >= num_total:
            self._faults.reach("encrypting", client_id, round_index)

    @contextmanager
    def _errors_caught(self, round_index: int, client_id: str, what: str) -> Iterator[None]:
        """Turns whatever goes wrong with one client into its absence; what is the observer's own goes through."""
        try:
            yield
        except (_Absent, EngineError):
            raise
        except ClientError as error:
            raise _Absent(error.reason, error.public_reason) from error
        except Exception as error:
            words = error_in_words(error)
            is_new = words not in self._errors_told
            self._errors_told.add(words)
            log = logger.exception if is_new else logger.info  # one traceback for each kind of error will do
            log("round %d: the %s of %s raised: %s", round_index, what, client_id, words)
            raise _Absent(words, f"its {what} raised", is_defect=True) from error

    def _failed(self, round_index: int, client_id: str, absent: _Absent) -> ClientFailed:
        """Returns what the coordinator is told of a client's absence; in a private run nothing of its data."""
        if self._protection.is_private and absent.reason != absent.public_reason:
            logger.info("round %d: %s has no answer: %s", round_index, client_id, absent.reason)
        reason = absent.public_reason if self._protection.is_private else absent.reason
        return ClientFailed(round_index, client_id, reason, absent.is_defect)

    def _read_parameters(self, reference: ParametersReference) -> FloatArray:
        if self._slots is None:
            message = "a worker must be attached to parameter slots before its first task"
            raise RuntimeError(message)
        if self._received is None or self._received[0] != reference:
            self._received = reference, self._slots.read(reference.slot, reference.version, reference.sha256)
        return self._received[1]


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns what a protection refuses into the absence of its client; the words hold nothing private."""
    try:
        yield
    except (ProtocolError, WireError, CryptoError) as error:
        raise _Absent(str(error), str(error)) from error


def _identities(secret: bytes | None) -> "Identities | None":
    if secret is None:
        return None
    from fedgdl.crypto.masking import Identities  # lazily: plain runs need no cryptography

    return Identities(secret)


def error_in_words(error: Exception) -> str:
    """Returns an error's type and text, fit for a message."""
    return fit_for_a_message(f"{type(error).__name__}: {error}")


def fit_for_a_message(text: str) -> str:
    """Returns a text not too long, and in characters that can be sent: names of files, say, may hold others."""
    return text.encode(errors="backslashreplace").decode()[:MAX_REASON_CHARACTERS]
