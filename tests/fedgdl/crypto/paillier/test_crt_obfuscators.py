"""Obfuscators made with the primes: those that everybody makes, and as good."""

import copy
import math
import pickle

import pytest
from gmpy2 import mpz
from paillier_keys import RandomStream, djn_key, textbook_key

from fedgdl.crypto.paillier import ObfuscatorPool, Packing, PaillierPublicKey, TableObfuscators, encrypt_vector
from fedgdl.crypto.paillier.private import CrtObfuscators, PaillierPrivateKey
from fedgdl.errors import CryptoError

KEYS = {"djn": djn_key, "textbook": textbook_key}


@pytest.mark.parametrize("bits", [128, 256, 512])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130])
def test_for_a_key_with_hs_they_are_everybody_s(bits: int, count: int) -> None:
    key = djn_key(bits)
    theirs = TableObfuscators(key.public_key, random_bytes=RandomStream("the same"))
    ours = CrtObfuscators(key, RandomStream("the same"))
    assert ours.draw(count) == theirs.draw(count)
    assert ours.public_key == theirs.public_key


@pytest.mark.parametrize("bits", [128, 256])
def test_for_a_textbook_key_they_are_the_n_th_powers(bits: int) -> None:
    """The p-th power modulo p^2 of a random number is an n-th power: of its q-th root, which is as random."""
    key = textbook_key(bits)
    n, n_squared = int(key.public_key.n), int(key.public_key.n_squared)
    (p, q), stream = map(int, key.factors), RandomStream("units")
    drawn = CrtObfuscators(key, RandomStream("units")).draw(20)
    assert len(set(drawn)) == 20
    for obfuscator in map(int, drawn):
        unit = int.from_bytes(stream(bits // 8))
        while unit >= n:
            unit = int.from_bytes(stream(bits // 8))
        assert obfuscator % p**2 == pow(unit, p, p * p)
        assert obfuscator % q**2 == pow(unit, q, q * q)
        root = pow(obfuscator, pow(n, -1, (p - 1) * (q - 1)), n)
        assert pow(root, n, n_squared) == obfuscator


def test_for_a_tiny_textbook_key_every_n_th_power_comes_equally_often() -> None:
    """24 n-th powers; of 4,800 draws chi-squared with 23 degrees of freedom exceeds 73 once in a million times."""
    n = 5 * 7
    powers = {pow(unit, n, n * n) for unit in range(n) if math.gcd(unit, n) == 1}
    drawn = CrtObfuscators(PaillierPrivateKey(5, 7, PaillierPublicKey(n)), RandomStream("tiny")).draw(4800)
    counts = {power: drawn.count(power) for power in powers}
    assert len(powers) == 24
    assert sum(counts.values()) == 4800
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 73


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_they_hide_and_vanish(scheme: str) -> None:
    key = KEYS[scheme](256)
    drawn = CrtObfuscators(key).draw(10)
    assert len(set(drawn)) == 10
    assert all(isinstance(obfuscator, type(mpz())) for obfuscator in drawn)
    ciphertexts = [key.public_key.encrypt(7, obfuscator) for obfuscator in drawn]
    assert len(set(ciphertexts)) == 10
    assert key.decrypt_many(ciphertexts) == [7] * 10


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_they_can_be_kept_in_stock_and_used_for_vectors(scheme: str) -> None:
    import numpy as np

    key = KEYS[scheme](256)
    pool = ObfuscatorPool(CrtObfuscators(key), capacity=5)
    pool.fill()
    packing = Packing(40, 20, key.public_key.plaintext_bits)
    vector = np.arange(40, dtype=np.uint32)
    data = encrypt_vector(key.public_key, packing, vector, pool)
    width = key.public_key.ciphertext_bytes
    ciphertexts = [int.from_bytes(data[start : start + width]) for start in range(0, len(data), width)]
    assert packing.unpack(key.decrypt_many(ciphertexts), np.uint32).tolist() == list(range(40))


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_what_is_not_random_ends_in_an_error(scheme: str) -> None:
    for random_bytes in (lambda count: bytes(count + 1), lambda _: b""):
        with pytest.raises(CryptoError, match="random bytes"):
            CrtObfuscators(KEYS[scheme](128), random_bytes).draw(3)


@pytest.mark.parametrize("scheme", sorted(KEYS))
def test_nothing_shows_or_copies_the_primes(scheme: str) -> None:
    key = KEYS[scheme](256)
    obfuscators = CrtObfuscators(key)
    assert f"{obfuscators} {obfuscators!r}" == " ".join([f"CrtObfuscators({key.public_key!r})"] * 2)
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="no pickles, no copies"):
            give_away(obfuscators)
    assert not hasattr(obfuscators, "__dict__")
    assert (obfuscators.num_bytes > 0) == (scheme == "djn")
