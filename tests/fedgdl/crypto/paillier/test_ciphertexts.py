"""Encrypted vectors: there and back, sums of any cohort, and bytes that are no ciphertexts of the key."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st
from small_paillier import CountedObfuscators, SmallKey, small_key

from fedgdl.crypto.paillier import (
    CiphertextSum,
    ObfuscatorPool,
    Packing,
    encrypt_vector,
    make_obfuscators,
    read_ciphertexts,
    write_ciphertexts,
)
from fedgdl.errors import CryptoError

UNUSABLE = "the ciphertexts cannot be used"
KEY = small_key()
SOURCE = make_obfuscators(KEY.public_key)
PACKING = Packing(size=20, sum_bits=11, plaintext_bits=KEY.public_key.plaintext_bits)  # 10 slots, two plaintexts
WIDTH = KEY.public_key.ciphertext_bytes


def open_sum(key: SmallKey, packing: Packing, total: CiphertextSum) -> list[int]:
    values: list[int] = packing.unpack(key.open_all(total.ciphertexts), np.uint64).tolist()
    return values


@settings(max_examples=50)
@given(st.integers(1, 10), st.integers(2, 40), st.integers(1, 30), st.integers(0, 2**32))
def test_the_sum_of_encrypted_vectors_is_the_encrypted_sum(cohort: int, sum_bits: int, size: int, seed: int) -> None:
    packing = Packing(size, sum_bits, KEY.public_key.plaintext_bits)
    rng, largest = np.random.default_rng(seed), (2**sum_bits - 1) // cohort
    values = rng.integers(0, largest, (cohort, size), endpoint=True)
    is_extreme, is_largest = rng.integers(0, 2, (2, *values.shape))
    vectors = np.where(is_extreme, is_largest * largest, values).tolist()
    total = CiphertextSum(KEY.public_key, packing)
    for vector in vectors:
        encrypted = encrypt_vector(KEY.public_key, packing, np.array(vector, np.uint64), SOURCE)
        total.add(read_ciphertexts(KEY.public_key, packing, encrypted))
    assert total.num_addends == cohort
    expected = [sum(column) for column in zip(*vectors, strict=True)]
    assert open_sum(KEY, packing, total) == expected
    again = read_ciphertexts(KEY.public_key, packing, total.rerandomised(SOURCE))
    assert packing.unpack(KEY.open_all(again), np.uint64).tolist() == expected
    assert not set(again) & set(total.ciphertexts)


@pytest.mark.parametrize("num_bits", [21, 128, 256, 512])
@pytest.mark.parametrize("scheme", ["djn", "textbook"])
def test_every_key_encrypts(num_bits: int, scheme: str) -> None:
    key = small_key(num_bits, scheme)
    packing = Packing(9, 7, key.public_key.plaintext_bits)
    vector = np.arange(119, 128, dtype=np.uint32)
    data = encrypt_vector(key.public_key, packing, vector, make_obfuscators(key.public_key))
    assert len(data) == packing.num_plaintexts * key.public_key.ciphertext_bytes
    ciphertexts = read_ciphertexts(key.public_key, packing, data)
    assert (packing.unpack(key.open_all(ciphertexts), np.uint32) == vector).all()
    assert write_ciphertexts(key.public_key, ciphertexts) == data


def test_a_vector_is_encrypted_with_the_next_obfuscators_in_order() -> None:
    packing = Packing(1000, 11, KEY.public_key.plaintext_bits)
    vector = np.random.default_rng(1).integers(0, 2**11, 1000).astype(np.uint32)
    data = encrypt_vector(KEY.public_key, packing, vector, CountedObfuscators(KEY.public_key))
    obfuscators = CountedObfuscators(KEY.public_key).draw(packing.num_plaintexts)
    expected = map(KEY.public_key.encrypt, packing.pack(vector), obfuscators)
    assert read_ciphertexts(KEY.public_key, packing, data) == list(expected)


@pytest.mark.parametrize("capacity", [0, 30, 1000])
def test_a_pool_gives_the_same_ciphertexts(capacity: int) -> None:
    packing = Packing(1000, 11, KEY.public_key.plaintext_bits)
    vector = np.arange(1000, dtype=np.uint32)
    pool = ObfuscatorPool(CountedObfuscators(KEY.public_key), capacity)
    pool.fill()
    pooled = encrypt_vector(KEY.public_key, packing, vector, pool)
    assert pooled == encrypt_vector(KEY.public_key, packing, vector, CountedObfuscators(KEY.public_key))
    assert len(pool) == max(0, capacity - packing.num_plaintexts)


def test_equal_vectors_have_no_ciphertext_in_common() -> None:
    vector = np.zeros(20, np.uint32)
    first, second = (
        read_ciphertexts(KEY.public_key, PACKING, encrypt_vector(KEY.public_key, PACKING, vector, SOURCE))
        for _ in range(2)
    )
    assert len({*first, *second}) == 4


def test_progress_is_told_and_can_end_it() -> None:
    packing = Packing(2000, 11, KEY.public_key.plaintext_bits)
    vector, told = np.zeros(2000, np.uint32), list[tuple[int, int]]()
    encrypt_vector(KEY.public_key, packing, vector, SOURCE, lambda done, total: told.append((done, total)))
    counts = [done for done, _ in told]
    assert len(counts) > 2
    assert counts == sorted(set(counts))
    assert told[-1] == (packing.num_plaintexts, packing.num_plaintexts)
    assert {total for _, total in told} == {packing.num_plaintexts}

    source = CountedObfuscators(KEY.public_key)

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encrypt_vector(KEY.public_key, packing, vector, source, interrupt)
    assert source.num_drawn < packing.num_plaintexts


@pytest.mark.parametrize("vector", [np.full(20, 2**11, np.uint32), np.zeros(19, np.uint32), np.zeros(20)])
def test_a_vector_that_does_not_fit_is_refused_before_anything_is_drawn(vector: npt.NDArray[Any]) -> None:
    source = CountedObfuscators(KEY.public_key)
    with pytest.raises(CryptoError, match="expected 20 values"):
        encrypt_vector(KEY.public_key, PACKING, vector, source)
    assert source.num_drawn == 0


def test_obfuscators_and_packings_of_another_key_are_refused() -> None:
    others = make_obfuscators(small_key(256).public_key)
    vector = np.zeros(20, np.uint32)
    with pytest.raises(CryptoError, match="for another key"):
        encrypt_vector(KEY.public_key, PACKING, vector, others)
    with pytest.raises(CryptoError, match="for another key"):
        encrypt_vector(KEY.public_key, Packing(20, 11, 255), vector, SOURCE)
    total = CiphertextSum(KEY.public_key, PACKING)
    total.add([mpz(1), mpz(1)])
    with pytest.raises(CryptoError, match="for another key"):
        total.rerandomised(others)


def encrypted() -> bytes:
    return encrypt_vector(KEY.public_key, PACKING, np.arange(20, dtype=np.uint32), SOURCE)


def require_unusable(data: bytes) -> None:
    with pytest.raises(CryptoError) as raised:
        read_ciphertexts(KEY.public_key, PACKING, data)
    assert str(raised.value) == UNUSABLE


N, N_SQUARED = int(KEY.public_key.n), int(KEY.public_key.n_squared)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "number",
    [0, N, 2 * N, KEY.p, KEY.q, KEY.p * 12345, KEY.q**2, N_SQUARED - N, N_SQUARED, N_SQUARED + 1, 256**WIDTH - 1],
)
def test_numbers_that_are_no_ciphertext_are_refused(number: int, place: int) -> None:
    data = bytearray(encrypted())
    data[place * WIDTH : (place + 1) * WIDTH] = number.to_bytes(WIDTH)
    require_unusable(bytes(data))


@given(st.integers(0, 5 * WIDTH).filter(lambda length: length != 2 * WIDTH))
def test_other_lengths_are_refused(length: int) -> None:
    require_unusable((encrypted() * 3)[:length])


@given(st.binary(min_size=2 * WIDTH, max_size=2 * WIDTH))
def test_any_bytes_are_ciphertexts_that_are_written_alike_or_are_refused(data: bytes) -> None:
    try:
        ciphertexts = read_ciphertexts(KEY.public_key, PACKING, data)
    except CryptoError as error:
        assert str(error) == UNUSABLE  # noqa: PT017 - some are refused, and some are not
    else:
        assert write_ciphertexts(KEY.public_key, ciphertexts) == data


def test_a_changed_ciphertext_opens_to_no_sum() -> None:
    """It is a signature that finds changed bytes; without one, what they open to has guard bits nearly always."""
    num_refused, data = 0, encrypted()
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1
        try:
            PACKING.unpack(KEY.open_all(read_ciphertexts(KEY.public_key, PACKING, bytes(changed))), np.uint32)
        except CryptoError:
            num_refused += 1
    # A random plaintext of 127 bits has ten guards and 7 unused bits: 2^-17 are sums.
    assert num_refused == len(data)


def test_a_sum_of_nothing_is_refused() -> None:
    total = CiphertextSum(KEY.public_key, PACKING)
    with pytest.raises(CryptoError, match="sum of no ciphertexts"):
        total.ciphertexts  # noqa: B018
    with pytest.raises(CryptoError, match="sum of no ciphertexts"):
        total.rerandomised(SOURCE)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_vectors_of_another_length_are_not_added(count: int) -> None:
    total = CiphertextSum(KEY.public_key, PACKING)
    for _ in range(2):
        with pytest.raises(CryptoError) as raised:
            total.add([mpz(1)] * count)
        assert str(raised.value) == UNUSABLE
    assert total.num_addends == 0


def test_a_sum_keeps_to_itself() -> None:
    first, total = [mpz(2), mpz(3)], CiphertextSum(KEY.public_key, PACKING)
    total.add(first)
    total.ciphertexts[0] += 1
    first[1] += 1
    assert total.ciphertexts == [2, 3]
