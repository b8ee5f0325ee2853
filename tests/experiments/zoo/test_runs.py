"""Recipes run by name, here or in worker processes: what is kept, and what one's failure does to the others."""

import json
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments.zoo.keeping import read_results
from experiments.zoo.results import RecipeResult
from experiments.zoo.runs import missing_data, run_and_keep, run_recipes
from fedgdl.data import find_source
from fedgdl.errors import ConfigError
from fedgdl.parameters import load_parameters
from fedgdl.zoo.recipe import Setting
from fedgdl.zoo.registry import all_recipes


def run_all(references: Sequence[str], folder: Path, workers: int = 1) -> dict[str, RecipeResult]:
    return {result.name: result for result in run_recipes(references, Setting(), folder, workers=workers)}


def test_a_run_keeps_result_model_and_texts(tmp_path: Path) -> None:
    result = run_and_keep("own_recipes:RIGHT", Setting(), tmp_path, lambda *_: None)
    folder = tmp_path / "own-right"
    assert result.is_good
    assert result.files == ("model.safetensors", "said.txt")
    assert {path.name for path in folder.iterdir()} == {*result.files, "result.json"}
    assert (folder / "said.txt").read_text() == "said\nown-right\n\n1 + 2 = 3\n"
    assert load_parameters(folder / "model.safetensors").sha256() == result.model_sha256
    document = json.loads((folder / "result.json").read_text())
    assert document["rows"][0] == {
        "what": "sum",
        "expected": 3.0,
        "tolerance": "to 1e-12",
        "origin": "goal",
        "measured": 3.0,
        "status": "met",
        "needs_real_data": False,
    }
    assert document["measured"] == {"sum": 3.0}
    assert set(document["versions"]) == {"fedgdl", "python", "numpy"}


def test_kept_results_are_read_back(tmp_path: Path) -> None:
    results = run_all(["own_recipes:WRONG", "own_recipes:RAISES", "ch04-reducing-error"], tmp_path)
    assert {result.name: result for result in read_results(tmp_path)} == results


@pytest.mark.parametrize("workers", [1, 2])
def test_strange_recipes_cost_only_themselves(tmp_path: Path, workers: int) -> None:
    words = {
        "EXITS": "SystemExit: 0",
        "MUTE": "FedgdlError",
        "NOTHING": "returned NoneType; expected a fedgdl.zoo.recipe.Outcome",
        "ARRAYS": "'table' is of type ndarray; expected a number",
        "UNDRAWABLE": "'str' object has no attribute",
    }
    results = run_all([f"own_recipes:{name}" for name in (*words, "RIGHT")], tmp_path, workers)
    for name, text in words.items():
        result = results[f"own-{name.lower()}"]
        assert result.status == "failed"
        assert text in result.error
        assert "its process is gone" not in result.error
    assert results["own-right"].is_good
    assert {result.name: result for result in read_results(tmp_path)} == results


@pytest.mark.parametrize("workers", [1, 2])
def test_numbers_that_json_has_not_are_kept_as_texts(tmp_path: Path, workers: int) -> None:
    results = run_all(["own_recipes:STRANGE", "own_recipes:RIGHT"], tmp_path, workers)
    strange = results["own-strange"]
    assert strange.measured == {
        "sum": "nan",
        "several": [1.0, "inf", "-inf"],
        "truth": 1,
        "small": 0.5,
        "huge": str(10**30),
        "name": "caf\\udce9",
    }
    assert [(row.measured, row.status) for row in strange.rows] == [("nan", "missed")]
    assert {result.name: result for result in read_results(tmp_path)} == results


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_written_costs_only_itself(tmp_path: Path, workers: int) -> None:
    (tmp_path / "own-right").write_text("in the way")
    results = run_all(["own_recipes:RIGHT", "own_recipes:LASTING"], tmp_path, workers)
    assert results["own-right"].status == "failed"
    assert "--out" in results["own-right"].error
    assert results["own-lasting"].is_good
    assert (tmp_path / "own-right").read_text() == "in the way"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_leaves_no_half_folder(tmp_path: Path) -> None:
    recipe_folder = tmp_path / "own-right"
    recipe_folder.mkdir()
    (recipe_folder / "said.txt").symlink_to("/dev/full")
    result = run_and_keep("own_recipes:RIGHT", Setting(), tmp_path, lambda *_: None)
    assert result.status == "failed"
    assert "No space left" in result.error
    assert not recipe_folder.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_is_told_and_the_others_go_on(tmp_path: Path, workers: int) -> None:
    names = ["own_recipes:RAISES", "own_recipes:NONSENSE", "own_recipes:WRONG", "own_recipes:RIGHT"]
    results = run_all(names, tmp_path, workers)
    assert {name: result.is_good for name, result in results.items()} == {
        "own-raises": False,
        "own-nonsense": False,
        "own-wrong": False,
        "own-right": True,
    }
    assert results["own-raises"].status == "failed"
    assert results["own-raises"].error.strip().endswith("ArithmeticError: no luck today")
    assert (tmp_path / "own-raises" / "error.txt").read_text().startswith("Traceback")
    assert "one axis too few" in results["own-nonsense"].error
    assert [row.status for row in results["own-wrong"].rows] == ["missed"]


