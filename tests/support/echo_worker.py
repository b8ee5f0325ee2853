"""A worker that knows nothing of learning: it does what a frame says, inline or as the program of a process."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

from fedgdl.runtime import LogEnd, send_logs_to
from fedgdl.wire import ChannelClosed, PipeChannel, Shutdown, encode
from server.engines import Engine, EngineEvent, FrameArrived

READY = b"ready"
SHUTDOWN = encode(Shutdown())


class EchoWorker:
    """Its commands are words: `echo a b`, `echo-kill a b`, `long 1000`, `exit 3`, `stall`, `variable HOME`, `deaf`."""

    def ready(self) -> bytes:
        """Returns its first frame."""
        return READY

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the words after `echo`, as many bytes as the number after `long` says, or what else was asked for."""
        command, *words = frame.split(b" ")
        match command:
            case b"echo":
                yield from words
            case b"echo-kill":
                yield from words
                os.kill(os.getpid(), signal.SIGKILL)
            case b"long":
                yield b"x" * int(words[0])
            case b"exit":
                sys.exit(int(words[0]))
            case b"stall":
                threading.Event().wait()
            case b"variable":
                yield os.environ.get(words[0].decode(), "").encode()
            case b"deaf":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                yield b"deaf"


def main(connection: "Connection[bytes, bytes]", _log_end: LogEnd, setup: object) -> None:
    """Runs the worker in a process; `setup` is an exit code to end with before being ready, or none."""
    if isinstance(setup, int):
        sys.exit(setup)
    channel, worker = PipeChannel(connection, 10_000_000), EchoWorker()
    try:
        channel.send(worker.ready())
        while (frame := channel.receive()) != SHUTDOWN:
            for answer in worker.handle(frame):
                channel.send(answer)
    except ChannelClosed:
        pass


def log_farewell(connection: "Connection[bytes, bytes]", log_end: LogEnd, _setup: object) -> None:
    """Runs a worker that does nothing, and logs a word when it is told to end."""
    send_logs_to(log_end, logging.INFO)
    channel = PipeChannel(connection, 1_000)
    channel.send(READY)
    channel.receive()
    logging.getLogger("echo_worker").info("farewell")


def close_pipe_and_live_on(connection: "Connection[bytes, bytes]", _log_end: LogEnd, _setup: object) -> None:
    """Runs a worker that closes its pipe and stays."""
    PipeChannel(connection, 1_000).send(READY)
    connection.close()
    threading.Event().wait()


def die_in_the_middle_of_a_frame(connection: "Connection[bytes, bytes]", _log_end: LogEnd, _setup: object) -> None:
    """Runs a worker that dies after it has sent a whole frame and half of another."""
    PipeChannel(connection, 1_000).send(READY)
    os.write(connection.fileno(), (100).to_bytes(4, "big") + b"half")  # the length that `recv_bytes` reads first
    os.kill(os.getpid(), signal.SIGKILL)


def collect(engine: Engine, count: int) -> list[EngineEvent]:
    """Polls an engine until exactly so many events have come."""
    events: list[EngineEvent] = []
    while len(events) < count:
        events += engine.poll(60)
    assert len(events) == count, events
    return events


def start(engine: Engine, max_frame_bytes: int) -> list[int]:
    """Starts an engine and returns its workers' ids, once all are ready."""
    engine.start(max_frame_bytes)
    events = collect(engine, engine.num_workers)
    assert [event.frame for event in events if isinstance(event, FrameArrived)] == [READY] * engine.num_workers
    return sorted(event.worker_id for event in events)
