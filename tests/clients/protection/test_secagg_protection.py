"""How a client of a secure aggregation begins and deals shares, and what it refuses there, one lie or mistake a test.

The later stages are in `test_secagg_client.py`, whole lies of a coordinator in tests/system.
"""

import contextlib
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import damaged
from msgspec.structs import replace
from secagg_rounds import SECRET, STAGES, Cohort
from secagg_scene import BOB, SUE, Scene

from clients.protection.secagg import SecaggProtection
from fedgdl.crypto.masking import Identities, KeyPair, transcript
from fedgdl.errors import ConfigError, ProtocolError
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import DealtShares, KeyAdvertisement, Roster, RosterEntry, RoundHeader

# advertise


def test_a_client_signs_two_new_keys_in_each_attempt() -> None:
    cohort = Cohort(3)
    seen = set()
    for attempt in (1, 2):
        a_round = cohort.open(attempt=attempt)
        keys = decode_struct(cohort.ask("advertise", BOB, a_round.common("advertise"), b""), KeyAdvertisement)
        digest = transcript.advertisement_digest(a_round._context, BOB, keys.channel_key, keys.mask_key)
        assert Identities(SECRET).verify(BOB, digest, keys.signature)
        seen |= {keys.channel_key, keys.mask_key}
    assert len(seen) == 4


def test_an_attempt_does_not_begin_twice_for_a_client() -> None:
    scene = Scene("advertise")
    scene.ask()
    scene.refuses("begins an attempt at a round a second time")


@pytest.mark.parametrize(("latest", "replayed"), [((1, 2), (1, 1)), ((2, 1), (1, 3)), ((3, 1), (2, 1))])
def test_an_older_attempt_is_not_begun_again(latest: tuple[int, int], replayed: tuple[int, int]) -> None:
    cohort = Cohort(3)
    cohort.ask("advertise", BOB, cohort.open(*latest).common("advertise"), b"", latest[0])
    with pytest.raises(ProtocolError, match="goes back to attempt"):
        cohort.ask("advertise", BOB, cohort.open(*replayed).common("advertise"), b"", replayed[0])


def test_a_round_of_another_run_is_refused() -> None:
    scene = Scene("share")
    header = replace(decode_struct(scene.a_round.common("advertise"), RoundHeader), session=bytes(16), attempt=2)
    with pytest.raises(ProtocolError, match="another session"):
        scene.cohort.ask("advertise", BOB, encode_struct(header), b"")


def test_the_next_attempt_drops_the_secrets_of_the_one_before() -> None:
    scene = Scene("share")
    before = scene.bob._rounds[BOB]
    message = scene.message()
    scene.cohort.ask("advertise", BOB, scene.cohort.open(attempt=2).common("advertise"), b"")
    assert scene.bob._rounds[BOB] is not before
    scene.refuses("roster has other keys for this client than it advertised", message=message)


def test_a_worker_forgets_clients_that_are_not_in_the_next_round() -> None:
    scene = Scene("share")
    other = decode_struct(scene.cohort.open(2).common("advertise"), RoundHeader)
    scene.bob.answer("advertise", 2, SUE, encode_struct(other), b"")
    assert scene.bob._rounds.keys() == {SUE}
    scene.refuses("in which this client did not advertise keys")


@given(st.data(), st.sampled_from(STAGES))
@settings(max_examples=150)
def test_whatever_bytes_come_a_client_answers_or_refuses_in_words(data: st.DataObject, stage: str) -> None:
    scene = Scene(stage, seed="always the same")
    common, message = (data.draw(damaged([honest])) if honest else b"" for honest in (scene.common(), scene.message()))
    with contextlib.suppress(ProtocolError):
        assert scene.ask(common=common, message=message)


@pytest.mark.parametrize("stage", STAGES)
def test_what_cannot_be_read_is_refused(stage: str) -> None:
    Scene(stage).refuses(f'the stage "{stage}" cannot be read', common=b"\xc1", message=b"\xc1")


