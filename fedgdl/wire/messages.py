"""The messages between the coordinator and its workers: nouns in imperative pairs.

Every message is a frozen struct with bounded fields; an unknown field is refused. Two unions say
who may send what: `ToWorker` and `ToCoordinator`. Bounds are checked when bytes are decoded; what a program
builds itself is trusted, except a reason: it quotes errors of any origin, and is made to fit.

Example:
    >>> TrainResult(round_index=1, client_id="bob", payload=b"").client_id
    'bob'
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from fedgdl.config import TrainingConfig

__all__ = [
    "MAX_CLIENTS_PER_TASK",
    "MAX_REASON_CHARACTERS",
    "ClientFailed",
    "ClientMessage",
    "EncodedPlainUpdate",
    "ParametersReference",
    "PlainUpdate",
    "Shutdown",
    "StageName",
    "StageResult",
    "StageTask",
    "ToCoordinator",
    "ToWorker",
    "TrainResult",
    "TrainStarted",
    "TrainTask",
    "WorkerFailed",
    "WorkerReady",
]

MAX_CLIENTS_PER_TASK: Final = 4_096
MAX_REASON_CHARACTERS: Final = 1_000
MAX_SUMS: Final = 64

ClientId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
RoundIndex: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Digest: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Reason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON_CHARACTERS)]
StageName: TypeAlias = Literal["advertise", "share", "consistency", "unmask", "decrypt", "stand in"]
Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


class ParametersReference(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a round's parameter vector lies, and what it must be.

    Attributes:
        slot: which of the two slots of the shared block.
        version: the number that this vector was published under.
        sha256: SHA-256 of the vector's bytes, 64 hexadecimal digits.
    """

    slot: Annotated[int, Meta(ge=0, le=1)]
    version: Annotated[int, Meta(ge=1, le=2**62)]
    sha256: Digest


class ClientMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """What the coordinator tells one client of a cohort in one stage of a round; opaque to all but the protection."""

    client_id: ClientId
    message: bytes = b""


ClientMessages: TypeAlias = Annotated[tuple[ClientMessage, ...], Meta(min_length=1, max_length=MAX_CLIENTS_PER_TASK)]


class TrainTask(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Coordinator to worker: train these clients from these parameters.

    Attributes:
        common: what all clients of the stage are told alike; opaque likewise.
    """

    round_index: RoundIndex
    parameters: ParametersReference
    plan: TrainingConfig
    clients: ClientMessages
    common: bytes = b""


class StageTask(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Coordinator to worker: a stage of a protected round in which nothing is trained, for these clients.

    Attributes:
        stage: which one.
        common: what all clients of the stage are told alike; opaque to all but the protection.
    """

    round_index: RoundIndex
    stage: StageName
    clients: ClientMessages
    common: bytes = b""


class Shutdown(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Coordinator to worker: end now."""


class WorkerReady(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Worker to coordinator: data and model are loaded, tasks may come.

    Attributes:
        layout_sha256: the digest of the model's layout, which must be the coordinator's.
        data_fingerprint: the fingerprint of the prepared data, likewise.
    """

    layout_sha256: Digest
    data_fingerprint: Annotated[str, Meta(max_length=200)]


class WorkerFailed(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Worker to coordinator: this worker cannot load its task, data or model, or read the parameters, and ends."""

    reason: Reason

    def __post_init__(self) -> None:
        """Makes the reason fit."""
        force_setattr(self, "reason", _fit(self.reason))


class TrainStarted(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Worker to coordinator: this client's training begins; if the worker is lost now, it is this client's fault."""

    round_index: RoundIndex
    client_id: ClientId


class TrainResult(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Worker to coordinator: one client's protected update, opaque to all but the aggregation."""

    round_index: RoundIndex
    client_id: ClientId
    payload: bytes


class StageResult(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Worker to coordinator: one client's answer in a stage without training, opaque to all but the aggregation."""

    round_index: RoundIndex
    stage: StageName
    client_id: ClientId
    payload: bytes


class ClientFailed(Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Worker to coordinator: one client has no answer, or no update, and takes no further part in this round.

    Attributes:
        reason: why, in words; longer than `MAX_REASON_CHARACTERS`, it is cut.
        is_defect: whether working on it raised an unforeseen error (a defect of the task, likely) rather than
            refusing its data, its update or what it was told.
    """

    round_index: RoundIndex
    client_id: ClientId
    reason: Reason
    is_defect: bool = False

    def __post_init__(self) -> None:
        """Makes the reason fit."""
        force_setattr(self, "reason", _fit(self.reason))


class PlainUpdate(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an unprotected update: the client's terms of the strategy's sums, in the clear.

    Attributes:
        terms: the bytes of each named term, little-endian, in the dtype of the model.
        num_examples: how many examples the client has.
        train_loss: mean loss of a target in its last epoch; where training diverged it may be NaN or
            infinite, which passes the wire so that the aggregation can say so by name.
        train_accuracy: share predicted right in that epoch.
    """

    terms: Annotated[dict[Annotated[str, Meta(min_length=1, max_length=100)], bytes], Meta(max_length=MAX_SUMS)]
    num_examples: Annotated[int, Meta(ge=1, le=2**53)]
    train_loss: float
    train_accuracy: Fraction


class EncodedPlainUpdate(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload of an unprotected update in fixed point: the same integers that a protected one hides.

    Attributes:
        vector: the encoded slots, each in its bytes, little-endian.
        num_examples, train_loss, train_accuracy: as in `PlainUpdate`.
    """

    vector: bytes
    num_examples: Annotated[int, Meta(ge=1, le=2**53)]
    train_loss: float
    train_accuracy: Fraction


ToWorker: TypeAlias = TrainTask | StageTask | Shutdown
ToCoordinator: TypeAlias = WorkerReady | WorkerFailed | TrainStarted | TrainResult | StageResult | ClientFailed


def _fit(reason: str) -> str:
    """Returns a reason that can be sent: short enough, and without the half characters of odd file names."""
    return reason[:MAX_REASON_CHARACTERS].encode("utf-8", "replace").decode()
