"""A round of several stages as a pure state machine: lists of events."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

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
ABCD = ("ann", "ben", "cat", "dan")
STAGES = (Stage("advertise", 2), Stage("share", 2), Stage("masked input", 2, trains=True), Stage("unmask", 2))
KILLED = "its worker was lost: killed"


def staged(cohort: Sequence[str] = ABCD, stages: Sequence[Stage] = STAGES) -> RoundState:
    return RoundState(ROUND, cohort, stages)


def result(worker_id: int, stage: str, client_id: str, round_index: int = ROUND) -> ResultArrived:
    return ResultArrived(worker_id, round_index, stage, client_id)


def play(state: RoundState, *events: Event) -> list[bool]:
    """Returns which of the events were taken in."""
    return [state.handle(event) for event in events]


def answer_all(state: RoundState, workers: Sequence[int]) -> dict[str, int]:
    """Has all that can still answer do so, and returns who answered to which worker."""
    asked: dict[str, int] = {}
    while assignments := state.assign(workers):
        for assignment in assignments:
            for client_id in assignment.client_ids:
                asked[client_id] = assignment.worker_id
                assert state.handle(result(assignment.worker_id, state.stage.name, client_id))
    return asked


def at(stage: str, workers: Sequence[int] = (1, 2)) -> RoundState:
    """Returns a round of ann to dan that all went well until a stage, whose clients have been asked.

    Of workers 1 and 2 the first hosts ann and ben, the other cat and dan.
    """
    state = staged()
    while state.stage.name != stage:
        answer_all(state, workers)
        assert state.advance()
    state.assign(workers)
    return state


def test_a_round_in_which_all_goes_well() -> None:
    state = staged()
    hosts: list[dict[str, int]] = []
    for stage in STAGES:
        assert (state.stage, state.participants, state.num_answers) == (stage, ABCD, 0)
        assert not state.is_over
        hosts.append(answer_all(state, [5, 4]))
        assert state.is_stage_over
        assert state.advance() == (stage is not STAGES[-1])
    assert (state.is_over, state.has_succeeded, state.contributors) == (True, True, ABCD)
    assert hosts == [{"ann": 5, "ben": 5, "cat": 4, "dan": 4}] * 4
    assert (state.failures, state.departures, state.ignored) == ({}, {}, {})


def test_the_next_stage_does_not_begin_before_all_have_answered_or_failed() -> None:
    state = at("share")
    play(state, *(result(worker_id, "share", name) for worker_id, name in [(1, "ann"), (2, "cat"), (2, "dan")]))
    assert not state.is_stage_over
    assert not state.advance()
    assert state.stage.name == "share"
    assert state.handle(ClientReportedFailure(1, ROUND, "ben", "refuses"))
    assert state.advance()
    assert state.participants == ("ann", "cat", "dan")


@given(st.integers(1, 1_000), st.integers(1, 12))
def test_clients_are_dealt_out_evenly_in_contiguous_shares_and_stay_where_they_are(clients: int, workers: int) -> None:
    cohort = tuple(f"client-{number:04}" for number in range(clients))
    state = staged(cohort, [Stage("advertise", 1), Stage("masked input", 1, trains=True)])
    hosts = answer_all(state, range(workers))
    shares = [[name for name in cohort if hosts[name] == worker_id] for worker_id in range(workers)]
    assert [name for share in shares for name in share] == list(cohort)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert state.advance()
    assert answer_all(state, range(workers)) == hosts


def test_a_task_holds_64_clients_at_most_in_every_stage() -> None:
    cohort = tuple(f"client-{number:04}" for number in range(300))
    state = staged(cohort)
    for _ in STAGES:
        sizes: list[int] = []
        while assignments := state.assign([1, 2]):
            sizes += [len(assignment.client_ids) for assignment in assignments]
            for assignment in assignments:
                for client_id in assignment.client_ids:
                    state.handle(result(assignment.worker_id, state.stage.name, client_id))
        assert sizes == [64, 64, 64, 64, 22, 22]
        state.advance()
    assert state.has_succeeded


def test_in_the_first_stage_what_a_lost_worker_has_not_answered_goes_to_another() -> None:
    state = staged()
    state.assign([1, 2])
    play(state, result(1, "advertise", "ann"), result(2, "advertise", "cat"), WorkerGone(1, "killed"))
    play(state, result(2, "advertise", "dan"))
    assert state.assign([2]) == []  # whatever has ended the other might end this one, and cat and dan with it
    assert state.assign([2, 3]) == [Assignment(3, ("ben",))]
    play(state, result(3, "advertise", "ben"))
    assert state.failures == {}
    assert state.advance()  # ann's answer was taken, but her secrets went with worker 1
    assert state.participants == ABCD
    assert state.failures == {"ann": Failure(KILLED)}
    assert state.assign([2, 3]) == [Assignment(2, ("cat", "dan")), Assignment(3, ("ben",))]


def test_in_the_first_stage_a_second_loss_fails_the_client() -> None:
    state = staged(("ann",), [Stage("advertise", 1), Stage("masked input", 1, trains=True)])
    for worker_id in (1, 2):
        assert state.failures == {}
        assert state.assign([worker_id]) == [Assignment(worker_id, ("ann",))]
        state.handle(WorkerGone(worker_id, "killed"))
    assert state.failures == {"ann": Failure(KILLED)}
    assert state.is_over


def test_a_worker_lost_before_it_was_asked_for_its_whole_share_leaves_the_rest_to_others() -> None:
    cohort = tuple(f"client-{number:04}" for number in range(200))
    state = staged(cohort)
    first, second = state.assign([1, 2])
    state.handle(WorkerGone(1, "killed"))
    play(state, *(result(2, "advertise", name) for name in second.client_ids))
    asked = answer_all(state, [2, 3])
    assert {*asked, *second.client_ids} == set(cohort)
    assert {asked[name] for name in cohort[:100]} == {3}
    assert first.client_ids == cohort[:64]
    assert state.failures == {}


def test_workers_that_were_dealt_nobody_can_take_over_at_once() -> None:
    state = staged(("ann", "ben"))
    assert state.assign([1, 2, 3]) == [Assignment(2, ("ann",)), Assignment(3, ("ben",))]
    state.handle(WorkerGone(3, "killed"))
    assert state.assign([1, 2]) == [Assignment(1, ("ben",))]


def test_a_lost_worker_takes_all_its_clients_with_it_after_the_first_stage() -> None:
    state = at("share")
    play(state, result(1, "share", "ann"), result(2, "share", "cat"), WorkerGone(1, "killed"))
    assert state.failures == {"ben": Failure(KILLED)}
    play(state, result(2, "share", "dan"))
    assert state.assign([2, 3]) == []
    assert state.advance()
    assert (state.participants, set(state.failures)) == (("ann", "cat", "dan"), {"ann", "ben"})
    assert state.contributors == ()


def test_it_takes_those_with_it_that_it_has_not_been_asked_for_yet() -> None:
    cohort = tuple(f"client-{number:04}" for number in range(100))
    state = staged(cohort)
    answer_all(state, [1])
    state.advance()
    (asked,) = state.assign([1])
    assert len(asked.client_ids) == 64
    state.handle(WorkerGone(1, "killed"))
    assert tuple(state.failures) == cohort
    assert (state.is_over, state.has_succeeded) == (True, False)


def test_a_client_in_training_is_lost_like_the_others_whether_it_had_begun_or_not() -> None:
    state = at("masked input")
    assert state.handle(ClientStarted(1, ROUND, "ann"))
    play(state, WorkerGone(1, "killed"), result(2, "masked input", "cat"), result(2, "masked input", "dan"))
    assert state.failures == {"ann": Failure(KILLED), "ben": Failure(KILLED)}
    assert state.contributors == ("cat", "dan")


def test_who_leaves_after_training_is_still_in_the_sum() -> None:
    state = at("masked input")
    play(state, *(result(number, "masked input", name) for number, name in [(1, "ann"), (1, "ben"), (2, "cat")]))
    play(state, ClientReportedFailure(2, ROUND, "dan", "its update is not finite"))
    assert state.contributors == ("ann", "ben", "cat")
    assert state.advance()
    state.assign([1, 2])
    play(state, result(1, "unmask", "ann"), WorkerGone(2, "killed"), ClientReportedFailure(1, ROUND, "ben", "refuses"))
    assert state.contributors == ("ann", "ben", "cat")
    assert state.failures == {"dan": Failure("its update is not finite")}
    assert state.departures == {"cat": Failure(KILLED), "ben": Failure("refuses")}
    assert (state.is_over, state.has_succeeded) == (True, False)  # 1 answer, 2 are needed


def test_a_worker_lost_between_two_stages_is_missing_in_the_next() -> None:
    state = at("masked input")
    play(state, *(result(1, "masked input", name) for name in ("ann", "ben")), WorkerGone(1, "killed"))
    play(state, *(result(2, "masked input", name) for name in ("cat", "dan")))
    assert (state.contributors, state.failures, state.departures) == (ABCD, {}, {})
    assert state.advance()
    assert (state.participants, state.num_answers) == (ABCD, 0)
    assert state.departures == {"ann": Failure(KILLED), "ben": Failure(KILLED)}
    assert answer_all(state, [1, 2]) == {"cat": 2, "dan": 2}
    assert (state.has_succeeded, state.contributors) == (True, ABCD)


def test_a_vector_that_comes_after_its_client_was_declared_dropped_is_refused_and_counted() -> None:
    state = at("masked input")
    play(state, *(result(2, "masked input", name) for name in ("cat", "dan")), TimeRanOut())
    assert set(state.failures) == {"ann", "ben"}
    assert not state.handle(result(1, "masked input", "ann"))  # the stage is over, but not yet the next
    assert state.advance()
    assert not state.handle(result(1, "masked input", "ben"))
    assert not state.handle(result(1, "unmask", "ben"))  # it was never asked
    assert state.contributors == ("cat", "dan")
    assert state.ignored == {"duplicate": 1, "late": 1, "not asked": 1}


def test_an_answer_to_another_stage_is_late_whoever_sends_it() -> None:
    state = at("share")
    for stage in ("advertise", "masked input", "unmask", "no such stage"):
        assert not state.handle(result(1, stage, "ann"))
    assert state.ignored == {"late": 4}
    assert state.handle(result(1, "share", "ann"))


def test_the_deadline_ends_a_stage_and_not_the_round() -> None:
    state = at("share")
    play(state, result(1, "share", "ann"), result(2, "share", "cat"), TimeRanOut())
    assert state.failures == dict.fromkeys(
        ("ben", "dan"), Failure("it had not answered when the deadline of the stage 'share' passed")
    )
    assert (state.is_stage_over, state.is_over, state.busy_workers) == (True, False, frozenset())
    assert state.assign([1, 2]) == []
    assert state.advance()
    assert state.assign([1, 2]) == [Assignment(1, ("ann",)), Assignment(2, ("cat",))]


def test_a_deadline_in_the_first_stage_also_ends_those_that_no_worker_came_round_to() -> None:
    state = staged(tuple(f"client-{number:04}" for number in range(200)))
    (first,) = state.assign([1])
    play(state, *(result(1, "advertise", name) for name in first.client_ids), TimeRanOut())
    assert state.is_stage_over
    assert state.advance()
    assert state.participants == first.client_ids


def test_fewer_answers_than_needed_end_the_round_with_their_stage() -> None:
    for number, stage in enumerate(STAGES):
        state = at(stage.name)
        play(state, WorkerGone(1, "killed"), ClientReportedFailure(2, ROUND, "cat", "refuses"))
        play(state, result(2, stage.name, "dan"))
        for assignment in state.assign([3]):  # in the first stage: ann and ben
            assert assignment.client_ids == ("ann", "ben")
            play(state, *(ClientReportedFailure(3, ROUND, name, "refuses") for name in ("ann", "ben")))
        assert (state.is_over, state.has_succeeded, state.advance()) == (True, False, False)
        assert state.stage is stage
        assert state.num_answers == 1
        assert state.contributors == ((), (), ("dan",), ABCD)[number]


def test_an_answer_that_is_rejected_ends_its_clients_part() -> None:
    state = at("share")
    play(state, *(result(1 + (name > "ben"), "share", name) for name in ABCD))
    state.reject("ben", "its shares cannot be read")
    assert state.advance()
    assert state.participants == ("ann", "cat", "dan")
    assert state.failures == {"ben": Failure("its shares cannot be read")}
    answer_all(state, [1, 2])
    state.advance()
    state.assign([1, 2])
    play(state, result(1, "unmask", "ann"))
    state.reject("ann", "its shares are wrong")
    assert state.departures == {"ann": Failure("its shares are wrong")}
    assert state.contributors == ("ann", "cat", "dan")


def test_workers_that_get_ready_later_take_over_what_is_left_of_the_lost_ones() -> None:
    state = staged()
    state.assign([1, 2])
    play(state, WorkerGone(1, "killed"), WorkerGone(2, "killed"))
    assert state.assign([]) == []
    assert answer_all(state, [3]) == dict.fromkeys(ABCD, 3)
    assert state.failures == {}
