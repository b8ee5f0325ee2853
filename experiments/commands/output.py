"""What every command shares: JSON on the standard output, everything else on the standard error output.

Example:
    >>> print_json({"accuracy": 0.5})
    {
      "accuracy": 0.5
    }
"""

import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["JsonOption", "SetOption", "error_console", "log_to", "print_json"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. --set training.epochs=2. Repeatable."),
]


def print_json(document: dict[str, Any]) -> None:
    """Prints the command's one JSON document; NaN, which JSON does not have, as null."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document)).decode() + "\n")


def error_console() -> "Console":
    """Returns a console on the standard error output."""
    from rich.console import Console

    return Console(stderr=True)


class _ConsoleHandler(logging.Handler):
    """Prints warnings through the console, so that they do not tear a progress bar apart.

    A traceback is printed once, whichever worker it comes from: one defect in a task is met by every client.
    """

    def __init__(self, console: "Console") -> None:
        super().__init__(logging.WARNING)
        self._console = console
        self._tracebacks: set[tuple[str, ...]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {self.format(record)}"
        frames = tuple(line for line in text.splitlines() if line.startswith('  File "'))
        if frames in self._tracebacks:
            return
        if frames:
            self._tracebacks.add(frames)
        self._console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def log_to(console: "Console") -> None:
    """Sends this program's log records to its handlers: warnings also to the console."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(_ConsoleHandler(console))
