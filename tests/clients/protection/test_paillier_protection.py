"""What a client of an encrypted aggregation sends, what it prepares, and what it refuses to begin with.

Whole lies of a coordinator are in tests/system/test_paillier_lies.py, whole rounds in tests/server/aggregation.
"""

import contextlib
import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import damaged
from msgspec.structs import replace
from paillier_attacker import Attacker
from paillier_rounds import HOLDERS, MODEL, Cohort, names

from clients.key_holder import rules
from clients.key_holder.key_holder import KeyHolder
from clients.key_holder.rules import certify
from clients.key_holder.transcript import context_digest, update_digest
from clients.protection import paillier_opening
from clients.protection.paillier import PaillierProtection
from fedgdl.crypto.paillier import read_ciphertexts
from fedgdl.errors import ClientError, ConfigError, CryptoError, ProtocolError
from fedgdl.federated import ClientUpdate
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.paillier import EncryptedUpdate, RoundAnnouncement, SumToOpen

FOUR = names(4)
BOB = FOUR[1]
TRAINS = "encrypted input"


def protect(
    cohort: Cohort, protection: PaillierProtection, client_id: str = BOB, round_index: int = 1
) -> EncryptedUpdate:
    """Returns a client's update in a round as an honest coordinator announces it."""
    common = cohort.open(round_index).common(TRAINS)
    sent = protection.protect(client_id, round_index, MODEL, common, b"", cohort.update(client_id))
    return decode_struct(sent, EncryptedUpdate)


@pytest.mark.parametrize("pool", ["none", "background", "beforehand"])
@pytest.mark.parametrize(("key_holder", "sum_check"), HOLDERS[:3:2])
def test_what_a_client_sends_is_its_encoded_update_encrypted_and_signed(
    key_holder: str, sum_check: str, pool: str
) -> None:
    from clients.key_holder.decryptors import WholeKey

    cohort = Cohort(4, key_holder, sum_check, settings={"obfuscator_pool": pool})
    protection = cohort.protections[BOB]
    update, header = protect(cohort, protection), cohort.open()._header
    signed = update_digest(context_digest(encode_struct(header)), BOB, update.ciphertexts)
    assert cohort.identities.verify(BOB, signed, update.signature)
    form = cohort.open()._form
    ciphertexts = read_ciphertexts(form.public_key, form.packing, update.ciphertexts)
    key = cohort.key_holders[-1]._private_key if cohort.key_holders else WholeKey(cohort.material)._private_key
    vector = form.packing.unpack(key.decrypt_many(ciphertexts), cohort.encoding.dtype)
    assert np.array_equal(vector, cohort.vectors[BOB])
    assert protection.is_private
    protection.close()


def test_two_encryptions_of_the_same_update_have_nothing_in_common() -> None:
    cohort = Cohort(4)
    sent = {protect(cohort, cohort.make_protection()).ciphertexts for _ in range(2)}
    width = cohort.open()._form.public_key.ciphertext_bytes
    single = [each[at : at + width] for each in sent for at in range(0, len(each), width)]
    assert len(single) == len(set(single)) == 2 * cohort.open()._form.packing.num_plaintexts


def test_obfuscators_are_made_beforehand_for_the_workers_share_of_the_cohort() -> None:
    cohort = Cohort(4, settings={"obfuscator_pool": "beforehand"})
    num_plaintexts = cohort.open()._form.packing.num_plaintexts
    for num_workers, share in ((1, 4), (2, 2), (3, 2), (4, 1), (8, 1)):
        protection = cohort.make_protection(num_workers=num_workers)
        pool = protection._encryptor._pool
        assert pool is not None
        assert len(pool) == share * num_plaintexts
        protect(cohort, protection)
        assert len(pool) == (share - 1) * num_plaintexts
        protection.idle()
        pool.fill()
        assert len(pool) == share * num_plaintexts
        protection.busy()
        protection.close()


def test_without_a_pool_there_is_nothing_to_fill_or_end() -> None:
    protection = Cohort(4).protections[BOB]
    assert protection._encryptor._pool is None
    protection.busy()
    protection.idle()
    protection.close()


