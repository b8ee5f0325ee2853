from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.errors import WireError
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import (
    DealtShares,
    ForwardedShares,
    KeyAdvertisement,
    Roster,
    RosterEntry,
    RoundHeader,
    ShareCommitments,
    Survivors,
    UnmaskRequest,
    UnmaskShares,
)

KEYS = KeyAdvertisement(bytes(32), bytes(range(32)), bytes(64))
COMMITMENTS = ShareCommitments(bytes(32), bytes(32))
HEADER = RoundHeader(1, bytes(16), 1, 1, "0" * 64, "0" * 64, "0" * 64, 3, 2, 3, 3, is_consistency_checked=True)

EXAMPLES: list[msgspec.Struct] = [
    HEADER,
    KEYS,
    Roster(bytes(32), (RosterEntry("alice", KEYS), RosterEntry("bob", KEYS))),
    DealtShares({"alice": bytes(82)}, {"alice": COMMITMENTS, "bob": COMMITMENTS}, bytes(32)),
    ForwardedShares({"alice": bytes(82)}, {"alice": COMMITMENTS}),
    Survivors(("alice", "bob")),
    UnmaskRequest({"alice": bytes(64)}),
    UnmaskShares({"alice": bytes(33)}, {"bob": bytes(33)}),
]

KINDS = [type(example) for example in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_what_is_encoded_is_decoded(example: msgspec.Struct) -> None:
    assert decode_struct(encode_struct(example), type(example)) == example


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(kind: type[msgspec.Struct], data: bytes) -> None:
    try:
        message = decode_struct(data, kind)
    except WireError:
        return
    assert decode_struct(encode_struct(message), kind) == message


@given(st.sampled_from(EXAMPLES), st.data())
def test_any_damage_is_a_message_or_an_error(example: msgspec.Struct, data: st.DataObject) -> None:
    encoded = bytearray(encode_struct(example))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    encoded = encoded[: data.draw(st.integers(0, len(encoded)))]
    try:
        message = decode_struct(bytes(encoded), type(example))
    except WireError:
        return
    assert decode_struct(encode_struct(message), type(example)) == message


@pytest.mark.parametrize(
    ("example", "field", "wrong"),
    [
        (HEADER, "version", 0),
        (HEADER, "session", bytes(15)),
        (HEADER, "round_index", 0),
        (HEADER, "attempt", 101),
        (HEADER, "model_sha256", "A" * 64),
        (HEADER, "num_clients", 1),
        (HEADER, "num_clients", 100_001),
        (HEADER, "degree", 0),
        (HEADER, "threshold", 1),
        (HEADER, "min_survivors", 1),
        (HEADER, "is_consistency_checked", 1),
        (KEYS, "channel_key", bytes(33)),
        (KEYS, "mask_key", b""),
        (KEYS, "signature", bytes(63)),
        (EXAMPLES[2], "sha256", bytes(31)),
        (EXAMPLES[2], "entries", [{"client_id": "alice", "keys": msgspec.to_builtins(KEYS, builtin_types=[bytes])}]),
        (EXAMPLES[3], "shares", {}),
        (EXAMPLES[3], "shares", {"alice": bytes(83)}),
        (EXAMPLES[3], "own_mask_commitment", bytes(33)),
        (EXAMPLES[4], "shares", {"": bytes(82)}),
        (EXAMPLES[5], "client_ids", ["alice"]),
        (EXAMPLES[5], "client_ids", ["alice", "b" * 201]),
        (EXAMPLES[6], "signatures", {"alice": bytes(65)}),
        (EXAMPLES[7], "own_masks", {"alice": bytes(32)}),
        (EXAMPLES[7], "mask_keys", {"alice": bytes(34)}),
        (HEADER, "extra", 1),
    ],
)
def test_what_is_out_of_bounds_is_refused(example: msgspec.Struct, field: str, wrong: Any) -> None:
    fields = msgspec.to_builtins(example, builtin_types=[bytes])
    decode_struct(msgspec.msgpack.encode(fields), type(example))
    with pytest.raises(WireError):
        decode_struct(msgspec.msgpack.encode({**fields, field: wrong}), type(example))
