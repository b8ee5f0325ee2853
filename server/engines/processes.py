"""The engine for everyday use: long-lived worker processes, each with a pipe of its own.

Who hands what to whom:

    coordinator --send--> pipe --> worker process          one outstanding task a worker, so that
    coordinator <--poll-- pipe <-- worker process          never both ends write at once
                <--poll-- sentinel (the process has ended)
                <--poll-- log pipe, where the log takes one

A task may be long: the coordinator waits until all of it is in the pipe. It is sent to no worker but one that has given
its last answer and does nothing but read, so neither waits for the other.

One call waits for all of these together; nothing is polled in turns. Workers are spawned, never
forked: a forked worker inherits its siblings' pipe ends and outlives a killed coordinator. A
worker that dies is replaced at once, and what it had sent before its death is still delivered.
"""

import contextlib
import logging
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, TypeAlias

from fedgdl.errors import EngineError
from fedgdl.runtime import LogEnd, LogRelay, blas_environment, interrupts_deferred, make_relay
from fedgdl.wire import ChannelClosed, PipeChannel, Shutdown, encode
from server.engines.engine import EngineEvent, FrameArrived, WorkerLost

__all__ = ["ProcessEngine", "WorkerMain"]

logger = logging.getLogger(__name__)

WorkerMain: TypeAlias = Callable[["Connection[bytes, bytes]", LogEnd, Any], None]
"""A worker's program: called in the new process with its pipe end, its log end and its setup."""

_GOODBYE_SECONDS: Final = 5.0
"""How long all workers together may take to end when asked to."""

_END_SECONDS: Final = 1.0
"""How long a process may take to be gone after its pipe was closed or it was told to end."""


_UNGUARDED: Final = (
    'a worker that was just starting has run this script again; put the run under `if __name__ == "__main__":`, '
    "since worker processes import the script that started them"
)


_FROM_STDIN: Final = (
    "a program read from the standard input cannot have worker processes, which import the program that started "
    'them; save it as a file, or set engine.kind = "inline"'
)


@dataclass(slots=True)
class _WorkerProcess:
    """A worker as the coordinator holds it; `reason_to_end` is set when the coordinator itself ended it."""

    process: BaseProcess
    channel: PipeChannel
    relay: LogRelay
    has_spoken: bool = False
    reason_to_end: str = ""


