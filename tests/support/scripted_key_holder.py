"""An engine whose key holders do what a test says; without a script they are real ones, in this process."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from scripted_engine import Dies, Reply

from clients.key_holder.key_holder import KeyHolder
from fedgdl.wire import Codec
from fedgdl.wire.paillier import ToKeyHolder
from server.engines import EngineEvent, FrameArrived, WorkerLost

__all__ = ["Dies", "ScriptedKeyHolders"]

Line: TypeAlias = Callable[[list[bytes]], Iterable[Reply]]
"""What a key holder says, given what it honestly would."""


class ScriptedKeyHolders:
    """Plays key holders, one after another.

    Args:
        make_key_holder: returns a real one.

    Attributes:
        lines: kind of message, or `"ready"` -> what is said to the next of the kind instead.
        asked: the kinds of messages that came.
        replaced: why the coordinator wanted which one replaced.
        is_open: whether it has not been closed.
    """

    num_workers = 1

    def __init__(self, make_key_holder: Callable[[], KeyHolder]) -> None:
        self.lines: dict[Any, Line] = {}
        self.asked: list[str] = []
        self.replaced: list[tuple[int, str]] = []
        self.num_started = 0
        self.is_open = True
        self._make = make_key_holder
        self._living: KeyHolder | None = None
        self._events: deque[EngineEvent] = deque()
        self._codec: Codec[ToKeyHolder] = Codec(ToKeyHolder, 10_000_000)

    def start(self, max_frame_bytes: int) -> None:
        """Starts the first."""
        self._start_one()

    def send(self, worker_id: int, frame: bytes) -> None:
        """Has the key holder answer, if it lives."""
        message = self._codec.decode(frame)
        self.asked.append(type(message).__name__)
        if worker_id == self.num_started and self._living is not None:
            honest = list(self._living.handle(frame))
            self._play(self.lines.pop(type(message), list)(honest))

    def poll(self, timeout_seconds: float | None) -> list[EngineEvent]:
        """Returns one event at a time; what would wait for ever is a defect."""
        assert self._events or timeout_seconds is not None, "the coordinator would wait for ever"
        return [self._events.popleft()] if self._events else []

    def replace(self, worker_id: int, reason: str) -> None:
        """Ends a key holder."""
        self.replaced.append((worker_id, reason))
        if worker_id == self.num_started:
            self._play([Dies(reason)])

    def close(self, *, is_calm: bool) -> None:
        """Ends the last one."""
        self.is_open = False

    def die(self, reason: str = "killed by SIGKILL") -> None:
        """Ends the key holder when nobody looks."""
        self._play([Dies(reason)])

    def _start_one(self) -> None:
        self.num_started += 1
        assert self.num_started < 100, "key holders are started without end"
        self._living = self._make()
        self._play(self.lines.pop("ready", list)([self._living.ready()]))

    def _play(self, replies: Iterable[Reply]) -> None:
        worker_id = self.num_started
        for reply in replies:
            if isinstance(reply, Dies):
                self._living = None
                self._events.append(WorkerLost(worker_id, reply.reason))
                self._start_one()
                return
            self._events.append(FrameArrived(worker_id, reply))
