"""What aggregations have in common whose clients send their updates as they are: one stage, and nothing to tell.

Not here: what is sent and how it is added (`plain`, `exact`).
"""

from server.round_state import Stage

__all__ = ["UnprotectedCohort"]


class UnprotectedCohort:
    """A cohort that trains, answers, and is through.

    Args:
        min_updates: with fewer the round has failed.
    """

    def __init__(self, min_updates: int) -> None:
        self.stages = (Stage("train", min_updates, trains=True),)

    def begin(self, stage: str, client_ids: tuple[str, ...]) -> None:
        """Does nothing: all of the cohort take part."""

    def common(self, stage: str) -> bytes:
        """Returns nothing: clients need not be told anything."""
        return b""

    def message(self, stage: str, client_id: str) -> bytes:
        """Returns nothing: likewise."""
        return b""
