"""Reports of benchmarks as tables for a person."""

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from experiments.benchmarks.cohort import CohortReport
    from experiments.benchmarks.core import CoreReport
    from experiments.benchmarks.paillier_report import EncryptedRun, KeyReport
    from experiments.benchmarks.secagg_report import SecaggReport

__all__ = [
    "cohort_table",
    "core_table",
    "encrypted_run_table",
    "paillier_table",
    "secagg_rounds_table",
    "secagg_table",
    "shared_tables_table",
]


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


def paillier_table(report: "KeyReport", size: int) -> Table:
    """Returns a row for each part, with its time a weight, what phe takes for a value, and goals."""
    table = Table(
        title=f"{report.key_bits:,}-bit keys, {size:,} weights in {report.num_ciphertexts:,} ciphertexts: "
        "median us a weight (10th percentile)",
        title_justify="left",
    )
    table.add_column("part")
    for heading in ("us a weight", "clock", "ciphertexts", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("compared with", overflow="fold")
    for heading in ("us", "over fedgdl", "goal"):
        table.add_column(heading, justify="right")
    named = [("", row) for row in report.rows] + [(", no lanes", row) for row in report.rows_without_lanes]
    for suffix, row in named:
        times = f"{row.fedgdl.median_us:.3g} ({row.fedgdl.tenth_us:.3g})"
        goal = "" if row.most_us is None else f"<= {row.most_us:g} {_verdict(is_met=row.is_goal_met)}"
        cells = [f"{row.name}{suffix}", times, row.clock, f"{row.num_ciphertexts:,}", goal]
        for reference in row.references:
            least = (
                "" if reference.least is None else f">= {reference.least:,g} {_verdict(is_met=reference.is_goal_met)}"
            )
            cells += [reference.name, f"{reference.median_us:,.3g}", f"{reference.over_fedgdl:,.3g}", least]
        table.add_row(*cells)
    return table


def shared_tables_table(report: "KeyReport") -> Table:
    """Returns a row for each way for a process to have the table of a key's powers."""
    title = f"{report.key_bits:,}-bit keys: the table of powers in one more process, median CPU times"
    table = Table(title=title, title_justify="left")
    table.add_column("the table is")
    for heading in ("ready in s", "MB of its own", "us a weight to encrypt"):
        table.add_column(heading, justify="right")
    for row in report.tables:
        table.add_row(row.how, f"{row.ready_seconds:.3f}", f"{row.unshared_bytes / 1e6:.1f}", f"{row.encrypt_us:.3g}")
    return table


def encrypted_run_table(run: "EncryptedRun") -> Table:
    """Returns a row for each of the two runs: seconds in all, and a round's by stages."""
    title = f"{run.what}: {run.num_weights:,} weights, {run.num_rounds} rounds; seconds on the wall"
    table = Table(title=title, title_justify="left")
    table.add_column("updates")
    for heading in ("whole run", "overhead"):
        table.add_column(heading, justify="right")
    stages = list(dict.fromkeys([*run.exact_stages, *run.encrypted_stages]))
    for stage in stages:
        table.add_column(f"{stage}, a round", justify="right")
    goal = "" if run.most_seconds is None else f" (< {run.most_seconds:g} {_verdict(is_met=run.is_goal_met)})"
    for name, seconds, overhead, of_stages in (
        ("in the clear (exact)", run.exact_seconds, "", run.exact_stages),
        (
            f"encrypted, {run.key_bits:,} bits",
            run.encrypted_seconds,
            f"{run.overhead_seconds:.1f}{goal}",
            run.encrypted_stages,
        ),
    ):
        cells = [f"{of_stages[stage]:.2f}" if stage in of_stages else "" for stage in stages]
        table.add_row(name, f"{seconds:.1f}", overhead, *cells)
    return table


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1e3:,.3g}" if microseconds < 1e6 else f"{microseconds / 1e3:,.0f}"


def _timing(median_us: float, tenth_us: float) -> str:
    digits = 1 if median_us < 100 else 0
    return f"{median_us:,.{digits}f} ({tenth_us:,.{digits}f})"


def _verdict(*, is_met: bool | None) -> str:
    return "" if is_met is None else "met" if is_met else "missed"
