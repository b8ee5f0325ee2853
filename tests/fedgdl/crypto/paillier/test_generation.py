"""New keys: exactly as long as asked for, of the wanted kind, from the given bytes and nothing else."""

import math

import gmpy2
import pytest
from paillier_keys import BLUM_PRIMES, RandomStream

from fedgdl.crypto.paillier.private import generate, key_from_primes
from fedgdl.crypto.paillier.private.generation import MAX_KEY_BITS, MIN_KEY_BITS
from fedgdl.errors import CryptoError


def check(bits: int, key_id_seed: str) -> None:
    key = generate(bits, random_bytes=RandomStream(key_id_seed))
    p, q = map(int, key.factors)
    n, hs = int(key.public_key.n), int(key.public_key.hs)
    assert p * q == n
    assert n.bit_length() == key.public_key.num_bits == bits
    assert p.bit_length() == q.bit_length() == bits // 2
    assert p < q
    assert p % 4 == q % 4 == 3
    assert math.gcd(p - 1, q - 1) == 2
    assert math.gcd(n, (p - 1) * (q - 1)) == 1
    assert gmpy2.is_prime(p)
    assert gmpy2.is_prime(q)
    assert key.public_key.scheme == "djn"
    # hs = h^n with h = -x^2: an n-th power, so of an order that divides phi, and -h a square modulo both primes.
    assert pow(hs, (p - 1) * (q - 1), n * n) == 1
    h = pow(hs % n, pow(n, -1, (p - 1) * (q - 1)), n)
    assert pow(h, n, n * n) == hs
    assert gmpy2.legendre(-h, p) == gmpy2.legendre(-h, q) == 1
    for plaintext in (0, 1, n - 1, n // 3):
        assert key.decrypt(key.public_key.encrypt(plaintext, pow(hs, 12345, n * n))) == plaintext


@pytest.mark.parametrize("bits", [128, 130, 192, 256, 510, 512])
def test_a_new_key_is_what_it_should_be(bits: int) -> None:
    for number in range(4):
        check(bits, f"{bits} {number}")


def test_a_new_key_of_1024_bits() -> None:
    check(1024, "1024")


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_a_new_long_key(bits: int) -> None:
    check(bits, str(bits))


def test_the_bytes_decide_and_nothing_else() -> None:
    documents = [generate(128, random_bytes=RandomStream(label)).to_document() for label in ("a", "a", "b")]
    assert documents[0] == documents[1] != documents[2]
    drawn = {generate(128).public_key.key_id for _ in range(50)}
    assert len(drawn) == 50


@pytest.mark.parametrize("bits", [0, -2, 64, MIN_KEY_BITS - 2, 129, 3071, MAX_KEY_BITS + 2])
def test_other_sizes_are_refused(bits: int) -> None:
    with pytest.raises(CryptoError, match="even number of bits from 128 to 16384"):
        generate(bits)


def test_a_constant_is_no_source_of_random_bytes() -> None:
    with pytest.raises(CryptoError, match="what should give random bytes does not"):
        generate(128, random_bytes=bytes)


def test_two_draws_of_one_prime_are_one_draw_too_few() -> None:
    stream = RandomStream("once")
    half = generate(128, random_bytes=stream).factors[0]
    with pytest.raises(CryptoError, match="what should give random bytes does not"):
        generate(128, random_bytes=lambda count: int(half).to_bytes(count))


def test_given_primes_make_a_key() -> None:
    p, q = BLUM_PRIMES[256]
    keys = [key_from_primes(p, q, random_bytes=RandomStream(label)) for label in ("a", "b")]
    assert {key.public_key.n for key in keys} == {p * q}
    assert keys[0].public_key.hs != keys[1].public_key.hs
    for wrong in ((p, p), (p, q + 2), (1, p * q), (p, 5)):
        with pytest.raises(CryptoError, match="cannot be used"):
            key_from_primes(*wrong)
