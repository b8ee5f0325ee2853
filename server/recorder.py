"""What the coordinator saw: the one place that everything passes, whatever the engine.

A run always counts bytes. With `keep = True` the recorder also keeps the parameters sent out, the payloads that came
back and the sums that were opened: exactly the view of an honest-but-curious coordinator, and all that an attack may
read. A subclass may override any method to look closer.

Example:
    >>> recorder = Recorder(keep=True)
    >>> recorder.payload_arrived(1, "train", "bob", b"abc")
    >>> recorder.payloads
    [RecordedPayload(round_index=1, stage='train', client_id='bob', payload=b'abc')]
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from fedgdl.federated import CohortSums

__all__ = ["RecordedPayload", "Recorder"]


@dataclass(frozen=True, slots=True)
class RecordedPayload:
    """One client's payload of one stage, as it reached the coordinator."""

    round_index: int
    stage: str
    client_id: str
    payload: bytes


class Recorder:
    """Counts bytes, and keeps what passed if asked to.

    Args:
        keep: whether parameters, payloads and sums are kept; they cost memory for the whole run.

    Attributes:
        bytes_up: bytes of all frames that reached the coordinator.
        bytes_down: bytes of all frames it sent, and of the parameters once for each client that was to train.
        parameters: round -> (d,) the parameter vector sent out in that round, if kept.
        payloads: every payload, in the order of arrival, if kept; those that came late, too.
        sums: round -> what the aggregation opened, if kept.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self.bytes_up = 0
        self.bytes_down = 0
        self.parameters: dict[int, npt.NDArray[Any]] = {}
        self.payloads: list[RecordedPayload] = []
        self.sums: dict[int, CohortSums] = {}

    def frame_arrived(self, worker_id: int, frame: bytes) -> None:
        """Counts a frame that came, valid or not."""
        self.bytes_up += len(frame)

    def key_holder_frame_arrived(self, frame: bytes) -> None:
        """Takes note of a frame of the key holder, which is none of the clients' bytes."""

    def stage_began(self, round_index: int, stage: str, common: bytes) -> None:
        """Takes note of what all participants of a stage are told alike."""

    def task_sent(
        self,
        round_index: int,
        stage: str,
        client_ids: Sequence[str],
        num_bytes: int,
        parameter_bytes: int,
    ) -> None:
        """Counts a task's frame, and the parameters for each of its clients.

        Args:
            round_index: counted from 1.
            stage: what the clients are asked for.
            client_ids: whom the task names.
            num_bytes: of the frame.
            parameter_bytes: of the parameters that each of them reads; 0 in a stage without training.
        """
        self.bytes_down += num_bytes + len(client_ids) * parameter_bytes

    def parameters_published(self, round_index: int, vector: npt.NDArray[Any]) -> None:
        """Keeps a copy of a round's parameters."""
        if self._keep:
            self.parameters[round_index] = vector.copy()

    def payload_arrived(self, round_index: int, stage: str, client_id: str, payload: bytes) -> None:
        """Keeps a payload."""
        if self._keep:
            self.payloads.append(RecordedPayload(round_index, stage, client_id, payload))

    def sum_opened(self, round_index: int, sums: CohortSums) -> None:
        """Keeps what the aggregation opened."""
        if self._keep:
            self.sums[round_index] = sums
