import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import AggregationConfig
from fedgdl.crypto.masking import transcript
from fedgdl.crypto.masking.cohort import cohort_graph
from fedgdl.crypto.masking.graph import graph_parameters

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
CONTEXT, ROSTER = bytes(32), bytes(range(32))


def test_each_statement_has_bytes_of_its_own() -> None:
    """The same arguments, under every label."""
    key, share = b"k" * 32, b"s" * 33
    statements = [
        transcript.context_digest(CONTEXT),
        transcript.advertisement_digest(CONTEXT, "alice", key, key),
        transcript.roster_digest(CONTEXT, [("alice", key, key, key)]),
        transcript.channel_info(CONTEXT, ROSTER, "alice", "bob"),
        transcript.channel_info(CONTEXT, ROSTER, "bob", "alice"),
        transcript.mask_info(CONTEXT, ROSTER, "alice", "bob"),
        transcript.share_binding(CONTEXT, ROSTER, "alice", "bob"),
        transcript.share_binding(CONTEXT, ROSTER, "bob", "alice"),
        transcript.share_commitment(CONTEXT, "mask key", "alice", "bob", share),
        transcript.share_commitment(CONTEXT, "own mask", "alice", "bob", share),
        transcript.share_commitment(CONTEXT, "own mask", "bob", "alice", share),
        transcript.own_mask_commitment(CONTEXT, "alice", key),
        transcript.survivors_digest(CONTEXT, ROSTER, ["alice", "bob"]),
    ]
    assert len(set(statements)) == len(statements)


@given(st.lists(IDS, max_size=4), st.lists(IDS, max_size=4))
def test_different_survivors_have_different_digests(one: list[str], other: list[str]) -> None:
    digests = [transcript.survivors_digest(CONTEXT, ROSTER, client_ids) for client_ids in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


@given(IDS, IDS, IDS, IDS)
def test_a_pair_has_one_mask_and_each_direction_a_channel(a: str, b: str, c: str, d: str) -> None:
    def info(function: object, first: str, second: str) -> bytes:
        return function(CONTEXT, ROSTER, first, second)  # type: ignore[operator]

    assert (info(transcript.mask_info, a, b) == info(transcript.mask_info, c, d)) == (
        {a, b} == {c, d} and (a == b) == (c == d)
    )
    assert (info(transcript.channel_info, a, b) == info(transcript.channel_info, c, d)) == ((a, b) == (c, d))
    if a != b:
        assert transcript.mask_sign(a, b) == -transcript.mask_sign(b, a)


@pytest.mark.parametrize("function", [transcript.mask_info, transcript.channel_info, transcript.share_binding])
def test_round_and_roster_are_in_every_key(function: object) -> None:
    contexts = [CONTEXT, ROSTER]
    bound = {
        function(context, roster, "alice", "bob")  # type: ignore[operator]
        for context, roster in itertools.product(contexts, contexts)
    }
    assert len(bound) == 4


@given(st.lists(st.tuples(IDS, *[st.binary(min_size=32, max_size=32)] * 3), max_size=3), st.data())
def test_the_rosters_hash_is_over_every_byte(
    entries: list[tuple[str, bytes, bytes, bytes]], data: st.DataObject
) -> None:
    others = data.draw(st.permutations(entries))
    assert (transcript.roster_digest(CONTEXT, entries) == transcript.roster_digest(CONTEXT, others)) == (
        entries == others
    )
    assert transcript.roster_digest(CONTEXT, entries) != transcript.roster_digest(ROSTER, entries)


@pytest.mark.parametrize("size", [3, 100, 1000])
def test_a_cohorts_graph_is_that_of_its_configuration(size: int) -> None:
    config = AggregationConfig(kind="secagg", corrupt_share=0.05, dropout_share=0.2, privacy_bits=30, min_cohort=3)
    expected = graph_parameters(size, corrupt_share=0.05, dropout_share=0.2, privacy_bits=30, min_cohort=3)
    assert cohort_graph(size, config) == expected
