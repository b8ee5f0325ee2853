"""Says what became of each client of a round, and warns of those that are missing: of each reason once.

Example:
    >>> from server.round_state import ClientReportedFailure, Stage
    >>> state = RoundState(1, ("alice", "bob"), (Stage("train", 1, trains=True),))
    >>> assigned = state.assign([7, 8])
    >>> state.handle(ClientReportedFailure(7, 1, "alice", "KeyError: 'x'", is_defect=True))
    True
    >>> state.handle(ClientReportedFailure(8, 1, "bob", "KeyError: 'x'", is_defect=True))
    True
    >>> report_missing(state)
    Traceback (most recent call last):
        ...
    fedgdl.errors.RunFailed: the training of every client of round 1 raised; KeyError: 'x'
"""

import logging
from collections.abc import Mapping
from typing import Final

from fedgdl.errors import RunFailed
from fedgdl.federated import ClientRecord
from server.round_state import Failure, RoundState

__all__ = ["client_records", "report_missing"]

logger = logging.getLogger(__name__)

_MAX_REASONS_WARNED_OF: Final = 5
"""Reasons that a round warns of, each with one client's name; the log and the history have all."""


def client_records(state: RoundState, taken: Mapping[str, ClientRecord]) -> tuple[ClientRecord, ...]:
    """Returns a record for each client of a cohort, in the order of ids.

    Args:
        state: of a round that is over.
        taken: client id -> record, of the clients whose update was taken.
    """
    records = []
    for client_id in state.cohort:
        if client_id in state.failures:
            records.append(ClientRecord(client_id, "failed", reason=state.failures[client_id].reason))
        elif client_id in taken:
            records.append(taken[client_id])
        else:
            reason = f"the round ended with the stage {state.stage.name!r}, before it was to train"
            records.append(ClientRecord(client_id, "failed", reason=reason))
    return tuple(records)


def report_missing(state: RoundState) -> None:
    """Logs which clients failed in a round or left it, and which answers were dropped.

    Args:
        state: of a round that is over.

    Raises:
        RunFailed: working on every client that was asked raised: the task itself is at fault.
    """
    _warn_of(state.round_index, state.failures, "no update of %s", "have no update")
    _warn_of(state.round_index, state.departures, "%s left after its update had come", "left after theirs had come")
    if state.ignored:
        logger.info("round %d: answers dropped: %s", state.round_index, dict(state.ignored))
    missing = state.failures | state.departures
    if state.num_answers or not all(client_id in missing for client_id in state.participants):
        return
    failures = [missing[client_id] for client_id in state.participants]
    if failures and all(failure.is_defect for failure in failures):
        what = "training" if state.stage.trains else f"answer to the stage {state.stage.name!r}"
        message = f"the {what} of every client of round {state.round_index} raised; {failures[0].reason}"
        raise RunFailed(message)


def _warn_of(round_index: int, failures: Mapping[str, Failure], of_whom: str, of_many: str) -> None:
    """Warns of each reason with its first client, up to some reasons; the rest is logged.

    Args:
        round_index: the round.
        failures: client id -> why.
        of_whom: what is said of one client, with `%s` for its name.
        of_many: what is said of a number of clients.
    """
    clients_by_reason: dict[str, list[str]] = {}
    for client_id, failure in failures.items():
        clients_by_reason.setdefault(failure.reason, []).append(client_id)
    for position, (reason, (client_id, *others)) in enumerate(clients_by_reason.items()):
        level = logging.WARNING if position < _MAX_REASONS_WARNED_OF else logging.INFO
        more = f" ... and {len(others)} more client{'s' * (len(others) > 1)} for the same reason" if others else ""
        logger.log(level, f"round %d: {of_whom}: %s%s", round_index, client_id, reason, more)  # noqa: G004
        for other in others:
            logger.info(f"round %d: {of_whom}: %s", round_index, other, reason)  # noqa: G004
    if len(clients_by_reason) > _MAX_REASONS_WARNED_OF:
        logger.warning("round %d: %d clients %s", round_index, len(failures), of_many)
