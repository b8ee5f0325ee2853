"""A round of one stage as a pure state machine: lists of events, and then any order of events at all."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.round_state import (
    Assignment,
    ClientReportedFailure,
    ClientStarted,
    Event,
    Failure,
    ResultArrived,
    RoundState,
    Stage,
    TimeRanOut,
    WorkerGone,
)

ROUND = 3
ABC = ("ann", "ben", "cat")


def one_stage(cohort: Sequence[str], min_updates: int) -> RoundState:
    return RoundState(ROUND, cohort, (Stage("train", min_updates, trains=True),))


def begun(worker_id: int, client_id: str) -> ClientStarted:
    return ClientStarted(worker_id, ROUND, client_id)


def result(worker_id: int, client_id: str, round_index: int = ROUND) -> ResultArrived:
    return ResultArrived(worker_id, round_index, "train", client_id)


def failure(worker_id: int, client_id: str, reason: str = "", round_index: int = ROUND) -> ClientReportedFailure:
    return ClientReportedFailure(worker_id, round_index, client_id, reason)


def play(state: RoundState, events: Sequence[Event]) -> list[bool]:
    """Returns which of the events were taken in."""
    return [state.handle(event) for event in events]


def test_a_round_in_which_all_goes_well() -> None:
    state = one_stage(ABC, min_updates=3)
    assert state.assign([5, 4]) == [Assignment(5, ("ann",)), Assignment(4, ("ben",))]
    assert state.assign([5, 4]) == []
    assert state.handle(result(4, "ben"))
    assert state.assign([5, 4]) == [Assignment(4, ("cat",))]
    assert state.busy_workers == {4, 5}
    assert play(state, [result(4, "cat"), result(5, "ann")]) == [True, True]
    assert (state.is_over, state.has_succeeded) == (True, True)
    assert (state.contributors, state.num_answers, state.departures) == (ABC, 3, {})
    assert not state.advance()  # there is nothing behind
    assert (state.failures, state.ignored, state.busy_workers) == ({}, Counter(), frozenset())


def test_a_death_costs_the_client_in_training_and_what_was_not_begun_goes_to_another_worker() -> None:
    cohort = tuple(f"client-{number:02}" for number in range(12))
    state = one_stage(cohort, min_updates=1)
    first, second, third = state.assign([1])[0].client_ids  # ceil(12 / (4 * 1))
    play(state, [begun(1, first), result(1, first), begun(1, second), WorkerGone(1, "killed")])
    assert state.failures == {second: Failure("its worker was lost: killed")}
    assert state.contributors == (first,)
    assert not state.is_over
    assert state.busy_workers == frozenset()
    assert state.assign([2]) == [Assignment(2, (third, *cohort[3:5]))]  # 10 wait: ceil(10 / (4 * 1))


def test_a_client_whose_workers_are_lost_twice_fails_even_if_it_was_never_begun() -> None:
    """Or a task that ends every worker it reaches would go round for ever."""
    state = one_stage(("ann",), min_updates=1)
    for worker_id in (1, 2):
        assert state.failures == {}
        assert state.assign([worker_id]) == [Assignment(worker_id, ("ann",))]
        state.handle(WorkerGone(worker_id, "killed"))
    assert state.failures == {"ann": Failure("its worker was lost: killed")}


def test_only_the_worker_that_holds_a_client_can_say_that_it_has_begun() -> None:
    state = one_stage(ABC, min_updates=1)
    state.assign([1])
    play(state, [begun(2, "ann"), ClientStarted(1, ROUND + 1, "ann"), begun(1, "cat"), WorkerGone(1, "killed")])
    assert state.failures == {}


def test_a_death_after_the_last_answer_costs_nothing() -> None:
    state = one_stage(("ann",), min_updates=1)
    state.assign([1])
    play(state, [result(1, "ann"), WorkerGone(1, "killed")])
    assert (state.has_succeeded, state.failures) == (True, {})


def test_answers_that_do_not_belong_here_are_counted_by_why() -> None:
    state = one_stage(ABC, min_updates=1)
    state.assign([1, 2])
    taken = play(
        state,
        [
            result(1, "ann", round_index=ROUND - 1),
            failure(1, "ann", "late", round_index=ROUND + 1),
            ResultArrived(1, ROUND, "unmask", "ann"),  # an answer to a stage that this round does not have
            result(2, "ann"),  # 1 was asked
            result(9, "ann"),  # nobody knows 9
            result(1, "cat"),  # nobody was asked yet
            failure(1, "zoe", "not of this cohort"),
            result(1, "ann"),
            result(1, "ann"),
            failure(1, "ann", "twice"),
        ],
    )
    assert taken == [False] * 7 + [True] + [False] * 2
    assert state.contributors == ("ann",)
    assert state.failures == {}
    assert state.ignored == {"late": 3, "not asked": 4, "duplicate": 2}


def test_the_first_answer_counts_also_when_it_is_a_failure() -> None:
    state = one_stage(("ann",), min_updates=1)
    state.assign([1])
    taken = play(state, [ClientReportedFailure(1, ROUND, "ann", "no data", is_defect=True), result(1, "ann")])
    assert taken == [True, False]
    assert (state.contributors, state.failures) == ((), {"ann": Failure("no data", is_defect=True)})


def test_the_deadline_fails_whoever_has_not_answered() -> None:
    state = one_stage(ABC, min_updates=1)
    state.assign([1, 2])
    play(state, [result(1, "ann"), TimeRanOut()])
    assert (state.is_over, state.has_succeeded) == (True, True)
    assert list(state.failures) == ["ben", "cat"]
    assert state.failures["ben"].reason == "it had not answered when the round's deadline passed"
    assert state.busy_workers == frozenset()
    assert state.assign([1, 2, 3]) == []
    assert not state.handle(result(2, "ben"))
    assert state.contributors == ("ann",)


def test_too_few_answers_are_a_failed_round() -> None:
    state = one_stage(ABC, min_updates=2)
    state.assign([1, 2, 3])
    play(state, [result(1, "ann"), failure(2, "ben")])
    assert (state.is_over, state.has_succeeded) == (False, False)
    state.handle(failure(3, "cat"))
    assert (state.is_over, state.has_succeeded) == (True, False)


def test_an_answer_that_is_rejected_counts_as_a_failure() -> None:
    state = one_stage(("ann",), min_updates=1)
    state.assign([1])
    assert state.handle(result(1, "ann"))
    state.reject("ann", "spoilt")
    assert (state.contributors, state.failures) == ((), {"ann": Failure("spoilt")})
    assert (state.is_over, state.has_succeeded) == (True, False)
    assert not state.handle(result(1, "ann"))
    assert state.ignored == {"duplicate": 1}


def test_a_worker_that_is_named_twice_gets_one_assignment() -> None:
    state = one_stage(ABC, min_updates=1)
    assert state.assign([1, 1]) == [Assignment(1, ("ann",))]


def test_failures_come_in_the_order_of_ids_whatever_the_hashes() -> None:
    cohort = tuple(f"client-{number:04}" for number in range(500))
    state = one_stage(cohort, min_updates=1)
    (held,) = (assignment.client_ids for assignment in state.assign([1]))
    play(state, [*(begun(1, client_id) for client_id in held), WorkerGone(1, "killed")])
    assert tuple(state.failures) == held == cohort[: len(held)]
    state.handle(TimeRanOut())
    assert tuple(state.failures) == cohort


@given(st.integers(1, 5_000), st.integers(1, 40))
def test_assignments_are_bounded_and_leave_enough_for_every_worker(num_clients: int, num_workers: int) -> None:
    cohort = tuple(f"client-{number:04}" for number in range(num_clients))
    state = one_stage(cohort, min_updates=1)
    given_out: list[str] = []
    num_waves = 0
    while not state.is_over:
        assignments = state.assign(range(num_workers))
        assert 1 <= len(assignments) <= num_workers
        assert len({assignment.worker_id for assignment in assignments}) == len(assignments)
        for assignment in assignments:
            share = -(-(num_clients - len(given_out)) // (4 * num_workers))
            assert 1 <= len(assignment.client_ids) <= min(64, share)
            given_out += assignment.client_ids
        for assignment in assignments:
            play(state, [result(assignment.worker_id, client_id) for client_id in assignment.client_ids])
        num_waves += 1
    assert tuple(given_out) == cohort  # each once, in order
    if num_clients >= num_workers:
        assert num_waves >= min(4, num_clients // num_workers)


def test_nobody_idle_nothing_assigned() -> None:
    assert one_stage(ABC, min_updates=1).assign([]) == []


WORKERS = st.integers(1, 6)
HOSTILE_IDS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=40, unique=True)


class AnyOrderOfEvents(RuleBasedStateMachine):
    """A round beside the simplest account of it: who holds whom, and what has become of each client."""

    @initialize(ids=HOSTILE_IDS, min_updates=st.integers(1, 3))
    def begin(self, ids: list[str], min_updates: int) -> None:
        self.cohort = tuple(sorted(ids))
        self.min_updates = min_updates
        self.state = one_stage(self.cohort, min_updates)
        self.held: dict[int, set[str]] = {}
        self.assigned: set[str] = set()
        self.begun: set[str] = set()
        self.answered: set[str] = set()
        self.failed: set[str] = set()
        self.ignored: Counter[str] = Counter()

    def holders(self) -> list[tuple[int, str]]:
        return sorted((worker_id, client_id) for worker_id, clients in self.held.items() for client_id in clients)

    @rule(idle=st.lists(WORKERS, max_size=8))
    def assign(self, idle: list[int]) -> None:
        was_over = self.state.is_over
        assignments = self.state.assign(idle)
        assert not (was_over and assignments)
        for assignment in assignments:
            assert assignment.worker_id in idle
            assert not self.held.get(assignment.worker_id), "a busy worker got more to do"
            assert 1 <= len(assignment.client_ids) <= 64
            for client_id in assignment.client_ids:
                assert client_id not in self.assigned, "assigned twice"
                assert client_id not in self.failed
                self.assigned.add(client_id)
            self.held[assignment.worker_id] = set(assignment.client_ids)
        if set(idle) - self.state.busy_workers:
            assert self.assigned | self.failed == set(self.cohort), "a worker idles while clients wait"

    @precondition(lambda self: self.holders())
    @rule(data=st.data(), is_result=st.booleans(), is_usable=st.booleans())
    def answer(self, data: st.DataObject, is_result: bool, is_usable: bool) -> None:
        worker_id, client_id = data.draw(st.sampled_from(self.holders()))
        self.held[worker_id].remove(client_id)
        assert self.state.handle((result if is_result else failure)(worker_id, client_id))
        if is_result and is_usable:
            self.answered.add(client_id)
        else:
            self.failed.add(client_id)
        if is_result and not is_usable:
            self.state.reject(client_id, "spoilt")

    @precondition(lambda self: self.answered or self.failed)
    @rule(data=st.data(), worker_id=WORKERS, is_result=st.booleans())
    def repeat(self, data: st.DataObject, worker_id: int, is_result: bool) -> None:
        client_id = data.draw(st.sampled_from(sorted({*self.answered, *self.failed})))
        self.ignored["duplicate"] += 1
        assert not self.state.handle((result if is_result else failure)(worker_id, client_id))

    @rule(data=st.data(), worker_id=WORKERS, offset=st.sampled_from([-2, -1, 1]), is_result=st.booleans())
    def answer_another_round(self, data: st.DataObject, worker_id: int, offset: int, is_result: bool) -> None:
        client_id = data.draw(st.sampled_from(self.cohort))
        make = result if is_result else failure
        self.ignored["late"] += 1
        assert not self.state.handle(make(worker_id, client_id, round_index=ROUND + offset))

    @rule(data=st.data(), worker_id=st.integers(1, 9))
    def answer_unasked(self, data: st.DataObject, worker_id: int) -> None:
        strangers = st.text(max_size=5).filter(lambda text: text not in self.cohort)
        client_id = data.draw(st.sampled_from(self.cohort) | strangers)
        if client_id in self.answered or client_id in self.failed or client_id in self.held.get(worker_id, ()):
            return
        self.ignored["not asked"] += 1
        assert not self.state.handle(result(worker_id, client_id))

    @precondition(lambda self: self.holders())
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        worker_id, client_id = data.draw(st.sampled_from(self.holders()))
        self.begun.add(client_id)
        self.state.handle(begun(worker_id, client_id))

    @rule(worker_id=st.integers(1, 9))
    def die(self, worker_id: int) -> None:
        held = self.held.pop(worker_id, set())
        self.failed |= held & self.begun
        self.assigned -= held - self.begun
        self.begun |= held
        self.state.handle(WorkerGone(worker_id, "killed"))

    @rule()
    def let_time_run_out(self) -> None:
        self.failed |= set(self.cohort) - self.answered
        self.held.clear()
        self.state.handle(TimeRanOut())

    @invariant()
    def every_client_is_accounted_for(self) -> None:
        assert self.state.contributors == tuple(sorted(self.answered))
        assert self.state.num_answers == len(self.answered)
        assert set(self.state.failures) == self.failed
        assert self.failed.isdisjoint(self.answered)
        assert self.state.ignored == self.ignored
        assert self.state.busy_workers == {worker_id for worker_id, clients in self.held.items() if clients}
        assert self.state.is_over == (len(self.answered) + len(self.failed) == len(self.cohort))
        assert self.state.has_succeeded == (self.state.is_over and len(self.answered) >= self.min_updates)

    def teardown(self) -> None:
        """Once each worker that holds something answers or dies, and one is there for the rest, the round ends."""
        if not hasattr(self, "state"):
            return
        for worker_id in sorted(self.held):
            if worker_id % 2:
                self.die(worker_id)
            for client_id in sorted(self.held.get(worker_id, ())):
                self.state.handle(result(worker_id, client_id))
        for _ in self.cohort:  # each assignment holds a client at least
            for assignment in self.state.assign([1]):
                for client_id in assignment.client_ids:
                    self.state.handle(result(1, client_id))
        assert self.state.is_over
        assert self.state.assign([1, 2, 3]) == []
        assert sorted([*self.state.contributors, *self.state.failures]) == sorted(self.cohort)


TestAnyOrderOfEvents = AnyOrderOfEvents.TestCase
TestAnyOrderOfEvents.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
