"""The interface of a protection.

Example:
    >>> from fedgdl.config import AggregationConfig
    >>> type(make_protection(AggregationConfig(kind="plain"))).__name__
    'PlainProtection'
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy.typing as npt

from clients.protection.plain import PlainProtection
from fedgdl.config import AggregationConfig
from fedgdl.federated import ClientUpdate

__all__ = ["Protection", "make_protection"]


class Protection(Protocol):
    """Turns an update into the payload that the coordinator gets to see."""

    def protect(self, update: ClientUpdate, terms: Mapping[str, npt.NDArray[Any]]) -> bytes:
        """Returns the payload of an update.

        Args:
            update: the client's update; finite.
            terms: its terms of the strategy's named sums.
        """
        ...


def make_protection(config: AggregationConfig) -> Protection:
    """Returns the protection that goes with the configured aggregation."""
    return {"plain": PlainProtection}[config.kind]()
