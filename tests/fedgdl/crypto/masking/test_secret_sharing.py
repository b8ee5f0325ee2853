"""Secret sharing: any threshold of shares restores a secret, fewer leave every secret possible."""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import load_vectors

from fedgdl.crypto.masking import combine, split
from fedgdl.errors import CryptoError

PRIME = 2**256 + 297
CASES = load_vectors("secret_sharing.json")["cases"]

secrets_of_32_bytes = st.binary(min_size=32, max_size=32) | st.sampled_from([bytes(32), b"\xff" * 32])
sizes = st.integers(1, 12).flatmap(lambda num_shares: st.tuples(st.integers(1, num_shares), st.just(num_shares)))


def random_bytes_of(label: str) -> Callable[[int], bytes]:
    return lambda count: hashlib.shake_256(label.encode()).digest(count)


def value_at(points: dict[int, int], x: int) -> int:
    """Lagrange's interpolation as in a textbook."""
    total = 0
    for own, value in points.items():
        numerator = denominator = 1
        for other in points:
            if other != own:
                numerator = numerator * (x - other) % PRIME
                denominator = denominator * (own - other) % PRIME
        total += value * numerator * pow(denominator, -1, PRIME)
    return total % PRIME


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["label"])
def test_shares_stay_what_they_are(case: dict[str, Any]) -> None:
    secret = bytes.fromhex(case["secret"])
    shares = split(secret, case["threshold"], case["num_shares"], random_bytes_of(case["label"]))
    if "shares" in case:
        assert [share.hex() for share in shares] == case["shares"]
    else:
        assert hashlib.sha256(b"".join(shares)).hexdigest() == case["sha256_of_shares"]
    assert combine({x: shares[x - 1] for x in range(1, case["threshold"] + 1)}) == secret


@given(secrets_of_32_bytes, sizes, st.data())
def test_any_threshold_of_shares_restores_the_secret(secret: bytes, size: tuple[int, int], data: st.DataObject) -> None:
    threshold, num_shares = size
    shares = split(secret, threshold, num_shares)
    assert len(shares) == num_shares
    assert {len(share) for share in shares} == {33}
    xs = data.draw(st.permutations(range(1, num_shares + 1)))
    num_given = data.draw(st.integers(threshold, num_shares))
    assert combine({x: shares[x - 1] for x in xs[:num_given]}) == secret


@given(secrets_of_32_bytes, secrets_of_32_bytes, sizes, st.data())
def test_one_share_fewer_leaves_every_secret_possible(
    secret: bytes, candidate: bytes, size: tuple[int, int], data: st.DataObject
) -> None:
    threshold, num_shares = size
    shares = split(secret, threshold, num_shares)
    xs = data.draw(st.permutations(range(1, num_shares + 1)))
    known = {x: shares[x - 1] for x in xs[: threshold - 1]}
    # The known shares and the candidate as the value at 0 determine a polynomial of the right degree: what would have
    # been the one missing share gives the candidate, and each candidate has exactly one such share.
    points = {0: int.from_bytes(candidate)} | {x: int.from_bytes(share) for x, share in known.items()}
    missing = value_at(points, xs[threshold - 1])
    assert combine(known | {xs[threshold - 1]: missing.to_bytes(33)}) == candidate


def test_too_few_shares_give_something_else() -> None:
    secret = bytes(range(32))
    shares = split(secret, 3, 5, random_bytes_of("a"))
    assert combine({1: shares[0], 2: shares[1]}) != secret


