"""The coordinator's half of secure aggregation: what it takes, what it refuses from whom, what it opens."""

import secrets
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import damaged
from msgspec.structs import replace
from secagg_rounds import MODEL, STAGES, Cohort

from fedgdl.crypto.masking import KeyPair, transcript
from fedgdl.errors import AggregationError, ClientError, ConfigError
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import (
    DealtShares,
    KeyAdvertisement,
    RoundHeader,
    ShareCommitments,
    UnmaskShares,
)
from server.aggregation.aggregation import make_aggregation
from server.aggregation.secagg import SecaggAggregation, SecaggCohort
from server.round_state import Stage

BOB, SUE = "client-0001", "client-0002"


class Scene:
    """A round that has come to a stage; Bob's answer in it can be changed before the coordinator takes it."""

    def __init__(self, stage: str, size: int = 5, *, seed: str = "", **settings: object) -> None:
        self.cohort = Cohort(size, settings=settings, seed=seed)
        self.a_round: SecaggCohort = self.cohort.open()
        self.stage = stage
        self.participants = self.cohort.client_ids
        for each in self.a_round.stages:
            if each.name == stage:
                break
            self.play(each.name)
        self.a_round.begin(stage, self.participants)

    def play(self, stage: str, *, lost: tuple[str, ...] = ()) -> None:
        self.participants, _, refusals = self.cohort.play_stage(self.a_round, stage, self.participants, lost=lost)
        assert not refusals

    def answer(self, client_id: str = BOB) -> bytes:
        said = self.a_round.common(self.stage), self.a_round.message(self.stage, client_id)
        return self.cohort.ask(self.stage, client_id, *said)

    def take(self, payload: bytes, client_id: str = BOB) -> None:
        assert self.a_round.take(self.stage, client_id, payload) is None

    def refuses(self, caught: str, payload: bytes, client_id: str = BOB) -> None:
        with pytest.raises(ClientError, match=caught) as raised:
            self.a_round.take(self.stage, client_id, payload)
        assert raised.value.client_id == client_id

    def take_the_others(self, *missing: str) -> None:
        """Takes everyone's answer but Bob's and theirs."""
        for client_id in self.participants:
            if client_id not in {BOB, *missing}:
                self.take(self.answer(client_id), client_id)


# rounds and stages


def test_stages_and_how_many_must_answer() -> None:
    assert Cohort(10).open().stages == (
        Stage("advertise", 7),
        Stage("share", 7),
        Stage("masked input", 7, trains=True),
        Stage("consistency", 7),
        Stage("unmask", 7, opens=True),
    )
    assert [stage.name for stage in Cohort(4, settings={"consistency": False}).open().stages] == [
        stage for stage in STAGES if stage != "consistency"
    ]
    assert [stage.min_answers for stage in Cohort(4, settings={"min_cohort": 4}).open().stages] == [4, 4, 4, 3, 3]


def test_the_header_says_what_the_round_is_about() -> None:
    cohort = Cohort(10)
    header = decode_struct(cohort.open(3, 2).common("advertise"), RoundHeader)
    assert (header.round_index, header.attempt, header.model_sha256) == (3, 2, MODEL)
    assert (header.num_clients, header.degree, header.threshold, header.min_survivors) == (10, 9, 7, 7)
    assert header.encoding_sha256 == cohort.encoding.digest
    assert header.layout_sha256 == cohort.layout.digest
    assert header.session == decode_struct(cohort.open(4).common("advertise"), RoundHeader).session
    assert header.session != decode_struct(Cohort(10).open().common("advertise"), RoundHeader).session


def test_cohorts_that_are_too_small_or_too_large_are_refused() -> None:
    cohort = Cohort(4, settings={"min_cohort": 3})
    for others in (cohort.client_ids[:3], (*cohort.client_ids, "one more")):
        with pytest.raises(AggregationError, match=f"a cohort of {len(others)} came, and one of 4 is configured"):
            cohort.aggregation.open_round(1, 1, others, MODEL)
    with pytest.raises(ConfigError, match="min_cohort"):
        Cohort(2, settings={"min_cohort": 3})


def test_the_graph_of_a_full_cohort_is_told() -> None:
    graph = Cohort(10).aggregation.graph
    assert (graph.degree, graph.threshold, graph.max_dropouts) == (9, 7, 3)


@pytest.mark.parametrize("size", [2, 100, 130])
def test_no_payload_is_longer_than_announced_even_with_the_longest_ids(size: int) -> None:
    cohort = Cohort(size, parameters=1)
    longest = [f"{index:03}" + "\U0001f600" * 197 for index in range(cohort.aggregation.graph.degree + 1)]
    commitments = ShareCommitments(bytes(32), bytes(32))
    largest: list[msgspec.Struct] = [
        KeyAdvertisement(bytes(32), bytes(32), bytes(64)),
        DealtShares(dict.fromkeys(longest, bytes(82)), dict.fromkeys(longest, commitments), bytes(32)),
        UnmaskShares(dict.fromkeys(longest, bytes(33)), {}),
    ]
    assert max(len(encode_struct(payload)) for payload in largest) <= cohort.aggregation.max_payload_bytes
    large = Cohort(size, parameters=100_000)
    assert large.aggregation.max_payload_bytes >= large.encoding.num_bytes


