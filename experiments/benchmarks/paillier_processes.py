"""Processes that encrypt: two against one, and three ways for them to have a key's table.

They are spawned, as workers of a run are, and have their tables before anything is timed.

Not here: what one process does by itself (`paillier_key`).

Example:
    >>> 2 * Job(b"", 100, 7, 1).size
    200
"""

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from experiments.benchmarks.measure import peak_bytes_of, take_turns, unshared_bytes_of
from experiments.benchmarks.paillier_report import TableRow, TwoProcesses
from experiments.benchmarks.paillier_tables import copied, mapped, table_bytes
from fedgdl.crypto.paillier import (
    Obfuscators,
    Packing,
    PaillierPublicKey,
    TableObfuscators,
    encrypt_vector,
)
from fedgdl.crypto.paillier.lanes import lanes_are_available
from fedgdl.errors import RunFailed
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread
from fedgdl.seeding import stream

__all__ = ["Job", "codes", "measure_tables", "measure_two_processes", "started"]

JobT = TypeVar("JobT")

_SEED: Final = 12345
_PATIENCE_SECONDS: Final = 300.0
"""A process that has not answered by then is given up."""

_END_SECONDS: Final = 5.0
_GONE: Final = "a process that was to encrypt has ended, or does not answer"
_TABLE_SAMPLE: Final = 96
_BUILT: Final = "built by itself"
_COPIED: Final = "copied from shared memory when it starts"
_MAPPED: Final = "left in shared memory"


@dataclass(frozen=True, slots=True)
class Job:
    """What the processes encrypt.

    Attributes:
        public_key: as `PaillierPublicKey.to_bytes` writes it.
        size: weights of the vector.
        sum_bits: that a slot has room for.
        max_code: the largest weight's code.
        block_name: of the shared memory with the powers of the key's base; empty: the process builds its table.
    """

    public_key: bytes
    size: int
    sum_bits: int
    max_code: int
    block_name: str = ""


def codes(size: int, max_code: int) -> npt.NDArray[np.uint32]:
    """Returns the same (size,) random codes in every process, the largest, `max_code`, and 0 in front."""
    drawn = stream(_SEED, "benchmark of paillier").integers(0, max_code, size, np.uint32, endpoint=True)
    drawn[:2] = [max_code, 0][:size]
    return drawn


