"""A coordinator that lies gets no client's update, where it is said that it gets none; and gets it where not.

Each test lies in its own way and then lets `Attacker.read` try everything that came of it. That the attacker's
arithmetic is right is shown each time: given the key, it reads the update by the same arithmetic.
"""

import pytest
from msgspec.structs import replace
from paillier_attacker import Attacker, same
from paillier_rounds import SECRET, Cohort, names

from clients.key_holder.decryptors import KeyShares
from clients.key_holder.key_holder import KeyHolder
from clients.key_holder.rules import certify
from fedgdl.crypto.masking import Identities
from fedgdl.crypto.paillier import read_ciphertexts
from fedgdl.crypto.paillier.private import generate
from fedgdl.crypto.paillier.threshold import combine
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.paillier import EncryptedUpdate, RoundAnnouncement, SignedUpdate, SumToOpen

ALL = names(4)
OTHERS, VICTIM = ALL[:3], ALL[3]


def attacker(key_holder: str = "process", sum_check: str = "signed", **settings: object) -> Attacker:
    """Returns a coordinator that has got the updates of four clients, at least three of which are in a sum."""
    cohort = Cohort(4, key_holder, sum_check, settings={"min_cohort": 3, **settings})
    return Attacker(cohort).ask_for_updates()


def given_the_key(lie: Attacker) -> bool:
    """Whether the attacker reads the victim's update from sums over all and over all others, once it has the key."""
    lie.key = lie.cohort.key_holders[0]._private_key
    lie.open_by_itself(*OTHERS)
    assert not same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])
    lie.open_by_itself(*ALL)
    return same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


def caught(lie: Attacker, *words: str) -> bool:
    """Whether the attacker could not read the update, was refused in these words, and could have with the key."""
    assert lie.read(VICTIM) is None
    assert len(lie.refusals) == len(words), lie.refusals
    for refusal, expected in zip(lie.refusals, words, strict=True):
        assert expected in refusal
    return given_the_key(lie)


# A key holder that is a process, and signed sums


def test_a_single_update_is_not_opened() -> None:
    lie = attacker()
    lie.begin()
    lie.add(lie.part(VICTIM))
    lie.open([VICTIM])
    assert caught(lie, "no sum over fewer than 3 is opened")


def test_a_single_update_in_the_name_of_several_is_not_opened() -> None:
    lie = attacker()
    lie.begin()
    lie.add(lie.part(VICTIM))
    lie.open(ALL[1:])
    assert caught(lie, "names others than those whose updates were added, 'client-0001' for one")


def test_an_update_counts_once_and_for_its_own_client() -> None:
    lie = attacker()
    lie.begin()
    lie.add(lie.part(VICTIM), lie.part(VICTIM), SignedUpdate(ALL[0], lie.updates[VICTIM]))
    lie.open(ALL[1:])
    assert caught(lie, "is in the sum of round 1 already", "does not carry its signature", "names others than those")


def test_updates_of_the_coordinators_own_making_are_not_added() -> None:
    lie = attacker()
    lie.begin()
    forged = EncryptedUpdate(lie.header.key_id, lie.header.packing_sha256, lie.encrypted(lie.padding(1)), bytes(64))
    lie.add(lie.part(VICTIM), SignedUpdate(ALL[0], forged), SignedUpdate(ALL[1], forged))
    lie.open([ALL[0], ALL[1], VICTIM])
    assert caught(lie, "does not carry its signature", "does not carry its signature", "names others than those")


def test_a_changed_update_is_not_added() -> None:
    lie = attacker()
    lie.begin()
    doubled = lie.sum_of(lie.updates[VICTIM].ciphertexts, lie.updates[VICTIM].ciphertexts)
    lie.add(SignedUpdate(VICTIM, replace(lie.updates[VICTIM], ciphertexts=doubled)))
    assert caught(lie, "or was changed on its way")


def test_a_sum_of_its_own_forming_is_not_opened() -> None:
    lie = attacker()
    lie.begin()
    lie.add(*map(lie.part, ALL))
    lie.open(ALL, lie.sum_of(lie.updates[VICTIM].ciphertexts, lie.encrypted(lie.padding(3))))
    assert caught(lie, "sent a sum of its own forming")


