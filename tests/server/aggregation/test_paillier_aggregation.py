"""Whole rounds of encrypted aggregation: the exact sum over whoever answered, or none, and who is to blame for that."""

from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace
from paillier_rounds import HOLDERS, MODEL, Cohort, names

from clients.worker import MAX_TASK_FRAME_BYTES
from fedgdl.crypto.paillier import CiphertextSum, read_ciphertexts
from fedgdl.errors import AggregationError, ClientError, ConfigError
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.paillier import EncryptedUpdate, PaillierHeader, RoundAnnouncement, SumToOpen
from server.aggregation import paillier
from server.aggregation.decryption import SumOpener
from server.aggregation.paillier import PaillierAggregation, PaillierCohort

FOUR = names(4)
TRAINS = "encrypted input"
STAGES = {"clients": ["decrypt"], "threshold": ["decrypt", "stand in"]}


def exact(cohort: Cohort, contributors: tuple[str, ...]) -> np.ndarray:
    """Returns the sum of weighted deltas that these clients' vectors give in the clear."""
    vectors = [cohort.vectors[client_id] for client_id in contributors]
    total = np.sum(vectors, axis=0, dtype=cohort.encoding.dtype)
    return cohort.encoding.decode(total, len(contributors)).sums["weighted_delta"]


@pytest.mark.parametrize(("key_holder", "sum_check"), HOLDERS)
@pytest.mark.parametrize("lost", [(), FOUR[:1], (FOUR[1], FOUR[3])])
def test_a_round_gives_the_exact_sum_over_those_who_answered(
    key_holder: str, sum_check: str, lost: tuple[str, ...]
) -> None:
    cohort = Cohort(4, key_holder, sum_check, settings={"threshold": 2} if key_holder == "threshold" else {})
    for round_index in (1, 2):
        played = cohort.play(lost=dict.fromkeys(lost, TRAINS), reverse=bool(round_index % 2), round_index=round_index)
        assert played.contributors == tuple(sorted(set(FOUR) - set(lost)))
        assert played.sums.num_clients == len(played.contributors)
        assert np.array_equal(played.sums.sums["weighted_delta"], exact(cohort, played.contributors))
        assert not played.refusals


@pytest.mark.parametrize(("key_holder", "sum_check"), HOLDERS)
def test_too_few_updates_give_no_sum(key_holder: str, sum_check: str) -> None:
    cohort = Cohort(4, key_holder, sum_check, settings={"min_cohort": 3})
    a_round = cohort.open()
    assert a_round.stages[0].min_answers == 3
    answered, _, _ = cohort.play_stage(a_round, TRAINS, FOUR, lost=FOUR[2:])
    if len(a_round.stages) > 1:
        with pytest.raises(AggregationError, match='2 clients are too few for the stage "decrypt"'):
            a_round.begin("decrypt", answered)
    with pytest.raises(AggregationError, match="2 encrypted updates came, and at least 3 clients must be in a sum"):
        a_round.finish()


@pytest.mark.parametrize(("key_holder", "sum_check"), HOLDERS)
def test_the_stages_are_those_of_the_key_holder(key_holder: str, sum_check: str) -> None:
    stages = Cohort(4, key_holder, sum_check).open().stages
    assert [stage.name for stage in stages] == [TRAINS, *STAGES.get(key_holder, [])]
    assert all(stage.opens for stage in stages)
    assert [stage.trains for stage in stages] == [True] + [False] * (len(stages) - 1)


@pytest.mark.parametrize("sum_check", ["signed", "trusted"])
def test_clients_that_leave_before_they_decrypt_are_in_the_sum(sum_check: str) -> None:
    cohort = Cohort(4, "clients", sum_check)
    played = cohort.play(lost=dict.fromkeys(FOUR[:3], "decrypt"))
    assert played.contributors == FOUR
    assert np.array_equal(played.sums.sums["weighted_delta"], exact(cohort, FOUR))


