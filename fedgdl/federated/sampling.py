"""Who takes part in a round.

Example:
    >>> sample_cohort(["alice", "bob", "sue"], 2, seed=1, round_index=1)
    ('alice', 'bob')
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from fedgdl.errors import DataError
from fedgdl.seeding import stream

__all__ = ["sample_cohort"]

_MAX_ID_CHARACTERS: Final = 200
"""The longest client id that a message can hold."""


def sample_cohort(
    client_ids: Sequence[str], cohort_size: int | None, *, seed: int, round_index: int
) -> tuple[str, ...]:
    """Returns the cohort of a round: distinct clients drawn uniformly, sorted by id.

    Depends on the seed and the round alone, so a resumed run samples the same cohorts.

    Args:
        client_ids: the population.
        cohort_size: how many; none, or as many as there are, or more: all of them.
        seed: the experiment's root seed.
        round_index: the round, counted from 1.

    Raises:
        DataError: there is no client at all, or a drawn one has an id that another has too, or that is no string
            of 1 to 200 characters.
    """
    if len(client_ids) == 0:
        message = "the data has no clients, so there is nobody to train"
        raise DataError(message)
    if cohort_size is None or cohort_size >= len(client_ids):
        cohort = list(client_ids)
    else:
        rng = stream(seed, "cohort", round_index=round_index)
        drawn = rng.choice(len(client_ids), size=cohort_size, replace=False, shuffle=False)
        cohort = [client_ids[position] for position in drawn.tolist()]
    for client_id in cohort:
        _require_id(client_id)
    twice = next((client_id for client_id, count in Counter(cohort).items() if count > 1), None)
    if twice is not None:
        message = f"two clients of the data have the same id {twice!r}; ids must differ"
        raise DataError(message)
    return tuple(sorted(cohort))


def _require_id(client_id: object) -> None:
    # Exactly str: a NumPy string, say, cannot be sent.
    if type(client_id) is not str or not 1 <= len(client_id) <= _MAX_ID_CHARACTERS or not _is_sendable(client_id):
        shown = f"{client_id!r:.80} ({type(client_id).__name__})"
        message = f"a client's id must be a str of 1 to {_MAX_ID_CHARACTERS} characters, not {shown}"
        raise DataError(message)


def _is_sendable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
