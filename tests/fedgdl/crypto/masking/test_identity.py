"""Identities: frozen keys and signatures, verification that remembers without mixing up, and a secret that stays."""

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import load_vectors

from fedgdl.crypto.masking import SIGNATURE_BYTES, Identities, identity
from fedgdl.errors import CryptoError

VECTORS = load_vectors("identity.json")
SECRET = bytes(range(32))
IDENTITIES = Identities(SECRET)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["client_id"])
def test_keys_and_signatures_stay_what_they_are(case: dict[str, Any]) -> None:
    identities = Identities(bytes.fromhex(VECTORS["secret"]))
    message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    assert identities.public_key(case["client_id"]).hex() == case["public_key"]
    assert identities.sign(case["client_id"], message) == signature
    assert identities.verify(case["client_id"], message, signature)


@given(st.text(max_size=8), st.text(max_size=8), st.binary(max_size=20), st.binary(max_size=20))
def test_a_signature_is_of_one_client_and_one_message(client: str, other: str, message: bytes, another: bytes) -> None:
    signature = IDENTITIES.sign(client, message)
    assert len(signature) == SIGNATURE_BYTES
    for _ in range(2):  # the second time it is remembered
        assert IDENTITIES.verify(client, message, signature)
        assert IDENTITIES.verify(other, message, signature) == (client == other)
        assert IDENTITIES.verify(client, another, signature) == (message == another)


def test_every_changed_byte_of_a_signature_is_found() -> None:
    signature = IDENTITIES.sign("bob", b"message")
    for index in range(SIGNATURE_BYTES):
        changed = bytearray(signature)
        changed[index] ^= 1
        assert not IDENTITIES.verify("bob", b"message", bytes(changed))
    assert IDENTITIES.verify("bob", b"message", signature)


@pytest.mark.parametrize("length", [0, 63, 65, 1000])
def test_what_is_no_signature_verifies_nothing(length: int) -> None:
    assert not IDENTITIES.verify("bob", b"message", IDENTITIES.sign("bob", b"message").ljust(length, b"\0")[:length])


def test_another_secret_makes_other_clients() -> None:
    others = Identities(SECRET[::-1])
    assert others.public_key("bob") != IDENTITIES.public_key("bob")
    assert not others.verify("bob", b"message", IDENTITIES.sign("bob", b"message"))
    assert Identities(SECRET).verify("bob", b"message", IDENTITIES.sign("bob", b"message"))


def test_a_bounded_number_of_outcomes_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_MAX_KEPT_OUTCOMES", 3)
    identities = Identities(SECRET)
    signed = [(bytes([number]), identities.sign("bob", bytes([number]))) for number in range(6)]
    for message, signature in signed + signed:
        assert identities.verify("bob", message, signature)
        assert not identities.verify("alice", message, signature)
        assert len(identities._outcomes) <= 3


def test_the_secret_is_shown_and_given_to_nobody() -> None:
    shown = f"{IDENTITIES!r} {IDENTITIES}"
    assert SECRET.hex() not in shown
    assert repr(SECRET) not in shown
    for give_away in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            give_away(IDENTITIES)
    assert not hasattr(IDENTITIES, "__dict__")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_secrets_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(CryptoError, match="32 bytes"):
        Identities(bytes(length))