@pytest.mark.parametrize("sum_check", ["signed", "trusted"])
def test_others_stand_in_for_clients_that_leave_before_they_have_done_their_part(sum_check: str) -> None:
    cohort = Cohort(4, "threshold", sum_check, settings={"threshold": 2})
    played = cohort.play(lost={FOUR[1]: "decrypt"})
    parts = {where: bool(payload) for where, payload in played.payloads.items() if where[0] != TRAINS}
    assert parts == {
        **{("decrypt", client_id): client_id == FOUR[0] for client_id in FOUR if client_id != FOUR[1]},
        **{("stand in", client_id): client_id == FOUR[2] for client_id in FOUR if client_id != FOUR[1]},
    }
    assert np.array_equal(played.sums.sums["weighted_delta"], exact(cohort, FOUR))


def test_nobody_is_asked_to_stand_in_where_all_have_done_their_part() -> None:
    played = Cohort(4, "threshold", settings={"threshold": 2}).play()
    assert {client_id for (stage, client_id), sent in played.payloads.items() if stage == "decrypt" and sent} == set(
        FOUR[:2]
    )
    assert not any(sent for (stage, _), sent in played.payloads.items() if stage == "stand in")


def test_too_few_parts_open_nothing() -> None:
    cohort = Cohort(4, "threshold", settings={"threshold": 2})
    with pytest.raises(AggregationError, match="1 clients did their part in the decryption, and 2 are needed"):
        cohort.play(lost={FOUR[1]: "decrypt", FOUR[2]: "stand in"})


def test_the_clients_of_a_larger_population_have_the_shares_of_their_own() -> None:
    everybody = names(9)
    cohort = Cohort(3, "threshold", client_ids=everybody[4:7], population=everybody)
    assert cohort.material.certificate.num_shares == 9
    assert cohort.material.certificate.threshold == 2
    assert np.array_equal(cohort.play().sums.sums["weighted_delta"], exact(cohort, everybody[4:7]))


def begun(
    cohort: Cohort, stage: str = TRAINS, *, lost: tuple[str, ...] = ()
) -> tuple[PaillierCohort, dict[str, bytes]]:
    """Returns a round in which a stage has begun, and what clients would answer in it."""
    a_round, participants = cohort.open(), cohort.client_ids
    for each in a_round.stages:
        if each.name == stage:
            break
        participants, _, _ = cohort.play_stage(a_round, each.name, participants, lost=lost)
    a_round.begin(stage, participants)
    common = a_round.common(stage)
    return a_round, {client_id: cohort.ask(stage, client_id, common) for client_id in participants}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key_id": "0" * 64}, "encrypted with another key"),
        ({"packing_sha256": "0" * 64}, "packed in another way"),
        ({"ciphertexts": b""}, "its update cannot be used: the ciphertexts cannot be used"),
        ({"ciphertexts": b"one too long"}, "its update cannot be used: the ciphertexts cannot be used"),
        ({"ciphertexts": b"out of range"}, "its update cannot be used: the ciphertexts cannot be used"),
        ({"ciphertexts": b"no unit"}, "its update cannot be used: the ciphertexts cannot be used"),
        ({"signature": bytes(64)}, "the key holder refuses its update: the update said to be of 'client-0001'"),
    ],
)
def test_an_update_that_cannot_be_added_is_its_clients_fault_alone(change: dict[str, bytes], reason: str) -> None:
    cohort = Cohort(4)
    a_round, payloads = begun(cohort)
    update = decode_struct(payloads[FOUR[1]], EncryptedUpdate)
    key = a_round._form.public_key
    spoilt = {
        b"one too long": update.ciphertexts + bytes(1),
        b"out of range": b"\xff" * len(update.ciphertexts),
        b"no unit": key.n.to_bytes(key.ciphertext_bytes, "big") + update.ciphertexts[key.ciphertext_bytes :],
    }
    change = {name: spoilt.get(value, value) for name, value in change.items()}
    with pytest.raises(ClientError, match=reason):
        a_round.take(TRAINS, FOUR[1], encode_struct(replace(update, **change)))
    others = [client_id for client_id in FOUR if client_id != FOUR[1]]
    for client_id in others:
        a_round.take(TRAINS, client_id, payloads[client_id])
    assert np.array_equal(a_round.finish().sums["weighted_delta"], exact(cohort, tuple(others)))


