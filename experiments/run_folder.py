"""The folder of a run: whatever it has to show is on disk as soon as it is known.

    config.toml        the resolved configuration; `fedgdl run <folder>/config.toml` repeats the run
    history.jsonl      one line a finished round, written when the round ends; clients' numbers in it are the
                       simulator's truth, also where the coordinator does not see them
    model.safetensors  the model after the last finished round
    result.json        the whole run as `fedgdl run --json` prints it
    curves.png         loss and accuracy by round
    baselines.png      the same beside central training and clients alone, where that was asked for
    run.log            what the coordinator and the workers logged
    observer/          of a protected run: what each client counted, which the coordinator never sees
    audit/             with --audit: every message that reached the coordinator, and a page of what it tells

Example:
    >>> RunFolder(Path("somewhere")).path
    PosixPath('somewhere')
"""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

import fedgdl
from experiments.callbacks import Callback
from experiments.run_history import RunHistory
from fedgdl.config import to_toml
from fedgdl.errors import ConfigError
from fedgdl.federated import RoundRecord
from fedgdl.parameters import save_parameters

__all__ = ["RunFolder"]

logger = logging.getLogger(__name__)

_LOG_FORMAT = "%(asctime)s.%(msecs)03d %(processName)s[%(process)d] %(levelname)s %(name)s: %(message)s"


class RunFolder(Callback):
    """Makes a run's folder when the run starts, and writes its files while it goes on.

    A file that cannot be written (no room on the disk, say) does not end the run: the log and `problems` say so.

    Args:
        path: the folder, new or empty; left out: `runs/<name>-<time>`, never one that is there already.

    Attributes:
        path: the folder; none before a run has started without one.
        problems: which files are missing or incomplete, and why, in words.

    Raises:
        ConfigError: the folder holds files already: a run never overwrites another.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is not None and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            message = f"--out {path}: is there already and not an empty folder; a run never overwrites another"
            raise ConfigError(message)
        self.path = path
        self.problems: list[str] = []
        self._log: logging.Handler | None = None

    def run_started(self, history: RunHistory) -> None:
        """Makes the folder, writes the configuration and opens the log.

        Raises:
            ConfigError: the folder cannot be made or written to, or another run has taken it meanwhile.
        """
        try:
            self.path = self.path or _new_folder(history.experiment.name)
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / "config.toml").open("x", encoding="utf-8") as file:  # whoever makes it has the folder
                file.write(to_toml(history.experiment))
            self._open_log(self.path)
        except OSError as error:
            message = f"the run's folder cannot be made or written to: {error}; give another one with --out"
            raise ConfigError(message) from error
        logger.info("fedgdl %s runs %s on %s", fedgdl.__version__, history.experiment.name, history.data_description)

    def observer_folder(self, history: RunHistory) -> Path | None:
        """Returns the folder `observer` within the run's."""
        return None if self.path is None else self.path / "observer"

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        """Adds the round to the history on disk."""
        with (
            self._keeping_on("history.jsonl") as folder,
            (folder / "history.jsonl").open("a", encoding="utf-8") as file,
        ):
            file.write(msgspec.json.encode(record.to_dict()).decode() + "\n")

    def run_finished(self, history: RunHistory) -> None:
        """Writes model, result and plot of the finished rounds, however the run ended, and closes the log."""
        if self._log is None:
            return
        self._write_result(history)
        if history.rounds:
            with self._keeping_on("model.safetensors") as folder:
                save_parameters(history.model, folder / "model.safetensors")
            with self._keeping_on("curves.png") as folder:
                history.plot().savefig(folder / "curves.png", dpi=150)
        logger.info("the run is over: %s, after %d of its rounds", history.status, len(history.rounds))
        self._close_log()

    def baselines_started(self, history: RunHistory) -> None:
        """Opens the log again."""
        with self._keeping_on("run.log") as folder:
            self._open_log(folder)

    def baselines_finished(self, history: RunHistory) -> None:
        """Writes the result with its baselines, and their plot, however they ended, and closes the log."""
        self._write_result(history)
        with self._keeping_on("baselines.png") as folder:
            from experiments.report.baselines import draw_baselines

            draw_baselines(history).savefig(folder / "baselines.png", dpi=150)
        for kind, baseline in history.baselines.items():
            logger.info("the %s baseline is over: %s, %s visits", kind, baseline.status, f"{baseline.num_visits:,}")
        self._close_log()

    def _write_result(self, history: RunHistory) -> None:
        with self._keeping_on("result.json") as folder:
            result = msgspec.json.format(msgspec.json.encode(history.to_dict()))
            (folder / "result.json").write_bytes(result + b"\n")

    def _open_log(self, folder: Path) -> None:
        self._log = logging.FileHandler(folder / "run.log", encoding="utf-8")
        self._log.setFormatter(logging.Formatter(_LOG_FORMAT, "%Y-%m-%d %H:%M:%S"))
        logging.getLogger().addHandler(self._log)

    def _close_log(self) -> None:
        if self._log is not None:
            logging.getLogger().removeHandler(self._log)
            self._log.close()
            self._log = None

    @contextmanager
    def _keeping_on(self, file: str) -> Iterator[Path]:
        """Yields the folder; an error of the system while a file is written is noted, once a file, not raised."""
        if self.path is None:
            message = "a run's folder is made by run_started"
            raise RuntimeError(message)
        try:
            yield self.path
        except OSError as error:
            problem = f"{self.path / file} could not be written: {error.strerror or error}"
            if problem not in self.problems:
                self.problems.append(problem)
                logger.error("%s", problem)  # noqa: TRY400 (a full disk is no defect: no traceback)


def _new_folder(name: str) -> Path:
    """Makes and returns a folder `runs/<name>-<time>`; with a number behind it where that is taken."""
    base = Path("runs") / f"{name}-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    folder.mkdir(parents=True)
    return folder
