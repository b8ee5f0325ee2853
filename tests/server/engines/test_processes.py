"""What only worker processes do: die, hang, send half a frame, and leave nothing behind."""

import gc
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import echo_worker
import psutil
import pytest
from echo_worker import READY, collect, start

from fedgdl.errors import EngineError
from server.engines import EngineEvent, FrameArrived, ProcessEngine, WorkerLost, WorkerMain, processes

MAX_FRAME_BYTES = 1_000
SUPPORT = Path(echo_worker.__file__).parent

StartOne = Callable[..., ProcessEngine]


@pytest.fixture
def start_one() -> Iterator[StartOne]:
    """Returns a function that starts an engine of one worker, ready if it speaks; all are closed in the end."""
    with ExitStack() as stack:

        def begin(main: WorkerMain = echo_worker.main, setup: object = None) -> ProcessEngine:
            engine = ProcessEngine(1, main, setup)
            stack.callback(engine.close, is_calm=False)
            engine.start(MAX_FRAME_BYTES)
            return engine

        yield begin


def tell(engine: ProcessEngine, frame: bytes, count: int) -> list[EngineEvent]:
    """Waits for the worker to be ready, tells it something and returns so many events that follow."""
    assert collect(engine, 1) == [FrameArrived(1, READY)]
    engine.send(1, frame)
    return collect(engine, count)


def test_a_killed_worker_is_named_with_its_signal_and_replaced(start_one: StartOne) -> None:
    engine = start_one()
    assert collect(engine, 1) == [FrameArrived(1, READY)]
    former = engine.process_ids[1]
    os.kill(former, signal.SIGKILL)
    assert collect(engine, 2) == [WorkerLost(1, "killed by SIGKILL"), FrameArrived(2, READY)]
    assert list(engine.process_ids) == [2]
    assert engine.process_ids[2] != former
    assert not psutil.pid_exists(former)


def test_what_a_worker_sent_before_its_death_is_delivered_first(start_one: StartOne) -> None:
    engine = start_one()
    assert collect(engine, 1) == [FrameArrived(1, READY)]
    engine.send(1, b"echo-kill a b c")
    engine._workers[1].process.join()  # so that all there is to see is there when the engine looks
    assert collect(engine, 5) == [
        FrameArrived(1, b"a"),
        FrameArrived(1, b"b"),
        FrameArrived(1, b"c"),
        WorkerLost(1, "killed by SIGKILL"),
        FrameArrived(2, READY),
    ]


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_code_is_told_in_words(start_one: StartOne, code: int) -> None:
    assert tell(start_one(), b"exit %d" % code, 1) == [WorkerLost(1, f"it ended by itself with exit code {code}")]


def test_a_worker_that_ends_before_it_is_ready_is_lost_like_any_other(start_one: StartOne) -> None:
    engine = start_one(setup=4)
    reason = "it ended by itself with exit code 4"
    assert collect(engine, 2) == [WorkerLost(1, reason), WorkerLost(2, reason)]


def test_a_frame_that_is_too_long_costs_its_worker_its_place(start_one: StartOne) -> None:
    events = tell(start_one(), b"long %d" % (MAX_FRAME_BYTES + 1), 2)
    assert events == [
        WorkerLost(1, "it broke its pipe, or sent a longer frame than allowed"),
        FrameArrived(2, READY),
    ]


def test_a_very_long_frame_is_not_read_at_all(start_one: StartOne) -> None:
    """The worker is stuck sending what nobody reads, and has to be killed."""
    engine = start_one()
    (lost,) = tell(engine, b"long 5000000", 1)
    assert lost == WorkerLost(1, "it broke its pipe, or sent a longer frame than allowed")


def test_half_a_frame_is_no_frame(start_one: StartOne) -> None:
    engine = start_one(echo_worker.die_in_the_middle_of_a_frame)
    assert collect(engine, 2) == [FrameArrived(1, READY), WorkerLost(1, "killed by SIGKILL")]


def test_a_worker_that_closes_its_pipe_and_lives_on_is_ended(start_one: StartOne) -> None:
    engine = start_one(echo_worker.close_pipe_and_live_on)
    former = engine.process_ids[1]
    assert collect(engine, 2) == [
        FrameArrived(1, READY),
        WorkerLost(1, "it broke its pipe, or sent a longer frame than allowed"),
    ]
    assert not psutil.pid_exists(former)


def test_a_worker_that_hangs_is_left_alone_until_it_is_replaced(start_one: StartOne) -> None:
    engine = start_one()
    assert collect(engine, 1) == [FrameArrived(1, READY)]
    engine.send(1, b"stall")
    assert engine.poll(0.0) == []
    engine.replace(1, "it did not answer")
    assert collect(engine, 2) == [WorkerLost(1, "it did not answer"), FrameArrived(2, READY)]


