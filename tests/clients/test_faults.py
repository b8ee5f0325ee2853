"""Faults on purpose, each at its moment, to its client, in its round, and never otherwise."""

import signal
import subprocess
import sys
from pathlib import Path

import federation
import numpy as np
import pytest
from federation import Bench, LineTask, make_experiment

from clients.faults import Faults, InjectedError
from fedgdl.config import FaultConfig, FaultsConfig
from fedgdl.errors import WireError
from fedgdl.wire import ClientFailed, TrainResult

SUPPORT = Path(federation.__file__).parent


def bench_with(*events: FaultConfig) -> Bench:
    return Bench(make_experiment(faults=FaultsConfig(events)), LineTask())


@pytest.mark.parametrize(
    ("moment", "said_of_ben"),
    [("before_training", []), ("after_training", ["trained"]), ("after_sending", ["trained", "ben"])],
)
def test_a_kill_comes_at_its_moment(tmp_path: Path, moment: str, said_of_ben: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, str(SUPPORT / "fault_program.py"), "kill", moment],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    round_2 = ["trained", "ann", "trained", "ben", "trained", "cat"]
    assert finished.stdout.split() == [*round_2, "trained", "ann", *said_of_ben]
    assert (finished.returncode, finished.stderr) == (-signal.SIGKILL, "")


@pytest.mark.parametrize("stage", ["advertise", "unmask"])
def test_a_kill_comes_when_the_client_is_asked_for_the_stage(tmp_path: Path, stage: str) -> None:
    finished = subprocess.run(
        [sys.executable, str(SUPPORT / "fault_program.py"), "kill", stage],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.stdout.split() == ["ann", "ben", "cat", "ann"]
    assert (finished.returncode, finished.stderr) == (-signal.SIGKILL, "")


def test_an_injected_error_is_a_defect_of_its_client_alone() -> None:
    answers = bench_with(FaultConfig("raise", "ben", round=1)).answers(["ann", "ben", "cat"])
    assert [type(answer) for answer in answers] == [TrainResult, ClientFailed, TrainResult]
    assert answers[1] == ClientFailed(1, "ben", "InjectedError: an error injected by faults.events", is_defect=True)


@pytest.mark.parametrize(("kind", "value"), [("nan", "nan"), ("infinity", "inf")])
def test_a_spoilt_update_is_refused_by_the_client_itself(kind: str, value: str) -> None:
    bench = bench_with(FaultConfig(kind, "ben", round=1))  # type: ignore[arg-type]
    answers = bench.answers(["ann", "ben", "cat"])
    assert [type(answer) for answer in answers] == [TrainResult, ClientFailed, TrainResult]
    assert f"its update holds {value} in weight" in answers[1].reason
    assert not answers[1].is_defect


def test_a_corrupt_frame_fails_its_checksum_and_only_that_frame() -> None:
    bench = bench_with(FaultConfig("corrupt", "ben", round=1))
    ann, ben, cat = bench.answer_frames(["ann", "ben", "cat"])
    for good in (ann, cat):
        assert isinstance(bench.codec.decode(good), TrainResult)
    with pytest.raises(WireError, match="checksum"):
        bench.codec.decode(ben)


@pytest.mark.parametrize("kind", ["raise", "nan", "infinity", "corrupt"])
def test_other_clients_and_other_rounds_are_spared(kind: str) -> None:
    fault = FaultConfig(kind, "ben", round=2)  # type: ignore[arg-type]
    assert bench_with(fault).answers(["ann", "ben", "cat"]) == bench_with().answers(["ann", "ben", "cat"])
    spared = bench_with(fault).answers(["ann", "cat"], round_index=2)
    assert spared == bench_with().answers(["ann", "cat"], round_index=2)


def test_without_faults_everything_passes_through_untouched() -> None:
    faults, delta, frame = Faults(FaultsConfig()), np.ones(3), b"12345678frame"
    for moment in ("before_training", "after_training", "after_sending"):
        faults.reach(moment, "ben", 1)
    assert faults.spoil_delta(delta, "ben", 1) is delta
    assert faults.spoil_frame(frame, "ben", 1) is frame


def test_spoiling_leaves_the_models_own_array_alone() -> None:
    delta = np.ones(3, "float32")
    spoilt = Faults(FaultsConfig((FaultConfig("nan", "ben", round=1),))).spoil_delta(delta, "ben", 1)
    assert np.isnan(spoilt[0])
    assert spoilt.dtype == delta.dtype
    assert delta.tolist() == [1, 1, 1]


def test_several_faults_of_one_client_all_happen() -> None:
    faults = Faults(FaultsConfig((FaultConfig("nan", "ben", round=1), FaultConfig("raise", "ben", round=1))))
    with pytest.raises(InjectedError):
        faults.reach("before_training", "ben", 1)
    faults.reach("after_training", "ben", 1)
    assert np.isnan(faults.spoil_delta(np.ones(1), "ben", 1)).all()
