"""The course of a training: errors and accuracies epoch by epoch, as measured values, as a table, and as curves.

Not here: the training itself (`digit_net`, and the chapters).

Example:
    >>> course = Course()
    >>> course.train[0], course.test[0] = Score(0.7294, 0.527), Score(0.5938, 0.6493)
    >>> course.measured()["epoch 0: test accuracy"]
    0.6493
    >>> [row.what for row in expect_course({0: (None, 0.527, None, 0.6493)}, accuracy=equal, origin="book")]
    ['epoch 0: train accuracy', 'epoch 0: test accuracy']
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from fedgdl.zoo.pictures import Curves, Line, Mark
from fedgdl.zoo.recipe import Expected, Tolerance, Value, equal, within

__all__ = ["Course", "Score", "Table", "expect_course", "nearly"]

Table: TypeAlias = Mapping[int, tuple[float | None, float | None, float | None, float | None]]
"""By epoch, counted from 0: train error and accuracy, test error and accuracy; none where nothing is expected."""

_COLUMNS: Final = ("train error", "train accuracy", "test error", "test accuracy")


nearly: Final = within(1e-9)
"""For errors of float64 runs on digits, beside an independent computation. With the pixels of chapter 8 in another
order, so that every sum rounds differently, all errors agreed to about 1e-13 up to the last epoch and all accuracies
were equal; chapters 9 and 10 were compared with separate NumPy programs only."""


@dataclass(frozen=True, slots=True)
class Score:
    """How well a model did on some digits: its mean error, and the share that it got right."""

    error: float
    accuracy: float


@dataclass(slots=True)
class Course:
    """The scores of a training by epoch, counted from 0.

    Attributes:
        train: of each epoch, collected while the weights change, with dropout on.
        test: of the epochs after which the test digits were looked at.
    """

    train: dict[int, Score] = field(default_factory=dict)
    test: dict[int, Score] = field(default_factory=dict)

    @property
    def lowest(self) -> int:
        """The epoch of the lowest test error."""
        return min(self.test, key=lambda epoch: self.test[epoch].error)

    def measured(self) -> dict[str, Value]:
        """Returns the scores of the epochs that were tested, by the names that `expect_course` uses."""
        values: dict[str, Value] = {}
        for epoch, test in self.test.items():
            train = self.train[epoch]
            scores = (train.error, train.accuracy, test.error, test.accuracy)
            values |= {f"epoch {epoch}: {column}": score for column, score in zip(_COLUMNS, scores, strict=True)}
        best = max(self.test, key=lambda epoch: self.test[epoch].accuracy)
        return {**values, "best test accuracy": self.test[best].accuracy, "epoch of the best test accuracy": best}

    def errors(self, title: str, error_name: str) -> Curves:
        """Returns the curves of both errors; where the test error rises again, its lowest is marked: stop there."""
        lowest, last = self.test[self.lowest].error, self.test[max(self.test)].error
        marks = (Mark("stop here", self.lowest, lowest),) if last > lowest else ()
        trained = Line("training digits", list(self.train), [score.error for score in self.train.values()])
        tested = Line("test digits", list(self.test), [score.error for score in self.test.values()])
        return Curves(title, "epoch", error_name, (trained, tested), marks)

    def accuracies(self, title: str) -> Curves:
        """Returns the curves of both accuracies."""
        trained = Line("training digits", list(self.train), [score.accuracy for score in self.train.values()])
        tested = Line("test digits", list(self.test), [score.accuracy for score in self.test.values()])
        return Curves(title, "epoch", "share that is right", (trained, tested))


def expect_course(
    table: Table,
    *,
    error: Tolerance = equal,
    accuracy: Tolerance = equal,
    origin: Literal["book", "derived"],
    quick: Collection[int] = (),
) -> tuple[Expected, ...]:
    """Returns what a course over real digits is held to: an expectation for each number of a table.

    Args:
        table: the numbers.
        error: the tolerance of errors.
        accuracy: the tolerance of accuracies.
        origin: see `Expected`.
        quick: the epochs that a quick run reaches.
    """
    return tuple(
        Expected(
            f"epoch {epoch}: {column}",
            value,
            error if column.endswith("error") else accuracy,
            origin,
            is_quick=epoch in quick,
            needs_real_data=True,
        )
        for epoch, values in table.items()
        for column, value in zip(_COLUMNS, values, strict=True)
        if value is not None
    )
