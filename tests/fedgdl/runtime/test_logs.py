import json
import logging
import logging.handlers
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import log_program
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.runtime import make_relay
from fedgdl.runtime.logs import PipeRelay

LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="its queue works on Linux only")
RELAYS = [pytest.param("pipe"), pytest.param("queue", marks=LINUX_ONLY)]


def run(start_method: str, relay: str, scenario: str) -> tuple[dict[str, Any], str]:
    """Returns what a program with that start method printed, and its standard error."""
    command = [sys.executable, str(Path(log_program.__file__)), start_method, relay, scenario]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document, done.stderr


# From a worker that ends by itself


@pytest.mark.parametrize("relay", RELAYS)
def test_all_of_a_workers_records_arrive_as_they_were(relay: str) -> None:
    result, errors = run("spawn", relay, "log_all_sorts")
    assert errors == ""
    assert result["exit_code"] == 0
    records = result["all"]
    texts = [record["text"] for record in records]
    levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    assert texts[:4] == [f"level {level} of 4" for level in levels]
    assert [record["levelname"] for record in records[:4]] == levels
    assert texts[4].startswith("with traceback\nTraceback (most recent call last):\n")
    assert texts[4].endswith("\nKeyError: 'the cause'")
    assert texts[5:7] == ["unpicklable", "half a character: ?"]
    assert texts[7].startswith("long: éééé")
    assert texts[7].endswith("... (1,500,006 characters)")
    assert texts[8:] == ["not quiet", "root", f"last words of {result['pid']}"]
    assert [record["name"] for record in records] == ["fedgdl.somewhere"] * 8 + [
        "fedgdl.quiet",
        "root",
        "fedgdl.somewhere",
    ]
    for record in records:
        assert (record["process"], record["processName"]) == (result["pid"], "worker-7")
        assert result["began"] < record["created"] < result["ended"]
        assert record["msecs"] == pytest.approx(1_000 * (record["created"] % 1))
        assert record["line"] == record["text"]
    assert [record["created"] for record in records] == sorted(record["created"] for record in records)


@pytest.mark.parametrize("relay", RELAYS)
def test_levels_and_filters_of_the_coordinator_apply(relay: str) -> None:
    result, _ = run("spawn", relay, "log_all_sorts")
    assert "quiet" not in [record["text"] for record in result["all"]]  # by the level of its logger
    assert result["filtered"] == [f"level {level} of 4" for level in ("DEBUG", "INFO", "WARNING", "ERROR")]
    assert [text.splitlines()[0] for text in result["warnings"]] == [
        "level WARNING of 4",
        "level ERROR of 4",
        "with traceback",
        "not quiet",
    ]


@pytest.mark.parametrize("relay", RELAYS)
def test_nothing_is_lost_when_a_worker_logs_much_and_ends(relay: str) -> None:
    result, errors = run("spawn", relay, "log_much_and_end")
    assert [record["text"] for record in result["all"]] == [f"much {number}" for number in range(5_000)]
    assert errors == ""
    assert result["closing_seconds"] < 1.5


@pytest.mark.parametrize("relay", RELAYS)
def test_the_last_record_before_an_error_arrives(relay: str) -> None:
    result, _ = run("spawn", relay, "log_and_raise")
    assert [record["text"] for record in result["all"]] == ["before the error"]
    assert result["exit_code"] == 3


@pytest.mark.parametrize("relay", RELAYS)
def test_a_record_that_cannot_be_written_costs_only_itself(relay: str) -> None:
    result, errors = run("spawn", relay, "log_a_mistake")
    assert [record["text"] for record in result["all"]] == ["before", "after"]
    assert result["exit_code"] == 0
    assert "--- Logging error ---" in errors


@LINUX_ONLY
def test_what_is_logged_after_a_workers_end_is_dropped_in_silence() -> None:
    result, errors = run("spawn", "queue", "log_behind_the_end")
    assert [record["text"] for record in result["all"]] == ["in time"]
    assert errors == ""


# From workers that are killed