def test_worker_processes_measure_the_same(tmp_path: Path) -> None:
    names = ["ch04-reducing-error", "ch06-one-iteration", "own_recipes:RIGHT"]
    here, there = run_all(names, tmp_path / "here", 1), run_all(names, tmp_path / "there", 2)
    assert {name: result.measured for name, result in here.items()} == {
        name: result.measured for name, result in there.items()
    }
    assert here["own-right"].model_sha256 == there["own-right"].model_sha256 != ""


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_recipe_logs_is_in_its_result(tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    results = run_all(["own_recipes:WARNS", "own_recipes:RIGHT"], tmp_path, workers)
    assert results["own-warns"].warnings == ("mind the gap", "and the other one")
    assert results["own-right"].warnings == ()
    assert capfd.readouterr() == ("", "")


def test_a_killed_process_costs_the_recipe_it_was_at(tmp_path: Path) -> None:
    results = run_all(["own_recipes:RIGHT", "own_recipes:DIES", "ch04-compare"], tmp_path, 2)
    assert results["own-dies"].status == "failed"
    assert "exit code -9" in results["own-dies"].error
    assert results["own-right"].is_good
    assert results["ch04-compare"].is_good
    assert not (tmp_path / "own-dies").exists() or (tmp_path / "own-dies" / "result.json").is_file()
    assert multiprocessing.active_children() == []


def test_leaving_early_ends_the_processes_and_leaves_no_half_folder(tmp_path: Path) -> None:
    heard = []
    results = run_recipes(
        ["own_recipes:LONG", "own_recipes:RIGHT"],
        Setting(),
        tmp_path,
        workers=2,
        hear=lambda *progress: heard.append(progress),
    )
    assert next(results).name == "own-right"
    results.close()
    assert multiprocessing.active_children() == []
    assert [path.name for path in tmp_path.iterdir()] == ["own-right"]


def test_the_longest_recipe_is_started_first(tmp_path: Path) -> None:
    results = run_recipes(["own_recipes:RIGHT", "own_recipes:LASTING"], Setting(), tmp_path)
    assert [result.name for result in results] == ["own-lasting", "own-right"]


def test_recipes_that_share_a_training_run_in_one_process(tmp_path: Path) -> None:
    results = run_all(["own_recipes:FIRST", "own_recipes:SECOND", "own_recipes:LASTING"], tmp_path, 2)
    first, second = (results[name].measured["process"] for name in ("own-first", "own-second"))
    assert first == second != os.getpid()
    assert results["own-lasting"].is_good


def test_what_was_to_run_in_a_process_that_died_runs_in_another(tmp_path: Path) -> None:
    results = run_all(["own_recipes:DIES", "own_recipes:SECOND", "own_recipes:LASTING"], tmp_path, 2)
    assert {name: result.is_good for name, result in results.items()} == {
        "own-dies": False,
        "own-second": True,
        "own-lasting": True,
    }


def test_missing_data_is_named_once_with_what_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path))
    assert missing_data(all_recipes(), Setting()) == {
        "mnist": "synthetic-digits",
        "imdb": "synthetic-reviews",
        "babi": "synthetic-stories",
        "shakespear-book": "synthetic-verse",
        "enron-book": "synthetic-mail",
        "enron": "synthetic-mail",
    }
    assert missing_data(all_recipes(), Setting(allow_synthetic=False)) == {}
    found = tmp_path / "given"
    for file in find_source("mnist").files:
        (found / file.path).parent.mkdir(parents=True, exist_ok=True)
        (found / file.path).touch()
    assert "mnist" not in missing_data(all_recipes(), Setting(data_root=str(found)))


@pytest.mark.parametrize(
    ("references", "words"),
    [
        (["ch04-compair"], "did you mean ch04-compare"),
        (["own_recipes:OUTSIDE"], "no plain file name"),
        (["ch04-compare", "fedgdl.zoo.chapter_04:RECIPES"], "is no recipe"),
    ],
)
def test_a_wrong_name_is_refused_before_anything_runs(tmp_path: Path, references: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run_all(references, tmp_path)
    assert list(tmp_path.iterdir()) == []
