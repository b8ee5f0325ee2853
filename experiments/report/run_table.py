"""Finished runs side by side on a terminal: a row each, and only the columns that any of them fills.

Not here: the same as Markdown, with all columns (`experiments.report.summary`).

Example:
    >>> record = {"round_index": 1, "accuracy": 0.5, "loss": 0.7, "seconds": 2.0}
    >>> run = {"name": "mine", "status": "done", "rounds": [record], "config": {}, "data_is_synthetic": True}
    >>> [column.header for column in run_table([RunSummary.of(run)]).columns]
    ['run', 'rounds', 's', 'accuracy', 'loss']
"""

from collections.abc import Sequence
from typing import Final

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from experiments.report.summary import HEADINGS, RunSummary

__all__ = ["print_runs", "run_table"]

_NOTES: Final = {
    "central": "central: test accuracy of training in one place",
    "gap": "gap: points of central training above federated",
    "local": "local: mean test accuracy of clients that trained alone",
}
"""What a heading does not say by itself."""

_MAX_WIDTH: Final = 1_000
"""Characters; more than any table needs."""


def run_table(summaries: Sequence[RunSummary]) -> Table:
    """Returns the table; runs on generated data are marked with an asterisk, which a line below explains."""
    rows = [(_name(summary), *summary.cells()[1:]) for summary in summaries]
    filled = [position for position, cells in enumerate(zip(*rows, strict=True)) if any(cells)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for position in filled:
        heading = HEADINGS[position]
        table.add_column(heading, justify="left" if heading == "run" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[position] for position in filled))
    return table


def print_runs(summaries: Sequence[RunSummary], console: Console) -> None:
    """Prints the table and its notes, a line each; a console that is too narrow is widened: nothing is cut off."""
    table = run_table(summaries)
    needed = Measurement.get(console, console.options.update(max_width=_MAX_WIDTH), table).maximum
    console.width = max(console.width, needed)
    console.print(table)
    notes = [_NOTES[str(column.header)] for column in table.columns if column.header in _NOTES]
    if any(summary.is_synthetic for summary in summaries):
        notes.append("* generated data: these numbers say nothing about real data")
    for note in ("", *notes) if notes else ():
        console.print(note, soft_wrap=True)


def _name(summary: RunSummary) -> str:
    return f"{summary.name} *" if summary.is_synthetic else summary.name