def test_one_share_is_uniform_whatever_the_secret() -> None:
    draws = np.random.default_rng(7).bytes(40 * 8000)
    source = iter(range(0, len(draws), 40))
    shares = [
        split(b"\xff" * 32, 2, 2, lambda count: draws[(start := next(source)) : start + count]) for _ in range(8000)
    ]
    for x in range(2):
        cells = Counter(int.from_bytes(share[x]) * 16 // PRIME for share in shares)
        # Chi-square of 16 cells, 500 expected in each: above 61 less than once in a million (15 degrees of freedom).
        assert sum((cells[cell] - 500) ** 2 / 500 for cell in range(16)) < 61


@given(secrets_of_32_bytes, secrets_of_32_bytes, st.integers(1, 9))
def test_sums_of_shares_are_shares_of_the_sum(first: bytes, second: bytes, threshold: int) -> None:
    total = int.from_bytes(first) + int.from_bytes(second)
    summed = {
        x: ((int.from_bytes(one) + int.from_bytes(other)) % PRIME).to_bytes(33)
        for x, (one, other) in enumerate(zip(split(first, threshold, 9), split(second, threshold, 9), strict=True), 1)
    }
    if total % PRIME < 2**256:
        assert combine(summed) == (total % PRIME).to_bytes(32)
    else:
        with pytest.raises(CryptoError):
            combine(summed)


@pytest.mark.parametrize(("threshold", "num_shares"), [(1, 1), (1, 40), (2, 2), (16, 31), (17, 32), (40, 40), (9, 100)])
def test_shares_are_the_values_of_the_drawn_polynomial(threshold: int, num_shares: int) -> None:
    drawn = random_bytes_of("polynomial")(40 * (threshold - 1))
    secret = b"\xfe" * 32
    coefficients = [int.from_bytes(secret)]
    coefficients += [int.from_bytes(drawn[start : start + 40]) % PRIME for start in range(0, len(drawn), 40)]
    expected = [sum(a * x**power for power, a in enumerate(coefficients)) % PRIME for x in range(1, num_shares + 1)]
    found = split(secret, threshold, num_shares, random_bytes_of("polynomial"))
    assert [int.from_bytes(share) for share in found] == expected


@pytest.mark.parametrize("coefficient", [0, PRIME - 1])
def test_extreme_coefficients_do_not_spill(coefficient: int) -> None:
    draw = (2**320 // PRIME - 1) * PRIME + coefficient  # of 40 bytes, and not refused
    shares = split(b"\xff" * 32, 30, 64, lambda count: draw.to_bytes(40) * (count // 40))
    values = [(2**256 - 1 + sum(coefficient * x**power for power in range(1, 30))) % PRIME for x in range(1, 65)]
    assert [int.from_bytes(share) for share in shares] == values


def test_every_splitting_draws_anew() -> None:
    assert len({split(bytes(32), 2, 2) for _ in range(20)}) == 20


def test_a_draw_that_would_favour_small_numbers_is_drawn_again() -> None:
    limit = 2**320 // PRIME * PRIME
    good = (5).to_bytes(40)
    answers = iter([good + limit.to_bytes(40), good])
    assert split(bytes(32), 3, 4, lambda _: next(answers)) == split(bytes(32), 3, 4, lambda count: good * (count // 40))
    below = (limit - 1).to_bytes(40)
    assert int.from_bytes(split(bytes(32), 2, 2, lambda _: below)[0]) == PRIME - 1


@pytest.mark.parametrize("source", [lambda count: b"\xff" * count, lambda count: bytes(count - 1), lambda _: b""])
def test_a_source_of_random_bytes_that_is_none_is_refused(source: Callable[[int], bytes]) -> None:
    with pytest.raises(CryptoError, match="random bytes"):
        split(bytes(32), 3, 4, source)


@pytest.mark.parametrize(("threshold", "num_shares"), [(0, 3), (-1, 3), (4, 3), (1, 0), (0, 0)])
def test_impossible_thresholds_are_refused(threshold: int, num_shares: int) -> None:
    with pytest.raises(CryptoError, match="threshold"):
        split(bytes(32), threshold, num_shares)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_secrets_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(CryptoError, match="32 bytes"):
        split(bytes(length), 2, 3)


GOOD = (7).to_bytes(33)


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {0: GOOD},
        {0: GOOD, 1: GOOD},
        {-1: GOOD, 1: GOOD},
        {PRIME: GOOD},
        {1: GOOD, PRIME + 1: GOOD},  # the same x modulo the prime
        {1: GOOD[:-1]},
        {1: GOOD + b"\0"},
        {1: b""},
        {1: GOOD, 2: PRIME.to_bytes(33)},
        {1: b"\xff" * 33},
        {1: (2**256).to_bytes(33)},  # a value, but no 32 bytes
        {1: (PRIME - 1).to_bytes(33)},
    ],
    ids=lambda shares: "-".join(map(str, shares))[:20] or "none",
)
def test_what_is_no_share_is_refused_without_saying_why(shares: dict[int, bytes]) -> None:
    with pytest.raises(CryptoError) as caught:
        combine(shares)
    assert str(caught.value) == "the shares determine no secret"


def test_the_largest_x_and_value_are_shares() -> None:
    # A constant polynomial has its value everywhere.
    assert combine({1: GOOD, PRIME - 1: GOOD}) == (7).to_bytes(32)
