"""Runs recipes of the zoo, one after the other or several at once, and keeps what they give.

Not here: the recipes (`fedgdl.zoo`), worker processes (`pool`), results and their files (`results`, `keeping`).

Example:
    >>> result = run_recipe(find_recipe("ch04-compare"), Setting())[0]
    >>> result.status, [(row.what, row.status) for row in result.rows]
    ('done', [('error', 'met')])
"""

import contextlib
import logging
import re
import shutil
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from experiments.zoo.keeping import keep
from experiments.zoo.results import RecipeResult, blank_result, filled_result, writable
from fedgdl.data.locate import locate
from fedgdl.data.registry import find_source
from fedgdl.errors import ConfigError, DataMissing, FedgdlError
from fedgdl.progress import watched_by
from fedgdl.runtime import one_blas_thread
from fedgdl.zoo.recipe import Outcome, Recipe, Setting
from fedgdl.zoo.registry import find_recipe

__all__ = ["Hear", "missing_data", "run_and_keep", "run_recipe", "run_recipes"]

Hear: TypeAlias = Callable[[str, int, int], None]
"""Called with (recipe, steps finished, steps in all) while recipes run."""

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def run_recipe(recipe: Recipe, setting: Setting) -> tuple[RecipeResult, Outcome | None]:
    """Runs a recipe in this process, with one BLAS thread, and compares what it gave with what is expected.

    Whatever the recipe raises or returns ends up in the result, so that others can go on.

    Returns:
        The result, and what the recipe gave; none when it raised, or gave what cannot be kept.
    """
    began, outcome, error = time.perf_counter(), None, ""
    result, warnings = blank_result(recipe, setting), dict[str, None]()
    try:
        with one_blas_thread(), _logged_warnings(warnings):
            outcome = _run(recipe, setting)
        result = filled_result(result, recipe, outcome, setting)
    except FedgdlError as problem:
        error = str(problem) or traceback.format_exc()
    except (Exception, SystemExit):  # noqa: BLE001 (a recipe may raise anything; its traceback is kept, others go on)
        error = traceback.format_exc()
    if error:
        result, outcome = msgspec.structs.replace(result, status="failed", error=writable(error)), None
    seconds = round(time.perf_counter() - began, 3)
    return msgspec.structs.replace(result, warnings=tuple(map(writable, warnings)), seconds=seconds), outcome


def run_and_keep(reference: str, setting: Setting, folder: Path, hear: Hear) -> RecipeResult:
    """Runs the recipe of a name and keeps it in a folder of its own below `folder`.

    What cannot be written (on a full disk, say) leaves no folder, and a failed result that says so.

    Raises:
        ConfigError: there is no such recipe.
    """
    recipe = find_recipe(reference)
    with watched_by(lambda _what, done, total: hear(recipe.name, done, total)):
        result, outcome = run_recipe(recipe, setting)
    try:
        return keep(result, outcome, folder / recipe.name)
    except ConfigError as error:
        shutil.rmtree(folder / recipe.name, ignore_errors=True)
        return msgspec.structs.replace(result, status="failed", error=str(error))


def run_recipes(
    references: Sequence[str], setting: Setting, folder: Path, *, workers: int = 1, hear: Hear = lambda *_: None
) -> Generator[RecipeResult]:
    """Runs recipes, the longest first, and yields their results as they come; what is not finished leaves no folder.

    Args:
        references: names of recipes, or `"module:NAME"`.
        setting: how to run them.
        folder: where each keeps its own; made by the first.
        workers: processes at once; with one, or one recipe, everything runs in this process. Recipes that share a
            training run in the same.
        hear: told how far each is.

    Raises:
        ConfigError: there is no such recipe, or two have one name.
        KeyboardInterrupt: Ctrl-C; the recipes that were yielded are kept.
    """
    named = {reference: find_recipe(reference) for reference in references}
    names = [recipe.name for recipe in named.values()]
    for name in names:
        if not _FILE_NAME.fullmatch(name) or names.count(name) > 1:
            message = f"the recipe's name {name!r} cannot name its folder: it is taken, or no plain file name"
            raise ConfigError(message)
    batches = _batches(named, setting)
    finished = set[str]()
    try:
        if min(workers, len(batches)) > 1:
            from experiments.zoo.pool import run_in_processes

            results = run_in_processes(batches, setting, folder, workers, hear)
        else:
            results = (run_and_keep(name, setting, folder, hear) for batch in batches for name in batch)
        with contextlib.closing(results):
            for result in results:
                finished.add(result.name)
                yield result
    finally:
        for name in set(names) - finished:
            shutil.rmtree(folder / name, ignore_errors=True)


def missing_data(recipes: Iterable[Recipe], setting: Setting) -> dict[str, str]:
    """Returns the data sets that recipes need and this machine has not, and what stands in for each; none twice."""
    missing = dict[str, str]()
    for source in map(find_source, dict.fromkeys(recipe.source for recipe in recipes if recipe.source)):
        if setting.allow_synthetic and source.counterpart is not None:
            try:
                locate(source, setting.data_root)
            except DataMissing:
                missing[source.name] = source.counterpart
    return missing


def _batches(named: Mapping[str, Recipe], setting: Setting) -> list[list[str]]:
    """Returns the references, the longest recipe's first, those that share a training together."""
    batches = dict[str, list[str]]()
    for reference in sorted(named, key=lambda name: named[name].seconds[not setting.is_quick], reverse=True):
        batches.setdefault(named[reference].shared_training or reference, []).append(reference)
    return list(batches.values())


class _Collector(logging.Handler):
    """Notes the texts of warnings and what is worse."""

    def __init__(self, texts: dict[str, None]) -> None:
        super().__init__(logging.WARNING)
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts[record.getMessage()] = None


@contextlib.contextmanager
def _logged_warnings(texts: dict[str, None]) -> Iterator[None]:
    """Adds to the keys what is logged within this context; nothing of it tears a progress bar apart."""
    collector = _Collector(texts)
    logging.getLogger().addHandler(collector)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(collector)


def _run(recipe: Recipe, setting: Setting) -> Outcome:
    if recipe.run is not None:
        return recipe.run(setting)
    if recipe.config is None:
        message = f"the recipe {recipe.name} has neither a function to run nor a configuration"
        raise ConfigError(message)
    from experiments.zoo.federation import run_federation  # all of a federation's parts: for few recipes

    return run_federation(recipe, setting)
