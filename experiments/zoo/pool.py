"""Worker processes that run recipes of the zoo side by side, one BLAS thread each.

    this process --name of a recipe--> pipe --> worker      which finds the recipe by its name
    this process <--progress, result-- pipe <-- worker      as JSON

A worker that dies costs the recipe it was at; another takes its place. Workers are spawned, ignore Ctrl-C and end
with this process, however that ends.

Not here: what a recipe does or keeps (`experiments.zoo.runs`).
"""

import contextlib
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from experiments.zoo.results import RecipeResult, failed_result
from experiments.zoo.runs import Hear, run_and_keep
from fedgdl.runtime import blas_environment, ignore_interrupts, interrupts_deferred
from fedgdl.zoo.recipe import Setting
from fedgdl.zoo.registry import find_recipe

__all__ = ["run_in_processes"]

_END_SECONDS: Final = 5.0
_TELL_SECONDS: Final = 0.1
"""Progress is told at most this often."""

Pipe: TypeAlias = "Connection[bytes, bytes]"


class _Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a worker is with its recipe."""

    name: str
    done: int
    total: int


class _Finished(msgspec.Struct, frozen=True, tag="finished"):
    """A recipe's result."""

    result: RecipeResult


_Message: TypeAlias = _Progress | _Finished


@dataclass(slots=True)
class _Worker:
    """A worker process, this end of its pipe, the recipe it is at, and those that it is to run after it."""

    process: BaseProcess
    pipe: Pipe
    reference: str
    began: float
    rest: deque[str]


def run_in_processes(
    batches: Iterable[Iterable[str]], setting: Setting, folder: Path, workers: int, hear: Hear
) -> Generator[RecipeResult]:
    """Runs recipes in so many processes at once, in the order given, and yields their results as they come.

    The recipes of a batch run one after the other in one process. A recipe whose process dies has failed; the others
    go on. Once the iterator is closed no process is left.
    """
    waiting, busy = deque(map(deque, batches)), list[_Worker]()
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                busy.append(_start(waiting.popleft(), setting, folder))
            sources: dict[Any, _Worker] = {worker.pipe: worker for worker in busy}
            sources |= {worker.process.sentinel: worker for worker in busy}
            for worker in {id(found): found for found in (sources[source] for source in wait(list(sources)))}.values():
                result = _hear_from(worker, setting, hear)
                if result is None:
                    continue
                if worker.rest:
                    waiting.appendleft(worker.rest)
                if waiting and worker.process.is_alive():
                    _assign(worker, waiting.popleft())
                else:
                    busy.remove(worker)
                    _end(worker)
                yield result
    finally:
        with interrupts_deferred():
            for worker in busy:
                worker.process.kill()
                _end(worker)


def _start(batch: deque[str], setting: Setting, folder: Path) -> _Worker:
    here, there = multiprocessing.Pipe(duplex=True)
    process = multiprocessing.get_context("spawn").Process(
        target=_work, args=(there, setting, folder), name=f"zoo {batch[0]}", daemon=True
    )
    with there, blas_environment(threads=1), interrupts_deferred():
        process.start()
    worker = _Worker(process, here, "", 0.0, deque())
    _assign(worker, batch)
    return worker


def _assign(worker: _Worker, batch: deque[str]) -> None:
    """Gives a worker the first recipe of a batch, and keeps the others for it."""
    worker.reference, worker.rest, worker.began = batch.popleft(), batch, time.perf_counter()
    with contextlib.suppress(OSError):  # it has died: its sentinel says so
        worker.pipe.send_bytes(worker.reference.encode())


def _hear_from(worker: _Worker, setting: Setting, hear: Hear) -> RecipeResult | None:
    """Returns the result of a worker's recipe if it has come, also when the worker has died over it."""
    try:
        while worker.pipe.poll():
            message = msgspec.json.decode(worker.pipe.recv_bytes(), type=_Message)
            if isinstance(message, _Finished):
                return message.result
            hear(message.name, message.done, message.total)
    except (EOFError, OSError):  # it has died, or soon will have
        worker.process.join(_END_SECONDS)
        worker.process.kill()
        worker.process.join(_END_SECONDS)
    if worker.process.is_alive():
        return None
    return _lost(worker, setting)


def _lost(worker: _Worker, setting: Setting) -> RecipeResult:
    """Returns the result of a recipe whose process has died."""
    code = worker.process.exitcode
    cause = "killed by a signal, for want of memory perhaps" if code is not None and code < 0 else "it ended by itself"
    error = f"its process is gone: {cause} (exit code {code})"
    result = failed_result(find_recipe(worker.reference), setting, error)
    return msgspec.structs.replace(result, seconds=round(time.perf_counter() - worker.began, 3))


def _end(worker: _Worker) -> None:
    """Closes a worker's pipe, upon which it ends, and makes sure that it does."""
    worker.pipe.close()
    worker.process.join(_END_SECONDS)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join(_END_SECONDS)


def _work(pipe: Pipe, setting: Setting, folder: Path) -> None:
    """Runs recipes until the pipe is closed: the program of a worker process."""
    ignore_interrupts()
    _end_with_parent()
    told = 0.0

    def tell(name: str, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > _TELL_SECONDS or done == total:
            told = time.monotonic()
            pipe.send_bytes(msgspec.json.encode(_Progress(name, done, total)))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # nobody wants any more
        while True:
            reference = pipe.recv_bytes().decode()
            result = run_and_keep(reference, setting, folder, tell)
            pipe.send_bytes(msgspec.json.encode(_Finished(result)))


def _end_with_parent() -> None:
    """Ends this process, in the middle of whatever it does, as soon as the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
