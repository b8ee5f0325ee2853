"""A program around a `ProcessEngine`, for tests of what is left when it has ended.

Its arguments: `run`, `lose` or `starve`, and how processes are started. Prints its shared memory's name (of `run`),
its log, and how many child processes are left.
"""

import logging
import multiprocessing
import os
import resource
import signal
import sys

import cloudpickle
import echo_worker
import psutil
from federation import Line, LineTask, make_experiment

from clients.worker_process import WorkerSetup
from clients.worker_process import main as worker_main
from fedgdl.errors import EngineError
from fedgdl.runtime import SharedParameters
from server.engines import FrameArrived, ProcessEngine, WorkerLost


def run() -> None:
    """Starts two workers, kills one, and closes when its successor is ready."""
    with SharedParameters(Line("float64").flatten().layout) as memory:
        sys.stdout.write(f"{memory.name}\n")
        setup = WorkerSetup(make_experiment(), cloudpickle.dumps(LineTask()), memory.name, logging.INFO)
        engine = ProcessEngine(2, worker_main, setup)
        engine.start(1_000_000)
        try:
            lost, ready = 0, 0
            while ready < 3:
                for event in engine.poll(60):
                    lost += isinstance(event, WorkerLost)
                    ready += isinstance(event, FrameArrived)
                if ready == 2 and not lost:
                    os.kill(engine.process_ids[1], signal.SIGKILL)
        finally:
            engine.close(is_calm=True)


def lose() -> None:
    """Loses one worker after another, and prints how many more files are open after the last than after the second."""
    engine = ProcessEngine(1, echo_worker.main, None)
    engine.start(1_000)
    files = []
    try:
        for worker_id in range(1, 8):
            echo_worker.collect(engine, 1 if worker_id == 1 else 2)  # the loss of the one before, and being ready
            files.append(psutil.Process().num_fds())
            os.kill(engine.process_ids[worker_id], signal.SIGKILL)
    finally:
        engine.close(is_calm=False)
    sys.stdout.write(f"more files: {files[-1] - files[1]}\n")


def starve() -> None:
    """Starts more workers than there are file descriptors for."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    engine = ProcessEngine(20, echo_worker.main, None)
    try:
        engine.start(1_000)
    except EngineError as error:
        sys.stdout.write(f"{error}\n")
    finally:
        engine.close(is_calm=False)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    what, start_method = sys.argv[1:]
    if start_method != "default":
        multiprocessing.set_start_method(start_method)
    {"run": run, "lose": lose, "starve": starve}[what]()
    sys.stdout.write(f"children left: {len(multiprocessing.active_children())}\n")
