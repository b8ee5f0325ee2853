r"""A story that is being told, line by line, and the words that all generated stories share.

Example:
    >>> story = Story(np.random.default_rng(1))
    >>> fact = story.say("Mary moved to the garden.")
    >>> story.ask("Where is Mary?", "garden", fact)
    >>> story.lines
    ['1 Mary moved to the garden.', '2 Where is Mary? \tgarden\t1']
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import numpy as np

__all__ = ["MOVES", "OBJECTS", "PEOPLE", "PLACES", "PRONOUNS", "Story"]

T = TypeVar("T")

PRONOUNS: Final = {"Mary": "she", "John": "he", "Daniel": "he", "Sandra": "she"}
PEOPLE: Final = tuple(PRONOUNS)
PLACES: Final = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
MOVES: Final = ("moved", "went", "went back", "journeyed", "travelled")
OBJECTS: Final = ("football", "milk", "apple")


class Story:
    """The lines of one story.

    Args:
        rng: draws all that is left to chance.

    Attributes:
        lines: what has been told, each line with its number.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.lines: list[str] = []
        self._rng = rng

    def say(self, text: str) -> int:
        """Tells a statement and returns its line's number."""
        self.lines.append(f"{len(self.lines) + 1} {text}")
        return len(self.lines)

    def ask(self, question: str, answer: str, *facts: int) -> None:
        """Asks a question that follows from the lines of some numbers."""
        numbers = " ".join(map(str, facts))
        self.lines.append(f"{len(self.lines) + 1} {question} \t{answer}\t{numbers}")

    def chance(self, share: float = 0.5) -> bool:
        """Returns True with a given probability."""
        return bool(self._rng.random() < share)

    def pick(self, options: Iterable[T]) -> T:
        """Returns one of some options, each as likely as the others."""
        listed = list(options)
        return listed[int(self._rng.integers(len(listed)))]

    def draw(self, options: Sequence[T], count: int) -> list[T]:
        """Returns some different ones of the options, in random order."""
        return [options[index] for index in self._rng.permutation(len(options))[:count].tolist()]
