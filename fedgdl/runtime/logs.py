"""Log records from worker processes to the coordinator's ordinary handlers, without trusting anyone to live.

Each worker has a relay of its own, so a worker that is killed while it writes cannot silence the
others, and the coordinator's own handlers are wrapped by nobody, so no worker can silence the coordinator.
Records reach the handlers through `logging.getLogger(record.name)`, with all its levels and filters.
What crosses is text and numbers: level, name, time, process, and the message with its traceback; a record's
`extra` attributes stay behind, since they might not be picklable and would then be lost with the record.

There are two relays. `QueueRelay` uses `multiprocessing_logging`, where its queue works: on Linux,
in a program whose start method has been set to spawn or forkserver. It unpickles what the worker sends: a
worker process is part of the simulator and trusted as such. `PipeRelay` works everywhere (in notebooks, on
macOS), and needs no thread.

Example:
    >>> relay = make_relay("worker-1")
    >>> relay.close()
"""

import contextlib
import logging
import logging.handlers
import multiprocessing
import multiprocessing.queues
import multiprocessing.util
import sys
import threading
from multiprocessing.connection import Connection
from typing import Annotated, Final, Protocol, TypeAlias

import msgspec
from multiprocessing_logging import MultiProcessingHandler

__all__ = ["LogEnd", "LogRelay", "PipeRelay", "QueueRelay", "make_relay", "send_logs_to"]

_JOIN_SECONDS: Final = 1.0
"""How long the coordinator waits for a worker's last records, and a worker at its end for them to be out."""

_MAX_TEXT_CHARACTERS: Final = 100_000
_MAX_RECORD_BYTES: Final = 1_000_000
"""More than a record of the longest text, at 4 bytes a character."""

_MAX_RECORDS_AT_ONCE: Final = 1_000
"""So that no talkative worker keeps the coordinator from its work."""

LogEnd: TypeAlias = "multiprocessing.queues.Queue[logging.LogRecord] | Connection[bytes, bytes]"
"""What a worker process is given to send its records into."""


class LogRelay(Protocol):
    """The coordinator's side of one worker's log.

    Attributes:
        worker_end: the end to hand to the worker process.
        connection: what to wait on before calling `drain`; none where a thread does that.
        is_closed: whether closing is over, so that nothing is lost when the relay is let go.
    """

    @property
    def worker_end(self) -> LogEnd: ...  # noqa: D102 (described in the class)
    @property
    def connection(self) -> "Connection[bytes, bytes] | None": ...  # noqa: D102
    @property
    def is_closed(self) -> bool: ...  # noqa: D102

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

    Nothing of it is lost when the process comes to its end by itself.

    Args:
        end: what the relay's `worker_end` was.
        level: records below this level are not made, e.g. `logging.INFO`.
    """
    root = logging.getLogger()
    root.handlers[:] = [_QueueHandler(end) if isinstance(end, multiprocessing.queues.Queue) else _PipeHandler(end)]
    root.setLevel(level)


class _Forward(logging.Handler):
    """Hands a worker's record to the logger of its name, as if it had been logged here."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        except Exception:  # noqa: BLE001 (a broken filter, say: logging must not break what it reports about)
            self.handleError(record)


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

    @property
    def is_closed(self) -> bool:
        """Whether the closing thread has ended."""
        return self._closing is not None and not self._closing.is_alive()

    def worker_started(self) -> None:
        """Closes this process's copy of the queue's writing end.

        The worker's death, in the middle of a record even, then shows as the end of the queue. Otherwise the thread
        would wait for ever for what the dead one has announced.
        """
        self._handler.queue._writer.close()  # noqa: SLF001 (a queue has no public way to do that)

    def drain(self) -> bool:
        """Does nothing: the handler's thread passes records on."""
        return False

    def close(self) -> None:
        """Closes the handler in a thread, since it may wait 5 s for a worker that never started."""
        self._closing = threading.Thread(target=self._handler.close, daemon=True)
        self._closing.start()

    def join(self) -> None:
        """Waits up to a second for that."""
        if self._closing is not None:
            self._closing.join(_JOIN_SECONDS)


