"""The key holder in a process of its own: real pipes, real deaths, and nothing that leaves it but sums."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mortal_key_holder
import numpy as np
import psutil
import pytest
from mortal_key_holder import Fate
from paillier_rounds import SECRET, Cohort, Played, names

from clients.key_holder import process
from clients.key_holder.process import KeyHolderSetup, make_key_holder
from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
from fedgdl.crypto.paillier.private import generate, write_private_key
from fedgdl.errors import AggregationError, ConfigError, EngineError
from fedgdl.parameters import Layout
from fedgdl.progress import watched_by
from server.engines import Engine, ProcessEngine
from server.key_holder import RemoteKeyHolder

FOUR = names(4)

Start = Callable[..., Cohort]


@pytest.fixture
def start() -> Iterator[Start]:
    """Returns a function that makes a cohort whose key holder is a process; all are ended afterwards."""
    with ExitStack() as stack:

        def begin(make_engine: Callable[[Cohort], Engine], **settings: Any) -> Cohort:
            def make(cohort: Cohort) -> Engine:
                engine = make_engine(cohort)
                stack.callback(engine.close, is_calm=False)
                return engine

            return Cohort(**{"size": 4, "make_engine": make, **settings})

        yield begin


def honest(cohort: Cohort) -> ProcessEngine:
    return ProcessEngine(1, process.main, cohort.setup)


def is_exact(cohort: Cohort, played: Played) -> bool:
    """Whether the sum is that of the vectors."""
    num_clients = len(played.contributors)
    plain = cohort.encoding.decode(played.plain_sum.astype(cohort.encoding.dtype), num_clients)
    return bool(np.array_equal(plain.sums["weighted_delta"], played.sums.sums["weighted_delta"]))


@pytest.mark.parametrize("sum_check", ["signed", pytest.param("trusted", marks=pytest.mark.slow)])
def test_a_process_opens_sums_and_ends_when_it_is_told_to(start: Start, sum_check: str) -> None:
    cohort = start(honest, sum_check=sum_check)
    assert isinstance(cohort.opener, RemoteKeyHolder)
    assert isinstance(cohort.opener._engine, ProcessEngine)
    (process_id,) = cohort.opener._engine.process_ids.values()
    assert process_id != os.getpid()
    assert is_exact(cohort, cohort.play())
    assert is_exact(cohort, cohort.play(lost={FOUR[2]: "encrypted input"}, round_index=2))
    cohort.opener.close(is_calm=True)
    assert not psutil.pid_exists(process_id)


@pytest.mark.parametrize(
    "when", ["opening", *(pytest.param(each, marks=pytest.mark.slow) for each in ("adding", "opened"))]
)
def test_a_killed_key_holder_ends_a_round_at_most(start: Start, tmp_path: Path, when: Any) -> None:
    mark = tmp_path / "mark"
    cohort = start(lambda cohort: ProcessEngine(1, mortal_key_holder.main, Fate(cohort.setup, when, mark)))
    assert cohort.opener is not None
    assert isinstance(cohort.opener._engine, ProcessEngine)
    former = cohort.opener.certificate
    if when == "opened":
        assert is_exact(cohort, cohort.play())
        cohort.opener._engine._workers[1].process.join()  # so that its death is there to be seen
    else:
        with pytest.raises(AggregationError, match="the key holder was lost: killed by SIGKILL"):
            cohort.play()
    assert mark.exists()
    assert is_exact(cohort, cohort.play(round_index=2))
    successor = cohort.opener.certificate
    assert successor.session != former.session
    assert successor.public_key != former.public_key


@pytest.mark.slow
def test_a_key_holder_that_is_killed_while_it_decrypts_opens_nothing(start: Start) -> None:
    """So much that it takes seconds on the fastest machine, of which half a second is enough to hear from it."""
    cohort = start(honest, size=2, parameters=400_000, settings={"insecure_key_bits": None, "key_bits": 3072})
    assert cohort.opener is not None
    assert isinstance(cohort.opener._engine, ProcessEngine)
    heard: list[tuple[str, int, int]] = []

    def kill(*progress: Any) -> None:
        heard.append(progress)
        assert isinstance(cohort.opener, RemoteKeyHolder)
        assert isinstance(cohort.opener._engine, ProcessEngine)
        for process_id in cohort.opener._engine.process_ids.values():
            os.kill(process_id, signal.SIGKILL)

    with watched_by(kill), pytest.raises(AggregationError, match="the key holder was lost: killed by SIGKILL"):
        cohort.play()
    assert heard
    assert all(what == "decrypting" and 0 < done < total for what, done, total in heard)
    assert is_exact(cohort, cohort.play(round_index=2))


def test_a_key_file_that_cannot_be_used_ends_the_run(start: Start, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"the key holder gave up: .*no-such-key"):
        start(honest, settings={"key_file": str(tmp_path / "no-such-key")})


def setup_with(**settings: Any) -> KeyHolderSetup:
    aggregation = AggregationConfig(kind="paillier", max_weight=8, insecure_key_bits=128, **settings)
    experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    return KeyHolderSetup(experiment, Layout.of({"w": (2,)}), SECRET, log_level=30)


def test_a_key_file_is_read_by_the_key_holder_itself(tmp_path: Path) -> None:
    key = generate(256)
    write_private_key(tmp_path / "key.json", key)
    certificates = [
        make_key_holder(setup_with(key_file=str(tmp_path / "key.json")))._terms.certificate for _ in range(2)
    ]
    assert all(certificate.public_key == key.public_key.to_bytes() for certificate in certificates)
    assert certificates[0].session != certificates[1].session
    (tmp_path / "key.json").chmod(0o644)
    with pytest.raises(ConfigError):
        make_key_holder(setup_with(key_file=str(tmp_path / "key.json")))


def test_each_start_makes_a_key_of_the_configured_size() -> None:
    keys = [make_key_holder(setup_with())._terms.public_key for _ in range(2)]
    assert [key.num_bits for key in keys] == [128, 128]
    assert keys[0] != keys[1]


def test_no_secret_is_in_the_repr_of_a_setup() -> None:
    setup = setup_with()
    assert repr(SECRET) not in repr(setup)
    assert SECRET.hex() not in repr(setup)
