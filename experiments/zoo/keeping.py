"""Writes the folders of a run of recipes, and reads them back.

    result.json         what was expected and what was measured, data, versions, seconds
    model.safetensors   the trained model, where there is one worth keeping
    NAME.png, NAME.txt  the recipe's pictures and texts
    error.txt           the traceback, where the recipe raised

Not here: what is in a result (`results`), drawing (`experiments.report`).
"""

import datetime as dt
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from experiments.zoo.results import RecipeResult, writable
from fedgdl.errors import ConfigError
from fedgdl.parameters import save_parameters
from fedgdl.zoo.recipe import Outcome
from fedgdl.zoo.registry import all_recipes

__all__ = ["keep", "read_results", "read_texts", "run_folder"]

_WRITTEN_BY_MODELS: Final = ("guess.txt", "guesses.txt", "next-words.txt", "sample.txt", "story.txt")


def keep(result: RecipeResult, outcome: Outcome | None, folder: Path) -> RecipeResult:
    """Writes a recipe's folder, result.json last, and returns the result with the names of the other files.

    Args:
        result: as `run_recipe` returned it.
        outcome: likewise.
        folder: is made.

    Raises:
        ConfigError: the folder cannot be made or written to.
    """
    files = list[str]()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if outcome is not None and outcome.parameters is not None:
            save_parameters(outcome.parameters, folder / "model.safetensors")
            files.append("model.safetensors")
        if outcome is not None and outcome.pictures:
            from experiments.report.zoo_pictures import save_pictures  # matplotlib takes most of a second to load

            try:
                files += save_pictures(outcome.pictures, folder, result.name, is_synthetic=outcome.is_synthetic)
            except OSError:
                raise
            except Exception:  # noqa: BLE001 (a recipe may want anything drawn; what was measured is kept all the same)
                error = writable(traceback.format_exc())
                result = msgspec.structs.replace(result, status="failed", error=error)
        if result.error:
            (folder / "error.txt").write_text(result.error + "\n", "utf-8")
            files.append("error.txt")
        kept = msgspec.structs.replace(result, files=tuple(files))
        scratch = folder / ".result.json.part"
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        scratch.replace(folder / "result.json")
    except OSError as error:
        message = f"{folder} cannot be written: {error}; give another folder with --out"
        raise ConfigError(message) from error
    return kept


def run_folder(out: Path | None = None, kind: str = "zoo") -> Path:
    """Makes and returns the folder of a run: the one given, which must be new or empty, or `runs/<kind>-<time>`.

    Raises:
        ConfigError: the folder holds files already, or cannot be made or written to.
    """
    base = out or Path("runs") / f"{kind}-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}"
    try:
        if out is not None and out.exists() and not (out.is_dir() and not any(out.iterdir())):
            message = f"--out {out}: is there already and not an empty folder; a run never overwrites another"
            raise ConfigError(message)
        folder, number = base, 1
        while out is None and folder.exists():
            number += 1
            folder = base.with_name(f"{base.name}-{number}")
        folder.mkdir(parents=True, exist_ok=out is not None)
        with tempfile.TemporaryFile(dir=folder):  # to be told now, not after the first recipe
            pass
    except OSError as error:
        message = f"the run's folder cannot be made or written to: {error}; give another one with --out"
        raise ConfigError(message) from error
    return folder


def read_results(folder: Path) -> list[RecipeResult]:
    """Returns the results that runs kept below a folder, in the order of the book, recipes of one's own last.

    Raises:
        ConfigError: there are none, or one of them is damaged.
    """
    found = []
    for path in sorted(folder.glob("*/result.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=RecipeResult))
        except (OSError, msgspec.MsgspecError) as error:
            message = f"{path} is no result of a recipe: {error}"
            raise ConfigError(message) from error
    if not found:
        message = f"{folder} holds no results; expected a folder that `fedgdl zoo run` made, such as runs/zoo-TIME"
        raise ConfigError(message)
    places = {recipe.name: place for place, recipe in enumerate(all_recipes())}
    return sorted(found, key=lambda result: (result.chapter, places.get(result.name, len(places)), result.name))


def read_texts(folder: Path, results: Iterable[RecipeResult]) -> list[str]:
    """Returns what models wrote, a text each, in the order of the results.

    Reviews that a recipe quotes are left out: they are other people's.

    Args:
        folder: of the run.
        results: as `read_results` returned them.

    Raises:
        ConfigError: a text that was kept is gone or damaged.
    """
    paths = [folder / result.name / file for result in results for file in result.files if file in _WRITTEN_BY_MODELS]
    try:
        return [path.read_text(encoding="utf-8") for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        message = f"a text that was kept in {folder} cannot be read: {error}"
        raise ConfigError(message) from error
