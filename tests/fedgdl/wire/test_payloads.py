"""The insides of unprotected payloads: any bytes are an update in bounds, or end in `WireError`."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import (
    SAMPLE_ENCODED_UPDATES,
    SAMPLE_UPDATES,
    damaged,
    encoded_updates,
    plain_updates,
    wrong_structures,
)

from fedgdl.errors import WireError
from fedgdl.wire import EncodedPlainUpdate, PlainUpdate, decode_struct, encode_struct


def check_payload(update: object) -> None:
    """Fails for an update with anything in it that is out of its bounds."""
    match update:
        case PlainUpdate(terms, num_examples, train_loss, train_accuracy):
            assert len(terms) <= 64
            for name, data in terms.items():
                assert 1 <= len(name) <= 100
                name.encode()  # no half characters
                assert isinstance(data, bytes)
            assert 1 <= num_examples <= 2**53
            assert isinstance(train_loss, float)
            assert 0 <= train_accuracy <= 1
        case EncodedPlainUpdate(vector, num_examples, train_loss, train_accuracy):
            assert isinstance(vector, bytes)
            assert 1 <= num_examples <= 2**53
            assert isinstance(train_loss, float)
            assert 0 <= train_accuracy <= 1
        case _:
            pytest.fail(f"not an update: {update!r}")


def take_payload(data: bytes) -> None:
    for kind in (PlainUpdate, EncodedPlainUpdate):
        try:
            update: msgspec.Struct = decode_struct(data, kind)
        except WireError as error:
            assert 0 < len(str(error)) < 1_000  # noqa: PT017 (it need not be raised)
        else:
            check_payload(update)


@given(plain_updates())
def test_a_plain_update_arrives(update: PlainUpdate) -> None:
    assert decode_struct(encode_struct(update), PlainUpdate) == update


@given(encoded_updates())
def test_an_encoded_update_arrives(update: EncodedPlainUpdate) -> None:
    assert decode_struct(encode_struct(update), EncodedPlainUpdate) == update


@settings(max_examples=1_500, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    take_payload(data)


@settings(max_examples=1_500, deadline=None)
@given(damaged([encode_struct(update) for update in (*SAMPLE_UPDATES, *SAMPLE_ENCODED_UPDATES)]))
def test_damaged_payloads(data: bytes) -> None:
    take_payload(data)


@settings(max_examples=500, deadline=None)
@given(wrong_structures((*SAMPLE_UPDATES, *SAMPLE_ENCODED_UPDATES)))
def test_wrong_structures_in_a_payload(document: object) -> None:
    take_payload(msgspec.msgpack.encode(document))


# What is refused, one thing at a time

UPDATE = PlainUpdate({"delta": b"1234"}, 3, 0.5, 1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": {str(number): b"" for number in range(65)}},
        {"terms": {"": b""}},
        {"terms": {"x" * 101: b""}},
        {"terms": {1: b""}},
        {"terms": {"delta": "text"}},
        {"num_examples": 0},
        {"num_examples": 2**53 + 1},
        {"num_examples": math.inf},
        {"train_accuracy": 1.5},
        {"train_accuracy": math.nan},
        {"train_loss": "0.5"},
        {"unknown": 1},
    ],
)
def test_what_is_out_of_bounds_is_refused_in_a_payload(changes: dict[str, object]) -> None:
    document = {**msgspec.to_builtins(UPDATE, builtin_types=(bytes,)), **changes}
    with pytest.raises(WireError):
        decode_struct(msgspec.msgpack.encode(document), PlainUpdate)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_passes_the_wire(loss: float) -> None:
    """Training that diverged is no damaged frame: the aggregation names it and leaves the client out."""
    update = decode_struct(encode_struct(PlainUpdate({}, 1, loss, 0.0)), PlainUpdate)
    assert update.train_loss == loss or math.isnan(update.train_loss)
