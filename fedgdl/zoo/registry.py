"""All recipes, found by their names.

A module `chapter_NN` or `chapter_NN_<noun>`, here or in `book_compatible`, ends with `RECIPES`; there is no list to
add it to. Modules are imported when a recipe of their chapter is asked for, and not before.

Not here: the recipes themselves, and running them (`experiments.zoo.runs`).

Example:
    >>> recipe = find_recipe("ch04-compare")
    >>> recipe.chapter, recipe.section
    (4, 'Compare')
    >>> find_recipe("ch04-compair")
    Traceback (most recent call last):
    fedgdl.errors.ConfigError: there is no recipe 'ch04-compair'; did you mean ch04-compare? (fedgdl zoo list shows all)
"""

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Final

from fedgdl.config import nearest
from fedgdl.errors import ConfigError
from fedgdl.zoo.recipe import Recipe

__all__ = ["CHAPTERS", "all_recipes", "find_recipe", "recipes_of"]

CHAPTERS: Final = tuple(range(3, 16))
"""The book's chapters with models or experiments."""

_HOMES: Final = ("fedgdl.zoo", "fedgdl.zoo.book_compatible")
_MODULE: Final = re.compile(r"chapter_(\d\d)(_[a-z_]+)?")
_NAME: Final = re.compile(r"ch(\d\d)-")


def all_recipes() -> tuple[Recipe, ...]:
    """Returns all recipes, chapter by chapter; in each the book-compatible ones come last."""
    return tuple(recipe for chapter in CHAPTERS for recipe in recipes_of(chapter))


@functools.cache
def recipes_of(chapter: int) -> tuple[Recipe, ...]:
    """Returns the recipes of one chapter in the order of its modules, those of `book_compatible` last.

    Raises:
        ConfigError: the book has no such chapter with experiments, or two recipes have one name.
    """
    if chapter not in CHAPTERS:
        message = f"chapter {chapter}: the book's experiments are in chapters {CHAPTERS[0]} to {CHAPTERS[-1]}"
        raise ConfigError(message)
    recipes: dict[str, Recipe] = {}
    for module in _modules_of(chapter):
        for recipe in getattr(importlib.import_module(module), "RECIPES", ()):
            if recipes.setdefault(recipe.name, recipe) is not recipe:
                message = f"{module} has a second recipe {recipe.name!r}; give it a name of its own"
                raise ConfigError(message)
    return tuple(recipes.values())


def find_recipe(name: str) -> Recipe:
    """Returns the recipe of a name.

    Args:
        name: as `all_recipes` has it, or `"module:NAME"` for a recipe of your own.

    Raises:
        ConfigError: there is none; the message names the nearest.
    """
    if ":" in name:
        return _find_own(name)
    match, guess = _NAME.match(name), ""
    if match and int(match[1]) in CHAPTERS:  # the other chapters need not be imported
        names = {recipe.name: recipe for recipe in recipes_of(int(match[1]))}
        if name in names:
            return names[name]
        guess = nearest(name, names)
    guess = guess or nearest(name, [recipe.name for recipe in all_recipes()])
    message = f"there is no recipe {name!r}{guess} (fedgdl zoo list shows all)"
    raise ConfigError(message)


def _find_own(path: str) -> Recipe:
    """Returns the recipe that a module of the user's own holds."""
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:  # the module is the user's: whatever is wrong in it is told, with where to look
        message = f"the module of the recipe {path!r} cannot be imported: {type(error).__name__}: {error}"
        raise ConfigError(message) from error
    if not isinstance(found, Recipe):
        message = f"{path!r} is no recipe: the module {module} needs a fedgdl.zoo.recipe.Recipe of the name {attribute}"
        raise ConfigError(message)
    return found


def _modules_of(chapter: int) -> Iterator[str]:
    for home in _HOMES:
        names = sorted(found.name for found in pkgutil.iter_modules(importlib.import_module(home).__path__))
        for name in names:
            match = _MODULE.fullmatch(name)
            if match and int(match[1]) == chapter:
                yield f"{home}.{name}"
