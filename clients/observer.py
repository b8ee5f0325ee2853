"""The simulator's truth about protected runs: what each client's update was, written beside the run, never sent.

The coordinator of a protected run sees no number of any single client. Whoever runs the simulation may want to: each
worker writes what it knows into a file of its own, before the answer of which it is the truth is sent. The coordinator
and the attacks never read these files.

A file `worker-<process id>.jsonl` begins with a line that says what it is. Then comes a line for each client and round,
and each attempt at it:

    {"round_index": 1, "client_id": "bob", "status": "done", "num_examples": 4, "train_loss": 0.5,
     "train_accuracy": 0.75, "clipped_share": 0.0, "reason": ""}

`status` is "done" or "failed", `reason` why it failed, in full; numbers that there are none of, or that are not finite,
are null. The encoded vectors, where they are kept, are in `vectors/round-00001/`, under the SHA-256 of their client's
id, 32 hexadecimal digits of it.

Not protected against: whoever can read the folder.

Example:
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     observer = Observer(Path(folder))
    ...     observer.client_failed("bob", 1, "has no examples")
    ...     lines = next(Path(folder).glob("worker-*.jsonl")).read_text().splitlines()
    >>> len(lines)
    2
"""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from fedgdl.errors import EngineError
from fedgdl.federated import ClientUpdate

if TYPE_CHECKING:
    from fedgdl.federated.encoding import EncodedUpdate

__all__ = ["OBSERVER_NOTE", "Observer", "vector_path"]

OBSERVER_NOTE: Final = "the simulator's truth; the coordinator never sees it"


class Observer:
    """Writes down what a worker's clients do; it can be pickled, and opens nothing before there is something to write.

    Args:
        folder: where to; made if need be.
        keep_vectors: whether the encoded vectors are kept, too.
    """

    def __init__(self, folder: Path, *, keep_vectors: bool = False) -> None:
        self.folder = folder
        self.keep_vectors = keep_vectors
        self._clipped_shares: dict[tuple[str, int], float] = {}

    def update_encoded(self, client_id: str, round_index: int, encoded: "EncodedUpdate") -> None:
        """Takes note of an encoded update, before it is protected.

        Raises:
            EngineError: its vector cannot be written.
        """
        self._clipped_shares[client_id, round_index] = encoded.clipped_share
        if not self.keep_vectors:
            return
        path = vector_path(self.folder, round_index, client_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, encoded.vector)
        except OSError as error:
            raise _cannot_write(path, error) from error

    def client_done(self, client_id: str, round_index: int, update: ClientUpdate) -> None:
        """Writes down the numbers of an update that is about to be sent.

        Raises:
            EngineError: they cannot be written.
        """
        self._write(
            round_index=round_index,
            client_id=client_id,
            status="done",
            num_examples=update.num_examples,
            train_loss=_finite(update.train_loss),
            train_accuracy=_finite(update.train_accuracy),
            clipped_share=self._clipped_shares.pop((client_id, round_index), None),
            reason="",
        )

    def client_failed(self, client_id: str, round_index: int, reason: str) -> None:
        """Writes down why a client has no update, in full.

        Raises:
            EngineError: it cannot be written.
        """
        self._clipped_shares.pop((client_id, round_index), None)
        self._write(
            round_index=round_index,
            client_id=client_id,
            status="failed",
            num_examples=None,
            train_loss=None,
            train_accuracy=None,
            clipped_share=None,
            reason=reason,
        )

    def _write(self, **line: str | float | None) -> None:
        """Appends a line, in one piece and out of this process before it returns."""
        path = self.folder / f"worker-{os.getpid()}.jsonl"
        text = json.dumps(line, allow_nan=False) + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                text = json.dumps({"observer": OBSERVER_NOTE}) + "\n" + text
            with path.open("a", encoding="ascii") as file:
                file.write(text)
        except OSError as error:
            raise _cannot_write(path, error) from error


def vector_path(folder: Path, round_index: int, client_id: str) -> Path:
    """Returns where an observer of a folder keeps the encoded vector of a client."""
    name = hashlib.sha256(client_id.encode()).hexdigest()[:32]
    return folder / "vectors" / f"round-{round_index:05}" / f"{name}.npy"


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _cannot_write(path: Path, error: OSError) -> EngineError:
    return EngineError(f"the observer cannot write {path}: {error}")
