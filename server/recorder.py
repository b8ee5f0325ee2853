"""What the coordinator saw: the one place that every payload passes, whatever the engine.

A run always counts bytes. With `keep = True` the recorder also keeps the parameters sent out and
the payloads that came back: exactly the view of an honest-but-curious coordinator, and all that an
attack may read.

Example:
    >>> recorder = Recorder(keep=True)
    >>> recorder.payload_arrived(1, "bob", b"abc")
    >>> recorder.payloads
    [RecordedPayload(round_index=1, client_id='bob', payload=b'abc')]
"""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

__all__ = ["RecordedPayload", "Recorder"]


@dataclass(frozen=True, slots=True)
class RecordedPayload:
    """One client's payload, as it reached the coordinator."""

    round_index: int
    client_id: str
    payload: bytes


class Recorder:
    """Counts bytes, and keeps what passed if asked to.

    Args:
        keep: whether parameters and payloads are kept; they cost memory for the whole run.

    Attributes:
        bytes_up: bytes of all frames that reached the coordinator.
        bytes_down: bytes of all frames it sent, and of the parameters once for each client.
        parameters: round -> (d,) the parameter vector sent out in that round, if kept.
        payloads: every payload, in the order of arrival, if kept.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep
        self.bytes_up = 0
        self.bytes_down = 0
        self.parameters: dict[int, npt.NDArray[Any]] = {}
        self.payloads: list[RecordedPayload] = []

    def frame_arrived(self, num_bytes: int) -> None:
        """Counts a frame that came, valid or not."""
        self.bytes_up += num_bytes

    def task_sent(self, num_bytes: int, num_clients: int, parameter_bytes: int) -> None:
        """Counts a task's frame, and the parameters for each of its clients."""
        self.bytes_down += num_bytes + num_clients * parameter_bytes

    def parameters_published(self, round_index: int, vector: npt.NDArray[Any]) -> None:
        """Keeps a copy of a round's parameters."""
        if self._keep:
            self.parameters[round_index] = vector.copy()

    def payload_arrived(self, round_index: int, client_id: str, payload: bytes) -> None:
        """Keeps a payload."""
        if self._keep:
            self.payloads.append(RecordedPayload(round_index, client_id, payload))
