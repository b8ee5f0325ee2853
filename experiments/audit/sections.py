"""Sections of a threat model, and the statements that hold for every protected run.

Example:
    >>> Section("What is protected", ("Nothing.",)).heading
    'What is protected'
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["METADATA", "ON_ONE_MACHINE", "OWN_FILES", "SIDE_CHANNELS", "Section", "limits_of_any_sum"]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the statements below it."""

    heading: str
    statements: tuple[str, ...]


ON_ONE_MACHINE: Final = (
    "This was a simulation: all clients and the coordinator ran on one machine, and whoever owns it could read "
    "everything. It shows what a coordinator would receive; it protects nobody from that machine's owner."
)

OWN_FILES: Final = (
    f"{ON_ONE_MACHINE} The simulator's own files (observer) hold every client's true figures and updates."
)

METADATA: Final = (
    "Who took part, who left and in which stage, how many bytes each message has and when it came. Training takes "
    "longer with more examples, so the times below hint at each client's number of examples."
)

SIDE_CHANNELS: Final = (
    "Secrets, against whoever watches the machines that compute with them (side channels): the arithmetic here "
    "does not take constant time, and Python cannot wipe memory reliably."
)


def limits_of_any_sum(protection: Mapping[str, Any], what_adds_none: str) -> tuple[str, ...]:
    """Returns what no way to add updates protects.

    Args:
        protection: what protects the run, as `experiments.protection.describe` says.
        what_adds_none: the protection, at the beginning of a sentence or inside of one.
    """
    num_clients, max_weight = protection["num_clients"], protection["max_weight"]
    others = num_clients - 1
    who = f"{others} clients that help" if others > 1 else "one that helps"
    bound = (
        f"The bound on a client's number of examples, {max_weight:,}: it is part of the public configuration. Where "
        "nobody set it, it is the power of two at or above the number of the client that has most."
    )
    return (
        (
            "The sum itself. What stands out in it was in somebody's data, and the sums of many rounds tell more "
            f"than one. Noise would limit this; {what_adds_none} adds none that stays in the sum."
        ),
        (
            f"With a cohort of {num_clients}, {who} the coordinator {'read' if others > 1 else 'reads'} the last "
            "one's update, the sum less their own. No aggregation can prevent this."
        ),
        METADATA,
        *((bound,) if max_weight > 1 else ()),
    )
