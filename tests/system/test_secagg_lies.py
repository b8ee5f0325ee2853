"""A coordinator that lies gets no client's update, and the honest clients say what they caught.

Each test first lies, then lets `Attacker.read` try everything that the lie brought in. That the attacker's arithmetic
is right is shown first: with both secrets it does read the update.
"""

import pytest
from msgspec.structs import replace
from secagg_attacker import Attacker, same
from secagg_rounds import MODEL, Cohort

from fedgdl.crypto.masking import Identities, KeyPair, transcript
from fedgdl.errors import AggregationError, ProtocolError
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import (
    ForwardedShares,
    KeyAdvertisement,
    Roster,
    RosterEntry,
    RoundHeader,
    Survivors,
    UnmaskShares,
)

VICTIM = "client-0002"


def attacker(size: int = 6, **settings: object) -> Attacker:
    cohort = Cohort(size, settings=settings)
    return Attacker(cohort, cohort.open())


def without_victim(lie: Attacker) -> tuple[str, ...]:
    return tuple(client_id for client_id in lie.cohort.client_ids if client_id != VICTIM)


def signatures(lie: Attacker, lists: dict[str, tuple[str, ...]]) -> dict[str, bytes]:
    signed = {
        client_id: lie.ask("consistency", client_id, encode_struct(Survivors(survivors)))
        for client_id, survivors in lists.items()
    }
    return {client_id: signature for client_id, signature in signed.items() if signature is not None}


def test_with_both_secrets_of_a_client_its_update_is_read() -> None:
    lie = attacker()
    for client_id in lie.play_to("masked input")[:5]:  # the threshold of six clients
        assert lie.read(VICTIM) is None
        lie.corrupt(client_id)
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


@pytest.mark.parametrize("consistency", [True, False])
def test_a_second_request_with_overlapping_survivors_is_refused(consistency: bool) -> None:
    lie = attacker(consistency=consistency)
    everyone = lie.play_to("unmask")
    lie.ask_to_unmask(everyone, without_victim(lie), lie.a_round._signatures)
    assert lie.refusals.keys() == set(everyone)
    assert all("names other survivors than before" in refusal for refusal in lie.refusals.values())
    assert lie.read(VICTIM) is None


def test_a_client_that_caught_a_lie_answers_nothing_more_in_the_round() -> None:
    lie = attacker()
    everyone = lie.play_to("consistency")
    assert signatures(lie, dict.fromkeys(everyone, without_victim(lie))) == {}
    lie.ask_to_unmask(everyone, everyone, lie.a_round._signatures)
    assert all("no further part in this round" in refusal for refusal in lie.refusals.values())
    assert lie.read(VICTIM) is None


def test_survivors_other_than_those_signed_are_not_unmasked() -> None:
    lie = attacker()
    everyone = lie.play_to("consistency")
    lie.ask_to_unmask(everyone, without_victim(lie), lie.a_round._signatures)
    assert all("names other survivors than before" in refusal for refusal in lie.refusals.values())
    assert lie.read(VICTIM) is None


def test_different_survivors_told_to_different_clients_find_too_few_signatures() -> None:
    lie = attacker()
    everyone = lie.play_to("masked input")
    lists = {
        client_id: everyone if client_id == VICTIM or index < 3 else without_victim(lie)
        for index, client_id in enumerate(everyone)
    }
    signed = signatures(lie, lists)
    assert signed.keys() == set(everyone)  # so far nobody could know
    for client_id in everyone:
        lie.ask_to_unmask([client_id], lists[client_id], signed)
    assert all("3 signatures of these survivors" in refusal for refusal in lie.refusals.values())
    assert "'client-0003', 'client-0004', 'client-0005' do not hold" in lie.refusals[VICTIM]
    assert lie.read(VICTIM) is None


def test_dealers_named_to_some_and_not_to_others_cannot_be_survivors() -> None:
    """The victim masks its update with everyone, the others theirs without the victim: their sum alone would open."""
    lie = attacker()
    everyone = lie.play_to("share")
    lie.a_round.begin("masked input", everyone)
    for client_id in everyone:
        message = lie.a_round.message("masked input", client_id)
        if client_id != VICTIM:
            told = decode_struct(message, ForwardedShares)
            del told.shares[VICTIM], told.commitments[VICTIM]
            message = encode_struct(told)
        answer = lie.ask("masked input", client_id, message=message)
        assert answer is not None
        lie.masked[client_id] = answer
    signed = signatures(lie, dict.fromkeys(everyone, everyone))
    assert signed.keys() == {VICTIM}
    assert all(
        f"names '{VICTIM}' a survivor, of which it passed on no shares" in lie.refusals[client_id]
        for client_id in without_victim(lie)
    )
    lie.ask_to_unmask([VICTIM], everyone, signed)
    assert "shows 1 signatures of these survivors" in lie.refusals[VICTIM]
    assert lie.read(VICTIM) is None


