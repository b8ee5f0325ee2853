"""A coordinator's process around real worker processes, one of which trains without end; for tests that kill it.

Prints `trains` when that training has begun and its own engine's other worker is ready and idle.
"""

import logging
import os
import sys
import threading
from typing import Any

import cloudpickle
from federation import LineTask, Points, make_experiment, publish, told

from clients.worker_process import WorkerSetup
from clients.worker_process import main as worker_main
from fedgdl.autograd import Tensor
from fedgdl.runtime import SharedParameters
from fedgdl.wire import TrainTask, encode
from server.engines import ProcessEngine


class EndlessTask(LineTask):
    """Never ends its first batch: computes, or waits, as an environment variable says."""

    def loss(self, prediction: Tensor, batch: Points) -> Tensor:
        """Returns nothing, ever."""
        os.write(1, b"trains\n")
        if os.environ["ENDLESS"] == "waits":
            threading.Event().wait()
        number = 0
        while True:
            number += 1


def run(engine: ProcessEngine, frame: bytes) -> Any:
    """Waits until both workers are ready, gives one a task, and waits for an answer that never comes."""
    engine.start(1_000_000)
    ready = 0
    while ready < 2:
        ready += len(engine.poll(None))
    engine.send(1, frame)
    while True:
        engine.poll(None)


if __name__ == "__main__":
    task, experiment = EndlessTask(), make_experiment()
    layout = task.build_model(task.data, experiment, None).flatten().layout  # type: ignore[arg-type]
    with SharedParameters(layout) as memory:
        sys.stdout.write(f"{memory.name}\n")
        sys.stdout.flush()
        reference = publish(memory.slots, memory.slots._slots[0])
        message = TrainTask(1, reference, experiment.training, told(["ann"]))
        setup = WorkerSetup(experiment, cloudpickle.dumps(task), memory.name, logging.WARNING)
        run(ProcessEngine(2, worker_main, setup), encode(message))
