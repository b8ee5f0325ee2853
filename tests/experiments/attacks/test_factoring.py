"""Moduli are taken apart, and what is no modulus is refused."""

import gmpy2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.attacks.factoring import MAX_BITS, MIN_BITS, factor
from fedgdl.errors import CryptoError
from fedgdl.progress import watched_by


def modulus(num_bits: int, rng: np.random.Generator) -> tuple[int, int]:
    """Returns two different primes of half as many bits, whose product has exactly so many."""
    half = num_bits // 2
    while True:
        draws = (int.from_bytes(rng.bytes(16)) % 2 ** (half - 1) + 2 ** (half - 1) for _ in range(2))
        p, q = sorted(int(gmpy2.next_prime(draw)) for draw in draws)
        if p != q and (p * q).bit_length() == num_bits:
            return p, q


@pytest.mark.parametrize("num_bits", [48, 52, 64, 80, 96, 112])
def test_the_factors_of_a_modulus_are_found(num_bits: int) -> None:
    rng = np.random.default_rng(num_bits)
    p, q = modulus(num_bits, rng)
    assert factor(p * q, rng) == (p, q)


def test_the_book_s_size_takes_no_time() -> None:
    p, q = modulus(128, np.random.default_rng(1))
    assert factor(p * q, np.random.default_rng(1)) == (p, q)


@pytest.mark.slow
@pytest.mark.parametrize("num_bits", [128, 144, 160])
def test_larger_moduli_are_only_slower(num_bits: int) -> None:
    rng = np.random.default_rng(num_bits)
    for _ in range(3 if num_bits == 128 else 1):
        p, q = modulus(num_bits, rng)
        assert factor(p * q, rng) == (p, q)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_any_seed_finds_the_same_factors(number_seed: int, seed: int) -> None:
    p, q = modulus(56, np.random.default_rng(number_seed))
    assert factor(p * q, np.random.default_rng(seed)) == (p, q)


def test_factors_need_not_be_of_one_size() -> None:
    p, q = int(gmpy2.next_prime(200_000)), int(gmpy2.next_prime(2**60))
    assert factor(p * q, np.random.default_rng(1)) == (p, q)


def test_more_than_two_factors_are_split_somewhere() -> None:
    primes = [int(gmpy2.next_prime(2**20 * k)) for k in (1, 2, 3)]
    number = primes[0] * primes[1] * primes[2]
    p, q = factor(number, np.random.default_rng(1))
    assert p * q == number
    assert 1 < p <= q


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (2 ** (MIN_BITS - 1) - 1, "bits are taken apart, this one has 47"),
        (2**MAX_BITS + 1, "bits are taken apart, this one has 201"),
        (2**61 - 1, "is a prime, a power"),
        ((2**31 - 1) ** 2, "is a prime, a power"),
        (3 * (2**61 - 1), "small factor"),
        (2**64, "small factor"),
    ],
)
def test_what_is_no_modulus_is_refused(number: int, message: str) -> None:
    with pytest.raises(CryptoError, match=message):
        factor(number, np.random.default_rng(1))


def test_whoever_watches_sees_how_far_it_is() -> None:
    seen: list[tuple[str, int, int]] = []
    p, q = modulus(64, np.random.default_rng(1))
    with watched_by(lambda *step: seen.append(step)):
        factor(p * q, np.random.default_rng(1))
    assert {what for what, _, _ in seen} == {"factoring 64 bits"}
    total = seen[0][2]
    assert [done for _, done, _ in seen[: total + 1]] == list(range(total + 1))
