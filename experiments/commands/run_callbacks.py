"""What `fedgdl run` does when a run starts: it refuses what would take too long, and says what protects the rest.

Not here: the words themselves (`experiments.report.words`), the run's folder (`experiments.run_folder`).
"""

from typing import TYPE_CHECKING, Final

from experiments.callbacks import Callback
from experiments.report.words import estimate_in_words, protection_in_words
from fedgdl.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.run_history import RunHistory

__all__ = ["Announcement", "Hesitation"]

_MOST_SECONDS_UNASKED: Final = 600
"""Of encryption; what is expected to take longer has to be asked for."""


class Hesitation(Callback):
    """Refuses a run whose encryption is expected to take too long; the first to hear of it, before anything is made."""

    def run_started(self, history: "RunHistory") -> None:
        """Looks at the run's estimate.

        Raises:
            ConfigError: says how long it would take, and what to do.
        """
        estimate = (history.protection or {}).get("estimate")
        if estimate is None or estimate["seconds"] <= _MOST_SECONDS_UNASKED:
            return
        message = (
            f"{estimate_in_words(estimate)[0]}; more than {_MOST_SECONDS_UNASKED // 60} minutes need --yes (fewer "
            "rounds, a smaller cohort or aggregation.key_bits=2048 take less; aggregation.kind=secagg next to nothing)"
        )
        raise ConfigError(message)


class Announcement(Callback):
    """Says what protects a run.

    Args:
        console: where to print.

    Attributes:
        history: of the run; none before one has started.
    """

    def __init__(self, console: "Console") -> None:
        self.history: RunHistory | None = None
        self._console = console

    def run_started(self, history: "RunHistory") -> None:
        """Keeps the history, and prints what protects its updates, if anything does."""
        self.history = history
        for line in protection_in_words(history.protection) if history.protection is not None else ():
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
