"""One round as a pure state machine: events in, assignments and an outcome out.

A round is a row of stages. Each is a fan-out to its participants and a fan-in of their answers; who answered takes part
in the next. A round without protection has one stage, in which clients train. In a round of several stages a client
holds secrets from its first answer on: it stays with the worker that hosts it, and leaves the round with it.

No process, clock, file or thread in here: the deadline is an event, workers are numbers, and of payloads only their
arrival is told. So every order of events can be played through in a test.

Example:
    >>> state = RoundState(round_index=1, cohort=("alice", "bob"), stages=(Stage("train", 1, trains=True),))
    >>> state.assign(idle_workers=[7])
    [Assignment(worker_id=7, client_ids=('alice',))]
    >>> state.handle(ResultArrived(7, 1, "train", "alice"))
    True
    >>> state.assign(idle_workers=[7])
    [Assignment(worker_id=7, client_ids=('bob',))]
    >>> state.handle(ClientStarted(7, 1, "bob"))
    True
    >>> state.handle(WorkerGone(7, "killed by SIGKILL"))
    True
    >>> state.has_succeeded, state.contributors, state.failures["bob"].reason
    (True, ('alice',), 'its worker was lost: killed by SIGKILL')
"""

from collections import Counter, deque
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
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
    "Stage",
    "TimeRanOut",
    "WorkerGone",
]

_TASKS_PER_WORKER: Final = 4
"""Clients that any worker may have are handed out in about so many tasks a worker, to keep all busy until the end."""

_MAX_CLIENTS_PER_ASSIGNMENT: Final = 64
"""No task names more clients, so that the others are not kept waiting for one worker's long list."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One trip to the participants and back.

    Attributes:
        name: unlike the others of its round.
        min_answers: with fewer the round has failed, and ends with this stage.
        trains: whether clients train in it; its answers are their updates.
        opens: whether its answers open the sum. Once they have been asked for, there is no other attempt at the round:
            of two sums over almost the same clients the difference is what one of them sent.
    """

    name: str
    min_answers: int
    trains: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class ClientStarted:
    """A worker begins to train one client."""

    worker_id: int
    round_index: int
    client_id: str


@dataclass(frozen=True, slots=True)
class ResultArrived:
    """A worker delivered one client's answer in a stage."""

    worker_id: int
    round_index: int
    stage: str
    client_id: str


@dataclass(frozen=True, slots=True)
class ClientReportedFailure:
    """A worker says that one client has no answer; `is_defect` when working on it raised."""

    worker_id: int
    round_index: int
    client_id: str
    reason: str
    is_defect: bool = False


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker died or was replaced. That fails the client it was training, and each client that it holds secrets of.

    What it had not begun in the round's first stage goes to another, once.
    """

    worker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class TimeRanOut:
    """The stage's deadline has passed."""


Event: TypeAlias = ClientStarted | ResultArrived | ClientReportedFailure | WorkerGone | TimeRanOut


@dataclass(frozen=True, slots=True)
class Assignment:
    """Clients that one idle worker is to ask now."""

    worker_id: int
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one client's answer is missing; `is_defect` when working on it raised."""

    reason: str
    is_defect: bool = False


