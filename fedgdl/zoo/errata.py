"""What is wrong in the book's published code and numbers, and what is right: the texts behind docs/errata.md.

Not here: the recipes that repeat a defect on purpose (`book_compatible`), and those that do it right.

Example:
    >>> erratum = find_erratum("B3")
    >>> erratum.title, erratum.chapters
    ('A batch is applied once for each of its rows', (8,))
    >>> print(erratum_text(erratum).splitlines()[0])
    B3: A batch is applied once for each of its rows (chapter 8)
"""

from collections.abc import Iterable, Sequence
from typing import Final

from fedgdl.config import nearest
from fedgdl.errors import ConfigError
from fedgdl.zoo.errata_by_hand import ERRATA_BY_HAND
from fedgdl.zoo.errata_framework import ERRATA_FRAMEWORK
from fedgdl.zoo.erratum import Erratum
from fedgdl.zoo.recipe import Recipe

__all__ = ["ERRATA", "Erratum", "anchor", "errata_page", "erratum_text", "find_erratum"]

ERRATA: Final = tuple(sorted((*ERRATA_BY_HAND, *ERRATA_FRAMEWORK), key=lambda erratum: int(erratum.id[1:])))
"""All entries, B1 to B31."""

_INTRODUCTION: Final = """\
# Errata

What is wrong in the code and the printed numbers of A. W. Trask, *Grokking Deep Learning* (Manning, 2019) and its
companion notebooks, chapter by chapter: what is wrong, what is right, and a line to run that shows it.

The library does it right. Where a published number comes from a defect, a recipe whose name ends in `-as-printed`
repeats the defect on purpose and gives that number; no other code does. `fedgdl zoo show NAME` prints the entries
that concern a recipe. This page is written by `fedgdl zoo errata --markdown`; its texts are in `fedgdl/zoo/`.

```pycon
>>> from fedgdl.zoo.errata import find_erratum
>>> find_erratum("B12").title
'Only the last step of each window is trained'

```

"Verified" means: by running the published code, or by finite differences. The others were found by reading it.
"""


def find_erratum(erratum_id: str) -> Erratum:
    """Returns the entry of an id such as `"B3"`.

    Raises:
        ConfigError: there is none.
    """
    known = {erratum.id: erratum for erratum in ERRATA}
    if erratum_id.upper() not in known:
        guess = nearest(erratum_id, known)
        message = f"there is no erratum {erratum_id!r}{guess or ';'} (they are {ERRATA[0].id} to {ERRATA[-1].id})"
        raise ConfigError(message)
    return known[erratum_id.upper()]


def anchor(erratum: Erratum) -> str:
    """Returns where docs/errata.md explains it."""
    return f"docs/errata.md#{erratum.id.lower()}"


def erratum_text(erratum: Erratum) -> str:
    """Returns an entry as plain text of several lines."""
    lines = [f"{erratum.id}: {erratum.title} ({_chapters(erratum.chapters)})"]
    lines += [f"  wrong: {erratum.what_is_wrong}", f"  right: {erratum.what_is_right}", f"  try:   {erratum.command}"]
    return "\n".join([*lines, *([f"  gives: {erratum.prints}"] if erratum.prints else [])])


def errata_page(recipes: Iterable[Recipe]) -> str:
    """Returns docs/errata.md, with links from each entry to the recipes that it concerns."""
    concerned: dict[str, list[str]] = {}
    for recipe in recipes:
        for erratum_id in recipe.defects:
            concerned.setdefault(erratum_id, []).append(recipe.name)
    lines = [_INTRODUCTION, "| entry | chapters | what |", "| --- | --- | --- |"]
    lines += [f"| {_link(e)} | {', '.join(map(str, e.chapters))} | {e.title} |" for e in ERRATA]
    for chapter in sorted({erratum.chapters[0] for erratum in ERRATA}):
        lines += ["", f"## Chapter {chapter}"]
        also = [erratum for erratum in ERRATA if chapter in erratum.chapters[1:]]
        if also:
            lines += ["", f"Also: {', '.join(map(_link, also))}."]
        for erratum in ERRATA:
            if erratum.chapters[0] == chapter:
                lines += _section(erratum, concerned.get(erratum.id, []))
    return "\n".join(lines) + "\n"


def _section(erratum: Erratum, recipes: Sequence[str]) -> list[str]:
    """Returns the lines of one entry."""
    lines = ["", f'<a id="{erratum.id.lower()}"></a>', "", f"### {erratum.id}: {erratum.title}", ""]
    where, how = _chapters(erratum.chapters).capitalize(), "verified" if erratum.is_verified else "by reading"
    lines += [f"*{where}; {how}.*", "", f"**Wrong.** {erratum.what_is_wrong}", ""]
    lines += [f"**Right.** {erratum.what_is_right}", "", "```console", f"$ {erratum.command}"]
    lines += [*([erratum.prints] if erratum.prints else []), "```"]
    if recipes:
        lines += ["", f"Recipes: {', '.join(f'`{name}`' for name in recipes)}."]
    return lines


def _link(erratum: Erratum) -> str:
    return f"[{erratum.id}](#{erratum.id.lower()})"


def _chapters(chapters: Sequence[int]) -> str:
    """Returns `"chapter 8"` or `"chapters 8, 9 and 10"`."""
    if len(chapters) == 1:
        return f"chapter {chapters[0]}"
    if tuple(chapters) == tuple(range(chapters[0], chapters[-1] + 1)) and len(chapters) > 3:
        return f"chapters {chapters[0]} to {chapters[-1]}"
    return f"chapters {', '.join(map(str, chapters[:-1]))} and {chapters[-1]}"
