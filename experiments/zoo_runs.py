"""Runs recipes of the zoo, one after the other or several at once, and keeps what they give.

    result.json         what was expected and what was measured, data, versions, seconds
    model.safetensors   the trained model, where there is one worth keeping
    NAME.png, NAME.txt  the recipe's pictures and texts
    error.txt           the traceback, where the recipe raised

Not here: the recipes (`fedgdl.zoo`), worker processes (`experiments.zoo_pool`), printing (`experiments.report`).

Example:
    >>> result = run_recipe(find_recipe("ch04-compare"), Setting())[0]
    >>> result.status, [(row.what, row.status) for row in result.rows]
    ('done', [('error', 'met')])
"""

import contextlib
import datetime as dt
import logging
import math
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from experiments.environment import versions
from fedgdl.errors import ConfigError, FedgdlError
from fedgdl.parameters import save_parameters
from fedgdl.progress import watched_by
from fedgdl.runtime import one_blas_thread
from fedgdl.zoo.recipe import Outcome, Recipe, Setting, Value, compare
from fedgdl.zoo.registry import find_recipe

__all__ = [
    "Hear",
    "RecipeResult",
    "ResultRow",
    "failed_result",
    "keep",
    "read_results",
    "run_and_keep",
    "run_folder",
    "run_recipe",
    "run_recipes",
]

Hear: TypeAlias = Callable[[str, int, int], None]
"""Called with (recipe, steps finished, steps in all) while recipes run."""

Number: TypeAlias = float | int | str | list[float | int | str]
"""A value as JSON has it; what is no finite number is a text: `"nan"`, `"inf"`."""

_LARGEST: Final = 2**63
"""Integers from here on are texts: readers of JSON would round them."""

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ResultRow(msgspec.Struct, frozen=True):
    """One expectation beside what was measured, ready for JSON; see `fedgdl.zoo.recipe.Row`."""

    what: str
    expected: Number
    tolerance: str
    origin: Literal["book", "derived", "goal"]
    measured: Number | None
    status: Literal["met", "missed", "skipped"]
    needs_real_data: bool = False


class RecipeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of a recipe gave, as it is kept and printed.

    Attributes:
        name, chapter, section, summary: the recipe's.
        status: `"done"`, or `"failed"`: it raised; `error` says what.
        is_quick: whether only the epochs for the quick expectations were run.
        data: the data set used, in a line; empty where there is none.
        data_is_synthetic: whether it was generated.
        rows: each expectation with what was measured; empty when the recipe raised.
        measured: all measured values by name.
        warnings: what was logged meanwhile, from warnings on; each text once.
        seconds: wall-clock time.
        model_sha256: of the trained model; empty where there is none.
        files: the names of the files beside result.json.
        versions: of Python, NumPy and fedgdl.
    """

    name: str
    chapter: int
    section: str
    summary: str
    status: Literal["done", "failed"]
    is_quick: bool
    error: str = ""
    data: str = ""
    data_is_synthetic: bool = False
    rows: tuple[ResultRow, ...] = ()
    measured: dict[str, Number] = {}
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    model_sha256: str = ""
    files: tuple[str, ...] = ()
    versions: dict[str, str] = {}

    @property
    def is_good(self) -> bool:
        """Whether the recipe came to its end and missed nothing."""
        return self.status == "done" and all(row.status != "missed" for row in self.rows)

    def count(self, status: str) -> int:
        """Returns how many rows were met, missed or skipped."""
        return sum(row.status == status for row in self.rows)


def run_recipe(recipe: Recipe, setting: Setting) -> tuple[RecipeResult, Outcome | None]:
    """Runs a recipe in this process, with one BLAS thread, and compares what it gave with what is expected.

    Whatever the recipe raises or returns ends up in the result, so that others can go on.

    Returns:
        The result, and what the recipe gave; none when it raised, or gave what cannot be kept.
    """
    began, outcome, error = time.perf_counter(), None, ""
    result, warnings = _blank_result(recipe, setting), dict[str, None]()
    try:
        with one_blas_thread(), _logged_warnings(warnings):
            outcome = _run(recipe, setting)
        result = _filled(result, recipe, outcome, setting)
    except FedgdlError as problem:
        error = str(problem) or traceback.format_exc()
    except (Exception, SystemExit):  # noqa: BLE001 (a recipe may raise anything; its traceback is kept, others go on)
        error = traceback.format_exc()
    if error:
        result, outcome = msgspec.structs.replace(result, status="failed", error=_writable(error)), None
    seconds = round(time.perf_counter() - began, 3)
    return msgspec.structs.replace(result, warnings=tuple(map(_writable, warnings)), seconds=seconds), outcome


def failed_result(recipe: Recipe, setting: Setting, error: str) -> RecipeResult:
    """Returns the result of a recipe that has failed, with the reason."""
    return msgspec.structs.replace(_blank_result(recipe, setting), status="failed", error=_writable(error))


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
                files += save_pictures(outcome.pictures, folder, is_synthetic=outcome.is_synthetic)
            except OSError:
                raise
            except Exception:  # noqa: BLE001 (a recipe may want anything drawn; what was measured is kept all the same)
                error = _writable(traceback.format_exc())
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
        workers: processes at once; with one, or one recipe, everything runs in this process.
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
    ordered = sorted(named, key=lambda reference: named[reference].seconds[not setting.is_quick], reverse=True)
    finished = set[str]()
    try:
        if min(workers, len(ordered)) > 1:
            from experiments.zoo_pool import run_in_processes

            results = run_in_processes(ordered, setting, folder, workers, hear)
        else:
            results = (run_and_keep(reference, setting, folder, hear) for reference in ordered)
        with contextlib.closing(results):
            for result in results:
                finished.add(result.name)
                yield result
    finally:
        for name in set(names) - finished:
            shutil.rmtree(folder / name, ignore_errors=True)


def run_folder(out: Path | None = None) -> Path:
    """Makes and returns the folder of a run: the one given, which must be new or empty, or `runs/zoo-<time>`.

    Raises:
        ConfigError: the folder holds files already, or cannot be made or written to.
    """
    base = out or Path("runs") / f"zoo-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}"
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
    """Returns the results that runs kept below a folder, ordered by chapter and name.

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
    return sorted(found, key=lambda result: (result.chapter, result.name))


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
    from experiments.zoo_federation import run_federation  # all of a federation's parts: for few recipes

    return run_federation(recipe, setting)


