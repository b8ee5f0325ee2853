"""Runs baselines of an experiment: the same task and data, without federation.

Example:
    >>> from experiments import load_config, simulate_baselines
    >>> config = load_config("spam", ["data.source=synthetic-mail", "rounds=2", "engine.kind=inline"])
    >>> found = simulate_baselines(config, ["central", "local"])
    >>> found["central"].status, [score.client_id for score in found["local"].clients]
    ('done', ['alice', 'bob', 'sue'])
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias

from experiments.baselines.alone import AloneSetup, AloneWorker
from experiments.baselines.alone import main as alone_main
from experiments.baselines.central import train_centrally
from experiments.baselines.local import train_locally
from experiments.baselines.results import Baseline, CentralBaseline, LocalBaseline
from experiments.callbacks import Callback
from experiments.hosting import pickle_task
from experiments.run_history import RunHistory
from fedgdl.config import Experiment, check_experiment, nearest
from fedgdl.data import FederatedDataset
from fedgdl.errors import ConfigError, DataError
from fedgdl.federated import Task, check_task, find_task, load_task_data
from fedgdl.runtime import interrupted_once, interrupts_deferred, usable_cores
from server.engines import Engine, InlineEngine, ProcessEngine

__all__ = ["BASELINES", "Kind", "simulate_baselines"]

Kind: TypeAlias = Literal["central", "local"]
BASELINES: tuple[Kind, ...] = ("central", "local")


def simulate_baselines(
    experiment: Experiment,
    kinds: Sequence[Kind] = BASELINES,
    *,
    history: RunHistory | None = None,
    task: Task[Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Baseline]:
    """Trains the same task on the same data without federation, and returns what that gave.

    Args:
        experiment: the configuration of the federation.
        kinds: `"central"`: one model on all examples together; `"local"`: a model for each client, on its own.
        history: the federated run to compare with: baselines match the rounds that it ran, and are kept in it, even
            when they are interrupted. Left out: all rounds of the configuration.
        task: a task of your own, as `simulate` takes it.
        callbacks: hear, where there is a history, of their beginning and end.

    Returns:
        Kind -> baseline, in the order asked for.

    Raises:
        FedgdlError: the configuration holds a mistake, the data is missing, cannot be pooled, or is other data than
            the history's; the history has no round; or workers cannot be started.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the history holds what is done.
    """
    check_experiment(experiment)
    unknown = next((kind for kind in kinds if kind not in BASELINES), None)
    if unknown is not None:
        message = f"there is no baseline {unknown!r}{nearest(str(unknown), BASELINES)} (known: central, local)"
        raise ConfigError(message)
    own_task = task
    task = own_task if own_task is not None else find_task(experiment.task)
    check_task(task)
    data = load_task_data(task, experiment)
    _check_history(history, data)
    num_rounds = experiment.rounds if history is None else len(history.rounds)
    found: dict[str, Baseline] = {} if history is None else history.baselines
    with interrupted_once(), _told(history, callbacks):
        for kind in dict.fromkeys(kinds):
            if kind == "central":
                found[kind] = central = CentralBaseline(num_rounds)
                with _status_kept(central):
                    train_centrally(experiment, task, data, central)
            else:
                found[kind] = local = LocalBaseline(len(data.client_ids))
                with _status_kept(local), _engine(experiment, own_task, data, num_rounds) as engine:
                    train_locally(engine, data, local)
    return {kind: found[kind] for kind in kinds}


def _check_history(history: RunHistory | None, data: FederatedDataset[Any]) -> None:
    """Refuses a run that baselines of these data cannot be compared with."""
    if history is None:
        return
    if data.fingerprint != history.data_fingerprint:
        message = "the data have changed since the run: its baselines would be of other data"
        raise DataError(message)
    if not history.rounds:
        message = "the run has no finished round that baselines could match; run the federation first"
        raise ConfigError(message)


@contextlib.contextmanager
def _told(history: RunHistory | None, callbacks: Sequence[Callback]) -> Iterator[None]:
    """Tells the callbacks of the beginning and, however it comes, of the end."""
    if history is None:
        yield
        return
    for callback in callbacks:
        callback.baselines_started(history)
    try:
        yield
    finally:
        with interrupts_deferred(), contextlib.ExitStack() as endings:  # each one runs, whatever the others raise
            for callback in reversed(callbacks):
                endings.callback(callback.baselines_finished, history)


@contextlib.contextmanager
def _status_kept(baseline: Baseline) -> Iterator[None]:
    """Notes in a baseline how it ended, where it did not come to its end."""
    try:
        yield
    except KeyboardInterrupt:
        baseline.status = "interrupted"
        raise
    finally:
        if baseline.status == "running":
            baseline.status = "failed"


@contextlib.contextmanager
def _engine(
    experiment: Experiment, own_task: Task[Any] | None, data: FederatedDataset[Any], num_rounds: int
) -> Iterator[Engine]:
    """Yields the configured engine with workers of clients that train alone, not yet started."""
    engine: Engine
    if experiment.engine.kind == "inline":

        def make_worker() -> AloneWorker:
            task = own_task if own_task is not None else find_task(experiment.task)
            return AloneWorker(experiment, task, num_rounds)

        engine = InlineEngine(make_worker)
    else:
        pickled = None if own_task is None else pickle_task(own_task)
        setup = AloneSetup(experiment, num_rounds, pickled, logging.getLogger().getEffectiveLevel())
        num_workers = min(experiment.engine.workers or usable_cores(), len(data.client_ids))
        engine = ProcessEngine(num_workers, alone_main, setup)
    is_calm = False
    try:
        yield engine
        is_calm = True
    finally:
        engine.close(is_calm=is_calm)
