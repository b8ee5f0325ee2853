"""Hypothesis strategies for everything that crosses the wire, and for what should never get across."""

from collections.abc import Sequence
from typing import Any

import msgspec
from configurations import training_configs
from hypothesis import strategies as st

from fedgdl.config import TrainingConfig
from fedgdl.wire import (
    MAX_REASON_CHARACTERS,
    ClientFailed,
    ClientMessage,
    EncodedPlainUpdate,
    ParametersReference,
    PlainUpdate,
    Shutdown,
    StageResult,
    StageTask,
    TrainResult,
    TrainStarted,
    TrainTask,
    WorkerFailed,
    WorkerReady,
)

ROUNDS = st.integers(1, 2**31 - 1)
CLIENT_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
STAGES = st.sampled_from(["advertise", "share", "consistency", "unmask"])
REASONS = st.text(st.characters(codec="utf-8"), max_size=60) | st.just("é" * MAX_REASON_CHARACTERS)


def parameters_references() -> st.SearchStrategy[ParametersReference]:
    """Draws references to published parameters."""
    return st.builds(ParametersReference, slot=st.integers(0, 1), version=st.integers(1, 2**62), sha256=DIGESTS)


def client_messages() -> st.SearchStrategy[tuple[ClientMessage, ...]]:
    """Draws what a task tells its clients."""
    return st.lists(st.builds(ClientMessage, CLIENT_IDS, st.binary(max_size=40)), min_size=1, max_size=4).map(tuple)


def messages_to_worker() -> st.SearchStrategy[TrainTask | StageTask | Shutdown]:
    """Draws all that a coordinator may say."""
    tasks = st.builds(
        TrainTask,
        round_index=ROUNDS,
        parameters=parameters_references(),
        plan=training_configs(),
        clients=client_messages(),
        common=st.binary(max_size=40),
    )
    stage_tasks = st.builds(StageTask, ROUNDS, STAGES, client_messages(), st.binary(max_size=40))
    return st.just(Shutdown()) | tasks | stage_tasks


