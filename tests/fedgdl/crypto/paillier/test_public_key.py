"""Public keys: encryption and sums against the textbook, the key as a document, and what is no key."""

import copy
import hashlib
import json
import pickle
from typing import Any

import gmpy2
import phe
import pytest
from gmpy2 import mpz
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_paillier import small_key

from fedgdl.crypto.paillier import PaillierPublicKey
from fedgdl.errors import CryptoError

SIZES = (21, 128, 256, 512)
KEY = small_key().public_key
N, N_SQUARED = int(KEY.n), int(KEY.n) ** 2
NO_KEY = "the Paillier public key cannot be used"

plaintexts = st.integers(0, N - 1) | st.sampled_from([0, 1, N // 2, N - 2, N - 1])
units = st.integers(1, N - 1).filter(lambda unit: gmpy2.gcd(unit, N) == 1)


@given(plaintexts, units)
def test_a_ciphertext_is_the_textbooks(plaintext: int, unit: int) -> None:
    obfuscator = pow(unit, N, N_SQUARED)
    ciphertext = KEY.encrypt(plaintext, obfuscator)
    assert ciphertext == pow(N + 1, plaintext, N_SQUARED) * obfuscator % N_SQUARED
    assert small_key().open(ciphertext) == plaintext


@settings(max_examples=30)
@given(st.lists(st.tuples(plaintexts, units), max_size=5))
def test_many_are_encrypted_as_each_by_itself(pairs: list[tuple[int, int]]) -> None:
    obfuscators = [pow(unit, N, N_SQUARED) for _, unit in pairs]
    together = KEY.encrypt_many([plaintext for plaintext, _ in pairs], map(KEY.split, obfuscators))
    alone = [KEY.encrypt(plaintext, x) for (plaintext, _), x in zip(pairs, obfuscators, strict=True)]
    assert together == alone


@given(units)
def test_an_obfuscator_is_split_and_joined(unit: int) -> None:
    obfuscator = pow(unit, N, N_SQUARED)
    quotient, remainder = KEY.split(obfuscator)
    assert 0 <= quotient < N
    assert 0 <= remainder < N
    assert KEY.join(quotient, remainder) == obfuscator


@settings(max_examples=30)
@given(st.lists(st.tuples(plaintexts, units), min_size=1, max_size=8))
def test_a_product_is_of_the_sum(pairs: list[tuple[int, int]]) -> None:
    total = mpz(1)
    for plaintext, unit in pairs:
        total = KEY.add(total, KEY.encrypt(plaintext, pow(unit, N, N_SQUARED)))
    assert 0 < total < N_SQUARED
    assert small_key().open(total) == sum(plaintext for plaintext, _ in pairs) % N


@pytest.mark.parametrize("plaintext", [-1, N, N + 1, -N, N_SQUARED])
def test_a_plaintext_that_does_not_fit_is_refused(plaintext: int) -> None:
    with pytest.raises(CryptoError, match="does not fit"):
        KEY.encrypt(plaintext, 1)
    with pytest.raises(CryptoError, match="does not fit"):
        KEY.encrypt_many([0, plaintext], [KEY.split(1)] * 2)


@pytest.mark.parametrize("num_bits", SIZES)
@pytest.mark.parametrize("scheme", ["djn", "textbook"])
def test_what_a_key_says_of_itself(num_bits: int, scheme: str) -> None:
    key = small_key(num_bits, scheme).public_key
    assert (key.num_bits, key.scheme, key.plaintext_bits) == (num_bits, scheme, num_bits - 1)
    assert key.n_squared == key.n**2
    assert 2**key.plaintext_bits <= key.n < 2**key.num_bits
    assert key.n_squared < 256**key.ciphertext_bytes
    assert key.ciphertext_bytes == -(-2 * num_bits // 8)
    assert key.key_id == hashlib.sha256(key.to_bytes()).hexdigest()
    assert str(num_bits) in repr(key)
    assert scheme in repr(key)


@pytest.mark.parametrize("num_bits", SIZES)
@pytest.mark.parametrize("scheme", ["djn", "textbook"])
def test_documents_bring_the_key_back(num_bits: int, scheme: str) -> None:
    key = small_key(num_bits, scheme).public_key
    again = PaillierPublicKey.from_bytes(key.to_bytes())
    assert again == key
    assert (again.n, again.hs, again.key_id, hash(again)) == (key.n, key.hs, key.key_id, hash(key))
    assert json.loads(key.to_bytes())["version"] == 1


def test_other_numbers_are_another_key() -> None:
    keys = [small_key(size, scheme).public_key for size in SIZES for scheme in ("djn", "textbook")]
    assert len(set(keys)) == len({key.key_id for key in keys}) == len(keys)
    assert PaillierPublicKey(N, pow(-(7**2), N, N_SQUARED)) != KEY
    assert {KEY}.isdisjoint({KEY.n, KEY.to_bytes()})


@pytest.mark.parametrize("duplicate", [lambda key: pickle.loads(pickle.dumps(key)), copy.copy, copy.deepcopy])
def test_a_key_is_pickled_and_copied(duplicate: Any) -> None:
    again = duplicate(KEY)
    assert again == KEY
    assert again.encrypt(5, 1) == KEY.encrypt(5, 1)


def test_every_changed_byte_of_a_document_is_found() -> None:
    document = KEY.to_bytes()
    for index in range(len(document)):
        for mask in (1, 4, 16, 32, 128):
            changed = bytearray(document)
            changed[index] ^= mask
            require_no_key(bytes(changed))


@given(st.data())
def test_every_document_that_is_cut_or_longer_is_found(data: st.DataObject) -> None:
    document = KEY.to_bytes()
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(document))] * 2)))
    changed = document[:start] + data.draw(st.binary(max_size=5)) + document[stop:]
    assume(changed != document)
    require_no_key(changed)


