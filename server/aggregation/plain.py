"""Plain aggregation: the coordinator reads each update and adds its terms up.

Not protected against: the coordinator, which sees every client's update in the clear.

Example:
    >>> from fedgdl.parameters import Layout
    >>> PlainAggregation(Layout.of({"w": (2,)}), {"weight": (1,)}).max_payload_bytes > 4
    True
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.errors import ClientError, WireError
from fedgdl.federated import ClientRecord
from fedgdl.parameters import Layout
from fedgdl.wire import PlainUpdate, decode_struct

__all__ = ["PlainAggregation", "read_plain_update"]

_PAYLOAD_OVERHEAD_BYTES: Final = 16_384
"""More than the names, counts and metrics of a plain payload take."""


class PlainAggregation:
    """Checks the payloads of a cohort and adds up their terms.

    Args:
        layout: the model's layout; terms come in its dtype.
        sum_shapes: the shape of each sum that the strategy declares.
    """

    def __init__(self, layout: Layout, sum_shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._dtype = np.dtype(layout.dtype)
        self._shapes = dict(sum_shapes)

    @property
    def max_payload_bytes(self) -> int:
        """The size that no valid payload exceeds."""
        elements = sum(math.prod(shape) for shape in self._shapes.values())
        return elements * self._dtype.itemsize + _PAYLOAD_OVERHEAD_BYTES

    def check(self, client_id: str, payload: bytes) -> ClientRecord:
        """Returns what a payload says of its client, after checking all of it.

        Raises:
            ClientError: the payload is no valid update of this model: malformed, of other terms or sizes, or
                with NaN or infinity in it.
        """
        update, terms = self._read(client_id, payload)
        for name, term in terms.items():
            if not np.isfinite(term).all():
                raise ClientError(client_id, f"its update holds NaN or infinity in {name}; it was left out")
        if not math.isfinite(update.train_loss):
            raise ClientError(client_id, f"its update states a training loss of {update.train_loss}; it was left out")
        return ClientRecord(client_id, "done", update.num_examples, update.train_loss, update.train_accuracy)

    def combine(self, payloads: Iterable[tuple[str, bytes]]) -> dict[str, npt.NDArray[np.float64]]:
        """Returns the named sums over checked payloads, added in the order given, in float64.

        Args:
            payloads: (client id, payload) in the order of the ids; never in that of arrival, since floating-point
                addition is not associative.
        """
        sums = {name: np.zeros(shape) for name, shape in self._shapes.items()}
        for client_id, payload in payloads:
            _, terms = self._read(client_id, payload)
            for name, term in terms.items():
                sums[name] += term
        return sums

    def _read(self, client_id: str, payload: bytes) -> tuple[PlainUpdate, dict[str, npt.NDArray[Any]]]:
        try:
            return read_plain_update(payload, self._shapes, self._dtype)
        except WireError as error:
            raise ClientError(client_id, f"its payload cannot be read: {error}") from error


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
