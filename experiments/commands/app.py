"""The tree of commands."""

from typing import Annotated

import typer

from experiments.commands import attack, bench, data, doctor, keys, report, run, zoo

__all__ = ["app"]

app = typer.Typer(
    name="fedgdl",
    help="Simulates federated learning in real processes, and shows what it leaks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.run)
app.add_typer(zoo.app, name="zoo")
app.command()(report.report)
app.add_typer(attack.app, name="attack")
app.add_typer(data.app, name="data")
app.add_typer(keys.app, name="keys")
app.command()(bench.bench)
app.command()(doctor.doctor)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        import fedgdl

        typer.echo(f"fedgdl {fedgdl.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Simulates federated learning in real processes, and shows what it leaks."""
