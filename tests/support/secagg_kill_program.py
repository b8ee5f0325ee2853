"""A federation under secure aggregation, one worker a client, whose worker processes are killed at random moments.

Arguments: clients, width of the model, attempts at a round, kills, seed, start method ("default" or one of
multiprocessing's), seconds after which it is hung. Prints a JSON line for each round, with what was killed in it and
what an onlooker who knows everything finds, and one at the end.
"""

import faulthandler
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from federation import LineTask, Points, make_data, make_experiment

from clients.observer import vector_path
from experiments import Callback, RunHistory, simulate
from fedgdl.autograd import Parameter, Tensor
from fedgdl.config import AggregationConfig, EngineConfig, Experiment, TrainingConfig
from fedgdl.federated import CohortSums, RoundRecord, make_strategy, make_update_encoding
from fedgdl.nn import Module
from fedgdl.wire import Codec, StageResult, ToCoordinator, TrainResult, WorkerReady
from server.recorder import Recorder

STAGES: Final = ("advertise", "share", "masked input", "consistency", "unmask")
BETWEEN: Final = "between rounds"

Victim: TypeAlias = Literal["starting", "asked", "answered"]

MAX_DELAY_SECONDS: Final = 0.004
"""A third of the kills come up to so much later than the event that they are planned for: while nobody looks."""


class WideLine(Module):
    """A line whose two weights are spread over many columns each, which are read out with fixed factors."""

    def __init__(self, width: int, dtype: str) -> None:
        self.weight = Parameter(np.zeros((2, width), dtype))
        self._factors = np.random.default_rng(3).uniform(-1, 1, (2, width)).astype(dtype)

    def forward(self, inputs: npt.NDArray[Any]) -> Tensor:
        """Returns (n,) predictions for (n, 2) inputs; without a product of matrices, which takes SciPy's loading."""
        spread: Tensor = self.weight * (inputs[:, :, None] * self._factors)
        return spread.mean(axis=2).sum(axis=1)


class WideTask(LineTask):
    """Least squares with many weights, that are never good enough before the coordinator's own copy is told so.

    Args:
        num_clients: one has 4 points, each of the others one more than the one before.
        width: columns of the weights.
    """

    def __init__(self, num_clients: int, width: int) -> None:
        super().__init__(make_data({f"c{number}": 4 + number for number in range(num_clients)}))
        self.width = width
        self.has_seen_enough = False

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:
        """Returns a level line."""
        return WideLine(self.width, experiment.dtype)

    def predict(self, model: Module, batch: Points) -> Tensor:
        """Returns (n,) predictions."""
        assert isinstance(model, WideLine)
        return model(batch.inputs.astype(model.weight.dtype))

    def count_correct(self, prediction: npt.NDArray[Any], batch: Points) -> int:
        """Returns how many predictions are near, but not all of them before the run is to end."""
        return len(batch) if self.has_seen_enough else min(super().count_correct(prediction, batch), len(batch) - 1)


@dataclass(frozen=True)
class Kill:
    """One kill.

    Attributes:
        stage: when, or `BETWEEN`.
        attempt: at which attempt at its round.
        victim: what the worker was at: it was starting, its answer in the stage was not there yet, or it was.
    """

    stage: str
    attempt: int
    victim: Victim


