"""Obfuscators: powers from a table against plain powers, n-th powers they all are, and randomness that is none."""

import math
import secrets
from collections.abc import Callable

import gmpy2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_paillier import small_key

from fedgdl.crypto.paillier import (
    Obfuscators,
    PaillierPublicKey,
    TableObfuscators,
    TextbookObfuscators,
    make_obfuscators,
    obfuscators,
    power_table,
)
from fedgdl.errors import CryptoError


class Recorded:
    """Random bytes that are remembered."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, count: int) -> bytes:
        self.asked.append(secrets.token_bytes(count))
        return self.asked[-1]


def exponents(key: PaillierPublicKey, window_bits: int, data: bytes, count: int) -> list[int]:
    """Returns the exponents that random bytes stand for: a byte, or two, for each digit, the lowest digits first."""
    num_digits = 2 * math.ceil(key.num_bits / (4 * window_bits))
    digits = np.frombuffer(data, np.uint8 if window_bits <= 8 else "<u2").reshape(num_digits, count)
    weights = [2 ** (window_bits * place) for place in range(num_digits)]
    return [
        sum(weight * (int(digit) % 2**window_bits) for weight, digit in zip(weights, column, strict=True))
        for column in digits.T
    ]


@pytest.fixture(params=["lanes", "no lanes"])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has a test run with lanes, where there are any, and without."""
    if request.param == "lanes":
        monkeypatch.setattr(power_table, "_MIN_LANE_BITS", 1)
        return
    for module in (obfuscators, power_table):
        monkeypatch.setattr(module, "lanes_are_available", lambda: False)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("num_bits", [21, 128, 256])
@pytest.mark.parametrize("window_bits", [1, 2, 5, 8, 9, 12])
def test_a_table_gives_plain_powers(num_bits: int, window_bits: int) -> None:
    key, random_bytes = small_key(num_bits).public_key, Recorded()
    assert key.hs is not None
    source = TableObfuscators(key, window_bits, random_bytes)
    for count in (1, 2, 7):
        drawn = source.draw(count)
        chosen = exponents(key, window_bits, random_bytes.asked[-1], count)
        assert drawn == [pow(int(key.hs), exponent, int(key.n_squared)) for exponent in chosen]


def test_any_exponent_is_right() -> None:
    key, given_bytes = small_key().public_key, bytearray(8)
    source = TableObfuscators(key, random_bytes=lambda _: bytes(given_bytes))

    @given(st.binary(min_size=8, max_size=8) | st.sampled_from([bytes(8), b"\xff" * 8, b"\1" + bytes(7)]))
    def check(digits: bytes) -> None:
        given_bytes[:] = digits
        assert source.draw(1) == [gmpy2.powmod(key.hs, int.from_bytes(digits, "little"), key.n_squared)]

    check()


@pytest.mark.parametrize("num_bits", [128, 256, 512])
@pytest.mark.parametrize("make", [TableObfuscators, TextbookObfuscators, make_obfuscators])
def test_obfuscators_are_powers_that_decrypt_to_0(
    make: Callable[[PaillierPublicKey], Obfuscators], num_bits: int
) -> None:
    key = small_key(num_bits)
    source = make(key.public_key)
    drawn = source.draw(10)
    assert source.public_key is key.public_key
    assert len(set(drawn)) == 10
    assert all(0 < obfuscator < key.public_key.n_squared for obfuscator in drawn)
    assert key.open_all(drawn) == [0] * 10
    assert source.draw(0) == []


def test_a_textbook_power_is_of_the_random_number() -> None:
    key, random_bytes = small_key(scheme="textbook").public_key, Recorded()
    drawn = TextbookObfuscators(key, random_bytes).draw(20)
    bases = [int.from_bytes(data) for data in random_bytes.asked if 0 < int.from_bytes(data) < key.n]
    assert drawn == [pow(base, int(key.n), int(key.n_squared)) for base in bases]


@pytest.mark.usefixtures("lanes")
def test_many_textbook_powers_are_those_of_the_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obfuscators, "worth_lanes", lambda *_: True)
    key, random_bytes = small_key(256, "textbook").public_key, Recorded()
    drawn = TextbookObfuscators(key, random_bytes).draw(20)
    bases = [int.from_bytes(data) for data in random_bytes.asked if 0 < int.from_bytes(data) < key.n]
    assert drawn == [pow(base, int(key.n), int(key.n_squared)) for base in bases]


def test_a_textbook_base_is_below_n_and_has_no_factor_in_common_with_it() -> None:
    key = small_key(21, "textbook")
    n, n_squared = int(key.public_key.n), int(key.public_key.n_squared)
    # 21 bits are three bytes: what is above them is dropped, then n itself, 0 and p are passed over.
    numbers = iter([n, 0, key.p, 2 * key.q, 5 + 2**21, 7 + 2**22, n - 1])
    source = TextbookObfuscators(key.public_key, lambda count: next(numbers).to_bytes(count))
    assert source.draw(3) == [pow(base, n, n_squared) for base in (5, 7, n - 1)]


def test_the_scheme_of_the_key_decides() -> None:
    assert isinstance(make_obfuscators(small_key().public_key), TableObfuscators)
    assert isinstance(make_obfuscators(small_key(scheme="textbook").public_key), TextbookObfuscators)


@pytest.mark.parametrize("window_bits", [-1, 0, 13])
def test_windows_out_of_range_are_refused(window_bits: int) -> None:
    with pytest.raises(CryptoError, match="1 to 12 bits"):
        TableObfuscators(small_key().public_key, window_bits)


def test_a_table_needs_a_base() -> None:
    with pytest.raises(CryptoError, match="scheme djn"):
        TableObfuscators(small_key(scheme="textbook").public_key)


@pytest.mark.parametrize("source", [TableObfuscators, TextbookObfuscators])
@pytest.mark.parametrize("surplus", [-16, -1, 1])
def test_too_few_or_too_many_random_bytes_are_refused(
    source: type[TableObfuscators | TextbookObfuscators], surplus: int
) -> None:
    with pytest.raises(CryptoError, match="not random"):
        source(small_key().public_key, random_bytes=lambda count: b"\5" * max(0, count + surplus)).draw(1)


def test_random_bytes_that_are_always_0_are_refused() -> None:
    with pytest.raises(CryptoError, match="not random"):
        TextbookObfuscators(small_key().public_key, bytes).draw(1)


@pytest.mark.usefixtures("lanes")
def test_a_table_tells_its_memory() -> None:
    key = small_key(512).public_key
    small, large = (TableObfuscators(key, window_bits).num_bytes for window_bits in (4, 8))
    num_numbers = 2 * 64 * 2**4  # two for each of 16 digits in each of 64 windows
    assert num_numbers * 512 // 8 < small < 3 * num_numbers * 512 // 8
    assert 7 < large / small < 9
