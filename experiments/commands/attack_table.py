"""Tables of what attacks found, as plain text.

Example:
    >>> print_table(("read from", "words"), [("a sum", "12"), ("an update", "3")])
    read from  words
    a sum         12
    an update      3
"""

from collections.abc import Sequence

import typer

__all__ = ["print_table"]


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints aligned columns, the first to the left; whatever the terminal's width, nothing is cut off."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        typer.echo("  ".join([row[0].ljust(widths[0]), *numbers]).rstrip())
