"""Packing: what is laid out where, sums of packed vectors, and everything that is no such sum."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgdl.crypto.paillier import Packing, packing
from fedgdl.errors import CryptoError

NO_SUM = "the plaintexts are no sum of packed vectors"


@st.composite
def packings(draw: st.DrawFn, max_bits: int = 40) -> Packing:
    sum_bits = draw(st.integers(2, max_bits))
    plaintext_bits = draw(st.integers(sum_bits + 1, 6 * sum_bits + 100))
    return Packing(draw(st.integers(1, 40)), sum_bits, plaintext_bits)


def slow_pack(values: list[int], layout: Packing) -> list[int]:
    """Packs as the module describes it, one value after the other."""
    plaintexts = [0] * layout.num_plaintexts
    for index, value in enumerate(values):
        plaintext, slot = divmod(index, layout.slots_per_plaintext)
        plaintexts[plaintext] += value * 2 ** (slot * layout.slot_bits)
    return plaintexts


def vectors_of(layout: Packing, largest: int) -> st.SearchStrategy[list[int]]:
    values = st.integers(0, largest) | st.sampled_from([0, largest])
    return st.lists(values, min_size=layout.size, max_size=layout.size)


def dtypes_for(layout: Packing) -> list[npt.DTypeLike]:
    return [np.uint32, np.uint64] if layout.sum_bits <= 32 else [np.uint64]


@settings(max_examples=60)
@given(packings(63), st.data())
def test_a_vector_is_laid_out_as_described_and_comes_back(layout: Packing, data: st.DataObject) -> None:
    values = data.draw(vectors_of(layout, 2**layout.sum_bits - 1))
    for dtype in dtypes_for(layout):
        plaintexts = layout.pack(np.array(values, dtype))
        assert plaintexts == slow_pack(values, layout)
        assert all(plaintext < 2**layout.plaintext_bits for plaintext in plaintexts)
        vector = layout.unpack(plaintexts, dtype)
        assert vector.dtype == dtype
        assert vector.tolist() == values


@settings(max_examples=60)
@given(packings(), st.integers(1, 12), st.integers(0, 2**32))
def test_the_sum_of_packed_vectors_is_the_packed_sum(layout: Packing, cohort: int, seed: int) -> None:
    rng, largest = np.random.default_rng(seed), (2**layout.sum_bits - 1) // cohort
    values = rng.integers(0, largest, (cohort, layout.size), endpoint=True)
    is_extreme, is_largest = rng.integers(0, 2, (2, *values.shape))
    vectors = np.where(is_extreme, is_largest * largest, values).tolist()
    packed = [layout.pack(np.array(vector, np.uint64)) for vector in vectors]
    totals = [sum(column) for column in zip(*packed, strict=True)]
    assert layout.unpack(totals, np.uint64).tolist() == [sum(values) for values in zip(*vectors, strict=True)]


@pytest.mark.parametrize("cohort", [1, 3, 100])
@pytest.mark.parametrize("code_bits", [2, 8, 16, 32])
def test_a_cohort_at_the_limit_fits_and_one_above_is_refused(code_bits: int, cohort: int) -> None:
    limit = cohort * (2**code_bits - 1)
    layout = Packing(7, limit.bit_length(), 127)
    largest = 2**layout.sum_bits - 1
    full = layout.pack(np.full(7, 2**code_bits - 1, np.uint64))
    assert layout.unpack([cohort * plaintext for plaintext in full], np.uint64).tolist() == [limit] * 7
    at_limit = layout.pack(np.full(7, largest, np.uint64))
    assert layout.unpack(at_limit, np.uint64).tolist() == [largest] * 7
    for index in range(7):
        above = np.zeros(7, np.uint64)
        above[index] = largest + 1
        with pytest.raises(CryptoError, match="expected 7 values"):
            layout.pack(above)
        one_more = layout.pack(np.where(np.arange(7) == index, 1, 0).astype(np.uint64))
        sums = [sum(pair) for pair in zip(at_limit, one_more, strict=True)]
        with pytest.raises(CryptoError) as raised:
            layout.unpack(sums, np.uint64)
        assert str(raised.value) == NO_SUM


@given(packings(63), st.data())
def test_every_bit_that_may_not_be_set_is_refused(layout: Packing, data: st.DataObject) -> None:
    values = data.draw(vectors_of(layout, 2**layout.sum_bits - 1))
    plaintexts = slow_pack(values, layout)
    plaintext = data.draw(st.integers(0, layout.num_plaintexts - 1))
    bit = data.draw(st.integers(0, layout.plaintext_bits + 70))
    slot, place = divmod(bit, layout.slot_bits)
    is_a_value = slot < layout.slots_per_plaintext and place < layout.sum_bits
    is_allowed = is_a_value and plaintext * layout.slots_per_plaintext + slot < layout.size
    plaintexts[plaintext] |= 1 << bit
    if is_allowed:
        assert slow_pack(layout.unpack(plaintexts, np.uint64).tolist(), layout) == plaintexts
    else:
        require_no_sum(layout, plaintexts)


@given(packings(), st.data())
def test_any_whole_numbers_are_a_sum_or_are_refused(layout: Packing, data: st.DataObject) -> None:
    numbers = st.integers(-1, 2**layout.plaintext_bits)
    plaintexts = data.draw(st.lists(numbers, max_size=layout.num_plaintexts + 1))
    try:
        vector = layout.unpack(plaintexts, np.uint64)
    except CryptoError as error:
        assert str(error) == NO_SUM  # noqa: PT017 - most numbers are refused, and some are not
    else:
        assert slow_pack(vector.tolist(), layout) == plaintexts


@pytest.mark.parametrize("plaintexts", [[], [0, 0], [0, 0, 0, 0], [0, -1, 0], [0, 0, 2**200], [0, 0, 2**24]])
def test_other_numbers_of_plaintexts_or_larger_ones_are_refused(plaintexts: list[int]) -> None:
    layout = Packing(10, 7, 32)  # 4 slots, 4 slots, 2 slots
    assert not layout.unpack([mpz(0)] * 3, np.uint32).any()
    require_no_sum(layout, plaintexts)


def require_no_sum(layout: Packing, plaintexts: list[int]) -> None:
    with pytest.raises(CryptoError) as raised:
        layout.unpack(plaintexts, np.uint64)
    assert str(raised.value) == NO_SUM


@pytest.mark.parametrize("sum_bits", [7, 15, 23, 31, 33, 63])
def test_long_vectors_are_worked_on_in_blocks(sum_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    layout = Packing(1000, sum_bits, 255)
    vector = rng.integers(0, 2**sum_bits, 1000, np.uint64)
    plaintexts = layout.pack(vector)
    assert plaintexts == slow_pack(vector.tolist(), layout)
    monkeypatch.setattr(packing, "_BLOCK_VALUES", 3 * layout.slots_per_plaintext)
    assert layout.pack(vector) == plaintexts
    assert (layout.unpack(plaintexts, np.uint64) == vector).all()


def test_a_view_with_strides_is_packed_as_its_copy() -> None:
    layout = Packing(10, 20, 127)
    vector = np.arange(30, dtype=np.uint32)[::3]
    assert layout.pack(vector) == layout.pack(vector.copy())


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(4, np.uint32),
        np.zeros(6, np.uint32),
        np.zeros((1, 5), np.uint32),
        np.zeros(5, np.int64),
        np.zeros(5, np.float32),
        np.full(5, 128, np.uint32),
        np.full(5, 2**63, np.uint64),
    ],
    ids=lambda vector: f"{vector.dtype} {vector.shape} {vector.max():.0f}",
)
def test_a_vector_that_does_not_fit_is_refused(vector: npt.NDArray[Any]) -> None:
    with pytest.raises(CryptoError, match=r"expected 5 values of uint32 or uint64 below 2\*\*7"):
        Packing(5, 7, 30).pack(vector)


@pytest.mark.parametrize("dtype", [np.int32, np.float64, np.uint16, np.uint32])
def test_a_dtype_that_does_not_hold_the_sums_is_refused(dtype: npt.DTypeLike) -> None:
    layout = Packing(2, 33, 127)
    with pytest.raises(CryptoError, match="sums of 33 bits"):
        layout.unpack([mpz(0)], dtype)


@pytest.mark.parametrize(("size", "sum_bits", "plaintext_bits"), [(0, 8, 64), (1, 0, 64), (1, 64, 128), (1, 8, 8)])
def test_what_is_no_packing_is_refused(size: int, sum_bits: int, plaintext_bits: int) -> None:
    with pytest.raises(CryptoError, match="cannot be packed"):
        Packing(size, sum_bits, plaintext_bits)


def test_the_digest_tells_layouts_apart() -> None:
    layouts = [Packing(size, bits, room) for size in (99, 100) for bits in (22, 23) for room in (127, 255)]
    assert len({layout.digest for layout in layouts}) == len(layouts)
    assert {len(layout.digest) for layout in layouts} == {64}
    same = Packing(100, 23, 120), Packing(100, 23, 127)  # 5 slots of 24 bits in each: laid out alike
    assert same[0].spec == same[1].spec
    assert same[0].digest == same[1].digest
    assert repr(same[0]) == "Packing(100 slots of 24 bits in 20 plaintexts of 5)"


def test_the_digest_is_of_all_that_two_parties_must_agree_on() -> None:
    text = b'{"size":100,"slot_bits":24,"slots_per_plaintext":5,"version":1}'
    assert Packing(100, 23, 127).digest == hashlib.sha256(text).hexdigest()


def test_a_hundred_clients_of_16_bits_take_6_bytes_a_value_with_2048_bits() -> None:
    layout = Packing(100_000, (100 * (2**16 - 1)).bit_length(), 2047)
    assert (layout.sum_bits, layout.slot_bits, layout.slots_per_plaintext) == (23, 24, 85)
    assert layout.num_plaintexts * 512 <= 6.1 * layout.size
