"""Known answers of every key, scheme, packing and share: what was encrypted once stays readable, bit for bit."""

import hashlib
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz
from paillier_keys import BLUM_PRIMES, SAFE_PRIMES, RandomStream
from vectors import load_vectors

from fedgdl.crypto.paillier import Packing, PaillierPublicKey, combine, read_ciphertexts, write_ciphertexts
from fedgdl.crypto.paillier.private import KeyShare, PaillierPrivateKey, key_from_primes, share_key

VECTORS = load_vectors("paillier.json")
KEYS = {key["name"]: PaillierPrivateKey.from_document(key["private_document"].encode()) for key in VECTORS["keys"]}


def number(digits: str) -> mpz:
    return mpz(digits, 16)


@pytest.mark.parametrize("case", VECTORS["keys"], ids=lambda case: case["name"])
def test_keys_and_their_documents(case: dict[str, Any]) -> None:
    key = KEYS[case["name"]]
    p, q = number(case["p"]), number(case["q"])
    assert key.factors == (p, q) == tuple(sorted(BLUM_PRIMES[key.public_key.num_bits]))
    assert key.to_document() == case["private_document"].encode()
    assert key.public_key.to_bytes() == case["public_document"].encode()
    assert key.public_key.key_id == case["key_id"]
    assert PaillierPublicKey.from_bytes(case["public_document"].encode()) == key.public_key
    if case["hs"] is None:
        assert key.public_key == PaillierPublicKey(p * q)
        return
    assert key.public_key == PaillierPublicKey(p * q, number(case["hs"]))
    made = key_from_primes(p, q, random_bytes=RandomStream(f"x {key.public_key.num_bits}"))
    assert made.to_document() == key.to_document()


@pytest.mark.parametrize("case", VECTORS["encryptions"], ids=lambda case: f"{case['key']} {case['plaintext'][:8]}")
def test_encryption_and_decryption(case: dict[str, Any]) -> None:
    key = KEYS[case["key"]]
    n, n_squared = key.public_key.n, key.public_key.n_squared
    plaintext, obfuscator = number(case["plaintext"]), number(case["obfuscator"])
    if key.public_key.hs is None:
        assert pow(number(case["base"]), n, n_squared) == obfuscator
    else:
        assert pow(key.public_key.hs, number(case["exponent"]), n_squared) == obfuscator
    assert key.public_key.encrypt(plaintext, obfuscator) == number(case["ciphertext"])
    assert key.decrypt(number(case["ciphertext"])) == plaintext


@pytest.mark.parametrize("case", VECTORS["packings"], ids=lambda case: case["name"])
def test_packings(case: dict[str, Any]) -> None:
    key = KEYS[case["key"]]
    packing = Packing(case["size"], case["sum_bits"], key.public_key.plaintext_bits)
    assert packing.slots_per_plaintext == case["slots_per_plaintext"]
    vector = np.array(case["vector"], case["dtype"])
    plaintexts = packing.pack(vector)
    assert plaintexts == list(map(number, case["plaintexts"]))
    ciphertexts = list(map(key.public_key.encrypt, plaintexts, map(number, case["obfuscators"])))
    data = bytes.fromhex(case["ciphertexts"])
    assert write_ciphertexts(key.public_key, ciphertexts) == data
    opened = packing.unpack(key.decrypt_many(read_ciphertexts(key.public_key, packing, data)), vector.dtype)
    assert opened.dtype == vector.dtype
    assert opened.tolist() == case["vector"]


@pytest.mark.parametrize("case", VECTORS["threshold"], ids=lambda case: case["label"])
def test_shares_and_partial_decryptions(case: dict[str, Any]) -> None:
    p, q = number(case["p"]), number(case["q"])
    assert (p, q) == SAFE_PRIMES[(p * q).bit_length()]
    size = case["num_shares"], case["threshold"]
    public_key, shares = share_key(p, q, *size, random_bytes=RandomStream(case["label"]))
    assert public_key == PaillierPublicKey(p * q, number(case["hs"]))
    expected = [KeyShare(public_key, x, number(value), *size) for x, value in enumerate(case["values"], start=1)]
    documents = [share.to_bytes() for share in shares]
    assert documents == [share.to_bytes() for share in expected]
    assert hashlib.sha256(b"".join(documents)).hexdigest() == case["documents_sha256"]
    ciphertexts = list(map(number, case["ciphertexts"]))
    partials = {share.x: share.partial_decrypt_many(ciphertexts) for share in shares}
    assert list(partials.values()) == [list(map(number, row)) for row in case["partials"]]
    plaintexts = list(map(number, case["plaintexts"]))
    assert combine(public_key, *size, partials) == plaintexts
    assert PaillierPrivateKey(p, q, public_key).decrypt_many(ciphertexts) == plaintexts
