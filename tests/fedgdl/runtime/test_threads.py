import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from fedgdl.runtime import blas_environment, one_blas_thread, usable_cores

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def allowed_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def blas_threads() -> list[int]:
    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # the library is loaded by now
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


# Cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this platform has no affinity")
def test_a_process_bound_to_one_core_may_use_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from fedgdl.runtime import usable_cores; print(usable_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("quota", "most"),
    [
        ("max 100000\n", 10**6),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("100001 100000\n", 2),
        ("150000 100000", 2),
        ("400000 50000\n", 8),
        ("1 100000\n", 1),
        ("0 100000\n", 1),
        ("-1 100000\n", 1),
        ("", 10**6),
        ("max", 10**6),
        ("many 100000", 10**6),
        ("100000 0", 10**6),
        ("100000 100000 7", 10**6),
    ],
)
def test_the_quota_of_a_container_counts(quota: str, most: int, tmp_path: Path) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(quota)
    assert usable_cores(path) == min(allowed_cores(), most)


def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "missing") == allowed_cores()
    assert usable_cores(tmp_path) == allowed_cores()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe 100000")
    assert usable_cores(tmp_path / "bytes") == allowed_cores()


def test_there_is_always_a_core() -> None:
    assert 1 <= usable_cores() <= allowed_cores()


# The environment of workers


def test_the_environment_comes_back_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.delenv("VECLIB_MAXIMUM_THREADS", raising=False)
    before = dict(os.environ)
    with blas_environment(threads=3):
        assert {name: os.environ[name] for name in VARIABLES} == dict.fromkeys(VARIABLES, "3")
        with blas_environment(threads=1):
            assert os.environ["MKL_NUM_THREADS"] == "1"
        assert os.environ["MKL_NUM_THREADS"] == "3"
    assert dict(os.environ) == before
    with pytest.raises(ValueError, match="x"), blas_environment(threads=1):
        raise ValueError("x")  # noqa: EM101
    assert dict(os.environ) == before


def test_what_the_block_itself_removes_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with blas_environment(threads=1):
        del os.environ["OMP_NUM_THREADS"]
    assert dict(os.environ) == before


@pytest.mark.skipif(not blas_threads(), reason="threadpoolctl does not know this platform's BLAS")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_child_starts_with_that_many_threads(threads: int) -> None:
    code = (
        "import numpy; from threadpoolctl import threadpool_info\n"
        "print({library['num_threads'] for library in threadpool_info() if library['user_api'] == 'blas'})"
    )
    with blas_environment(threads):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{{{min(threads, os.cpu_count() or 1)}}}"


# BLAS in this process


@pytest.mark.skipif(not blas_threads(), reason="threadpoolctl does not know this platform's BLAS")
def test_one_thread_within_and_as_many_as_before_afterwards() -> None:
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with one_blas_thread():
            assert set(blas_threads()) == {1}
            with one_blas_thread():
                assert set(blas_threads()) == {1}
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        with pytest.raises(ValueError, match="x"), one_blas_thread():
            raise ValueError("x")  # noqa: EM101
        assert blas_threads() == before
    with threadpool_limits(1, user_api="blas"):
        with one_blas_thread():
            pass
        assert set(blas_threads()) == {1}
