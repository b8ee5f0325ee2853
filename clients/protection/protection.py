"""The interface of a protection: what a client says in each stage of a round.

Messages and payloads are bytes whose meaning only the protection and its aggregation in `server.aggregation` know.

Example:
    >>> from fedgdl.config import Experiment, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> from fedgdl.parameters import Layout
    >>> experiment = Experiment("two", "spam", TrainingConfig(learning_rate=0.1))
    >>> make_protection(experiment, FedAvg("equal"), Layout.of({"w": (2,)}), None).is_private
    False
"""

from typing import TYPE_CHECKING, Protocol

from clients.protection.plain import PlainProtection
from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated import ClientUpdate, OnEncoded, Strategy
from fedgdl.parameters import Layout

if TYPE_CHECKING:
    from fedgdl.crypto.masking import Identities

__all__ = ["Protection", "make_protection"]


class Protection(Protocol):
    """Turns a client's part in a round into what the coordinator sees. One object serves all clients of a worker.

    Attributes:
        is_private: whether counts, losses and detailed reasons must stay off the wire.
    """

    @property
    def is_private(self) -> bool: ...  # noqa: D102 (described in the class)

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Returns a client's answer in a stage without training.

        Args:
            stage: its name.
            round_index: counted from 1.
            client_id: who is asked.
            common: what all participants of the stage are told alike.
            message: what this one is told.

        Raises:
            ProtocolError: the client refuses; the message says what it caught.
            WireError: what it was told cannot be read.
            CryptoError: a key, share or signature in it cannot be used.
        """
        ...

    def check_model(self, client_id: str, round_index: int, model_sha256: str) -> None:
        """Makes sure, before a client trains, that it got the parameters that the round was announced with.

        Args:
            client_id: who is about to train.
            round_index: counted from 1.
            model_sha256: of the parameter vector it was given, 64 hexadecimal digits.

        Raises:
            ProtocolError: they are others.
        """
        ...

    def protect(
        self, client_id: str, round_index: int, model_sha256: str, common: bytes, message: bytes, update: ClientUpdate
    ) -> bytes:
        """Returns the payload of an update: a client's answer in the stage that trains.

        Args:
            client_id: whose update it is.
            round_index: counted from 1.
            model_sha256: of the parameter vector that it was trained from.
            common: what all participants of the stage are told alike.
            message: what this one is told.
            update: the client's update, its delta and loss finite.

        Raises:
            ClientError: the update cannot be sent.
            ProtocolError, WireError, CryptoError: as in `answer`.
        """
        ...


def make_protection(
    experiment: Experiment,
    strategy: Strategy,
    layout: Layout,
    identities: "Identities | None",
    on_encoded: OnEncoded = lambda *_: None,
) -> Protection:
    """Returns the protection that goes with the configured aggregation.

    Args:
        experiment: the configuration, with `aggregation.max_weight` resolved where updates are encoded.
        strategy: says which terms of which sums a client forms.
        layout: the model's layout.
        identities: signs for the clients; none where the protection signs nothing.
        on_encoded: see `OnEncoded`.

    Raises:
        ConfigError: the protection signs, and there is nobody to sign with.
    """
    if experiment.aggregation.kind == "secagg":
        from clients.protection.secagg import SecaggProtection  # lazily: plain runs need no cryptography

        if identities is None:
            message = 'aggregation.kind = "secagg" needs the clients\' identities'
            raise ConfigError(message)
        return SecaggProtection(experiment, strategy, layout, identities, on_encoded)
    if experiment.aggregation.exact:
        from clients.protection.exact import ExactProtection  # lazily: for those runs alone that need it

        return ExactProtection(experiment, strategy, layout, on_encoded)
    return PlainProtection(strategy)
