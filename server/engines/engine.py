"""The interface of an engine: it keeps workers alive and moves frames; what they mean is none of its business.

Worker ids count up and are never used twice: a replaced worker comes back under a new one.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

__all__ = ["Engine", "EngineEvent", "FrameArrived", "WorkerLost"]


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """A worker sent a frame; it has been checked for nothing but its length."""

    worker_id: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker is gone, for the given reason; another is being started in its place."""

    worker_id: int
    reason: str


EngineEvent: TypeAlias = FrameArrived | WorkerLost


class Engine(Protocol):
    """Where workers run. All engines give the same bits, for any number of workers.

    Attributes:
        num_workers: how many workers it keeps alive.
    """

    @property
    def num_workers(self) -> int: ...  # noqa: D102 (described in the class)

    def start(self, max_frame_bytes: int) -> None:
        """Starts the workers.

        Args:
            max_frame_bytes: no frame of a worker may be longer.

        Raises:
            EngineError: they cannot be started.
        """
        ...

    def send(self, worker_id: int, frame: bytes) -> None:
        """Sends a frame to a worker that waits for one. If the worker is gone, `poll` will say so."""
        ...

    def poll(self, timeout_seconds: float | None) -> list[EngineEvent]:
        """Returns what has happened, waiting until something does or the time is over.

        Args:
            timeout_seconds: how long to wait at most, 0 not at all; none: until something happens.
        """
        ...

    def replace(self, worker_id: int, reason: str) -> None:
        """Ends a worker at once and starts another; `poll` will report it as lost for the given reason."""
        ...

    def close(self, *, is_calm: bool) -> None:
        """Ends all workers and frees what they used; harmless when called again.

        Args:
            is_calm: whether every worker is idle and can be asked to end; if not, they are ended at once.
        """
        ...
