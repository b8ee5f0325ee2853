"""Folders of runs: written whole or not at all, never over another's, and read back in the order of the book."""

import os
from pathlib import Path

import own_recipes
import pytest

from experiments.zoo.keeping import keep, read_results, read_texts, run_folder
from experiments.zoo.runs import run_recipe
from fedgdl.errors import ConfigError
from fedgdl.zoo.pictures import Text
from fedgdl.zoo.recipe import Outcome, Setting
from fedgdl.zoo.registry import find_recipe


def test_results_are_read_in_the_order_of_the_book(tmp_path: Path) -> None:
    names = ["ch04-reducing-error", "ch04-compare", "ch03-one-input", "ch04-alpha"]
    for recipe in (*map(find_recipe, names), own_recipes.RIGHT):
        keep(*run_recipe(recipe, Setting()), tmp_path / recipe.name)
    read = [result.name for result in read_results(tmp_path)]
    assert read == ["ch03-one-input", "ch04-compare", "ch04-reducing-error", "ch04-alpha", "own-right"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result, outcome = run_recipe(own_recipes.RIGHT, Setting())
    with pytest.raises(ConfigError, match="--out"):
        keep(result, outcome, tmp_path / "file")


def test_folders_of_runs_never_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [run_folder() for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() and folder.parts[0] == "runs" for folder in folders)
    assert run_folder(tmp_path / "mine") == tmp_path / "mine"
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ConfigError, match="not an empty folder"):
        run_folder(tmp_path / "mine")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o500)
    with pytest.raises(ConfigError, match="cannot be made or written to"):
        run_folder(tmp_path / "mine")


@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_a_folder_without_results_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "result.json").write_text(content)
    with pytest.raises(ConfigError, match="result"):
        read_results(tmp_path)


def test_texts_of_models_are_read_and_other_peoples_are_not(tmp_path: Path) -> None:
    result, _ = run_recipe(own_recipes.RIGHT, Setting())
    wrote = Outcome(
        {},
        {"sample": Text("A sample", "to be"), "nearest-reviews": Text("Reviews", "I saw it"), "story": Text("", "a")},
    )
    kept = keep(result, wrote, tmp_path / result.name)
    (sample, story) = read_texts(tmp_path, [kept])
    assert sample.splitlines()[-1] == "to be"
    assert story.splitlines()[-1] == "a"
    (tmp_path / result.name / "story.txt").unlink()
    with pytest.raises(ConfigError, match=r"story\.txt"):
        read_texts(tmp_path, [kept])
