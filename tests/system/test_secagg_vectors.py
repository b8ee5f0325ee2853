"""One whole round of four clients, one of them lost, pinned byte for byte; its masks made a second time otherwise."""

import json
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from secagg_rounds import insecure_stream
from secagg_vector import FILE, LOST, SEED, record


@pytest.fixture(scope="module")
def pinned() -> Any:
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_round_is_the_pinned_one(pinned: Any) -> None:
    assert json.loads(json.dumps(record())) == pinned


def test_the_opened_integers_are_the_sum_of_the_encoded_ones(pinned: Any) -> None:
    columns = zip(*(vector for client_id, vector in pinned["encoded"].items() if client_id != LOST), strict=True)
    assert LOST not in pinned["encoded"]
    assert [sum(column) for column in columns] == pinned["opened_integers"]


def framed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def ctr_mask(seed: bytes, size: int) -> np.ndarray[Any, np.dtype[np.uint32]]:
    encryptor = Cipher(algorithms.AES(seed), modes.CTR(bytes(15) + b"\x02")).encryptor()
    return np.frombuffer(encryptor.update(bytes(4 * size)), "<u4").astype(np.uint32)


def test_masked_updates_are_the_encoded_ones_plus_masks_of_a_second_implementation(pinned: Any) -> None:
    client_ids = [f"client-{index:04}" for index in range(4)]
    drawn = {client_id: insecure_stream(f"{SEED}/{client_id}")(96) for client_id in client_ids}
    mask_keys = {client_id: X25519PrivateKey.from_private_bytes(data[32:64]) for client_id, data in drawn.items()}
    context, roster = bytes.fromhex(pinned["context"]), bytes.fromhex(pinned["roster_sha256"])
    masked = next(stage for stage in pinned["stages"] if stage["stage"] == "masked input")["payloads"]
    assert masked.keys() == pinned["encoded"].keys() == set(client_ids) - {LOST}
    for client_id, encoded in pinned["encoded"].items():
        masks = ctr_mask(drawn[client_id][64:], len(encoded))
        for peer_id in client_ids:
            if peer_id == client_id:
                continue
            shared = mask_keys[client_id].exchange(
                X25519PublicKey.from_public_bytes(mask_keys[peer_id].public_key().public_bytes_raw())
            )
            pair = [name.encode() for name in sorted((client_id, peer_id))]
            info = framed(b"fedgdl secagg v1", b"mask", context, roster, *pair)
            seed = HKDF(SHA256(), 32, salt=None, info=info).derive(shared)
            masks += ctr_mask(seed, len(encoded)) if client_id < peer_id else -ctr_mask(seed, len(encoded))
        width = pinned["encoding"]["bytes_per_slot"]
        assert (masks % 256**width).tolist() == pinned["masks"][client_id]
        slots = np.array(encoded, np.uint32) + masks
        sent = b"".join(int(slot).to_bytes(4, "little")[:width] for slot in slots)
        assert sent.hex() == masked[client_id]
