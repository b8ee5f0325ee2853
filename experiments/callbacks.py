"""What may watch a run: subclass `Callback` and override what you want to hear of.

Example:
    >>> class Count(Callback):
    ...     rounds = 0
    ...     def round_finished(self, history, record):
    ...         self.rounds += 1
"""

from pathlib import Path

from experiments.run_history import RunHistory
from fedgdl.federated import RoundRecord

__all__ = ["Callback"]


class Callback:
    """Hears of a run's events, in the thread that runs it; does nothing by itself."""

    def run_started(self, history: RunHistory) -> None:
        """The data is loaded and the model built; the workers are started next."""

    def observer_folder(self, history: RunHistory) -> Path | None:
        """Returns where the workers of a protected run write what the coordinator must not see.

        Asked after `run_started`; the first callback that names a folder decides. Where none does, it is a temporary
        one, which is removed when the run has ended, however it did, but for SIGKILL: then `fedgdl-observer-*` is left
        behind in the folder for temporary files, for whoever runs this alone to read.
        """
        return None

    def round_started(self, history: RunHistory, round_index: int, cohort_size: int) -> None:
        """A round begins."""

    def client_answered(self, history: RunHistory, round_index: int, client_id: str, *, has_update: bool) -> None:
        """A client of the cohort has delivered its update, or will not."""

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """A round is over; `history` holds its record and its model already."""

    def run_finished(self, history: RunHistory) -> None:
        """The run has ended, `history.status` says how; the workers are gone."""

    def baselines_started(self, history: RunHistory) -> None:
        """What the run is to be compared with is trained next."""

    def baselines_finished(self, history: RunHistory) -> None:
        """That has ended; `history.baselines` holds what was done, and how each ended."""