def test_stages_follow_each_other_with_those_who_answered() -> None:
    a_round = Cohort(5).open()
    with pytest.raises(AggregationError, match='"share" cannot follow ""'):
        a_round.begin("share", Cohort(5).client_ids)
    scene = Scene("share")
    with pytest.raises(AggregationError, match='"share" cannot follow "share"'):
        scene.a_round.begin("share", scene.participants)
    with pytest.raises(AggregationError, match='"payday" cannot follow'):
        scene.a_round.begin("payday", scene.participants)
    with pytest.raises(AggregationError, match="others take part"):
        scene.a_round.begin("masked input", scene.participants)
    scene.take_the_others("client-0004")
    with pytest.raises(AggregationError, match="others take part"):
        scene.a_round.begin("masked input", ("client-0000", SUE))
    with pytest.raises(AggregationError, match="3 clients are too few"):
        scene.a_round.begin("masked input", ("client-0000", SUE, "client-0003"))


def test_survivors_are_exactly_those_whose_update_was_added() -> None:
    scene = Scene("masked input")
    scene.take(scene.answer())
    scene.take_the_others()
    with pytest.raises(AggregationError, match="others take part"):
        scene.a_round.begin("consistency", scene.participants[:4])


# what is taken


@given(st.data(), st.sampled_from(STAGES))
@settings(max_examples=150)
def test_whatever_bytes_a_client_sends_they_are_taken_or_its_fault(data: st.DataObject, stage: str) -> None:
    scene = Scene(stage, seed="always the same")
    payload = data.draw(damaged([scene.answer()]))
    try:
        scene.take(payload)
    except ClientError as error:
        assert error.client_id == BOB  # noqa: PT017 (what is taken is as good)
    else:
        scene.refuses("a second answer", payload)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "masked input"])
def test_what_cannot_be_read_is_the_clients_fault(stage: str) -> None:
    Scene(stage).refuses("cannot be read|a signature has 64 bytes, it sent 1", b"\xc1")


def test_a_masked_update_of_another_length_is_refused() -> None:
    scene = Scene("masked input")
    payload = scene.answer()
    scene.refuses("has not the size of one", payload + bytes(3))
    scene.refuses("has not the size of one", payload[:-1])
    assert not scene.a_round._total.any()


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_answer_is_refused(stage: str) -> None:
    scene = Scene(stage)
    payload = scene.answer()
    scene.take(payload)
    scene.refuses("a second answer", payload)


def test_a_late_masked_update_is_refused() -> None:
    """By then the client's pair masks are to be opened: only its own mask would hide the update."""
    scene = Scene("masked input")
    late = scene.answer()
    scene.take_the_others()
    scene.a_round.begin("consistency", tuple(sorted(scene.a_round._answered)))
    total = scene.a_round._total.copy()
    with pytest.raises(ClientError, match="in which it was not asked now"):
        scene.a_round.take("masked input", BOB, late)
    np.testing.assert_array_equal(scene.a_round._total, total)


def test_who_is_not_in_the_stage_is_refused() -> None:
    scene = Scene("advertise")
    scene.refuses("in which it was not asked now", scene.answer(), "mallory")
    scene.stage = "share"  # which has not begun
    scene.refuses("in which it was not asked now", b"")


def in_disguise(public_key: bytes) -> bytes:
    """Returns other bytes with which everyone agrees on the same secrets."""
    return public_key[:-1] + bytes([public_key[-1] ^ 0x80])


def test_keys_that_are_copied_doubled_or_worthless_are_refused() -> None:
    scene = Scene("advertise")
    keys = decode_struct(scene.answer(), KeyAdvertisement)
    scene.take(encode_struct(keys))
    fresh = decode_struct(scene.answer(SUE), KeyAdvertisement)
    for change, caught in [
        ({"mask_key": keys.channel_key}, f"a key that '{BOB}' had advertised"),
        ({"channel_key": keys.channel_key}, f"a key that '{BOB}' had advertised"),
        ({"channel_key": bytes(32)}, "keeps nothing secret"),
        ({"mask_key": b"\x01" + bytes(31)}, "keeps nothing secret"),
        ({"mask_key": in_disguise(keys.mask_key)}, "as no honest client writes it"),
    ]:
        wrong: Any = replace(fresh, **change)
        scene.refuses(caught, encode_struct(wrong), SUE)
    scene.take(encode_struct(fresh), SUE)  # what was refused has left no trace
    third = decode_struct(scene.answer("client-0003"), KeyAdvertisement)
    wrong = replace(third, mask_key=third.channel_key)
    scene.refuses("the same key for shares and for masks", encode_struct(wrong), "client-0003")


