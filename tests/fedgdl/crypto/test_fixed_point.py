from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.crypto import FixedPoint, Rounding, pack, require_room, ring_dtype, unpack, wire_bytes
from fedgdl.errors import ConfigError, CryptoError

RingBits = Literal[32, 64]
RINGS: tuple[RingBits, ...] = (32, 64)
ROUNDINGS: tuple[Rounding, ...] = ("nearest", "stochastic")
LONGER_THAN_A_PIECE = 100_000

rings: st.SearchStrategy[RingBits] = st.sampled_from(RINGS)
clips = st.floats(1e-6, 1e6)


def fixed_points(roundings: tuple[Rounding, ...] = ROUNDINGS) -> st.SearchStrategy[FixedPoint]:
    return st.builds(FixedPoint, clips, st.integers(2, 32), st.sampled_from(roundings), rings)


def encode(
    encoding: FixedPoint, values: npt.NDArray[np.floating[Any]], rng: np.random.Generator | None = None
) -> npt.NDArray[Any]:
    """Encodes with a generator where one is needed."""
    return encoding.encode(values, (rng or np.random.default_rng(1)) if encoding.rounding == "stochastic" else None)


def exact_value(encoding: FixedPoint, code: int, num_addends: int = 1) -> Fraction:
    """Returns what a sum of codes stands for, without any rounding."""
    return Fraction(code - num_addends * encoding.offset) * Fraction(encoding.clip) / encoding.offset


def clipped(encoding: FixedPoint, value: float) -> Fraction:
    return max(-Fraction(encoding.clip), min(Fraction(encoding.clip), Fraction(value)))


@pytest.mark.parametrize("bits", [2, 8, 16, 32])
def test_codes_go_from_zero_to_twice_the_offset(bits: int) -> None:
    encoding = FixedPoint(3.0, bits, "nearest", 64)
    codes = encoding.encode(np.array([-3.0, 0.0, 3.0, -1e300, 1e300]))
    assert codes.tolist() == [0, encoding.offset, encoding.max_code, 0, encoding.max_code]
    assert (encoding.offset, encoding.max_code) == (2 ** (bits - 1) - 1, 2**bits - 2)
    assert encoding.step == 3.0 / encoding.offset


@given(fixed_points(), st.data())
def test_the_error_of_one_value_is_within_the_stated_bound(encoding: FixedPoint, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(-2 * encoding.clip, 2 * encoding.clip), min_size=1, max_size=20))
    codes = encode(encoding, np.array(values))
    bound = Fraction(encoding.max_error) * (1 + Fraction(2) ** (encoding.bits - 50))
    for value, code in zip(values, codes.tolist(), strict=True):
        assert 0 <= code <= encoding.max_code
        assert abs(exact_value(encoding, code) - clipped(encoding, value)) <= bound


@given(fixed_points(), st.integers(1, 40), st.integers(0, 2**32))
def test_the_error_of_a_decoded_mean_is_within_the_stated_bound(
    encoding: FixedPoint, num_addends: int, seed: int
) -> None:
    if num_addends * encoding.max_code >= 2**encoding.ring_bits:
        num_addends = 1
    rng = np.random.default_rng(seed)
    values = rng.normal(scale=encoding.clip, size=(num_addends, 5))
    total = np.zeros(5, encoding.dtype)
    for row in values:
        total += encode(encoding, row, rng)
    means = encoding.decode_sum(total, num_addends) / num_addends
    for column, mean in enumerate(means.tolist()):
        truth = sum((clipped(encoding, float(value)) for value in values[:, column]), Fraction(0)) / num_addends
        slack = Fraction(encoding.max_error) * Fraction(2) ** (encoding.bits - 50) + Fraction(encoding.clip) / 2**50
        assert abs(Fraction(mean) - truth) <= Fraction(encoding.max_error) + slack