def _blank_result(recipe: Recipe, setting: Setting) -> RecipeResult:
    return RecipeResult(
        name=recipe.name,
        chapter=recipe.chapter,
        section=recipe.section,
        summary=recipe.summary,
        status="done",
        is_quick=setting.is_quick,
        versions=versions(),
    )


def _filled(result: RecipeResult, recipe: Recipe, outcome: object, setting: Setting) -> RecipeResult:
    """Returns the result with what the recipe gave.

    Raises:
        ConfigError: that is no outcome, or holds a value of another kind than numbers and texts.
    """
    if not isinstance(outcome, Outcome):
        message = f"the recipe {recipe.name} returned {type(outcome).__name__}; expected a fedgdl.zoo.recipe.Outcome"
        raise ConfigError(message)
    return msgspec.structs.replace(
        result,
        data=_writable(outcome.data),
        data_is_synthetic=outcome.is_synthetic,
        measured={_writable(what): _plain(what, value) for what, value in outcome.measured.items()},
        rows=tuple(_result_rows(recipe, outcome, setting)),
        model_sha256="" if outcome.parameters is None else outcome.parameters.sha256(),
    )


def _result_rows(recipe: Recipe, outcome: Outcome, setting: Setting) -> Iterator[ResultRow]:
    for row in compare(recipe, outcome, setting):
        expected = row.expected
        yield ResultRow(
            what=_writable(expected.what),
            expected=_plain(expected.what, expected.value),
            tolerance=expected.tolerance.words,
            origin=expected.origin,
            measured=None if row.measured is None else _plain(expected.what, row.measured),
            status=row.status,
            needs_real_data=expected.needs_real_data,
        )


def _plain(what: str, value: Value) -> Number:
    """Returns a value as JSON has it: a list for a tuple.

    Raises:
        ConfigError: it is neither a number nor a text, nor a tuple of such.
    """
    return [_item(what, item) for item in value] if isinstance(value, tuple) else _item(what, value)


def _item(what: str, value: object) -> float | int | str:
    """Returns a number of Python's for one of NumPy's, and a text for a number that JSON has not."""
    item = value.item() if isinstance(value, np.generic) else value
    if isinstance(item, str):
        return _writable(item)
    if isinstance(item, float):
        return item if math.isfinite(item) else str(item)
    if isinstance(item, int):  # a truth value is one, too
        return int(item) if abs(item) < _LARGEST else str(item)
    message = f"{what!r} is of type {type(value).__name__}; expected a number, a text, or a tuple of one kind of them"
    raise ConfigError(message)


def _writable(text: str) -> str:
    """Returns a text that UTF-8 can say: names of files may hold bytes that it cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
