"""`fedgdl zoo`: the book's experiments, run by name and held to their numbers."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.cli import INTERRUPTED
from experiments.commands.output import JsonOption, error_console, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.zoo.results import RecipeResult
    from fedgdl.zoo.recipe import Recipe, Setting

__all__ = ["app"]

app = typer.Typer(help="Run the experiments of the book, chapters 3 to 15, by name.", no_args_is_help=True)

ChapterOption = Annotated[int | None, typer.Option(metavar="N", help="Only this chapter, 3 to 15.")]


@app.command("list")
def show_list(*, chapter: ChapterOption = None, as_json: JsonOption = False) -> None:
    """List the recipes: name, section, what is done, data."""
    recipes = _recipes(chapter)
    if as_json:
        keys = ("name", "chapter", "section", "summary", "data", "source")
        print_json({"recipes": [{key: getattr(recipe, key) for key in keys} for recipe in recipes]})
        return
    for index, recipe in enumerate(recipes):
        if index == 0 or recipes[index - 1].chapter != recipe.chapter:
            typer.echo(f"{'' if index == 0 else chr(10)}Chapter {recipe.chapter}")
        typer.echo(
            f"  {recipe.name}\n      {recipe.summary}\n      section: {recipe.section}\n      data: {recipe.data}"
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The recipe's name; fedgdl zoo list prints them.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show a recipe: section, model, data, settings, published numbers, and what was wrong in them."""
    from fedgdl.zoo.errata import anchor, erratum_text, find_erratum

    recipe = _find(name)
    errata = [find_erratum(erratum_id) for erratum_id in recipe.defects]
    if as_json:
        print_json(_describe(recipe))
        return
    typer.echo(f"{recipe.name}: {recipe.summary}\n")
    facts = {
        "section": f"chapter {recipe.chapter}: {recipe.section}",
        "model": recipe.model,
        "data": recipe.data,
        **recipe.settings,
        "federation": f"fedgdl run {recipe.config}" if recipe.config else "",
        "published": recipe.published or "no numbers",
        "defects": "repeated on purpose" if recipe.is_book_compatible else "",
    }
    width = max(map(len, facts))
    for what, text in facts.items():
        if text:
            typer.echo(f"{what:{width}}  {text}")
    typer.echo("\nheld to")
    for expected in recipe.expected:
        only = ["full runs"] * (not expected.is_quick) + ["real data"] * expected.needs_real_data
        note = f"; {' on '.join(only)} only" if only else ""
        typer.echo(f"  {expected.what}: {expected.value} {expected.tolerance.words} ({expected.origin}{note})")
    if errata:
        typer.echo("\nwhat was wrong")
    for erratum in errata:
        text = erratum_text(erratum).replace("\n", "\n  ")
        typer.echo(f"  {text}\n    see:   {anchor(erratum)}")
    typer.echo(f"\nfedgdl zoo run {name}")


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Recipes, or module:NAME of your own.")
    ] = None,
    *,
    run_all: Annotated[bool, typer.Option("--all", help="All recipes.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only as many epochs as the quick rows need.")] = False,
    chapter: ChapterOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where results are kept; runs/zoo-TIME if left out.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Recipes at once; one for each core if left out.")] = None,
    real_only: Annotated[
        bool, typer.Option("--real-only", help="Fail where data is missing; let no generated data stand in.")
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Look for data here before FEDGDL_DATA and the cache.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run recipes and print what is measured beside what is expected; exit 1 if a number is missed."""
    from fedgdl.runtime import usable_cores
    from fedgdl.zoo.recipe import Setting

    if names and (run_all or chapter is not None):
        message = "name recipes, or give --all or --chapter, not both"
        raise typer.BadParameter(message, param_hint="NAME")
    if not names and not run_all and chapter is None:
        message = "name a recipe, or give --all or --chapter N; fedgdl zoo list shows what there is"
        raise typer.BadParameter(message, param_hint="NAME")
    references = list(dict.fromkeys(names)) if names else [recipe.name for recipe in _recipes(chapter)]
    setting = Setting(
        is_quick=quick, data_root=None if root is None else str(root.absolute()), allow_synthetic=not real_only
    )
    _run(references, setting, out, workers or usable_cores(), as_json=as_json)


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that fedgdl zoo run has made.")],
) -> None:
    """Print the results kept in a folder as a page for the documentation (Markdown)."""
    from experiments.report.zoo_table import markdown_page
    from experiments.zoo.keeping import read_results, read_texts

    results = read_results(folder)
    typer.echo(markdown_page(results, read_texts(folder, results)), nl=False)


@app.command()
def errata(
    entry: Annotated[str | None, typer.Argument(metavar="[ID]", help="One entry, e.g. B3; all if left out.")] = None,
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/errata.md.")] = False,
) -> None:
    """Print what is wrong in the book's published code and numbers, and what is right."""
    from fedgdl.zoo.errata import ERRATA, errata_page, erratum_text, find_erratum
    from fedgdl.zoo.registry import all_recipes

    if markdown:
        typer.echo(errata_page(all_recipes()), nl=False)
        return
    typer.echo("\n\n".join(map(erratum_text, ERRATA if entry is None else [find_erratum(entry)])))


def _recipes(chapter: int | None) -> "tuple[Recipe, ...]":
    from fedgdl.zoo.registry import all_recipes, recipes_of

    return all_recipes() if chapter is None else recipes_of(chapter)


def _find(name: str) -> "Recipe":
    """Returns the recipe of a name.

    Raises:
        ConfigError: there is none; the message says what else the name may mean.
    """
    from fedgdl.errors import ConfigError
    from fedgdl.zoo.registry import find_recipe

    try:
        return find_recipe(name)
    except ConfigError as error:
        command = _command_for(name)
        if not command:
            raise
        message = f"there is no recipe {name!r}; did you mean {command}? (fedgdl zoo list shows all)"
        raise ConfigError(message) from error


def _command_for(name: str) -> str:
    """Returns the command for a name that is no recipe's: of a chapter, or of a shipped experiment; or nothing."""
    from experiments.simulation import shipped_configs
    from fedgdl.zoo.registry import CHAPTERS

    chapter = re.fullmatch(r"(?:chapter|ch)?[ _-]?0?(\d{1,2})", name.lower())
    if chapter and int(chapter[1]) in CHAPTERS:
        return f"fedgdl zoo run --chapter {int(chapter[1])}"
    return f"fedgdl run {name}" if name in shipped_configs() else ""


def _describe(recipe: "Recipe") -> dict[str, Any]:
    """Returns all that is known of a recipe before it runs."""
    import dataclasses

    from fedgdl.zoo.errata import find_erratum

    hidden = {"run", "expected", "defects", "seconds", "shared_training"}
    document = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return {
        **{key: value for key, value in document.items() if key not in hidden},
        "settings": dict(recipe.settings),
        "expected": [
            {
                "what": expected.what,
                "value": expected.value,
                "tolerance": expected.tolerance.words,
                "origin": expected.origin,
                "is_quick": expected.is_quick,
                "needs_real_data": expected.needs_real_data,
            }
            for expected in recipe.expected
        ],
        "defects": [dataclasses.asdict(find_erratum(erratum_id)) for erratum_id in recipe.defects],
    }


def _run(references: Sequence[str], setting: "Setting", out: Path | None, workers: int, *, as_json: bool) -> None:
    """Runs recipes and shows those that were finished, however the run ended."""
    import time

    from experiments.zoo.keeping import run_folder
    from experiments.zoo.progress import ZooBars
    from experiments.zoo.runs import missing_data, run_recipes
    from fedgdl.runtime import interrupted_once

    recipes = list(map(_find, references))
    seconds = {recipe.name: recipe.seconds[not setting.is_quick] for recipe in recipes}
    folder, began = run_folder(out), time.perf_counter()
    for name, counterpart in missing_data(recipes, setting).items():
        text = f"warning: using {counterpart} instead: {name} is not on this machine; fedgdl data fetch {name} gets it"
        typer.secho(text, fg="yellow", err=True)
    results: list[RecipeResult] = []
    is_interrupted = False
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(interrupted_once())
            bars = stack.enter_context(ZooBars(error_console(), seconds))
            running = run_recipes(references, setting, folder, workers=workers, hear=bars.hear)
            for result in stack.enter_context(contextlib.closing(running)):
                results.append(result)
                bars.finish(result)
    except KeyboardInterrupt:
        is_interrupted = True
    names = list(seconds)
    results.sort(key=lambda result: names.index(result.name))
    asked = len(references) if is_interrupted else None
    _show(results, folder, time.perf_counter() - began, asked, as_json=as_json)
    if is_interrupted:
        raise typer.Exit(INTERRUPTED)
    if not all(result.is_good for result in results):
        raise typer.Exit(1)


def _show(results: "Sequence[RecipeResult]", folder: Path, seconds: float, asked: int | None, *, as_json: bool) -> None:
    """Prints what is finished; `asked` is how many recipes were to run, where the run was interrupted."""
    import msgspec

    from experiments.report.zoo_table import summary_in_words, totals

    if as_json:
        print_json(
            {
                "status": "done" if asked is None else "interrupted",
                "folder": str(folder),
                "seconds": round(seconds, 3),
                "totals": totals(results),
                "recipes": msgspec.to_builtins(results),
            }
        )
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no width
    for result in results:
        _print_result(console, result)
    if asked is not None:
        console.print("Interrupted; finished recipes are kept." if results else "Interrupted.", style="yellow")
    style = "bold red" if not all(result.is_good for result in results) else "green" if asked is None else "yellow"
    console.print(summary_in_words(results, seconds, asked), style=style, soft_wrap=True)
    if results:
        console.print(f"kept in {folder}", soft_wrap=True)


def _print_result(console: "Console", result: "RecipeResult") -> None:
    from experiments.report.zoo_table import result_table

    console.print(f"{result.name}: {result.summary}", style="bold", soft_wrap=True)
    if result.data:
        console.print(result.data, soft_wrap=True)
    if result.data_is_synthetic:
        console.print("The data is generated: these numbers say nothing about real data.", style="yellow")
    for warning in result.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    if result.status == "failed":
        console.print(f"failed: {result.error.strip()}", style="bold red", soft_wrap=True)
    if result.rows:
        console.print(result_table(result))
    else:
        console.print()
