"""Courses: what is measured by epoch, what is drawn, and what is expected."""

import pytest

from fedgdl.zoo.course import Course, Score, expect_course
from fedgdl.zoo.recipe import equal, printed


@pytest.fixture
def course() -> Course:
    made = Course()
    made.train = {epoch: Score(1 / (epoch + 1), epoch / 10) for epoch in range(5)}
    made.test = {0: Score(0.9, 0.1), 2: Score(0.5, 0.4), 4: Score(0.6, 0.3)}
    return made


def test_scores_of_tested_epochs_are_measured(course: Course) -> None:
    measured = course.measured()
    assert measured["epoch 2: train error"] == 1 / 3
    assert measured["epoch 4: test accuracy"] == 0.3
    assert "epoch 1: train error" not in measured
    assert (measured["best test accuracy"], measured["epoch of the best test accuracy"]) == (0.4, 2)


def test_the_point_to_stop_at_is_marked(course: Course) -> None:
    curves = course.errors("Errors", "error")
    assert [(mark.x, mark.y) for mark in curves.marks] == [(2, 0.5)]
    trained, tested = curves.lines
    assert (list(trained.x), list(tested.x)) == ([0, 1, 2, 3, 4], [0, 2, 4])
    assert list(course.accuracies("Accuracies").lines[1].y) == [0.1, 0.4, 0.3]


@pytest.mark.parametrize("last", [0.4, 0.5])
def test_nothing_is_marked_while_the_error_does_not_rise(course: Course, last: float) -> None:
    course.test[4] = Score(last, 0.5)
    assert course.errors("Errors", "error").marks == ()


def test_what_a_course_is_held_to() -> None:
    rows = expect_course(
        {0: (0.7, 0.5, 0.6, 0.4), 9: (None, 0.9, None, 0.8)},
        error=printed(1, is_cut=True),
        origin="book",
        quick=(0,),
    )
    assert [row.what for row in rows][3:] == [
        "epoch 0: test accuracy",
        "epoch 9: train accuracy",
        "epoch 9: test accuracy",
    ]
    assert [row.is_quick for row in rows] == [True] * 4 + [False] * 2
    assert rows[0].is_met(0.79)
    assert not rows[0].is_met(0.69)
    assert rows[1].tolerance is equal
    assert all(row.needs_real_data for row in rows)
