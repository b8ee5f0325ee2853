"""Plain aggregation of whole numbers: the coordinator reads each encoded update and adds the integers up.

The sum is the one that a protected run opens, so both end with the same model, bit for bit.

Not protected against: the coordinator, which sees every client's update in the clear.

Example:
    >>> from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> from fedgdl.parameters import Layout
    >>> exact = AggregationConfig(exact=True, max_weight=4)
    >>> experiment = Experiment("two", "spam", TrainingConfig(learning_rate=0.1), cohort_size=2, aggregation=exact)
    >>> aggregation = ExactAggregation(experiment, FedAvg("equal"), Layout.of({"w": (3,)}))
    >>> [stage.name for stage in aggregation.open_round(1, 1, ("alice", "bob"), "0" * 64).stages]
    ['train']
"""

import math
from typing import Final

import numpy as np

from fedgdl.config import Experiment
from fedgdl.errors import AggregationError, ClientError, CryptoError, WireError
from fedgdl.federated import ClientRecord, CohortSums, Strategy, UpdateEncoding, make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.wire import EncodedPlainUpdate, decode_struct
from server.aggregation.unprotected import UnprotectedCohort

__all__ = ["ExactAggregation", "ExactCohort"]

_PAYLOAD_OVERHEAD_BYTES: Final = 1_024
"""More than the counts, metrics and field names of a payload take."""


class ExactAggregation:
    """Adds up encoded updates that travel in the clear.

    Args:
        experiment: the configuration; `cohort_size` and `aggregation.max_weight` are numbers by now.
        strategy: declares the sums.
        layout: the model's.

    Raises:
        ConfigError: sums over a cohort may wrap around the ring.
    """

    def __init__(self, experiment: Experiment, strategy: Strategy, layout: Layout) -> None:
        self._encoding = make_update_encoding(experiment, strategy, layout)
        self._min_updates = experiment.strategy.min_updates

    @property
    def max_payload_bytes(self) -> int:
        """The size that no valid payload exceeds."""
        return self._encoding.num_bytes + _PAYLOAD_OVERHEAD_BYTES

    def open_round(self, round_index: int, attempt: int, cohort: tuple[str, ...], model_sha256: str) -> "ExactCohort":
        """Returns a fresh aggregation for one attempt at one round."""
        return ExactCohort(self._min_updates, self._encoding)


class ExactCohort(UnprotectedCohort):
    """Checks the payloads of a cohort as they come, and adds them up at once: integers add up alike in any order.

    Args:
        min_updates: with fewer the round has failed.
        encoding: how updates became vectors.
    """

    def __init__(self, min_updates: int, encoding: UpdateEncoding) -> None:
        super().__init__(min_updates)
        self._encoding = encoding
        self._total = np.zeros(encoding.size, encoding.dtype)
        self._num_clients = 0

    def take(self, stage: str, client_id: str, payload: bytes) -> ClientRecord:
        """Adds an update, after checking all of it, and returns what it says of its client.

        Raises:
            ClientError: the payload is no valid update of this model: malformed, of another size, or no vector
                that one client can have.
        """
        try:
            update = decode_struct(payload, EncodedPlainUpdate)
            vector = self._encoding.unpack(update.vector)
        except (WireError, CryptoError) as error:
            raise ClientError(client_id, f"its payload cannot be read: {error}") from error
        if not math.isfinite(update.train_loss):
            raise ClientError(client_id, f"its update states a training loss of {update.train_loss}; it was left out")
        try:
            vector = self._encoding.check(vector, 1)
        except AggregationError as error:
            raise ClientError(client_id, f"its update is none that a client can have: {error}") from error
        self._total += vector
        self._num_clients += 1
        return ClientRecord(client_id, "done", update.num_examples, update.train_loss, update.train_accuracy)

    def finish(self) -> CohortSums:
        """Returns the sums, in float64, decoded from their integers.

        Raises:
            AggregationError: no update was taken.
        """
        if not self._num_clients:
            message = "no client sent a usable update; there is nothing to add up"
            raise AggregationError(message)
        return self._encoding.decode(self._total, self._num_clients)