def messages_to_coordinator() -> st.SearchStrategy[
    WorkerReady | WorkerFailed | TrainStarted | TrainResult | StageResult | ClientFailed
]:
    """Draws all that a worker may say."""
    return st.one_of(
        st.builds(WorkerReady, DIGESTS, st.text(st.characters(codec="utf-8"), max_size=200)),
        st.builds(WorkerFailed, REASONS),
        st.builds(TrainStarted, ROUNDS, CLIENT_IDS),
        st.builds(TrainResult, ROUNDS, CLIENT_IDS, st.binary(max_size=100)),
        st.builds(StageResult, ROUNDS, STAGES, CLIENT_IDS, st.binary(max_size=100)),
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


def encoded_updates() -> st.SearchStrategy[EncodedPlainUpdate]:
    """Draws payloads of unprotected clients in fixed point."""
    return st.builds(
        EncodedPlainUpdate,
        vector=st.binary(max_size=40),
        num_examples=st.integers(1, 2**53),
        train_loss=st.floats(allow_nan=False),
        train_accuracy=st.floats(0, 1),
    )


PLAN = TrainingConfig(0.1, loss_reduction="sum", drop_last=True)
WHERE = ParametersReference(1, 3, "0123456789abcdef" * 4)

SAMPLE_MESSAGES = (
    Shutdown(),
    TrainTask(1, WHERE, PLAN, (ClientMessage("alice"),)),
    TrainTask(
        2**31 - 1,
        WHERE,
        TrainingConfig(1e-300, 7, 3, "mean"),
        tuple(ClientMessage(name, b"to " + name.encode()) for name in ("bob", "sue", "é", "\U0001f600", "x" * 200)),
        b"to all",
    ),
    StageTask(1, "advertise", (ClientMessage("alice"), ClientMessage("bob", b"for bob")), b"for both"),
    StageTask(2**31 - 1, "unmask", (ClientMessage("\U0001f600", bytes(40)),)),
    WorkerReady("f" * 64, "synthetic"),
    WorkerFailed("no such file"),
    TrainResult(3, "bob", bytes(range(40))),
    TrainResult(70_000, "sue", b""),
    StageResult(3, "share", "bob", bytes(range(40))),
    StageResult(1, "consistency", "sue", b""),
    ClientFailed(1, "alice", "it has no examples"),
    ClientFailed(2, "bob", "x" * 300, is_defect=True),
)
"""One or two of each kind, to begin damage with: drawing them anew each time would take most of the time."""

SAMPLE_UPDATES = (
    PlainUpdate({"weighted_delta": bytes(range(48)), "weight": bytes(4)}, 17, 0.25, 0.75),
    PlainUpdate({str(number): b"" for number in range(20)}, 2**53, float("inf"), 0.0),
)

SAMPLE_ENCODED_UPDATES = (
    EncodedPlainUpdate(bytes(range(48)), 17, 0.25, 0.75),
    EncodedPlainUpdate(b"", 2**53, float("inf"), 0.0),
)


def damaged(originals: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draws bytes that began as one of the originals and met with one to four accidents."""
    return st.builds(
        lambda original, recipe: _spoil(original, recipe, originals),
        st.sampled_from(originals),
        st.binary(min_size=4, max_size=16),
    )


def _spoil(data: bytes, recipe: bytes, originals: Sequence[bytes]) -> bytes:
    """Returns the data after the accidents that a recipe states in four bytes each; drawn at once, for speed."""
    for start in range(0, len(recipe) - 3, 4):
        kind, high, low, extra = recipe[start : start + 4]
        where = (256 * high + low) % (len(data) + 1)
        before, behind = data[:where], data[where:]
        match kind % 7:
            case 0:  # a bit flips
                data = before + bytes([byte ^ 1 << extra % 8 for byte in behind[:1]]) + behind[1:]
            case 1:  # bytes come in
                data = before + bytes([extra]) * (1 + high % 8) + behind
            case 2:  # bytes are overwritten
                more = _ODD_BEGINNINGS[extra % len(_ODD_BEGINNINGS)]
                data = before + more + behind[len(more) :]
            case 3:  # bytes get lost
                data = before + behind[1 + extra % 8 :]
            case 4:  # the end gets lost
                data = before
            case 5:  # a part comes twice
                data = before + before[extra % (where + 1) :] + behind
            case 6:  # the end is that of another
                other = originals[extra % len(originals)]
                data = before + other[where % (len(other) + 1) :]
    return data


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


def wrong_structures(originals: Sequence[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Draws values that MessagePack can write and that resemble a message without being one, as a rule."""
    documents = [msgspec.to_builtins(original, builtin_types=(bytes,)) for original in originals]
    return st.sampled_from(documents).flatmap(_with_a_wrong_value)


_WRONG_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(st.characters(codec="utf-8"), max_size=10),
        st.binary(max_size=10),
        st.sampled_from(["x" * 100_000, b"x" * 100_000, [1] * 10_000, "", -1, 0, 2**64 - 1, 1e308]),
        st.sampled_from(
            ["TrainTask", "StageTask", "Shutdown", "WorkerReady", "WorkerFailed", "TrainResult", "StageResult"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=4,
)


@st.composite
def _with_a_wrong_value(draw: st.DrawFn, document: Any) -> Any:
    """Returns the document with a value replaced, taken away or added somewhere in it; or another in its place."""
    if not isinstance(document, dict) or not document or draw(st.integers(0, 9)) == 0:
        return draw(_WRONG_VALUES)
    key = draw(st.sampled_from([*document, "unknown", 7]))
    if isinstance(document.get(key), dict) and draw(st.booleans()):
        return {**document, key: draw(_with_a_wrong_value(document[key]))}
    if key in document and draw(st.booleans()):
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: draw(_WRONG_VALUES)}
