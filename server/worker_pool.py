"""The pool of workers as the coordinator knows it: who is ready for a task, who was dismissed, and when to give up.

Not here: where workers run (`server.engines`), and what they are asked (`server.coordinator`).

Example:
    >>> from server.engines import InlineEngine
    >>> pool = WorkerPool(InlineEngine(lambda: None), layout_sha256="0" * 64, data_fingerprint="f")
    >>> pool.welcome(1, WorkerReady("0" * 64, "f"))
    >>> pool.ready
    [1]
    >>> pool.lose(1, "killed by SIGKILL")
    >>> pool.ready
    []
"""

import logging
from typing import Final

from fedgdl.errors import EngineError
from fedgdl.wire import WorkerReady
from server.engines import Engine

__all__ = ["WorkerPool"]

logger = logging.getLogger(__name__)

_MAX_FAILED_STARTS: Final = 3
_MAX_FAILED_STARTS_BESIDE_A_READY_WORKER: Final = 100
"""After so many workers in a row that were lost before they were ready, the run is given up."""


class WorkerPool:
    """Keeps the books of an engine's workers.

    Args:
        engine: where they run.
        layout_sha256: the digest of the model's layout, which each of them must have built.
        data_fingerprint: the fingerprint of the data, which each of them must have loaded.

    Attributes:
        ready: the workers that can be given a task, in the order in which they got ready.
    """

    def __init__(self, engine: Engine, layout_sha256: str, data_fingerprint: str) -> None:
        self.ready: list[int] = []
        self._engine = engine
        self._layout_sha256 = layout_sha256
        self._data_fingerprint = data_fingerprint
        self._dismissed: set[int] = set()
        self._failed_starts = 0

    @property
    def is_complete(self) -> bool:
        """Whether all workers are ready."""
        return len(self.ready) >= self._engine.num_workers

    def has_dismissed(self, worker_id: int) -> bool:
        """Whether a worker is to be replaced, and its end has not been seen here yet."""
        return worker_id in self._dismissed

    def welcome(self, worker_id: int, message: WorkerReady) -> None:
        """Takes in what a worker says that has started.

        Raises:
            EngineError: it has built or loaded something else than the coordinator.
        """
        if worker_id in self._dismissed or worker_id in self.ready:
            return  # it said so before its end was seen here, or says it again
        problem = ""
        if message.layout_sha256 != self._layout_sha256:
            problem = "a worker built a model of another layout: does the task build it the same every time?"
        elif message.data_fingerprint != self._data_fingerprint:
            problem = "a worker loaded other data than the coordinator: does load_data give the same every time?"
        if problem:
            raise EngineError(problem)
        self._failed_starts = 0
        self.ready.append(worker_id)
        logger.info("worker %d is ready", worker_id)

    def dismiss(self, worker_id: int, reason: str) -> bool:
        """Has a worker replaced; it gets no more tasks, and the engine will report it as lost.

        Returns:
            Whether that is new.
        """
        if worker_id in self._dismissed:
            return False
        if worker_id in self.ready:
            self.ready.remove(worker_id)
        else:
            self._failed_starts += 1
        self._dismissed.add(worker_id)
        self._engine.replace(worker_id, reason)
        return True

    def lose(self, worker_id: int, reason: str) -> None:
        """Takes note that a worker is gone.

        Raises:
            EngineError: too many in a row were lost before they were ready.
        """
        if worker_id in self.ready:
            self.ready.remove(worker_id)
            return
        if worker_id in self._dismissed:
            self._dismissed.remove(worker_id)
        else:
            self._failed_starts += 1
        limit = _MAX_FAILED_STARTS_BESIDE_A_READY_WORKER if self.ready else _MAX_FAILED_STARTS
        if self._failed_starts >= limit:
            message = f"{self._failed_starts} workers in a row were lost before they were ready; the last: {reason}"
            raise EngineError(message)
