"""What `fedgdl bench core` measured: for each row three sides, their ratios, and whether the goals are met."""

import contextlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from experiments.benchmarks.core.by_hand import by_hand
from experiments.benchmarks.core.comparison import (
    NUM_STEPS,
    TOLERANCE,
    TOLERANCE_WITH_BENDS,
    check_agreement,
    looping,
)
from experiments.benchmarks.core.with_fedgdl import with_fedgdl
from experiments.benchmarks.core.workload import Batch, Side, Weights, Workload
from experiments.benchmarks.core.workloads import WORKLOADS
from experiments.benchmarks.measure import Timing, peak_bytes_from_scratch, take_paced_turns, take_turns
from experiments.environment import blas_libraries, machine, versions
from fedgdl.config.explanation import nearest
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread
from fedgdl.seeding import stream

__all__ = [
    "GOAL_OVER_BY_HAND",
    "GOAL_TORCH_OVER_FEDGDL",
    "Contest",
    "CoreReport",
    "CoreRow",
    "agreeing",
    "choose",
    "measure_row",
    "run",
    "single_threaded",
]

GOAL_OVER_BY_HAND: Final = 1.25
"""fedgdl's median step may take at most so many times what the one by hand takes."""
GOAL_TORCH_OVER_FEDGDL: Final = 1.0
"""PyTorch's median step must take more than so many times what fedgdl's takes."""

_NUM_BATCHES: Final = 4
_DRAWS_WITH_BENDS: Final = 3
_SEED: Final = 12345
_ROW_SECONDS: Final = 6.0


@dataclass(frozen=True, slots=True)
class CoreRow:
    """One workload's result.

    Attributes:
        name: of the workload.
        what: the model, its shapes and its batch, in words.
        repeats: how many steps of each side were timed.
        by_hand: the step by hand.
        fedgdl: the step on fedgdl's core.
        torch: the step in PyTorch, eager; none where it is not installed.
        torch_variant: which way of writing it was the fastest.
        fedgdl_over_by_hand: ratio of medians, at most `GOAL_OVER_BY_HAND` where the goal is met.
        torch_over_fedgdl: ratio of medians, above `GOAL_TORCH_OVER_FEDGDL` where the goal is met.
        is_by_hand_goal_met: the first goal.
        is_torch_goal_met: the second one; none without PyTorch.
        by_hand_peak_bytes: the most that a step by hand holds beyond weights and batch, kept buffers included.
        fedgdl_peak_bytes: the same of fedgdl.
        largest_difference: between the sides, measured as `comparison.TOLERANCE` says.
    """

    name: str
    what: str
    repeats: int
    by_hand: Timing
    fedgdl: Timing
    torch: Timing | None
    torch_variant: str | None
    fedgdl_over_by_hand: float
    torch_over_fedgdl: float | None
    is_by_hand_goal_met: bool
    is_torch_goal_met: bool | None
    by_hand_peak_bytes: int
    fedgdl_peak_bytes: int
    largest_difference: float


@dataclass(frozen=True, slots=True)
class CoreReport:
    """All rows, and where they were measured.

    Attributes:
        rows: in the order of the workloads.
        dtype: of weights and activations.
        tolerance: how far sides might have lain apart after `num_common_steps` steps, measured as in `comparison`.
        tolerance_with_bends: the same for models with relu or a maximum.
        num_common_steps: how many steps all sides took before they were timed.
        goal_over_by_hand: `GOAL_OVER_BY_HAND`.
        goal_torch_over_fedgdl: `GOAL_TORCH_OVER_FEDGDL`.
        machine: processor and operating system.
        blas: NumPy's linear-algebra libraries with their kernels, and the number of threads the steps had.
        versions: of Python, NumPy, fedgdl, and of SciPy, numba and PyTorch if they are there.
    """

    rows: tuple[CoreRow, ...]
    dtype: str
    tolerance: float
    tolerance_with_bends: float
    num_common_steps: int
    goal_over_by_hand: float
    goal_torch_over_fedgdl: float
    machine: str
    blas: tuple[dict[str, Any], ...]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)


def choose(names: Sequence[str]) -> tuple[Workload, ...]:
    """Returns the workloads of these names in their own order; all of them for no names.

    Raises:
        ConfigError: there is no such workload; the message has the name nearest in spelling.
    """
    known = [workload.name for workload in WORKLOADS]
    for name in names:
        if name not in known:
            message = f"no row is called {name!r}{nearest(name, known)} There are: {', '.join(known)}"
            raise ConfigError(message)
    return tuple(workload for workload in WORKLOADS if not names or workload.name in names)


