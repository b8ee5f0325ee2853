"""Sealing: GCM's own answers, and one and the same error for whatever differs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import load_vectors

from fedgdl.crypto.masking import SEAL_BYTES, seal, unseal
from fedgdl.errors import CryptoError

KEY = bytes(range(32))

keys = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("case", load_vectors("aes256.json")["gcm"], ids=lambda case: case["case"])
def test_gcm_under_the_zero_nonce(case: dict[str, str]) -> None:
    assert case["nonce"] == "00" * 12
    sealed = seal(bytes.fromhex(case["key"]), bytes.fromhex(case["plaintext"]), b"")
    assert sealed.hex() == case["ciphertext"] + case["tag"]


@given(keys, st.binary(max_size=200), st.binary(max_size=50))
def test_what_was_sealed_is_opened(key: bytes, plaintext: bytes, associated_data: bytes) -> None:
    sealed = seal(key, plaintext, associated_data)
    assert len(sealed) == len(plaintext) + SEAL_BYTES
    assert unseal(key, sealed, associated_data) == plaintext


@given(st.binary(min_size=1, max_size=60), st.data())
def test_every_changed_bit_is_found(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, plaintext, b"bob to alice"))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CryptoError):
        unseal(KEY, bytes(sealed), b"bob to alice")


def test_whatever_differs_the_error_is_the_same() -> None:
    sealed = seal(KEY, b"a share", b"bob to alice")
    tries = [
        (KEY[::-1], sealed, b"bob to alice"),
        (KEY, sealed, b"alice to bob"),
        (KEY, sealed, b""),
        (KEY, sealed[:-1], b"bob to alice"),
        (KEY, sealed + b"\0", b"bob to alice"),
        (KEY, sealed[:SEAL_BYTES], b"bob to alice"),
        (KEY, sealed[: SEAL_BYTES - 1], b"bob to alice"),
        (KEY, b"", b"bob to alice"),
        (KEY, bytes(len(sealed)), b"bob to alice"),
    ]
    words = set()
    for key, changed, associated_data in tries:
        with pytest.raises(CryptoError) as caught:
            unseal(key, changed, associated_data)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        words.add(str(caught.value))
    assert words == {"the sealed message cannot be opened"}


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_keys_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(CryptoError, match="AES-256"):
        seal(bytes(length), b"", b"")
    with pytest.raises(CryptoError, match="AES-256"):
        unseal(bytes(length), bytes(16), b"")