def test_one_worker_of_two_dies_and_the_other_goes_on() -> None:
    engine = ProcessEngine(2, echo_worker.main, None)
    try:
        assert start(engine, MAX_FRAME_BYTES) == [1, 2]
        engine.send(1, b"echo-kill a")
        engine.send(2, b"echo b")
        events = collect(engine, 4)
        assert [event for event in events if event.worker_id == 2] == [FrameArrived(2, b"b")]
        assert [event for event in events if event.worker_id != 2] == [
            FrameArrived(1, b"a"),
            WorkerLost(1, "killed by SIGKILL"),
            FrameArrived(3, READY),
        ]
    finally:
        engine.close(is_calm=True)


def test_workers_have_one_blas_thread_and_this_process_keeps_its_setting(
    start_one: StartOne, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    engine = start_one()
    assert tell(engine, b"variable OPENBLAS_NUM_THREADS", 1) == [FrameArrived(1, b"1")]
    engine.send(1, b"variable OMP_NUM_THREADS")
    assert collect(engine, 1) == [FrameArrived(1, b"1")]
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("is_calm", [True, False], ids=["calm", "not calm"])
@pytest.mark.parametrize("command", [b"stall", b"deaf", b"echo a"])
def test_closing_ends_every_worker_whatever_it_does(
    monkeypatch: pytest.MonkeyPatch, command: bytes, *, is_calm: bool
) -> None:
    """A worker that neither reads nor hears SIGTERM is killed, once the time to say goodbye is over."""
    monkeypatch.setattr(processes, "_GOODBYE_SECONDS", 0.2)
    engine = ProcessEngine(1, echo_worker.main, None)
    start(engine, MAX_FRAME_BYTES)
    (process_id,) = engine.process_ids.values()
    engine.send(1, command)
    if command != b"stall":
        collect(engine, 1)
    if command == b"deaf":
        engine.send(1, b"stall")
    engine.close(is_calm=is_calm)
    assert not psutil.pid_exists(process_id)
    assert engine.process_ids == {}
    assert not [child for child in multiprocessing.active_children() if child.pid == process_id]


def test_the_last_words_of_a_worker_that_is_asked_to_end_are_logged(
    start_one: StartOne, caplog: pytest.LogCaptureFixture
) -> None:
    engine = start_one(echo_worker.log_farewell)
    assert collect(engine, 1) == [FrameArrived(1, READY)]
    with caplog.at_level(logging.INFO):
        engine.close(is_calm=True)
    assert ("echo_worker", logging.INFO, "farewell") in caplog.record_tuples


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see what is open")
def test_nothing_stays_open_in_this_process() -> None:
    def num_open() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    multiprocessing.get_context("spawn").Lock()  # starts a helper of multiprocessing, as a process would, that stays
    before = num_open()
    engine = ProcessEngine(1, echo_worker.main, None)
    start(engine, MAX_FRAME_BYTES)
    engine.replace(1, "to have one more")
    collect(engine, 2)
    assert num_open() > before
    engine.close(is_calm=True)
    del engine
    assert num_open() <= before  # fewer, if what an earlier test has let go of was still closing


def run_program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the engine program of the support folder; it has ended, with all its descendants, when this returns.

    Every descendant inherits its standard output, and that is read to its end.
    """
    return subprocess.run(
        [sys.executable, "-W", "error", str(SUPPORT / "engine_program.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("start_method", ["default", "spawn"], ids=["logs by pipe", "logs by queue"])
def test_nothing_is_left_and_nothing_is_said_after_a_run_with_a_killed_worker(start_method: str) -> None:
    finished = run_program("run", start_method)
    assert (finished.returncode, finished.stderr) == (0, "")
    block, *lines = finished.stdout.splitlines()
    assert lines[-1] == "children left: 0"
    assert "INFO clients.worker_process: loaded federation:LineTask with 3 parameters" in lines
    assert any("is lost: killed by SIGKILL; another takes its place" in line for line in lines)
    assert not Path("/dev/shm", block).exists()  # noqa: S108 (read, not written)


@pytest.mark.parametrize("start_method", ["default", "spawn"], ids=["logs by pipe", "logs by queue"])
def test_lost_workers_leave_no_files_open_while_the_run_goes_on(start_method: str) -> None:
    """But for the last one or two, whose log may still be coming to its end."""
    finished = run_program("lose", start_method)
    assert (finished.returncode, finished.stderr) == (0, "")
    (line,) = [line for line in finished.stdout.splitlines() if line.startswith("more files: ")]
    assert int(line.removeprefix("more files: ")) <= 2


def test_too_few_file_descriptors_are_an_engine_error_and_leave_nothing() -> None:
    finished = run_program("starve", "default")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "cannot be started: [Errno 24] Too many open files" in finished.stdout
    assert finished.stdout.splitlines()[-1] == "children left: 0"


def test_a_closed_engine_is_no_engine() -> None:
    engine = ProcessEngine(1, echo_worker.main, None)
    with pytest.raises(EngineError, match="not started, or closed"):
        engine.poll(0.0)
