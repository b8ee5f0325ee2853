"""A worker in a process of its own: it does what the worker does inline, and never outlives its coordinator."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cloudpickle
import federation
import pytest
from federation import Bench, LineTask, NoDataTask, make_experiment, publish, told

from clients.worker_process import WorkerSetup
from clients.worker_process import main as worker_main
from fedgdl.config import EngineConfig, Experiment, FaultConfig, FaultsConfig
from fedgdl.runtime import SharedParameters
from fedgdl.wire import ClientFailed, Codec, ToCoordinator, TrainStarted, TrainTask, WorkerFailed, WorkerReady, encode
from server.engines import FrameArrived, ProcessEngine, WorkerLost

SUPPORT = Path(federation.__file__).parent


@contextmanager
def worker_process(experiment: Experiment, task: LineTask | None) -> Iterator[tuple[ProcessEngine, SharedParameters]]:
    """Starts one worker process, with a task of its own or the one that the experiment names."""
    layout = Bench(make_experiment(), LineTask()).worker.layout
    with SharedParameters(layout) as memory:
        pickled = None if task is None else cloudpickle.dumps(task)
        engine = ProcessEngine(1, worker_main, WorkerSetup(experiment, pickled, memory.name, logging.WARNING))
        try:
            engine.start(100_000)
            yield engine, memory
        finally:
            engine.close(is_calm=False)


def messages(engine: ProcessEngine, count: int) -> list[Any]:
    """Returns so many messages of the worker; the loss of a worker counts as one."""
    codec: Codec[ToCoordinator] = Codec(ToCoordinator, 100_000)
    found: list[Any] = []
    while len(found) < count:
        events = engine.poll(60)
        found += [codec.decode(event.frame) if isinstance(event, FrameArrived) else event for event in events]
    assert len(found) == count
    return found


@pytest.mark.parametrize("is_sent", [False, True], ids=["task by name", "task by cloudpickle"])
def test_a_process_gives_the_bytes_of_the_inline_worker(is_sent: bool) -> None:
    """Then ben stalls: what came before him is there, nothing more comes, and the worker can be replaced."""
    stall = FaultsConfig((FaultConfig("stall", "ben", round=2),))
    experiment = make_experiment(faults=stall, engine=EngineConfig(workers=1, round_deadline_seconds=1.0))
    inline = Bench(make_experiment(), LineTask())
    with worker_process(experiment, LineTask() if is_sent else None) as (engine, memory):
        assert messages(engine, 1) == [WorkerReady(inline.worker.layout.digest, "points-1")]
        reference = publish(memory.slots, inline.vector)
        engine.send(1, encode(TrainTask(1, reference, experiment.training, told(["ann", "ben", "zoe", "cat"]))))
        answers = [message for message in messages(engine, 8) if not isinstance(message, TrainStarted)]
        assert answers == inline.answers(["ann", "ben", "zoe", "cat"])
        assert isinstance(answers[2], ClientFailed)
        engine.send(1, encode(TrainTask(2, reference, experiment.training, told(["ann", "ben", "cat"]))))
        ann = inline.answers(["ann"], round_index=2)
        assert messages(engine, 3) == [TrainStarted(2, "ann"), *ann, TrainStarted(2, "ben")]
        assert engine.poll(0.0) == []
        engine.replace(1, "it stalls")
        lost, ready = messages(engine, 2)
        assert lost == WorkerLost(1, "it stalls")
        assert isinstance(ready, WorkerReady)
        engine.close(is_calm=True)


def test_a_worker_that_cannot_load_its_task_says_why() -> None:
    with worker_process(make_experiment(), NoDataTask()) as (engine, _):
        (failed,) = messages(engine, 1)
        assert failed == WorkerFailed(r"DataMissing: these points are not on this machine \udcff")


def test_a_task_that_is_not_there_is_told_likewise() -> None:
    with worker_process(make_experiment(task="no_such_module:Task"), None) as (engine, _):
        (failed,) = messages(engine, 1)
        assert isinstance(failed, WorkerFailed)
        assert failed.reason.startswith('ConfigError: task = "no_such_module:Task": No module named')


@pytest.mark.parametrize("what_it_does", ["waits", "computes"])
def test_workers_die_with_their_coordinator_idle_or_in_the_middle_of_training(what_it_does: str) -> None:
    """Every descendant inherits the program's standard output: its end is the end of the last of them."""
    program = [sys.executable, str(SUPPORT / "parent_program.py")]
    environment = os.environ | {"ENDLESS": what_it_does}
    parent = subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    with parent, parent.stdout as output:
        try:
            block = output.readline().strip()
            assert output.readline() == "trains\n"
            assert Path("/dev/shm", block).exists() or not Path("/dev/shm").is_dir()  # noqa: S108 (read, not written)
            os.kill(parent.pid, signal.SIGKILL)
            assert read_to_end(output, seconds=5) == ""
        finally:
            with suppress(ProcessLookupError):  # there is nobody left, unless the test has failed
                os.killpg(parent.pid, signal.SIGKILL)
    assert not Path("/dev/shm", block).exists()  # noqa: S108


def read_to_end(stream: Any, seconds: float) -> str:
    """Returns all that is left in a stream, which must end within so many seconds."""
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(stream.read()), daemon=True)
    reader.start()
    reader.join(seconds)
    assert read, f"a process of the family was still there after {seconds} seconds"
    return read[0]


@pytest.mark.parametrize("program", ["server.coordinator", "clients.worker", "clients.worker_process"])
def test_workers_stay_small(program: str, tmp_path: Path) -> None:
    """What they do not need takes no memory in each of many processes and no time at each start."""
    code = f"import sys, {program}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert {"numpy", "msgspec", "fedgdl"} <= loaded
    heavy = {"phe", "matplotlib", "typer", "rich", "pooch", "safetensors", "cloudpickle", "tomli_w", "experiments"}
    assert loaded.isdisjoint(heavy)
