"""Recipes: what counts as near enough, and how a run is compared with what is expected of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.zoo.recipe import (
    Expected,
    Outcome,
    Recipe,
    Setting,
    Tolerance,
    Value,
    at_least,
    at_most,
    compare,
    equal,
    exactly,
    printed,
    within,
)

finite = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("tolerance", "expected", "met", "missed"),
    [
        (equal, 3, [3, 3.0], [3.0000001, 2]),
        (exactly, 0.30250000000000005, [0.3025], [0.3025 + 1e-12, 0.3025 - 1e-12]),
        (exactly, 0.0, [0.0, -0.0], [1e-300]),  # relative: nothing but zero is near zero
        (at_least, 0.9, [0.9, 1.0], [0.8999999]),
        (at_most, 0.02, [0.02, -5.0], [0.0200001]),
        (within(0.5), 2, [1.5, 2.0, 2.5], [1.4999, 2.5001]),
        (printed(2), 0.12, [0.115, 0.1249, 0.125], [0.1149, 0.1251]),
        (printed(3, is_cut=True), 0.722, [0.722, 0.7229999, 0.723], [0.7219, 0.7231]),
    ],
    ids=lambda value: getattr(value, "words", None),
)
def test_tolerances(tolerance: Tolerance, expected: float, met: list[float], missed: list[float]) -> None:
    assert all(tolerance.is_met(value, expected) for value in met)
    assert not any(tolerance.is_met(value, expected) for value in (*missed, math.nan))


@given(finite, st.integers(0, 6))
def test_a_number_meets_what_is_printed_of_it(value: float, digits: int) -> None:
    assert printed(digits).is_met(value, float(f"{value:.{digits}f}"))


@given(st.floats(0, 1e3), st.integers(0, 6))
def test_a_number_meets_what_is_left_of_it_when_cut_off(value: float, digits: int) -> None:
    cut = math.floor(value * 10**digits) / 10**digits
    assert printed(digits, is_cut=True).is_met(value, cut)
    assert not printed(digits, is_cut=True).is_met(value, cut + 2 * 10.0**-digits)


@pytest.mark.parametrize("tolerance", [equal, exactly, at_least, within(1.0), printed(3)])
def test_texts_are_equal_or_not(tolerance: Tolerance) -> None:
    assert tolerance.is_met("refused", "refused")
    assert not tolerance.is_met("accepted", "refused")
    assert not tolerance.is_met(1.0, "1.0")


@pytest.mark.parametrize(
    ("value", "measured", "is_met"),
    [
        ((1.0, 2.0), (1.0, 2.0), True),
        ((1.0, 2.0), (1.0, 2.5), False),
        ((1.0, 2.0), (1.0,), False),
        ((1.0,), 1.0, False),
        (1.0, (1.0,), False),
        (("is", "to"), ("is", "to"), True),
        (("is", "to"), ("is", "the"), False),
        ((), (), True),
    ],
)
def test_several_values_are_each_held_to_the_tolerance(value: Value, measured: Value, is_met: bool) -> None:
    assert Expected("x", value, exactly, "goal").is_met(measured) is is_met


def tiny(*expected: Expected) -> Recipe:
    return Recipe(
        name="tiny",
        chapter=3,
        section="",
        summary="",
        model="",
        data="",
        settings={},
        expected=expected,
    )


def statuses(outcome: Outcome, setting: Setting) -> list[str]:
    recipe = tiny(
        Expected("always", 1.0, equal, "goal"),
        Expected("full", 1.0, equal, "goal", is_quick=False),
        Expected("real", 1.0, equal, "goal", needs_real_data=True),
    )
    return [row.status for row in compare(recipe, outcome, setting)]


def test_what_was_measured_is_met_or_missed() -> None:
    assert statuses(Outcome({"always": 1.0, "full": 1.0, "real": 2.0}), Setting()) == ["met", "met", "missed"]


def test_what_should_have_been_measured_and_was_not_is_missed() -> None:
    assert statuses(Outcome({}), Setting()) == ["missed", "missed", "missed"]


def test_a_quick_run_skips_what_is_for_full_runs() -> None:
    assert statuses(Outcome({"always": 1.0, "real": 1.0}), Setting(is_quick=True)) == ["met", "skipped", "met"]


def test_generated_data_skips_what_is_about_real_data_whatever_was_measured() -> None:
    outcome = Outcome({"always": 1.0, "full": 1.0, "real": 5.0}, is_synthetic=True)
    assert statuses(outcome, Setting()) == ["met", "met", "skipped"]
