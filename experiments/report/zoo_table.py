"""Tables of what recipes of the zoo measured beside what was expected: for a terminal, and as a page for the docs.

Not here: the results (`experiments.zoo_runs`).

Example:
    >>> in_words(0.30250000000000005), in_words([1.0, 2.5]), in_words(None)
    ('0.3025', '1, 2.5', '')
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from experiments.zoo_runs import Number, RecipeResult, ResultRow

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["in_words", "markdown_page", "result_table", "summary_in_words", "totals"]

_MAX_VALUES: Final = 4
_DIGITS: Final = 10
"""Values are shown with so many significant digits, and so many of several; JSON has all of them."""

_STYLES: Final = {"met": "green", "missed": "bold red", "skipped": "yellow"}

_INTRODUCTION: Final = """\
# The zoo: the book's experiments, measured

Every section of A. W. Trask, *Grokking Deep Learning* (Manning, 2019), chapters 3 to 15, that has a model or an
experiment is a recipe here, or a row of one. What is expected comes from the book ("book"), from an independent
computation with the mathematics right ("derived"), or is a bound that the recipe sets itself ("goal"). Recipes whose
names end in `-as-printed` repeat a defect of the book on purpose; [errata](errata.md) explains each.

```pycon
>>> from experiments.zoo_runs import run_recipe
>>> from fedgdl.zoo.recipe import Setting
>>> from fedgdl.zoo.registry import find_recipe
>>> result, outcome = run_recipe(find_recipe("ch04-compare"), Setting())
>>> result.is_good
True

```

This page is written by `fedgdl zoo table DIR` from the results that `fedgdl zoo run --all` keeps in a folder.
"""


def in_words(value: Number | None, digits: int = _DIGITS) -> str:
    """Returns a value for a table: numbers with 10 significant digits, of many values the first two and the last."""
    if value is None:
        return ""
    if isinstance(value, list):
        if len(value) <= _MAX_VALUES:
            return ", ".join(in_words(item, digits) for item in value)
        shown = [in_words(item, digits) for item in (*value[:2], value[-1])]
        return f"{shown[0]}, {shown[1]}, ... {shown[2]} ({len(value)})"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def totals(results: Iterable[RecipeResult]) -> dict[str, int]:
    """Returns how many recipes there are, how many failed, and how many rows were met, missed and skipped."""
    listed = list(results)
    return {
        "recipes": len(listed),
        "failed": sum(result.status == "failed" for result in listed),
        **{status: sum(result.count(status) for result in listed) for status in _STYLES},
    }


def summary_in_words(results: Sequence[RecipeResult], seconds: float) -> str:
    """Returns the last line of a run: recipes, rows and seconds."""
    counts = totals(results)
    failed = f" ({counts['failed']} failed)" if counts["failed"] else ""
    recipes = f"{counts['recipes']} {'recipe' if counts['recipes'] == 1 else 'recipes'}{failed}"
    rows = ", ".join(f"{counts[status]} {status}" for status in _STYLES)
    return f"{recipes}: {rows}; {seconds:.1f} s"


def result_table(result: RecipeResult) -> "Table":
    """Returns a table with a row for each expectation of one recipe."""
    from rich import box
    from rich.table import Table
    from rich.text import Text  # as it is: in markup, brackets would be lost

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("what", "expected", "tolerance", "measured", "origin", ""):
        table.add_column(heading, overflow="fold")
    for row in result.rows:
        expected, measured = _beside(row)
        status = Text(_status(row, result), style=_STYLES[row.status])
        table.add_row(Text(row.what), Text(expected), row.tolerance, Text(measured), row.origin, status)
    return table


def markdown_page(results: Sequence[RecipeResult]) -> str:
    """Returns docs/zoo.md: a table for each chapter, and what it was measured with."""
    lines = [_INTRODUCTION]
    lines += [f"{summary_in_words(results, sum(result.seconds for result in results))} in all, on one core each.", ""]
    if results:
        lines += [
            f"Measured with {', '.join(f'{name} {version}' for name, version in results[0].versions.items())}.",
            "",
        ]
    if any(result.is_quick for result in results):
        lines += ["These are quick runs: what only a full run measures is skipped.", ""]
    for chapter in sorted({result.chapter for result in results}):
        of_chapter = [result for result in results if result.chapter == chapter]
        lines += [f"## Chapter {chapter}", "", "| recipe | what | expected | measured | origin | |", f"|{' --- |' * 6}"]
        for result in of_chapter:
            lines += _markdown_rows(result)
        data = {result.data: None for result in of_chapter if result.data}
        lines += ["", *(f"Data: {line}." for line in data), *([""] if data else [])]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_rows(result: RecipeResult) -> list[str]:
    if result.status == "failed":
        return [_cells((f"`{result.name}`", result.error.strip().splitlines()[-1], "", "", "", "failed"))]
    lines = []
    for index, row in enumerate(result.rows):
        expected, measured = _beside(row)
        name = f"`{result.name}`" if index == 0 else ""
        bound = f"{expected} {row.tolerance}".strip()
        lines.append(_cells((name, row.what, bound, measured, row.origin, _status(row, result))))
    return lines


def _cells(texts: Iterable[str]) -> str:
    escaped = (text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for text in texts)
    return f"| {' | '.join(escaped)} |"


def _beside(row: ResultRow) -> tuple[str, str]:
    """Returns expected and measured in words, with all digits where ten would hide why it was missed."""
    texts = in_words(row.expected), in_words(row.measured)
    if row.status == "missed" and texts[0] == texts[1]:
        return in_words(row.expected, 17), in_words(row.measured, 17)
    return texts


def _status(row: ResultRow, result: RecipeResult) -> str:
    if row.status != "skipped":
        return row.status
    return "skipped (generated data)" if result.data_is_synthetic and row.needs_real_data else "skipped (quick)"
