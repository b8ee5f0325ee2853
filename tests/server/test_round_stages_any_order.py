"""A round of several stages as a pure state machine: any order of events at all, beside the simplest account of it."""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.round_state import ClientReportedFailure, ResultArrived, RoundState, Stage, TimeRanOut, WorkerGone

ROUND = 3


def result(worker_id: int, stage: str, client_id: str) -> ResultArrived:
    return ResultArrived(worker_id, ROUND, stage, client_id)


def answer_all(state: RoundState, workers: Sequence[int]) -> None:
    """Has all that can still answer do so."""
    while assignments := state.assign(workers):
        for assignment in assignments:
            for client_id in assignment.client_ids:
                assert state.handle(result(assignment.worker_id, state.stage.name, client_id))


WORKERS = st.integers(1, 5)


class AnyOrderOfEvents(RuleBasedStateMachine):
    """A round of several stages beside the simplest account of it; workers are never used again once they are lost."""

    @initialize(num_clients=st.integers(1, 12), needed=st.lists(st.integers(0, 3), min_size=2, max_size=4))
    def begin(self, num_clients: int, needed: list[int]) -> None:
        self.cohort = tuple(f"client-{number:02}" for number in range(num_clients))
        self.stages = tuple(
            Stage(f"stage {number}", least, trains=number == len(needed) - 2) for number, least in enumerate(needed)
        )
        self.state = RoundState(ROUND, self.cohort, self.stages)
        self.stage = 0
        self.participants = set(self.cohort)
        self.answered: set[str] = set()
        self.missing: set[str] = set()
        self.failed: set[str] = set()
        self.left: set[str] = set()
        self.contributors: set[str] = set()
        self.hosts: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.shaken: set[str] = set()
        self.lost: set[int] = set()

    def name(self) -> str:
        return self.stages[self.stage].name

    def fail(self, client_id: str) -> None:
        self.missing.add(client_id)
        (self.left if client_id in self.contributors else self.failed).add(client_id)

    @rule(idle=st.lists(WORKERS, max_size=6))
    def assign(self, idle: list[int]) -> None:
        living = [worker_id for worker_id in idle if worker_id not in self.lost]
        busy = set(self.held.values())
        for assignment in self.state.assign(living):
            assert assignment.worker_id in living
            assert assignment.worker_id not in busy
            for client_id in assignment.client_ids:
                assert client_id in self.participants - self.answered - self.missing
                assert client_id not in self.held
                if self.stage > 0:
                    assert self.hosts[client_id] == assignment.worker_id, "a client was taken from its secrets"
                self.held[client_id] = assignment.worker_id

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(["answer", "failure", "rejected answer"]))
    def answer(self, data: st.DataObject, outcome: str) -> None:
        client_id = data.draw(st.sampled_from(sorted(self.held)))
        worker_id = self.held.pop(client_id)
        if outcome == "failure":
            assert self.state.handle(ClientReportedFailure(worker_id, ROUND, client_id, "no data"))
            self.fail(client_id)
            return
        assert self.state.handle(result(worker_id, self.name(), client_id))
        if outcome == "answer":
            self.answered.add(client_id)
            self.hosts[client_id] = worker_id
        else:
            self.state.reject(client_id, "spoilt")
            self.fail(client_id)

    @rule(data=st.data(), worker_id=WORKERS, shift=st.integers(-2, 2))
    def answer_amiss(self, data: st.DataObject, worker_id: int, shift: int) -> None:
        client_id = data.draw(st.sampled_from(self.cohort))
        number = self.stage + shift
        stage = self.stages[number].name if 0 <= number < len(self.stages) else "no such stage"
        if number == self.stage and self.held.get(client_id) == worker_id:
            return
        before = sum(self.state.ignored.values())
        assert not self.state.handle(result(worker_id, stage, client_id))
        assert sum(self.state.ignored.values()) == before + 1

    @rule(worker_id=WORKERS)
    def die(self, worker_id: int) -> None:
        self.lost.add(worker_id)
        held = sorted(client_id for client_id, holder in self.held.items() if holder == worker_id)
        for client_id in held:
            del self.held[client_id]
            if client_id in self.shaken:
                self.fail(client_id)
            self.shaken.add(client_id)
        if self.stage > 0:
            for client_id in self.participants - self.answered - self.missing:
                if self.hosts[client_id] == worker_id:
                    self.fail(client_id)
            for client_id in held:
                if client_id not in self.missing:
                    self.fail(client_id)
        self.state.handle(WorkerGone(worker_id, "killed"))

    @rule()
    def let_time_run_out(self) -> None:
        for client_id in sorted(self.participants - self.answered - self.missing):
            self.fail(client_id)
        self.held.clear()
        self.state.handle(TimeRanOut())

    @rule()
    def advance(self) -> None:
        can = (
            not self.participants - self.answered - self.missing
            and self.stage + 1 < len(self.stages)
            and len(self.answered) >= self.stages[self.stage].min_answers
        )
        assert self.state.advance() == can
        if not can:
            return
        if self.stages[self.stage].trains:
            self.contributors = set(self.answered)
        self.stage += 1
        self.participants, self.answered, self.missing = self.answered, set(), set()
        self.shaken = set(self.participants)
        for client_id in sorted(self.participants):
            if self.hosts[client_id] in self.lost:
                self.fail(client_id)

    @invariant()
    def every_client_is_accounted_for(self) -> None:
        state, stage = self.state, self.stages[self.stage]
        assert state.stage is stage
        assert state.participants == tuple(sorted(self.participants))
        assert state.num_answers == len(self.answered)
        assert set(state.failures) == self.failed
        assert set(state.departures) == self.left
        assert set(state.contributors) == (self.answered if stage.trains else self.contributors)
        assert self.failed.isdisjoint(state.contributors)
        assert self.left <= set(state.contributors)
        assert state.busy_workers == set(self.held.values())
        is_stage_over = not self.participants - self.answered - self.missing
        has_enough = len(self.answered) >= stage.min_answers
        is_last = self.stage == len(self.stages) - 1
        assert state.is_stage_over == is_stage_over
        assert state.is_over == (is_stage_over and (is_last or not has_enough))
        assert state.has_succeeded == (is_stage_over and is_last and has_enough)

    def teardown(self) -> None:
        """Whatever has happened, the round comes to an end once workers that live answer what they are asked."""
        if not hasattr(self, "state"):
            return
        for client_id, worker_id in sorted(self.held.items()):
            self.state.handle(result(worker_id, self.name(), client_id))
        living = [worker_id for worker_id in range(1, 6) if worker_id not in self.lost]
        while True:
            answer_all(self.state, [*living, 9])
            assert self.state.is_stage_over
            if not self.state.advance():
                break
        assert self.state.is_over
        assert self.state.assign([*living, 9]) == []


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
