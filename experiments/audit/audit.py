"""An audit as something that watches a run: it records, and once the run has ended it examines and writes.

Not here: what is recorded (`experiments.audit.recorder`) and examined (`experiments.audit.evidence`).

Example:
    >>> audit = Audit(RunFolder())
    >>> audit.summary()["verdict"], audit.has_failed  # nothing has been run and written yet
    ('unfinished', False)
"""

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from clients.observer import vector_path
from experiments.audit.document import audit_document
from experiments.audit.evidence import Evidence, examine
from experiments.audit.examiner import Truth
from experiments.audit.page import render_page
from experiments.audit.recorder import AuditRecorder
from experiments.audit.tallies import FALSE_ALARM_RATE
from experiments.callbacks import Callback
from experiments.run_folder import RunFolder
from experiments.run_history import RunHistory
from fedgdl.errors import ConfigError, FedgdlError

__all__ = ["Audit"]

_FOLDER: Final = "audit"


class Audit(Callback):
    """Records what reaches the coordinator of one run in `audit/` in the run's folder, and writes a page of it there.

    Give it to `simulate` behind its run folder, and its recorder with it:

        folder = RunFolder()
        audit = Audit(folder)
        history = simulate(experiment, [folder, audit], recorder=audit.recorder, keep_vectors=True)
        audit.write(history)

    What goes wrong with the audit does not end the run: `problems` tells it.

    Args:
        run_folder: where the run is kept.

    Attributes:
        recorder: what `simulate` is to record with.
        problems: what is missing in the audit, and why, in words.
    """

    def __init__(self, run_folder: RunFolder) -> None:
        self._run_folder = run_folder
        self.recorder = AuditRecorder()
        self.problems: list[str] = []
        self._document: dict[str, Any] | None = None
        self._page: Path | None = None

    @property
    def has_failed(self) -> bool:
        """Whether a check of a protected run failed."""
        return self._document is not None and self._document["verdict"] == "failed"

    def summary(self) -> dict[str, Any]:
        """Returns, as JSON-ready values, where the page is and what the checks say.

        `page` is none where it is not written, and `verdict` is `"unfinished"` before all vectors are examined.
        """
        known: dict[str, Any] = self._document or {"verdict": "unfinished", "checks": []}
        return {
            "page": None if self._page is None else str(self._page),
            "verdict": known["verdict"],
            "verdicts": {check["name"]: check["verdict"] for check in known["checks"]},
            "false_alarm_rate": FALSE_ALARM_RATE,
        }

    def run_started(self, history: RunHistory) -> None:
        """Opens the record.

        Raises:
            ConfigError: it cannot be made.
        """
        if self._run_folder.path is None:
            message = "an audit is kept in the run's folder, which has to be made first: put it behind its RunFolder"
            raise RuntimeError(message)
        try:
            self.recorder.open(self._run_folder.path / _FOLDER)
        except OSError as error:
            message = f"the record for the audit cannot be made: {error}; give another folder with --out"
            raise ConfigError(message) from error

    def run_finished(self, history: RunHistory) -> None:
        """Closes the record."""
        self.recorder.close()
        if self.recorder.problem:
            self.problems.append(self.recorder.problem)

    def write(self, history: RunHistory) -> None:
        """Examines the record of a run that has ended, however it did, and writes `audit.json` and `audit.html`.

        Apart from the run, since it takes its time (0.1 s for a vector of a million elements) and may be interrupted;
        `fedgdl.progress` tells how far it has come. No file is left half written.
        """
        if self.recorder.path is None:
            message = "there is nothing to be written of a run that was not recorded"
            raise RuntimeError(message)
        self._document, self._page = None, None
        try:
            evidence = examine(self.recorder, history, self._truth(self._run_folder.observer_folder(history)))
            self._document = audit_document(history, self.recorder, evidence)
            self._page = _write(self.recorder.path.parent, self._document, evidence)
        except (OSError, FedgdlError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            self.problems.append(f"the audit could not be written: {reason}")

    def _truth(self, folder: Path | None) -> Truth:
        """Returns what reads the encoded updates that the workers of a run have kept in the observer's folder.

        One that cannot be read, for want of room on the disk say, is as good as none, and told in `problems`.
        """

        def read(round_index: int, client_id: str) -> npt.NDArray[Any] | None:
            if folder is None:
                return None
            path = vector_path(folder, round_index, client_id)
            try:
                vector: npt.NDArray[Any] = np.load(path, allow_pickle=False)
            except FileNotFoundError:
                return None
            except (OSError, ValueError, EOFError) as error:
                problem = f"the true update in {path} cannot be read: {error}"
                if problem not in self.problems:
                    self.problems.append(problem)
                return None
            return vector

        return read


def _write(folder: Path, document: dict[str, Any], evidence: Evidence) -> Path:
    """Writes both files and returns where the page is.

    Raises:
        OSError: there is no room, say.
    """
    from experiments.audit.pictures import draw_bytes, draw_correlations, draw_stages

    _write_whole(folder / "audit.json", msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    pictures = {"stages": draw_stages(document["rounds"])} if document["rounds"] else {}
    if evidence.counts.sum():
        pictures["bytes"] = draw_bytes(evidence.counts, evidence.byte_labels)
    if evidence.correlations:
        pictures["correlations"] = draw_correlations(evidence.correlations)
    page = folder / "audit.html"
    _write_whole(page, render_page(document, pictures).encode())
    return page


def _write_whole(path: Path, content: bytes) -> None:
    """Writes a file, or leaves none: half a page would look like all of it."""
    try:
        path.write_bytes(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
