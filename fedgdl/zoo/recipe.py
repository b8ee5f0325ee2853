"""Recipes: an experiment of the book with its settings, its expected numbers, and how to run it.

A recipe is a value. Its `run` trains on the shared core and gives back what was measured; `compare` puts that
beside what is expected. A federated recipe names a configuration in place of `run`.

Not here: the recipes (`chapter_03` to `chapter_15`, `book_compatible`), the list of them (`registry`), drawing,
printing and files (`experiments`).

Example:
    >>> expected = Expected("error after a step", 0.30250000000000005, exactly, origin="book")
    >>> expected.is_met(0.3025), expected.is_met(0.31)
    (True, False)
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fedgdl.parameters import Parameters
from fedgdl.zoo.pictures import Picture

__all__ = [
    "Expected",
    "Outcome",
    "Recipe",
    "Row",
    "Setting",
    "Tolerance",
    "Value",
    "at_least",
    "at_most",
    "compare",
    "equal",
    "exactly",
    "printed",
    "within",
]

Value: TypeAlias = float | int | str | tuple[float, ...] | tuple[str, ...]
"""A number, a text, or several of one kind."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from what is expected a measured value may be.

    Attributes:
        words: what is printed beside the expected value, e.g. `"+- 0.01"`; empty for equal.
        is_met: whether (measured, expected), two numbers or two texts, agree.
    """

    words: str
    is_met: Callable[[float | str, float | str], bool]


def _of_numbers(words: str, agree: Callable[[float, float], bool]) -> Tolerance:
    def is_met(measured: float | str, expected: float | str) -> bool:
        if isinstance(measured, str) or isinstance(expected, str):
            return measured == expected
        return agree(float(measured), float(expected))

    return Tolerance(words, is_met)


equal = _of_numbers("", lambda measured, expected: measured == expected)
"""Equal as they are: counts, accuracies of fixed numbers of examples, words."""

exactly = _of_numbers("to 1e-12", lambda measured, expected: math.isclose(measured, expected, rel_tol=1e-12))
"""A full double, to a relative 1e-12: sums of another order, or another BLAS, differ in the last digits."""

at_least = _of_numbers("or more", lambda measured, expected: measured >= expected)
at_most = _of_numbers("or less", lambda measured, expected: measured <= expected)


def within(distance: float) -> Tolerance:
    """Returns a tolerance of an absolute distance on both sides."""
    return _of_numbers(f"+- {distance:g}", lambda measured, expected: abs(measured - expected) <= distance)


def printed(digits: int, *, is_cut: bool = False) -> Tolerance:
    """Returns the tolerance of a number printed with some digits after the point, rounded or (`is_cut`) cut off."""
    unit = 10.0**-digits

    def agree(measured: float, expected: float) -> bool:
        low, high = (0.0, unit) if is_cut else (-unit / 2, unit / 2)
        slack = 1e-9 * unit
        return low - slack <= measured - expected <= high + slack

    return _of_numbers(f"{'cut' if is_cut else 'rounded'} to {digits} digits", agree)


@dataclass(frozen=True, slots=True)
class Expected:
    """One number, or several, that a run is held to.

    Attributes:
        what: the key of the measured value it is about.
        value: what it should be.
        tolerance: how near is near enough; of several values each is held to it.
        origin: `"book"`: printed in the book or its notebooks; `"derived"`: computed independently for the same
            set-up with the mathematics right; `"goal"`: a bound that the recipe sets itself.
        is_quick: whether a quick run measures it as well.
        needs_real_data: whether it says something about generated data too (false), or not (true).
    """

    what: str
    value: Value
    tolerance: Tolerance
    origin: Literal["book", "derived", "goal"]
    is_quick: bool = True
    needs_real_data: bool = False

    def is_met(self, measured: Value) -> bool:
        """Returns whether a measured value is near enough; NaN never is, nor another number of values."""
        if isinstance(self.value, tuple) != isinstance(measured, tuple):
            return False
        ours: tuple[float | str, ...] = measured if isinstance(measured, tuple) else (measured,)
        theirs: tuple[float | str, ...] = self.value if isinstance(self.value, tuple) else (self.value,)
        return len(ours) == len(theirs) and all(map(self.tolerance.is_met, ours, theirs))


@dataclass(frozen=True, slots=True)
class Setting:
    """How a recipe is to be run.

    Attributes:
        is_quick: only the epochs that the quick expectations need.
        data_root: a folder to look for data in before FEDGDL_DATA and the cache.
        allow_synthetic: whether generated data may stand in for data that is not on this machine.
    """

    is_quick: bool = False
    data_root: str | None = None
    allow_synthetic: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a run gave.

    Attributes:
        measured: values by name; each `Expected.what` of the recipe must be there (unless it is not for quick
            runs, or not for generated data), and there may be more.
        pictures: to be drawn and kept, by a name fit for a file.
        parameters: the trained model's, to be kept; none where there is no model worth keeping.
        data: the data set used, in a line for people; empty where there is none.
        is_synthetic: whether it was generated.
    """

    measured: Mapping[str, Value]
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    parameters: Parameters | None = None
    data: str = ""
    is_synthetic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One experiment of the book.

    Attributes:
        name: what the command line calls it, e.g. `"ch08-overfitting"`; book-compatible ones end in `-as-printed`.
        chapter: 3 to 15.
        section: the section, or sections, of the book's table of contents.
        summary: one line: what is done and what it shows.
        model: the shapes, e.g. `"784-40-10, ReLU, no bias"`.
        data: the data in words, e.g. `"mnist: the first 1,000 training images, all 10,000 test images"`.
        settings: names and values in the order in which they are shown.
        published: what the book prints, in words and numbers; empty where it prints nothing.
        defects: the entries of the errata (`"B1"`) that explain what was wrong in it.
        is_book_compatible: whether it repeats the book's defects on purpose.
        source: the data set it needs; empty for none.
        expected: what it is held to.
        run: runs it; none for a recipe that names a configuration.
        config: a shipped federated configuration that `experiments` runs in place of `run`. Its measured values are
            `"accuracy after round 1"`, `"loss after round 1"` (of the test set; accuracies are shares, 0 to 1), and
            `"loss of bob, round 1"`, `"accuracy of bob, round 1"` (in that client's own training).
        shared_training: recipes with the same text here look at one trained model: they run one after the other in
            one process, where the first trains it; empty for one that trains its own.
        seconds: about how long a quick and a full run take on one core; the longest are started first.
    """

    name: str
    chapter: int
    section: str
    summary: str
    model: str
    data: str
    settings: Mapping[str, str]
    expected: tuple[Expected, ...]
    published: str = ""
    defects: tuple[str, ...] = ()
    is_book_compatible: bool = False
    source: str = ""
    run: Callable[[Setting], Outcome] | None = None
    config: str | None = None
    shared_training: str = ""
    seconds: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One expectation beside what was measured.

    Attributes:
        expected: see `Expected`.
        measured: none where it was not measured.
        status: `"met"`, `"missed"`, or `"skipped"`: not for a quick run, or not for generated data.
    """

    expected: Expected
    measured: Value | None
    status: Literal["met", "missed", "skipped"]


def compare(recipe: Recipe, outcome: Outcome, setting: Setting) -> list[Row]:
    """Returns a row for each expectation; one that should have been measured and was not is missed."""
    rows = []
    for expected in recipe.expected:
        measured = outcome.measured.get(expected.what)
        if (setting.is_quick and not expected.is_quick) or (outcome.is_synthetic and expected.needs_real_data):
            rows.append(Row(expected, measured, "skipped"))
        else:
            is_met = measured is not None and expected.is_met(measured)
            rows.append(Row(expected, measured, "met" if is_met else "missed"))
    return rows