def test_a_stage_that_the_protocol_has_not_is_refused() -> None:
    scene = Scene("share")
    with pytest.raises(ProtocolError, match='a stage "payday"'):
        scene.bob.answer("payday", 1, BOB, b"", b"")


@pytest.mark.parametrize(
    ("stage", "asked"),
    [pair for pair in itertools.permutations(STAGES[1:], 2) if pair != ("unmask", "consistency")],
)
def test_stages_out_of_turn_are_refused(stage: str, asked: str) -> None:
    late = Scene(asked)  # where what is said to Bob can be had
    early = Scene(stage)
    early.stage = asked
    early.refuses("out of turn", common=late.common(), message=late.message())


# share


def roster_of(scene: Scene, change: Callable[[list[RosterEntry]], object]) -> bytes:
    """Returns Bob's roster after a change, with the hash that then is right."""
    entries = list(decode_struct(scene.message(), Roster).entries)
    change(entries)
    listed = [(e.client_id, e.keys.channel_key, e.keys.mask_key, e.keys.signature) for e in entries]
    return encode_struct(Roster(transcript.roster_digest(scene.a_round._context, listed), tuple(entries)))


def signed(scene: Scene, client_id: str, channel_key: bytes, mask_key: bytes) -> RosterEntry:
    """Returns what a corrupt client advertises."""
    digest = transcript.advertisement_digest(scene.a_round._context, client_id, channel_key, mask_key)
    signature = Identities(SECRET).sign(client_id, digest)
    return RosterEntry(client_id, KeyAdvertisement(channel_key, mask_key, signature))


def test_a_roster_in_another_order_is_refused() -> None:
    scene = Scene("share")
    scene.refuses("not sorted and unique", message=roster_of(scene, lambda entries: entries.reverse()))


def test_a_client_twice_in_the_roster_is_refused() -> None:
    scene = Scene("share")
    scene.refuses("not sorted and unique", message=roster_of(scene, lambda entries: entries.insert(0, entries[0])))


def test_a_roster_without_the_client_is_refused() -> None:
    scene = Scene("share")
    scene.refuses("leaves this client out", message=roster_of(scene, lambda entries: entries.pop(1)))


def test_other_keys_of_its_own_are_refused() -> None:
    scene = Scene("share")
    fresh = [KeyPair.generate().public_key for _ in range(2)]
    changed = roster_of(scene, lambda entries: entries.__setitem__(1, signed(scene, BOB, *fresh)))
    scene.refuses("other keys for this client than it advertised", message=changed)


def test_keys_without_their_owners_signature_are_refused() -> None:
    scene = Scene("share")
    keys = decode_struct(scene.message(), Roster).entries[0].keys
    forged = RosterEntry(SUE, keys)
    changed = roster_of(scene, lambda entries: entries.__setitem__(2, forged))
    scene.refuses(f"for '{SUE}' do not carry its signature", message=changed)


@pytest.mark.parametrize("whose", ["own", "another's", "twice the same"])
def test_a_key_that_stands_twice_in_the_roster_is_refused(whose: str) -> None:
    scene = Scene("share")
    entries = decode_struct(scene.message(), Roster).entries
    fresh = KeyPair.generate().public_key
    copied = {"own": entries[1].keys.mask_key, "another's": entries[0].keys.channel_key, "twice the same": fresh}[whose]
    changed = roster_of(scene, lambda entries: entries.__setitem__(2, signed(scene, SUE, fresh, copied)))
    scene.refuses("with the same public key", message=changed)


def test_another_clients_key_in_disguise_is_refused() -> None:
    scene = Scene("share")
    copied, fresh = decode_struct(scene.message(), Roster).entries[1].keys.mask_key, KeyPair.generate().public_key
    disguised = copied[:-1] + bytes([copied[-1] ^ 0x80])
    changed = roster_of(scene, lambda entries: entries.__setitem__(2, signed(scene, SUE, fresh, disguised)))
    scene.refuses(f"'{SUE}' advertised a key as no honest client writes it", message=changed)


