"""Operations are measured: with a clock of the test's own, and in earnest."""

import itertools
from collections.abc import Callable
from typing import get_args

import pytest

from experiments.paillier_costs import Operation, cost_here, measure
from fedgdl.crypto.paillier.lanes import lanes_are_available

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
IN_GMPY = [operation for operation in OPERATIONS if "lane" not in operation]


def ticking() -> Callable[[], float]:
    """Returns a clock that moves a millisecond whenever it is looked at."""
    ticks = itertools.count()
    return lambda: next(ticks) / 1000


@pytest.mark.parametrize(
    ("operation", "parts"), [("product", 64), ("half product", 64), ("power bit", 16 * 512), ("test bit", 512)]
)
def test_the_seconds_of_a_call_are_shared_among_all_that_was_done(operation: Operation, parts: int) -> None:
    assert measure(operation, 256, clock=ticking()) == pytest.approx(0.001 / parts)


def test_an_entry_is_its_share_of_a_table_and_rows_that_cost_nothing_cost_nothing() -> None:
    assert measure("entry", 256, clock=ticking()) == pytest.approx(0.001 / (6 * 256))
    assert measure("row", 256, clock=ticking()) < 1e-15  # a call with more rows takes a millisecond, too
    assert measure("obfuscator", 256, clock=ticking()) == pytest.approx(0.001 / 64)


@pytest.mark.parametrize("operation", IN_GMPY)
def test_every_operation_can_be_measured_and_takes_some_time_but_not_long(operation: Operation) -> None:
    assert 0 <= measure(operation, 512) < 0.001


def test_longer_numbers_take_longer() -> None:
    for operation in ("product", "half product", "power bit", "test bit"):
        assert measure(operation, 4096) > 3 * measure(operation, 512)  # type: ignore[arg-type]
    assert measure("half power bit", 2048) < measure("power bit", 2048)


def test_what_was_measured_once_is_not_measured_again() -> None:
    assert cost_here("product", 512) == cost_here("product", 512)


@pytest.mark.parametrize("operation", ["lane power bit", "half lane power bit"])
def test_lanes_are_measured_where_there_are_some(operation: Operation) -> None:
    if not lanes_are_available():
        pytest.skip("this processor has no lanes")
    assert 0 < measure(operation, 2048) < measure(operation.replace("lane ", ""), 2048)  # type: ignore[arg-type]
