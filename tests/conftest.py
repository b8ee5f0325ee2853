"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Returns the folder of the real data sets; a test that needs them is skipped where there are none."""
    root = os.environ.get("FEDGDL_DATA")
    if not root:
        pytest.skip("needs the real data sets: set FEDGDL_DATA to their folder")
    return Path(root).resolve()