@pytest.mark.parametrize("weak", [bytes(32), b"\x01" + bytes(31)])
def test_a_key_with_which_all_agreements_are_zero_is_refused(weak: bytes) -> None:
    scene = Scene("share")
    fresh = KeyPair.generate().public_key
    changed = roster_of(scene, lambda entries: entries.__setitem__(2, signed(scene, SUE, weak, fresh)))
    scene.refuses(f"'{SUE}' advertised a key that keeps nothing secret", message=changed)


def test_a_mask_key_with_which_all_agreements_are_zero_is_refused_before_anything_is_masked() -> None:
    scene = Scene("masked input")
    scene.bob._rounds[BOB]._mask_keys[SUE] = bytes(32)
    scene.refuses(f"'{SUE}' advertised a key that keeps nothing secret")


def test_a_roster_of_too_few_is_refused() -> None:
    scene = Scene("share")  # at least 4 of 5

    def leave_three(entries: list[RosterEntry]) -> None:
        del entries[3:]

    scene.refuses("roster has 3 clients; 4 to 5", message=roster_of(scene, leave_three))


def test_a_roster_with_another_hash_is_refused() -> None:
    scene = Scene("share")
    roster = replace(decode_struct(scene.message(), Roster), sha256=bytes(32))
    scene.refuses("another hash than it states", message=encode_struct(roster))


def test_another_number_of_neighbours_in_a_sparse_graph_is_refused() -> None:
    sparse = {"corrupt_share": 0.02, "privacy_bits": 10, "liveness_bits": 10}
    scene = Scene("share", size=110, **sparse)
    roster = decode_struct(scene.message(), Roster)
    more = next(entry for entry in scene.a_round._roster.values() if entry not in roster.entries)
    entries = sorted((*roster.entries, more), key=lambda entry: entry.client_id)
    degree = len(roster.entries) - 1
    scene.refuses(
        f"gives this client {degree + 1} neighbours, and it has {degree}",
        message=encode_struct(Roster(roster.sha256, tuple(entries))),
    )
    fewer = Scene("share", size=110, **sparse)
    roster = decode_struct(fewer.message(), Roster)
    entries = [entry for index, entry in enumerate(roster.entries) if entry.client_id == BOB or index > 1]
    fewer.refuses("roster has .* clients; 99 to 110", message=encode_struct(Roster(roster.sha256, tuple(entries))))


def test_no_share_is_the_secret_itself_and_nobody_else_can_read_one() -> None:
    """A polynomial's value at x = 0 is the secret: no holder has that."""
    scene = Scene("share")
    dealt = decode_struct(scene.ask(), DealtShares)
    own = scene.bob._rounds[BOB]._kept
    assert own is not None
    commitments = set()
    for secret_name, secret in (("mask key", own.mask.private_bytes()), ("own mask", own.own_seed)):
        at_zero = b"\0" + secret
        for holder_id, made in dealt.commitments.items():
            commitment = made.mask_key if secret_name == "mask key" else made.own_mask
            commitments.add(commitment)
            assert commitment != transcript.share_commitment(
                scene.a_round._context, secret_name, BOB, holder_id, at_zero
            )
    assert len(commitments) == 2 * 5
    assert dealt.shares.keys() == set(scene.cohort.client_ids) - {BOB}
    assert len(set(dealt.shares.values())) == 4


def test_shares_are_dealt_once() -> None:
    scene = Scene("share")
    scene.ask()
    scene.refuses("out of turn")


def test_what_must_be_settled_first_is_asked_for() -> None:
    cohort = Cohort(3)
    unsettled = replace(cohort.experiment, cohort_size=None)
    with pytest.raises(ConfigError, match="cohort_size is to be settled"):
        SecaggProtection(unsettled, cohort.strategy, cohort.layout, Identities(SECRET))
