"""The folder of a run: whatever it has to show is on disk as soon as it is known.

    config.toml        the resolved configuration; `fedgdl run <folder>/config.toml` repeats the run
    history.jsonl      one line a finished round, written when the round ends
    model.safetensors  the model after the last finished round
    result.json        the whole run as `fedgdl run --json` prints it
    curves.png         loss and accuracy by round
    run.log            what the coordinator and the workers logged

Example:
    >>> RunFolder(Path("somewhere")).path
    PosixPath('somewhere')
"""

import datetime as dt
import logging
from pathlib import Path
from typing import TextIO

import msgspec

from experiments.callbacks import Callback
from experiments.run_history import RunHistory
from fedgdl.config import to_toml
from fedgdl.errors import ConfigError
from fedgdl.federated import RoundRecord
from fedgdl.parameters import save_parameters

__all__ = ["RunFolder"]

_LOG_FORMAT = "%(asctime)s.%(msecs)03d %(processName)s[%(process)d] %(levelname)s %(name)s: %(message)s"


class RunFolder(Callback):
    """Makes a run's folder when the run starts, and writes its files while it goes on.

    Args:
        path: the folder, new or empty; left out: `runs/<name>-<time>`, never one that is there already.

    Attributes:
        path: the folder; none before a run has started without one.

    Raises:
        ConfigError: the folder holds files already: a run never overwrites another.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            message = f"--out {path}: is there already and not an empty folder; a run never overwrites another"
            raise ConfigError(message)
        self.path = path
        self._rounds: TextIO | None = None
        self._log: logging.Handler | None = None

    def run_started(self, history: RunHistory) -> None:
        """Makes the folder, writes the configuration and opens the log.

        Raises:
            ConfigError: the folder cannot be made.
        """
        try:
            if self.path is None:
                self.path = _new_folder(history.experiment.name)
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"the run's folder cannot be made: {error}; give another one with --out"
            raise ConfigError(message) from error
        self._log = logging.FileHandler(self.path / "run.log", encoding="utf-8")
        self._log.setFormatter(logging.Formatter(_LOG_FORMAT, "%Y-%m-%d %H:%M:%S"))
        logging.getLogger().addHandler(self._log)
        (self.path / "config.toml").write_text(to_toml(history.experiment), encoding="utf-8")
        self._rounds = (self.path / "history.jsonl").open("w", encoding="utf-8")

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Adds the round to the history on disk."""
        if self._rounds is not None:
            self._rounds.write(msgspec.json.encode(record.to_dict()).decode() + "\n")
            self._rounds.flush()

    def run_finished(self, history: RunHistory) -> None:
        """Writes model, result and plot of the finished rounds, however the run ended; closes the files."""
        if self.path is None or self._rounds is None or self._log is None:
            return
        self._rounds.close()
        (self.path / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(history.to_dict())))
        if history.rounds:
            save_parameters(history.model, self.path / "model.safetensors")
            history.plot().savefig(self.path / "curves.png", dpi=150)
        logging.getLogger().removeHandler(self._log)
        self._log.close()


def _new_folder(name: str) -> Path:
    """Makes and returns a folder `runs/<name>-<time>`; with a number behind it where that is taken."""
    base = Path("runs") / f"{name}-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    folder.mkdir(parents=True)
    return folder
