"""Hypothesis strategies for everything that crosses the wire, and for what should never get across."""

from collections.abc import Callable
from typing import Any

import msgspec
from configurations import training_configs
from hypothesis import strategies as st

from fedgdl.wire import (
    MAX_REASON_CHARACTERS,
    ClientFailed,
    ParametersReference,
    PlainUpdate,
    Shutdown,
    TrainResult,
    TrainTask,
    WorkerFailed,
    WorkerReady,
)

ROUNDS = st.integers(1, 2**31 - 1)
CLIENT_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
REASONS = st.text(st.characters(codec="utf-8"), max_size=60) | st.just("é" * MAX_REASON_CHARACTERS)


def parameters_references() -> st.SearchStrategy[ParametersReference]:
    """Draws references to published parameters."""
    return st.builds(ParametersReference, slot=st.integers(0, 1), version=st.integers(1, 2**62), sha256=DIGESTS)


def messages_to_worker() -> st.SearchStrategy[TrainTask | Shutdown]:
    """Draws all that a coordinator may say."""
    tasks = st.builds(
        TrainTask,
        round_index=ROUNDS,
        parameters=parameters_references(),
        plan=training_configs(),
        client_ids=st.lists(CLIENT_IDS, min_size=1, max_size=4).map(tuple),
    )
    return st.just(Shutdown()) | tasks


def messages_to_coordinator() -> st.SearchStrategy[WorkerReady | WorkerFailed | TrainResult | ClientFailed]:
    """Draws all that a worker may say."""
    return st.one_of(
        st.builds(WorkerReady, DIGESTS, st.text(st.characters(codec="utf-8"), max_size=200)),
        st.builds(WorkerFailed, REASONS),
        st.builds(TrainResult, ROUNDS, CLIENT_IDS, st.binary(max_size=100)),
        st.builds(ClientFailed, ROUNDS, CLIENT_IDS, REASONS, st.booleans()),
    )


def plain_updates() -> st.SearchStrategy[PlainUpdate]:
    """Draws payloads of unprotected clients."""
    return st.builds(
        PlainUpdate,
        terms=st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.binary(max_size=40)),
        num_examples=st.integers(1, 2**53),
        train_loss=st.floats(allow_nan=False),
        train_accuracy=st.floats(0, 1),
    )


@st.composite
def damaged(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Draws bytes that began as one of the originals and met with one to four accidents."""
    data = draw(originals)
    for _ in range(draw(st.integers(1, 4))):
        accident = draw(st.sampled_from(_ACCIDENTS))
        data = accident(draw, data, originals)
    return data


def _place(draw: st.DrawFn, data: bytes) -> int:
    return draw(st.integers(0, len(data)))


def _flip(draw: st.DrawFn, data: bytes, _originals: st.SearchStrategy[bytes]) -> bytes:
    if not data:
        return data
    where = draw(st.integers(0, len(data) - 1))
    return data[:where] + bytes([data[where] ^ (1 << draw(st.integers(0, 7)))]) + data[where + 1 :]


def _insert(draw: st.DrawFn, data: bytes, _originals: st.SearchStrategy[bytes]) -> bytes:
    where = _place(draw, data)
    return data[:where] + draw(st.binary(min_size=1, max_size=6)) + data[where:]


def _overwrite(draw: st.DrawFn, data: bytes, _originals: st.SearchStrategy[bytes]) -> bytes:
    where, more = _place(draw, data), draw(st.sampled_from(_ODD_BEGINNINGS) | st.binary(min_size=1, max_size=9))
    return data[:where] + more + data[where + len(more) :]


def _delete(draw: st.DrawFn, data: bytes, _originals: st.SearchStrategy[bytes]) -> bytes:
    where = _place(draw, data)
    return data[:where] + data[where + draw(st.integers(1, 8)) :]


def _truncate(draw: st.DrawFn, data: bytes, _originals: st.SearchStrategy[bytes]) -> bytes:
    return data[: _place(draw, data)]


def _duplicate(draw: st.DrawFn, data: bytes, _originals: st.SearchStrategy[bytes]) -> bytes:
    first, last = sorted((_place(draw, data), _place(draw, data)))
    return data[:last] + data[first:]


def _splice(draw: st.DrawFn, data: bytes, originals: st.SearchStrategy[bytes]) -> bytes:
    other = draw(originals)
    return data[: _place(draw, data)] + other[_place(draw, other) :]


_ACCIDENTS: list[Callable[[st.DrawFn, bytes, st.SearchStrategy[bytes]], bytes]] = [
    _flip,
    _insert,
    _overwrite,
    _delete,
    _truncate,
    _duplicate,
    _splice,
]

_ODD_BEGINNINGS = [
    b"\xc1",  # the one byte that MessagePack never uses
    b"\xc4\xff",  # bytes, strings, arrays and maps that announce more than will come
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
    b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",  # infinity
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # 2**64 - 1
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",  # -2**63
    b"\xa3\xff\xfe\xfd",  # a string that is no UTF-8
    b"\xa3\xed\xa0\x80",  # a string that is half a character
    b"\xc9\xff\xff\xff\xff\x01",  # an extension type
    b"\x91" * 64,  # a list in a list in a list ...
    b"\x81\xa1a" * 64,
]


def wrong_structures(message: st.SearchStrategy[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Draws values that MessagePack can write and that resemble a message without being one, as a rule."""
    return message.map(lambda drawn: msgspec.to_builtins(drawn, builtin_types=(bytes,))).flatmap(_with_a_wrong_value)


_WRONG_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(st.characters(codec="utf-8"), max_size=10),
        st.binary(max_size=10),
        st.sampled_from(["x" * 100_000, b"x" * 100_000, [1] * 10_000, "", -1, 0, 2**64 - 1, 1e308]),
        st.sampled_from(["TrainTask", "Shutdown", "WorkerReady", "WorkerFailed", "TrainResult", "ClientFailed"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def _with_a_wrong_value(draw: st.DrawFn, document: Any) -> Any:  # noqa: ANN401 (whatever MessagePack can write)
    """Returns the document with a value replaced, taken away or added somewhere in it; or another in its place."""
    if not isinstance(document, dict) or not document or draw(st.integers(0, 9)) == 0:
        return draw(_WRONG_VALUES)
    key = draw(st.sampled_from([*document, "unknown", 7]))
    if isinstance(document.get(key), dict) and draw(st.booleans()):
        return {**document, key: draw(_with_a_wrong_value(document[key]))}
    if key in document and draw(st.booleans()):
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: draw(_WRONG_VALUES)}
