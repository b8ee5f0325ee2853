"""The key holder's frames: what it says of itself, how far it is, and that damaged frames open nothing.

What it refuses to a coordinator that lies is shown in tests/system/test_paillier_lies.py.
"""

import pickle
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import damaged
from msgspec.structs import replace
from paillier_attacker import Attacker
from paillier_rounds import Cohort, names

from clients.key_holder import key_holder as module
from clients.key_holder.key_holder import KeyHolder
from clients.key_holder.rules import check_certificate
from fedgdl.crypto.paillier.private import chunks
from fedgdl.errors import ProtocolError, WireError
from fedgdl.wire import Codec, Shutdown, encode
from fedgdl.wire.paillier import (
    AddUpdate,
    FromKeyHolder,
    KeyHolderReady,
    OpenSum,
    Refused,
    RoundOpened,
    SignedUpdate,
    SumOpened,
    SumProgress,
)

FOUR = names(4)
CODEC: Codec[FromKeyHolder] = Codec(FromKeyHolder, 10_000_000)


def scene(sum_check: str = "signed") -> Attacker:
    """Returns a coordinator, honest so far, that has the updates of four clients."""
    return Attacker(Cohort(4, sum_check=sum_check)).ask_for_updates()


def holder(scene: Attacker) -> KeyHolder:
    return scene.cohort.key_holders[-1]


def test_it_introduces_itself_with_a_certificate_that_it_has_signed() -> None:
    of = scene()
    ready = CODEC.decode(holder(of).ready())
    assert isinstance(ready, KeyHolderReady)
    check_certificate(ready.certificate, of.cohort.identities)
    assert (ready.certificate.num_shares, ready.certificate.threshold) == (0, 0)
    for changed in (
        replace(ready.certificate, session=bytes(16)),
        replace(ready.certificate, public_key=ready.certificate.public_key + b" "),
        replace(ready.certificate, num_shares=2),
        replace(ready.certificate, threshold=2),
        replace(ready.certificate, signature=bytes(64)),
        replace(ready.certificate, version=2),
    ):
        with pytest.raises(ProtocolError):
            check_certificate(changed, of.cohort.identities)


def test_it_is_shut_down_without_a_word() -> None:
    of = holder(scene())
    assert not of.is_shut_down
    assert not list(of.handle(encode(Shutdown())))
    assert of.is_shut_down


def test_before_a_round_nothing_is_added_or_opened() -> None:
    of = scene()
    of.add(of.part(FOUR[0]))
    of.open(FOUR)
    assert of.refusals == ["no round has begun"] * 2


def test_what_is_of_another_round_is_neither_added_nor_opened() -> None:
    of = scene()
    of.begin()
    of.add(of.part(FOUR[0]), round_index=2)
    of.open(FOUR, round_index=2)
    assert of.refusals == ["the coordinator speaks of round 2 in round 1"] * 2


def test_trusted_sums_are_formed_elsewhere() -> None:
    of = scene("trusted")
    of.begin()
    of.add(of.part(FOUR[0]))
    of.open(FOUR)
    assert "are formed by the coordinator" in of.refusals[0]
    assert "sent no sum" in of.refusals[1]


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROGRESS_SECONDS", 0)
    monkeypatch.setattr(chunks, "_CHUNK", 1)
    of = scene()
    of.begin()
    of.add(*map(of.part, FOUR))
    answers = [CODEC.decode(frame) for frame in holder(of).handle(encode(OpenSum(1, FOUR)))]
    total = of.packing.num_plaintexts
    assert total > 1
    expected = [SumProgress(1, done, total) for done in range(1, total + 1)]
    assert answers[:-1] == expected
    assert isinstance(answers[-1], SumOpened)


def test_in_the_time_that_nobody_notices_it_tells_nothing() -> None:
    of = scene()
    of.begin()
    of.add(*map(of.part, FOUR))
    (answer,) = map(CODEC.decode, holder(of).handle(encode(OpenSum(1, FOUR))))
    assert isinstance(answer, SumOpened)