def test_no_second_sum_of_a_round_is_opened_whose_difference_to_the_first_is_one_update() -> None:
    """Training from the same model in the same round, clients come to the same updates again."""
    lie = attacker()
    everyone = lie.play_to("unmask")
    first = lie.a_round.finish()
    assert first.num_clients == 6
    again = Attacker(lie.cohort, lie.cohort.open(attempt=2))
    again.a_round.begin("advertise", everyone)
    header = again.a_round.common("advertise")
    assert [again.ask("advertise", client_id, header) for client_id in everyone] == [None] * 6
    assert all("has helped to open a sum of round 1" in refusal for refusal in again.refusals.values())
    # Not even after a third attempt, of which another client of the same worker has been told.
    lie.cohort.protections["late"] = lie.cohort.protections[VICTIM]
    third = lie.cohort.open(attempt=3).common("advertise")
    assert again.ask("advertise", "late", third) is not None
    assert again.ask("advertise", VICTIM, third) is None
    fourth = lie.cohort.open(round_index=2).common("advertise")
    assert lie.cohort.ask("advertise", VICTIM, fourth, b"", round_index=2)


def test_a_client_that_is_told_it_was_lost_refuses() -> None:
    lie = attacker()
    lie.play_to("masked input")
    assert signatures(lie, {VICTIM: without_victim(lie)}) == {}
    assert "leaves this client, whose masked update it got, out" in lie.refusals[VICTIM]
    assert lie.read(VICTIM) is None


def test_headers_with_different_models_do_not_go_together() -> None:
    lie = attacker()
    header = lie.a_round.common("advertise")
    other = encode_struct(replace(decode_struct(header, RoundHeader), model_sha256="bad1" * 16))
    lie.a_round.begin("advertise", lie.cohort.client_ids)
    for client_id in lie.cohort.client_ids:
        answer = lie.ask("advertise", client_id, other if client_id == VICTIM else header)
        assert answer is not None
        lie.a_round.take("advertise", client_id, answer)
    lie.a_round.begin("share", lie.cohort.client_ids)
    for client_id in lie.cohort.client_ids:
        assert lie.ask("share", client_id, message=lie.a_round.message("share", client_id)) is None
    assert all("it was told of another round, model, encoding" in refusal for refusal in lie.refusals.values())
    assert all(f"'{VICTIM}'" in lie.refusals[client_id] for client_id in without_victim(lie))
    assert lie.ask("masked input", VICTIM) is None
    assert lie.read(VICTIM) is None


def test_another_model_than_the_header_names_is_not_trained_from() -> None:
    lie = attacker()
    everyone = lie.play_to("share")
    lie.a_round.begin("masked input", everyone)
    protection = lie.cohort.protections[VICTIM]
    with pytest.raises(ProtocolError, match=r"sent the parameters bad1bad1bad1\.\.\. .* others may have got others"):
        protection.check_model(VICTIM, 1, "bad1" * 16)
    message = lie.a_round.message("masked input", VICTIM)
    with pytest.raises(ProtocolError, match="no further part"):
        protection.protect(VICTIM, 1, MODEL, b"", message, lie.cohort.update(VICTIM))
    assert lie.read(VICTIM) is None


def test_a_model_swapped_after_the_check_is_caught_when_the_update_is_to_be_sent() -> None:
    lie = attacker()
    lie.a_round.begin("masked input", lie.play_to("share"))
    protection = lie.cohort.protections[VICTIM]
    protection.check_model(VICTIM, 1, MODEL)
    message = lie.a_round.message("masked input", VICTIM)
    with pytest.raises(ProtocolError, match="sent the parameters"):
        protection.protect(VICTIM, 1, "bad1" * 16, b"", message, lie.cohort.update(VICTIM))


