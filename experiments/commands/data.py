"""`fedgdl data`: which data sets there are, where they are on this machine, and fetching them.

Results go to standard output, progress to standard error. With `--json` standard output holds
exactly one JSON document.

Example:
    >>> [command.name for command in app.registered_commands]
    ['list', 'path', 'fetch']
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.commands.output import JsonOption, error_console, print_json

if TYPE_CHECKING:
    from fedgdl.data.fetch import Progress

__all__ = ["app"]

app = typer.Typer(help="List, find and fetch data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The data set's name; `fedgdl data list` prints them.")]


@app.command("list")
def show_list(*, as_json: JsonOption = False) -> None:
    """Show the data sets, their sizes, and where each is on this machine."""
    from fedgdl.data import list_sources

    sources = list_sources()
    if as_json:
        print_json({"sources": sources})
        return
    width = max(len(source["name"]) for source in sources)
    for source in sources:
        size = f"{source['num_bytes'] / 1e6:.1f} MB" if source["num_bytes"] else ""
        place = source["found"] or f"not here: {source['how_to_get']}"
        typer.echo(f"{source['name']:<{width}} {size:>8}  {source['title']}\n{'':<{width + 10}} {place}")


@app.command("path")
def show_path(name: Name, *, as_json: JsonOption = False) -> None:
    """Show where a data set's files are on this machine."""
    from fedgdl.data import find_source
    from fedgdl.data.locate import locate

    source = find_source(name)
    files = [str(path) for path in locate(source)]
    if as_json:
        print_json({"name": source.name, "is_synthetic": source.is_synthetic, "files": files})
        return
    for file in files:
        typer.echo(file)
    if not files:
        typer.echo(f"{source.name} is generated: it needs no files", err=True)


@app.command("fetch")
def fetch_source(
    name: Name,
    base_url: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="A mirror's folder instead of the official address.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Download a data set into the cache and check it."""
    from fedgdl.data import find_source
    from fedgdl.data.fetch import fetch

    source = find_source(name)
    with _progress_bars() as progress:
        files = fetch(source, base_url, progress)
    if as_json:
        described = [{"path": str(file.path), "is_new": file.is_new} for file in files]
        print_json({"name": source.name, "is_synthetic": source.is_synthetic, "files": described})
        return
    for file in files:
        typer.echo(f"{file.path} ({'fetched and checked' if file.is_new else 'was here already, checked'})")
    if not files:
        typer.echo(f"{source.name} is generated: there is nothing to fetch", err=True)
    elif source.citation:
        typer.echo(f"Please cite: {source.citation}", err=True)


@contextmanager
def _progress_bars() -> "Iterator[Progress]":
    """Gives a function that draws one bar a file on standard error, with its rate and the time left."""
    from rich import progress as rich

    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.DownloadColumn())
    rate = (rich.TransferSpeedColumn(), rich.TimeRemainingColumn())
    with rich.Progress(*columns, *rate, console=error_console()) as bars:
        tasks = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total or None)
            bars.update(tasks[name], completed=done)

        yield show
