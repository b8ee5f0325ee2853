"""What an aggregation opens of a cohort: sums over its clients, and nothing of any one of them.

Not here: how the sums come about (`server.aggregation`), and what becomes of them (`strategy`).

Example:
    >>> import numpy as np
    >>> opened = CohortSums({"weight": np.array([3.0])}, num_clients=2, means={"train_loss": 0.25})
    >>> float(opened.sums["weight"][0]), opened.num_clients
    (3.0, 2)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["CohortSums"]


@dataclass(frozen=True, slots=True, eq=False)
class CohortSums:
    """The sums of one round.

    Attributes:
        sums: name -> float64 array, each sum that the strategy declares, over the clients whose update is in it.
        num_clients: how many these are.
        means: name -> mean over these clients, each counting the same: `train_loss`, `train_accuracy` and, where
            updates are encoded, `clipped_share`; empty where there are no clients.
    """

    sums: Mapping[str, npt.NDArray[np.float64]]
    num_clients: int
    means: Mapping[str, float] = field(default_factory=dict)