def test_answers_that_were_not_asked_for_are_refused() -> None:
    cohort = Cohort(4, "clients")
    a_round, payloads = begun(cohort)
    with pytest.raises(ClientError, match="its answer cannot be read"):
        a_round.take(TRAINS, FOUR[0], b"\xc1")
    a_round.take(TRAINS, FOUR[0], payloads[FOUR[0]])
    for stage, client_id, reason in (
        (TRAINS, FOUR[0], "a second answer"),
        (TRAINS, "zoe", "was not asked now"),
        ("decrypt", FOUR[0], "was not asked now"),
    ):
        with pytest.raises(ClientError, match=reason):
            a_round.take(stage, client_id, payloads[FOUR[0]])


def test_a_key_holder_that_is_a_process_has_no_answers_of_clients_to_wait_for() -> None:
    a_round, _ = begun(Cohort(4))
    assert a_round._decryption.common("decrypt") == b""
    a_round._decryption.begin("decrypt", FOUR)
    with pytest.raises(ClientError, match="which there is not"):
        a_round._decryption.take("decrypt", FOUR[0], b"")


@pytest.mark.parametrize(
    ("stage", "client_ids", "problem"),
    [
        ("decrypt", FOUR, "cannot follow"),
        ("payday", FOUR, "cannot follow"),
        (TRAINS, FOUR[:3], "others take part"),
        (TRAINS, (*FOUR, "zoe"), "others take part"),
    ],
)
def test_stages_out_of_turn_or_of_others_do_not_begin(stage: str, client_ids: tuple[str, ...], problem: str) -> None:
    with pytest.raises(AggregationError, match=problem):
        Cohort(4, "clients").open().begin(stage, client_ids)


def test_a_sum_of_the_wrong_size_is_its_clients_fault() -> None:
    cohort = Cohort(4, "clients")
    a_round, answers = begun(cohort, "decrypt")
    with pytest.raises(ClientError, match=r"an opened sum has .* bytes"):
        a_round.take("decrypt", FOUR[0], answers[FOUR[0]][:-1])


def test_different_sums_are_not_used_and_their_openers_named() -> None:
    cohort = Cohort(4, "clients")
    a_round, answers = begun(cohort, "decrypt")
    for client_id, answer in answers.items():
        a_round.take("decrypt", client_id, bytes(len(answer)) if client_id == FOUR[2] else answer)
    with pytest.raises(AggregationError, match="'client-0000' and 'client-0002' opened different sums"):
        a_round.finish()


def test_no_sum_is_opened_by_nobody() -> None:
    a_round, _ = begun(Cohort(4, "clients"), "decrypt")
    with pytest.raises(AggregationError, match="no client opened the sum"):
        a_round.finish()


def test_parts_of_a_decryption_that_are_none_are_their_clients_fault() -> None:
    cohort = Cohort(4, "threshold", settings={"threshold": 2})
    a_round, answers = begun(cohort, "decrypt")
    with pytest.raises(ClientError, match="its part in the decryption cannot be used"):
        a_round.take("decrypt", FOUR[0], answers[FOUR[0]][:-1])
    with pytest.raises(ClientError, match="others were asked for theirs"):
        a_round.take("decrypt", FOUR[3], answers[FOUR[0]])


def test_wrong_parts_of_a_decryption_give_nothing() -> None:
    cohort = Cohort(4, "threshold", settings={"threshold": 2})
    a_round, answers = begun(cohort, "decrypt")
    a_round.take("decrypt", FOUR[0], answers[FOUR[1]])
    a_round.take("decrypt", FOUR[1], answers[FOUR[0]])
    for client_id in FOUR[2:]:
        a_round.take("decrypt", client_id, b"")
    a_round.begin("stand in", FOUR)
    assert a_round.common("stand in") == b""
    with pytest.raises(AggregationError, match="at least one of them is wrong"):
        a_round.finish()


