"""Known answers: JSON files that say where they are from and what they were checked with."""

import json
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).resolve().parents[1] / "vectors"


def load_vectors(name: str) -> dict[str, Any]:
    """Returns a file of known answers."""
    vectors: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="ascii"))
    return vectors
