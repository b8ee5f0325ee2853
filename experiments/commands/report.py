"""`fedgdl report`: finished runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.commands.output import JsonOption, print_json

__all__ = ["report"]


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or their result.json.")],
    *,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a table for a Markdown page.")] = False,
    condensed: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write each result there, without what it says of single clients."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show finished runs side by side: rounds, seconds, accuracy, and what their baselines gave."""
    from experiments.report.summary import RunSummary, condense, markdown, read_result

    results = [read_result(path) for path in runs]
    if condensed is not None:
        _write(condensed, [condense(result) for result in results])
    summaries = [RunSummary.of(result) for result in results]
    if as_json:
        print_json({"runs": [summary.to_dict() for summary in summaries]})
        return
    if as_markdown:
        typer.echo(markdown(summaries))
        return
    from rich.console import Console

    from experiments.report.run_table import print_runs

    print_runs(summaries, Console(markup=False, highlight=False))


def _write(folder: Path, results: list[dict[str, object]]) -> None:
    """Writes NAME.json for each result.

    Raises:
        ConfigError: a file cannot be written.
    """
    import msgspec

    from fedgdl.errors import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for result in results:
            text = msgspec.json.format(msgspec.json.encode(result), indent=1)
            (folder / f"{result['name']}.json").write_bytes(text + b"\n")
    except OSError as error:
        message = f"the results cannot be written to {folder}: {error}"
        raise ConfigError(message) from error
