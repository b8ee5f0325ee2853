"""Arithmetic in lanes: every power, product and sum is the one that Python's own numbers give."""

import importlib
import math
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgdl.crypto.paillier import lane_kernels
from fedgdl.crypto.paillier.lanes import MAX_MODULUS_BITS, LaneModulus, LaneTable, lanes_are_available, worth_lanes
from fedgdl.errors import CryptoError


@pytest.fixture(scope="module")
def lanes() -> None:
    if not lanes_are_available():
        pytest.skip("needs fedgdl[fast] and a processor with AVX-512 IFMA")


@pytest.fixture
def compiled_anew() -> Iterator[None]:
    lane_kernels.load_kernels.cache_clear()
    yield
    lane_kernels.load_kernels.cache_clear()


def odd_moduli(max_bits: int) -> st.SearchStrategy[int]:
    """Returns odd numbers from 3 on, of all lengths alike, the lowest and highest of a length more often."""

    def of_length(num_bits: int) -> st.SearchStrategy[int]:
        lowest, highest = 2 ** (num_bits - 1), 2**num_bits - 1
        return st.sampled_from([lowest + 1, highest]) | st.integers(lowest, highest).map(lambda number: number | 1)

    return st.integers(2, max_bits).flatmap(of_length)


def below(limit: int) -> st.SearchStrategy[int]:
    return st.sampled_from([0, 1, limit - 1]) | st.integers(0, limit - 1)


@pytest.mark.usefixtures("lanes")
@given(st.data())
@settings(max_examples=60)
def test_powers_are_those_of_python(data: st.DataObject) -> None:
    modulus = data.draw(odd_moduli(700))
    bases = data.draw(st.lists(below(modulus), max_size=20))
    exponent = data.draw(st.integers(0, 70) | st.integers(0, 2**300))
    assert LaneModulus(modulus).powers(bases, exponent) == [pow(base, exponent, modulus) for base in bases]


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("num_bits", [205, 206, 207, 414, 415, 1024, 2048, 3072, 4096, 6144])
def test_powers_where_a_block_of_limbs_is_full_and_of_the_keys_in_use(num_bits: int) -> None:
    for modulus in (2**num_bits - 1, 2 ** (num_bits - 1) + 1, 2**num_bits - 2 ** (num_bits // 2) + 1):
        bases = [0, 1, 2, modulus - 1, modulus - 2, modulus // 2, modulus // 3, 2 ** (num_bits - 1), modulus * 2 // 3]
        for exponent in (2, 3, 2**35 - 1, 2**35):
            assert LaneModulus(modulus).powers(bases, exponent) == [pow(base, exponent, modulus) for base in bases]


@pytest.mark.usefixtures("lanes")
def test_no_sum_of_limbs_overflows_with_the_longest_modulus() -> None:
    modulus = 2**MAX_MODULUS_BITS - 1
    bases = [modulus - 1, modulus - 2, modulus // 3 * 2, 2 ** (MAX_MODULUS_BITS - 1)]
    assert LaneModulus(modulus).powers(bases, 3) == [pow(base, 3, modulus) for base in bases]


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 65])
def test_a_number_has_the_same_power_in_any_company(count: int) -> None:
    modulus = 3**400
    bases = [5**k % modulus for k in range(200, 200 + count)]
    assert LaneModulus(modulus).powers(bases, 7**100) == [pow(base, 7**100, modulus) for base in bases]


@pytest.mark.usefixtures("lanes")
def test_threads_may_share_a_modulus_and_a_table() -> None:
    modulus = 3**700
    shared, table = LaneModulus(modulus), LaneTable(modulus, [([2, 3], [0, 1])] * 50, 64)
    digits = np.arange(50 * 24).reshape(50, 24) % 2

    def compute(exponent: int) -> tuple[list[int], tuple[list[int], list[int]]]:
        return shared.powers(range(2, 26), exponent), table.choose(digits)

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(compute, range(10**50, 10**50 + 16)))
    assert together == [compute(exponent) for exponent in range(10**50, 10**50 + 16)]


@pytest.mark.usefixtures("lanes")
@given(st.data())
@settings(max_examples=30)
def test_a_table_gives_the_product_and_sum_of_what_is_chosen(data: st.DataObject) -> None:
    modulus = data.draw(odd_moduli(500))
    entry_bits = data.draw(st.integers(1, 600))  # factors may be longer than the modulus
    num_rows, num_entries, count = (data.draw(st.integers(low, 9)) for low in (1, 1, 0))
    entries = st.lists(below(2**entry_bits), min_size=num_entries, max_size=num_entries)
    rows = data.draw(st.lists(st.tuples(entries, entries), min_size=num_rows, max_size=num_rows))
    digit = st.integers(0, num_entries - 1)
    digits = data.draw(st.lists(st.lists(digit, min_size=count, max_size=count), min_size=num_rows, max_size=num_rows))

    products, sums = LaneTable(modulus, iter(rows), entry_bits).choose(np.array(digits, np.int64))

    chosen = [
        [(row[0][d], row[1][d]) for row, d in zip(rows, column, strict=True)] for column in zip(*digits, strict=True)
    ]
    assert products == [math.prod(factor for factor, _ in column) % modulus for column in chosen]
    assert sums == [sum(addend for _, addend in column) for column in chosen]


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
def test_a_table_of_powers_raises_its_base(dtype: type[np.integer]) -> None:
    modulus, base = 2**600 - 2**300 - 1, 3**300
    rows = [
        ([pow(base, d << (8 * k), modulus) for d in range(256)], [d << (8 * k) for d in range(256)]) for k in range(5)
    ]
    exponents = [0, 1, 255, 256, 2**40 - 1, *(7**k for k in range(10, 14))]
    digits = np.array([[exponent >> (8 * k) & 255 for exponent in exponents] for k in range(5)], dtype)
    powers, sums = LaneTable(modulus, rows, 600).choose(digits)
    assert powers == [pow(base, exponent, modulus) for exponent in exponents]
    assert sums == exponents


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("entry_bits", [1, 195, 196, 197, 403, 404])
def test_the_most_rows_of_the_largest_entries(entry_bits: int) -> None:
    largest = 2**entry_bits - 1
    table = LaneTable(2**207 - 1, [([largest], [largest])] * 4096, entry_bits)
    products, sums = table.choose(np.zeros((4096, 1), np.uint8))
    assert products == [pow(largest, 4096, 2**207 - 1)]
    assert sums == [4096 * largest]
    assert table.num_bytes == 4096 * 2 * math.ceil((entry_bits + 12) / 208) * 4 * 8


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize(("power", "addend"), [(0, -4), (0, -1), (0, 0), (0, 1), (10, 0), (MAX_MODULUS_BITS, 1)])
def test_a_modulus_is_odd_and_not_too_long(power: int, addend: int) -> None:
    modulus = 2**power + addend
    with pytest.raises(CryptoError, match="odd, at least 3"):
        LaneModulus(modulus)
    with pytest.raises(CryptoError, match="odd, at least 3"):
        LaneTable(modulus, [([1], [1])], 8)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("base", [-1, 1009, 2**64, 2**400])
def test_a_base_is_below_the_modulus(base: int) -> None:
    with pytest.raises(CryptoError, match="not below its limit"):
        LaneModulus(1009).powers([5, base], 3)


@pytest.mark.usefixtures("lanes")
def test_an_exponent_is_not_negative() -> None:
    with pytest.raises(CryptoError, match="not negative"):
        LaneModulus(1009).powers([5], -1)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize(
    ("rows", "entry_bits"),
    [
        ([], 8),
        ([([], [])], 8),
        ([([1, 2], [1, 2]), ([1], [1])], 8),
        ([([1, 2], [1])], 8),
        ([([256], [1])], 8),
        ([([1], [256])], 8),
        ([([-1], [1])], 8),
        ([([1], [1])], 0),
        ([([1], [1])], MAX_MODULUS_BITS + 1),
        ([([1], [1])] * 4097, 8),
        ([([1] * 65537, [1] * 65537)], 8),
    ],
)
def test_a_table_is_checked(rows: list[tuple[list[int], list[int]]], entry_bits: int) -> None:
    with pytest.raises(CryptoError):
        LaneTable(1009, rows, entry_bits)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("digits", [[0, 0], [[0], [2]], [[0], [-1]], [[0]], [[0], [0], [0]], [[0], [2**32]]])
def test_no_digit_points_beside_the_table(digits: list[int]) -> None:
    with pytest.raises(CryptoError, match="needs a digit below 2"):
        LaneTable(1009, [([1, 2], [1, 2])] * 2, 8).choose(np.array(digits, np.int64))


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("dtype", [np.float64, np.bool_, np.complex128, object])
def test_digits_are_whole_numbers(dtype: type) -> None:
    """Not a number, as a digit, would pass for one below any limit."""
    with pytest.raises(CryptoError, match="needs a digit below 2"):
        LaneTable(1009, [([1, 2], [1, 2])] * 2, 8).choose(np.array([[0], [math.nan]]).astype(dtype))


@pytest.mark.usefixtures("lanes")
def test_a_modulus_may_be_a_secret() -> None:
    modulus = 10**40 + 1
    for secret in (LaneModulus(modulus), LaneTable(modulus, [([1], [1])], 8)):
        assert str(modulus) not in repr(secret)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secret)