@pytest.mark.parametrize("key_holder", ["process", "clients", "threshold"])
def test_a_trusted_sum_leaves_with_other_ciphertexts_and_is_the_same_for_all(key_holder: str) -> None:
    """Whoever saw the updates on their way cannot tell by the ciphertexts which of them are in the sum."""
    cohort = Cohort(4, key_holder, "trusted", settings={"threshold": 2} if key_holder == "threshold" else {})
    a_round, payloads = begun(cohort)
    for client_id, payload in payloads.items():
        a_round.take(TRAINS, client_id, payload)
    collected = a_round._decryption._collected  # type: ignore[attr-defined]
    as_formed, leaving = (collected.ciphertexts(is_leaving=is_leaving) for is_leaving in (False, True))
    width = a_round._form.public_key.ciphertext_bytes
    pairs = [(as_formed[at : at + width], leaving[at : at + width]) for at in range(0, len(leaving), width)]
    assert len(pairs) == a_round._form.packing.num_plaintexts
    assert all(formed != sent for formed, sent in pairs)
    for stage in STAGES.get(key_holder, []):
        a_round.begin(stage, FOUR)
        said = decode_struct(a_round.common(stage), SumToOpen) if a_round.common(stage) else None
        assert said is None or (said.ciphertexts, said.updates) == (leaving, ())
        for client_id in FOUR:
            answer = cohort.ask(stage, client_id, a_round.common(stage))
            if stage == "decrypt" and client_id == FOUR[0] and key_holder == "threshold":
                with pytest.raises(ClientError):
                    a_round.take(stage, client_id, answer[:-1])
                a_round._answered.add(client_id)  # so that somebody has to stand in
            else:
                a_round.take(stage, client_id, answer)
    assert np.array_equal(a_round.finish().sums["weighted_delta"], exact(cohort, FOUR))


class Overheard:
    """What the key holder is asked, as it passes by."""

    def __init__(self, opener: SumOpener) -> None:
        self.opener, self.certificate = opener, opener.certificate
        self.sums: list[bytes] = []

    def open_round(self, header: PaillierHeader) -> None:
        self.opener.open_round(header)

    def add(self, client_id: str, update: EncryptedUpdate) -> str:
        return self.opener.add(client_id, update)

    def open(self, round_index: int, client_ids: Sequence[str], ciphertexts: bytes, num_bytes: int) -> bytes:
        self.sums.append(ciphertexts)
        return self.opener.open(round_index, client_ids, ciphertexts, num_bytes)


@pytest.mark.parametrize(("key_holder", "sum_check"), [HOLDERS[0], HOLDERS[1], HOLDERS[-1]])
def test_a_sum_that_goes_to_a_key_holder_outside_is_none_that_could_be_formed_again(
    key_holder: str, sum_check: str
) -> None:
    cohort = Cohort(4, key_holder, sum_check)
    assert cohort.opener is not None
    overheard = Overheard(cohort.opener)
    cohort.aggregation._opener = overheard
    a_round = cohort.open()
    _, payloads, _ = cohort.play_stage(a_round, TRAINS, FOUR)
    assert np.array_equal(a_round.finish().sums["weighted_delta"], exact(cohort, FOUR))
    form = a_round._form
    plain = CiphertextSum(form.public_key, form.packing)
    for payload in payloads.values():
        sent = decode_struct(payload, EncryptedUpdate).ciphertexts
        plain.add(read_ciphertexts(form.public_key, form.packing, sent))
    (asked,) = overheard.sums
    if sum_check == "signed" and key_holder == "process":
        assert not asked
        return
    told = read_ciphertexts(form.public_key, form.packing, asked)
    are_equal = [one == other for one, other in zip(told, plain.ciphertexts, strict=True)]
    assert are_equal == [key_holder == "coordinator"] * form.packing.num_plaintexts


@pytest.mark.parametrize("key_holder", ["process", "clients", "threshold"])
def test_where_updates_are_signed_no_sum_is_formed_here(key_holder: str) -> None:
    cohort = Cohort(4, key_holder)
    a_round, payloads = begun(cohort)
    for client_id, payload in payloads.items():
        a_round.take(TRAINS, client_id, payload)
    collected = a_round._decryption._collected  # type: ignore[attr-defined]
    assert collected._sum is None
    with pytest.raises(AggregationError, match="nothing to open"):
        collected.ciphertexts(is_leaving=True)


