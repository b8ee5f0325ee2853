"""One entry of the errata, as a value.

Not here: the entries (`errata_by_hand`, `errata_framework`), finding and printing them (`errata`).

Example:
    >>> Erratum("B0", (3,), "a title", "the wrong", "the right", "fedgdl zoo list").is_verified
    True
"""

from dataclasses import dataclass

__all__ = ["Erratum"]


@dataclass(frozen=True, slots=True)
class Erratum:
    """A defect of the book's published code or numbers.

    Attributes:
        id: `"B1"` and so on.
        chapters: in which chapters, the first one leading.
        title: a short sentence without a full stop.
        what_is_wrong: what the book does, and what comes of it.
        what_is_right: what this project does, with numbers; what is to be done where it says that it does not yet.
        command: a line for a shell that shows it.
        prints: what the line prints where it is a short text; empty where it prints a table.
        is_verified: whether running or finite differences showed the defect; otherwise it was found by reading.
    """

    id: str
    chapters: tuple[int, ...]
    title: str
    what_is_wrong: str
    what_is_right: str
    command: str
    prints: str = ""
    is_verified: bool = True