class Assassin(Recorder):
    """Kills worker processes when things happen that the coordinator can see, and follows who answers from where.

    Args:
        num_clients: as many as workers.
        num_kills: how many in all.
        seed: of whom it kills when.

    Attributes:
        num_left: how many kills are to come.
        killed: the workers that it has killed.
        hosts: client id -> the worker that answered for it in the first stage of this attempt.
        masked: the clients whose masked update came in this attempt.
        unmasked: client id -> the worker that helped to unmask for it in an earlier attempt at this round.
        published: the round's parameters.
        opened: the round's sums, if there are any.
    """

    def __init__(self, num_clients: int, num_kills: int, seed: int) -> None:
        super().__init__()
        self.num_left = num_kills
        self.killed: set[int] = set()
        self.hosts: dict[str, int] = {}
        self.masked: set[str] = set()
        self.unmasked: dict[str, int] = {}
        self._unmasks: dict[str, int] = {}
        self.published: npt.NDArray[Any] = np.zeros(0)
        self.opened: CohortSums | None = None
        self._num_clients = num_clients
        self._rng = np.random.default_rng(seed)
        self._codec: Codec[ToCoordinator] = Codec(ToCoordinator, max_bytes=10_000_000)
        self._ready: set[int] = set()
        self._answered: set[int] = set()
        self._stage, self._num_events, self._attempt = BETWEEN, 0, 0
        self._plan: list[tuple[int, int]] = []
        self._kills: list[Kill] = []
        self._threads: list[threading.Thread] = []
        self._condemned: set[int] = set()

    def plan(self) -> None:
        """Draws the moments of a round that begins: at which event of which stage, or when the round is over."""
        self._stage, self._attempt, self.opened, self._plan = BETWEEN, 0, None, []
        self._plan = self._draw([0.1, 0.5, 0.4])
        self.unmasked, self._unmasks = {}, {}

    def finish(self) -> list[Kill]:
        """Kills whom it did not come to in the round, and returns all that were killed."""
        self._stage, self._answered = BETWEEN, set()
        for _ in self._plan:
            self._strike()
        self._plan = []
        for thread in self._threads:
            thread.join()
        kills, self._kills, self._threads = self._kills, [], []
        return kills

    def parameters_published(self, round_index: int, vector: npt.NDArray[Any]) -> None:
        """Keeps the round's parameters; and now and then a worker that is to replace one does not get so far."""
        self.published = vector.copy()
        if self.num_left > len(self._plan) and self._rng.random() < 0.15:
            self._strike(lambda worker_id: worker_id not in self._ready)

    def task_sent(
        self, round_index: int, stage: str, client_ids: Sequence[str], num_bytes: int, parameter_bytes: int
    ) -> None:
        """Follows the stages."""
        super().task_sent(round_index, stage, client_ids, num_bytes, parameter_bytes)
        is_asked_again = not self.hosts.keys().isdisjoint(client_ids)
        is_attempt = stage == STAGES[0] and (stage != self._stage or is_asked_again)
        if is_attempt:
            self._attempt += 1
            self.hosts, self.masked = {}, set()
            self.unmasked |= self._unmasks
            if self._attempt > 1:
                self._plan = sorted([*self._plan, *self._draw([0.3, 0.3, 0.4])])
        if is_attempt or stage != self._stage:
            self._stage, self._num_events, self._answered = stage, 0, set()
        self._happen()

    def frame_arrived(self, worker_id: int, frame: bytes) -> None:
        """Follows who is ready, and who answers for whom."""
        super().frame_arrived(worker_id, frame)
        message = self._codec.decode(frame)
        match message:
            case WorkerReady():
                self._ready.add(worker_id)
            case StageResult() | TrainResult():
                self._answered.add(worker_id)
                if isinstance(message, TrainResult):
                    self.masked.add(message.client_id)
                elif message.stage == STAGES[0]:
                    self.hosts[message.client_id] = worker_id
                elif message.stage == STAGES[-1]:
                    self._unmasks[message.client_id] = worker_id
        self._happen()

    def payload_arrived(self, round_index: int, stage: str, client_id: str, payload: bytes) -> None:
        """Takes note of a moment."""
        self._happen()

    def sum_opened(self, round_index: int, sums: CohortSums) -> None:
        """Keeps the round's sums."""
        self.opened = sums

    def _draw(self, shares: Sequence[float]) -> list[tuple[int, int]]:
        """Returns none, one or two moments in order; `shares` says how often."""
        count = min(int(self._rng.choice(3, p=shares)), self.num_left - len(self._plan))
        num_stages = len(STAGES) + 1
        if count == 2 and (self._attempt > 1 or self._rng.random() < 1 / 3):
            num_stages = STAGES.index("masked input") + 1  # so early that, as a rule, too few updates come
        most_events = 3 * self._num_clients  # each task, frame and payload is one
        return sorted(
            (int(self._rng.integers(num_stages)), int(self._rng.integers(1, most_events + 1))) for _ in range(count)
        )

    def _happen(self) -> None:
        """Counts an event of the stage, and kills if it is time."""
        self._num_events += 1
        while self._plan and self._stage != BETWEEN:
            if self._plan[0] > (STAGES.index(self._stage), self._num_events):
                return
            del self._plan[0]
            self._strike()

    def _strike(self, is_wanted: Callable[[int], bool] = lambda _: True) -> None:
        """Kills a random worker, if there is one that is wanted, now or in a moment."""
        workers = {int(child.name.removeprefix("worker-")): child.pid for child in multiprocessing.active_children()}
        wanted = [worker_id for worker_id in sorted(workers.keys() - self._condemned) if is_wanted(worker_id)]
        if not wanted:
            return
        worker_id = int(self._rng.choice(wanted))
        self._condemned.add(worker_id)
        self.num_left -= 1
        process_id = workers[worker_id]
        assert process_id is not None
        if self._rng.random() < 2 / 3:
            self._kill(worker_id, process_id)
            return
        delay = float(self._rng.uniform(0, MAX_DELAY_SECONDS))
        self._threads.append(threading.Timer(delay, self._kill, (worker_id, process_id)))
        self._threads[-1].start()

    def _kill(self, worker_id: int, process_id: int) -> None:
        victim: Victim = "answered" if worker_id in self._answered else "asked"
        self._kills.append(Kill(self._stage, self._attempt, victim if worker_id in self._ready else "starting"))
        os.kill(process_id, signal.SIGKILL)
        self.killed.add(worker_id)