def run(names: Sequence[str] = (), repeats: int | None = None) -> CoreReport:
    """Measures some rows, or all.

    Args:
        names: which rows; none of them means all.
        repeats: how many steps of each side to time, at least 1; left out, as many as fit into some seconds a row.

    Raises:
        ConfigError: there is no such row, or `repeats` is not positive.
        RunFailed: two sides do not compute the same.
    """
    if repeats is not None and repeats < 1:
        message = f"a benchmark needs at least 1 repeat, got {repeats}"
        raise ConfigError(message)
    workloads = choose(names)
    with single_threaded():
        return CoreReport(
            rows=tuple(measure_row(workload, repeats) for workload in watched(workloads, "rows")),
            dtype="float32",
            tolerance=TOLERANCE,
            tolerance_with_bends=TOLERANCE_WITH_BENDS,
            num_common_steps=NUM_STEPS,
            goal_over_by_hand=GOAL_OVER_BY_HAND,
            goal_torch_over_fedgdl=GOAL_TORCH_OVER_FEDGDL,
            machine=machine(),
            blas=tuple(blas_libraries()),
            versions=_versions(),
        )


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Has every side compute on one thread within this context."""
    with contextlib.ExitStack() as context:
        if _has_torch():
            from experiments.benchmarks.core.with_torch import one_thread

            context.enter_context(one_thread())
        context.enter_context(one_blas_thread())
        yield


def measure_row(workload: Workload, repeats: int | None) -> CoreRow:
    """Compares, weighs and times the sides of one workload.

    Raises:
        RunFailed: two sides do not compute the same.
    """
    contest = agreeing(workload)
    start, batches, sides, torch_sides = contest.start, contest.batches, contest.sides, contest.torch_sides
    variant = _fastest(torch_sides, batches)
    if variant is not None:
        sides["torch"] = torch_sides[variant]
    steps = {name: looping(side, batches) for name, side in sides.items()}
    seconds = take_paced_turns(steps, repeats, _ROW_SECONDS)
    timings = {name: Timing.of(times) for name, times in seconds.items()}
    hand, ours, torch = timings["by hand"], timings["fedgdl"], timings.get("torch")
    over_by_hand = ours.median_us / hand.median_us
    over_fedgdl = None if torch is None else torch.median_us / ours.median_us
    held = sum(array.nbytes for array in start.values())
    return CoreRow(
        name=workload.name,
        what=workload.what,
        repeats=len(seconds["by hand"]),
        by_hand=hand,
        fedgdl=ours,
        torch=torch,
        torch_variant=None if variant is None else variant.removeprefix("torch, "),
        fedgdl_over_by_hand=over_by_hand,
        torch_over_fedgdl=over_fedgdl,
        is_by_hand_goal_met=over_by_hand <= GOAL_OVER_BY_HAND,
        is_torch_goal_met=None if over_fedgdl is None else over_fedgdl > GOAL_TORCH_OVER_FEDGDL,
        by_hand_peak_bytes=peak_bytes_from_scratch(lambda: looping(by_hand(workload, start), batches), 2) - held,
        fedgdl_peak_bytes=peak_bytes_from_scratch(lambda: looping(with_fedgdl(workload, start), batches), 2) - held,
        largest_difference=contest.largest_difference,
    )


@dataclass(frozen=True, slots=True)
class Contest:
    """Sides that were shown to agree.

    Attributes:
        start: the weights that all of them started from.
        batches: what they trained on.
        sides: by hand and fedgdl, by name.
        torch_sides: the variants in PyTorch, by name; empty where it is not installed.
        largest_difference: between the first side and any other, measured as `comparison.TOLERANCE` says.
    """

    start: Weights
    batches: list[Batch]
    sides: dict[str, Side]
    torch_sides: dict[str, Side]
    largest_difference: float


def agreeing(workload: Workload) -> Contest:
    """Returns sides that agree.

    With relu in the model a few draws are tried: a hidden unit that is zero but for rounding is on for one
    side and off for the other, and their ways part. That happens to one draw in some tens; a wrong
    gradient is wrong on all of them.

    Raises:
        RunFailed: they do not.
    """
    if workload.has_bends:
        for index in range(_DRAWS_WITH_BENDS - 1):
            with contextlib.suppress(RunFailed):
                return _draw(workload, index, TOLERANCE_WITH_BENDS)
        return _draw(workload, _DRAWS_WITH_BENDS - 1, TOLERANCE_WITH_BENDS)
    return _draw(workload, 0, TOLERANCE)


def _draw(workload: Workload, index: int, tolerance: float) -> Contest:
    """Draws start weights and batches, and has all sides take some steps from there."""
    rng = stream(_SEED, f"benchmark of {workload.name}", round_index=index)
    start = workload.draw_weights(rng)
    batches = [workload.draw_batch(rng) for _ in range(_NUM_BATCHES)]
    sides = {"by hand": by_hand(workload, start), "fedgdl": with_fedgdl(workload, start)}
    torch_sides = _torch_sides(workload, start)
    difference = check_agreement({**sides, **torch_sides}, start, batches, tolerance)
    return Contest(start, batches, sides, torch_sides, difference)


def _versions() -> dict[str, str]:
    """Returns the versions of all that computes, as far as it is installed."""
    found = versions()
    for name in ("scipy", "numba"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    if _has_torch():
        from experiments.benchmarks.core.with_torch import VERSION

        found["torch"] = VERSION
    return found


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _torch_sides(workload: Workload, start: Weights) -> dict[str, Side]:
    if not _has_torch():
        return {}
    from experiments.benchmarks.core.with_torch import variants

    return {f"torch, {name}": side for name, side in variants(workload, start).items()}


def _fastest(sides: Mapping[str, Side], batches: Sequence[Batch]) -> str | None:
    """Returns which side is the fastest by a short trial; none of none."""
    if not sides:
        return None
    steps = {name: looping(side, batches) for name, side in sides.items()}
    seconds = take_turns(steps, 12, burst=4)
    return min(seconds, key=lambda name: Timing.of(seconds[name]).median_us)
