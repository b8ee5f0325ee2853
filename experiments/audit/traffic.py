"""Who was asked and answered when, stage by stage: what the coordinator knows without reading a single payload.

Not here: the payloads themselves (`experiments.audit.recorder` keeps them).

Example:
    >>> traffic = Traffic()
    >>> traffic.task_sent(0.5, 1, "train", ("alice", "bob"), 1_000)
    >>> traffic.frame_arrived(0.75, worker_id=7)
    >>> traffic.payload_arrived(1, "train", "alice", Arrival(0.75, 0.0, 7, offset=0, num_bytes=80))
    >>> (stage,) = traffic.rounds[1].stages
    >>> stage.answers["alice"].took_seconds, stage.unanswered
    (0.25, ['bob'])
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fedgdl.federated import CohortSums

__all__ = ["Arrival", "OpenedSum", "RoundTraffic", "StageTraffic", "Traffic"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One answer of one client.

    Attributes:
        seconds: when it came, since the record was opened.
        took_seconds: since it was asked, or since the last message of the same worker, if that was later: a worker
            does one thing at a time.
        worker_id: the worker that hosts it.
        offset, num_bytes: where its frame is in the file of received frames.
    """

    seconds: float
    took_seconds: float
    worker_id: int
    offset: int
    num_bytes: int


@dataclass(slots=True)
class StageTraffic:
    """One stage of one attempt at one round.

    Attributes:
        name: of the stage.
        attempt: counted from 1 in each round.
        asked: client -> when the task that names it was sent.
        answers: client -> its first answer.
        num_repeated: answers of clients that had answered, or had not been asked.
        bytes_down: of the tasks, and of the parameters once for each client that trains.
    """

    name: str
    attempt: int = 1
    asked: dict[str, float] = field(default_factory=dict)
    answers: dict[str, Arrival] = field(default_factory=dict)
    num_repeated: int = 0
    bytes_down: int = 0

    @property
    def unanswered(self) -> list[str]:
        """The clients that were asked and have not answered, sorted."""
        return sorted(self.asked.keys() - self.answers.keys())

    @property
    def bytes_up(self) -> int:
        """Bytes of the first answers."""
        return sum(answer.num_bytes for answer in self.answers.values())

    @property
    def seconds(self) -> float:
        """From the first task to the last answer; 0 without either."""
        if not self.asked or not self.answers:
            return 0.0
        return max(answer.seconds for answer in self.answers.values()) - min(self.asked.values())


@dataclass(frozen=True, slots=True)
class OpenedSum:
    """What the sum of one round told.

    Attributes:
        num_clients: of how many clients it is.
        means: name -> mean over them.
        norms: name -> (elements, Euclidean norm) of each sum.
        digest: SHA-256 of all of it, to the bit.
    """

    num_clients: int
    means: dict[str, float]
    norms: dict[str, tuple[int, float]]
    digest: str

    @classmethod
    def of(cls, sums: CohortSums) -> "OpenedSum":
        """Returns what is kept of a round's sums."""
        known = hashlib.sha256(f"{sums.num_clients} {sorted(sums.means.items())!r}".encode())
        norms = {}
        for name in sorted(sums.sums):
            array = np.ascontiguousarray(sums.sums[name], "<f8")
            known.update(f"{name} {array.shape} ".encode() + array.tobytes())
            norms[name] = array.size, math.sqrt(float(np.square(array).sum()))
        return cls(sums.num_clients, dict(sums.means), norms, known.hexdigest())


@dataclass(slots=True)
class RoundTraffic:
    """One round: its stages in the order they began, those of a second attempt behind those of the first.

    Attributes:
        stages: see `StageTraffic`.
        opened: what its sum told; none where there was no sum.
    """

    stages: list[StageTraffic] = field(default_factory=list)
    opened: OpenedSum | None = None

    @property
    def num_asked(self) -> int:
        """How many clients were asked in a first stage, of the attempt with the most."""
        return max((len(stage.asked) for stage in self.stages), default=0)


class Traffic:
    """Notes tasks and answers as they pass, with times in seconds since the record was opened.

    Attributes:
        rounds: what happened in each, by its index.
    """

    def __init__(self) -> None:
        self.rounds: dict[int, RoundTraffic] = {}
        self._frame_times: dict[int, tuple[float, float]] = {}  # worker -> (last frame but one, last frame)

    def round(self, round_index: int) -> RoundTraffic:
        """Returns what is known of a round; it has begun, if it had not."""
        return self.rounds.setdefault(round_index, RoundTraffic())

    def task_sent(
        self, seconds: float, round_index: int, stage: str, client_ids: Sequence[str], num_bytes: int
    ) -> None:
        """Notes a task that was sent."""
        asked = self._stage_to_ask(self.round(round_index), stage, client_ids)
        asked.bytes_down += num_bytes
        for client_id in client_ids:
            asked.asked[client_id] = seconds

    def frame_arrived(self, seconds: float, worker_id: int) -> None:
        """Notes that a frame came, whatever is in it."""
        before = self._frame_times.get(worker_id, (0.0, 0.0))[1]
        self._frame_times[worker_id] = before, seconds

    def payload_arrived(self, round_index: int, stage: str, client_id: str, arrival: Arrival) -> None:
        """Notes whose answer the last frame held; an answer to a stage that nobody was asked in is left out."""
        stages = [known for known in self.round(round_index).stages if known.name == stage]
        if not stages:
            return
        known = stages[-1]
        if client_id not in known.asked or client_id in known.answers:
            known.num_repeated += 1
            return
        began = max(known.asked[client_id], self._frame_times.get(arrival.worker_id, (0.0, 0.0))[0])
        known.answers[client_id] = replace(arrival, took_seconds=max(0.0, arrival.seconds - began))

    @staticmethod
    def _stage_to_ask(known: RoundTraffic, name: str, client_ids: Sequence[str]) -> StageTraffic:
        """Returns the stage that a task belongs to; one that goes back begins another attempt at the round."""
        stages = known.stages
        attempt = stages[-1].attempt if stages else 1
        of_attempt = {stage.name for stage in stages if stage.attempt == attempt}
        if stages and stages[-1].name == name and not any(client in stages[-1].answers for client in client_ids):
            return stages[-1]
        stages.append(StageTraffic(name, attempt + 1 if name in of_attempt else attempt))
        return stages[-1]
