"""Who was asked and answered when."""

from experiments.audit.traffic import Arrival, Traffic


def answer(traffic: Traffic, seconds: float, stage: str, client_id: str, worker_id: int = 1) -> None:
    traffic.frame_arrived(seconds, worker_id)
    traffic.payload_arrived(1, stage, client_id, Arrival(seconds, 0.0, worker_id, offset=0, num_bytes=10))


def test_a_client_s_time_runs_from_its_task_or_its_worker_s_last_message() -> None:
    traffic = Traffic()
    traffic.task_sent(1.0, 1, "train", ("a", "b"), 100)
    traffic.frame_arrived(1.5, 1)  # it begins
    answer(traffic, 3.0, "train", "a")
    answer(traffic, 7.0, "train", "b")
    (stage,) = traffic.rounds[1].stages
    assert {client: known.took_seconds for client, known in stage.answers.items()} == {"a": 1.5, "b": 4.0}
    assert (stage.seconds, stage.bytes_up, stage.bytes_down) == (6.0, 20, 100)


def test_stages_follow_one_another_and_a_return_is_another_attempt() -> None:
    traffic = Traffic()
    for attempt in range(2):
        for stage in ("advertise", "share"):
            traffic.task_sent(attempt + 0.0, 1, stage, ("a",), 1)
            traffic.task_sent(attempt + 0.0, 1, stage, ("b",), 1)
            answer(traffic, attempt + 0.5, stage, "a")
    stages = [(stage.name, stage.attempt) for stage in traffic.rounds[1].stages]
    assert stages == [("advertise", 1), ("share", 1), ("advertise", 2), ("share", 2)]
    assert all(stage.unanswered == ["b"] for stage in traffic.rounds[1].stages)
    assert traffic.rounds[1].num_asked == 2


def test_a_second_attempt_may_follow_a_first_stage_at_once() -> None:
    traffic = Traffic()
    traffic.task_sent(0.0, 1, "advertise", ("a",), 1)
    answer(traffic, 0.5, "advertise", "a")
    traffic.task_sent(1.0, 1, "advertise", ("a",), 1)
    assert [stage.attempt for stage in traffic.rounds[1].stages] == [1, 2]


def test_a_client_whose_worker_was_lost_is_asked_again_in_the_same_stage() -> None:
    traffic = Traffic()
    traffic.task_sent(0.0, 1, "advertise", ("a",), 1)
    traffic.task_sent(2.0, 1, "advertise", ("a",), 1)
    answer(traffic, 2.5, "advertise", "a", worker_id=2)
    (stage,) = traffic.rounds[1].stages
    assert stage.answers["a"].took_seconds == 0.5


def test_late_and_repeated_answers_are_counted_and_change_nothing() -> None:
    traffic = Traffic()
    answer(traffic, 0.0, "train", "a")  # nobody was asked
    assert traffic.rounds[1].stages == []
    traffic.task_sent(1.0, 1, "train", ("a",), 1)
    answer(traffic, 2.0, "train", "a")
    answer(traffic, 3.0, "train", "a")
    answer(traffic, 4.0, "train", "stranger")
    (stage,) = traffic.rounds[1].stages
    assert stage.num_repeated == 2
    assert stage.answers.keys() == {"a"}
    assert stage.seconds == 1.0
