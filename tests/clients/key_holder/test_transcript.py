"""What is signed: each part behind its length, so that no two statements have the same bytes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clients.key_holder.transcript import certificate_digest, context_digest, update_digest
from fedgdl.wire.paillier import KeyCertificate

CERTIFICATE = KeyCertificate(1, bytes(range(16)), b"a key", 3, 2, bytes(64))


def digest(*parts: bytes) -> bytes:
    text = b"".join(len(part).to_bytes(4, "big") + part for part in (b"fedgdl paillier v1", *parts))
    return hashlib.sha256(text).digest()


def test_each_statement_has_the_bytes_that_are_documented() -> None:
    """They are part of the protocol: whoever changes them has to change its version."""
    assert context_digest(b"header") == digest(b"context", b"header")
    hashed = hashlib.sha256(b"ciphertexts").digest()
    assert update_digest(b"context", "zoë", b"ciphertexts") == digest(b"update", b"context", "zoë".encode(), hashed)
    assert certificate_digest(CERTIFICATE) == digest(b"certificate", b"1", b"3", b"2", bytes(range(16)), b"a key")


@given(st.binary(max_size=8), st.text(max_size=8), st.binary(max_size=8), st.binary(max_size=8), st.text(max_size=8))
def test_different_updates_are_different_statements(
    context: bytes, client_id: str, ciphertexts: bytes, other_context: bytes, other_id: str
) -> None:
    one = update_digest(context, client_id, ciphertexts)
    assert (one == update_digest(other_context, other_id, ciphertexts)) == (
        (context, client_id) == (other_context, other_id)
    )


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"session": bytes(16)}, {"public_key": b"other"}, {"num_shares": 2}, {"threshold": 3}]
)
def test_all_of_a_certificate_is_signed_but_the_signature(change: dict[str, object]) -> None:
    assert certificate_digest(replace(CERTIFICATE, **change)) != certificate_digest(CERTIFICATE)
    assert certificate_digest(replace(CERTIFICATE, signature=b"x" * 64)) == certificate_digest(CERTIFICATE)
