"""Plain aggregation: the coordinator reads each update and adds its terms up.

Not protected against: the coordinator, which sees every client's update in the clear.

Example:
    >>> from fedgdl.parameters import Layout
    >>> aggregation = PlainAggregation(Layout.of({"w": (2,)}), {"weight": (1,)}, min_updates=1)
    >>> [stage.name for stage in aggregation.open_round(1, 1, ("alice", "bob"), "0" * 64).stages]
    ['train']
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.errors import ClientError, WireError
from fedgdl.federated import ClientRecord, CohortSums
from fedgdl.parameters import Layout
from fedgdl.wire import PlainUpdate, decode_struct
from server.aggregation.unprotected import UnprotectedCohort

__all__ = ["PlainAggregation", "PlainCohort", "read_plain_update"]

_PAYLOAD_OVERHEAD_BYTES: Final = 16_384
"""More than the names, counts and metrics of a plain payload take."""

_Terms = dict[str, npt.NDArray[Any]]


class PlainAggregation:
    """Adds up updates that travel in the clear.

    Args:
        layout: the model's layout; terms come in its dtype.
        sum_shapes: the shape of each sum that the strategy declares.
        min_updates: a round with fewer has failed.
    """

    def __init__(self, layout: Layout, sum_shapes: Mapping[str, tuple[int, ...]], min_updates: int) -> None:
        self._dtype = np.dtype(layout.dtype)
        self._shapes = dict(sum_shapes)
        self._min_updates = min_updates

    @property
    def max_payload_bytes(self) -> int:
        """The size that no valid payload exceeds."""
        elements = sum(math.prod(shape) for shape in self._shapes.values())
        return elements * self._dtype.itemsize + _PAYLOAD_OVERHEAD_BYTES

    def open_round(
        self,
        round_index: int,
        attempt: int,
        cohort: tuple[str, ...],
        model_sha256: str,
    ) -> "PlainCohort":
        """Returns a fresh aggregation for one attempt at one round."""
        return PlainCohort(self._min_updates, cohort, self._shapes, self._dtype)


class PlainCohort(UnprotectedCohort):
    """Checks the payloads of a cohort as they come, and adds up their terms in the end.

    Args:
        min_updates: with fewer the round has failed.
        cohort: the sampled clients, in the order of ids.
        sum_shapes: the shape of each term of an update.
        dtype: the terms' dtype.
    """

    def __init__(
        self, min_updates: int, cohort: tuple[str, ...], sum_shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]
    ) -> None:
        super().__init__(min_updates)
        self._cohort = cohort
        self._shapes = sum_shapes
        self._dtype = dtype
        self._taken: dict[str, tuple[PlainUpdate, _Terms]] = {}

    def take(self, stage: str, client_id: str, payload: bytes) -> ClientRecord:
        """Keeps an update, after checking all of it, and returns what it says of its client.

        Raises:
            ClientError: the payload is no valid update of this model: malformed, of other terms or sizes, or
                with NaN or infinity in it.
        """
        try:
            update, terms = read_plain_update(payload, self._shapes, self._dtype)
        except WireError as error:
            raise ClientError(client_id, f"its payload cannot be read: {error}") from error
        for name, term in terms.items():
            if not np.isfinite(term).all():
                raise ClientError(client_id, f"its update holds NaN or infinity in {name}; it was left out")
        if not math.isfinite(update.train_loss):
            raise ClientError(client_id, f"its update states a training loss of {update.train_loss}; it was left out")
        self._taken[client_id] = update, terms
        return ClientRecord(client_id, "done", update.num_examples, update.train_loss, update.train_accuracy)

    def finish(self) -> CohortSums:
        """Returns the sums, in float64.

        They are formed in the order of ids, never in that of arrival, since floating-point addition is not associative.
        """
        taken = [self._taken[client_id] for client_id in self._cohort if client_id in self._taken]
        sums = {name: np.zeros(shape) for name, shape in self._shapes.items()}
        for _, terms in taken:
            for name, term in terms.items():
                sums[name] += term
        updates = [update for update, _ in taken]
        self._taken.clear()  # a cohort's updates may take more memory than all else
        means = {
            "train_loss": sum(update.train_loss / len(updates) for update in updates),
            "train_accuracy": sum(update.train_accuracy / len(updates) for update in updates),
        }
        return CohortSums(sums, len(updates), means if updates else {})


def read_plain_update(
    payload: bytes, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]
) -> tuple[PlainUpdate, dict[str, npt.NDArray[Any]]]:
    """Returns a plain payload's struct and its terms as read-only arrays.

    Args:
        payload: what the client sent.
        shapes: the shape of each term that must be there, and no other.
        dtype: the terms' dtype.

    Raises:
        WireError: the payload is malformed, or its terms are not these.
    """
    update = decode_struct(payload, PlainUpdate)
    if update.terms.keys() != shapes.keys():
        message = f"expected the terms {', '.join(sorted(shapes))}, got {', '.join(sorted(update.terms)) or 'none'}"
        raise WireError(message)
    terms = {}
    for name, shape in shapes.items():
        expected = math.prod(shape) * dtype.itemsize
        if len(update.terms[name]) != expected:
            message = f"{name} has {len(update.terms[name]):,} bytes, expected {expected:,}"
            raise WireError(message)
        terms[name] = np.frombuffer(update.terms[name], dtype.newbyteorder("<")).reshape(shape)
    return update, terms
