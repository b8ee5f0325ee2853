"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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