class _QueueHandler(logging.handlers.QueueHandler):
    """Sends each record through a queue, as text; waits at the process's end, for a bounded time, until all are out."""

    def __init__(self, end: "multiprocessing.queues.Queue[logging.LogRecord]") -> None:
        super().__init__(end)
        self._end = end
        # A high priority: before multiprocessing waits for the queue by itself, and without a bound.
        multiprocessing.util.Finalize(None, self._finish, exitpriority=100)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Returns the record without what might not be picklable."""
        return _record_of(_line_of(record, self.format(record)))

    def enqueue(self, record: logging.LogRecord) -> None:
        """Puts the record into the queue; what is logged after the end is dropped."""
        with contextlib.suppress(ValueError):  # the queue is closed
            self._end.put_nowait(record)

    def _finish(self) -> None:
        self._end.close()
        waiting = threading.Thread(target=self._end.join_thread, daemon=True)
        waiting.start()
        waiting.join(_JOIN_SECONDS)
        self._end.cancel_join_thread()


class _LogLine(msgspec.Struct, frozen=True):
    """A log record as text and numbers; `created` in seconds since 1970, UTC."""

    name: str
    level: int
    text: str
    created: Annotated[float, msgspec.Meta(ge=0, le=2**40)]
    process: int
    process_name: str


def _line_of(record: logging.LogRecord, text: str) -> _LogLine:
    if len(text) > _MAX_TEXT_CHARACTERS:
        text = f"{text[:_MAX_TEXT_CHARACTERS]}... ({len(text):,} characters)"
    return _LogLine(
        name=_sendable(record.name)[:1_000],
        level=record.levelno,
        text=_sendable(text),
        created=record.created,
        process=record.process or 0,
        process_name=_sendable(record.processName or "")[:1_000],
    )


def _record_of(line: _LogLine) -> logging.LogRecord:
    record = logging.LogRecord(line.name, line.level, "", 0, line.text, None, None)
    record.created, record.msecs = line.created, line.created % 1 * 1_000
    record.process, record.processName = line.process, line.process_name
    return record


def _sendable(text: str) -> str:
    """Returns the text without half characters, which names of files may hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


class _PipeHandler(logging.Handler):
    """Sends each record through a pipe, as text; waits while the pipe is full."""

    def __init__(self, end: "Connection[bytes, bytes]") -> None:
        super().__init__()
        self._end = end

    def emit(self, record: logging.LogRecord) -> None:
        try:
            data = msgspec.msgpack.encode(_line_of(record, self.format(record)))
            with contextlib.suppress(OSError):  # the coordinator is gone; so will this process be
                self._end.send_bytes(data)
        except Exception:  # noqa: BLE001 (arguments that do not fit the text, say: see `_Forward`)
            self.handleError(record)


class PipeRelay:
    """A relay over a one-way pipe that the coordinator reads in its own waiting loop."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, self._there = context.Pipe(duplex=False)
        self._decoder = msgspec.msgpack.Decoder(_LogLine)
        self._forward = _Forward()

    @property
    def worker_end(self) -> LogEnd:
        """The pipe's writing end."""
        end: LogEnd = self._there
        return end

    @property
    def connection(self) -> "Connection[bytes, bytes] | None":
        """The pipe's reading end; none once it is closed."""
        return None if self._here.closed else self._here

    @property
    def is_closed(self) -> bool:
        """Whether the reading end is closed."""
        return self._here.closed

    def worker_started(self) -> None:
        """Closes this process's copy of the writing end, so that the worker's death shows as the end of the pipe."""
        self._there.close()

    def drain(self) -> bool:
        """Passes on the records that are in the pipe, up to a thousand; returns whether more can come."""
        return self._read(_MAX_RECORDS_AT_ONCE)

    def close(self) -> None:
        """Passes on what is left and closes the pipe."""
        self._there.close()
        self._read(100 * _MAX_RECORDS_AT_ONCE)
        self._here.close()

    def join(self) -> None:
        """Does nothing: closing is over at once."""

    def _read(self, most: int) -> bool:
        for _ in range(most):
            try:
                if self._here.closed or not self._here.poll():
                    break
                data = self._here.recv_bytes(_MAX_RECORD_BYTES)
            except (EOFError, OSError):  # the worker is gone, maybe in the middle of a record
                self._here.close()
                break
            self._take(data)
        return not self._here.closed

    def _take(self, data: bytes) -> None:
        try:
            record = _record_of(self._decoder.decode(data))
        except (msgspec.MsgspecError, ValueError, RecursionError):  # a ValueError: bytes that are no UTF-8
            logging.getLogger(__name__).warning("a worker sent a log record that cannot be read")
            return
        self._forward.emit(record)
