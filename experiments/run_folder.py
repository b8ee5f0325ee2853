"""The folder of a run: whatever it has to show is on disk as soon as it is known.

    config.toml        the resolved configuration; `fedgdl run <folder>/config.toml` repeats the run
    history.jsonl      one line a finished round, written when the round ends
    model.safetensors  the model after the last finished round
    result.json        the whole run as `fedgdl run --json` prints it
    curves.png         loss and accuracy by round
    run.log            what the coordinator and the workers logged

Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     make_folder(Path(parent) / "x").name
    'x'
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

__all__ = ["RunFolder", "make_folder", "new_folder"]

_LOG_FORMAT = "%(asctime)s.%(msecs)03d %(processName)s[%(process)d] %(levelname)s %(name)s: %(message)s"


def new_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Returns a new folder `<parent>/<name>-<time>`; never one that is there already."""
    now = dt.datetime.now().astimezone()
    base = parent / f"{name}-{now:%Y%m%d-%H%M%S}"
    folder, count = base, 1
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            count += 1
            folder = base.with_name(f"{base.name}-{count}")
        except OSError as error:
            message = f"the run's folder {folder} cannot be made: {error}; give another one with --out"
            raise ConfigError(message) from error
        else:
            return folder


def make_folder(path: Path) -> Path:
    """Returns the folder of the given path, made if need be.

    Raises:
        ConfigError: it holds files already, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_empty = not any(path.iterdir())
    except OSError as error:
        message = f"--out {path}: {error}"
        raise ConfigError(message) from error
    if not is_empty:
        message = f"--out {path}: the folder is not empty; a run never overwrites another"
        raise ConfigError(message)
    return path


class RunFolder(Callback):
    """Writes a run's files while it goes on.

    Args:
        path: the folder, empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rounds: TextIO | None = None
        self._log = logging.FileHandler(path / "run.log", encoding="utf-8")
        self._log.setFormatter(logging.Formatter(_LOG_FORMAT, "%Y-%m-%d %H:%M:%S"))
        logging.getLogger().addHandler(self._log)

    def run_started(self, history: RunHistory) -> None:
        """Writes the configuration."""
        (self.path / "config.toml").write_text(to_toml(history.experiment), encoding="utf-8")
        self._rounds = (self.path / "history.jsonl").open("w", encoding="utf-8")

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Adds the round to the history on disk."""
        if self._rounds is not None:
            self._rounds.write(msgspec.json.encode(record.to_dict()).decode() + "\n")
            self._rounds.flush()

    def run_finished(self, history: RunHistory) -> None:
        """Writes model, result and plot of the finished rounds, however the run ended."""
        if self._rounds is not None:
            self._rounds.close()
        (self.path / "result.json").write_bytes(msgspec.json.format(msgspec.json.encode(history.to_dict())))
        if history.rounds:
            save_parameters(history.model, self.path / "model.safetensors")
            history.plot().savefig(self.path / "curves.png", dpi=150)

    def close(self) -> None:
        """Closes the log; the last thing to do, so that the workers' last words are in it."""
        logging.getLogger().removeHandler(self._log)
        self._log.close()
