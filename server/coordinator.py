"""The coordinator: it samples cohorts, sends out parameters, takes payloads in and averages them.

It sees frames through an engine and decides with a pure `RoundState`. It never sees a client's
data, and of a client's update only what the aggregation lets it see.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fedgdl.config import Experiment
from fedgdl.data import FederatedDataset
from fedgdl.errors import ClientError, EngineError, FedgdlError, RunFailed, WireError
from fedgdl.federated import (
    ClientRecord,
    Metrics,
    RoundRecord,
    Strategy,
    Task,
    evaluate,
    is_evaluated,
    plan_of_round,
    sample_cohort,
)
from fedgdl.nn import Module
from fedgdl.parameters import Parameters
from fedgdl.runtime import ParameterSlots, one_blas_thread
from fedgdl.wire import (
    FRAME_OVERHEAD_BYTES,
    ClientFailed,
    Codec,
    ParametersReference,
    ToCoordinator,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerFailed,
    WorkerReady,
    encode,
)
from server.aggregation import Aggregation
from server.engines import Engine, EngineEvent, WorkerLost
from server.recorder import Recorder
from server.round_state import (
    ClientReportedFailure,
    ClientStarted,
    Event,
    Failure,
    ResultArrived,
    RoundState,
    TimeRanOut,
    WorkerGone,
)

__all__ = ["Coordinator", "Federation"]

logger = logging.getLogger(__name__)

_MESSAGE_OVERHEAD_BYTES: Final = 8_192
"""More than everything in a message besides the payload takes."""

_MAX_FAILED_STARTS: Final = 3
_MAX_FAILED_STARTS_BESIDE_A_READY_WORKER: Final = 100
"""After so many workers in a row that were lost before they were ready, the run is given up."""


_MAX_REASONS_WARNED_OF: Final = 5
"""Reasons of missing updates that a round warns of, each with one client's name; the log and the history have all."""


@dataclass(frozen=True, slots=True)
class Federation:
    """What a coordinator works with; put together by `experiments.simulation`.

    Attributes:
        experiment: the configuration.
        task: evaluates the model.
        data: tells the population and gives the test examples; the clients' examples are not touched.
        model: the global model.
        parameters: the model's own vector.
        strategy: plans and steps.
        aggregation: turns payloads into sums.
        slots: where workers read the parameters.
        engine: where workers run.
        recorder: sees every payload.
    """

    experiment: Experiment
    task: Task[Any]
    data: FederatedDataset[Any]
    model: Module
    parameters: Parameters
    strategy: Strategy
    aggregation: Aggregation
    slots: ParameterSlots
    engine: Engine
    recorder: Recorder


