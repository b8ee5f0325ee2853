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

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from clients.protection.plain import PlainProtection
from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated import ClientUpdate, OnEncoded, Strategy
from fedgdl.parameters import Layout

if TYPE_CHECKING:
    from fedgdl.crypto.masking import Identities

__all__ = ["Protection", "WorksWhileIdle", "make_protection"]


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


@runtime_checkable
class WorksWhileIdle(Protocol):
    """A protection that does some of its work beforehand, while its worker has nothing else to do."""

    def busy(self) -> None:
        """Says that the worker has something to do from now on."""
        ...

    def idle(self) -> None:
        """Says that the worker has nothing to do for now."""
        ...

    def close(self) -> None:
        """Ends all such work for good."""
        ...


def make_protection(
    experiment: Experiment,
    strategy: Strategy,
    layout: Layout,
    identities: "Identities | None",
    on_encoded: OnEncoded = lambda *_: None,
    *,
    key_material: bytes | None = None,
    num_workers: int = 1,
    on_encrypted: Callable[[str, int, int, int], None] = lambda *_: None,
) -> Protection:
    """Returns the protection that goes with the configured aggregation.

    Args:
        experiment: the configuration, with `aggregation.max_weight` resolved where updates are encoded.
        strategy: says which terms of which sums a client forms.
        layout: the model's layout.
        identities: signs for the clients; none where the protection signs nothing.
        on_encoded: see `OnEncoded`.
        key_material: what clients know of the key that updates are encrypted with; none where none are.
        num_workers: how many workers share the clients, and the cores.
        on_encrypted: called with (client id, round, ciphertexts made, ciphertexts in all) while an update is encrypted.

    Raises:
        ConfigError: the protection signs or encrypts, and there is nobody to sign, or no key to encrypt, with.
        CryptoError: the key material cannot be used.
    """
    if experiment.aggregation.kind == "paillier":
        from clients.protection.paillier import PaillierProtection  # lazily: plain runs need no cryptography

        if identities is None or key_material is None:
            message = 'aggregation.kind = "paillier" needs the clients\' identities and a key'
            raise ConfigError(message)
        return PaillierProtection(
            experiment,
            strategy,
            layout,
            identities,
            on_encoded,
            key_material=key_material,
            num_workers=num_workers,
            on_progress=on_encrypted,
        )
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
