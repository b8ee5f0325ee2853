"""Puts a federation together from its configuration and runs it: the place where all parts meet.

Example:
    >>> from experiments import load_config, simulate
    >>> config = load_config("spam", ["data.source=synthetic-mail", "rounds=1", "engine.kind=inline"])
    >>> history = simulate(config)
    >>> [record.status for record in history.rounds]
    ['done']
"""

import contextlib
import importlib.resources
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from clients.observer import Observer
from experiments.callbacks import Callback
from experiments.environment import versions
from experiments.hosting import Hosts, host
from experiments.observer import ObserverFiles
from experiments.protection import count_examples, describe, settle, shares_not_reached
from experiments.report.words import losses_in_words
from experiments.run_history import RunHistory
from fedgdl.config import Experiment, check_experiment, nearest, parse_experiment
from fedgdl.errors import ConfigError
from fedgdl.federated import Task, build_task_model, check_task, find_task, load_task_data, make_strategy
from fedgdl.runtime import interrupted_once, interrupts_deferred
from fedgdl.seeding import stream
from server.aggregation import make_aggregation
from server.coordinator import Coordinator, Federation
from server.recorder import Recorder

__all__ = ["load_config", "shipped_configs", "simulate"]

logger = logging.getLogger(__name__)


def shipped_configs() -> dict[str, str]:
    """Returns name -> TOML text of the experiments that come with fedgdl, sorted by name."""
    folder = importlib.resources.files("experiments") / "configs"
    files = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    return {name: files[name].read_text(encoding="utf-8") for name in sorted(files)}


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Returns an experiment's configuration.

    Args:
        source: the name of a shipped experiment (`"spam"`), or the path of a TOML file.
        overrides: `"table.key=value"` each, as `--set` takes them.

    Raises:
        ConfigError: there is no such experiment or file, or it holds a mistake; the message names the key, the
            value, what is allowed and the nearest right spelling.
    """
    shipped = shipped_configs()
    if str(source) in shipped:
        return parse_experiment(shipped[str(source)], f"{source}.toml", overrides)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            what = "file" if path.suffix == ".toml" else "experiment"
            message = (
                f"there is no {what} {str(source)!r}{nearest(str(source).removesuffix('.toml'), shipped)} "
                f"(shipped: {', '.join(shipped)}; or give the path of a .toml file)"
            )
        else:
            message = f"the configuration {path} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(message) from error
    return parse_experiment(text, path.name, overrides)


def simulate(
    experiment: Experiment,
    callbacks: Sequence[Callback] = (),
    *,
    task: Task[Any] | None = None,
    recorder: Recorder | None = None,
    keep_vectors: bool = False,
) -> RunHistory:
    """Runs a federation and returns its history.

    A script that uses worker processes needs `if __name__ == "__main__":` around this call, since
    workers import the script. In a notebook it works as it is.

    Where updates are encoded, the largest weight is settled here, from the clients' data: see `experiments.protection`.
    What encryption will cost is in the history's `protection["estimate"]` before anything starts; nothing is refused
    for it here (`fedgdl run` does).

    Args:
        experiment: the configuration, from `load_config`.
        callbacks: hear of each event as it happens.
        task: a task of your own; it is sent to the workers with cloudpickle. Left out: the one that the
            configuration names.
        recorder: sees all that the coordinator sees; `Recorder(keep=True)` keeps it.
        keep_vectors: whether the workers of a protected run also write each encoded update to the observer's
            folder, where a callback has named one.

    Raises:
        FedgdlError: the configuration holds a mistake, the data is missing or damaged, workers cannot be started, or
            a task's code raises for every client. The finished rounds have been given to the callbacks by then.
        KeyboardInterrupt: Ctrl-C or SIGTERM; likewise, and no process is left.
    """
    check_experiment(experiment)
    own_task = task
    task = own_task if own_task is not None else find_task(experiment.task)
    check_task(task)
    data = load_task_data(task, experiment)
    _check_population(experiment, data.client_ids)
    num_examples = count_examples(data) if experiment.aggregation.is_encoded else {}
    if experiment.aggregation.is_encoded:
        experiment = settle(experiment, num_examples)
    model = build_task_model(task, data, experiment, stream(experiment.seed, "initialise"))
    parameters = model.flatten()
    strategy = make_strategy(experiment.strategy)
    history = RunHistory(
        experiment=experiment,
        data_description=data.description,
        data_fingerprint=data.fingerprint,
        is_synthetic=data.is_synthetic,
        versions=versions(),
        model=parameters.copy(),
    )
    if experiment.aggregation.is_encoded:
        history.protection = describe(experiment, strategy, parameters.layout, num_examples)
        for line in shares_not_reached(experiment.aggregation, history.protection):
            logger.warning("%s", line)

    recorder = recorder if recorder is not None else Recorder()

    def connect(hosts: Hosts) -> Federation:
        return Federation(
            experiment=experiment,
            task=task,
            data=data,
            model=model,
            parameters=parameters,
            strategy=strategy,
            aggregation=make_aggregation(
                experiment,
                strategy,
                parameters.layout,
                opener=hosts.keys.opener,
                certificate=hosts.keys.certificate,
                client_ids=data.client_ids,
            ),
            slots=hosts.slots,
            engine=hosts.engine,
            recorder=recorder,
        )

    def open_hosts(observer: Observer | None) -> AbstractContextManager[Hosts]:
        return host(
            experiment,
            parameters.layout,
            data.client_ids,
            own_task=own_task,
            observer=observer,
            recorder=recorder,
        )

    with interrupted_once():
        _run(history, callbacks, open_hosts, connect, keep_vectors=keep_vectors)
    return history


def _check_population(experiment: Experiment, client_ids: Sequence[str]) -> None:
    """Refuses a cohort larger than the population, or too small for any round, and faults of unknown clients.

    Raises:
        ConfigError: says how many clients there are, or which is nearest.
    """
    if experiment.cohort_size is not None and experiment.cohort_size > len(client_ids):
        message = f"cohort_size = {experiment.cohort_size}: there are only {len(client_ids)} clients"
        raise ConfigError(message)
    if experiment.cohort_size is None and experiment.strategy.min_updates > len(client_ids):
        message = (
            f"strategy.min_updates = {experiment.strategy.min_updates} can never be met: there are only "
            f"{len(client_ids)} clients"
        )
        raise ConfigError(message)
    for fault in experiment.faults.events:
        if fault.client not in client_ids:
            message = (
                f'faults.events client = "{fault.client}" is not one of the {len(client_ids)} clients'
                f"{nearest(fault.client, client_ids)}"
            )
            raise ConfigError(message)


def _run(
    history: RunHistory,
    callbacks: Sequence[Callback],
    open_hosts: Callable[[Observer | None], AbstractContextManager[Hosts]],
    connect: Callable[[Hosts], Federation],
    *,
    keep_vectors: bool,
) -> None:
    """Runs a federation; the history's status tells how it ended, and every callback hears of it.

    Args:
        history: to be filled.
        callbacks: whom to tell.
        open_hosts: gives workers and key holder a place to live.
        connect: puts the coordinator's parts together around them.
        keep_vectors: see `simulate`.
    """

    def client_answered(round_index: int, client_id: str, has_update: bool) -> None:  # noqa: FBT001 (a callback)
        for callback in callbacks:
            callback.client_answered(history, round_index, client_id, has_update=has_update)

    parts, hosts, is_calm = contextlib.ExitStack(), None, False
    try:
        history.status = "running"
        for callback in callbacks:
            callback.run_started(history)
        folder = parts.enter_context(_observer_folder(history, callbacks))
        observer = None if folder is None else Observer(folder, keep_vectors=keep_vectors)
        hosts = parts.enter_context(open_hosts(observer))
        if history.protection is not None and hosts.keys.key_id is not None:
            history.protection["key_id"] = hosts.keys.key_id[:16]
        federation = connect(hosts)
        coordinator = Coordinator(federation, client_answered)
        coordinator.start()
        _run_rounds(coordinator, federation, history, callbacks, None if folder is None else ObserverFiles(folder))
        is_calm = True
    except KeyboardInterrupt:
        history.status = "interrupted"
        raise
    finally:
        with interrupts_deferred():
            if history.status == "running":
                has_model = any(record.status == "done" for record in history.rounds)
                history.status = "done" if is_calm and has_model else "failed"
            with contextlib.ExitStack() as endings:  # each one runs, whatever the others raise; the last one first
                for callback in reversed(callbacks):
                    endings.callback(callback.run_finished, history)
                endings.callback(parts.close)
                if hosts is not None:
                    hosts.close(is_calm=is_calm)


def _run_rounds(
    coordinator: Coordinator,
    federation: Federation,
    history: RunHistory,
    callbacks: Sequence[Callback],
    truth: ObserverFiles | None,
) -> None:
    """Runs all rounds, or as many as it takes to reach the target accuracy."""
    cohort_size = federation.experiment.cohort_size or len(federation.data.client_ids)
    has_warned = False
    for round_index in range(1, federation.experiment.rounds + 1):
        for callback in callbacks:
            callback.round_started(history, round_index, cohort_size)
        record = coordinator.run_round(round_index)
        history.first_training_time = coordinator.first_training_time
        with interrupts_deferred():  # a round is kept whole or not at all
            if truth is not None:
                record = truth.completed_round(record)
            history.add_round(record, federation.parameters)
            for line in () if has_warned else losses_in_words(record, federation.experiment.aggregation):
                logger.warning("%s", line)
                has_warned = True
            for callback in callbacks:
                callback.round_finished(history, record)
        if history.has_reached_target:
            return


@contextlib.contextmanager
def _observer_folder(history: RunHistory, callbacks: Sequence[Callback]) -> Iterator[Path | None]:
    """Yields where workers write what the coordinator must not see; none where it sees everything anyway.

    Raises:
        ConfigError: the folder cannot be made.
    """
    if not history.experiment.aggregation.is_private:
        yield None
        return
    named = (callback.observer_folder(history) for callback in callbacks)
    folder = next((folder for folder in named if folder is not None), None)
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = None
        else:
            temporary = tempfile.TemporaryDirectory(prefix="fedgdl-observer-", ignore_cleanup_errors=True)
            folder = Path(temporary.name)
    except OSError as error:
        message = f"the folder for what the simulator alone may know cannot be made: {error}"
        raise ConfigError(message) from error
    try:
        yield folder.absolute()
    finally:
        if temporary is not None:
            temporary.cleanup()
