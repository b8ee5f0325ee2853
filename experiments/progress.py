"""Progress bars on the standard error output, with rate and time left: of a run, and of other long work.

Example:
    >>> import rich.console
    >>> bar = ProgressBar(rich.console.Console(stderr=True))
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from experiments.callbacks import Callback
from experiments.run_history import RunHistory
from fedgdl.federated import RoundRecord
from fedgdl.progress import watched_by

__all__ = ["ProgressBar", "rate_in_words", "work_bar"]


_REMEMBERED_SECONDS: Final = 3_600.0
"""What rate and time left are estimated from: long enough for rounds of many minutes; at most 1,000 steps."""


class _Rate(ProgressColumn):
    """Finished steps a second, or seconds a step where these are more."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(rate_in_words(speed) if speed else "", style="progress.data.speed")


def rate_in_words(speed: float) -> str:
    """Returns a positive number of steps a second, as whichever is more than one: a second's steps, a step's seconds.

    Example:
        >>> rate_in_words(1234.5), rate_in_words(0.05)
        ('1,234.5/s', '20.0 s each')
    """
    return f"{speed:,.1f}/s" if speed >= 1 else f"{1 / speed:,.1f} s each"


def _bars(console: Console) -> Progress:
    """Returns bars that show count, rate, time gone and time left, and vanish when they are done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=_REMEMBERED_SECONDS,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def work_bar(console: Console) -> Iterator[None]:
    """Shows a bar for all watched work within this context, preparing data say; not a terminal: shows nothing."""
    progress, bars = _bars(console), dict[str, TaskID]()

    def show(what: str, done: int, total: int) -> None:
        if what not in bars:
            bars[what] = progress.add_task(what, total=total)
            progress.start()
        progress.update(bars[what], completed=done)
        if done == total:
            progress.stop()  # a terminal has room for one set of bars at a time

    try:
        with watched_by(show):
            yield
    finally:
        progress.stop()


class ProgressBar(Callback):
    """Shows two bars, rounds of the run and clients of the round, while a run goes on in a terminal.

    A third one shows long work within a round, the opening of an encrypted sum say, as long as that takes.

    Args:
        console: where to draw; not a terminal: nothing is drawn.
    """

    def __init__(self, console: Console) -> None:
        self._progress = _bars(console)
        self._rounds = self._progress.add_task("rounds", total=None)
        self._clients = self._progress.add_task("clients", total=None)
        self._work: dict[str, TaskID] = {}
        self._watching = ExitStack()

    def run_started(self, history: RunHistory) -> None:
        """Starts drawing."""
        self._progress.update(self._rounds, total=history.experiment.rounds)
        self._watching.enter_context(watched_by(self._show_work))
        self._progress.start()

    def round_started(self, history: RunHistory, round_index: int, cohort_size: int) -> None:
        """Empties the bar of clients, and removes that of work which came to no end."""
        for what in list(self._work):
            self._progress.remove_task(self._work.pop(what))
        self._progress.reset(self._clients, total=cohort_size, description=f"clients of round {round_index}")

    def client_answered(self, history: RunHistory, round_index: int, client_id: str, *, has_update: bool) -> None:
        """Moves the bar of clients on."""
        self._progress.advance(self._clients)

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Moves the bar of rounds on, and says how good the model is by now."""
        last, target = history.last_evaluated, history.experiment.until_accuracy
        accuracy = "" if last is None or last.accuracy is None else f" (accuracy {last.accuracy:.2%})"
        goal = "" if target is None else f" to {target:.2%}"
        self._progress.update(self._rounds, advance=1, description=f"rounds{goal}{accuracy}")

    def run_finished(self, history: RunHistory) -> None:
        """Stops drawing and removes the bars."""
        self._watching.close()
        self._progress.stop()

    def _show_work(self, what: str, done: int, total: int) -> None:
        if what not in self._work:
            self._work[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._work[what], completed=done, total=total)
        if done == total:
            self._progress.remove_task(self._work.pop(what))
