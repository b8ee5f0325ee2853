"""Primes: those drawn are what they should be, and the sieve throws away nothing but composites."""

import secrets
from collections.abc import Callable

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from paillier_keys import RandomStream

from fedgdl.crypto.paillier.private import primes
from fedgdl.crypto.paillier.private.draws import draw_below, draw_bits, draw_unit, draw_until
from fedgdl.errors import CryptoError


def is_prime_by_division(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def test_small_numbers_are_told_apart() -> None:
    for number in range(-5, 3000):
        assert primes.is_prime(mpz(number)) == is_prime_by_division(number)


@pytest.mark.parametrize(
    "number",
    [
        561,  # the smallest Carmichael number
        3_215_031_751,  # a strong pseudoprime to the bases 2, 3, 5 and 7
        3_825_123_056_546_413_051,  # to all prime bases up to 23
        318_665_857_834_031_151_167_461,  # to all up to 37
        (2**61 - 1) * (2**89 - 1),
        (2**127 - 1) ** 2,
    ],
)
def test_pseudoprimes_are_found_out(number: int) -> None:
    """Jaeschke, "On Strong Pseudoprimes to Several Bases", 1993; Sorenson and Webster, 2015 (the last of the list)."""
    assert not primes.is_prime(mpz(number))
    assert primes.is_prime(mpz(2**127 - 1))


@given(st.integers(primes.MIN_PRIME_BITS, 300))
@settings(max_examples=30)
def test_drawn_primes_have_their_size_and_form(num_bits: int) -> None:
    prime = primes.draw_prime(num_bits, secrets.token_bytes)
    assert prime.bit_length() == num_bits
    assert prime >> (num_bits - 2) == 3
    assert prime % 4 == 3
    assert gmpy2.is_prime(prime)


@given(st.integers(primes.MIN_PRIME_BITS, 200))
@settings(max_examples=30)
def test_drawn_safe_primes_have_their_size_and_a_prime_half(num_bits: int) -> None:
    prime = primes.draw_safe_prime(num_bits, secrets.token_bytes)
    assert prime.bit_length() == num_bits
    assert prime >> (num_bits - 2) == 3
    assert prime % 12 == 11
    assert gmpy2.is_prime(prime)
    assert gmpy2.is_prime(prime // 2)


def test_the_third_bit_is_free() -> None:
    stream = RandomStream("third bit")
    for draw in (primes.draw_prime, primes.draw_safe_prime):
        assert {int(draw(64, stream) >> 61) for _ in range(30)} == {6, 7}


def test_the_same_bytes_give_the_same_primes_and_others_others() -> None:
    for draw in (primes.draw_prime, primes.draw_safe_prime):
        assert draw(64, RandomStream("one")) == draw(64, RandomStream("one")) != draw(64, RandomStream("two"))


@pytest.mark.parametrize("num_bits", [32, 40, 64])
def test_the_sieve_leaves_exactly_what_has_no_small_factor(num_bits: int) -> None:
    stream = RandomStream(f"sieve {num_bits}")
    small = [number for number in range(5, num_bits * num_bits) if is_prime_by_division(number)]
    for _ in range(5):
        first = draw_bits(num_bits, stream) | 3 << (num_bits - 2)
        first += (11 - first) % 12
        run = [int(first) + 12 * index for index in range(num_bits * num_bits // 16)]
        left = [
            index
            for index, number in enumerate(run)
            if all(number % prime and (number // 2) % prime for prime in small)
        ]
        assert primes._sieved(first).tolist() == left


def test_remainders_of_long_numbers() -> None:
    small = primes._primes_from_5(5000)
    assert small.tolist() == [number for number in range(5, 5000) if is_prime_by_division(number)]
    number = draw_bits(1536, RandomStream("long"))
    assert primes._remainders(number, small).tolist() == [int(number % prime) for prime in small.tolist()]


def test_as_many_candidates_are_tested_as_expected() -> None:
    """The number of tests is close to geometric: of 300 searches the mean is within 5 / sqrt(300) of the expected."""
    tests = 0

    def count() -> None:
        nonlocal tests
        tests += 1

    stream = RandomStream("as many as expected")
    for _ in range(300):
        primes.draw_safe_prime(96, stream, count)
    assert tests / 300 == pytest.approx(primes.expected_tests(96), rel=5 / 300**0.5)


def test_a_safe_prime_of_a_real_key_takes_about_1660_tests() -> None:
    assert primes.expected_tests(1536) == pytest.approx(1660, rel=0.01)


def test_primes_too_near_to_each_other() -> None:
    p = primes.draw_prime(512, RandomStream("near"))
    assert not primes.are_far_apart(p, p)
    assert not primes.are_far_apart(p, p + 2**411)
    assert primes.are_far_apart(p, p + 2**412)
    assert primes.are_far_apart(mpz(2**512 - 1), mpz(2**511 + 1))


@given(st.integers(1, 2**70))
def test_draws_stay_below_their_limit(limit: int) -> None:
    assert 0 <= draw_below(mpz(limit), secrets.token_bytes) < limit


def test_draws_are_uniform() -> None:
    """Chi-squared with 9 degrees of freedom exceeds 45 once in a million times; the bytes are fixed."""
    stream = RandomStream("uniform")
    counts = [0] * 10
    for _ in range(2000):
        counts[draw_below(mpz(10), stream)] += 1
    assert sum((count - 200) ** 2 / 200 for count in counts) < 45


def test_units_have_inverses() -> None:
    stream = RandomStream("units")
    assert {int(draw_unit(mpz(15), stream)) for _ in range(200)} == {1, 2, 4, 7, 8, 11, 13, 14}


@pytest.mark.parametrize("random_bytes", [bytes, lambda _: b"", lambda count: bytes(count + 1)])
def test_what_is_not_random_ends_in_an_error(random_bytes: Callable[[int], bytes]) -> None:
    """Zeros make 0xc000000000000003, which is no prime, and no search without an end."""
    with pytest.raises(CryptoError, match=r"^what should give random bytes does not$"):
        primes.draw_prime(64, random_bytes)
    with pytest.raises(CryptoError, match=r"^what should give random bytes does not$"):
        draw_unit(mpz(2**64 - 1), random_bytes)


@pytest.mark.parametrize("surplus", [-1, 1])
def test_bytes_are_as_many_as_asked_for(surplus: int) -> None:
    stream = RandomStream("surplus")
    with pytest.raises(CryptoError, match=r"^what should give random bytes does not$"):
        draw_bits(64, lambda count: stream(count + surplus))


def test_a_search_ends() -> None:
    with pytest.raises(CryptoError, match="random"):
        draw_until(lambda _: False, lambda: mpz(1), max_draws=3)
    # From 2^64 - 1 on there are only longer numbers.
    with pytest.raises(CryptoError, match="random"):
        primes.draw_safe_prime(64, lambda count: b"\xff" * count)
