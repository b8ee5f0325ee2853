import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from program import environment_with, fedgdl, fedgdl_json
from typer.testing import CliRunner

from experiments.commands.app import app
from fedgdl.zoo.errata import find_erratum
from fedgdl.zoo.recipe import Recipe
from fedgdl.zoo.registry import all_recipes, recipes_of

OWN = """
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, equal, exactly

def run(setting):
    return Outcome({"sum": 1.0 + 2.0})

def fail(setting):
    raise ValueError("no luck today")

def make(name, run, value):
    return Recipe(
        name=name, chapter=4, section="Compare", summary="one plus two", model="none", data="none", settings={},
        run=run, expected=(Expected("sum", value, exactly, "goal"), Expected("full", 1, equal, "goal", is_quick=False)),
    )

WRONG = make("own-wrong", run, 4.0)
FAILS = make("own-fails", fail, 3.0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def test_a_run_prints_measured_beside_expected_and_keeps_both(folder: Path) -> None:
    finished = fedgdl("zoo", "run", "ch04-alpha", cwd=folder)
    assert (finished.returncode, finished.stderr) == (0, "")
    for words in ("what", "expected", "tolerance", "measured", "origin", "0.04, 0.0144", "to 1e-12", "book", "met"):
        assert words in finished.stdout
    assert "1 recipe: 4 met, 0 missed, 0 skipped;" in finished.stdout
    (kept,) = (folder / "runs").glob("zoo-*/ch04-alpha")
    assert {path.name for path in kept.iterdir()} == {"result.json", "errors.png"}
    assert f"kept in {kept.parent.relative_to(folder)}" in finished.stdout


def test_a_missed_number_ends_with_1(folder: Path) -> None:
    finished = fedgdl("zoo", "run", "own:WRONG", "--quick", cwd=folder)
    assert finished.returncode == 1
    assert "missed" in finished.stdout
    assert "1 more in a full run" in finished.stdout
    assert "0 met, 1 missed, 1 skipped" in finished.stdout
    assert "Traceback" not in finished.stderr


def test_a_recipe_that_raises_ends_with_1_and_the_others_go_on(folder: Path) -> None:
    finished = fedgdl("zoo", "run", "own:FAILS", "ch04-compare", "--json", cwd=folder)
    assert finished.returncode == 1
    document = json.loads(finished.stdout)
    failed, compared = document["recipes"]
    assert (failed["name"], failed["status"]) == ("own-fails", "failed")
    assert failed["error"].strip().endswith("ValueError: no luck today")
    assert (compared["name"], compared["rows"][0]["status"]) == ("ch04-compare", "met")
    assert document["totals"] == {"recipes": 2, "failed": 1, "met": 1, "missed": 0, "skipped": 0}
    assert finished.stderr == ""


def test_a_chapter_is_run_in_worker_processes(tmp_path: Path) -> None:
    document = fedgdl_json("zoo", "run", "--chapter", "3", "--workers", "2", "--out", "here", cwd=tmp_path)
    assert document["status"] == "done"
    assert document["folder"] == "here"
    assert [recipe["name"] for recipe in document["recipes"]] == [recipe.name for recipe in recipes_of(3)]
    assert document["totals"]["missed"] == document["totals"]["failed"] == 0
    assert {path.name for path in (tmp_path / "here").iterdir()} == {recipe.name for recipe in recipes_of(3)}
    page = fedgdl("zoo", "table", "here", cwd=tmp_path)
    assert page.returncode == 0
    names = re.findall(r"^\| `(.+?)` \|", page.stdout, re.MULTILINE)
    assert names == [recipe.name for recipe in recipes_of(3)]


@pytest.mark.slow
def test_missing_data_is_told_once_with_how_to_get_it(tmp_path: Path) -> None:
    arguments = ["ch05-digits", "ch08-batches", "ch15-spam-central", "--quick", "--workers", "1"]
    finished = fedgdl("zoo", "run", *arguments, cwd=tmp_path, FEDGDL_CACHE=str(tmp_path / "cache"))
    assert finished.returncode == 0
    assert finished.stderr.splitlines() == [
        f"warning: using {counterpart} instead: {name} is not on this machine; fedgdl data fetch {name} gets it"
        for name, counterpart in (("mnist", "synthetic-digits"), ("enron-book", "synthetic-mail"))
    ]
    assert "warning" not in finished.stdout


def test_missing_data_ends_with_1_where_nothing_may_stand_in(tmp_path: Path) -> None:
    finished = fedgdl("zoo", "run", "ch05-digits", "--real-only", cwd=tmp_path, FEDGDL_CACHE=str(tmp_path / "cache"))
    assert finished.returncode == 1
    assert "fedgdl data fetch mnist" in finished.stdout
    assert "1 failed" in finished.stdout


def test_the_list_has_every_recipe(tmp_path: Path) -> None:
    text = fedgdl("zoo", "list", cwd=tmp_path).stdout
    document = fedgdl_json("zoo", "list", cwd=tmp_path)
    assert [recipe["name"] for recipe in document["recipes"]] == [recipe.name for recipe in all_recipes()]
    for recipe in all_recipes():
        for words in (recipe.name, recipe.section, recipe.summary, recipe.data):
            assert words in text


def test_the_list_of_a_chapter(tmp_path: Path) -> None:
    document = fedgdl_json("zoo", "list", "--chapter", "7", cwd=tmp_path)
    assert {recipe["chapter"] for recipe in document["recipes"]} == {7}


def test_show_tells_all_about_a_recipe(tmp_path: Path) -> None:
    text = fedgdl("zoo", "show", "ch05-multiple-inputs", cwd=tmp_path).stdout
    (recipe,) = (recipe for recipe in recipes_of(5) if recipe.name == "ch05-multiple-inputs")
    for words in (recipe.section, recipe.model, recipe.data, recipe.published, *recipe.settings.values()):
        assert words in text
    for erratum_id in recipe.defects:
        erratum = find_erratum(erratum_id)
        for words in (
            erratum.title,
            erratum.what_is_wrong,
            erratum.what_is_right,
            f"docs/errata.md#{erratum_id.lower()}",
        ):
            assert words in text
    document = fedgdl_json("zoo", "show", "ch05-multiple-inputs", cwd=tmp_path)
    assert [erratum["id"] for erratum in document["defects"]] == list(recipe.defects)
    assert [row["what"] for row in document["expected"]] == [row.what for row in recipe.expected]


@pytest.mark.parametrize("recipe", all_recipes(), ids=lambda recipe: recipe.name)
def test_show_knows_every_recipe(recipe: Recipe) -> None:
    text = CliRunner().invoke(app, ["zoo", "show", recipe.name])
    assert text.exit_code == 0, text.output
    for words in (recipe.section, recipe.model, recipe.data, f"fedgdl zoo run {recipe.name}"):
        assert words in text.output
    document = json.loads(CliRunner().invoke(app, ["zoo", "show", recipe.name, "--json"]).output)
    assert document["name"] == recipe.name
    assert [row["what"] for row in document["expected"]] == [row.what for row in recipe.expected]


def test_errata_are_printed_one_by_one_or_as_a_page(tmp_path: Path) -> None:
    assert fedgdl("zoo", "errata", "b12", cwd=tmp_path).stdout.startswith("B12: Only the last step")
    assert fedgdl("zoo", "errata", cwd=tmp_path).stdout.count("\n  wrong: ") == 31
    assert fedgdl("zoo", "errata", "--markdown", cwd=tmp_path).stdout.startswith("# Errata\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "ch04-compair"], "did you mean ch04-compare?"),
        (["show", "ch04-compair"], "did you mean ch04-compare?"),
        (["show", "nope"], "there is no recipe 'nope' (fedgdl zoo list shows all)"),
        (["run", "spam"], "did you mean fedgdl run spam?"),
        (["run", "chapter4"], "did you mean fedgdl zoo run --chapter 4?"),
        (["run", "ch04"], "did you mean fedgdl zoo run --chapter 4?"),
        (["run", "ch16"], "there is no recipe 'ch16'"),
        (["run", "ch04-compare", "--root", "nowhere"], "nowhere"),
        (["run"], "zoo list"),
        (["run", "ch04-compare", "--all"], "not both"),
        (["run", "--chapter", "2"], "chapters 3 to 15"),
        (["list", "--chapter", "16"], "chapters 3 to 15"),
        (["run", "ch04-compare", "--workers", "0"], "workers"),
        (["run", "ch04-compare", "--out", "full"], "not an empty folder"),
        (["run", "no_such_module:RECIPE"], "no_such_module"),
        (["errata", "B99"], "B1 to B31"),
        (["table", "full"], "holds no results"),
        (["run", "own:run"], "is no recipe"),
    ],
)
def test_a_mistake_ends_with_2_and_words(folder: Path, arguments: list[str], words: str) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "thesis.txt").write_text("precious")
    finished = fedgdl("zoo", *arguments, cwd=folder)
    assert finished.returncode == 2
    assert words in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["zoo", "--help"], ["zoo", "run", "--help"]])
def test_help_loads_neither_numpy_nor_the_recipes(tmp_path: Path, arguments: list[str]) -> None:
    """What would take time is not loaded; the clock itself would measure whatever else this machine does."""
    command = [sys.executable, "-X", "importtime", "-m", "experiments.cli", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment_with(None), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "experiments.commands.zoo" in loaded
    assert {name.partition(".")[0] for name in loaded}.isdisjoint({"numpy", "msgspec", "matplotlib", "scipy"})
    assert not any(name.startswith("fedgdl.zoo") for name in loaded)
