"""`fedgdl run`: runs an experiment and keeps what it gives."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import typer

from experiments.cli import INTERRUPTED
from experiments.commands.output import JsonOption, SetOption, error_console, log_to, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from experiments.audit import Audit
    from experiments.baselines.runs import Kind
    from experiments.run_folder import RunFolder
    from experiments.run_history import RunHistory
    from fedgdl.config import Experiment

__all__ = ["run"]

_WIDTH_WITHOUT_CLIENTS: Final = 52
_LOSS_WIDTH: Final = 6
"""Characters of the results' table: all its other columns, and one loss."""

_MAX_ROUNDS_SHOWN: Final = 40


class _Baseline(enum.StrEnum):
    """Typer takes no list of literals."""

    central = "central"
    local = "local"


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
    until_accuracy: Annotated[
        float | None, typer.Option(help="End the run when the test accuracy is at least this, 0 to 1.")
    ] = None,
    baseline: Annotated[
        list[_Baseline] | None,
        typer.Option(help="Also train on all data in one place, or each client alone. Repeatable."),
    ] = None,
    real_only: Annotated[
        bool, typer.Option("--real-only", help="Fail where data is missing; let no generated data stand in.")
    ] = False,
    audited: Annotated[
        bool,
        typer.Option("--audit", help="Record all that reaches the coordinator, and write a page of what it tells."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Run even if encryption is expected to take more than ten minutes.")
    ] = False,
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
    shortcuts = {
        "engine.kind": engine,
        "engine.workers": workers,
        "rounds": rounds,
        "until_accuracy": until_accuracy,
    }
    given = [f"{key}={value}" for key, value in shortcuts.items() if value is not None]
    config = _load(experiment, [*(overrides or ()), *given], real_only=real_only)
    _simulate(config, out, [item.value for item in baseline or ()], audited=audited, yes=yes, as_json=as_json)


def _load(name: str, overrides: list[str], *, real_only: bool) -> "Experiment":
    """Returns a configuration, without the data set that may stand in where only the real one will do."""
    from msgspec.structs import replace

    from experiments.simulation import load_config

    config = load_config(name, overrides)
    return replace(config, data=replace(config.data, fallback=None)) if real_only else config


def _simulate(
    config: "Experiment", out: Path | None, baselines: list[str], *, audited: bool, yes: bool, as_json: bool
) -> None:
    """Runs an experiment and its baselines and shows what was finished, however it ended.

    Raises:
        FedgdlError: the run could not be started, or not be brought to its end.
    """
    from experiments.baselines.runs import simulate_baselines
    from experiments.commands.run_callbacks import Announcement, Hesitation
    from experiments.progress import ProgressBar, work_bar
    from experiments.run_folder import RunFolder
    from experiments.simulation import simulate
    from fedgdl.errors import FedgdlError

    console = error_console()

    folder, announcement = RunFolder(out), Announcement(console)
    audit = _audit(folder) if audited else None
    before = [] if yes else [Hesitation()]
    watching = [*before, folder, *([] if audit is None else [audit]), announcement, ProgressBar(console)]
    log_to(console)
    ending: FedgdlError | KeyboardInterrupt | None = None
    try:
        with work_bar(console):
            recorder = None if audit is None else audit.recorder
            history = simulate(config, watching, recorder=recorder, keep_vectors=audit is not None)
        if baselines and history.status == "done":
            with work_bar(console):
                simulate_baselines(config, cast("list[Kind]", baselines), history=history, callbacks=[folder])
    except (FedgdlError, KeyboardInterrupt) as error:
        if announcement.history is None:
            raise
        if isinstance(error, KeyboardInterrupt) and announcement.history.status == "done":
            error.add_note("what the baselines had done is kept")
        ending = error
    if announcement.history is None or folder.path is None:
        message = "a run that has ended has started before"
        raise RuntimeError(message)
    if audit is not None:
        with work_bar(console):
            ending = _write_audit(audit, announcement.history) or ending
    _show(announcement.history, folder.path, audit, as_json=as_json)
    _finish(announcement.history, folder.problems, audit, ending)


def _audit(folder: "RunFolder") -> "Audit":
    """Returns the audit of a run that is kept in a folder."""
    from experiments.audit import Audit

    return Audit(folder)


def _write_audit(audit: "Audit", history: "RunHistory") -> KeyboardInterrupt | None:
    """Writes the page of an audit; returns what interrupted it."""
    try:
        audit.write(history)
    except KeyboardInterrupt as error:
        error.add_note(f"the audit has no page; what the coordinator received is kept in {audit.recorder.path}")
        return error
    return None


def _finish(history: "RunHistory", problems: list[str], audit: "Audit | None", ending: BaseException | None) -> None:
    """Says what went wrong, if anything did, and ends the program with the exit code for it."""
    problems = [*problems, *(audit.problems if audit is not None else ())]
    if audit is not None and audit.has_failed:
        problems.append(
            "the audit failed: what the coordinator received is not what right masks or ciphertexts make; see its page"
        )
    for problem in problems:
        typer.secho(f"error: {problem}", fg="red", err=True)
    if isinstance(ending, KeyboardInterrupt):
        for note in getattr(ending, "__notes__", ()):
            typer.secho(f"Interrupted; {note}.", fg="yellow", err=True)
        raise typer.Exit(INTERRUPTED)
    if ending is not None:
        raise ending
    missed = _target_missed(history)
    if missed:
        typer.secho(missed, fg="red", err=True)
    if problems or history.status == "failed" or missed:
        raise typer.Exit(1)


def _show(history: "RunHistory", folder: Path, audit: "Audit | None", *, as_json: bool) -> None:
    summary = None if audit is None else audit.summary()
    if as_json:
        print_json({**history.to_dict(), "folder": str(folder), **({} if summary is None else {"audit": summary})})
        return
    _print_summary(history, folder)
    if summary is not None:
        typer.echo(f"audit: {summary['verdict']}  {summary['page'] or '(there is no page)'}")


def _list(*, as_json: bool) -> None:
    from experiments.simulation import load_config, shipped_configs

    configs = {name: load_config(name) for name in shipped_configs()}
    if as_json:
        print_json({"experiments": [{"name": name, "task": item.task} for name, item in configs.items()]})
        return
    width = max(map(len, configs))
    for name, text in shipped_configs().items():
        first_line = text.splitlines()[0].removeprefix("#").strip()
        typer.echo(f"{name:{width}} {first_line}")


def _print_summary(history: "RunHistory", folder: Path) -> None:
    from rich.console import Console

    from experiments.report.words import failures_in_words, interruption_in_words, rounds_in_words, stages_in_words

    console = Console(markup=False, highlight=False)
    console.print(f"{history.experiment.name}: {history.data_description}", soft_wrap=True)
    if history.is_synthetic:
        console.print("The data is synthetic: these numbers say nothing about real data.", style="yellow")
    if history.rounds:
        console.print(_table(history, console.width))
    for line in failures_in_words(history):
        console.print(line, style="yellow", soft_wrap=True)
    if stages_in_words(history):
        console.print(stages_in_words(history), soft_wrap=True)
    if history.status == "interrupted":
        console.print(interruption_in_words(history), style="yellow", soft_wrap=True)
    elif history.experiment.until_accuracy is not None and history.has_reached_target:
        rounds = rounds_in_words(history.rounds_to(history.experiment.until_accuracy) or 0)
        text = f"test accuracy {history.experiment.until_accuracy:.2%} was reached after {rounds}"
        console.print(text, soft_wrap=True)
    if history.baselines:
        _print_baselines(history, console)
    model = f"model {history.model.sha256()[:16]}  " if history.rounds else ""
    console.print(f"{model}kept in {folder}", soft_wrap=True)


def _target_missed(history: "RunHistory") -> str:
    """Returns how near the run came to its target accuracy; nothing where it reached it, or had none."""
    target = history.experiment.until_accuracy
    if target is None or history.has_reached_target:
        return ""
    best = max((record.accuracy for record in history.rounds if record.accuracy is not None), default=None)
    seen = "the model was never tested" if best is None else f"the best was {best:.2%}"
    return f"missed: test accuracy {target:.2%} was not reached in {len(history.rounds)} rounds; {seen}"


def _print_baselines(history: "RunHistory", console: "Console") -> None:
    from experiments.report.baselines import baseline_notes, baseline_table

    console.print(baseline_table(history))
    for note in baseline_notes(history):
        console.print(note, soft_wrap=True)


def _table(history: "RunHistory", width: int) -> "Table":
    """Returns a row a round; with a column a client where the width, in characters, has room for all of them."""
    from rich import box
    from rich.table import Table

    clients = sorted({client.client_id for record in history.rounds for client in record.clients})
    needed = _WIDTH_WITHOUT_CLIENTS + sum(max(len(client), _LOSS_WIDTH) + 2 for client in clients)
    shown = clients if needed <= width else []
    note = "under a name: the loss in that client's own training" if shown else "each client's loss: in history.jsonl"
    aggregation = history.experiment.aggregation
    if aggregation.kind == "paillier" and aggregation.key_holder == "coordinator":
        note += "\n(the simulator's truth: the coordinator holds the key and could read it)"
    elif aggregation.is_private:
        note += "\n(the simulator's truth: the coordinator sees no single client's numbers)"
    every = history.experiment.evaluate_every
    if every > 1:
        note += f"\ntested every {every} rounds{' and after the last' if history.status == 'done' else ''}"
    if any(record.status == "failed" for record in history.rounds):
        note += f"{'' if every > 1 else chr(10)}* failed: the model stayed as it was"
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
