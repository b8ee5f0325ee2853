"""Fixtures that every test may use."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does; pytest's own limit on each test remains.
settings.register_profile("fedgdl", deadline=None)
settings.load_profile("fedgdl")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Has what a test logged fit for the process that collects reports: some tests log odd names of files."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def heeded_signals() -> Iterator[None]:
    """Has these tests and the programs they start heed signals, also where a shell starts them to ignore some."""
    defaults = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    former = {number: signal.getsignal(number) for number in defaults}
    for number, handler in defaults.items():
        if former[number] == signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Returns the folder of the real data sets; a test that needs them is skipped where there are none."""
    root = os.environ.get("FEDGDL_DATA")
    if not root:
        pytest.skip("needs the real data sets: set FEDGDL_DATA to their folder")
    return Path(root).resolve()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keeps prepared data in a folder of this test session, for child processes too."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("FEDGDL_CACHE", str(folder))
        yield folder
