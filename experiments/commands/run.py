"""`fedgdl run`: runs an experiment and keeps what it gives."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from experiments.cli import INTERRUPTED
from experiments.commands.output import JsonOption, SetOption, error_console, log_to, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from experiments.run_history import RunHistory

__all__ = ["run"]

_WIDTH_WITHOUT_CLIENTS: Final = 52
_LOSS_WIDTH: Final = 6
"""Characters of the results' table: all its other columns, and one loss."""

_MAX_FAILURES_SHOWN: Final = 10
_MAX_ROUNDS_SHOWN: Final = 40


def run(
    experiment: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE.toml", help="A shipped experiment or a file of your own.")
    ] = None,
    *,
    overrides: SetOption = None,
    engine: Annotated[
        Literal["processes", "inline"] | None, typer.Option(help="Where clients run: engine.kind.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="How many worker processes: engine.workers.")] = None,
    rounds: Annotated[int | None, typer.Option(help="How many rounds.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The run's folder; runs/NAME-TIME if left out.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the shipped experiments and exit.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run an experiment: fedgdl run spam. Keeps config, history, model, log and plot in a folder."""
    if list_all:
        _list(as_json=as_json)
        return
    if experiment is None:
        message = "name an experiment or a file; fedgdl run --list shows what is shipped"
        raise typer.BadParameter(message, param_hint="NAME|FILE.toml")
    shortcuts = {"engine.kind": engine, "engine.workers": workers, "rounds": rounds}
    given = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    _simulate(experiment, [*(overrides or ()), *given], out, as_json=as_json)


def _simulate(name: str, overrides: list[str], out: Path | None, *, as_json: bool) -> None:
    """Runs an experiment and shows the rounds that were finished, however it ended.

    Raises:
        FedgdlError: the run could not be started, or not be brought to its end.
    """
    from experiments.callbacks import Callback
    from experiments.progress import ProgressBar, work_bar
    from experiments.run_folder import RunFolder
    from experiments.simulation import load_config, simulate
    from fedgdl.errors import FedgdlError

    class Remember(Callback):
        history: "RunHistory | None" = None

        def run_started(self, history: "RunHistory") -> None:
            self.history = history

    console = error_console()
    config = load_config(name, overrides)
    folder, remember = RunFolder(out), Remember()
    log_to(console)
    failure: FedgdlError | None = None
    try:
        with work_bar(console):
            simulate(config, [folder, remember, ProgressBar(console)])
    except (FedgdlError, KeyboardInterrupt) as error:
        if remember.history is None:
            raise
        failure = error if isinstance(error, FedgdlError) else None
    history = remember.history
    if history is None or folder.path is None:
        message = "a run that has ended has started before"
        raise RuntimeError(message)
    _show(history, folder.path, as_json=as_json)
    for problem in folder.problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    if failure is not None:
        raise failure
    if history.status == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if folder.problems or history.status == "failed":
        raise typer.Exit(1)


def _show(history: "RunHistory", folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({**history.to_dict(), "folder": str(folder)})
    else:
        _print_summary(history, folder)


def _list(*, as_json: bool) -> None:
    from experiments.simulation import load_config, shipped_configs

    configs = {name: load_config(name) for name in shipped_configs()}
    if as_json:
        print_json({"experiments": [{"name": name, "task": item.task} for name, item in configs.items()]})
        return
    for name, text in shipped_configs().items():
        first_line = text.splitlines()[0].removeprefix("#").strip()
        typer.echo(f"{name:14} {first_line}")


def _print_summary(history: "RunHistory", folder: Path) -> None:
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    console.print(f"{history.experiment.name}: {history.data_description}", soft_wrap=True)
    if history.is_synthetic:
        console.print("The data is synthetic: these numbers say nothing about real data.", style="yellow")
    if history.rounds:
        console.print(_table(history, console.width))
    failures = [(record.round_index, client) for record in history.rounds for client in record.failures]
    for round_index, client in failures[:_MAX_FAILURES_SHOWN]:
        text = f"round {round_index}: without {client.client_id}: {client.reason}"
        console.print(text, style="yellow", soft_wrap=True)
    if len(failures) > _MAX_FAILURES_SHOWN:
        console.print(f"... and {len(failures) - _MAX_FAILURES_SHOWN} more missing updates; see history.jsonl")
    if history.status == "interrupted":
        console.print(f"Interrupted; {len(history.rounds)} finished rounds are kept.", style="yellow")
    model = f"model {history.model.sha256()[:16]}  " if history.rounds else ""
    console.print(f"{model}kept in {folder}", soft_wrap=True)


def _table(history: "RunHistory", width: int) -> "Table":
    """Returns a row a round; with a column a client where the width, in characters, has room for all of them."""
    from rich import box
    from rich.table import Table

    clients = sorted({client.client_id for record in history.rounds for client in record.clients})
    needed = _WIDTH_WITHOUT_CLIENTS + sum(max(len(client), _LOSS_WIDTH) + 2 for client in clients)
    shown = clients if needed <= width else []
    note = "under a name: the loss in that client's own training" if shown else "each client's loss: in history.jsonl"
    if any(record.status == "failed" for record in history.rounds):
        note += "; * too few updates, the model stayed as it was"
    table = Table(box=box.SIMPLE_HEAD, caption=note)
    for heading in ("round", "accuracy", "loss", *shown, "MB up", "down", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    hidden = len(history.rounds) - _MAX_ROUNDS_SHOWN
    if hidden > 0:
        table.add_row("...")
        table.caption = f"{note}; {hidden} earlier rounds: in history.jsonl"
    for record in history.rounds[max(0, hidden) :]:
        losses = {client.client_id: client.train_loss for client in record.clients}
        table.add_row(
            f"{record.round_index}" if record.status == "done" else f"{record.round_index} *",
            "" if record.accuracy is None else f"{record.accuracy:.2%}",
            "" if record.loss is None else f"{record.loss:.4f}",
            *(_loss_in_words(client, losses) for client in shown),
            f"{record.bytes_up / 1e6:.2f}",
            f"{record.bytes_down / 1e6:.2f}",
            f"{record.seconds:.2f}",
        )
    return table


def _loss_in_words(client_id: str, losses: dict[str, float | None]) -> str:
    """Returns a client's loss, that it failed, or nothing where it was not in the cohort."""
    if client_id not in losses:
        return ""
    loss = losses[client_id]
    return "failed" if loss is None else f"{loss:.4f}"
