"""Reports of benchmarks as tables for a person."""

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from experiments.benchmarks.cohort import CohortReport
    from experiments.benchmarks.core import CoreReport
    from experiments.benchmarks.secagg_report import SecaggReport

__all__ = ["cohort_table", "core_table", "secagg_rounds_table", "secagg_table"]


def core_table(report: "CoreReport") -> Table:
    """Returns a row for each workload: medians with the 10th percentile, ratios, goals, memory."""
    table = Table(title=f"one training step, {report.dtype}: median us (10th percentile)", title_justify="left")
    table.add_column("row")
    for heading in ("by hand", "fedgdl", "PyTorch", "fedgdl / hand", "PyTorch / fedgdl", "MB by hand", "MB fedgdl"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        theirs = "" if row.torch is None else f"{_timing(row.torch.median_us, row.torch.tenth_us)} {row.torch_variant}"
        over_fedgdl = "" if row.torch_over_fedgdl is None else f"{row.torch_over_fedgdl:.2f}"
        table.add_row(
            row.name,
            _timing(row.by_hand.median_us, row.by_hand.tenth_us),
            _timing(row.fedgdl.median_us, row.fedgdl.tenth_us),
            theirs,
            f"{row.fedgdl_over_by_hand:.2f} {_verdict(is_met=row.is_by_hand_goal_met)}",
            f"{over_fedgdl} {_verdict(is_met=row.is_torch_goal_met)}",
            f"{row.by_hand_peak_bytes / 1e6:.2f}",
            f"{row.fedgdl_peak_bytes / 1e6:.2f}",
        )
    return table


def cohort_table(report: "CohortReport") -> Table:
    """Returns a row for each model and number of clients: times of a client's step, gain, goal."""
    table = Table(
        title=f"one client's training step, {report.dtype}: median us (10th percentile)", title_justify="left"
    )
    table.add_column("model")
    for heading in ("weights", "clients", "one by one", "stacked", "gain", "goal"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        table.add_row(
            row.what,
            f"{row.num_weights:,}",
            str(row.num_clients),
            _timing(row.loop.median_us, row.loop.tenth_us),
            _timing(row.stacked.median_us, row.stacked.tenth_us),
            f"{row.gain:.1f}",
            "" if row.goal_gain is None else f"{row.goal_gain:.1f} {_verdict(is_met=row.is_goal_met)}",
        )
    return table


def secagg_table(report: "SecaggReport") -> Table:
    """Returns a row for each part and each of its references: CPU times, ratios, goals."""
    table = Table(
        title=f"secure aggregation of {report.size:,} weights: median CPU ms (10th percentile)", title_justify="left"
    )
    table.add_column("part")
    table.add_column("compared with", overflow="fold")
    for heading in ("ms", "GB/s", "over fedgdl", "goal"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        times = f"{_milliseconds(row.fedgdl.median_us)} ({_milliseconds(row.fedgdl.tenth_us)})"
        speed = "" if row.gigabytes_per_second is None else f"{row.gigabytes_per_second:.1f}"
        goal = "" if row.most_us is None else f"<= {_milliseconds(row.most_us)} ms {_verdict(is_met=row.is_goal_met)}"
        table.add_row(row.name, "", times, speed, "", goal)
        for reference in row.references:
            # Of the same bytes: the ratio of the speeds is that of the times.
            theirs = row.gigabytes_per_second and f"{row.gigabytes_per_second / reference.over_fedgdl:.1f}"
            goal = "" if reference.least is None else f">= {reference.least:g} {_verdict(is_met=reference.is_goal_met)}"
            ratio = f"{reference.over_fedgdl:.3g}"
            table.add_row("", reference.name, _milliseconds(reference.median_us), theirs or "", ratio, goal)
    return table


def secagg_rounds_table(report: "SecaggReport") -> Table:
    """Returns a row for each kind of round: seconds without and with protection, goal, and where they go."""
    table = Table(title="a round of mnist, 784-128-10, one epoch: median seconds on the wall", title_justify="left")
    table.add_column("clients")
    for heading in ("rounds", "plain", "secagg", "ratio"):
        table.add_column(heading, justify="right")
    stages = list(report.rounds[0].stages) if report.rounds else []
    for heading in (*stages, "rest"):
        table.add_column(heading, justify="right")
    for row in report.rounds:
        table.add_row(
            row.what,
            str(row.num_rounds),
            f"{row.plain_seconds:.3f}",
            f"{row.secagg_seconds:.3f}",
            f"{row.ratio:.2f} {_verdict(is_met=row.is_goal_met)}",
            *(f"{row.stages[stage]:.3f}" for stage in stages),
            f"{row.rest_seconds:.3f}",
        )
    return table


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1e3:,.3g}" if microseconds < 1e6 else f"{microseconds / 1e3:,.0f}"


def _timing(median_us: float, tenth_us: float) -> str:
    digits = 1 if median_us < 100 else 0
    return f"{median_us:,.{digits}f} ({tenth_us:,.{digits}f})"


def _verdict(*, is_met: bool | None) -> str:
    return "" if is_met is None else "met" if is_met else "missed"