@pytest.mark.usefixtures("compiled_anew")
def test_without_llvmlite_there_are_no_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite.ir", None)  # what Python does where a module is not to be found
    assert not lanes_are_available()
    with pytest.raises(CryptoError, match="AVX-512 IFMA"):
        LaneModulus(1009)


@pytest.mark.usefixtures("compiled_anew")
def test_without_the_instructions_there_are_no_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    binding = pytest.importorskip("llvmlite.binding", reason="needs fedgdl[fast]")
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: {"avx512f": True})
    assert not lanes_are_available()


@pytest.mark.usefixtures("lanes", "compiled_anew")
def test_where_nothing_can_be_compiled_there_are_no_lanes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: str) -> NoReturn:
        message = "LLVM IR parsing error"
        raise RuntimeError(message)

    monkeypatch.setattr(importlib.import_module("llvmlite.binding"), "parse_assembly", refuse)
    assert not lanes_are_available()
    assert "cannot be compiled here: RuntimeError('LLVM IR parsing error')" in caplog.text


def test_lanes_are_for_many_large_numbers() -> None:
    assert worth_lanes(4096, 512 * 128)
    assert worth_lanes(2048, 250_000)
    assert not worth_lanes(2048, 249_999)
    assert not worth_lanes(256, 10**9)
    assert not worth_lanes(2 * MAX_MODULUS_BITS, 10**9)


def test_nothing_is_compiled_before_it_is_needed() -> None:
    code = (
        "import sys; from fedgdl.crypto.paillier.lanes import worth_lanes; assert worth_lanes(4096, 10**6);"
        "from fedgdl.crypto.paillier.power_table import PowerTable; PowerTable(2**521 - 1, 3, 1, 2);"
        "print(sorted({'llvmlite', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
