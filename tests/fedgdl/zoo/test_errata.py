"""The errata: whole, runnable, and the page of the docs is what they generate."""

import itertools
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import find_checkout

from experiments.commands.app import app
from experiments.simulation import shipped_configs
from fedgdl.errors import ConfigError
from fedgdl.zoo.errata import ERRATA, Erratum, anchor, errata_page, erratum_text, find_erratum
from fedgdl.zoo.registry import all_recipes

PYTHON = [erratum for erratum in ERRATA if erratum.command.startswith("python ")]
FEDGDL = [erratum for erratum in ERRATA if erratum.command.startswith("fedgdl ")]


def test_there_are_31_in_order() -> None:
    assert [erratum.id for erratum in ERRATA] == [f"B{number}" for number in range(1, 32)]


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda erratum: erratum.id)
def test_an_entry_says_where_what_and_how(erratum: Erratum) -> None:
    assert erratum.title
    assert not erratum.title.endswith(".")
    assert erratum.what_is_wrong.endswith(".")
    assert erratum.what_is_right.endswith(".")
    assert list(erratum.chapters) == sorted(set(erratum.chapters))
    assert set(erratum.chapters) <= set(range(3, 16))
    assert erratum in {*PYTHON, *FEDGDL}


@pytest.mark.parametrize("erratum", PYTHON, ids=lambda erratum: erratum.id)
def test_a_line_of_python_prints_what_the_entry_says(erratum: Erratum, tmp_path: Path) -> None:
    arguments = shlex.split(erratum.command)[1:]
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", erratum.prints + "\n")


@pytest.mark.parametrize("erratum", FEDGDL, ids=lambda erratum: erratum.id)
def test_a_command_names_what_there_is(erratum: Erratum) -> None:
    _, command, *arguments = shlex.split(erratum.command)
    if command == "zoo":
        assert arguments[0] == "run"
        assert set(arguments[1:]) <= {recipe.name for recipe in all_recipes()}
        assert len(arguments) > 1
    elif command == "run":
        assert arguments[0] in shipped_configs()
    elif command == "attack":
        group = next(group.typer_instance for group in app.registered_groups if group.name == "attack")
        assert group is not None
        assert arguments[0] in {
            found.name or found.callback.__name__ for found in group.registered_commands if found.callback
        }
    else:
        commands = {found.name or found.callback.__name__ for found in app.registered_commands if found.callback}
        assert command in commands


def test_every_defect_of_a_recipe_is_of_its_chapter() -> None:
    strangers = [
        (recipe.name, erratum_id)
        for recipe, erratum_id in itertools.chain.from_iterable(
            zip(itertools.repeat(recipe), recipe.defects, strict=False) for recipe in all_recipes()
        )
        if recipe.chapter not in find_erratum(erratum_id).chapters
    ]
    assert strangers == []


def test_the_page_is_what_the_entries_generate() -> None:
    page = (find_checkout() / "docs" / "errata.md").read_text("utf-8")
    assert page == errata_page(all_recipes()), "write it anew: fedgdl zoo errata --markdown > docs/errata.md"


def test_the_page_has_an_anchor_and_a_link_for_each() -> None:
    page = errata_page([])
    for erratum in ERRATA:
        assert page.count(f'<a id="{erratum.id.lower()}"></a>') == 1
        assert f"](#{erratum.id.lower()})" in page
        assert erratum.command in page
        assert anchor(erratum) == f"docs/errata.md#{erratum.id.lower()}"


def test_the_page_names_the_recipes_that_an_entry_concerns() -> None:
    recipe = next(recipe for recipe in all_recipes() if recipe.name == "ch05-multiple-inputs")
    assert recipe.defects == ("B22", "B31")
    assert errata_page([recipe]).count("Recipes: `ch05-multiple-inputs`.") == len(recipe.defects)


def test_an_entry_is_found_whatever_the_case() -> None:
    assert find_erratum("b12") is find_erratum("B12")
    assert erratum_text(find_erratum("B6")).splitlines()[-1] == "  gives: [1.25]"


def test_an_unknown_entry_is_refused() -> None:
    with pytest.raises(ConfigError, match="B1 to B31"):
        find_erratum("B32")
