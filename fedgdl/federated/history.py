"""What happened in a run, round by round, as plain values.

Example:
    >>> record = RoundRecord(1, "failed", None, None, 0.5, 0, 0, (ClientRecord("bob", "failed", reason="worker died"),))
    >>> record.to_dict()["clients"][0]["reason"]
    'worker died'
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["ClientRecord", "RoundRecord", "StageRecord"]


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One client in one round.

    Attributes:
        client_id: who.
        status: `"done"`, or `"failed"`: its update is not in the round's model.
        num_examples, train_loss, train_accuracy: as in `ClientUpdate`; none for a failed client, and for each client
            where the coordinator cannot see them.
        reason: why it failed; empty otherwise.
    """

    client_id: str
    status: Literal["done", "failed"]
    num_examples: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of one attempt at a round; a round without protection has one.

    Attributes:
        name: which stage.
        seconds: wall-clock time from its first task to its last answer.
        num_answers: how many clients' answers were taken.
        bytes_up: bytes of the messages that reached the coordinator meanwhile.
        attempt: at which attempt, counted from 1 in each round.
    """

    name: str
    seconds: float
    num_answers: int
    bytes_up: int
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round.

    Attributes:
        round_index: counted from 1.
        status: `"done"`, or `"failed"`: too few updates came, or they gave no usable model, and the model
            stayed as it was.
        loss: mean loss of a test target (an example, or a position of a sequence) after the round; none where
            nothing was evaluated.
        accuracy: share of test targets predicted right after the round, 0 to 1; none likewise.
        seconds: wall-clock time of training, aggregation and evaluation.
        bytes_up: bytes of the messages that reached the coordinator.
        bytes_down: bytes of the messages it sent, plus the parameter vector once for each client, although
            workers on this machine read it from shared memory.
        clients: one record for each client of the cohort, in the order of their ids.
        metrics: the task's own metrics after the round, name -> mean of a test target; empty where it has none, or
            nothing was evaluated.
        cohort: name -> mean over the clients whose updates are in the sum, each counting the same: `train_loss`,
            `train_accuracy` and, where updates are encoded, `clipped_share`; empty where there is no sum.
        stages: what each stage took, in order; of several attempts at the round, those of all.
        reason: why the round failed; empty otherwise.
    """

    round_index: int
    status: Literal["done", "failed"]
    loss: float | None
    accuracy: float | None
    seconds: float
    bytes_up: int
    bytes_down: int
    clients: tuple[ClientRecord, ...]
    metrics: dict[str, float] = field(default_factory=dict)
    cohort: dict[str, float] = field(default_factory=dict)
    stages: tuple[StageRecord, ...] = ()
    reason: str = ""

    @property
    def failures(self) -> tuple[ClientRecord, ...]:
        """The clients whose update is missing."""
        return tuple(client for client in self.clients if client.status == "failed")

    def to_dict(self) -> dict[str, Any]:
        """Returns the record as JSON-ready values."""
        document = asdict(self)  # of the clients' and stages' records, too
        return {**document, "clients": list(document["clients"]), "stages": list(document["stages"])}