def test_progress_is_told_until_all_is_encrypted() -> None:
    cohort = Cohort(4, parameters=2_000)
    told: list[tuple[str, int, int, int]] = []
    protect(cohort, cohort.make_protection(on_progress=lambda *what: told.append(what)))
    total = cohort.open()._form.packing.num_plaintexts
    assert {(client_id, round_index, total) for client_id, round_index, _, total in told} == {(BOB, 1, total)}
    done = [num_done for _, _, num_done, _ in told]
    assert done == sorted(set(done))
    assert len(done) > 2
    assert done[-1] == total


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_update_without_a_code_is_not_sent_and_has_no_second_try(bad: float) -> None:
    cohort = Cohort(4)
    common, protection = cohort.open().common(TRAINS), cohort.protections[BOB]
    spoilt = ClientUpdate(np.full(5, bad), 1, 0.0, 0.0)
    with pytest.raises(ClientError, match="cannot be encoded") as caught:
        protection.protect(BOB, 1, MODEL, common, b"", spoilt)
    assert caught.value.public_reason == "it has no usable update"
    with pytest.raises(ProtocolError, match="rounds only increase"):
        protect(cohort, protection)


def test_a_client_is_stopped_before_it_trains_in_vain() -> None:
    cohort = Cohort(4)
    protection = cohort.protections[BOB]
    protection.check_model(BOB, 2, MODEL)
    protect(cohort, protection, round_index=2)
    for round_index in (1, 2):
        with pytest.raises(ProtocolError, match="rounds only increase"):
            protection.check_model(BOB, round_index, MODEL)
    protection.check_model(FOUR[0], 2, MODEL)  # another client of the same worker
    protection.check_model(BOB, 3, MODEL)


def test_a_refused_announcement_leaves_the_client_free_to_take_part() -> None:
    cohort = Cohort(4)
    protection = cohort.protections[BOB]
    announced = decode_struct(cohort.open().common(TRAINS), RoundAnnouncement)
    wrong = encode_struct(RoundAnnouncement(replace(announced.header, num_clients=5), announced.certificate))
    with pytest.raises(ProtocolError, match="announces 5 clients"):
        protection.protect(BOB, 1, MODEL, wrong, b"", cohort.update(BOB))
    protect(cohort, protection)


def test_the_header_of_another_round_is_refused() -> None:
    """With that of a former round a client would be made to sign a second update for it."""
    cohort = Cohort(4)
    protection = cohort.protections[BOB]
    former = cohort.open().common(TRAINS)
    for announced, round_index in ((1, 1), (3, 2), (1, 2)):
        common = cohort.open(announced).common(TRAINS) if announced > 1 else former
        if announced == round_index:
            protection.protect(BOB, round_index, MODEL, common, b"", cohort.update(BOB))
            continue
        with pytest.raises(ProtocolError, match=f"sends the header of round {announced} in round {round_index}"):
            protection.protect(BOB, round_index, MODEL, common, b"", cohort.update(BOB))
    protect(cohort, protection, round_index=2)


