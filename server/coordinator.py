"""The coordinator: it samples cohorts, sends out parameters, takes payloads in and steps to the next model.

It sees frames through an engine and decides with a pure `RoundState`. What clients are told and what their answers
mean, the aggregation knows: a round has the stages that it says. The coordinator never sees a client's data, and of a
client's update only what the aggregation lets it see.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fedgdl.config import Experiment
from fedgdl.data import FederatedDataset
from fedgdl.errors import AggregationError, ClientError, EngineError, FedgdlError, WireError
from fedgdl.federated import (
    ClientRecord,
    CohortSums,
    Metrics,
    RoundRecord,
    StageRecord,
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
    StageResult,
    ToCoordinator,
    TrainResult,
    TrainStarted,
    WorkerFailed,
    WorkerReady,
    encode,
)
from server.aggregation import Aggregation
from server.attempt import Attempt
from server.engines import Engine, EngineEvent, WorkerLost
from server.recorder import Recorder
from server.round_report import client_records, report_missing
from server.round_state import (
    Assignment,
    ClientReportedFailure,
    ClientStarted,
    Event,
    ResultArrived,
    RoundState,
    TimeRanOut,
    WorkerGone,
)
from server.worker_pool import WorkerPool

__all__ = ["Coordinator", "Federation"]

logger = logging.getLogger(__name__)

_MESSAGE_OVERHEAD_BYTES: Final = 8_192
"""More than everything in a message besides the payload takes."""


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
        aggregation: says which stages a round has, and turns payloads into sums.
        slots: where workers read the parameters.
        engine: where workers run.
        recorder: sees everything that passes.
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
        client_answered: called with (round, client id, whether it has an update) as updates come, or are known not to;
            once at most for each client of a round, even if another attempt at it ends otherwise for the client.

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
        self._pool = WorkerPool(federation.engine, federation.parameters.layout.digest, federation.data.fingerprint)
        self._attempt: Attempt | None = None
        self._told_of: set[str] = set()  # clients of this round
        self._strategy_state = federation.strategy.initial_state(federation.parameters.layout.size)
        self.first_training_time: float | None = None

    def start(self) -> None:
        """Starts the workers and waits until all of them are ready.

        Raises:
            EngineError: they cannot be started.
        """
        self._federation.engine.start(self._codec.max_bytes)
        self._gather(None)

    def run_round(self, round_index: int) -> RoundRecord:
        """Runs one round and returns its record; afterwards the parameters are the new model.

        A round with too few answers, or with answers that give no usable model, leaves the parameters as they are; one
        that ends before its sum could be opened is tried as often as the configuration allows.

        Raises:
            DataError: the data's population cannot be sampled.
            EngineError: workers die as fast as they are started.
            RunFailed: the training of every client raised: the task itself is at fault.
        """
        federation, began = self._federation, time.perf_counter()
        up, down = federation.recorder.bytes_up, federation.recorder.bytes_down
        attempt = self._try_until_it_succeeds(round_index)
        opened = attempt.opened
        problem = attempt.problem if opened is None else self._step(opened)
        if problem:
            logger.warning("round %d failed: %s; the model stays as it was", round_index, problem)
        logger.info("round %d: %d of %d clients", round_index, len(attempt.records), len(attempt.state.cohort))
        metrics = self._evaluate(round_index)
        return RoundRecord(
            round_index=round_index,
            status="failed" if problem else "done",
            loss=None if metrics is None else metrics.loss,
            accuracy=None if metrics is None else metrics.accuracy,
            seconds=time.perf_counter() - began,
            bytes_up=federation.recorder.bytes_up - up,
            bytes_down=federation.recorder.bytes_down - down,
            clients=client_records(attempt.state, attempt.records),
            metrics={} if metrics is None else metrics.means,
            cohort={} if opened is None else dict(opened.means),
            stages=tuple(attempt.stages),
            reason=problem,
        )

    def _gather(self, seconds: float | None) -> None:
        """Waits until all workers are ready, and at most so many seconds; none: as long as it takes."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._pool.is_complete and (deadline is None or time.monotonic() < deadline):
            for event in self._federation.engine.poll(_seconds_until(deadline)):
                self._take(event)

    def _publish(self, round_index: int) -> ParametersReference:
        """Puts the parameters where workers read them, and returns where that is."""
        vector = self._federation.parameters.vector
        self._federation.recorder.parameters_published(round_index, vector)
        where = self._federation.slots.publish(vector)
        return ParametersReference(where.slot, where.version, where.sha256)

    def _evaluate(self, round_index: int) -> Metrics | None:
        """Returns how good the model is on the test set; none after a round in which that is not due."""
        federation = self._federation
        if not is_evaluated(federation.experiment, round_index):
            return None
        with one_blas_thread():
            metrics = evaluate(federation.task, federation.model, federation.data.test)
        logger.info("round %d: test loss %.5f, accuracy %.4f", round_index, metrics.loss, metrics.accuracy)
        return metrics

    def _try_until_it_succeeds(self, round_index: int) -> Attempt:
        """Tries a round as often as is allowed, with the same clients, but not once its sum may have been opened.

        Returns the last attempt.
        """
        federation, experiment = self._federation, self._federation.experiment
        cohort = sample_cohort(
            federation.data.client_ids, experiment.cohort_size, seed=experiment.seed, round_index=round_index
        )
        parameters, stages, number = self._publish(round_index), list[StageRecord](), 1
        self._told_of.clear()
        while True:
            work = federation.aggregation.open_round(round_index, number, cohort, parameters.sha256)
            attempt = Attempt(number, RoundState(round_index, cohort, work.stages), work, parameters, stages)
            self._try(attempt)
            is_settled = attempt.opened is not None or attempt.state.stage.opens
            if is_settled or number == experiment.aggregation.max_attempts:
                return attempt
            logger.warning("round %d, attempt %d failed: %s; it is tried again", round_index, number, attempt.problem)
            number += 1

    def _try(self, attempt: Attempt) -> None:
        """Makes an attempt at a round. When it is over, no worker owes an answer of it that would still be heard."""
        self._attempt, state = attempt, attempt.state
        if len(state.stages) > 1:  # clients will stay where they are: nobody who gets ready later could help out
            self._gather(self._federation.experiment.engine.round_deadline_seconds)
        attempt.problem = self._run_stages(attempt)
        report_missing(state)
        if attempt.problem:
            return
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found in the new model, and told
                attempt.opened = attempt.work.finish()
        except FedgdlError as error:
            attempt.problem = str(error)
        else:
            self._federation.recorder.sum_opened(state.round_index, attempt.opened)

    def _run_stages(self, attempt: Attempt) -> str:
        """Goes through the stages, as far as there are enough answers; returns why the attempt failed, if it did."""
        state, recorder = attempt.state, self._federation.recorder
        is_going_on = True
        while is_going_on:
            began, up, name = time.perf_counter(), recorder.bytes_up, state.stage.name
            try:
                attempt.work.begin(name, state.participants)
                common = attempt.work.common(name)
            except AggregationError as error:
                return str(error)
            recorder.stage_began(state.round_index, name, common)
            self._collect(attempt, common)
            seconds, bytes_up = time.perf_counter() - began, recorder.bytes_up - up
            attempt.stages.append(StageRecord(name, seconds, state.num_answers, bytes_up, attempt.number))
            is_going_on = state.advance()
            self._tell_failures(attempt)  # of clients whose worker is gone by now
        return "" if state.has_succeeded else attempt.shortage

    def _collect(self, attempt: Attempt, common: bytes) -> None:
        """Hands a stage's clients out and takes their answers in, until the stage is over."""
        state, engine = attempt.state, self._federation.engine
        seconds = self._federation.experiment.engine.round_deadline_seconds
        deadline = None if seconds is None else time.monotonic() + seconds
        while not state.is_stage_over:
            for assignment in state.assign(self._pool.ready):
                self._send(attempt, assignment, common)
            for event in engine.poll(_seconds_until(deadline)):
                self._take(event)
            if deadline is not None and time.monotonic() >= deadline and not state.is_stage_over:
                late = sorted(state.busy_workers)
                self._pass(TimeRanOut())
                for worker_id in late:
                    self._dismiss(worker_id, "it did not answer before the deadline")

    def _send(self, attempt: Attempt, assignment: Assignment, common: bytes) -> None:
        """Sends a worker what the clients of an assignment are to be asked."""
        federation, state, stage = self._federation, attempt.state, attempt.state.stage
        frame = encode(
            attempt.task(assignment, plan_of_round(federation.experiment.training, state.round_index), common)
        )
        parameter_bytes = federation.parameters.layout.nbytes if stage.trains else 0
        federation.recorder.task_sent(state.round_index, stage.name, assignment.client_ids, len(frame), parameter_bytes)
        federation.engine.send(assignment.worker_id, frame)

    def _take(self, event: EngineEvent) -> None:
        """Takes one event of the engine in."""
        worker_id = event.worker_id
        if isinstance(event, WorkerLost):
            self._pool.lose(worker_id, event.reason)
            self._pass(WorkerGone(worker_id, event.reason))
            return
        self._federation.recorder.frame_arrived(worker_id, event.frame)
        try:
            message = self._codec.decode(event.frame)
        except WireError as error:
            logger.warning("worker %d sent a frame that cannot be read: %s", worker_id, error)
            self._dismiss(worker_id, f"it sent a frame that cannot be read ({error})")
            return
        match message:
            case WorkerReady():
                self._pool.welcome(worker_id, message)
            case WorkerFailed():
                problem = f"a worker gave up: {message.reason}"
                is_last_hope = not self._pool.ready or self._attempt is None
                if is_last_hope and not self._pool.has_dismissed(worker_id):
                    raise EngineError(problem)
                logger.error("%s", problem)  # the engine is about to report its loss
            case TrainStarted():
                self.first_training_time = self.first_training_time or time.time()
                self._pass(ClientStarted(worker_id, message.round_index, message.client_id))
            case TrainResult() | StageResult():
                self._take_answer(worker_id, message)
            case ClientFailed():
                self._pass(
                    ClientReportedFailure(
                        worker_id, message.round_index, message.client_id, message.reason, message.is_defect
                    )
                )

    def _take_answer(self, worker_id: int, message: TrainResult | StageResult) -> None:
        """Takes one client's answer in, if it was asked for and the aggregation can use it."""
        attempt = self._attempt
        if attempt is None:
            return  # nothing has been asked yet
        state, client_id = attempt.state, message.client_id
        stage = attempt.training_stage if isinstance(message, TrainResult) else message.stage
        self._federation.recorder.payload_arrived(message.round_index, stage, client_id, message.payload)
        if not state.handle(ResultArrived(worker_id, message.round_index, stage, client_id)):
            return
        try:
            record = attempt.work.take(stage, client_id, message.payload)
        except ClientError as error:
            state.reject(client_id, error.reason)
        else:
            if state.stage.trains:
                attempt.records[client_id] = record or ClientRecord(client_id, "done")
                self._tell(attempt, client_id, has_update=True)
        self._tell_failures(attempt)

    def _pass(self, event: Event) -> None:
        """Hands an event to the round."""
        if self._attempt is not None:
            self._attempt.state.handle(event)
            self._tell_failures(self._attempt)

    def _tell_failures(self, attempt: Attempt) -> None:
        """Tells whoever watches of the clients that have failed since this was last called."""
        for client_id in attempt.new_failures():
            self._tell(attempt, client_id, has_update=False)

    def _tell(self, attempt: Attempt, client_id: str, *, has_update: bool) -> None:
        """Tells whoever watches of one client, unless it has been told of in this round."""
        if client_id not in self._told_of:
            self._told_of.add(client_id)
            self._client_answered(attempt.state.round_index, client_id, has_update)

    def _dismiss(self, worker_id: int, reason: str) -> None:
        """Has a worker replaced; its clients go at once: what it may have sent meanwhile does not count."""
        if self._pool.dismiss(worker_id, reason):
            self._pass(WorkerGone(worker_id, reason))

    def _step(self, opened: CohortSums) -> str:
        """Makes the next model of the sums; returns why it cannot be used, and leaves the model then, or nothing."""
        parameters = self._federation.parameters
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found below, and told
                vector, strategy_state = self._federation.strategy.step(
                    parameters.vector, opened.sums, self._strategy_state
                )
        except FedgdlError as error:
            return str(error)
        if not np.isfinite(vector).all():
            return "its new model would hold NaN or infinity"
        parameters.load(vector)
        self._strategy_state = strategy_state
        return ""


def _seconds_until(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
