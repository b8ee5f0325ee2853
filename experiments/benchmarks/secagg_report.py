"""What a benchmark of secure aggregation found.

Not here: measuring it (`secagg`), showing it (`tables`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from experiments.benchmarks.measure import Reference, Timing

__all__ = ["RoundRow", "SecaggReport", "SecaggRow"]


@dataclass(frozen=True, slots=True)
class SecaggRow:
    """One part of a secure aggregation.

    Attributes:
        name: short.
        what: in words.
        repeats: how often it was measured.
        fedgdl: its CPU time.
        gigabytes_per_second: of the masks or vectors it works on; none where it is not about these.
        most_us: the goal for the median; none without one.
        is_goal_met: whether it takes at most that; none without a goal.
        parts: what it is made of: name -> median in microseconds.
        references: what it is compared with.
    """

    name: str
    what: str
    repeats: int
    fedgdl: Timing
    gigabytes_per_second: float | None = None
    most_us: float | None = None
    is_goal_met: bool | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundRow:
    """Whole rounds of `mnist` with and without secure aggregation, in worker processes, by the clock on the wall.

    Attributes:
        what: who takes part.
        num_rounds: how many of either kind, start-up and evaluation not among them.
        plain_seconds, secagg_seconds: medians.
        ratio: of these.
        most: the goal for it.
        is_goal_met: whether it is at most that.
        stages: stage of the secure round -> median seconds.
        rest_seconds: of the secure round outside of the stages: above all unmasking and the model's step.
    """

    what: str
    num_rounds: int
    plain_seconds: float
    secagg_seconds: float
    ratio: float
    most: float
    is_goal_met: bool
    stages: Mapping[str, float]
    rest_seconds: float


@dataclass(frozen=True, slots=True)
class SecaggReport:
    """All rows, and where they were measured.

    Attributes:
        rows: the parts.
        rounds: whole rounds.
        size: weights of the model, except for whole rounds.
        has_vaes: whether the processor has vector instructions for AES; none where the system does not tell.
        load_average: how many processes wanted a core in the minute before; more than there are cores, and caches and
            clock rate are shared with them, so that CPU times are longer, too. None where the system does not tell.
        machine: processor and operating system.
        versions: of Python, NumPy, fedgdl, the cryptographic libraries, and Flower where it is compared with.
    """

    rows: tuple[SecaggRow, ...]
    rounds: tuple[RoundRow, ...]
    size: int
    has_vaes: bool | None
    load_average: float | None
    machine: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)