def test_a_sum_that_is_given_up_halfway_counts_as_opened() -> None:
    """Whoever stops listening gets no second sum."""
    of = scene()
    of.begin()
    of.add(*map(of.part, FOUR))
    answers: Iterator[bytes] = holder(of).handle(encode(OpenSum(1, FOUR)))
    next(answers)
    of.open(FOUR)
    assert "of round 1 a sum was asked for before" in of.refusals[0]


def test_it_keeps_one_sum_whatever_the_cohort() -> None:
    cohort = Cohort(30, parameters=4_000)
    of = Attacker(cohort).ask_for_updates()
    of.begin()
    parts = [encode(AddUpdate(1, of.part(client_id))) for client_id in cohort.client_ids]
    list(holder(of).handle(parts[0]))
    tracemalloc.start()
    try:
        for part in parts[1:]:
            list(holder(of).handle(part))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4 * len(parts[0])  # after 29 updates more
    gate = holder(of)._gate
    assert gate is not None
    assert len(gate._sum.ciphertexts) == of.packing.num_plaintexts


def test_its_secrets_are_not_shown_and_not_copied() -> None:
    of = holder(scene())
    for factor in of._private_key.factors:
        assert str(int(factor)) not in repr(of)
        assert f"{int(factor):x}" not in repr(of)
    with pytest.raises(TypeError):
        pickle.dumps(of)


def test_reasons_fit_into_a_message_whatever_clients_are_called() -> None:
    """The longest ids, each of their characters ten in a text: the coordinator would refuse to read a longer one."""
    of = scene()
    of.begin()
    strange = [chr(0xE0001) * 200, chr(0xE0002) * 200]
    of.add(*(SignedUpdate(client_id, of.updates[FOUR[0]]) for client_id in strange))
    of.open(strange[::-1])
    assert [len(reason) for reason in of.refusals] == [1_000] * 3


SCENE = scene()
SCENE.begin()
HONEST = (
    encode(RoundOpened(SCENE.header)),
    encode(AddUpdate(1, SCENE.part(FOUR[0]))),
    encode(OpenSum(1, FOUR)),
    encode(OpenSum(1, FOUR, SCENE.updates[FOUR[0]].ciphertexts)),
)


@given(st.lists(damaged(HONEST), max_size=5), st.booleans())
@settings(max_examples=200)
def test_damaged_frames_open_nothing(frames: list[bytes], is_repaired: bool) -> None:
    """With a right checksum or a wrong one; what was sent in order opens a sum, and nothing was."""
    for frame in frames:
        body = frame[8:]
        given_frame = repaired(body) if is_repaired else frame
        try:
            answers = [CODEC.decode(answer) for answer in holder(SCENE).handle(given_frame)]
        except WireError:
            continue
        assert not any(isinstance(answer, SumOpened) for answer in answers)


def repaired(body: bytes) -> bytes:
    """Returns the frame of a body, with its checksum."""
    import zlib

    return b"FG\x01\x00" + zlib.crc32(body).to_bytes(4, "little") + body


def test_after_all_that_it_still_opens_a_sum() -> None:
    honest = Attacker(SCENE.cohort, round_index=2**31 - 1).ask_for_updates()
    honest.begin()
    honest.add(*map(honest.part, FOUR))
    honest.open(FOUR)
    assert len(honest.opened) == 1 or honest.refusals  # a damaged header may have taken the last round's number


def test_what_cannot_be_opened_is_refused_in_one_and_the_same_words() -> None:
    """Too many clients counted, too few, a bit set between two slots: whoever asks learns nothing of which."""
    reasons = set()
    for total in ([FOUR[0]], [*FOUR, FOUR[0]], [FOUR[0]] * 60):
        of = scene("trusted")
        of.begin()
        of.open(FOUR, of.sum_of(*(of.updates[client_id].ciphertexts for client_id in total)))
        assert not of.opened
        reasons.update(of.refusals)
    assert len(reasons) == 1
    assert isinstance(CODEC.decode(encode(Refused(1, reasons.pop()))), Refused)
