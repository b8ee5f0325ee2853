from collections.abc import Iterator

import pytest
from echo_worker import READY, EchoWorker

from fedgdl.errors import DataError, EngineError
from server.engines import FrameArrived, InlineEngine


def test_an_engine_with_nothing_to_do_says_so_instead_of_waiting_for_ever() -> None:
    engine = InlineEngine(EchoWorker)
    engine.start(1_000)
    assert engine.poll(None) == [FrameArrived(1, READY)]
    for timeout in (None, 0.0):
        with pytest.raises(EngineError, match="nothing to do"):
            engine.poll(timeout)


def test_the_worker_works_when_polled_and_not_before() -> None:
    handled = []

    class Worker(EchoWorker):
        def handle(self, frame: bytes) -> Iterator[bytes]:
            handled.append(frame)
            yield from super().handle(frame)

    engine = InlineEngine(Worker)
    engine.start(1_000)
    engine.poll(None)
    engine.send(1, b"echo a")
    assert handled == []
    assert engine.poll(None) == [FrameArrived(1, b"a")]
    assert handled == [b"echo a"]


def test_what_a_worker_raises_reaches_the_caller_as_it_is() -> None:
    def no_worker() -> EchoWorker:
        message = "no data here"
        raise DataError(message)

    with pytest.raises(DataError, match="no data here"):
        InlineEngine(no_worker).start(1_000)
