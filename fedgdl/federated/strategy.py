"""Strategies: what a client is asked to do, and how the cohort's sums become the next model.

A strategy never sees one client's update. It declares *named linear sums*: each client forms
its own terms with `terms`, an aggregation (plain or protected) adds them up over the clients
that answered, and `step` turns the sums into new parameters. Whatever can only add can
therefore serve every strategy.

Example:
    >>> import numpy as np
    >>> from fedgdl.config import StrategyConfig
    >>> from fedgdl.federated.update import ClientUpdate
    >>> strategy = FedAvg("num_examples")
    >>> bob = strategy.terms(ClientUpdate(np.array([1.0, 0.0]), 1, 0.0, 1.0))
    >>> sue = strategy.terms(ClientUpdate(np.array([0.0, 1.0]), 3, 0.0, 1.0))
    >>> sums = {name: bob[name] + sue[name] for name in bob}
    >>> vector, state = strategy.step(np.array([5.0, 5.0]), sums, strategy.initial_state(2))
    >>> vector
    array([5.25, 5.75])
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.config import StrategyConfig
from fedgdl.errors import FedgdlError
from fedgdl.federated.update import ClientUpdate
from fedgdl.parameters import Layout

__all__ = ["FedAvg", "State", "Strategy", "SumKind", "Sums", "make_strategy"]

SumKind: TypeAlias = Literal["weighted", "count"]
"""How a term becomes whole numbers where sums are exact: see `Strategy.sum_kinds`."""

Sums: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Name -> the sum over the clients that answered."""

State: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Name -> an array that the server keeps from round to round (momentum, say); fit to be saved with the model."""


class Strategy(Protocol):
    """The federated algorithm: the terms of a client and the step of the server."""

    def sum_shapes(self, layout: Layout) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each named sum, for a model of the given layout."""
        ...

    def sum_kinds(self) -> dict[str, SumKind]:
        """Returns of each named sum what its terms are, so that they can be encoded as whole numbers.

        `"weighted"`: real numbers, none larger than the client's weight times the largest element of its delta;
        `"count"`: whole numbers from 0 to the client's weight.
        """
        ...

    def weight(self, num_examples: int) -> int:
        """Returns how much a client with so many examples counts; at least 1, and no less for more examples."""
        ...

    def terms(self, update: ClientUpdate) -> dict[str, npt.NDArray[Any]]:
        """Returns one client's term of each named sum; runs on the client."""
        ...

    def initial_state(self, size: int) -> State:
        """Returns what the server keeps from round to round before the first, for a vector of `size` elements."""
        ...

    def step(self, vector: npt.NDArray[Any], sums: Sums, state: State) -> tuple[npt.NDArray[Any], State]:
        """Returns the new parameter vector and state; a pure function that leaves its arguments alone.

        Args:
            vector: (d,) the server's parameters.
            sums: each named sum over the clients that answered, float64.
            state: what the last step, or `initial_state`, returned.
        """
        ...


class FedAvg:
    """Federated averaging: the weighted mean of the clients' deltas is added to the server's parameters.

    Args:
        weighting: `"num_examples"` weighs a client by its number of examples, as the paper does;
            `"equal"` weighs all clients the same, as the book does.

    Source:
        Algorithm 1 of McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient
        Learning of Deep Networks from Decentralized Data", AISTATS 2017, with the sum over the clients
        that answered in place of the sum over the cohort.
    """

    def __init__(self, weighting: Literal["num_examples", "equal"]) -> None:
        self.weighting = weighting

    def sum_shapes(self, layout: Layout) -> dict[str, tuple[int, ...]]:
        """Returns the shapes of `weighted_delta` (d,) and `weight` (1,)."""
        return {"weighted_delta": (layout.size,), "weight": (1,)}

    def sum_kinds(self) -> dict[str, SumKind]:
        """Returns that `weighted_delta` is weighted and `weight` a count."""
        return {"weighted_delta": "weighted", "weight": "count"}

    def weight(self, num_examples: int) -> int:
        """Returns the number of examples, or 1 where all clients count the same."""
        return num_examples if self.weighting == "num_examples" else 1

    def terms(self, update: ClientUpdate) -> dict[str, npt.NDArray[Any]]:
        """Returns weight times delta, in the delta's dtype, and the weight."""
        weight = self.weight(update.num_examples)
        weighted = update.delta if weight == 1 else update.delta * weight
        return {"weighted_delta": weighted, "weight": np.array([weight], update.delta.dtype)}

    def initial_state(self, size: int) -> State:
        """Returns no state: federated averaging keeps none."""
        return {}

    def step(self, vector: npt.NDArray[Any], sums: Sums, state: State) -> tuple[npt.NDArray[Any], State]:
        """Returns vector + weighted_delta / weight, in the vector's dtype, and the state as it was.

        Raises:
            FedgdlError: the total weight is not positive.
        """
        weight = float(sums["weight"][0])
        if not weight > 0:
            message = f"the clients' weights sum to {weight:g}; a mean needs a positive sum"
            raise FedgdlError(message)
        return (vector + sums["weighted_delta"] / weight).astype(vector.dtype, copy=False), state


def make_strategy(config: StrategyConfig) -> Strategy:
    """Returns the strategy that a configuration names."""
    return FedAvg(config.weighting)
