"""Mask streams: counter mode byte for byte, sums in the ring, and the same numbers on any machine and in any order."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st
from vectors import load_vectors

from fedgdl.crypto.masking import MAX_MASK_BYTES, add_masks, mask
from fedgdl.crypto.masking.mask_stream import _BYTES_WORTH_A_THREAD, _NUM_OPEN_STREAMS, _PIECE_BYTES
from fedgdl.errors import CryptoError

AES = load_vectors("aes256.json")
STREAMS = load_vectors("mask_stream.json")["cases"]
RINGS = [np.uint32, np.uint64]
PIECE = _PIECE_BYTES // 4
SIZES = [0, 1, 2, 3, 5, 31, 1001, PIECE // 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 3, 100_003]

seeds = st.binary(min_size=32, max_size=32)
rings = st.sampled_from(RINGS)


def counter_mode(seed: bytes, num_bytes: int) -> bytes:
    """The same stream by the mode that defines it."""
    return Cipher(AES256(seed), CTR(bytes(15) + b"\x02")).encryptor().update(bytes(num_bytes))


def expected_mask(seed: bytes, size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    little_endian = np.dtype(dtype).newbyteorder("<")
    return np.frombuffer(counter_mode(seed, size * little_endian.itemsize), little_endian).astype(dtype)


def seed_of(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(4)).digest()


def vector_of(size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Returns ring elements that are none in particular."""
    return np.random.default_rng(size).integers(0, 2**32, size).astype(dtype)


def test_the_reference_of_these_tests_gives_the_answer_of_sp_800_38a() -> None:
    case = {name: bytes.fromhex(text) for name, text in AES["ctr"].items() if name != "case"}
    encryptor = Cipher(AES256(case["key"]), CTR(case["first_counter_block"])).encryptor()
    assert encryptor.update(case["plaintext"]) == case["ciphertext"]