class Coordinator:
    """Runs the rounds of one federation.

    Args:
        federation: all parts.
        client_answered: called with (round, client id, whether it has an update) as answers come.

    Attributes:
        first_training_time: `time.time()` when the first client's training had begun; none before.
    """

    def __init__(
        self, federation: Federation, client_answered: Callable[[int, str, bool], None] = lambda *_: None
    ) -> None:
        self._federation = federation
        self._client_answered = client_answered
        max_frame_bytes = federation.aggregation.max_payload_bytes + _MESSAGE_OVERHEAD_BYTES + FRAME_OVERHEAD_BYTES
        self._codec: Codec[ToCoordinator] = Codec(ToCoordinator, max_frame_bytes)
        self._state = RoundState(round_index=0, cohort=(), min_updates=1)  # before the first round
        self._ready: list[int] = []
        self._dismissed: set[int] = set()
        self._strategy_state = federation.strategy.initial_state(federation.parameters.layout.size)
        self._failed_starts = 0
        self.first_training_time: float | None = None

    def start(self) -> None:
        """Starts the workers and waits until all of them are ready.

        Raises:
            EngineError: they cannot be started.
        """
        self._federation.engine.start(self._codec.max_bytes)
        while len(self._ready) < self._federation.engine.num_workers:
            for event in self._federation.engine.poll(None):
                self._take(event)

    def run_round(self, round_index: int) -> RoundRecord:
        """Runs one round and returns its record; afterwards the parameters are the new model.

        A round with too few updates, or with updates that give no usable model, leaves the parameters as they are.

        Raises:
            DataError: the data's population cannot be sampled.
            EngineError: workers die as fast as they are started.
            RunFailed: the training of every client raised: the task itself is at fault.
        """
        federation, began = self._federation, time.perf_counter()
        up, down = federation.recorder.bytes_up, federation.recorder.bytes_down
        experiment = federation.experiment
        cohort = sample_cohort(
            federation.data.client_ids, experiment.cohort_size, seed=experiment.seed, round_index=round_index
        )
        self._state = state = RoundState(round_index, cohort, experiment.strategy.min_updates)
        self._collect(state)
        records = self._check(state)
        self._report(state)
        has_new_model = state.has_succeeded and self._step(state)
        logger.info("round %d: %d of %d clients", round_index, len(state.payloads), len(cohort))
        metrics = self._evaluate(round_index)
        return RoundRecord(
            round_index=round_index,
            status="done" if has_new_model else "failed",
            loss=None if metrics is None else metrics.loss,
            accuracy=None if metrics is None else metrics.accuracy,
            seconds=time.perf_counter() - began,
            bytes_up=federation.recorder.bytes_up - up,
            bytes_down=federation.recorder.bytes_down - down,
            clients=records,
            metrics={} if metrics is None else metrics.means,
        )

    def _evaluate(self, round_index: int) -> Metrics | None:
        """Returns how good the model is on the test set; none after a round in which that is not due."""
        federation = self._federation
        if not is_evaluated(federation.experiment, round_index):
            return None
        with one_blas_thread():
            metrics = evaluate(federation.task, federation.model, federation.data.test)
        logger.info("round %d: test loss %.5f, accuracy %.4f", round_index, metrics.loss, metrics.accuracy)
        return metrics

    def _collect(self, state: RoundState) -> None:
        """Hands the round's clients out and takes their answers in, until the round is over."""
        parameters, recorder = self._federation.parameters, self._federation.recorder
        recorder.parameters_published(state.round_index, parameters.vector)
        where = self._federation.slots.publish(parameters.vector)
        reference = ParametersReference(where.slot, where.version, where.sha256)
        seconds = self._federation.experiment.engine.round_deadline_seconds
        deadline = None if seconds is None else time.monotonic() + seconds
        plan = plan_of_round(self._federation.experiment.training, state.round_index)
        while not state.is_over:
            for assignment in state.assign(self._ready):
                task = TrainTask(state.round_index, reference, plan, assignment.client_ids)
                frame = encode(task)
                recorder.task_sent(len(frame), len(assignment.client_ids), parameters.layout.nbytes)
                self._federation.engine.send(assignment.worker_id, frame)
            time_left = None if deadline is None else max(0.0, deadline - time.monotonic())
            for event in self._federation.engine.poll(time_left):
                self._take(event)
            if deadline is not None and time.monotonic() >= deadline and not state.is_over:
                late = sorted(state.busy_workers)
                self._pass(TimeRanOut())
                for worker_id in late:
                    self._dismiss(worker_id, "it did not answer before the round's deadline")

    def _take(self, event: EngineEvent) -> None:
        """Takes one event of the engine in."""
        if isinstance(event, WorkerLost):
            self._lose(event)
            return
        self._federation.recorder.frame_arrived(len(event.frame))
        try:
            message = self._codec.decode(event.frame)
        except WireError as error:
            logger.warning("worker %d sent a frame that cannot be read: %s", event.worker_id, error)
            self._dismiss(event.worker_id, f"it sent a frame that cannot be read ({error})")
            return
        match message:
            case WorkerReady():
                self._welcome(event.worker_id, message)
            case WorkerFailed():
                problem = f"a worker gave up: {message.reason}"
                if not self._ready or self._state.round_index == 0:
                    raise EngineError(problem)
                logger.error("%s", problem)  # the engine is about to report its loss
            case TrainStarted():
                self.first_training_time = self.first_training_time or time.time()
                self._pass(ClientStarted(event.worker_id, message.round_index, message.client_id))
            case TrainResult():
                self._federation.recorder.payload_arrived(message.round_index, message.client_id, message.payload)
                self._pass(ResultArrived(event.worker_id, message.round_index, message.client_id, message.payload))
            case ClientFailed():
                self._pass(
                    ClientReportedFailure(
                        event.worker_id, message.round_index, message.client_id, message.reason, message.is_defect
                    )
                )

    def _pass(self, event: Event) -> None:
        """Hands an event to the round, and tells whoever watches which clients are through."""
        state = self._state
        before = len(state.payloads), set(state.failures)
        state.handle(event)
        if isinstance(event, ResultArrived) and len(state.payloads) > before[0]:
            self._client_answered(state.round_index, event.client_id, True)  # noqa: FBT003 (a callback's only flag)
        for client_id in sorted(set(state.failures) - before[1]):
            self._client_answered(state.round_index, client_id, False)  # noqa: FBT003

    def _dismiss(self, worker_id: int, reason: str) -> None:
        """Has a worker replaced; it gets no more tasks, and the engine will report it as lost."""
        if worker_id in self._dismissed:
            return
        if worker_id in self._ready:
            self._ready.remove(worker_id)
        else:
            self._failed_starts += 1
        self._dismissed.add(worker_id)
        self._federation.engine.replace(worker_id, reason)
        self._pass(WorkerGone(worker_id, reason))  # at once: what it may have sent meanwhile does not count

    def _lose(self, event: WorkerLost) -> None:
        if event.worker_id in self._ready:
            self._ready.remove(event.worker_id)
        elif event.worker_id in self._dismissed:
            self._dismissed.remove(event.worker_id)
        else:
            self._failed_starts += 1
        limit = _MAX_FAILED_STARTS_BESIDE_A_READY_WORKER if self._ready else _MAX_FAILED_STARTS
        if self._failed_starts >= limit:
            message = (
                f"{self._failed_starts} workers in a row were lost before they were ready; the last: {event.reason}"
            )
            raise EngineError(message)
        self._pass(WorkerGone(event.worker_id, event.reason))

    def _welcome(self, worker_id: int, message: WorkerReady) -> None:
        if worker_id in self._dismissed or worker_id in self._ready:
            return  # it said so before its end was seen here, or says it again
        layout, data = self._federation.parameters.layout, self._federation.data
        problem = ""
        if message.layout_sha256 != layout.digest:
            problem = "a worker built a model of another layout: does the task build it the same every time?"
        elif message.data_fingerprint != data.fingerprint:
            problem = "a worker loaded other data than the coordinator: does load_data give the same every time?"
        if problem:
            raise EngineError(problem)
        self._failed_starts = 0
        self._ready.append(worker_id)
        logger.info("worker %d is ready", worker_id)

    def _check(self, state: RoundState) -> tuple[ClientRecord, ...]:
        """Returns a record for each client of the cohort; payloads that cannot be used are taken back."""
        records = []
        for client_id in state.cohort:
            if client_id in state.payloads:
                try:
                    records.append(self._federation.aggregation.check(client_id, state.payloads[client_id]))
                    continue
                except ClientError as error:
                    state.reject(client_id, error.reason)
            records.append(ClientRecord(client_id, "failed", reason=state.failures[client_id].reason))
        return tuple(records)

    def _step(self, state: RoundState) -> bool:
        """Makes the next model of the payloads; returns false, and leaves the model, where they give no usable one."""
        payloads = ((client_id, state.payloads[client_id]) for client_id in state.cohort if client_id in state.payloads)
        parameters = self._federation.parameters
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below, and told
                sums = self._federation.aggregation.combine(payloads)
                vector, strategy_state = self._federation.strategy.step(parameters.vector, sums, self._strategy_state)
            problem = "" if np.isfinite(vector).all() else "its new model would hold NaN or infinity"
        except FedgdlError as error:
            problem = str(error)
        else:
            if not problem:
                parameters.load(vector)
                self._strategy_state = strategy_state
        if problem:
            logger.warning("round %d failed: %s; the model stays as it was", state.round_index, problem)
        return not problem

    def _report(self, state: RoundState) -> None:
        """Logs who is missing; stops the run where the task itself is at fault."""
        clients_by_reason: dict[str, list[str]] = {}
        for client_id, failure in state.failures.items():
            clients_by_reason.setdefault(failure.reason, []).append(client_id)
        for position, (reason, (client_id, *others)) in enumerate(clients_by_reason.items()):
            level = logging.WARNING if position < _MAX_REASONS_WARNED_OF else logging.INFO
            more = f" ... and {len(others)} more client{'s' * (len(others) > 1)} for the same reason" if others else ""
            logger.log(level, "round %d: no update of %s: %s%s", state.round_index, client_id, reason, more)
            for other in others:
                logger.info("round %d: no update of %s: %s", state.round_index, other, reason)
        if len(clients_by_reason) > _MAX_REASONS_WARNED_OF:
            logger.warning("round %d: %d clients have no update", state.round_index, len(state.failures))
        if state.ignored:
            logger.info("round %d: answers dropped: %s", state.round_index, dict(state.ignored))
        failures: list[Failure] = list(state.failures.values())
        if not state.payloads and all(failure.is_defect for failure in failures):
            message = f"the training of every client of round {state.round_index} raised; {failures[0].reason}"
            raise RunFailed(message)
        if not state.has_succeeded:
            logger.warning(
                "round %d failed: %d updates came, %d are needed; the model stays as it was",
                state.round_index,
                len(state.payloads),
                state.min_updates,
            )