def test_a_round_has_one_attempt_and_the_configured_cohort() -> None:
    cohort = Cohort(4)
    with pytest.raises(AggregationError, match="is not tried again"):
        cohort.aggregation.open_round(1, 2, FOUR, MODEL)
    with pytest.raises(AggregationError, match="a cohort of 3 came, and one of 4 is configured"):
        cohort.aggregation.open_round(1, 1, FOUR[:3], MODEL)


@pytest.mark.parametrize(("key_holder", "sum_check"), HOLDERS)
def test_no_payload_is_longer_than_is_said(key_holder: str, sum_check: str) -> None:
    cohort = Cohort(4, key_holder, sum_check)
    payloads = cohort.play().payloads
    assert max(map(len, payloads.values())) <= cohort.aggregation.max_payload_bytes
    announced = decode_struct(cohort.open(2).common(TRAINS), RoundAnnouncement)
    assert announced.header.round_index == 2


def make(cohort: Cohort, max_task_bytes: int) -> PaillierAggregation:
    """Returns the cohort's aggregation with another limit."""
    return PaillierAggregation(
        cohort.experiment,
        cohort.strategy,
        cohort.layout,
        cohort.opener,
        certificate=None if cohort.opener is not None else cohort.material.certificate,
        client_ids=cohort.population if cohort.key_holder == "threshold" else (),
        max_task_bytes=max_task_bytes,
    )


@pytest.mark.parametrize("key_holder", ["clients", "threshold"])
def test_more_signed_updates_than_fit_into_a_task_are_refused_at_once(key_holder: str) -> None:
    signed, trusted = Cohort(10, key_holder, "signed"), Cohort(10, key_holder, "trusted")
    limit = 10 * (signed.open()._form.payload_bytes + 2_048) + 99_999
    with pytest.raises(ConfigError, match=r'take aggregation.sum_check = "trusted"'):
        make(signed, limit)
    make(signed, limit + 1)
    make(trusted, limit)


@pytest.mark.parametrize(("key_holder", "sum_check"), HOLDERS)
def test_an_update_that_fits_into_no_task_is_refused_at_once(key_holder: str, sum_check: str) -> None:
    with pytest.raises(ConfigError, match=r'take aggregation.kind = "secagg", or a smaller model'):
        make(Cohort(4, key_holder, sum_check), 100_000)


def test_the_limits_of_tasks_are_the_workers_and_the_key_holders() -> None:
    from clients.key_holder import key_holder

    assert paillier._MAX_TASK_BYTES == MAX_TASK_FRAME_BYTES == key_holder._MAX_FRAME_BYTES


def test_the_key_has_to_be_held_as_the_configuration_says() -> None:
    process, clients = Cohort(4), Cohort(4, "clients")
    with pytest.raises(ConfigError, match="needs a key holder, or the certificate"):
        PaillierAggregation(process.experiment, process.strategy, process.layout, None)
    for cohort, opener, certificate in (
        (clients, process.opener, None),
        (process, None, clients.material.certificate),
        (Cohort(4, "threshold"), None, clients.material.certificate),
    ):
        with pytest.raises(ConfigError, match="does not go with the key that the run was given"):
            PaillierAggregation(cohort.experiment, cohort.strategy, cohort.layout, opener, certificate=certificate)


def test_a_replaced_key_holders_key_is_that_of_the_next_round() -> None:
    cohort = Cohort(4)
    former = cohort.open().common(TRAINS)
    assert cohort.opener is not None
    cohort.opener._engine.replace(1, "it was killed")
    played = cohort.play(round_index=2)
    assert np.array_equal(played.sums.sums["weighted_delta"], exact(cohort, FOUR))
    announced = [decode_struct(said, RoundAnnouncement) for said in (former, cohort.open(3).common(TRAINS))]
    assert announced[0].certificate.public_key != announced[1].certificate.public_key
    assert announced[0].header.session != announced[1].header.session