def test_a_roster_of_the_coordinators_own_keys_is_refused() -> None:
    lie = attacker()
    lie.play_to("advertise")
    context, impostor = lie.a_round._context, Identities(b"the coordinator's own" + bytes(11))
    entries = []
    for client_id in lie.cohort.client_ids:
        channel, mask = KeyPair.generate(), KeyPair.generate()
        digest = transcript.advertisement_digest(context, client_id, channel.public_key, mask.public_key)
        keys = KeyAdvertisement(channel.public_key, mask.public_key, impostor.sign(client_id, digest))
        entries.append(lie.a_round._roster[VICTIM] if client_id == VICTIM else RosterEntry(client_id, keys))
    listed = [(e.client_id, e.keys.channel_key, e.keys.mask_key, e.keys.signature) for e in entries]
    roster = Roster(transcript.roster_digest(context, listed), tuple(entries))
    assert lie.ask("share", VICTIM, message=encode_struct(roster)) is None
    assert (
        "keys that the coordinator's roster gives for 'client-0000' do not carry its signature" in lie.refusals[VICTIM]
    )
    assert lie.ask("masked input", VICTIM) is None
    assert lie.read(VICTIM) is None


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        ({"threshold": 2}, "announces 2 shares to open a secret, where this client's configuration gives 5"),
        ({"min_survivors": 2}, "announces 2 survivors at least, where .* gives 5"),
        ({"degree": 1}, "announces 1 neighbours a client, where .* gives 5"),
        ({"num_clients": 3, "degree": 2, "threshold": 3, "min_survivors": 3}, "announces 3 clients, where .* gives 6"),
        ({"is_consistency_checked": False}, "turns the consistency stage off"),
        ({"version": 2}, "speaks version 2"),
        ({"encoding_sha256": "0" * 64}, "another encoding of updates"),
        ({"layout_sha256": "0" * 64}, "another layout of the model"),
        ({"num_clients": 7, "degree": 6}, "announces 7 clients, where .* gives 6"),
        ({"round_index": 2}, "the header of round 2 in round 1"),
    ],
)
def test_a_header_that_protects_less_than_configured_is_refused(change: dict[str, object], caught: str) -> None:
    lie = attacker(min_cohort=3)
    header = replace(decode_struct(lie.a_round.common("advertise"), RoundHeader), **change)
    with pytest.raises(ProtocolError, match=caught):
        lie.cohort.ask("advertise", VICTIM, encode_struct(header), b"")
    assert lie.ask("share", VICTIM) is None
    assert "did not advertise keys" in lie.refusals[VICTIM]


def test_two_of_four_clients_that_tell_an_honest_coordinator_all_they_know_do_not_open_a_third() -> None:
    lie = attacker(4)
    lie.play_to("masked input")
    lie.corrupt("client-0000")
    lie.corrupt("client-0001")  # the threshold is 3
    assert lie.read(VICTIM) is None
    lie.cohort.play_stage(lie.a_round, "consistency", lie.cohort.client_ids)
    _, answers, _ = lie.cohort.play_stage(lie.a_round, "unmask", lie.cohort.client_ids)
    for client_id, payload in answers.items():
        lie.keep(client_id, decode_struct(payload, UnmaskShares))
    assert lie.a_round.finish().num_clients == 4
    assert lie.read(VICTIM) is None  # its own mask is open now, and of the mask keys two shares each


@pytest.mark.parametrize(("num_corrupt", "is_read"), [(1, False), (2, True)])
def test_a_lying_coordinator_needs_two_thresholds_less_the_cohort_of_corrupt_clients(
    num_corrupt: int, is_read: bool
) -> None:
    """Of n = 4 with t = 3 these are 2t - n = 2: the stated limit, at which the attack does succeed."""
    lie = attacker(4)
    everyone = lie.play_to("masked input")
    corrupt, witness = ["client-0000", "client-0001"][:num_corrupt], "client-0003"
    for client_id in corrupt:
        lie.corrupt(client_id)
    lists = {VICTIM: everyone, witness: without_victim(lie)}
    both = [
        {**signatures(lie, {told: survivors}), **forged(lie, corrupt, survivors)} for told, survivors in lists.items()
    ]
    for (client_id, survivors), signed in zip(lists.items(), both, strict=True):
        lie.ask_to_unmask([client_id], survivors, signed)
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM]) is is_read
    assert lie.refusals.keys() == (set() if is_read else {VICTIM, witness})


def forged(lie: Attacker, corrupt: list[str], survivors: tuple[str, ...]) -> dict[str, bytes]:
    """Returns what corrupt clients sign: anything."""
    digest = transcript.survivors_digest(lie.a_round._context, lie.a_round._roster_sha256, survivors)
    return {client_id: lie.cohort.protections[client_id]._identities.sign(client_id, digest) for client_id in corrupt}


def test_nothing_is_opened_without_the_unmasking_of_enough_clients() -> None:
    lie = attacker()
    lie.play_to("consistency")
    with pytest.raises(AggregationError, match="nothing is opened"):
        lie.a_round.finish()