def test_a_successors_key_is_used_and_so_is_another_session_of_the_same_key() -> None:
    cohort = Cohort(4, settings={"obfuscator_pool": "beforehand"})
    protection = cohort.protections[BOB]
    protect(cohort, protection)
    encryptor, opener = protection._encryptor, cohort.opener
    assert opener is not None
    key = cohort.key_holders[-1]._private_key
    opener._certificate = certify(key.public_key, cohort.identities, bytes(16))
    protect(cohort, protection, round_index=2)
    assert protection._encryptor is encryptor
    opener._engine.replace(1, "it was killed")
    protect(cohort, protection, round_index=3)
    assert protection._encryptor is not encryptor
    assert protection._encryptor.terms.public_key == cohort.key_holders[-1]._terms.public_key != key.public_key
    pool = protection._encryptor._pool
    assert pool is not None
    assert not len(pool)
    protection.close()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns a list that grows with each update that somebody checks and adds."""
    added: list[str] = []
    honest = rules.RoundGate.add

    def add(gate: rules.RoundGate, part: Any) -> None:
        added.append(part.client_id)
        honest(gate, part)

    monkeypatch.setattr(rules.RoundGate, "add", add)
    return added


@pytest.mark.parametrize("key_holder", ["clients", "threshold"])
def test_the_clients_of_one_worker_form_a_sum_once(key_holder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = Cohort(4, key_holder)
    worker = cohort.make_protection()
    cohort.protections = dict.fromkeys(FOUR, worker)
    added = counted(monkeypatch)
    for round_index in (1, 2):
        cohort.play(round_index=round_index)
        assert added == [*FOUR] * round_index


def test_a_sum_that_is_refused_once_is_refused_to_all_clients_of_the_worker_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cohort = Cohort(4, "clients")
    cohort.protections = dict.fromkeys(FOUR, cohort.make_protection())
    lie = Attacker(cohort).ask_for_updates()
    request = lie.signed_request(*FOUR)
    forged = replace(request.updates[0], update=replace(request.updates[0].update, signature=bytes(64)))
    added = counted(monkeypatch)
    for client_id in FOUR:
        lie.ask_to_open(client_id, replace(request, updates=(forged, *request.updates[1:])))
    assert added == [FOUR[0]]
    assert len(lie.refusals) == 4
    assert all("does not carry its signature" in refusal for refusal in lie.refusals)
    assert isinstance(cohort.protections[BOB]._opening, paillier_opening._KeyOpening)


def test_what_a_client_was_told_in_another_round_is_not_mistaken_for_this_ones() -> None:
    """The memory of a worker goes by the round as well: the same request in another one is refused."""
    cohort = Cohort(4, "clients")
    cohort.protections = dict.fromkeys(FOUR, cohort.make_protection())
    first = Attacker(cohort).ask_for_updates()
    request = first.signed_request(*FOUR)
    assert first.ask_to_open(BOB, request)
    second = Attacker(cohort, round_index=2).ask_for_updates()
    assert second.ask_to_open(BOB, request) == b""
    assert "does not carry its signature" in second.refusals[0]


def test_of_what_was_refused_the_words_alone_are_remembered() -> None:
    """An error leads to all that its functions had at hand: to what was decrypted and is told to nobody, say."""

    class Plaintext:
        pass

    memory: paillier_opening._Once[bytes] = paillier_opening._Once()
    seen: list[weakref.ref[Plaintext]] = []

    def decrypt() -> bytes:
        decrypted = Plaintext()
        seen.append(weakref.ref(decrypted))
        try:
            1 // 0  # noqa: B018
        except ZeroDivisionError:
            message = "it is no sum"
            raise ProtocolError(message) from None

    for _ in range(2):
        with pytest.raises(ProtocolError, match="it is no sum"):
            memory.get(b"what was asked", decrypt)
    gc.collect()
    assert [ref() for ref in seen] == [None]


@pytest.mark.parametrize(
    ("key_holder", "stage"), [("process", "decrypt"), ("clients", "stand in"), ("clients", "unmask")]
)
def test_stages_that_the_key_holder_does_not_have_are_refused(key_holder: str, stage: str) -> None:
    cohort = Cohort(4, key_holder)
    protect(cohort, cohort.protections[BOB])
    with pytest.raises(ProtocolError, match="which this protocol does not have"):
        cohort.ask(stage, BOB, b"")


def test_whoever_is_not_named_opens_nothing_and_may_be_asked_later() -> None:
    cohort = Cohort(4, "threshold", settings={"threshold": 2})
    lie = Attacker(cohort).ask_for_updates()
    assert lie.ask_to_open(BOB, lie.signed_request(*FOUR, openers=FOUR[2:])) == b""
    assert not lie.refusals
    assert lie.ask_to_open(BOB, lie.signed_request(*FOUR, openers=[BOB]), "stand in")
    assert lie.ask_to_open(BOB, lie.signed_request(*FOUR, openers=[BOB]), "stand in") == b""
    assert "a second sum" in lie.refusals[0]


def test_a_client_that_sent_nothing_opens_nothing() -> None:
    cohort = Cohort(4, "clients")
    lie = Attacker(cohort).ask_for_updates(FOUR[1:])
    lie.ask_to_open(FOUR[0], lie.signed_request(*FOUR[1:]))
    assert lie.refusals == ["the coordinator asks for a sum of round 1, in which this client sent no update"]


def test_a_client_opens_sums_of_the_round_alone_that_it_sent_an_update_in() -> None:
    cohort = Cohort(4, "clients")
    lie = Attacker(cohort).ask_for_updates()
    asked = encode_struct(lie.signed_request(*FOUR))
    for round_index in (2, 2**31 - 1):
        with pytest.raises(ProtocolError, match=f"a sum of round {round_index}, in which this client sent no update"):
            cohort.ask("decrypt", BOB, asked, round_index)
    assert cohort.ask("decrypt", BOB, asked)


def test_a_client_whose_update_could_not_be_sent_opens_nothing() -> None:
    cohort = Cohort(4, "clients", "trusted")
    lie = Attacker(cohort).ask_for_updates([FOUR[0], *FOUR[2:]])
    spoilt = ClientUpdate(np.full(5, np.nan), 1, 0.0, 0.0)
    with pytest.raises(ClientError):
        cohort.protections[BOB].protect(BOB, 1, MODEL, encode_struct(lie.announcement), b"", spoilt)
    total = lie.sum_of(*(update.ciphertexts for update in lie.updates.values()), lie.encrypted(lie.padding(1)))
    assert lie.ask_to_open(BOB, SumToOpen(FOUR, ciphertexts=total)) == b""
    assert "in which this client sent no update" in lie.refusals[0]


def test_material_that_is_missing_damaged_or_of_others_is_refused() -> None:
    cohort = Cohort(4)
    make = lambda material: PaillierProtection(  # noqa: E731 (one call, three ways)
        cohort.experiment, cohort.strategy, cohort.layout, cohort.identities, key_material=material
    )
    with pytest.raises(ConfigError, match="needs a key to encrypt with"):
        make(None)
    with pytest.raises(CryptoError, match="the key material cannot be used"):
        make(b"nonsense")
    other = replace(cohort.material, certificate=replace(cohort.material.certificate, session=bytes(16)))
    with pytest.raises(ProtocolError, match="does not vouch for"):
        make(encode_struct(other))


def test_nothing_secret_is_shown() -> None:
    cohort = Cohort(4, "clients")
    protection = cohort.protections[BOB]
    protect(cohort, protection)
    assert repr(protection) == "PaillierProtection(1 clients in round 1)"
    assert isinstance(Cohort(4).key_holders[-1], KeyHolder)


@pytest.mark.parametrize("stage", [TRAINS, "decrypt"])
def test_what_cannot_be_read_is_refused(stage: str) -> None:
    cohort = Cohort(4, "clients")
    if stage == "decrypt":
        protect(cohort, cohort.protections[BOB])
    with pytest.raises(ProtocolError, match=f'the stage "{stage}" cannot be read'):
        cohort.ask(stage, BOB, b"\xc1")


SCENE = Attacker(Cohort(4, "clients")).ask_for_updates(FOUR[2:])
SAID = (encode_struct(SCENE.announcement), encode_struct(SCENE.signed_request(*FOUR[2:])))


@given(damaged(SAID), st.sampled_from([TRAINS, "decrypt"]))
@settings(max_examples=150)
def test_whatever_bytes_come_a_client_refuses_in_words(common: bytes, stage: str) -> None:
    """Untouched bytes are refused, too: of an update sent already, or a sum that it is not in."""
    client_id = FOUR[2] if stage == TRAINS else FOUR[3]
    with contextlib.suppress(ProtocolError, CryptoError):
        answer = SCENE.cohort.ask(stage, client_id, common)
        assert common == SAID[1]
        assert len(answer) == SCENE.cohort.encoding.num_bytes