@pytest.mark.parametrize("second", [OTHERS, ALL])
def test_a_second_sum_of_a_round_is_not_opened(second: tuple[str, ...]) -> None:
    lie = attacker()
    lie.begin()
    lie.add(*map(lie.part, OTHERS))
    lie.open(OTHERS)
    assert len(lie.opened) == 1
    if second == ALL:
        lie.add(lie.part(VICTIM))
        assert "the sum of round 1 is closed" in lie.refusals.pop()
    lie.open(second)
    assert caught(lie, "of round 1 a sum was asked for before")


def test_a_round_does_not_begin_again() -> None:
    lie = attacker()
    for client_ids in (OTHERS, ALL):
        lie.begin()
        lie.add(*map(lie.part, client_ids))
        lie.open(client_ids)
    assert len(lie.opened) == 1
    assert caught(lie, *["begins round 1 after round 1: a round begins once"] * 5)


def test_updates_of_a_former_round_are_not_added_in_the_next() -> None:
    lie = attacker()
    lie.begin()
    lie.add(*map(lie.part, OTHERS))
    lie.open(OTHERS)
    lie.begin(replace(lie.header, round_index=2))
    lie.add(*map(lie.part, ALL), round_index=2)
    lie.open(ALL, round_index=2)
    assert caught(lie, *["does not carry its signature for this round"] * 4, "names others than those")


def test_after_a_new_start_with_the_same_key_nothing_of_before_is_opened() -> None:
    """A key holder that has forgotten which rounds it opened knows a session that nobody has signed for."""
    lie = attacker()
    lie.begin()
    lie.add(*map(lie.part, OTHERS))
    lie.open(OTHERS)
    cohort, former = lie.cohort, lie.cohort.key_holders[0]
    again = KeyHolder(cohort.experiment, cohort.strategy, cohort.layout, former._private_key, cohort.identities)
    cohort.key_holders.append(again)
    lie.begin()
    lie.add(*map(lie.part, ALL))
    lie.open(ALL)
    lie.begin(replace(lie.header, session=again._terms.certificate.session))
    lie.add(*map(lie.part, ALL))
    lie.open(ALL)
    assert caught(lie, *["of another session"] * 5, *["does not carry its signature"] * 4, "names others than those")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("session", bytes(16)),
        ("key_id", "0" * 64),
        ("layout_sha256", "0" * 64),
        ("encoding_sha256", "0" * 64),
        ("packing_sha256", "0" * 64),
        ("num_clients", 5),
        ("min_clients", 2),
    ],
)
def test_a_round_in_other_terms_is_refused_by_clients_and_key_holder(field: str, value: object) -> None:
    lie = Attacker(Cohort(4, settings={"min_cohort": 3}))
    header = replace(lie.header, **{field: value})
    lie.ask_for_updates(announcement=RoundAnnouncement(header, lie.announcement.certificate))
    assert not lie.updates
    assert len(lie.refusals) == 4
    lie.refusals.clear()
    lie.begin(header)
    lie.open(ALL)
    assert len(lie.refusals) == 1
    assert not lie.opened


def test_a_client_sends_one_update_a_round_and_none_in_a_former_one() -> None:
    """Two updates of one round would be the same numbers twice: sums with different others would be told apart."""
    lie = attacker()
    later = replace(lie.header, round_index=3)
    lie.ask_for_updates([VICTIM])
    lie.ask_for_updates([VICTIM], RoundAnnouncement(later, lie.announcement.certificate))
    lie.ask_for_updates([VICTIM], RoundAnnouncement(replace(later, round_index=2), lie.announcement.certificate))
    lie.ask_for_updates([VICTIM], RoundAnnouncement(later, lie.announcement.certificate))
    assert len(lie.refusals) == 3
    assert all("rounds only increase" in refusal for refusal in lie.refusals)