class ProcessEngine:
    """Keeps a number of worker processes alive.

    Args:
        num_workers: how many.
        worker_main: what a worker runs.
        setup: handed to each worker at its start; pickled by `multiprocessing`, from here to there only.
        name: what its processes are called, with the worker's id behind it.
    """

    def __init__(self, num_workers: int, worker_main: WorkerMain, setup: object, *, name: str = "worker") -> None:
        self.num_workers = num_workers
        self._worker_main = worker_main
        self._setup = setup
        self._name = name
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _WorkerProcess] = {}
        self._last_worker_id = 0
        self._max_frame_bytes = 0
        self._closing_relays: list[LogRelay] = []

    @property
    def process_ids(self) -> dict[int, int]:
        """Worker id -> process id, of the workers that live."""
        return {worker_id: worker.process.pid or 0 for worker_id, worker in self._workers.items()}

    def start(self, max_frame_bytes: int) -> None:
        """Starts the worker processes; they say themselves when they are ready."""
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise EngineError(_UNGUARDED)
        if getattr(sys.modules["__main__"], "__file__", None) == "<stdin>":
            raise EngineError(_FROM_STDIN)
        self._max_frame_bytes = max_frame_bytes
        for _ in range(self.num_workers):
            self._start_worker()

    def send(self, worker_id: int, frame: bytes) -> None:
        """Sends a frame to a worker that waits for one."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            with contextlib.suppress(ChannelClosed):  # its death is reported by poll
                worker.channel.send(frame)

    def poll(self, timeout_seconds: float | None) -> list[EngineEvent]:
        """Returns the frames that came and the workers that died; waits on all of them in one call.

        Raises:
            EngineError: there is no worker, so nothing would ever come; or a lost one cannot be replaced.
        """
        if not self._workers:
            message = "there are no worker processes to hear of: the engine is not started, or closed"
            raise EngineError(message)
        sources: dict[Any, tuple[int, _WorkerProcess]] = {}
        for worker_id, worker in self._workers.items():
            sources[worker.channel.connection] = worker_id, worker
            sources[worker.process.sentinel] = worker_id, worker
            if worker.relay.connection is not None:
                sources[worker.relay.connection] = worker_id, worker
        ready = wait(list(sources), timeout_seconds)
        events: list[EngineEvent] = []
        for worker_id in sorted({sources[source][0] for source in ready}):
            events += self._poll_worker(worker_id, self._workers[worker_id])
        return events

    def replace(self, worker_id: int, reason: str) -> None:
        """Kills a worker; the next `poll` sees its death, reports it and starts another."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            worker.reason_to_end = worker.reason_to_end or reason
            worker.process.kill()

    def close(self, *, is_calm: bool) -> None:
        """Ends all workers within 5 seconds: by asking, then by force."""
        with interrupts_deferred():
            for worker_id, worker in self._workers.items():
                if is_calm and worker.has_spoken:
                    self.send(worker_id, encode(Shutdown()))
                else:
                    worker.process.terminate()
            deadline = time.monotonic() + _GOODBYE_SECONDS
            for worker in self._workers.values():
                _wait_for_end(worker, deadline)
                self._let_go(worker)
            self._workers.clear()
            for relay in self._closing_relays:
                relay.join()
            self._closing_relays.clear()

    def _start_worker(self) -> None:
        self._last_worker_id += 1
        name = f"{self._name}-{self._last_worker_id}"
        try:
            worker = self._spawn(name)
        except (OSError, RuntimeError) as error:  # too few processes, file descriptors or bytes of memory, say
            message = f"{name} cannot be started: {error}"
            raise EngineError(message) from error
        self._workers[self._last_worker_id] = worker
        logger.debug("%s started as process %s", name, worker.process.pid)

    def _spawn(self, name: str) -> _WorkerProcess:
        with contextlib.ExitStack() as undo:
            relay = make_relay(name)
            undo.callback(relay.close)
            here, there = self._context.Pipe(duplex=True)
            undo.callback(here.close)
            process = self._context.Process(
                target=self._worker_main, args=(there, relay.worker_end, self._setup), name=name, daemon=True
            )
            with there, blas_environment(threads=1), interrupts_deferred():
                process.start()
            undo.pop_all()
        relay.worker_started()
        return _WorkerProcess(process, PipeChannel(here, self._max_frame_bytes), relay)

    def _poll_worker(self, worker_id: int, worker: _WorkerProcess) -> list[EngineEvent]:
        """Returns what one worker sent; its pipe comes before its sentinel: a result may precede a death."""
        worker.relay.drain()
        events: list[EngineEvent] = []
        is_gone = not worker.process.is_alive()
        try:
            while worker.channel.connection.poll():
                events.append(FrameArrived(worker_id, worker.channel.receive()))
                worker.has_spoken = True
                if not is_gone:
                    break  # one frame at a time, so that no talkative worker keeps the others waiting
        except (ChannelClosed, OSError):
            is_gone = True
        if is_gone:
            events.append(WorkerLost(worker_id, self._bury(worker_id, worker)))
        return events

    def _bury(self, worker_id: int, worker: _WorkerProcess) -> str:
        """Clears away a worker that is gone, starts another and returns why it went."""
        worker.process.join(_END_SECONDS)
        if worker.process.exitcode is None and not worker.reason_to_end:
            worker.reason_to_end = "it broke its pipe, or sent a longer frame than allowed"
        name, process_id = worker.process.name, worker.process.pid
        self._let_go(worker)
        reason = worker.reason_to_end or _exit_in_words(worker.process.exitcode)
        del self._workers[worker_id]
        logger.warning("%s (process %s) is lost: %s; another takes its place", name, process_id, reason)
        self._start_worker()
        return reason

    def _let_go(self, worker: _WorkerProcess) -> None:
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join(_END_SECONDS)
        worker.channel.close()
        worker.relay.close()
        # A relay that is kept keeps a file open, and there may be thousands of lost workers.
        self._closing_relays = [relay for relay in self._closing_relays if not relay.is_closed] + [worker.relay]


def _wait_for_end(worker: _WorkerProcess, deadline: float) -> None:
    """Waits for a worker's end until the deadline, taking its log in: a full log pipe would hold it up."""
    while worker.process.is_alive() and (seconds := deadline - time.monotonic()) > 0:
        log = [] if worker.relay.connection is None else [worker.relay.connection]
        wait([worker.process.sentinel, *log], seconds)
        worker.relay.drain()


def _exit_in_words(exit_code: int | None) -> str:
    if exit_code is None:
        return "it does not end"
    if exit_code < 0:
        try:
            return f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"killed by signal {-exit_code}"
    return f"it ended by itself with exit code {exit_code}"