@pytest.mark.parametrize("which", ["shares", "commitments"])
def test_shares_must_be_dealt_to_the_whole_neighbourhood(which: str) -> None:
    for change in (lambda dealt: dealt.pop(SUE), lambda dealt: dealt.__setitem__("mallory", dealt[SUE])):
        scene = Scene("share")
        dealt = decode_struct(scene.answer(), DealtShares)
        change(getattr(dealt, which))
        scene.refuses("dealt shares to others than its neighbours, or not to all", encode_struct(dealt))


def test_opened_shares_must_be_those_asked_for() -> None:
    for change in (
        lambda opened: opened.own_masks.pop(SUE),
        lambda opened: opened.mask_keys.__setitem__(SUE, opened.own_masks[SUE]),
        lambda opened: opened.mask_keys.__setitem__(SUE, opened.own_masks.pop(SUE)),
    ):
        scene = Scene("unmask")
        opened = decode_struct(scene.answer(), UnmaskShares)
        change(opened)
        scene.refuses("opened shares of others than it was asked for", encode_struct(opened))


def test_a_wrong_share_is_named_and_the_sum_is_opened_without_it() -> None:
    scene = Scene("masked input")
    scene.take_the_others(SUE)
    scene.take(scene.answer())
    scene.participants = tuple(client_id for client_id in scene.participants if client_id != SUE)
    scene.play("consistency")
    scene.stage = "unmask"
    scene.a_round.begin("unmask", scene.participants)
    opened = decode_struct(scene.answer(), UnmaskShares)
    for secret_name, shares, dealer_id in (
        ("own mask", opened.own_masks, "client-0003"),
        ("mask key", opened.mask_keys, SUE),
    ):
        right, shares[dealer_id] = shares[dealer_id], secrets.token_bytes(33)
        scene.refuses(
            f"share of the {secret_name} of '{dealer_id}' is not the one that was dealt", encode_struct(opened)
        )
        shares[dealer_id] = right
    scene.take(encode_struct(opened))
    scene.take_the_others()
    assert scene.a_round.finish().num_clients == 4


# what is opened


@pytest.mark.parametrize(("secret_name", "lost"), [("own mask", ()), ("mask key", (SUE,))])
def test_a_secret_that_was_dealt_wrongly_is_found_and_its_dealer_named(secret_name: str, lost: tuple[str, ...]) -> None:
    """The dealer's shares go with its commitments, and with each other: what they open is another secret."""
    scene = Scene("share")
    sue = scene.cohort.protections[SUE]._rounds[SUE]._kept
    assert sue is not None
    if secret_name == "own mask":
        true, sue.own_seed = sue.own_seed, secrets.token_bytes(32)
    else:
        true, sue.mask = sue.mask, KeyPair.generate()
    for client_id in scene.participants:
        payload = scene.answer(client_id)
        if client_id == SUE and secret_name == "own mask":
            commitment = transcript.own_mask_commitment(scene.a_round._context, SUE, true)
            payload = encode_struct(replace(decode_struct(payload, DealtShares), own_mask_commitment=commitment))
        scene.take(payload, client_id)
    scene.play("masked input", lost=lost)
    scene.play("consistency")
    scene.play("unmask")
    with pytest.raises(AggregationError, match=f"'{SUE}' dealt shares of another {secret_name} than it goes by"):
        scene.a_round.finish()


def test_a_secret_of_which_too_few_shares_came_is_named() -> None:
    scene = Scene("masked input", consistency=False)
    scene.take_the_others(SUE)
    scene.take(scene.answer())
    scene.participants = tuple(client_id for client_id in scene.participants if client_id != SUE)
    scene.stage = "unmask"
    scene.a_round.begin("unmask", scene.participants)
    scene.take_the_others()  # three of the four that are needed
    with pytest.raises(
        AggregationError, match="own mask of 'client-0000' cannot be opened: 3 shares of it came, and 4 are"
    ):
        scene.a_round.finish()
    with pytest.raises(AggregationError, match=f"mask key of '{SUE}' cannot be opened: 3 shares of it came"):
        scene.a_round._open_pair_masks(SUE)


def test_what_a_client_added_besides_is_found_in_the_sum() -> None:
    scene = Scene("masked input")
    tampered = scene.cohort.encoding.unpack(scene.answer())
    tampered[-5] += 1  # the counter
    scene.take(scene.cohort.encoding.pack(tampered))
    scene.take_the_others()
    scene.participants = scene.cohort.client_ids
    scene.play("consistency")
    scene.play("unmask")
    with pytest.raises(AggregationError, match="counts 6 clients where 5 were added"):
        scene.a_round.finish()


def test_the_memory_of_a_round_does_not_grow_with_the_updates() -> None:
    """Vectors are added on arrival: nothing keeps them."""
    scene = Scene("masked input")
    before = scene.a_round._total
    payload = scene.answer()
    scene.take(payload)
    assert scene.a_round._total is before
    np.testing.assert_array_equal(before, scene.cohort.encoding.unpack(payload))
    assert not any(value is payload for value in vars(scene.a_round).values())


def test_this_goes_with_its_configuration() -> None:
    cohort = Cohort(3)
    assert type(make_aggregation(cohort.experiment, cohort.strategy, cohort.layout)) is SecaggAggregation