@pytest.mark.parametrize("relay", RELAYS)
def test_a_worker_killed_while_it_logs_silences_nobody_and_holds_nobody_up(relay: str) -> None:
    result, errors = run("spawn", relay, "kill")
    assert result["counts"] == {"before": 20, "after": 3 * 20, "last": 20, "the coordinator": 1}
    assert result["closing_seconds"] < 1.5
    assert result["threads"] == ["MainThread"]  # none waits for ever for what a dead worker has announced
    assert errors == ""


# Which relay


@pytest.mark.parametrize("start_method", ["none", *multiprocessing.get_all_start_methods()])
def test_the_queue_is_used_where_it_works(start_method: str) -> None:
    result, errors = run(start_method, "-", "choice")
    works = sys.platform == "linux" and start_method in {"spawn", "forkserver"}
    assert result["relay"] == ("QueueRelay" if works else "PipeRelay")
    assert result["start_method"] == (None if start_method == "none" else start_method)  # nothing was fixed by asking
    assert errors == ""


# What comes out of a pipe


@pytest.fixture
def relay() -> Iterator[PipeRelay]:
    relay = PipeRelay()
    yield relay
    relay.close()


def put(relay: PipeRelay, data: bytes) -> None:
    relay._there.send_bytes(data)


GOOD = {"name": "fedgdl.x", "level": 30, "text": "good", "created": 1e9, "process": 7, "process_name": "worker-1"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"\xc1", id="no MessagePack"),
        pytest.param(msgspec.msgpack.encode({**GOOD, "level": "high"}), id="wrong type"),
        pytest.param(msgspec.msgpack.encode({**GOOD, "created": float("nan")}), id="no time"),
        pytest.param(msgspec.msgpack.encode({**GOOD, "created": 1e300}), id="no time on Earth"),
        pytest.param(msgspec.msgpack.encode({**GOOD, "text": "xyz"}).replace(b"xyz", b"x\xffz"), id="no UTF-8"),
        pytest.param(b"\x81\xa1x" + b"\x91" * 10_000, id="deep"),
    ],
)
def test_a_damaged_record_is_reported_and_the_next_one_read(
    data: bytes, relay: PipeRelay, caplog: pytest.LogCaptureFixture
) -> None:
    for part in (data, msgspec.msgpack.encode(GOOD)):
        put(relay, part)
        assert relay.drain()
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("fedgdl.runtime.logs", "a worker sent a log record that cannot be read"),
        ("fedgdl.x", "good"),
    ]


@given(st.binary(max_size=100))
def test_any_bytes_are_a_record_or_reported(data: bytes) -> None:
    relay = PipeRelay()
    try:
        put(relay, data)
        assert relay.drain()
    finally:
        relay.close()


def test_a_talkative_worker_is_read_in_portions(
    relay: PipeRelay, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedgdl.runtime.logs._MAX_RECORDS_AT_ONCE", 10)
    for _ in range(25):
        put(relay, msgspec.msgpack.encode(GOOD))
    seen = []
    for _ in range(4):
        assert relay.drain()
        seen.append(len(caplog.records))
    assert seen == [10, 20, 25, 25]


def test_the_end_of_the_worker_is_the_end_of_the_pipe(relay: PipeRelay) -> None:
    put(relay, msgspec.msgpack.encode(GOOD))
    relay.worker_started()
    states = [(relay.connection is None, relay.drain()), (relay.connection is None, relay.drain())]
    assert states == [(False, False), (True, False)]
    relay.close()
    relay.close()
    relay.join()


def test_a_broken_filter_of_the_coordinator_breaks_nothing_else(
    relay: PipeRelay, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_record: logging.LogRecord) -> bool:
        message = "broken filter"
        raise ValueError(message)

    logging.getLogger("fedgdl.x").addFilter(broken)
    try:
        put(relay, msgspec.msgpack.encode(GOOD))
        assert relay.drain()
    finally:
        logging.getLogger("fedgdl.x").removeFilter(broken)
    assert "broken filter" in capsys.readouterr().err


def test_a_relay_without_a_worker_closes_at_once() -> None:
    relay = make_relay("worker-1")
    relay.close()
    relay.close()
    relay.join()
