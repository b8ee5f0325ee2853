"""What a run's table cannot say: which updates are missing, where the run was interrupted, how long its goal took.

Not here: the baselines' notes (`experiments.report.baselines`).

Example:
    >>> rounds_in_words(1.0), rounds_in_words(33.62)
    ('1 round', '33.6 rounds, interpolated between tests')
"""

from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from experiments.run_history import RunHistory

__all__ = ["failures_in_words", "interruption_in_words", "rounds_in_words"]

_MAX_REASONS_SHOWN: Final = 10


def failures_in_words(history: "RunHistory") -> list[str]:
    """Returns a line for each round and reason for which updates are missing, as long as these are few."""
    clients: dict[tuple[int, str], list[str]] = {}
    for record in history.rounds:
        for client in record.failures:
            clients.setdefault((record.round_index, client.reason), []).append(client.client_id)
    lines = []
    for (round_index, reason), (client_id, *others) in islice(clients.items(), _MAX_REASONS_SHOWN):
        more = f" ... and {len(others)} more client{'s' * (len(others) > 1)} for the same reason" if others else ""
        lines.append(f"round {round_index}: without {client_id}: {reason}{more}")
    hidden = sum(map(len, islice(clients.values(), _MAX_REASONS_SHOWN, None)))
    if hidden:
        lines.append(f"... and {hidden} more missing update{'s' * (hidden > 1)}; see history.jsonl")
    return lines


def interruption_in_words(history: "RunHistory") -> str:
    """Returns what is kept of an interrupted run, and whether its last model was tested."""
    count, tested = len(history.rounds), history.last_evaluated
    text = f"Interrupted; {count} finished round{' is' if count == 1 else 's are'} kept."
    if not history.rounds or tested is history.rounds[-1]:
        return text
    last = "none was" if tested is None else f"the last test was after round {tested.round_index}"
    return f"{text} The model after round {history.rounds[-1].round_index} was not tested; {last}."


def rounds_in_words(rounds: float) -> str:
    """Returns how many rounds it took, and where the number comes from if it is not whole."""
    if rounds.is_integer():
        return f"{rounds:.0f} round{'s' * (rounds != 1)}"
    return f"{rounds:.1f} rounds, interpolated between tests"
