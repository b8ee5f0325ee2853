"""The engine for debuggers and tests of logic: one worker, in this very process.

Frames pass the same codec as between processes, so the coordinator sees the same bytes.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from fedgdl.errors import EngineError
from fedgdl.wire import MemoryChannel
from server.engines.engine import EngineEvent, FrameArrived, WorkerLost

__all__ = ["InlineEngine", "InlineWorker"]


class InlineWorker(Protocol):
    """What the engine needs of a worker."""

    def ready(self) -> bytes:
        """Returns the frame that says what the worker has loaded."""
        ...

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the frames that answer a frame."""
        ...


class InlineEngine:
    """Runs one worker in the calling thread, whenever it is polled.

    Args:
        make_worker: returns a worker that is attached to its parameters.
    """

    num_workers = 1

    def __init__(self, make_worker: Callable[[], InlineWorker]) -> None:
        self._make_worker = make_worker
        self._events: deque[EngineEvent] = deque()
        self._here, self._there = MemoryChannel.pair()  # anew for each worker
        self._worker_id = 0
        self._worker: InlineWorker | None = None

    def start(self, max_frame_bytes: int) -> None:
        """Makes the worker."""
        self._start_worker()

    def send(self, worker_id: int, frame: bytes) -> None:
        """Puts a frame into the worker's inbox."""
        if worker_id == self._worker_id:
            self._here.send(frame)

    def poll(self, timeout_seconds: float | None) -> list[EngineEvent]:
        """Lets the worker handle what it was sent, and returns its answers.

        Raises:
            EngineError: nothing was sent, so nothing would ever come.
        """
        while self._worker is not None and self._there.has_frame:
            frames = self._worker.handle(self._there.receive())
            self._events.extend(FrameArrived(self._worker_id, frame) for frame in frames)
        if not self._events:
            message = "the inline worker has nothing to do, and nothing to answer"
            raise EngineError(message)
        events = list(self._events)
        self._events.clear()
        return events

    def replace(self, worker_id: int, reason: str) -> None:
        """Makes another worker in its place; what the former one was sent and has not answered is gone with it."""
        if worker_id != self._worker_id:
            return  # it has been replaced already
        self._events.append(WorkerLost(worker_id, reason))
        self._start_worker()

    def close(self, *, is_calm: bool) -> None:
        """Lets the worker go."""
        self._worker = None
        self._events.clear()

    def _start_worker(self) -> None:
        self._worker_id += 1
        self._here, self._there = MemoryChannel.pair()
        self._worker = self._make_worker()
        self._events.append(FrameArrived(self._worker_id, self._worker.ready()))
