"""Both halves of secure aggregation against each other: what is opened is the plain sum of the survivors' integers."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secagg_rounds import STAGES, Cohort, Played

from fedgdl.crypto.masking import add_masks, mask
from fedgdl.crypto.masking.cohort import cohort_graph
from fedgdl.errors import AggregationError
from fedgdl.wire.codec import decode_struct
from fedgdl.wire.secagg import ForwardedShares

NEVER = "never"


def assert_exact(cohort: Cohort, played: Played) -> None:
    """The opened sums are those of the plain integer sum, bit for bit."""
    encoding = cohort.encoding
    expected = encoding.decode(played.plain_sum.astype(encoding.dtype), len(played.survivors))
    assert played.sums.num_clients == len(played.survivors)
    assert played.sums.means == expected.means
    for name, values in expected.sums.items():
        np.testing.assert_array_equal(played.sums.sums[name], values)


def survivors_of(cohort: Cohort, lost: Mapping[str, str]) -> list[str]:
    return [client_id for client_id in cohort.client_ids if lost.get(client_id, NEVER) not in STAGES[:3]]


def is_opened(cohort: Cohort, lost: Mapping[str, str]) -> bool:
    """Whether enough clients are left in each stage of a complete graph."""
    graph = cohort_graph(cohort.size, cohort.experiment.aggregation)
    left = cohort.size
    for stage, needed in zip(STAGES, [graph.min_survivors] * 3 + [graph.threshold] * 2, strict=True):
        left -= sum(when == stage for when in lost.values())
        if left < needed:
            return False
    return True


def play_and_check(cohort: Cohort, lost: Mapping[str, str], round_index: int) -> bool:
    """Plays a round with drop-outs; returns whether it was opened, which must be as it should."""
    if not is_opened(cohort, lost):
        with pytest.raises(AggregationError):
            cohort.play(lost=lost, round_index=round_index)
        return False
    played = cohort.play(lost=lost, round_index=round_index)
    assert list(played.survivors) == survivors_of(cohort, lost)
    assert not played.refusals
    assert_exact(cohort, played)
    return True


@pytest.mark.parametrize("size", [2, 3, 4, 10, 100])
def test_the_opened_sum_is_the_plain_sum(size: int) -> None:
    cohort = Cohort(size)
    assert_exact(cohort, cohort.play())


def test_ids_of_any_characters_and_lengths_stay_apart() -> None:
    """In the order of code points, which is that of UTF-8's bytes and not of UTF-16's."""
    odd = ("\0", "\n'\"", "a" * 200, "e\u0301", "\u00e9", "\uffff", "\U0001f600", "\U0001f600" * 200)
    assert list(odd) == sorted(odd, key=str.encode) != sorted(odd, key=lambda name: name.encode("utf-16-be"))
    cohort = Cohort(8, client_ids=odd)
    played = cohort.play(lost={"\u00e9": "masked input", "\uffff": "share"})
    assert played.survivors == (*odd[:4], *odd[6:])
    assert not played.refusals
    assert_exact(cohort, played)


@pytest.mark.parametrize("stage", STAGES)
def test_one_of_four_may_be_lost_in_any_stage(stage: str) -> None:
    cohort = Cohort(4)
    assert play_and_check(cohort, {"client-0001": stage}, 1)


@given(st.data(), st.integers(2, 60), st.integers(1, 40))
@settings(max_examples=15)
def test_any_cohort_drop_outs_and_order_of_arrival(data: st.DataObject, size: int, parameters: int) -> None:
    cohort = Cohort(size, parameters)
    most = size - cohort_graph(size, cohort.experiment.aggregation).min_survivors
    gone = data.draw(st.lists(st.sampled_from(cohort.client_ids), unique=True, max_size=most + 1))
    lost = {client_id: data.draw(st.sampled_from(STAGES)) for client_id in gone}
    shuffle = np.random.default_rng(data.draw(st.integers(0, 2**32)))

    def in_any_order(client_ids: Sequence[str]) -> Sequence[str]:
        return [client_ids[index] for index in shuffle.permutation(len(client_ids))]

    if not is_opened(cohort, lost):
        with pytest.raises(AggregationError):
            cohort.play(lost=lost, order=in_any_order)
        return
    played = cohort.play(lost=lost, order=in_any_order)
    assert not played.refusals
    assert_exact(cohort, played)


def drop_out_sets(size: int, num_lost: range, shift: int) -> list[dict[str, str]]:
    """Returns every set of so many clients, each client lost in the stage of its index."""
    client_ids = Cohort(size).client_ids
    return [
        {client_ids[index]: STAGES[(index + shift) % 5] for index in gone}
        for count in num_lost
        for gone in itertools.combinations(range(size), count)
    ]


def tolerated(size: int) -> int:
    """Returns how many of a complete graph may be lost: all but floor(2n/3) + 1."""
    return size - (2 * size // 3 + 1)


@pytest.mark.parametrize("size", range(2, 9))
def test_every_set_of_lost_clients_up_to_one_too_many(size: int) -> None:
    cohort = Cohort(size, parameters=2)
    sets = drop_out_sets(size, range(tolerated(size) + 2), shift=size)
    opened = [play_and_check(cohort, lost, index) for index, lost in enumerate(sets, start=1)]
    # Each stage needs as many: whoever is lost and when, all that counts is how many.
    assert opened == [len(lost) <= tolerated(size) for lost in sets]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("size", "shift"), [*itertools.product(range(2, 9), range(5)), (9, 4), (10, 0)])
def test_every_set_of_lost_clients_in_each_stage(size: int, shift: int) -> None:
    cohort = Cohort(size, parameters=2)
    for index, lost in enumerate(drop_out_sets(size, range(size + 1), shift), start=1):
        assert play_and_check(cohort, lost, index) == (len(lost) <= tolerated(size))


@pytest.mark.slow
@pytest.mark.parametrize("size", [3, 4, 5])
def test_every_stage_for_every_client(size: int) -> None:
    cohort = Cohort(size, parameters=2)
    for index, when in enumerate(itertools.product((*STAGES, NEVER), repeat=size), start=1):
        lost = {client_id: stage for client_id, stage in zip(cohort.client_ids, when, strict=True) if stage != NEVER}
        play_and_check(cohort, lost, index)


def test_a_sparse_graph_opens_the_sum_with_clients_lost_in_every_stage() -> None:
    cohort = Cohort(120, settings={"corrupt_share": 0.02, "privacy_bits": 10, "liveness_bits": 10})
    degree = cohort.open()._header.degree
    assert degree < 60
    lost = {cohort.client_ids[7 * index]: stage for index, stage in enumerate((*STAGES, *STAGES))}
    played = cohort.play(lost=lost)
    assert len(played.survivors) == 114
    assert not played.refusals
    assert_exact(cohort, played)


def test_a_cohort_of_which_no_more_come_than_a_client_has_neighbours_is_complete() -> None:
    cohort = Cohort(101, settings={"dropout_share": 0.35})
    degree = cohort.open()._header.degree
    assert 66 <= degree < 100  # 66 must survive
    lost = dict.fromkeys(cohort.client_ids[: 101 - degree], "advertise")
    played = cohort.play(lost=lost)
    assert len(played.survivors) == degree
    assert_exact(cohort, played)


@pytest.mark.parametrize(
    "settings",
    [
        {"consistency": False},
        {"rounding": "stochastic"},
        {"bits": 24, "ring_bits": 64},
        {"bits": 4, "max_weight": 1},
        {"bits": 29},
        {"clip": 0.1},
    ],
)
def test_any_encoding_and_the_protocol_without_signatures_of_survivors(settings: dict[str, object]) -> None:
    cohort = Cohort(5, settings=settings)
    assert_exact(cohort, cohort.play(lost={"client-0003": "masked input"}))


def test_rounds_and_attempts_follow_each_other_with_new_masks() -> None:
    cohort = Cohort(4)
    failed = cohort.open()
    before = {stage: cohort.play_stage(failed, stage, cohort.client_ids)[1] for stage in STAGES[:4]}
    rounds = [cohort.play(round_index=index, attempt=attempt) for index, attempt in [(1, 2), (2, 1), (7, 3)]]
    for played in rounds:
        assert_exact(cohort, played)
        np.testing.assert_array_equal(played.sums.sums["weight"], rounds[0].sums.sums["weight"])
    for stage, client_id in rounds[0].payloads:
        sent = [played.payloads[stage, client_id] for played in rounds]
        sent += [before[stage][client_id]] if stage in before else []
        assert len(set(sent)) == len(sent)


def test_one_worker_may_host_all_clients() -> None:
    cohort = Cohort(6)
    cohort.protections = dict.fromkeys(cohort.client_ids, cohort.protections["client-0000"])
    for index in (1, 2):
        assert_exact(cohort, cohort.play(lost={"client-0002": "masked input"}, round_index=index))


def test_the_same_round_of_another_run_has_other_masks() -> None:
    first, second = (Cohort(3).play() for _ in range(2))
    np.testing.assert_array_equal(first.vectors["client-0000"], second.vectors["client-0000"])
    assert not set(first.payloads.values()) & set(second.payloads.values())


def test_the_two_of_a_pair_use_the_same_mask_with_opposite_signs() -> None:
    cohort = Cohort(2)
    a_round = cohort.open()
    for stage in STAGES[:2]:
        cohort.play_stage(a_round, stage, cohort.client_ids)
    seeds = {}
    a_round.begin("masked input", cohort.client_ids)
    for client_id, protection in cohort.protections.items():
        forwarded = decode_struct(a_round.message("masked input", client_id), ForwardedShares)
        seeds[client_id] = protection._rounds[client_id].open_masks(forwarded)
    (own, plus), (common, minus) = seeds["client-0000"][0], seeds["client-0001"][1]
    assert (plus, minus) == (1, -1)
    assert seeds["client-0000"][1] == (common, 1)
    assert own != seeds["client-0001"][0][0]
    total = np.zeros(3, np.uint32)
    add_masks(total, [seeds["client-0000"][1], seeds["client-0001"][1]])
    assert not total.any()
    swapped = np.zeros(3, np.uint32)
    add_masks(swapped, [(common, minus)])
    np.testing.assert_array_equal(swapped, -mask(common, 3, np.uint32))


def test_a_masked_update_is_as_good_as_random() -> None:
    """Bytes of 40,000 slots: chi-squared with 255 degrees of freedom stays below 255 + 7 sqrt(510) but once in 10^8."""
    cohort = Cohort(3, parameters=40_000)
    payload = cohort.play().payloads["masked input", "client-0001"]
    counts = np.bincount(np.frombuffer(payload, np.uint8), minlength=256)
    expected = len(payload) / 256
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 7 * 510**0.5
