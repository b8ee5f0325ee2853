"""The interface of an aggregation: payloads of a cohort in, the strategy's named sums out.

Example:
    >>> from fedgdl.config import AggregationConfig
    >>> from fedgdl.parameters import Layout
    >>> type(make_aggregation(AggregationConfig(), Layout.of({"w": (2,)}), {"weight": (1,)})).__name__
    'PlainAggregation'
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedgdl.config import AggregationConfig
from fedgdl.federated import ClientRecord
from fedgdl.parameters import Layout
from server.aggregation.plain import PlainAggregation

__all__ = ["Aggregation", "make_aggregation"]


class Aggregation(Protocol):
    """Adds up what the clients of a cohort sent.

    Attributes:
        max_payload_bytes: the size that no valid payload exceeds.
    """

    @property
    def max_payload_bytes(self) -> int: ...  # noqa: D102 (described in the class)

    def check(self, client_id: str, payload: bytes) -> ClientRecord:
        """Returns what may be reported of a client, after checking its payload.

        Raises:
            ClientError: the payload cannot be used.
        """
        ...

    def combine(self, payloads: Iterable[tuple[str, bytes]]) -> dict[str, npt.NDArray[np.float64]]:
        """Returns the named sums over checked payloads, given in the order of client ids."""
        ...


def make_aggregation(
    config: AggregationConfig, layout: Layout, sum_shapes: Mapping[str, tuple[int, ...]]
) -> Aggregation:
    """Returns the configured aggregation for a model and the sums that its strategy declares."""
    return {"plain": PlainAggregation}[config.kind](layout, sum_shapes)
