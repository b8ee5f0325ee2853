"""The experiments of the book, chapters 3 to 15, each a recipe that runs by name and is held to its numbers."""

from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, compare
from fedgdl.zoo.registry import all_recipes, find_recipe, recipes_of

__all__ = ["Expected", "Outcome", "Recipe", "Setting", "all_recipes", "compare", "find_recipe", "recipes_of"]
