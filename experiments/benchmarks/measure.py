"""How benchmarks measure: sides take turns in one process, and memory is what a side holds at its worst.

Example:
    >>> seconds = take_turns({"one": lambda index: index, "other": lambda index: -index}, repeats=5)
    >>> {name: len(times) for name, times in seconds.items()}
    {'one': 5, 'other': 5}
"""

import os
import statistics
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = [
    "Reference",
    "Timing",
    "load_average",
    "peak_bytes",
    "peak_bytes_from_scratch",
    "peak_bytes_of",
    "proportional_bytes_of",
    "take_paced_turns",
    "take_turns",
    "unshared_bytes_of",
]

_SETTLING_STEPS: Final = 1
"""Untimed steps at the start of a side's turn: the first one finds the cache full of the other sides' data, which
it would not in a training loop of its own."""
_TRIAL_STEPS: Final = 4
_FEWEST_REPEATS, _MOST_REPEATS = 24, 2_000
_TURN_SECONDS: Final = 0.004
_MOST_IN_A_TURN: Final = 20


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one side's steps took.

    Attributes:
        median_us: half of the steps took at most so many microseconds.
        tenth_us: a tenth of them did; on a busy machine nearer to what a quiet one would show.
    """

    median_us: float
    tenth_us: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        """Returns the timing of steps that took so many seconds each, at least one."""
        tenth = sorted(seconds)[len(seconds) // 10]
        return cls(median_us=1e6 * statistics.median(seconds), tenth_us=1e6 * tenth)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a row is compared with, measured in the same run.

    Attributes:
        name: what it is.
        median_us: its median.
        over_fedgdl: its median over fedgdl's.
        least: the goal for that ratio; none without one.
        is_goal_met: whether it is at least that; none without a goal.
    """

    name: str
    median_us: float
    over_fedgdl: float
    least: float | None = None
    is_goal_met: bool | None = None

    @classmethod
    def of(cls, name: str, median_us: float, fedgdl_us: float, least: float | None = None) -> "Reference":
        """Returns the reference with its ratio to fedgdl's median."""
        ratio = median_us / fedgdl_us
        return cls(name, median_us, ratio, least, None if least is None else ratio >= least)


def take_turns(
    steps: Mapping[str, Callable[[int], object]],
    repeats: int,
    *,
    burst: int = 1,
    settling: int = _SETTLING_STEPS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times steps of several sides in turn, so that whatever slows the machine down slows all of them.

    Args:
        steps: each side by name, called with the index of the step, which only grows.
        repeats: how many timed steps each side takes.
        burst: how many of them in a row, before it is the next side's turn.
        settling: untimed steps before each such row.
        clock: tells seconds; `time.process_time` where other programs have the processor at the same time.

    Returns:
        The seconds of each timed step, by side.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    indices = dict.fromkeys(steps, 0)
    for first in range(0, repeats, burst):
        for name, step in steps.items():
            for turn in range(-settling, min(burst, repeats - first)):
                index = indices[name]
                indices[name] = index + 1
                start = clock()
                step(index)
                if turn >= 0:
                    seconds[name].append(clock() - start)
    return seconds


def take_paced_turns(
    steps: Mapping[str, Callable[[int], object]], repeats: int | None, seconds: float
) -> dict[str, list[float]]:
    """Times steps of several sides in turn, in turns long enough that settling hardly counts.

    Args:
        steps: as for `take_turns`.
        repeats: how many timed steps each side takes; none for as many as fit, 24 to 2,000.
        seconds: into how much time they are to fit.

    Returns:
        The seconds of each timed step, by side.
    """
    trial = take_turns(steps, _TRIAL_STEPS, burst=_TRIAL_STEPS)
    medians = [statistics.median(times) for times in trial.values()]
    burst = max(2, min(_MOST_IN_A_TURN, int(_TURN_SECONDS / min(medians))))
    if repeats is None:
        fitting = int(seconds / sum(medians) * burst / (burst + _SETTLING_STEPS))
        repeats = max(_FEWEST_REPEATS, min(_MOST_REPEATS, fitting))
    return take_turns(steps, repeats, burst=burst)


def load_average() -> float | None:
    """Returns how many processes wanted the processor in the last minute; none where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def unshared_bytes_of(process_id: int) -> int:
    """Returns the memory that no other process maps, as Linux accounts for it; 0 elsewhere."""
    return _memory_of(process_id, "smaps_rollup", ("Private_Clean", "Private_Dirty"))


def proportional_bytes_of(process_id: int) -> int:
    """Returns the memory of a process, what it shares with others divided by them; 0 where Linux does not tell."""
    return _memory_of(process_id, "smaps_rollup", ("Pss",))


def peak_bytes_of(process_id: int) -> int:
    """Returns the most memory that a process has had so far, shared libraries included; 0 where Linux does not tell."""
    return _memory_of(process_id, "status", ("VmHWM",))


def _memory_of(process_id: int, file: str, fields: tuple[str, ...]) -> int:
    try:
        lines = Path(f"/proc/{process_id}/{file}").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.split(":")[0] in fields)


def peak_bytes(step: Callable[[], object]) -> int:
    """Returns the most that one call holds at a time of what it allocates."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_bytes_from_scratch(make: Callable[[], Callable[[int], object]], num_steps: int) -> int:
    """Returns the most that some steps hold at a time, all that the side keeps for them included.

    In a thread of its own, where no memory is kept from earlier work that the steps could use again.

    Args:
        make: makes the side and returns its step, called with the index of the step.
        num_steps: how many steps to take.
    """
    peaks: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            step = make()
            tracemalloc.reset_peak()
            for index in range(num_steps):
                step(index)
            peaks.append(tracemalloc.get_traced_memory()[1])
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits)
            errors.append(error)

    tracemalloc.start()
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        tracemalloc.stop()
    if errors:
        raise errors[0]
    return peaks[0]
