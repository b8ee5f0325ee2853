"""A transport whose workers do what a test says: an `Engine` of queues, without workers behind it."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from fedgdl.wire import Codec, StageTask, ToWorker, TrainTask
from server.engines import EngineEvent, FrameArrived, WorkerLost

__all__ = ["Dies", "Reply", "ScriptedEngine", "Task"]


@dataclass(frozen=True)
class Dies:
    """Said by a script in place of a frame: the worker is lost now."""

    reason: str = "killed by SIGKILL"


Reply: TypeAlias = bytes | Dies
Task: TypeAlias = TrainTask | StageTask


class ScriptedEngine:
    """Plays workers.

    Args:
        num_workers: how many are alive at a time.
        greet: worker id -> what a worker says when it has started.
        answer: (worker id, task) -> what a worker says to a task.

    Attributes:
        tasks: (worker id, task) of each task that was sent.
        replaced: (worker id, reason) of each worker that the coordinator wanted replaced.
        num_started: how many workers have been started.
        num_bytes: of all frames, in both directions: up, down.
        after_replace: worker id -> frames that a replaced worker had already sent; they come before its loss.
        polls: the timeouts that `poll` was called with.
    """

    def __init__(
        self,
        num_workers: int,
        greet: Callable[[int], Iterable[Reply]],
        answer: Callable[[int, Task], Iterable[Reply]],
    ) -> None:
        self.num_workers = num_workers
        self.tasks: list[tuple[int, Task]] = []
        self.replaced: list[tuple[int, str]] = []
        self.num_started = 0
        self.bytes_up, self.bytes_down = 0, 0
        self.after_replace: dict[int, list[bytes]] = {}
        self.polls: list[float | None] = []
        self._greet, self._answer = greet, answer
        self._living: set[int] = set()
        self._events: deque[EngineEvent] = deque()
        self._codec: Codec[ToWorker] = Codec(ToWorker, max_bytes=1_000_000)

    def start(self, max_frame_bytes: int) -> None:
        """Starts the workers."""
        for _ in range(self.num_workers):
            self._start_worker()

    def send(self, worker_id: int, frame: bytes) -> None:
        """Has a worker answer a task, if it lives."""
        self.bytes_down += len(frame)
        task = self._codec.decode(frame)
        assert isinstance(task, TrainTask | StageTask)
        self.tasks.append((worker_id, task))
        if worker_id in self._living:
            self._play(worker_id, self._answer(worker_id, task))

    def poll(self, timeout_seconds: float | None) -> list[EngineEvent]:
        """Returns all events at once; what would wait for ever is a defect of the coordinator, or of the test."""
        self.polls.append(timeout_seconds)
        assert self._events or timeout_seconds is not None, "the coordinator would wait for ever"
        events = list(self._events)
        self._events.clear()
        self.bytes_up += sum(len(event.frame) for event in events if isinstance(event, FrameArrived))
        return events

    def replace(self, worker_id: int, reason: str) -> None:
        """Ends a worker, after what it had sent before."""
        self.replaced.append((worker_id, reason))
        if worker_id in self._living:
            self._play(worker_id, [*self.after_replace.get(worker_id, []), Dies(reason)])

    def close(self, *, is_calm: bool) -> None:
        """Ends all workers."""
        self._living.clear()

    def say(self, worker_id: int, reply: Reply) -> None:
        """Has a worker say something unasked."""
        self._play(worker_id, [reply])

    def _start_worker(self) -> None:
        self.num_started += 1
        assert self.num_started < 100, "workers are started without end"
        worker_id = self.num_started
        self._living.add(worker_id)
        self._play(worker_id, self._greet(worker_id))

    def _play(self, worker_id: int, replies: Iterable[Reply]) -> None:
        for reply in replies:
            if isinstance(reply, Dies):
                self._living.discard(worker_id)
                self._events.append(WorkerLost(worker_id, reply.reason))
                self._start_worker()
                return
            self._events.append(FrameArrived(worker_id, reply))