def measure_two_processes(job: Job, repeats: int, least: float | None) -> TwoProcesses:
    """Has one process, and two, encrypt a vector in turn.

    Raises:
        RunFailed: a process ended, or gave other than so many ciphertexts.
    """
    public_key = PaillierPublicKey.from_bytes(job.public_key)
    packing = Packing(job.size, job.sum_bits, public_key.plaintext_bits)
    middle = min(job.size, packing.num_plaintexts // 2 * packing.slots_per_plaintext)
    with contextlib.ExitStack() as ends:
        first, second = (ends.enter_context(started(_encrypt, job)) for _ in range(2))
        for process in (first, second):
            process.answer()

        def one(_: int) -> None:
            first.ask((0, job.size))
            _check(first.answer(), packing.num_plaintexts, public_key)

        def two(_: int) -> None:
            second.ask((middle, job.size))
            first.ask((0, middle))
            _check(first.answer() + second.answer(), packing.num_plaintexts, public_key)

        seconds: dict[str, list[float]] = {"one": [], "two": []}
        for _ in watched(range(repeats), f"{public_key.num_bits} bits: two processes"):
            for name, times in take_turns({"one": one, "two": two}, 1, settling=0).items():
                seconds[name] += times
        peak = max(peak_bytes_of(process.process_id) for process in (first, second))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    gain = medians["one"] / medians["two"]
    is_goal_met = None if least is None else gain >= least
    return TwoProcesses(repeats, medians["one"], medians["two"], gain, least, is_goal_met, peak)


def measure_tables(job: Job, repeats: int) -> tuple[TableRow, ...]:
    """Has one process get ready in three ways, and encrypt a sample in turn.

    Raises:
        RunFailed: the process ended.
    """
    public_key = PaillierPublicKey.from_bytes(job.public_key)
    table = table_bytes(TableObfuscators(public_key))
    block = SharedMemory(create=True, size=len(table))
    try:
        _view(block)[: len(table)] = table
        with started(_compare_tables, replace(job, block_name=block.name)) as process:
            process.ask(repeats)
            return tuple(TableRow(*values) for values in process.answer())
    finally:
        block.close()
        block.unlink()


def _check(data: bytes, num_ciphertexts: int, public_key: PaillierPublicKey) -> None:
    if len(data) != num_ciphertexts * public_key.ciphertext_bytes:
        message = f"{len(data):,} bytes came back, which are not {num_ciphertexts:,} ciphertexts"
        raise RunFailed(message)


def _encrypt(connection: "Connection[Any, Any]", job: Job) -> None:
    """The program of a process that encrypts the slots it is asked for."""
    public_key = PaillierPublicKey.from_bytes(job.public_key)
    vector, table = codes(job.size, job.max_code), TableObfuscators(public_key)
    encrypt_vector(public_key, Packing(1, job.sum_bits, public_key.plaintext_bits), vector[:1], table)
    connection.send(b"ready")
    while (asked := connection.recv()) is not None:
        part = vector[slice(*asked)]
        packing = Packing(len(part), job.sum_bits, public_key.plaintext_bits)
        connection.send(encrypt_vector(public_key, packing, part, table))


def _compare_tables(connection: "Connection[Any, Any]", job: Job) -> None:
    """The program of a process that gets ready in three ways."""
    public_key = PaillierPublicKey.from_bytes(job.public_key)
    packing = _sample(job, public_key)
    vector, repeats = codes(packing.size, job.max_code), connection.recv()
    memory = SharedMemory(job.block_name)
    block = _view(memory)
    made: list[TableObfuscators] = []
    lanes_are_available()  # compiled once in a process, whatever its table: not to be counted to the first one's
    ways: dict[str, Callable[[], TableObfuscators]] = {
        _BUILT: lambda: TableObfuscators(public_key),
        _COPIED: lambda: copied(made[0], block),
        _MAPPED: lambda: mapped(made[0], block),
    }
    ready: dict[str, tuple[float, int]] = {}
    steps: dict[str, Callable[[int], object]] = {}
    for how, make in ways.items():
        before, began = unshared_bytes_of(_own_id()), time.process_time()
        made.append(make())
        ready[how] = time.process_time() - began, max(0, unshared_bytes_of(_own_id()) - before)
        steps[how] = _encrypting(public_key, packing, vector, made[-1])
    seconds = take_turns(steps, repeats, settling=0, clock=time.process_time)
    us = {how: 1e6 * statistics.median(times) / packing.size for how, times in seconds.items()}
    connection.send([(how, *ready[how], us[how]) for how in ways])
    connection.recv()
    made.clear()
    steps.clear()  # what looks into the block is to be gone before it is closed
    block.release()
    memory.close()


def _encrypting(
    public_key: PaillierPublicKey, packing: Packing, vector: npt.NDArray[np.uint32], obfuscators: Obfuscators
) -> Callable[[int], object]:
    return lambda _: encrypt_vector(public_key, packing, vector, obfuscators)


def _sample(job: Job, public_key: PaillierPublicKey) -> Packing:
    """Returns the packing of as many weights as a sample has."""
    slots = Packing(1, job.sum_bits, public_key.plaintext_bits).slots_per_plaintext
    return Packing(min(job.size, _TABLE_SAMPLE * slots), job.sum_bits, public_key.plaintext_bits)


def _view(memory: SharedMemory) -> memoryview:
    return memoryview(memory.buf or b"")


def _own_id() -> int:
    return multiprocessing.current_process().pid or 0


class _Process:
    """A process that answers whatever it is asked, one thing after the other."""

    def __init__(self, connection: "Connection[Any, Any]", process_id: int) -> None:
        self._connection = connection
        self.process_id = process_id

    def ask(self, what: object) -> None:
        """Sends a question; none ends the process."""
        try:
            self._connection.send(what)
        except OSError as error:
            raise RunFailed(_GONE) from error

    def answer(self) -> Any:  # noqa: ANN401 (whatever the program sends)
        """Returns the next answer."""
        try:
            if self._connection.poll(_PATIENCE_SECONDS):
                return self._connection.recv()
        except (EOFError, OSError) as error:
            raise RunFailed(_GONE) from error
        raise RunFailed(_GONE)


@contextlib.contextmanager
def started(program: Callable[["Connection[Any, Any]", JobT], None], job: JobT) -> Iterator[_Process]:
    """Yields a new process that runs a program; it is asked to end with the context.

    Args:
        program: called there with its end of a pipe and the job; one that is asked for nothing ends.
        job: whatever it needs.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(program, there, job), daemon=True)
    process.start()
    there.close()
    talking = _Process(here, process.pid or 0)
    try:
        yield talking
        talking.ask(None)
    finally:
        here.close()
        process.join(_END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _run(
    program: Callable[["Connection[Any, Any]", JobT], None], connection: "Connection[Any, Any]", job: JobT
) -> None:
    """Runs a program until nobody asks any more; Ctrl-C is for its parent, which hears it, too."""
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError), one_blas_thread(), connection:
        program(connection, job)
