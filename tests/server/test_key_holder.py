"""The coordinator's end of the key holder: whatever the other end does, it gets the sum, or hears why there is none."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import damaged
from paillier_rounds import KEY_BITS, Cohort, Played, names
from scripted_engine import Reply
from scripted_key_holder import Dies, ScriptedKeyHolders

from fedgdl.errors import AggregationError, EngineError
from fedgdl.progress import watched_by
from fedgdl.wire import Codec, WorkerFailed, encode
from fedgdl.wire.paillier import (
    Added,
    AddUpdate,
    FromKeyHolder,
    KeyHolderReady,
    OpenSum,
    PaillierHeader,
    Refused,
    RoundOpened,
    SumOpened,
    SumProgress,
)
from server.key_holder import RemoteKeyHolder, key_holder_frame_bytes
from server.recorder import Recorder

FOUR = names(4)
CODEC: Codec[FromKeyHolder] = Codec(FromKeyHolder, 10_000_000)
DIES = Dies()


def scene(sum_check: str = "signed", **opener_settings: Any) -> tuple[Cohort, ScriptedKeyHolders]:
    """Returns a cohort and the engine of its key holder."""
    cohort = Cohort(
        4,
        sum_check=sum_check,
        make_engine=lambda cohort: ScriptedKeyHolders(cohort.make_key_holder),
        opener_settings=opener_settings,
    )
    assert cohort.opener is not None
    engine = cohort.opener._engine
    assert isinstance(engine, ScriptedKeyHolders)
    return cohort, engine


def says(*replies: Reply) -> Callable[[list[bytes]], Iterable[Reply]]:
    """Returns a line that is said whatever would be honest."""
    return lambda _: replies


def is_exact(cohort: Cohort, played: Played) -> bool:
    """Whether the sum is that of all four vectors."""
    plain = cohort.encoding.decode(played.plain_sum.astype(cohort.encoding.dtype), 4)
    return bool(np.array_equal(plain.sums["weighted_delta"], played.sums.sums["weighted_delta"]))


def fails(cohort: Cohort, match: str, round_index: int = 1) -> None:
    """Plays a round that is not opened, and the next, which is, by the same key holder or by its successor."""
    with pytest.raises(AggregationError, match=match):
        cohort.play(round_index=round_index)
    assert is_exact(cohort, cohort.play(round_index=round_index + 1))


def test_a_round_is_played_with_the_key_holder() -> None:
    cohort, engine = scene()
    assert is_exact(cohort, cohort.play())
    assert engine.asked == ["RoundOpened", *["AddUpdate"] * 4, "OpenSum"]
    assert engine.num_started == 1


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (OpenSum, b"nonsense"),
        (OpenSum, encode(SumOpened(7, b""))),
        (OpenSum, encode(SumOpened(1, b"too short"))),
        (OpenSum, encode(Added(1, FOUR[0]))),
        (OpenSum, encode(SumProgress(7, 1, 2))),
        (OpenSum, encode(SumProgress(1, 0, 2))),
        (OpenSum, encode(SumProgress(1, 3, 2))),
        (OpenSum, encode(Refused(7, "no"))),
        (AddUpdate, b"nonsense"),
        (AddUpdate, encode(Added(1, "zoe"))),
        (AddUpdate, encode(Added(7, FOUR[0]))),
        (AddUpdate, encode(SumOpened(1, b""))),
    ],
)
def test_a_key_holder_that_answers_something_else_is_replaced(asked: type, answer: bytes) -> None:
    cohort, engine = scene()
    engine.lines[asked] = says(answer)
    fails(cohort, "the key holder was lost: it (answered something else than it was asked|sent a frame that cannot)")
    assert [worker_id for worker_id, _ in engine.replaced] == [1]
    assert engine.num_started == 2


def test_a_key_holder_that_introduces_itself_twice_is_replaced() -> None:
    """A second certificate of the same process would be a second key."""
    cohort, engine = scene()
    engine.lines[AddUpdate] = lambda _: [cohort.key_holders[-1].ready()]
    fails(cohort, "the key holder was lost: it introduced itself twice")


@pytest.mark.parametrize("asked", [RoundOpened, AddUpdate, OpenSum])
def test_a_key_holder_that_dies_ends_the_round_and_no_other(asked: type) -> None:
    cohort, engine = scene()
    engine.lines[asked] = says(DIES)
    fails(cohort, "the key holder was lost: killed by SIGKILL")
    assert engine.num_started == 2
    assert engine.asked.count("OpenSum") == (2 if asked is OpenSum else 1)  # nobody is asked in vain


def test_a_key_holder_that_dies_after_its_answer_ends_no_round() -> None:
    cohort, engine = scene()
    former = cohort.opener.certificate if cohort.opener else None
    engine.lines[OpenSum] = lambda honest: [*honest, DIES]
    assert is_exact(cohort, cohort.play())
    assert is_exact(cohort, cohort.play(round_index=2))
    assert cohort.opener is not None
    assert cohort.opener.certificate != former


def test_a_death_between_rounds_is_found_before_the_next_begins() -> None:
    cohort, engine = scene()
    assert is_exact(cohort, cohort.play())
    engine.die()
    assert is_exact(cohort, cohort.play(round_index=2))


def test_a_round_that_was_opened_for_a_former_key_holder_stays_closed() -> None:
    cohort, engine = scene()
    a_round = cohort.open()
    engine.die()
    answered, _, refusals = cohort.play_stage(a_round, "encrypted input", FOUR)
    assert answered == FOUR
    assert not refusals
    with pytest.raises(AggregationError, match="the key holder was lost: "):
        a_round.finish()


def test_what_a_replaced_key_holder_still_says_is_not_heard() -> None:
    cohort, engine = scene()
    engine.lines[OpenSum] = lambda honest: [b"nonsense", *honest]
    fails(cohort, "sent a frame that cannot be read")


def test_a_refusal_is_the_rounds_reason() -> None:
    cohort, engine = scene()
    engine.lines[OpenSum] = says(encode(Refused(1, "not today")))
    fails(cohort, "the key holder opens nothing: not today")
    assert engine.num_started == 1


def test_another_round_than_the_one_that_has_begun_is_not_asked_for() -> None:
    cohort, engine = scene()
    cohort.open().begin("encrypted input", FOUR)
    assert cohort.opener is not None
    with pytest.raises(AggregationError, match="the key holder knows of round 1, not of round 2"):
        cohort.opener.open(2, FOUR, b"", 10)
    assert engine.asked == ["RoundOpened"]


@pytest.mark.parametrize("steps", [[], [1, 3], [1, 2], [3]])
def test_progress_is_reported_to_its_end(steps: list[int]) -> None:
    cohort, engine = scene()
    engine.lines[OpenSum] = lambda honest: [*(encode(SumProgress(1, step, 3)) for step in steps), *honest]
    heard: list[tuple[str, int, int]] = []
    with watched_by(lambda *what: heard.append(what)):
        cohort.play()
    told = [*steps, 3] if steps and steps[-1] < 3 else steps
    assert heard == [("decrypting", step, 3) for step in told]


def test_a_silent_key_holder_is_replaced_where_patience_has_an_end() -> None:
    for asked in (AddUpdate, OpenSum):
        cohort, engine = scene(patience_seconds=0.3)
        engine.lines[asked] = says()
        fails(cohort, "the key holder was lost: it said nothing for 0.3 seconds")


def test_progress_that_goes_on_without_end_is_none() -> None:
    cohort, engine = scene()
    engine.lines[OpenSum] = says(*[encode(SumProgress(1, 1, 3))] * 2)
    fails(cohort, "the key holder was lost: it answered something else than it was asked")


def test_a_key_holder_that_does_not_read_is_replaced_where_patience_has_an_end() -> None:
    """A long message stays in the pipe of such a one, and whoever writes it waits for as long as that lives."""

    class Deaf(ScriptedKeyHolders):
        is_deaf, ended = False, threading.Event()

        def send(self, worker_id: int, frame: bytes) -> None:
            if not self.is_deaf:
                super().send(worker_id, frame)
            elif self.ended.wait(20):
                self.is_deaf = False

        def replace(self, worker_id: int, reason: str) -> None:
            super().replace(worker_id, reason)
            self.ended.set()

    cohort = Cohort(
        4, make_engine=lambda cohort: Deaf(cohort.make_key_holder), opener_settings={"patience_seconds": 0.3}
    )
    assert cohort.opener is not None
    engine = cohort.opener._engine
    assert isinstance(engine, Deaf)
    engine.is_deaf = True
    fails(cohort, "the key holder was lost: it read nothing for 0.3 seconds")
    assert engine.num_started == 2


def test_a_key_holder_that_speaks_without_being_asked_is_replaced() -> None:
    cohort, engine = scene()
    assert is_exact(cohort, cohort.play())
    engine._play([encode(Added(1, FOUR[0]))])
    assert is_exact(cohort, cohort.play(round_index=2))
    assert engine.replaced == [(1, "it spoke without being asked")]


def test_every_frame_of_the_key_holder_is_recorded() -> None:
    class Frames(Recorder):
        frames: list[bytes] = []  # noqa: RUF012 (one test's)

        def key_holder_frame_arrived(self, frame: bytes) -> None:
            self.frames.append(frame)

    cohort, _ = scene(recorder=Frames())
    cohort.play()
    assert [type(CODEC.decode(frame)).__name__ for frame in Frames.frames] == [
        "KeyHolderReady",
        *["Added"] * 4,
        "SumOpened",
    ]


class Speaker:
    """A key holder that says the given words instead of what it has loaded."""

    words: bytes = b""

    def ready(self) -> bytes:
        return self.words

    def handle(self, _: bytes) -> Iterator[bytes]:
        yield from ()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (b"nonsense", "3 key holders in a row were lost .*; the last: it sent a frame that cannot be read"),
        (encode(Added(1, "bob")), "3 key holders in a row were lost .*; the last: it spoke before it was ready"),
        (encode(WorkerFailed("no such key file")), "the key holder gave up: no such key file"),
    ],
)
def test_a_key_holder_that_does_not_start_ends_the_run(words: bytes, problem: str) -> None:
    speaker = Speaker()
    speaker.words = words
    engine = ScriptedKeyHolders(lambda: speaker)  # type: ignore[arg-type,return-value]
    with pytest.raises(EngineError, match=problem):
        RemoteKeyHolder(engine).start(1_000)


def test_a_key_holder_whose_successors_do_not_start_ends_the_run() -> None:
    cohort, engine = scene()
    assert is_exact(cohort, cohort.play())

    def dies_too(_: list[bytes]) -> Iterable[Reply]:
        if engine.num_started < 4:
            engine.lines["ready"] = dies_too
        return [DIES]

    engine.lines["ready"] = dies_too
    engine.die()
    with pytest.raises(EngineError, match="3 key holders in a row were lost before they were ready"):
        cohort.play(round_index=2)


def test_a_key_holder_that_gives_up_in_a_round_is_lost() -> None:
    cohort, engine = scene()
    engine.lines[OpenSum] = says(encode(WorkerFailed("out of memory")), Dies("it ended by itself with exit code 1"))
    fails(cohort, "the key holder was lost: it ended by itself with exit code 1")


def test_a_closed_key_holder_opens_nothing() -> None:
    cohort, engine = scene()
    a_round = cohort.open()
    a_round.begin("encrypted input", FOUR)
    assert cohort.opener is not None
    cohort.opener.close(is_calm=True)
    cohort.opener.close(is_calm=False)
    assert not engine.is_open
    with pytest.raises(AggregationError, match="it was shut down"):
        cohort.opener.open(1, FOUR, b"", 10)


def test_the_longest_frame_fits() -> None:
    """A certificate of the longest key, and the longest sum, each with all that is around it."""
    certificate = Cohort(4).material.certificate
    key_bytes = len(certificate.public_key) * 8192 // KEY_BITS
    assert key_bytes + 1_000 < key_holder_frame_bytes(0)
    assert len(encode(SumOpened(2**31 - 1, bytes(10_000)))) < key_holder_frame_bytes(10_000)


HONEST = tuple(
    encode(message)
    for message in (
        Added(1, FOUR[0]),
        Added(1, FOUR[1], "no"),
        SumProgress(1, 1, 2),
        SumOpened(1, bytes(40)),
        Refused(1, "no"),
        KeyHolderReady(Cohort(4).material.certificate),
    )
)


@given(st.sampled_from([AddUpdate, OpenSum]), st.lists(damaged(HONEST), min_size=1, max_size=3))
@settings(max_examples=30)
def test_whatever_bytes_come_there_is_a_sum_or_a_reason(asked: type, answers: list[bytes]) -> None:
    cohort, engine = SCENE
    engine.lines = {asked: lambda honest: [*answers, *honest]}
    PLAYED.append(0)
    with contextlib.suppress(AggregationError):
        assert set(cohort.play(round_index=len(PLAYED)).contributors) <= set(FOUR)


SCENE = scene()
PLAYED: list[int] = []
"""How many rounds of the scene have been played: a key holder and a client know each but once."""


def test_headers_of_another_session_are_no_round_of_this_key_holder() -> None:
    cohort, engine = scene()
    assert cohort.opener is not None
    header = cohort.open()._header
    other = PaillierHeader(
        *(bytes(16) if name == "session" else getattr(header, name) for name in header.__struct_fields__)
    )
    cohort.opener.open_round(other)
    with pytest.raises(AggregationError, match="it was replaced before the round began"):
        cohort.opener.open(1, FOUR, b"", 10)
    assert engine.num_started == 1