def test_a_stream_begins_as_test_case_14_of_gcm() -> None:
    (case,) = (case for case in AES["gcm"] if case["case"] == 14)
    assert mask(bytes.fromhex(case["key"]), 4, np.uint32).astype("<u4").tobytes().hex() == case["ciphertext"]


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case["seed"][:8])
def test_streams_stay_what_they_are(case: dict[str, Any]) -> None:
    seed = bytes.fromhex(case["seed"])
    assert mask(seed, 6, np.uint32).tolist() == case["uint32"]
    assert [str(element) for element in mask(seed, 3, np.uint64).tolist()] == case["uint64"]
    for dtype in ("u4", "u8"):
        elements = mask(seed, case["num_bytes"] // int(dtype[1:]), dtype)
        stream = elements.astype(f"<{dtype}").tobytes()
        assert stream[:48].hex() == case["first_bytes"]
        assert stream[16 * 65535 :][:8].hex() == case["first_bytes_of_block_65535"]
        assert hashlib.sha256(stream).hexdigest() == case["sha256"]


@pytest.mark.parametrize("dtype", RINGS)
@pytest.mark.parametrize("size", SIZES)
def test_masks_are_the_counter_mode_stream(size: int, dtype: npt.DTypeLike) -> None:
    found = mask(seed_of(size), size, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected_mask(seed_of(size), size, dtype))


@pytest.mark.parametrize("dtype", RINGS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_masks", [1, 2, 7])
def test_added_masks_are_those_masks(size: int, dtype: npt.DTypeLike, num_masks: int) -> None:
    vector = vector_of(size, dtype)
    expected = vector.copy()
    signed = [(seed_of(number), (-1) ** number) for number in range(num_masks)]
    for seed, sign in signed:
        if sign == 1:
            expected += expected_mask(seed, size, dtype)
        else:
            expected -= expected_mask(seed, size, dtype)
    add_masks(vector, signed)
    np.testing.assert_array_equal(vector, expected)


@pytest.mark.parametrize("num_masks", [_NUM_OPEN_STREAMS - 1, _NUM_OPEN_STREAMS, 2 * _NUM_OPEN_STREAMS + 1])
def test_more_masks_than_are_open_at_once_are_all_added(num_masks: int) -> None:
    size = PIECE + 17
    vector = np.zeros(size, np.uint32)
    add_masks(vector, [(seed_of(number), 1) for number in range(num_masks)])
    expected = np.zeros(size, np.uint32)
    for number in range(num_masks):
        expected += expected_mask(seed_of(number), size, np.uint32)
    np.testing.assert_array_equal(vector, expected)


@pytest.mark.parametrize("num_threads", [2, 3, 40])
@pytest.mark.parametrize("dtype", RINGS)
def test_several_threads_add_the_same_masks(dtype: npt.DTypeLike, num_threads: int) -> None:
    rng = np.random.default_rng(5)
    vector = rng.integers(0, 2**32, size=1_000_003, dtype=dtype)
    signed = [(seed_of(number), 1 if number % 3 else -1) for number in range(13)]
    assert len(signed) * vector.nbytes >= 3 * _BYTES_WORTH_A_THREAD  # work for three of them
    expected = vector.copy()
    add_masks(expected, signed)
    add_masks(vector, signed, num_threads=num_threads)
    np.testing.assert_array_equal(vector, expected)


@given(seeds, st.integers(0, 300), st.integers(0, 300), rings)
def test_a_longer_mask_begins_with_the_shorter(seed: bytes, size: int, more: int, dtype: npt.DTypeLike) -> None:
    np.testing.assert_array_equal(mask(seed, size + more, dtype)[:size], mask(seed, size, dtype))


@given(st.lists(seeds, max_size=5), st.integers(0, 100), rings, st.randoms(use_true_random=False))
def test_masks_cancel_in_any_order(pair_seeds: list[bytes], size: int, dtype: npt.DTypeLike, shuffler: Any) -> None:
    signed = [(seed, sign) for seed in pair_seeds for sign in (1, -1)]
    shuffler.shuffle(signed)
    vector = vector_of(size, dtype)
    add_masks(vector, signed)
    np.testing.assert_array_equal(vector, vector_of(size, dtype))


def test_a_pair_hides_and_restores_the_sum_of_two_vectors() -> None:
    vectors = [vector_of(1000, np.uint32), vector_of(1000, np.uint32)[::-1].copy()]
    masked = [vector.copy() for vector in vectors]
    add_masks(masked[0], [(seed_of(1), 1)])
    add_masks(masked[1], [(seed_of(1), -1)])
    # Of 1000 elements at most two agree by chance (three: one in 2^69).
    assert np.count_nonzero(masked[0] == vectors[0]) <= 2
    np.testing.assert_array_equal(masked[0] + masked[1], vectors[0] + vectors[1])


@pytest.mark.parametrize("dtype", RINGS)
def test_every_bit_of_a_mask_is_set_half_the_time(dtype: npt.DTypeLike) -> None:
    elements = mask(seed_of(5), 100_000, dtype)
    for bit in range(8 * elements.itemsize):
        num_set = np.count_nonzero(elements >> bit & 1)
        # Binomial: mean 50 000, standard deviation 158; six of them in either direction, under 1 in 10^8.
        assert abs(num_set - 50_000) < 6 * 158.2


def test_a_vector_may_lie_scattered_in_memory() -> None:
    whole = np.zeros(2 * PIECE + 10, np.uint32)
    add_masks(whole[::2], [(seed_of(1), 1)])
    np.testing.assert_array_equal(whole[::2], mask(seed_of(1), PIECE + 5, np.uint32))
    assert not whole[1::2].any()


def test_without_masks_nothing_changes() -> None:
    vector = vector_of(10, np.uint32)
    add_masks(vector, [])
    np.testing.assert_array_equal(vector, vector_of(10, np.uint32))


def test_the_longest_mask_ends_before_the_counter_begins_again() -> None:
    first_block, num_blocks = 2, MAX_MASK_BYTES // 16
    assert first_block + num_blocks == 2**32


@pytest.mark.parametrize("dtype", RINGS)
def test_longer_masks_are_refused(dtype: npt.DTypeLike) -> None:
    size = MAX_MASK_BYTES // np.dtype(dtype).itemsize + 1
    with pytest.raises(CryptoError, match="68719476704 bytes"):
        mask(bytes(32), size, dtype)
    with pytest.raises(CryptoError, match="68719476704 bytes"):
        add_masks(np.broadcast_to(np.zeros(1, dtype), size), [(bytes(32), 1)])
    with pytest.raises(CryptoError, match="not -4"):
        mask(bytes(32), -1, np.uint32)


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.uint16, np.dtype(np.uint32).newbyteorder("S"), object])
def test_other_elements_are_refused(dtype: npt.DTypeLike) -> None:
    with pytest.raises(CryptoError, match="uint32 or uint64"):
        mask(bytes(32), 3, dtype)
    with pytest.raises(CryptoError, match="uint32 or uint64"):
        add_masks(np.zeros(3, dtype), [(bytes(32), 1)])


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_seeds_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(CryptoError, match="32 bytes"):
        mask(bytes(length), 3, np.uint32)


@pytest.mark.parametrize(
    ("last", "complaint"),
    [
        ((bytes(31), 1), "32 bytes"),
        ((bytes(32), 0), "added"),
        ((bytes(32), 2), "added"),
    ],
)
def test_what_is_refused_changes_nothing(last: tuple[bytes, int], complaint: str) -> None:
    vector = vector_of(10, np.uint32)
    with pytest.raises(CryptoError, match=complaint):
        add_masks(vector, [(seed_of(1), 1)] * (_NUM_OPEN_STREAMS + 1) + [last])
    np.testing.assert_array_equal(vector, vector_of(10, np.uint32))


def test_a_matrix_is_refused() -> None:
    with pytest.raises(CryptoError, match="2 axes"):
        add_masks(np.zeros((2, 2), np.uint32), [(bytes(32), 1)])