@pytest.mark.parametrize("ring_bits", RINGS)
def test_ties_go_to_the_even_multiple_of_the_step(ring_bits: RingBits) -> None:
    encoding = FixedPoint(127.0, 8, "nearest", ring_bits)  # the step is 1
    values = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999, 0.50001]
    assert encoding.encode(np.array(values)).tolist() == [127 + n for n in (-2, -2, 0, 0, 2, 2, 0, 1)]


@given(clips, st.integers(2, 32), rings, st.lists(st.floats(-4, 4, width=32), max_size=20))
def test_single_precision_is_widened_before_anything_is_computed(
    clip: float, bits: int, ring_bits: RingBits, values: list[float]
) -> None:
    """Neither the step nor the clip is rounded to float32."""
    encoding = FixedPoint(clip, bits, "nearest", ring_bits)
    narrow = np.array(values, np.float32)
    assert encoding.encode(narrow).tolist() == encoding.encode(narrow.astype(np.float64)).tolist()


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("ring_bits", RINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_value_has_the_same_code_wherever_it_stands(rounding: Rounding, ring_bits: RingBits, dtype: str) -> None:
    """Work goes piece by piece: the borders must not show, whatever the pieces."""
    encoding = FixedPoint(1.0, 20, rounding, ring_bits)
    values = np.random.default_rng(1).normal(size=LONGER_THAN_A_PIECE).astype(dtype)
    whole = encode(encoding, values, np.random.default_rng(2))
    for cuts in ([7], [1, 32_767, 32_768, 40_000], [99_999]):
        rng = np.random.default_rng(2)
        parts = [encode(encoding, part, rng) for part in np.split(values, cuts)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
        decoded = [encoding.decode_sum(part, 1) for part in parts]
        assert np.concatenate(decoded).tobytes() == encoding.decode_sum(whole, 1).tobytes()


def test_shapes_are_kept() -> None:
    encoding = FixedPoint(1.0, 16, "nearest", 32)
    for shape in ((), (0,), (2, 3), (0, 4)):
        codes = encoding.encode(np.zeros(shape))
        assert codes.shape == encoding.decode_sum(codes, 1).shape == shape


def test_every_second_value_of_an_array_is_encoded_like_a_copy() -> None:
    encoding = FixedPoint(1.0, 16, "nearest", 32)
    values = np.linspace(-1, 1, 21)
    assert encoding.encode(values[::-2]).tolist() == encoding.encode(values[::-2].copy()).tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("position", [0, 40_000, LONGER_THAN_A_PIECE - 1])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_what_is_not_finite_is_refused(value: float, dtype: str, position: int, rounding: Rounding) -> None:
    values = np.zeros(LONGER_THAN_A_PIECE, dtype)
    values[position] = value
    with pytest.raises(CryptoError, match="NaN or infinite"):
        encode(FixedPoint(1.0, 16, rounding, 32), values)


def test_the_largest_finite_values_are_clipped_and_not_refused() -> None:
    encoding = FixedPoint(2.0**-800, 32, "nearest", 64)
    limits = np.finfo(np.float64)
    codes = encoding.encode(np.array([limits.max, limits.min, limits.tiny]))
    assert codes.tolist() == [encoding.max_code, 0, encoding.offset]


@pytest.mark.parametrize(
    ("clip", "bits", "rounding", "ring_bits"),
    [
        (0.0, 16, "nearest", 32),
        (-1.0, 16, "nearest", 32),
        (float("nan"), 16, "nearest", 32),
        (float("inf"), 16, "nearest", 32),
        (5e-324, 16, "nearest", 32),
        (1.0, 1, "nearest", 32),
        (1.0, 33, "nearest", 64),
        (1.0, 16, "up", 32),
        (1.0, 16, "nearest", 16),
    ],
)
def test_what_is_no_fixed_point_is_refused(clip: float, bits: int, rounding: Any, ring_bits: Any) -> None:
    with pytest.raises(CryptoError, match="fixed point needs"):
        FixedPoint(clip, bits, rounding, ring_bits)


def test_random_numbers_go_with_stochastic_rounding_only() -> None:
    values = np.zeros(2)
    with pytest.raises(CryptoError, match="random generator"):
        FixedPoint(1.0, 16, "stochastic", 32).encode(values)
    with pytest.raises(CryptoError, match="random generator"):
        FixedPoint(1.0, 16, "nearest", 32).encode(values, np.random.default_rng(1))


def test_codes_can_be_written_where_they_belong() -> None:
    encoding = FixedPoint(1.0, 16, "nearest", 32)
    vector = np.full(5, 9, np.uint32)
    encoding.encode(np.array([0.0, 1.0]), out=vector[1:3])
    assert vector.tolist() == [9, encoding.offset, encoding.max_code, 9, 9]
    for wrong in (np.zeros(3, np.uint32), np.zeros(2, np.uint64), np.zeros(4, np.uint32)[::2]):
        with pytest.raises(CryptoError, match="do not fit"):
            encoding.encode(np.zeros(2), out=wrong)


def test_stochastic_rounding_is_right_on_average() -> None:
    """For each position f within a step the number of roundings up is binomial(n, f): |z| < 5 for 9 such.

    False alarms: 9 * 5.7e-7, about 1 in 200,000 seeds.
    """
    encoding = FixedPoint(127.0, 8, "stochastic", 32)  # the step is 1
    n, rng = 200_000, np.random.default_rng(2026)
    for tenths in range(1, 10):
        f = tenths / 10
        codes = encoding.encode(np.full(n, -3 + f), rng).astype(np.int64) - encoding.offset
        assert set(np.unique(codes)) == {-3, -2}
        z = (np.count_nonzero(codes == -2) - n * f) / np.sqrt(n * f * (1 - f))
        assert abs(z) < 5


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("value", [-127.0, -5.0, 0.0, 126.0, 127.0])
def test_multiples_of_the_step_are_kept_exactly(rounding: Rounding, value: float) -> None:
    encoding = FixedPoint(127.0, 8, rounding, 32)
    codes = encode(encoding, np.full(1000, value))
    assert set(codes.tolist()) == {127 + int(value)}


@pytest.mark.parametrize(("rounding", "divisor"), [("nearest", 12), ("stochastic", 6)])
@pytest.mark.parametrize("num_addends", [1, 10])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_root_mean_square_error_is_the_stated_one(
    rounding: Rounding, divisor: int, num_addends: int, bits: int
) -> None:
    """The variance of n = 100,000 errors is step**2 / (divisor K), give or take 5 times sqrt(2 / n) of it.

    sqrt(2 / n) is the relative standard deviation for normal errors, and more than that for these, whose tails are
    shorter (excess kurtosis -1.2 / K and -0.6 / K). False alarms: less than 1 in a million seeds each.
    """
    encoding, n = FixedPoint(1.0, bits, rounding, 32), 100_000
    rng = np.random.default_rng(7)
    values = rng.uniform(-1, 1, size=(num_addends, n))
    total = np.zeros(n, np.uint32)
    for row in values:
        total += encode(encoding, row, rng)
    errors = encoding.decode_sum(total, num_addends) / num_addends - values.mean(axis=0)
    ratio = np.mean(errors**2) / (encoding.step**2 / (divisor * num_addends))
    assert abs(ratio - 1) < 5 * np.sqrt(2 / n)
    assert abs(errors).max() <= encoding.max_error * (1 + 1e-9)


@given(st.integers(2, 32), rings, st.data())
def test_sums_are_exact_up_to_the_last_that_fits_and_refused_beyond(
    bits: int, ring_bits: RingBits, data: st.DataObject
) -> None:
    encoding = FixedPoint(1.0, bits, "nearest", ring_bits)
    most = (2**ring_bits - 1) // encoding.max_code
    largest, smallest = (most * encoding.max_code, 0)
    opened = encoding.decode_sum(np.array([largest, smallest, most * encoding.offset], encoding.dtype), most)
    np.testing.assert_allclose(opened, [most, -most, 0], rtol=2**-50, atol=0)
    between = data.draw(st.integers(0, largest))
    truth = exact_value(encoding, between, most)
    (value,) = encoding.decode_sum(np.array([between], encoding.dtype), most).tolist()
    assert abs(Fraction(value) - truth) <= abs(truth) / 2**51
    with pytest.raises(ConfigError, match="may wrap around the ring"):
        encoding.decode_sum(np.array([0], encoding.dtype), most + 1)


@given(st.integers(2, 16), rings, st.integers(1, 1000))
def test_one_more_than_the_largest_sum_is_no_sum(bits: int, ring_bits: RingBits, num_addends: int) -> None:
    encoding = FixedPoint(1.0, bits, "nearest", ring_bits)
    largest = num_addends * encoding.max_code
    encoding.decode_sum(np.array([largest], encoding.dtype), num_addends)
    with pytest.raises(CryptoError, match="no sum of so many"):
        encoding.decode_sum(np.array([0, largest + 1], encoding.dtype), num_addends)


def test_sums_of_another_ring_are_refused() -> None:
    with pytest.raises(CryptoError, match="no sum of so many"):
        FixedPoint(1.0, 16, "nearest", 32).decode_sum(np.zeros(2, np.uint64), 1)


def test_room_is_proved_at_the_limit_and_refused_one_above() -> None:
    require_room(3, 2**32 // 3, 32)  # 3 * floor(2**32 / 3) = 2**32 - 1
    with pytest.raises(ConfigError, match=r"^a sum of 2 codes of up to 2,147,483,648 needs 33 bits .* the ring of 32$"):
        require_room(2, 2**31, 32)
    with pytest.raises(ConfigError, match=r"the ring of 64: take less$"):
        require_room(2**32, 2**32, 64, remedy="take less")
    with pytest.raises(ConfigError, match="at least one addend, got 0"):
        require_room(0, 5, 32)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=9), rings, st.data())
def test_packed_slots_are_their_low_bytes(slots: list[int], ring_bits: RingBits, data: st.DataObject) -> None:
    dtype = ring_dtype(ring_bits)
    num_bytes = data.draw(st.integers(1, dtype.itemsize))
    vector = np.array([slot % 2**ring_bits for slot in slots], dtype)
    packed = pack(vector, num_bytes)
    assert packed == b"".join(slot.to_bytes(8, "little")[:num_bytes] for slot in slots)
    again = unpack(packed, num_bytes, dtype)
    assert again.tolist() == [slot % 256**num_bytes for slot in slots]
    assert again.dtype == dtype
    again += again.dtype.type(1)  # it is the caller's own


@given(st.integers(1, 8), st.integers(2, 5), st.integers(0, 2**32))
def test_low_bytes_of_sums_are_sums_of_low_bytes(num_bytes: int, num_addends: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).integers(0, 2**64, (num_addends, 6), np.uint64)
    total, trimmed = np.zeros(6, np.uint64), np.zeros(6, np.uint64)
    for vector in vectors:
        total += vector
        trimmed += unpack(pack(vector, num_bytes), num_bytes, np.uint64)
    assert pack(total, num_bytes) == pack(trimmed, num_bytes)


def test_every_second_slot_is_packed_like_a_copy() -> None:
    vector = np.arange(9, dtype=np.uint32)
    assert pack(vector[::2], 3) == pack(vector[::2].copy(), 3)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CryptoError, match="no whole number of slots of 3"):
        unpack(bytes(10), 3, np.uint32)
    for num_bytes, dtype in ((0, np.uint32), (5, np.uint32), (9, np.uint64), (1, np.uint8), (4, np.int32)):
        with pytest.raises(CryptoError, match="slots of uint32 or uint64"):
            unpack(b"", num_bytes, dtype)
        with pytest.raises(CryptoError, match="slots of uint32 or uint64"):
            pack(np.zeros(2, dtype), num_bytes)


@given(st.integers(0, 2**64 - 1))
def test_a_slot_has_the_bytes_that_its_largest_sum_needs(largest: int) -> None:
    num_bytes = wire_bytes(largest)
    assert largest < 256**num_bytes
    assert num_bytes == 1 or largest >= 256 ** (num_bytes - 1)
