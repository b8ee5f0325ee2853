"""Finished runs, read back from their folders: what a table or a page of the documentation says of each.

Not here: their table on a terminal (`experiments.report.run_table`), what happens in a run
(`experiments.run_history`), or the comparison of one run with its own baselines (`experiments.report.baselines`), of
which only the last numbers are repeated.

Example:
    >>> one = {"round_index": 1, "accuracy": 0.5, "loss": 0.7, "seconds": 2.0}
    >>> config = {"task": "spam", "training": {"epochs": 1, "batch_size": 10}}
    >>> summary = RunSummary.of({"name": "mine", "status": "done", "rounds": [one], "config": config})
    >>> summary.accuracy, summary.central_gap
    (0.5, None)
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from experiments.report.baselines import in_points
from fedgdl.errors import ConfigError

__all__ = ["HEADINGS", "RunSummary", "condense", "markdown", "read_result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run in a line.

    Attributes:
        name: of the experiment.
        status: how it ended.
        data: the data set, in words.
        is_synthetic: whether it was generated.
        num_rounds: finished rounds.
        seconds: wall-clock time of these rounds.
        accuracy, loss: on the test set, after the last evaluated round; none where nothing was evaluated.
        target: the accuracy that was to be reached; none where there was none.
        rounds_to_target: as `RunHistory.rounds_to`.
        central_accuracy, local_accuracy: of the baselines; none where they were not run.
    """

    name: str
    status: str
    data: str
    is_synthetic: bool
    num_rounds: int
    seconds: float
    accuracy: float | None
    loss: float | None
    target: float | None
    rounds_to_target: float | None
    central_accuracy: float | None
    local_accuracy: float | None

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "RunSummary":
        """Returns the summary of a run's `result.json`, condensed or not."""
        rounds = result["rounds"]
        tested = [record for record in rounds if record["accuracy"] is not None]
        baselines = result.get("baselines", {})
        return cls(
            name=result["name"],
            status=result["status"],
            data=result.get("data_description", ""),
            is_synthetic=result.get("data_is_synthetic", False),
            num_rounds=len(rounds),
            seconds=sum(record["seconds"] for record in rounds),
            accuracy=tested[-1]["accuracy"] if tested else None,
            loss=tested[-1]["loss"] if tested else None,
            target=result["config"].get("until_accuracy"),
            rounds_to_target=result.get("rounds_to_target"),
            central_accuracy=baselines.get("central", {}).get("accuracy"),
            local_accuracy=baselines.get("local", {}).get("accuracy"),
        )

    @property
    def central_gap(self) -> float | None:
        """By how many points, hundredths of all targets, central training was better; none where it was not run."""
        if self.accuracy is None or self.central_accuracy is None:
            return None
        return 100 * (self.central_accuracy - self.accuracy)

    def to_dict(self) -> dict[str, Any]:
        """Returns the summary as JSON-ready values."""
        return {**asdict(self), "central_gap": self.central_gap}

    def cells(self) -> tuple[str, ...]:
        """Returns the cells of the row below `HEADINGS`."""
        return (
            self.name if not self.is_synthetic else f"{self.name} (generated data)",
            f"{self.num_rounds}" if self.status == "done" else f"{self.num_rounds} ({self.status})",
            f"{self.seconds:,.0f}",
            _share(self.accuracy),
            "" if self.loss is None else f"{self.loss:.4f}",
            _share(self.central_accuracy),
            in_points(self.central_accuracy, self.accuracy),
            _share(self.local_accuracy),
            self._target_in_words(),
        )

    def _target_in_words(self) -> str:
        if self.target is None:
            return ""
        reached = "not reached" if self.rounds_to_target is None else f"{self.rounds_to_target:.1f} rounds"
        return f"{self.target:.0%}: {reached}"


HEADINGS = ("run", "rounds", "s", "accuracy", "loss", "central", "gap", "local", "target")


def read_result(path: Path) -> dict[str, Any]:
    """Returns what a run's folder, or a result file, says of the run.

    Raises:
        ConfigError: there is no such file, or it is no result of a run.
    """
    file = path / "result.json" if path.is_dir() else path
    try:
        result = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError as error:
        what = f"the folder {path} has no result.json" if path.is_dir() else f"there is no file or folder {path}"
        message = f"{what}; name the folder of a finished run, such as runs/NAME-TIME"
        raise ConfigError(message) from error
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{file} cannot be read as the result of a run: {error}"
        raise ConfigError(message) from error
    if not isinstance(result, dict):
        message = f"{file} holds no result of a run"
        raise ConfigError(message)
    try:
        RunSummary.of(result)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"{file} is not the result.json of `fedgdl run`: {error!r}"
        raise ConfigError(message) from error
    return result


def condense(result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a result without what it says of single clients: small enough to be kept with the documentation."""
    condensed = {key: value for key, value in result.items() if key != "first_training_time"}
    condensed["rounds"] = [
        {**{key: value for key, value in record.items() if key != "clients"}, "num_clients": _num_clients(record)}
        for record in result["rounds"]
    ]
    if "baselines" in result:
        condensed["baselines"] = {
            kind: {key: value for key, value in baseline.items() if key != "clients"}
            for kind, baseline in result["baselines"].items()
        }
    return condensed


def markdown(summaries: Sequence[RunSummary]) -> str:
    """Returns a Markdown table with a row a run."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *(summary.cells() for summary in summaries)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _num_clients(record: Mapping[str, Any]) -> int:
    return len(record["clients"]) if "clients" in record else int(record["num_clients"])


def _share(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.2%}"
