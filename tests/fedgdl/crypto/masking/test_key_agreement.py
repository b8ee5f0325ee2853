"""Key agreement: the RFCs' own answers, both sides the same, and no private key where it does not belong."""

import copy
import hashlib
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import load_vectors

from fedgdl.crypto.masking import KeyPair, derive_key, is_canonical
from fedgdl.errors import CryptoError

X25519 = load_vectors("x25519.json")
HKDF = load_vectors("hkdf_sha256.json")["cases"]

keys = st.binary(min_size=32, max_size=32)


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2, as it is written there."""
    pseudorandom_key = hmac.digest(salt or bytes(32), ikm, "sha256")
    output, block = b"", b""
    while len(output) < length:
        block = hmac.digest(pseudorandom_key, block + info + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:length]


@pytest.mark.parametrize("case", X25519["products"])
def test_products_of_rfc_7748(case: dict[str, str]) -> None:
    pair = KeyPair.from_private_bytes(bytes.fromhex(case["scalar"]))
    assert pair.agree(bytes.fromhex(case["u"])).hex() == case["product"]


def test_iterations_of_rfc_7748() -> None:
    scalar = point = (9).to_bytes(32, "little")
    after = {}
    for iteration in range(1, 1001):
        scalar, point = KeyPair.from_private_bytes(scalar).agree(point), scalar
        after[str(iteration)] = scalar.hex()
    assert X25519["iterations"].items() <= after.items()


def test_agreement_of_rfc_7748() -> None:
    case = {name: bytes.fromhex(text) for name, text in X25519["agreement"].items()}
    first = KeyPair.from_private_bytes(case["first_private"])
    second = KeyPair.from_private_bytes(case["second_private"])
    assert (first.public_key, second.public_key) == (case["first_public"], case["second_public"])
    assert first.agree(second.public_key) == second.agree(first.public_key) == case["shared"]


@pytest.mark.parametrize("point", X25519["low_order"])
def test_a_point_with_which_anyone_knows_the_result_is_refused(point: str) -> None:
    with pytest.raises(CryptoError, match="not an X25519 public key"):
        KeyPair.generate().agree(bytes.fromhex(point))


@given(keys)
def test_of_all_writings_of_a_key_its_owners_alone_is_canonical(drawn: bytes) -> None:
    own, other = KeyPair.from_private_bytes(drawn), KeyPair.generate()
    disguised = own.public_key[:-1] + bytes([own.public_key[-1] | 0x80])
    assert is_canonical(own.public_key)
    assert other.agree(disguised) == other.agree(own.public_key)
    assert not is_canonical(disguised)


def test_a_key_is_canonical_below_the_prime_and_in_32_bytes() -> None:
    prime = 2**255 - 19
    assert [is_canonical(number.to_bytes(32, "little")) for number in (9, prime - 1, prime, prime + 9)] == [
        True,
        True,
        False,
        False,
    ]
    assert not is_canonical(bytes(31))
    assert not is_canonical(bytes(33))


@given(keys, keys)
def test_both_sides_agree(first: bytes, second: bytes) -> None:
    one, other = KeyPair.from_private_bytes(first), KeyPair.from_private_bytes(second)
    assert one.agree(other.public_key) == other.agree(one.public_key)


@given(keys)
def test_a_private_key_comes_back_as_it_was_drawn(drawn: bytes) -> None:
    pair = KeyPair.generate(lambda count: drawn[:count])
    assert pair.private_bytes() == drawn
    assert KeyPair.from_private_bytes(pair.private_bytes()).public_key == pair.public_key


def test_every_pair_is_drawn_anew() -> None:
    pairs = [KeyPair.generate() for _ in range(20)]
    assert len({pair.public_key for pair in pairs}) == 20


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_keys_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(CryptoError, match="private key"):
        KeyPair.from_private_bytes(bytes(length))
    with pytest.raises(CryptoError, match="private key"):
        KeyPair.generate(lambda _: bytes(length))
    with pytest.raises(CryptoError, match="public key"):
        KeyPair.generate().agree(bytes(length))


def test_a_pair_shows_and_gives_away_no_private_key() -> None:
    pair = KeyPair.generate()
    shown = repr(pair) + str(pair) + f"{pair!r:>200}"
    assert pair.private_bytes().hex() not in shown
    assert repr(pair.private_bytes()) not in shown
    assert pair.public_key.hex() in shown
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            give_away(pair)
    assert not hasattr(pair, "__dict__")


def test_pairs_are_not_compared() -> None:
    pair = KeyPair.generate()
    same = KeyPair.from_private_bytes(pair.private_bytes())
    assert pair != same
    assert len({pair, same}) == 2


@pytest.mark.parametrize("case", HKDF, ids=lambda case: case["case"])
def test_the_reference_of_these_tests_gives_the_answers_of_rfc_5869(case: dict[str, str]) -> None:
    ikm, salt, info, okm = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info", "okm"))
    assert hkdf(ikm, salt, info, len(okm)) == okm


def test_derived_keys_are_those_of_rfc_5869_without_salt() -> None:
    (case,) = (case for case in HKDF if case["salt"] == "")
    assert derive_key(bytes.fromhex(case["ikm"]), b"") == bytes.fromhex(case["okm"])[:32]


@given(keys, st.binary(max_size=300))
def test_derived_keys_are_hkdf(shared: bytes, info: bytes) -> None:
    assert derive_key(shared, info) == hkdf(shared, b"", info, 32)


def test_each_purpose_has_a_key_of_its_own() -> None:
    shared = hashlib.sha256(b"shared").digest()
    assert len({derive_key(shared, info) for info in (b"", b"mask", b"channel", b"mask\0", b"\0mask")}) == 5
