"""What every engine promises, kept by each of them."""

from collections.abc import Callable, Iterator

import echo_worker
import pytest
from echo_worker import READY, EchoWorker, collect, start

from fedgdl.errors import EngineError
from server.engines import Engine, FrameArrived, InlineEngine, ProcessEngine, WorkerLost

MAX_FRAME_BYTES = 2_000_000

MAKERS: dict[str, Callable[[], Engine]] = {
    "inline": lambda: InlineEngine(EchoWorker),
    "processes": lambda: ProcessEngine(2, echo_worker.main, None),
}


@pytest.fixture(scope="module", params=sorted(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Engine]:
    return MAKERS[request.param]


@pytest.fixture(scope="module")
def shared(make: Callable[[], Engine]) -> Iterator[tuple[Engine, list[int]]]:
    """One engine for all tests that leave its workers alive and idle, and their ids."""
    engine = make()
    try:
        yield engine, start(engine, MAX_FRAME_BYTES)
    finally:
        engine.close(is_calm=True)


@pytest.fixture
def engine(shared: tuple[Engine, list[int]]) -> Engine:
    return shared[0]


@pytest.fixture
def workers(shared: tuple[Engine, list[int]]) -> list[int]:
    return shared[1]


@pytest.fixture
def fresh(make: Callable[[], Engine]) -> Iterator[Engine]:
    """An engine for one test, not started yet."""
    engine = make()
    yield engine
    engine.close(is_calm=False)


class TestEveryEngine:
    def test_each_worker_has_an_id_of_its_own(self, engine: Engine, workers: list[int]) -> None:
        assert len(set(workers)) == len(workers) == engine.num_workers

    def test_frames_come_whole_and_in_order(self, engine: Engine, workers: list[int]) -> None:
        words = [b"%d" % number for number in range(200)]
        for worker_id in workers:
            engine.send(worker_id, b" ".join([b"echo", *words]))
        events = collect(engine, len(words) * len(workers))
        for worker_id in workers:
            mine = [event for event in events if event.worker_id == worker_id]
            assert mine == [FrameArrived(worker_id, word) for word in words]

    @pytest.mark.parametrize("size", [0, 1, 70_000, MAX_FRAME_BYTES])
    def test_frames_of_any_allowed_size_come_through(self, engine: Engine, workers: list[int], size: int) -> None:
        engine.send(workers[0], b"long %d" % size)
        assert collect(engine, 1) == [FrameArrived(workers[0], b"x" * size)]

    def test_frames_are_any_bytes(self, engine: Engine, workers: list[int]) -> None:
        frame = bytes(byte for byte in range(256) if byte != ord(" "))
        engine.send(workers[0], b"echo " + frame)
        assert collect(engine, 1) == [FrameArrived(workers[0], frame)]

    def test_what_is_said_to_nobody_does_no_harm(self, engine: Engine, workers: list[int]) -> None:
        engine.send(999, b"echo lost")
        engine.replace(999, "never there")
        engine.send(workers[0], b"echo here")
        assert collect(engine, 1) == [FrameArrived(workers[0], b"here")]

    def test_a_replaced_worker_is_reported_and_another_comes_under_a_new_id(self, fresh: Engine) -> None:
        workers = start(fresh, MAX_FRAME_BYTES)
        fresh.replace(workers[-1], "too slow")
        fresh.replace(workers[-1], "said again")
        assert collect(fresh, 2) == [
            WorkerLost(workers[-1], "too slow"),
            FrameArrived(workers[-1] + 1, READY),
        ]
        fresh.replace(workers[-1], "a third time, when it is long gone")
        fresh.send(workers[-1], b"echo former")
        fresh.send(workers[-1] + 1, b"echo new")
        assert collect(fresh, 1) == [FrameArrived(workers[-1] + 1, b"new")]

    def test_what_a_former_worker_was_sent_is_not_answered_by_the_new_one(self, fresh: Engine) -> None:
        """The former one may have answered before its end; that comes under its own id and before its loss."""
        worker_id = start(fresh, MAX_FRAME_BYTES)[-1]
        fresh.send(worker_id, b"echo old")
        fresh.replace(worker_id, "too slow")
        events = collect(fresh, 2)
        events += [] if events[-1] == FrameArrived(worker_id + 1, READY) else collect(fresh, 1)
        assert [event for event in events if event.worker_id == worker_id] in (
            [WorkerLost(worker_id, "too slow")],
            [FrameArrived(worker_id, b"old"), WorkerLost(worker_id, "too slow")],
        )
        fresh.send(worker_id + 1, b"echo new")
        assert collect(fresh, 1) == [FrameArrived(worker_id + 1, b"new")]

    @pytest.mark.parametrize("is_calm", [True, False], ids=["calm", "not calm"])
    def test_closing_is_for_good_and_harmless_when_repeated(self, fresh: Engine, *, is_calm: bool) -> None:
        start(fresh, MAX_FRAME_BYTES)
        fresh.close(is_calm=is_calm)
        fresh.close(is_calm=is_calm)
        fresh.close(is_calm=not is_calm)
        fresh.send(1, b"echo too late")
        with pytest.raises(EngineError):
            fresh.poll(None)

    def test_closing_what_was_never_started_does_no_harm(self, fresh: Engine) -> None:
        fresh.close(is_calm=True)
        with pytest.raises(EngineError):
            fresh.poll(None)
