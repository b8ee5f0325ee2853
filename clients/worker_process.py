"""The program of a worker process: sets it up, then moves frames between its pipe and the worker.

Started by `server.engines.processes`, which is handed `main` by `experiments.simulation`.
"""

import contextlib
import logging
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from clients.observer import Observer
from clients.worker import MAX_TASK_FRAME_BYTES, Worker, error_in_words
from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated import Task, find_task
from fedgdl.runtime import LogEnd, SharedParameters, ignore_interrupts, send_logs_to
from fedgdl.wire import ChannelClosed, PipeChannel, WorkerFailed, encode

__all__ = ["FrameWorker", "WorkerSetup", "load_task", "main", "serve"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker process is started with.

    Attributes:
        experiment: the configuration.
        pickled_task: a task of the user's own, as cloudpickle wrote it; none: the one that the configuration names.
        memory_name: the block of shared memory with the parameters.
        log_level: log records below this level are not made.
        identities_secret: what the clients' identities are derived from; none where nothing is signed.
        observer: writes the simulator's truth down; none: nobody does.
        key_material: what clients know of the key that updates are encrypted with; none where none are.
        num_workers: how many workers share the clients, and the cores.
    """

    experiment: Experiment
    pickled_task: bytes | None
    memory_name: str
    log_level: int
    identities_secret: bytes | None = field(default=None, repr=False)
    observer: Observer | None = None
    key_material: bytes | None = field(default=None, repr=False)
    num_workers: int = 1


class FrameWorker(Protocol):
    """What a worker process needs of the worker in it."""

    @property
    def is_shut_down(self) -> bool: ...  # noqa: D102 (whether it has been told to end)

    def ready(self) -> bytes:
        """Returns the frame that says what the worker has loaded."""
        ...

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the frames that answer a frame."""
        ...


def main(connection: "Connection[bytes, bytes]", log_end: LogEnd, setup: WorkerSetup) -> None:
    """Runs a worker of a federation until the coordinator shuts it down or is gone.

    Args:
        connection: this worker's end of its duplex pipe.
        log_end: where its log records go.
        setup: what to train on.
    """
    serve(connection, log_end, setup.log_level, lambda: _open_worker(setup))


def serve(
    connection: "Connection[bytes, bytes]",
    log_end: LogEnd,
    log_level: int,
    open_worker: Callable[[], AbstractContextManager[FrameWorker]],
) -> None:
    """Moves frames between a pipe and a worker, until that is shut down or whoever started this process is gone.

    Args:
        connection: this process's end of its duplex pipe.
        log_end: where its log records go.
        log_level: records below this level are not made.
        open_worker: returns a context manager that loads everything and gives the worker.
    """
    ignore_interrupts()
    _end_with_coordinator()
    send_logs_to(log_end, log_level)
    channel = PipeChannel(connection, MAX_TASK_FRAME_BYTES)
    try:
        with open_worker() as worker:
            channel.send(worker.ready())
            while not worker.is_shut_down:
                for frame in worker.handle(channel.receive()):
                    channel.send(frame)
    except ChannelClosed:
        logger.debug("the coordinator is gone")
    except Exception as error:  # whatever keeps a worker from its work, the coordinator must hear of it
        logger.exception("this worker gives up")
        with contextlib.suppress(ChannelClosed):
            channel.send(encode(WorkerFailed(error_in_words(error))))


def load_task(experiment: Experiment, pickled_task: bytes | None) -> Task[Any]:
    """Returns the user's own task that was sent here, or else the one that the configuration names.

    Raises:
        ConfigError: it cannot be loaded.
    """
    if pickled_task is None:
        return find_task(experiment.task)
    try:
        task: Task[Any] = pickle.loads(pickled_task)  # noqa: S301 (written by the coordinator of the same user)
    except (ImportError, AttributeError) as error:
        message = f"the task cannot be loaded in a worker process: {error}; is its module on the path there, too?"
        raise ConfigError(message) from error
    return task


@contextlib.contextmanager
def _open_worker(setup: WorkerSetup) -> Iterator[Worker]:
    """Yields the worker, attached to the shared parameters."""
    task = load_task(setup.experiment, setup.pickled_task)
    worker = Worker(
        setup.experiment,
        task,
        setup.identities_secret,
        setup.observer,
        setup.key_material,
        num_workers=setup.num_workers,
    )
    with SharedParameters(worker.layout, setup.memory_name) as memory:
        worker.attach(memory.slots)
        logger.info("loaded %s with %d parameters", setup.experiment.task, worker.layout.size)
        yield worker


def _end_with_coordinator() -> None:
    """Ends this process, in the middle of whatever it does, as soon as the coordinator's process is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="coordinator-watch", daemon=True).start()
