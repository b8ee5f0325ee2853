"""The checks pass right masks and find wrong ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from experiments.audit.checks import VectorChecks
from experiments.audit.tallies import Check

SIZE = 3_000
NUM_CLIENTS = 4

Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Of:
    """Whose mask is wanted: of which client in which round, and where it takes its randomness."""

    rng: np.random.Generator
    round_index: int
    client: int


Masks = Callable[[Of], Words]
"""A mask of 24 bits a word."""


def truth_of(round_index: int, client: int) -> Words:
    """An encoded update: a few thousand codes near the middle of 16 bits, as those of real updates are."""
    rng = np.random.default_rng([round_index, client])
    return (32_767 + rng.normal(scale=900, size=SIZE)).astype(np.uint32)


def right(of: Of) -> Words:
    return draw(of.rng, 24)


def draw(rng: np.random.Generator, bits: int) -> Words:
    return rng.integers(0, 2**bits, SIZE, dtype=np.uint32)


def checks_of(masks: Masks, seed: int = 1, rounds: int = 2) -> dict[str, Check]:
    checks, rng = VectorChecks(3), np.random.default_rng(seed)
    for round_index in range(1, rounds + 1):
        for client in range(NUM_CLIENTS):
            truth = truth_of(round_index, client)
            words = (truth + masks(Of(rng, round_index, client))) % 2**24
            checks.add(round_index, f"client {client}", words.astype(np.uint32), truth)
    return {check.name: check for check in checks.results()}


def alarms(checks: dict[str, Check]) -> set[str]:
    assert all(check.is_alarm is not None for check in checks.values())
    return {name for name, check in checks.items() if check.is_alarm}


def test_right_masks_raise_no_alarm() -> None:
    """Each of 100 runs raises one with a probability of one in a million."""
    for seed in range(100):
        assert alarms(checks_of(right, seed=seed, rounds=1)) == set()


def test_p_values_of_right_masks_are_those_of_chance() -> None:
    """Each is below 1 % with a probability of at most 1 %: 18 of 360 are one chance in ten million (binomial)."""
    p_values = [check.p_value for seed in range(60) for check in checks_of(right, seed=seed, rounds=1).values()]
    assert len(p_values) == 360
    assert sum(p_value is not None and p_value < 0.01 for p_value in p_values) < 18


def none(_of: Of) -> Words:
    return np.zeros(SIZE, np.uint32)


def too_narrow(of: Of) -> Words:
    return draw(of.rng, 16)


def never_odd(of: Of) -> Words:
    return right(of) & np.uint32(0xFFFFFE)


def same_for_two(of: Of) -> Words:
    return draw(np.random.default_rng([of.round_index, min(of.client, NUM_CLIENTS - 2)]), 24)


def same_each_round(of: Of) -> Words:
    return draw(np.random.default_rng(of.client), 24)


def opposite(of: Of) -> Words:
    """Pair masks without masks of their own: the second of each pair subtracts what the first one adds."""
    mask = draw(np.random.default_rng([of.round_index, of.client // 2]), 24)
    return mask if of.client % 2 == 0 else (2**24 - mask) % np.uint32(2**24)


def repeated(of: Of) -> Words:
    return np.resize(right(of)[:16], SIZE)


def slow(of: Of) -> Words:
    """Uniform, but each element lies near the one before."""
    steps = draw(of.rng, 18).astype(np.int64)
    return ((of.rng.integers(0, 2**24) + np.cumsum(steps)) % 2**24).astype(np.uint32)


def left_out_at_times(of: Of) -> Words:
    return none(of) if (of.round_index, of.client) == (2, 1) else right(of)


@pytest.mark.parametrize(
    ("masks", "finds"),
    [
        (none, "bytes"),
        (none, "distribution"),
        (none, "correlation with the true update"),
        (too_narrow, "distribution"),
        (never_odd, "masks"),
        (none, "masks"),
        (too_narrow, "masks"),
        (repeated, "masks"),
        (same_for_two, "correlation between vectors"),
        (same_each_round, "correlation between vectors"),
        (opposite, "correlation between vectors"),
        (repeated, "bytes"),
        (slow, "serial correlation"),
        (left_out_at_times, "correlation with the true update"),
        (left_out_at_times, "bytes"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_wrong_masks_raise_an_alarm(masks: Masks, finds: str) -> None:
    check = checks_of(masks)[finds]
    assert check.is_alarm
    assert check.p_value is not None
    assert check.p_value < 1e-9


def test_without_masks_the_correlation_is_one() -> None:
    checks = VectorChecks(3)
    truth = truth_of(1, 0)
    checks.add(1, "alice", truth, truth)
    assert [entry.value for entry in checks.correlations] == [pytest.approx(1)]


def test_a_leak_too_small_for_one_vector_shows_in_many() -> None:
    """A tenth of a standard deviation of each element is the update's."""
    checks, rng = VectorChecks(4), np.random.default_rng(5)
    for client in range(200):
        truth = truth_of(1, client)
        noise = rng.normal(size=SIZE) * 900 * 14
        checks.add(1, f"client {client}", (2**31 + noise + truth).astype(np.uint32), truth)
    largest = max(abs(entry.value) for entry in checks.correlations)
    check = {check.name: check for check in checks.results()}["correlation with the true update"]
    assert largest * np.sqrt(SIZE) < 8  # of a single one, nothing to be sure of
    assert check.is_alarm


def test_with_few_elements_nothing_is_claimed() -> None:
    checks, rng = VectorChecks(3), np.random.default_rng(1)
    for client_id in ("alice", "bob"):
        words = rng.integers(0, 2**24, 8, dtype=np.uint32)
        checks.add(1, client_id, words, words)
    assert {check.is_alarm for check in checks.results()} == {None}


def test_many_short_vectors_are_tested_together() -> None:
    rng, right_ones, wrong_ones = np.random.default_rng(1), VectorChecks(3), VectorChecks(3)
    for client in range(500):
        truth = truth_of(1, client)[:9]
        right_ones.add(1, f"{client}", (truth + rng.integers(0, 2**24, 9, dtype=np.uint32)) % np.uint32(2**24), truth)
        wrong_ones.add(1, f"{client}", truth, truth)
    assert {check.name for check in right_ones.results() if check.is_alarm} == set()
    found = {check.name: check.is_alarm for check in wrong_ones.results()}
    assert found["bytes"]
    assert found["masks"]
    assert found["correlation with the true update"]
    assert found["correlation between vectors"] is None


def test_without_vectors_nothing_is_claimed() -> None:
    assert {check.is_alarm for check in VectorChecks(4).results()} == {None}


def test_constant_vectors_raise_an_alarm_and_no_error() -> None:
    checks = VectorChecks(4)
    for client_id in ("alice", "bob"):
        checks.add(1, client_id, np.full(SIZE, 7, np.uint32), truth_of(1, 1))
    found = {check.name: check.is_alarm for check in checks.results()}
    assert found["bytes"]
    assert found["distribution"]
    assert found["correlation with the true update"] is None


def test_the_truth_may_be_unknown() -> None:
    checks = VectorChecks(3)
    checks.add(1, "alice", draw(np.random.default_rng(1), 24), None)
    found = {check.name: check.is_alarm for check in checks.results()}
    assert found["correlation with the true update"] is None
    assert found["bytes"] is False
