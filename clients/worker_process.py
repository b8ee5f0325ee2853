"""The program of a worker process: sets it up, then moves frames between its pipe and the worker.

Started by `server.engines.processes`, which is handed `main` by `experiments.simulation`.
"""

import contextlib
import logging
import multiprocessing
import os
import pickle
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from clients.worker import MAX_TASK_FRAME_BYTES, Worker, error_in_words
from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated import Task, find_task
from fedgdl.runtime import LogEnd, SharedParameters, ignore_interrupts, send_logs_to
from fedgdl.wire import ChannelClosed, PipeChannel, WorkerFailed, encode

__all__ = ["WorkerSetup", "main"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker process is started with.

    Attributes:
        experiment: the configuration.
        pickled_task: a task of the user's own, as cloudpickle wrote it; none: the one that the configuration names.
        memory_name: the block of shared memory with the parameters.
        log_level: log records below this level are not made.
    """

    experiment: Experiment
    pickled_task: bytes | None
    memory_name: str
    log_level: int


def main(connection: "Connection[bytes, bytes]", log_end: LogEnd, setup: WorkerSetup) -> None:
    """Runs a worker until the coordinator shuts it down or is gone.

    Args:
        connection: this worker's end of its duplex pipe.
        log_end: where its log records go.
        setup: what to train on.
    """
    ignore_interrupts()
    _end_with_coordinator()
    send_logs_to(log_end, setup.log_level)
    channel = PipeChannel(connection, MAX_TASK_FRAME_BYTES)
    try:
        _serve(channel, setup)
    except ChannelClosed:
        logger.debug("the coordinator is gone")
    except Exception as error:  # whatever keeps a worker from its work, the coordinator must hear of it
        logger.exception("this worker gives up")
        with contextlib.suppress(ChannelClosed):
            channel.send(encode(WorkerFailed(error_in_words(error))))


def _serve(channel: PipeChannel, setup: WorkerSetup) -> None:
    """Loads everything, says so, and answers tasks until it is shut down."""
    worker = Worker(setup.experiment, _load_task(setup))
    with SharedParameters(worker.layout, setup.memory_name) as memory:
        worker.attach(memory.slots)
        logger.info("loaded %s with %d parameters", setup.experiment.task, worker.layout.size)
        channel.send(worker.ready())
        while not worker.is_shut_down:
            for frame in worker.handle(channel.receive()):
                channel.send(frame)


def _load_task(setup: WorkerSetup) -> Task[Any]:
    if setup.pickled_task is None:
        return find_task(setup.experiment.task)
    try:
        task: Task[Any] = pickle.loads(setup.pickled_task)  # noqa: S301 (written by the coordinator of the same user)
    except (ImportError, AttributeError) as error:
        message = f"the task cannot be loaded in a worker process: {error}; is its module on the path there, too?"
        raise ConfigError(message) from error
    return task


def _end_with_coordinator() -> None:
    """Ends this process, in the middle of whatever it does, as soon as the coordinator's process is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="coordinator-watch", daemon=True).start()
