"""No protection either, but in whole numbers: the client sends in the clear what a protected run would hide.

A plain run with `exact = true` therefore ends with the same model, bit for bit, as a protected one. It is there to
compare with.

Not protected against: anyone who sees the payload, as in `plain.py`.

Example:
    >>> import numpy as np
    >>> from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
    >>> from fedgdl.federated import ClientUpdate, FedAvg
    >>> from fedgdl.parameters import Layout
    >>> exact = AggregationConfig(exact=True, max_weight=4)
    >>> experiment = Experiment("two", "spam", TrainingConfig(learning_rate=0.1), cohort_size=2, aggregation=exact)
    >>> protection = ExactProtection(experiment, FedAvg("equal"), Layout.of({"w": (3,)}))
    >>> update = ClientUpdate(np.array([0.5, 0.0, -1.0]), num_examples=2, train_loss=0.25, train_accuracy=1.0)
    >>> len(protection.protect("bob", 1, "0" * 64, b"", b"", update)) > 3 * 3  # three bytes a slot
    True
"""

from clients.protection.unprotected import Unprotected
from fedgdl.config import Experiment
from fedgdl.errors import ClientError, CryptoError
from fedgdl.federated import ClientUpdate, OnEncoded, Strategy, make_update_encoding, rounding_stream
from fedgdl.parameters import Layout
from fedgdl.wire import EncodedPlainUpdate, encode_struct

__all__ = ["ExactProtection"]


class ExactProtection(Unprotected):
    """Sends the encoded vector of an update as it is, with the counts that go with it.

    Args:
        experiment: the configuration; `cohort_size` and `aggregation.max_weight` are numbers by now.
        strategy: says which terms of which sums a client forms.
        layout: the model's.
        on_encoded: see `OnEncoded`.

    Raises:
        ConfigError: sums over a cohort may wrap around the ring.
    """

    def __init__(
        self, experiment: Experiment, strategy: Strategy, layout: Layout, on_encoded: OnEncoded = lambda *_: None
    ) -> None:
        self._encoding = make_update_encoding(experiment, strategy, layout)
        self._seed = experiment.seed
        self._on_encoded = on_encoded

    def protect(
        self, client_id: str, round_index: int, model_sha256: str, common: bytes, message: bytes, update: ClientUpdate
    ) -> bytes:
        """Returns the payload of an update: its encoded vector, and its metrics.

        Raises:
            ClientError: the update holds NaN or infinity.
        """
        try:
            encoded = self._encoding.encode(update, rounding_stream(self._seed, round_index, client_id))
        except CryptoError as error:
            raise ClientError(client_id, f"its update cannot be encoded: {error}") from error
        self._on_encoded(client_id, round_index, encoded)
        return encode_struct(
            EncodedPlainUpdate(
                vector=self._encoding.pack(encoded.vector),
                num_examples=update.num_examples,
                train_loss=update.train_loss,
                train_accuracy=update.train_accuracy,
            )
        )