class RoundState:
    """One attempt at one round.

    Args:
        round_index: counted from 1.
        cohort: the sampled clients, each once, sorted.
        stages: in order; one of them trains.

    Attributes:
        participants: the clients of the current stage, sorted: the cohort, and later those whose answer to the stage
            before was taken. Some of them may have failed in it at once, because their worker is gone.
        failures: client id -> why, of those whose update will not be in the sum.
        departures: client id -> why, of those that left after their update was taken.
        ignored: how many events were dropped, by why: late, duplicate, or from a worker that was not asked.
    """

    def __init__(self, round_index: int, cohort: Sequence[str], stages: Sequence[Stage]) -> None:
        self.round_index = round_index
        self.cohort = tuple(cohort)
        self.stages = tuple(stages)
        self.participants = self.cohort
        self.failures: dict[str, Failure] = {}
        self.departures: dict[str, Failure] = {}
        self.ignored: Counter[str] = Counter()
        self._stage_index = 0
        self._answered: set[str] = set()
        self._missing: set[str] = set()
        self._trained: frozenset[str] = frozenset()
        self._waiting = list(reversed(self.cohort))
        self._own: dict[int, deque[str]] = {}
        self._dealt: set[int] = set()
        self._orphans: list[deque[str]] = []
        self._held: dict[int, dict[str, None]] = {}  # in the order of the assignment
        self._host: dict[str, int] = {}
        self._begun: set[str] = set()
        self._gone: dict[int, str] = {}

    @property
    def stage(self) -> Stage:
        """The current stage; when the round is over, its last."""
        return self.stages[self._stage_index]

    @property
    def num_answers(self) -> int:
        """How many answers have been taken in the current stage."""
        return len(self._answered)

    @property
    def contributors(self) -> tuple[str, ...]:
        """The clients whose update was taken, sorted, whether or not they have left since."""
        return self._in_order(self._answered if self.stage.trains else self._trained)

    @property
    def is_stage_over(self) -> bool:
        """Whether every participant of the current stage has answered or failed."""
        return len(self._answered) + len(self._missing) == len(self.participants)

    @property
    def is_over(self) -> bool:
        """Whether the round is over: with its last stage, or with one that too few clients answered."""
        return self.is_stage_over and (self._is_last_stage or not self._has_enough)

    @property
    def has_succeeded(self) -> bool:
        """Whether the round is over with enough answers in every stage."""
        return self.is_stage_over and self._is_last_stage and self._has_enough

    @property
    def busy_workers(self) -> frozenset[int]:
        """The workers that still hold clients."""
        return frozenset(worker_id for worker_id, clients in self._held.items() if clients)

    def advance(self) -> bool:
        """Begins the next stage if there is one and the current one ended with enough answers; returns whether so.

        Participants whose worker is gone have left: they fail in the new stage before anyone is asked.
        """
        if not self.is_stage_over or self.is_over:
            return False
        if self.stage.trains:
            self._trained = frozenset(self._answered)
        self.participants = self._in_order(self._answered)
        self._stage_index += 1
        self._answered, self._missing = set(), set()
        self._own = {}
        for client_id in self.participants:
            host = self._host[client_id]
            if host in self._gone:
                self._fail(client_id, Failure(f"its worker was lost: {self._gone[host]}"))
            else:
                self._own.setdefault(host, deque()).append(client_id)
        return True

    def assign(self, idle_workers: Sequence[int]) -> list[Assignment]:
        """Returns what the idle workers are to do now; each gets at most one assignment.

        Args:
            idle_workers: workers that are ready; those that still hold clients are passed over.
        """
        ready = list(dict.fromkeys(idle_workers))
        if self._is_staged and self._waiting:
            self._deal_out(ready)
        free = [worker_id for worker_id in ready if not self._held.get(worker_id)]
        assignments = []
        for worker_id in free:
            clients = self._take_own(worker_id) or self._take_over(worker_id) or self._take_waiting(len(free))
            if clients:
                self._held[worker_id] = dict.fromkeys(clients)
                assignments.append(Assignment(worker_id, clients))
        return assignments

    def handle(self, event: Event) -> bool:
        """Takes one event in, and returns whether it was; what does not belong here is counted and dropped."""
        match event:
            case ResultArrived():
                if not self._takes(event, is_late=event.stage != self.stage.name):
                    return False
                self._answered.add(event.client_id)
                self._host[event.client_id] = event.worker_id
            case ClientReportedFailure():
                if not self._takes(event):
                    return False
                self._fail(event.client_id, Failure(event.reason, event.is_defect))
            case ClientStarted():
                if event.round_index != self.round_index or event.client_id not in self._held.get(event.worker_id, ()):
                    return False
                self._begun.add(event.client_id)
            case WorkerGone():
                self._lose(event)
            case TimeRanOut():
                self._end_stage()
        return True

    def reject(self, client_id: str, reason: str) -> None:
        """Takes an answer back that was taken in the current stage, because the aggregation cannot use it."""
        self._answered.remove(client_id)
        self._fail(client_id, Failure(reason))

    @property
    def _is_staged(self) -> bool:
        return len(self.stages) > 1

    @property
    def _is_last_stage(self) -> bool:
        return self._stage_index == len(self.stages) - 1

    @property
    def _has_enough(self) -> bool:
        return len(self._answered) >= self.stage.min_answers

    def _in_order(self, client_ids: AbstractSet[str]) -> tuple[str, ...]:
        return tuple(client_id for client_id in self.cohort if client_id in client_ids)

    def _deal_out(self, workers: Sequence[int]) -> None:
        """Gives each worker its share of the cohort, all alike but for one client, in the order of ids."""
        for position, worker_id in enumerate(workers):
            start, stop = (len(self.cohort) * edge // len(workers) for edge in (position, position + 1))
            if start < stop:
                self._own[worker_id] = deque(self.cohort[start:stop])
        self._dealt = set(self._own)
        if workers:
            self._waiting.clear()

    def _take_own(self, worker_id: int) -> tuple[str, ...]:
        """Takes the next clients off a worker's own."""
        own = self._own.get(worker_id, deque())
        return tuple(own.popleft() for _ in range(min(len(own), _MAX_CLIENTS_PER_ASSIGNMENT)))

    def _take_over(self, worker_id: int) -> tuple[str, ...]:
        """Gives a worker what a lost one left in the first stage, unless it hosts clients of its own.

        They might be lost, too, by what has ended the other; a replacement, which hosts nobody, is on its way.
        """
        if not self._orphans or worker_id in self._dealt:
            return ()
        self._own[worker_id] = self._orphans.pop(0)
        return self._take_own(worker_id)

    def _take_waiting(self, num_free: int) -> tuple[str, ...]:
        """Takes the next clients off those that any worker may have."""
        count = min(_MAX_CLIENTS_PER_ASSIGNMENT, -(-len(self._waiting) // (_TASKS_PER_WORKER * num_free)))
        return tuple(self._waiting.pop() for _ in range(count))

    def _lose(self, event: WorkerGone) -> None:
        """Fails the client that a lost worker had begun; those it had not begun go to another worker, once.

        After the first stage it held their secrets: then they fail, too.
        """
        self._gone.setdefault(event.worker_id, event.reason)
        held = sorted(self._held.pop(event.worker_id, ()))
        own = self._own.pop(event.worker_id, deque())
        if self._stage_index > 0:
            lost, again = sorted([*held, *own]), []
        else:
            lost = [client_id for client_id in held if client_id in self._begun]
            again = [client_id for client_id in held if client_id not in self._begun]
        for client_id in lost:
            self._fail(client_id, Failure(f"its worker was lost: {event.reason}"))
        self._begun.update(again)  # a second loss is not put down to chance
        if not self._is_staged:
            self._waiting.extend(reversed(again))
        elif self._stage_index == 0 and (again or own):
            self._orphans.append(deque([*again, *own]))

    def _end_stage(self) -> None:
        """Fails whoever has not answered by now."""
        what = "the round's deadline" if not self._is_staged else f"the deadline of the stage {self.stage.name!r}"
        done = self._answered | self._missing
        for client_id in self.participants:
            if client_id not in done:
                self._fail(client_id, Failure(f"it had not answered when {what} passed"))
        for rest in (self._waiting, self._own, self._orphans, self._held):
            rest.clear()

    def _fail(self, client_id: str, failure: Failure) -> None:
        """Takes note that a client has left the round, in the current stage."""
        self._missing.add(client_id)
        (self.departures if client_id in self._trained else self.failures)[client_id] = failure

    def _takes(self, event: ResultArrived | ClientReportedFailure, *, is_late: bool = False) -> bool:
        """Whether an answer belongs here; takes the client off its worker if so, counts the answer if not."""
        if event.round_index != self.round_index or is_late:
            self.ignored["late"] += 1
        elif event.client_id in self._answered or event.client_id in self._missing:
            self.ignored["duplicate"] += 1
        elif event.client_id not in self._held.get(event.worker_id, ()):
            self.ignored["not asked"] += 1
        else:
            del self._held[event.worker_id][event.client_id]
            return True
        return False
