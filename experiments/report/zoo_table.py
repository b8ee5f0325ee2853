"""Tables of what recipes of the zoo measured beside what was expected: for terminals, for notebooks and for the docs.

Not here: the results (`experiments.zoo.results`).

Example:
    >>> in_words(0.30250000000000005), in_words([1.0, 2.5]), in_words(None)
    ('0.3025', '1, 2.5', '')
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from experiments.zoo.results import Number, RecipeResult, ResultRow

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["in_words", "markdown_page", "markdown_table", "result_table", "summary_in_words", "totals"]

_MAX_VALUES: Final = 4
_DIGITS: Final = 10
"""Values are shown with so many significant digits, and so many of several; JSON has all of them."""

_STYLES: Final = {"met": "green", "missed": "bold red", "skipped": "yellow"}

_HEADINGS: Final = ("what", "expected", "measured", "origin")

_QUICK: Final = "skipped (quick)"
_GENERATED: Final = "skipped (generated data)"

_INTRODUCTION: Final = """\
# The zoo: the book's experiments, measured

Every section of A. W. Trask, *Grokking Deep Learning* (Manning, 2019), chapters 3 to 15, that has a model or an
experiment is a recipe here, or a row of one. What is expected comes from the book ("book"), from an independent
computation with the mathematics right ("derived"), or is a bound that the recipe sets itself ("goal"). Recipes whose
names end in `-as-printed` repeat a defect of the book on purpose; [errata](errata.md) explains each.

```pycon
>>> from experiments.zoo.runs import run_recipe
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


def summary_in_words(results: Sequence[RecipeResult], seconds: float, asked: int | None = None) -> str:
    """Returns the last line of a run: recipes, rows and seconds.

    Args:
        results: of the recipes that are finished.
        seconds: that the run took.
        asked: how many recipes it was to run, if it was interrupted.
    """
    counts = totals(results)
    failed = f" ({counts['failed']} failed)" if counts["failed"] else ""
    if asked is None:
        recipes = f"{counts['recipes']} {_plural(counts['recipes'], 'recipe')}{failed}"
    else:
        recipes = f"{counts['recipes']} of {asked} {_plural(asked, 'recipe')} finished{failed}"
    rows = ", ".join(f"{counts[status]} {status}" for status in _STYLES)
    return f"{recipes}: {rows}; {seconds:.1f} s"


def result_table(result: RecipeResult) -> "Table":
    """Returns a table with a row for each expectation met or missed; below it, how many were skipped, and why."""
    from rich import box
    from rich.table import Table
    from rich.text import Text  # as it is: in markup, brackets would be lost

    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=_skipped_in_words(result) or None,
        caption_justify="left",
        caption_style=_STYLES["skipped"],
    )
    for heading in ("what", "expected", "tolerance", "measured", "origin", ""):
        table.add_column(heading, overflow="fold")
    for row in (row for row in result.rows if row.status != "skipped"):
        expected, measured = _beside(row)
        status = Text(row.status, style=_STYLES[row.status])
        table.add_row(Text(row.what), Text(expected), row.tolerance, Text(measured), row.origin, status)
    return table


def markdown_table(result: RecipeResult) -> str:
    """Returns what `result_table` says as Markdown, for a notebook."""
    if result.status == "failed":
        return f"failed: {result.error.strip()}"
    rows = [_cells(_beside_in_words(row, result)) for row in result.rows if row.status != "skipped"]
    return "\n".join([_cells((*_HEADINGS, "")), f"|{' --- |' * 5}", *rows, "", _skipped_in_words(result)]).rstrip()


def markdown_page(results: Sequence[RecipeResult], texts: Sequence[str] = ()) -> str:
    """Returns docs/zoo.md: a table for each chapter, what it was measured with, and what the models wrote."""
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
        lines += [f"## Chapter {chapter}", "", _cells(("recipe", *_HEADINGS, "")), f"|{' --- |' * 6}"]
        for result in of_chapter:
            lines += _markdown_rows(result)
        data = {result.data: None for result in of_chapter if result.data}
        lines += ["", *(f"Data: {line}." for line in data), *([""] if data else [])]
    if texts:
        lines += ["## What the models wrote", ""]
        for text in texts:
            lines += ["```text", text.rstrip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_rows(result: RecipeResult) -> list[str]:
    if result.status == "failed":
        return [_cells((f"`{result.name}`", result.error.strip().splitlines()[-1], "", "", "", "failed"))]
    lines = []
    for index, row in enumerate(result.rows):
        name = f"`{result.name}`" if index == 0 else ""
        lines.append(_cells((name, *_beside_in_words(row, result))))
    return lines


def _beside_in_words(row: ResultRow, result: RecipeResult) -> tuple[str, str, str, str, str]:
    expected, measured = _beside(row)
    return row.what, f"{expected} {row.tolerance}".strip(), measured, row.origin, _status(row, result)


def _cells(texts: Iterable[str]) -> str:
    escaped = (text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for text in texts)
    return f"| {' | '.join(escaped)} |"


def _beside(row: ResultRow) -> tuple[str, str]:
    """Returns expected and measured in words, with all digits where ten would hide why it was missed."""
    texts = in_words(row.expected), in_words(row.measured)
    if row.status == "missed" and texts[0] == texts[1]:
        return in_words(row.expected, 17), in_words(row.measured, 17)
    return texts


def _skipped_in_words(result: RecipeResult) -> str:
    """Returns how many rows were skipped for which reason; nothing where none was."""
    reasons = Counter(_status(row, result) for row in result.rows if row.status == "skipped")
    full, real = reasons[_QUICK], reasons[_GENERATED]
    texts = [f"{full} more in a full run"] * bool(full)
    texts += [f"{real} {_plural(real, 'needs', 'need')} real data"] * bool(real)
    return "; ".join(texts)


def _plural(count: int, one: str, many: str = "") -> str:
    return one if count == 1 else many or f"{one}s"


def _status(row: ResultRow, result: RecipeResult) -> str:
    if row.status != "skipped":
        return row.status
    return _GENERATED if result.data_is_synthetic and row.needs_real_data else _QUICK