@given(st.binary(max_size=60) | st.text(max_size=20).map(str.encode))
def test_what_is_no_document_is_no_key(data: bytes) -> None:
    require_no_key(data)


FIELDS = json.loads(KEY.to_bytes())


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"format": "another"},
        {"n": N},
        {"n": f"0{FIELDS['n']}"},
        {"n": FIELDS["n"].upper()},
        {"n": "-" + FIELDS["n"]},
        {"hs": 2},
        {"hs": ""},
        {"hs": None},
        {"more": 1},
        {"sha256": ""},
    ],
    ids=str,
)
def test_every_other_spelling_is_refused(changes: dict[str, Any]) -> None:
    text = json.dumps({**FIELDS, **changes}, separators=(",", ":"), sort_keys=True) + "\n"
    require_no_key(text.encode())


@pytest.mark.parametrize("data", [b"[]", b"1", b'"n"', b"null", b"[" * 10_000, b'{"n": "' + b"1" * 10**6 + b'"}'])
def test_documents_that_are_no_object_are_refused(data: bytes) -> None:
    require_no_key(data)


def require_no_key(data: bytes) -> None:
    with pytest.raises(CryptoError) as raised:
        PaillierPublicKey.from_bytes(data)
    assert str(raised.value) == NO_KEY


NO_NUMBERS = {
    "zero": (0, None),
    "negative": (-77, None),
    "short": (15, None),
    "even": (N + 1, None),
    "a square": (int(gmpy2.next_prime(2**64)) ** 2, None),
    "long": ((1 << 16_384) + 1, None),
    "hs is 0": (N, 0),
    "hs is 1": (N, 1),
    "hs is negative": (N, -5),
    "hs is 0 modulo n": (N, N),
    "hs is n^2": (N, N_SQUARED),
    "hs is not reduced": (N, N_SQUARED + 4),
    "hs has a factor in common with n": (N, small_key().p),
    "hs shows its exponent": (N, N + 1),
    "hs shows its exponent up to a sign": (N, 5 * N - 1),
    "hs is 1 modulo a prime": (N, pow(4 * small_key().p ** 2 + 1, 2)),
    "n is 3 modulo 4": (7 * 13, 4),
}


@pytest.mark.parametrize(("n", "hs"), NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_numbers_that_cannot_be_a_key_are_refused(n: int, hs: int | None) -> None:
    with pytest.raises(CryptoError) as raised:
        PaillierPublicKey(n, hs)
    assert str(raised.value) == NO_KEY


def test_an_hs_that_is_no_power_of_minus_a_square_is_refused() -> None:
    other = next(base for base in range(2, 100) if gmpy2.jacobi(base, N) == -1)
    with pytest.raises(CryptoError, match=NO_KEY):
        PaillierPublicKey(N, pow(other, N, N_SQUARED))


def test_keys_become_those_of_phe_and_back() -> None:
    theirs = KEY.to_phe()
    assert isinstance(theirs, phe.PaillierPublicKey)
    assert (theirs.n, theirs.nsquare) == (N, N_SQUARED)
    ours = PaillierPublicKey.from_phe(theirs)
    assert ours == small_key(scheme="textbook").public_key
    assert ours.encrypt(42, pow(5, N, N_SQUARED)) == theirs.raw_encrypt(42, r_value=5)
    with pytest.raises(CryptoError, match=NO_KEY):
        PaillierPublicKey.from_phe(phe.PaillierPublicKey(10))
