import threading

import numpy as np
import pytest

from experiments.benchmarks.measure import Timing, peak_bytes, peak_bytes_from_scratch, take_paced_turns, take_turns


def test_sides_take_turns_and_their_first_steps_are_not_timed() -> None:
    calls: list[tuple[str, int]] = []
    seconds = take_turns(
        {"a": lambda index: calls.append(("a", index)), "b": lambda index: calls.append(("b", index))},
        repeats=3,
        burst=2,
    )
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}
    # One settling step and two timed ones each; then one of each.
    first = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("b", 2)]
    assert calls == [*first, ("a", 3), ("a", 4), ("b", 3), ("b", 4)]


@pytest.mark.parametrize(("repeats", "expected"), [(5, 5), (None, 2_000)])
def test_quick_steps_are_repeated_as_often_as_wanted_or_as_allowed(repeats: int | None, expected: int) -> None:
    seconds = take_paced_turns({"a": lambda _: None, "b": lambda _: None}, repeats, seconds=60)
    assert {name: len(times) for name, times in seconds.items()} == {"a": expected, "b": expected}


def test_a_timing_is_the_median_and_the_tenth_part() -> None:
    assert Timing.of([step * 1e-6 for step in range(100, 0, -1)]) == Timing(
        median_us=pytest.approx(50.5), tenth_us=pytest.approx(11)
    )
    assert Timing.of([2e-6]) == Timing(median_us=pytest.approx(2), tenth_us=pytest.approx(2))


def test_peak_memory_counts_what_is_held_at_once() -> None:
    def step() -> None:
        for _ in range(3):
            np.ones(1_000_000, np.uint8)  # freed before the next

    assert 1_000_000 <= peak_bytes(step) < 1_100_000


def test_peak_memory_from_scratch_counts_what_is_kept_but_not_what_making_took() -> None:
    threads = []

    def make() -> object:
        np.ones(5_000_000, np.uint8)
        kept = np.ones(1_000_000, np.uint8)

        def step(index: int) -> int:
            threads.append(threading.current_thread())
            return int(kept[index] + np.ones(500_000, np.uint8)[index])

        return step

    assert 1_500_000 <= peak_bytes_from_scratch(make, 2) < 1_600_000
    assert len(threads) == 2
    assert threading.current_thread() not in threads


def test_an_error_in_a_step_comes_out() -> None:
    def fail(index: int) -> None:
        message = f"step {index}"
        raise ValueError(message)

    with pytest.raises(ValueError, match="step 0"):
        peak_bytes_from_scratch(lambda: fail, 2)
