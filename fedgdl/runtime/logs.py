"""Log records from worker processes to the coordinator's ordinary handlers, without trusting anyone to live.

Each worker has a relay of its own, so a worker that is killed while it writes cannot silence the
others, and the coordinator's own handlers are wrapped by nobody, so no worker can silence the coordinator.
Records reach the handlers through `logging.getLogger(record.name)`, with all its levels and filters.

There are two relays. `QueueRelay` uses `multiprocessing_logging`, where its queue works: on Linux,
in a program whose start method has been set to spawn or forkserver. It pickles records: a worker
process is part of the simulator and trusted as such. `PipeRelay` works everywhere (in notebooks, on
macOS), needs no thread, and sends text only.

Example:
    >>> relay = make_relay("worker-1")
    >>> relay.close()
"""

import contextlib
import logging
import logging.handlers
import multiprocessing
import multiprocessing.queues
import sys
import threading
from multiprocessing.connection import Connection
from typing import Final, Protocol, TypeAlias

import msgspec
from multiprocessing_logging import MultiProcessingHandler

__all__ = ["LogEnd", "LogRelay", "PipeRelay", "QueueRelay", "make_relay", "send_logs_to"]

_JOIN_SECONDS: Final = 1.0
"""How long closing waits for the last records of a worker; a killed one may have left a lock behind."""

_MAX_RECORD_BYTES: Final = 1_000_000

LogEnd: TypeAlias = "multiprocessing.queues.Queue[logging.LogRecord] | Connection[bytes, bytes]"
"""What a worker process is given to send its records into."""


class LogRelay(Protocol):
    """The coordinator's side of one worker's log.

    Attributes:
        worker_end: the end to hand to the worker process.
        connection: what to wait on before calling `drain`; none where a thread does that.
    """

    @property
    def worker_end(self) -> LogEnd: ...  # noqa: D102 (described in the class)
    @property
    def connection(self) -> "Connection[bytes, bytes] | None": ...  # noqa: D102

    def worker_started(self) -> None:
        """Tells the relay that the worker process has its end by now."""
        ...

    def drain(self) -> bool:
        """Passes on the records that have come; returns whether more can come."""
        ...

    def close(self) -> None:
        """Begins to let go of a worker that has ended, passing on what it still sent."""
        ...

    def join(self) -> None:
        """Waits, for a bounded time, until closing is over."""
        ...


def make_relay(name: str) -> LogRelay:
    """Returns the relay that works on this platform and under this program's start method.

    Args:
        name: the worker's, for the name of the thread.
    """
    start_method = multiprocessing.get_start_method(allow_none=True)
    if sys.platform == "linux" and start_method in {"spawn", "forkserver"}:
        return QueueRelay(name)
    return PipeRelay()


def send_logs_to(end: LogEnd, level: int) -> None:
    """Makes a worker's root logger send all its records through the given end, and nowhere else.

    Args:
        end: what the relay's `worker_end` was.
        level: records below this level are not made, e.g. `logging.INFO`.
    """
    handler: logging.Handler
    if isinstance(end, Connection):
        handler = _PipeHandler(end)
    else:
        end.cancel_join_thread()  # or a queue that nobody reads would keep this process from ending
        handler = logging.handlers.QueueHandler(end)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class _Forward(logging.Handler):
    """Hands a worker's record to the logger of its name, as if it had been logged here."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


class QueueRelay:
    """A relay over the queue and the thread of one `multiprocessing_logging.MultiProcessingHandler`."""

    connection = None

    def __init__(self, name: str) -> None:
        self._handler = MultiProcessingHandler(f"{name}-log", sub_handler=_Forward())
        self._closing: threading.Thread | None = None

    @property
    def worker_end(self) -> LogEnd:
        """The queue."""
        end: LogEnd = self._handler.queue
        return end

    def worker_started(self) -> None:
        """Does nothing: both sides keep the queue."""

    def drain(self) -> bool:
        """Does nothing: the handler's thread passes records on."""
        return False

    def close(self) -> None:
        """Closes the handler in a thread, since it may wait 5 s for what a killed worker never finished."""
        self._closing = threading.Thread(target=self._handler.close, daemon=True)
        self._closing.start()

    def join(self) -> None:
        """Waits up to a second for that."""
        if self._closing is not None:
            self._closing.join(_JOIN_SECONDS)


class _LogLine(msgspec.Struct):
    """A log record as text and numbers."""

    name: str
    level: int
    text: str
    created: float
    process: int


class _PipeHandler(logging.Handler):
    """Sends each record through a pipe, as text."""

    def __init__(self, end: "Connection[bytes, bytes]") -> None:
        super().__init__()
        self._end = end

    def emit(self, record: logging.LogRecord) -> None:
        line = _LogLine(record.name, record.levelno, self.format(record), record.created, record.process or 0)
        with contextlib.suppress(OSError):  # the coordinator is gone; so will this process be
            self._end.send_bytes(msgspec.msgpack.encode(line))


class PipeRelay:
    """A relay over a one-way pipe that the coordinator reads in its own waiting loop."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, self._there = context.Pipe(duplex=False)
        self._decoder = msgspec.msgpack.Decoder(_LogLine)

    @property
    def worker_end(self) -> LogEnd:
        """The pipe's writing end."""
        end: LogEnd = self._there
        return end

    @property
    def connection(self) -> "Connection[bytes, bytes] | None":
        """The pipe's reading end; none once it is closed."""
        return None if self._here.closed else self._here

    def worker_started(self) -> None:
        """Closes this process's copy of the writing end, so that the worker's death shows as the end of the pipe."""
        self._there.close()

    def drain(self) -> bool:
        """Passes on every record that is in the pipe."""
        try:
            while not self._here.closed and self._here.poll():
                self._pass_on(self._here.recv_bytes(_MAX_RECORD_BYTES))
        except (EOFError, OSError):
            self._here.close()
        return not self._here.closed

    def close(self) -> None:
        """Passes on what is left and closes the pipe."""
        self.drain()
        self._here.close()
        self._there.close()

    def join(self) -> None:
        """Does nothing: closing is over at once."""

    def _pass_on(self, data: bytes) -> None:
        try:
            line = self._decoder.decode(data)
        except msgspec.MsgspecError:
            logging.getLogger(__name__).warning("a worker sent a log record that cannot be read")
            return
        record = logging.LogRecord(line.name, line.level, "", 0, line.text, None, None)
        record.created, record.process = line.created, line.process
        logging.getLogger(line.name).handle(record)
