"""The registry finds every recipe of the book, and each is whole."""

import ast
import importlib
from pathlib import Path

import pytest

import clients
import experiments
import fedgdl.zoo
import server
from fedgdl.data import find_source
from fedgdl.errors import ConfigError
from fedgdl.zoo.errata import find_erratum
from fedgdl.zoo.recipe import Recipe
from fedgdl.zoo.registry import CHAPTERS, all_recipes, find_recipe, recipes_of

RECIPES = all_recipes()

# For each chapter words of the sections, by the book's table of contents, that have a model or an experiment.
SECTIONS = {
    3: ["making a prediction", "multiple inputs", "multiple outputs", "predicting on predictions", "numpy"],
    4: [
        "compare",
        "simplest form",
        "hot and cold",
        "direction and amount",
        "one iteration",
        "reducing error",
        "several steps",
        "breaking gradient descent",
        "divergence",
        "alpha",
    ],
    5: [
        "multiple inputs",
        "several steps",
        "freezing",
        "multiple outputs",
        "multiple inputs and outputs",
        "weights learn",
    ],
    6: [
        "creating a matrix",
        "building a neural network",
        "whole dataset",
        "full, batch",
        "first deep",
        "backpropagation",
    ],
    7: ["correlation summarization", "letters", "predict"],
    8: ["three-layer network", "overfitting", "early stopping", "dropout", "batch gradient descent"],
    9: ["upgrading", "softmax"],
    10: ["convolution"],
    11: ["word correlation", "movie reviews", "embedding", "comparing", "filling in the blank", "king"],
    12: [
        "averaged",
        "nothing",
        "forward propagation in python",
        "backpropagate",
        "train",
        "arbitrary length",
        "analysis",
    ],
    13: [
        "tensors",
        "autograd",
        "multiple times",
        "sum",
        "train",
        "layer",
        "nonlinear",
        "index",
        "embedding",
        "cross-entropy",
        "recurrent neural network",
    ],
    14: ["vanishing", "character", "truncated", "lstm", "sample"],
    15: ["spam", "federated", "hacking", "encrypted"],
}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_section_with_a_model_has_a_recipe(chapter: int) -> None:
    sections = " ".join(recipe.section.lower() for recipe in recipes_of(chapter))
    assert [words for words in SECTIONS[chapter] if words not in sections] == []


def test_every_chapter_from_3_to_15_is_here() -> None:
    assert CHAPTERS == tuple(range(3, 16)) == tuple(SECTIONS)
    assert [chapter for chapter in CHAPTERS if not recipes_of(chapter)] == []


def test_every_module_with_recipes_is_found() -> None:
    root = Path(str(fedgdl.zoo.__file__)).parent
    modules = [path.relative_to(root).with_suffix("").parts for path in root.rglob("chapter_*.py")]
    listed = [
        recipe
        for parts in modules
        for recipe in getattr(importlib.import_module(".".join(["fedgdl.zoo", *parts])), "RECIPES", ())
    ]
    assert {recipe.name for recipe in listed} == {recipe.name for recipe in RECIPES}


def test_names_are_unique_and_say_their_chapter() -> None:
    names = [recipe.name for recipe in RECIPES]
    assert len(set(names)) == len(names)
    assert [recipe.name for recipe in RECIPES if not recipe.name.startswith(f"ch{recipe.chapter:02}-")] == []
    assert [recipe.name for recipe in RECIPES if recipe.name != recipe.name.lower()] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe_is_whole(recipe: Recipe) -> None:
    assert all((recipe.section, recipe.summary, recipe.model, recipe.data, recipe.expected))
    assert (recipe.run is None) != (recipe.config is None)
    # One value may be held to several bounds (another one on real data, say), but not twice to the same.
    rows = [(row.what, row.value, row.tolerance.words, row.needs_real_data) for row in recipe.expected]
    assert len(set(rows)) == len(rows)
    # A check that cannot fail is none: something is measured in a quick run, and something on generated data.
    assert any(expected.is_quick for expected in recipe.expected)
    assert not all(expected.needs_real_data for expected in recipe.expected)
    for erratum_id in recipe.defects:
        assert find_erratum(erratum_id).id == erratum_id
    if recipe.source:
        find_source(recipe.source)
    assert all(seconds > 0 for seconds in recipe.seconds)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_only_as_printed_recipes_repeat_defects(recipe: Recipe) -> None:
    assert recipe.is_book_compatible == recipe.name.endswith("-as-printed")
    if recipe.run is not None:
        assert recipe.is_book_compatible == recipe.run.__module__.startswith("fedgdl.zoo.book_compatible.")
    if recipe.is_book_compatible:
        assert recipe.defects


def test_nothing_imports_what_repeats_defects() -> None:
    importers = {
        str(path)
        for package in (fedgdl, clients, server, experiments)
        for path in Path(str(package.__file__)).parent.rglob("*.py")
        if path.parent.name != "book_compatible"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and "book_compatible" in f"{node.module}.{[n.name for n in node.names]}")
        or (isinstance(node, ast.Import) and any("book_compatible" in name.name for name in node.names))
    }
    assert importers == set()


def test_a_recipe_is_found_by_its_name() -> None:
    assert find_recipe("ch06-deep-network") is next(r for r in recipes_of(6) if r.name == "ch06-deep-network")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ch04-hot-and-could", "did you mean ch04-hot-and-cold?"),
        ("hot-and-cold", "did you mean ch04-hot-and-cold?"),
        ("ch99-what", "fedgdl zoo list"),
        ("no_such_module:RECIPE", "no_such_module"),
        (":RECIPE", "cannot be imported"),
        ("math:pi", "is no recipe"),
        ("math:recipe", "is no recipe"),
    ],
)
def test_an_unknown_name_is_refused_with_what_to_do(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        find_recipe(name)


def test_a_chapter_without_experiments_is_refused() -> None:
    with pytest.raises(ConfigError, match="chapters 3 to 15"):
        recipes_of(2)


@pytest.mark.parametrize("code", ["1 / 0", "def", "import no_such_module", "raise KeyError('x')"])
def test_what_is_wrong_in_a_module_of_ones_own_is_told(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_broken.py").write_text(f"{code}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"'own_broken:MINE' cannot be imported: [A-Z][A-Za-z]+Error: "):
        find_recipe("own_broken:MINE")


def test_a_recipe_of_ones_own_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe_of_mine.py").write_text("from fedgdl.zoo.registry import recipes_of\nMINE = recipes_of(4)[0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_recipe("recipe_of_mine:MINE") is recipes_of(4)[0]