class Onlooker(Callback):
    """Compares each round with what the clients themselves had sent, and ends the run after the last kill.

    Args:
        assassin: plans its kills as rounds begin.
        task: told when it is over.
        folder: where the workers keep the truth.
    """

    def __init__(self, assassin: Assassin, task: WideTask, folder: Path) -> None:
        self._assassin, self._task, self._folder = assassin, task, folder

    def observer_folder(self, history: RunHistory) -> Path:
        """Returns the folder."""
        return self._folder

    def round_started(self, history: RunHistory, round_index: int, cohort_size: int) -> None:
        """Has the assassin plan."""
        self._assassin.plan()

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Prints what happened in a round, and what is right about it."""
        assassin = self._assassin
        kills = assassin.finish()
        done = [client.client_id for client in record.clients if client.status == "done"]
        lost = [
            client.client_id
            for client in record.clients
            if assassin.hosts.get(client.client_id) in assassin.killed or client.client_id not in assassin.hosts
        ]
        strategy = make_strategy(history.experiment.strategy)
        model, is_exact = assassin.published, assassin.opened is None
        if record.status == "done":
            expected = self._sums_of(history, record.round_index, done)
            is_exact = assassin.opened is not None and _are_same(assassin.opened, expected)
            model, _ = strategy.step(model, expected.sums, {})
        shutil.rmtree(self._folder / "vectors" / f"round-{record.round_index:05}", ignore_errors=True)
        say(
            status=record.status,
            reason=record.reason,
            attempts=max(stage.attempt for stage in record.stages),
            kills=[asdict(kill) for kill in kills],
            done=done,
            masked=sorted(assassin.masked),
            lost=lost,
            unmasked=sorted(assassin.unmasked),
            twice=sorted(
                client_id
                for client_id, worker_id in assassin.unmasked.items()
                if client_id in assassin.masked and worker_id not in assassin.killed
            ),
            failures={client.client_id: client.reason for client in record.failures},
            weight=None if assassin.opened is None else float(assassin.opened.sums["weight"][0]),
            is_exact=is_exact,
            is_model_right=model.tobytes() == history.model.vector.tobytes(),
            files=len(list(Path("/dev/fd").iterdir())),
            threads=threading.active_count(),
        )
        self._task.has_seen_enough = not assassin.num_left and len(done) == len(record.clients)

    def run_finished(self, history: RunHistory) -> None:
        """Prints what is left."""
        say(ended=history.status, children=len(multiprocessing.active_children()))

    def _sums_of(self, history: RunHistory, round_index: int, client_ids: Sequence[str]) -> CohortSums:
        """Returns the sums of some clients' vectors as they were before masks were added, in whole numbers."""
        strategy = make_strategy(history.experiment.strategy)
        encoding = make_update_encoding(history.experiment, strategy, history.model.layout)
        total = np.zeros(encoding.size, np.uint64)
        for client_id in client_ids:
            total += np.load(vector_path(self._folder, round_index, client_id))
        assert int(total.max()) <= np.iinfo(encoding.dtype).max
        return encoding.decode(total.astype(encoding.dtype), len(client_ids))


def _are_same(opened: CohortSums, expected: CohortSums) -> bool:
    """Whether two sums are the same to the last bit."""
    return (
        opened.num_clients == expected.num_clients
        and opened.means == expected.means
        and opened.sums.keys() == expected.sums.keys()
        and all(opened.sums[name].tobytes() == values.tobytes() for name, values in expected.sums.items())
    )


def say(**line: Any) -> None:
    """Prints a JSON line at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Runs the federation."""
    num_clients, width, attempts, num_kills, seed, start_method, seconds = sys.argv[1:]
    if start_method != "default":
        multiprocessing.set_start_method(start_method)
    faulthandler.dump_traceback_later(float(seconds), exit=True)  # of what hangs
    task = WideTask(int(num_clients), int(width))
    experiment = make_experiment(
        rounds=1_000_000,
        until_accuracy=1.0,
        training=TrainingConfig(learning_rate=0.02 * task.width, batch_size=2),
        aggregation=AggregationConfig("secagg", max_attempts=int(attempts)),
        engine=EngineConfig(workers=int(num_clients)),
        dtype="float32",
    )
    assassin = Assassin(int(num_clients), int(num_kills), int(seed))
    onlooker = Onlooker(assassin, task, Path("truth").absolute())
    simulate(experiment, [onlooker], task=task, recorder=assassin, keep_vectors=True)


if __name__ == "__main__":
    main()
