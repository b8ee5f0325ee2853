"""Runs a recipe that names a configuration: a whole federation, measured by its rounds.

Measured are `"accuracy after round 1"` and `"loss after round 1"` on the test set (shares, 0 to 1), and
`"loss of bob, round 1"` and `"accuracy of bob, round 1"` in that client's own training.

Not here: the configurations (`experiments/configs`), and what they are held to (chapter 15's recipes).

Example:
    >>> last_round(())  # nothing says how many rounds are needed
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from experiments.callbacks import Callback
from experiments.run_history import RunHistory
from experiments.simulation import load_config, simulate
from fedgdl.config import Experiment
from fedgdl.data.corpus import find_corpus
from fedgdl.errors import ConfigError
from fedgdl.federated import RoundRecord
from fedgdl.progress import watched
from fedgdl.zoo.pictures import Curves, Line, Picture
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value

__all__ = ["last_round", "measure", "run_federation"]

_ROUND: Final = re.compile(r"\bround (\d+)")


def run_federation(recipe: Recipe, setting: Setting) -> Outcome:
    """Runs a recipe's configuration in this process, with its data or their generated counterpart.

    Raises:
        FedgdlError: the configuration or its data cannot be used, or the run failed.
    """
    if recipe.config is None:
        message = f"the recipe {recipe.name} names no configuration"
        raise ConfigError(message)
    overrides = ["engine.kind=inline"]  # the same bits as in worker processes
    rounds = last_round(expected for expected in recipe.expected if expected.is_quick)
    if setting.is_quick and rounds is not None:
        overrides.append(f"rounds={rounds}")
    experiment = _with_data(load_config(recipe.config, overrides), setting)
    history = simulate(experiment, [_Steps(recipe.name)])
    return Outcome(
        measure(history), {"rounds": _curves(history)}, history.model, history.data_description, history.is_synthetic
    )


def last_round(expected: Iterable[Expected]) -> int | None:
    """Returns the highest round that expectations name, or none."""
    return max((int(found[1]) for one in expected if (found := _ROUND.search(one.what))), default=None)


def measure(history: RunHistory) -> dict[str, Value]:
    """Returns what the rounds of a run gave, by name."""
    measured: dict[str, Value] = {}
    for record in history.rounds:
        index = record.round_index
        values = {f"accuracy after round {index}": record.accuracy, f"loss after round {index}": record.loss}
        for client in record.clients:
            values[f"loss of {client.client_id}, round {index}"] = client.train_loss
            values[f"accuracy of {client.client_id}, round {index}"] = client.train_accuracy
        measured.update({what: value for what, value in values.items() if value is not None})
    return measured


class _Steps(Callback):
    """Tells whoever watches how many rounds are over."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rounds: Iterator[int] = iter(())

    def run_started(self, history: RunHistory) -> None:
        self._rounds = watched(range(history.experiment.rounds), self._name)
        next(self._rounds, None)

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        next(self._rounds, None)


def _with_data(experiment: Experiment, setting: Setting) -> Experiment:
    """Returns the experiment with the folder to look in, and with its data set, or what stands in for that."""
    root = setting.data_root or experiment.data.root
    source, _ = find_corpus(experiment.data.source, root, allow_synthetic=setting.allow_synthetic)
    data = msgspec.structs.replace(experiment.data, source=source.name, root=root, fallback=None)
    return msgspec.structs.replace(experiment, data=data)


def _curves(history: RunHistory) -> Picture:
    lines = [_line("accuracy", history, lambda record: record.accuracy)]
    lines.append(_line("loss", history, lambda record: record.loss))
    return Curves("On the test set", "round", "accuracy, loss", lines)


def _line(name: str, history: RunHistory, value_of: Callable[[RoundRecord], float | None]) -> Line:
    points = [(record.round_index, value) for record in history.rounds if (value := value_of(record)) is not None]
    return Line(name, [index for index, _ in points], [value for _, value in points])
