"""The source tree these tests lie in, for the few tests that are about the tree and not about its behaviour.

All other tests see the installed packages only.
"""

from pathlib import Path

import pytest

PACKAGES = ("fedgdl", "clients", "server", "experiments")


def find_checkout() -> Path:
    """Returns the folder that holds the four packages and `pyproject.toml`.

    Skips the test when there is none: the tests then run from a copy of `tests/` alone.
    """
    root = Path(__file__).resolve().parents[2]
    if not all((root / name).exists() for name in ("pyproject.toml", *PACKAGES)):
        message = f"needs the source tree beside tests/: {root} has no pyproject.toml with the four packages"
        pytest.skip(message, allow_module_level=True)
    return root
