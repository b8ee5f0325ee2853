"""The progress bars of a run of recipes: one for all of them, one for each that tells how far it is.

Example:
    >>> import rich.console
    >>> bars = ZooBars(rich.console.Console(stderr=True), {"ch04-compare": 1.0})
"""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.zoo.results import RecipeResult

__all__ = ["ZooBars"]


class ZooBars:
    """Shows how far recipes are while they run in a terminal; elsewhere it shows nothing.

    Args:
        console: where to draw.
        seconds: about how long each recipe takes, by name; so that time left is told from the work that is left.
    """

    def __init__(self, console: Console, seconds: Mapping[str, float]) -> None:
        self._console = console
        self._seconds = dict(seconds)
        self._finished = dict[str, float]()
        self._running = dict[str, float]()
        self._bars = dict[str, TaskID]()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("recipes", total=sum(self._seconds.values()), note="")
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        """Starts drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops drawing and removes the bars."""
        self._progress.stop()

    def hear(self, name: str, done: int, total: int) -> None:
        """Moves the bar of a recipe that runs."""
        if name not in self._bars:
            self._bars[name] = self._progress.add_task(f"  {name}", total=total, note="")
        self._progress.update(self._bars[name], completed=done, total=total, note=f"{done}/{total}")
        self._running[name] = self._seconds[name] * done / max(total, 1)
        self._show()

    def finish(self, result: RecipeResult) -> None:
        """Removes a recipe's bar and says in a line how it went."""
        if result.name in self._bars:
            self._progress.remove_task(self._bars.pop(result.name))
        self._running.pop(result.name, None)
        self._finished[result.name] = self._seconds[result.name]
        self._show()
        if self._console.is_terminal:
            text = f"{result.name}: {'all met' if result.is_good else 'missed'} ({result.seconds:.1f} s)"
            self._progress.console.print(text, style="green" if result.is_good else "bold red", highlight=False)

    def _show(self) -> None:
        minutes = (time.monotonic() - self._began) / 60
        rate = f", {len(self._finished) / minutes:.1f}/min" if self._finished and minutes else ""
        self._progress.update(
            self._all,
            completed=sum(self._finished.values()) + sum(self._running.values()),
            note=f"{len(self._finished)}/{len(self._seconds)}{rate}",
        )
