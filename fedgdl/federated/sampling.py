"""Who takes part in a round.

Example:
    >>> sample_cohort(["alice", "bob", "sue"], 2, seed=1, round_index=1)
    ('alice', 'bob')
"""

from collections.abc import Sequence

from fedgdl.seeding import stream

__all__ = ["sample_cohort"]


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
    """
    if cohort_size is None or cohort_size >= len(client_ids):
        return tuple(sorted(client_ids))
    rng = stream(seed, "cohort", round_index=round_index)
    drawn = rng.choice(len(client_ids), size=cohort_size, replace=False, shuffle=False)
    return tuple(sorted(client_ids[position] for position in drawn))