@pytest.mark.parametrize("key_holder", ["process", "clients", "threshold"])
def test_clients_do_not_encrypt_with_a_key_of_the_coordinators(key_holder: str) -> None:
    lie = Attacker(Cohort(4, key_holder))
    own_key = generate(128)
    former = lie.announcement.certificate
    for certificate in (
        replace(former, public_key=own_key.public_key.to_bytes()),
        certify(own_key.public_key, Identities(bytes(32)), former.session, former.num_shares, former.threshold),
    ):
        header = replace(lie.header, key_id=own_key.public_key.key_id)
        lie.ask_for_updates(announcement=RoundAnnouncement(header, certificate))
    assert not lie.updates
    expected = "does not vouch for" if key_holder == "process" else "another key than the one that the clients hold"
    assert len(lie.refusals) == 8
    assert all(expected in refusal for refusal in lie.refusals)


def test_with_the_identities_a_coordinator_could_give_its_own_key_to_clients() -> None:
    """What the certificate is worth: whoever can sign it reads everything."""
    lie = Attacker(Cohort(4))
    lie.key = generate(128)
    certificate = certify(lie.key.public_key, Identities(SECRET), bytes(16))
    header = replace(lie.header, key_id=lie.key.public_key.key_id, session=bytes(16))
    lie.announcement = RoundAnnouncement(header, certificate)
    lie.ask_for_updates()
    lie.open_by_itself(VICTIM)
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


def test_clients_that_were_given_other_models_are_not_added_up_together() -> None:
    lie = Attacker(Cohort(4))
    lie.ask_for_updates(OTHERS)
    other = RoundAnnouncement(replace(lie.header, model_sha256="0" * 64), lie.announcement.certificate)
    lie.ask_for_updates([VICTIM], other)
    assert "sent the parameters" in lie.refusals.pop()
    payload = lie.cohort.protections[VICTIM].protect(
        VICTIM, 1, "0" * 64, encode_struct(other), b"", lie.cohort.update(VICTIM)
    )
    lie.begin()
    lie.updates[VICTIM] = decode_struct(payload, EncryptedUpdate)
    lie.add(*map(lie.part, ALL))
    assert len(lie.refusals) == 1
    assert "does not carry its signature for this round" in lie.refusals[0]


# A coordinator that is trusted to add up what it says


def test_trusted_sums_whose_counter_does_not_fit_are_not_opened_and_nobody_hears_why() -> None:
    for addends in ([VICTIM], [*ALL, VICTIM]):
        lie = attacker(sum_check="trusted")
        lie.begin()
        lie.open(OTHERS, lie.sum_of(*(lie.updates[client_id].ciphertexts for client_id in addends)))
        assert caught(lie, "is no sum of these clients' updates: nothing of it is given out")


def test_trusted_sums_are_opened_once_a_round() -> None:
    lie = attacker(sum_check="trusted")
    sums = [lie.sum_of(*(lie.updates[each].ciphertexts for each in client_ids)) for client_ids in (OTHERS, ALL)]
    lie.begin()
    lie.open(OTHERS, sums[0])
    lie.open(ALL, sums[1])
    lie.begin()
    lie.open(ALL, sums[1])
    assert len(lie.opened) == 1
    assert caught(lie, "of round 1 a sum was asked for before", "a round begins once")


def test_a_coordinator_that_is_trusted_and_lies_has_one_update_opened() -> None:
    """As is said in `clients.protection.paillier`: this is what `sum_check = "signed"` is there for."""
    lie = attacker(sum_check="trusted")
    lie.begin()
    lie.open(OTHERS, lie.sum_of(lie.updates[VICTIM].ciphertexts, lie.encrypted(lie.padding(2))))
    assert not lie.refusals
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


def test_a_coordinator_with_the_key_has_any_update_opened() -> None:
    lie = attacker("coordinator")
    lie.open([VICTIM], lie.updates[VICTIM].ciphertexts)
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


# Clients that hold the key, or shares of it


