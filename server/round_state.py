"""One round as a pure state machine: events in, assignments and an outcome out.

No process, clock, file or thread in here: the deadline is an event, workers are numbers, and
payloads are opaque bytes. So every order of events can be played through in a test.

Example:
    >>> state = RoundState(round_index=1, cohort=("alice", "bob"), min_updates=1)
    >>> state.assign(idle_workers=[7])
    [Assignment(worker_id=7, client_ids=('alice',))]
    >>> state.handle(ResultArrived(7, 1, "alice", b"..."))
    >>> state.assign(idle_workers=[7])
    [Assignment(worker_id=7, client_ids=('bob',))]
    >>> state.handle(ClientStarted(7, 1, "bob"))
    >>> state.handle(WorkerGone(7, "killed by SIGKILL"))
    >>> state.is_over, sorted(state.payloads), state.failures["bob"].reason
    (True, ['alice'], 'its worker was lost: killed by SIGKILL')
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = [
    "Assignment",
    "ClientReportedFailure",
    "ClientStarted",
    "Event",
    "Failure",
    "ResultArrived",
    "RoundState",
    "TimeRanOut",
    "WorkerGone",
]

_TASKS_PER_WORKER: Final = 4
"""A round's clients are handed out in about so many tasks a worker, to keep all busy until the end."""

_MAX_CLIENTS_PER_ASSIGNMENT: Final = 64
"""No task names more clients, so that the others are not kept waiting for one worker's long list."""


@dataclass(frozen=True, slots=True)
class ClientStarted:
    """A worker begins to train one client."""

    worker_id: int
    round_index: int
    client_id: str


@dataclass(frozen=True, slots=True)
class ResultArrived:
    """A worker delivered the payload of one client."""

    worker_id: int
    round_index: int
    client_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ClientReportedFailure:
    """A worker says that one client has no update; `is_defect` when its training raised."""

    worker_id: int
    round_index: int
    client_id: str
    reason: str
    is_defect: bool = False


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker died or was replaced. That fails the client it was training; what it had not begun goes to another."""

    worker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class TimeRanOut:
    """The round's deadline has passed."""


Event: TypeAlias = ClientStarted | ResultArrived | ClientReportedFailure | WorkerGone | TimeRanOut


@dataclass(frozen=True, slots=True)
class Assignment:
    """Clients that one idle worker is to train now."""

    worker_id: int
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one client's update is missing; `is_defect` when its training raised."""

    reason: str
    is_defect: bool = False


class RoundState:
    """One round's fan-out to the cohort and fan-in of its answers.

    Args:
        round_index: counted from 1.
        cohort: the sampled clients, each once, sorted.
        min_updates: with fewer payloads the round has failed.

    Attributes:
        payloads: client id -> payload, of the clients that answered.
        failures: client id -> why not, of those that will not.
        ignored: how many events were dropped, by why: late, duplicate, or from a worker that was not asked.
    """

    def __init__(self, round_index: int, cohort: Sequence[str], min_updates: int) -> None:
        self.round_index = round_index
        self.cohort = tuple(cohort)
        self.min_updates = min_updates
        self.payloads: dict[str, bytes] = {}
        self.failures: dict[str, Failure] = {}
        self.ignored: Counter[str] = Counter()
        self._waiting = list(reversed(self.cohort))
        self._held: dict[int, set[str]] = {}
        self._begun: set[str] = set()

    @property
    def is_over(self) -> bool:
        """Whether every client of the cohort has answered or failed."""
        return len(self.payloads) + len(self.failures) == len(self.cohort)

    @property
    def has_succeeded(self) -> bool:
        """Whether the round is over with enough payloads."""
        return self.is_over and len(self.payloads) >= self.min_updates

    @property
    def busy_workers(self) -> frozenset[int]:
        """The workers that still hold clients."""
        return frozenset(worker_id for worker_id, clients in self._held.items() if clients)

    def assign(self, idle_workers: Sequence[int]) -> list[Assignment]:
        """Returns what the idle workers are to do now; each gets at most one assignment.

        Args:
            idle_workers: workers that are ready; those that still hold clients are passed over.
        """
        assignments = []
        free = [worker_id for worker_id in dict.fromkeys(idle_workers) if not self._held.get(worker_id)]
        for worker_id in free:
            if not self._waiting:
                break
            count = min(_MAX_CLIENTS_PER_ASSIGNMENT, -(-len(self._waiting) // (_TASKS_PER_WORKER * len(free))))
            clients = tuple(self._waiting.pop() for _ in range(count))
            self._held[worker_id] = set(clients)
            assignments.append(Assignment(worker_id, clients))
        return assignments

    def handle(self, event: Event) -> None:
        """Takes one event in; what does not belong to this round is counted and dropped."""
        match event:
            case ResultArrived():
                if self._takes(event):
                    self.payloads[event.client_id] = event.payload
            case ClientReportedFailure():
                if self._takes(event):
                    self.failures[event.client_id] = Failure(event.reason, event.is_defect)
            case ClientStarted():
                if event.round_index == self.round_index and event.client_id in self._held.get(event.worker_id, ()):
                    self._begun.add(event.client_id)
            case WorkerGone():
                self._lose(event)
            case TimeRanOut():
                missing = [*self._waiting, *(client_id for clients in self._held.values() for client_id in clients)]
                for client_id in sorted(missing):
                    self.failures[client_id] = Failure("it had not answered when the round's deadline passed")
                self._waiting.clear()
                self._held.clear()

    def _lose(self, event: WorkerGone) -> None:
        """Fails the client that a lost worker had begun; those it had not begun go to another worker, once."""
        held = sorted(self._held.pop(event.worker_id, ()))
        for client_id in held:
            if client_id in self._begun:
                self.failures[client_id] = Failure(f"its worker was lost: {event.reason}")
        unbegun = [client_id for client_id in held if client_id not in self._begun]
        self._waiting.extend(reversed(unbegun))
        self._begun.update(unbegun)  # a second loss is not put down to chance

    def reject(self, client_id: str, reason: str) -> None:
        """Takes a delivered payload back, because the aggregation cannot use it."""
        del self.payloads[client_id]
        self.failures[client_id] = Failure(reason)

    def _takes(self, event: ResultArrived | ClientReportedFailure) -> bool:
        """Whether an answer belongs here; takes the client off its worker if so, counts the answer if not."""
        if event.round_index != self.round_index:
            self.ignored["late"] += 1
        elif event.client_id in self.payloads or event.client_id in self.failures:
            self.ignored["duplicate"] += 1
        elif event.client_id not in self._held.get(event.worker_id, ()):
            self.ignored["not asked"] += 1
        else:
            self._held[event.worker_id].discard(event.client_id)
            return True
        return False