@pytest.mark.parametrize("key_holder", ["clients", "threshold"])
def test_clients_open_no_sum_but_one_of_enough_signed_updates_with_their_own_among_them(key_holder: str) -> None:
    lie = attacker(key_holder)
    signed = lie.signed_request(*ALL)
    forged = replace(lie.updates[ALL[0]], ciphertexts=lie.updates[VICTIM].ciphertexts)
    for opener, request, expected in (
        (ALL[0], lie.signed_request(ALL[0], VICTIM), "no sum over fewer than 3"),
        (ALL[1], lie.signed_request(ALL[0], ALL[2], VICTIM), "without its own update"),
        (ALL[2], replace(signed, updates=(SignedUpdate(ALL[0], forged), *signed.updates[1:])), "its signature"),
        (VICTIM, replace(signed, updates=(), ciphertexts=lie.updates[VICTIM].ciphertexts), "of its own forming"),
    ):
        assert lie.ask_to_open(opener, request) == b""
        assert expected in lie.refusals.pop()
        assert lie.ask_to_open(opener, signed) == b""
        assert "a second sum of round 1" in lie.refusals.pop()
    assert lie.read(VICTIM) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"client_ids": ALL[::-1]}, "not sorted and unique"),
        ({"client_ids": (*ALL[:3], ALL[3], "zoe")}, "and a cohort has 4"),
        ({"client_ids": ALL[:3]}, "names others than those"),
        ({"updates": ()}, "names others than those"),
        ({"ciphertexts": b"and a sum"}, "of its own forming"),
    ],
)
def test_malformed_requests_are_refused(change: dict[str, object], expected: str) -> None:
    lie = attacker("clients")
    assert lie.ask_to_open(ALL[0], replace(lie.signed_request(*ALL), **change)) == b""
    assert expected in lie.refusals[0]


def test_two_clients_with_the_key_can_be_made_to_open_two_sums() -> None:
    """As is said in `clients.protection.paillier`: each goes by what it is told. A single one opens one."""
    lie = attacker("clients")
    lie.ask_to_open(ALL[0], lie.signed_request(*OTHERS))
    lie.ask_to_open(ALL[0], lie.signed_request(*ALL))
    assert len(lie.refusals) == 1
    assert lie.read(VICTIM) is None
    lie.ask_to_open(ALL[1], lie.signed_request(*ALL))
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


def decrypted_together(lie: Attacker, openers: tuple[str, ...], request: SumToOpen, threshold: int) -> bool:
    """Has clients do their parts; returns whether they were enough."""
    partials = {}
    for opener in openers:
        answer = lie.ask_to_open(opener, request)
        if answer:
            partials[1 + ALL.index(opener)] = read_ciphertexts(lie.public_key, lie.packing, answer)
    if len(partials) < threshold:
        return False
    lie.took(combine(lie.public_key, len(ALL), threshold, partials))
    return True


def test_no_two_groups_of_more_than_half_of_the_clients_open_two_sums() -> None:
    lie = attacker("threshold", threshold=3)
    assert decrypted_together(lie, OTHERS, lie.signed_request(*OTHERS), 3)
    assert not decrypted_together(lie, ALL, lie.signed_request(*ALL), 3)
    assert lie.read(VICTIM) is None
    assert len(lie.refusals) == 3


def test_two_groups_of_half_of_the_clients_can_be_made_to_open_two_sums() -> None:
    """As is said in `clients.protection.paillier`; the default is more than half of all clients, if it can be."""
    lie = attacker("threshold", threshold=2)
    assert decrypted_together(lie, ALL[:2], lie.signed_request(*OTHERS), 2)
    assert decrypted_together(lie, ALL[2:], lie.signed_request(*ALL), 2)
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM])


@pytest.mark.parametrize("num_corrupt", [2, 3])
def test_fewer_than_the_threshold_open_nothing_whatever_they_tell(num_corrupt: int) -> None:
    lie = attacker("threshold", threshold=3)
    shares = KeyShares(lie.cohort.material)
    ciphertexts = read_ciphertexts(lie.public_key, lie.packing, lie.updates[VICTIM].ciphertexts)
    corrupt = {
        x: read_ciphertexts(lie.public_key, lie.packing, shares.decrypt_partially(ALL[x - 1], ciphertexts))
        for x in range(1, num_corrupt + 1)
    }
    lie.ask_to_open(VICTIM, replace(lie.signed_request(*ALL), updates=(lie.part(VICTIM),)))
    if num_corrupt == 3:
        lie.took(combine(lie.public_key, len(ALL), 3, corrupt))
    else:
        with pytest.raises(Exception, match="the partial decryptions give no plaintexts"):
            lie.took(combine(lie.public_key, len(ALL), 3, {**corrupt, 3: corrupt[1]}))
    assert same(lie.read(VICTIM), lie.cohort.vectors[VICTIM]) == (num_corrupt == 3)
