"""Graphs of secure aggregations: their bounds counted out, drawn at random, and held against what is asked for."""

import itertools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.crypto.masking.graph import (
    GraphParameters,
    _Cohort,
    _shuffled,
    _tail,
    graph_parameters,
    neighbourhoods,
)
from fedgdl.errors import ConfigError

Graph = Mapping[str, tuple[str, ...]]


def seeded_bytes(seed: int) -> Callable[[int], bytes]:
    return np.random.default_rng(seed).bytes


def names(count: int) -> list[str]:
    return [f"client-{index:05}" for index in range(count)]


def is_connected(graph: Graph, kept: set[str]) -> bool:
    reached, ahead = set(), [min(kept)]
    while ahead:
        client = ahead.pop()
        if client not in reached:
            reached.add(client)
            ahead += [other for other in graph[client] if other in kept]
    return reached == kept


# ------------------------------------------------------------------------------------------------- thresholds


@pytest.mark.parametrize("num_clients", range(2, 101))
def test_up_to_100_clients_everyone_is_everyones_neighbour(num_clients: int) -> None:
    graph = graph_parameters(num_clients, min_cohort=2)
    assert graph.is_complete
    assert graph.degree == num_clients - 1
    assert 3 * graph.threshold > 2 * num_clients >= 3 * (graph.threshold - 1)  # the least above two thirds
    assert graph.min_survivors == max(graph.threshold, 2)
    assert (graph.privacy_bits, graph.liveness_bits) == (None, None)


def test_two_and_three_clients_can_spare_nobody() -> None:
    assert graph_parameters(2, min_cohort=2) == GraphParameters(2, 1, 2, 2, None, None)
    assert graph_parameters(3) == GraphParameters(3, 2, 3, 3, None, None)
    assert graph_parameters(3).max_dropouts == 0
    assert graph_parameters(4).max_dropouts == 1


def test_the_smallest_cohort_asked_for_raises_the_number_of_survivors() -> None:
    assert graph_parameters(10, min_cohort=9).min_survivors == 9
    assert graph_parameters(10, min_cohort=10).liveness_bits == 0.0  # one drop-out is stated, none is tolerated
    assert graph_parameters(200, dropout_share=0.1, min_cohort=3).min_survivors == 180
    with pytest.raises(ConfigError, match=r"20 clients may drop out .* more than 10 do: .*dropout_share.*min_cohort"):
        graph_parameters(200, dropout_share=0.1, min_cohort=190)
    assert graph_parameters(200, dropout_share=0.0, min_cohort=190).max_dropouts == 0


@pytest.mark.parametrize(
    ("num_clients", "degree", "threshold"), [(101, 20, 11), (300, 42, 24), (1000, 52, 29), (10_000, 60, 33)]
)
def test_degrees_for_a_tenth_of_corrupt_clients_and_drop_outs(num_clients: int, degree: int, threshold: int) -> None:
    graph = graph_parameters(num_clients)
    assert (graph.degree, graph.threshold) == (degree, threshold)
    assert graph.min_survivors == num_clients - num_clients // 10
    assert graph.privacy_bits is not None
    assert graph.privacy_bits >= 40
    assert graph.liveness_bits is None or graph.liveness_bits >= 30


@pytest.mark.parametrize("shares", [(0.05, 0.05), (0.1, 0.1), (0.2, 0.1), (0.33, 0.1)])
def test_no_smaller_degree_reaches_what_is_asked_for_with_any_threshold(shares: tuple[float, float]) -> None:
    num_clients = 150
    found = graph_parameters(num_clients, corrupt_share=shares[0], dropout_share=shares[1])
    cohort = _Cohort(num_clients, int(shares[0] * num_clients + 1e-9), int(shares[1] * num_clients + 1e-9))

    def reaches(degree: int, threshold: int) -> bool:
        privacy, liveness = cohort.privacy_failure(degree, threshold), cohort.liveness_failure(degree, threshold)
        return privacy <= Fraction(1, 2**40) and liveness <= Fraction(1, 2**30)

    assert reaches(found.degree, found.threshold)
    for degree in range(2, found.degree, 2):
        assert not any(reaches(degree, threshold) for threshold in range(degree // 2 + 1, degree + 1))
    assert not any(reaches(found.degree, threshold) for threshold in range(found.threshold + 1, found.degree + 1))


def test_bits_are_the_logarithms_of_the_bounds() -> None:
    graph, cohort = graph_parameters(1000), _Cohort(1000, 100, 100)
    privacy = cohort.privacy_failure(graph.degree, graph.threshold)
    liveness = cohort.liveness_failure(graph.degree, graph.threshold)
    assert graph.privacy_bits == pytest.approx(-math.log2(privacy), abs=1e-9)
    assert graph.liveness_bits == pytest.approx(-math.log2(liveness), abs=1e-9)


def test_a_graph_that_no_degree_makes_good_enough_is_complete() -> None:
    # 100 corrupt clients and 49 drop-outs: t is to be at least 101, and of k + 1 holders at least that many must be
    # left when 49 do not answer.
    graph = graph_parameters(150, corrupt_share=0.67, dropout_share=0.33)
    assert graph == GraphParameters(150, 149, 101, 101, None, None)


@pytest.mark.parametrize(
    ("num_clients", "options", "key"),
    [
        (10, {"corrupt_share": 0.7}, "lower aggregation.corrupt_share"),
        (200, {"corrupt_share": 0.7, "dropout_share": 0.3}, "lower aggregation.corrupt_share"),
        (200, {"corrupt_share": 0.3, "dropout_share": 0.5}, "lower aggregation.dropout_share"),
        (10, {"corrupt_share": 1.0}, "aggregation.corrupt_share = 1.0"),
        (10, {"dropout_share": -0.1}, "aggregation.dropout_share = -0.1"),
        (10, {"dropout_share": math.nan}, "aggregation.dropout_share = nan"),
        (10, {"privacy_bits": 0}, "aggregation.privacy_bits = 0"),
        (10, {"liveness_bits": 0}, "aggregation.liveness_bits = 0"),
        (10, {"min_cohort": 1}, "aggregation.min_cohort = 1"),
        (2, {}, "a cohort of 2 is smaller than aggregation.min_cohort = 3"),
        (1, {"min_cohort": 2}, "a cohort of 1 is smaller than aggregation.min_cohort = 2"),
    ],
)
def test_what_cannot_be_met_is_refused_with_the_key_to_change(
    num_clients: int, options: dict[str, Any], key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        graph_parameters(num_clients, **options)
    assert key in str(caught.value)


def test_a_share_is_the_decimal_number_that_was_written() -> None:
    # As a binary fraction 0.29 lies below 29/100: of 200 clients that were 57.
    assert graph_parameters(200, dropout_share=0.29).max_dropouts == 58


# --------------------------------------------------------------------------------- the bounds, counted out


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(-1, 10))
def test_tails_are_those_of_all_draws(population: int, num_special: int, num_drawn: int, at_least: int) -> None:
    num_special, num_drawn = min(num_special, population), min(num_drawn, population)
    draws = list(itertools.combinations(range(population), num_drawn))
    hits = sum(sum(item < num_special for item in draw) >= at_least for draw in draws)
    assert _tail(population, num_special, num_drawn, at_least) == Fraction(hits, len(draws))


def test_a_tail_cut_short_is_a_bound_and_all_but_exact() -> None:
    exact = Fraction(
        sum(math.comb(1000, hits) * math.comb(8999, 1000 - hits) for hits in range(150, 1001)), math.comb(9999, 1000)
    )
    assert exact <= _tail(9999, 1000, 1000, 150) <= exact * (1 + Fraction(1, 2**64))


@pytest.mark.parametrize(("num_clients", "degree", "num_missing"), [(9, 4, 5), (10, 4, 5), (11, 6, 7), (12, 4, 6)])
def test_a_circle_falls_apart_where_two_gaps_are_half_a_degree_long(
    num_clients: int, degree: int, num_missing: int
) -> None:
    circle = names(num_clients)
    half = degree // 2
    graph = {
        circle[place]: tuple(circle[(place + step) % num_clients] for step in (*range(-half, 0), *range(1, half + 1)))
        for place in range(num_clients)
    }
    apart, long_pairs, subsets = 0, 0, 0
    for missing in itertools.combinations(range(num_clients), num_missing):
        kept = [place for place in range(num_clients) if place not in missing]
        gaps = [(after - before - 1) % num_clients for before, after in zip(kept, kept[1:] + kept[:1], strict=True)]
        num_long = sum(gap >= half for gap in gaps)
        assert is_connected(graph, {circle[place] for place in kept}) == (num_long < 2)
        apart, long_pairs, subsets = apart + (num_long >= 2), long_pairs + math.comb(num_long, 2), subsets + 1
    # The bound is the expected number of pairs of long gaps, hence never below the probability.
    bound = _Cohort(num_clients, num_missing, 0)._falls_apart(degree)
    assert bound == Fraction(long_pairs, subsets)
    assert bound >= Fraction(apart, subsets) > 0


# ------------------------------------------------------------------------------------ the bounds, drawn at random


def test_failures_of_drawn_graphs_are_as_frequent_as_the_bounds_say() -> None:
    """Each bound is the expected count of what goes wrong: of clients, or of pairs of gaps.

    Statistic: the mean count over independent graphs less its expectation, over its standard error. |z| < 5 fails for
    a right bound less than once in a million; the seed is fixed.
    """
    num_clients, degree, threshold, num_trials = 24, 6, 4, 6_000
    num_corrupt, num_dropouts = 6, 7
    ids = names(num_clients)
    corrupt, gone = set(ids[:num_corrupt]), set(ids[num_corrupt : num_corrupt + num_dropouts])
    kept = set(ids) - corrupt - gone
    random_bytes = seeded_bytes(12345)
    surrounded, silent, apart = [], [], []
    for _ in range(num_trials):
        graph = neighbourhoods(ids, degree, random_bytes)
        surrounded.append(sum(len(corrupt.intersection(graph[client])) >= threshold for client in set(ids) - corrupt))
        answers = {client: len({client, *graph[client]} - gone) for client in ids}
        silent.append(sum(count < threshold for count in answers.values()))
        apart.append(not is_connected(graph, kept))
    cohort = _Cohort(num_clients, num_corrupt, num_dropouts)
    everyone_in_the_graph = _Cohort(num_clients, num_corrupt, 0)
    only_surrounded = everyone_in_the_graph.privacy_failure(degree, threshold)
    only_surrounded -= everyone_in_the_graph._falls_apart(degree)
    for counts, expected in (
        (surrounded, only_surrounded),
        (silent, cohort.liveness_failure(degree, threshold)),
    ):
        assert np.mean(counts) > 0.05  # it is likely enough to be seen
        z = (np.mean(counts) - float(expected)) / (np.std(counts) / math.sqrt(num_trials))
        assert abs(z) < 5
    # Of the second event the bound counts pairs of gaps, of which there may be several: from above only.
    frequency = float(np.mean(apart))
    assert frequency > 0.01
    assert frequency < float(cohort._falls_apart(degree)) + 5 * math.sqrt(frequency / num_trials)


def test_corrupt_clients_are_denser_where_others_dropped_out_before_the_graph() -> None:
    """As above, on the smallest roster that a round goes on with: the bound covers it, that of all n would not."""
    num_clients, degree, threshold, num_trials = 30, 6, 4, 6_000
    num_corrupt, num_dropouts = 6, 9
    roster = names(num_clients)[: num_clients - num_dropouts]
    corrupt = set(roster[:num_corrupt])
    random_bytes = seeded_bytes(54321)
    counts = []
    for _ in range(num_trials):
        graph = neighbourhoods(roster, degree, random_bytes)
        counts.append(sum(len(corrupt.intersection(graph[client])) >= threshold for client in set(roster) - corrupt))
    error, num_honest = float(np.std(counts)) / math.sqrt(num_trials), len(roster) - num_corrupt
    tail = _tail(num_clients - num_dropouts - 1, num_corrupt, degree, threshold)
    assert abs(np.mean(counts) - float(num_honest * tail)) < 5 * error
    per_client = float(np.mean(counts)) / num_honest
    assert per_client > float(_tail(num_clients - 1, num_corrupt, degree, threshold)) + 5 * error / num_honest
    assert _Cohort(num_clients, num_corrupt, num_dropouts).privacy_failure(degree, threshold) >= tail * (
        num_clients - num_corrupt
    )


# ---------------------------------------------------------------------------------------------- neighbourhoods


@given(st.integers(2, 40), st.integers(1, 20).map(lambda half: 2 * half), st.integers(0, 2**32 - 1))
def test_neighbourhoods_are_symmetric_and_regular(num_clients: int, degree: int, seed: int) -> None:
    ids = names(num_clients)
    graph = neighbourhoods(ids, degree, seeded_bytes(seed))
    assert set(graph) == set(ids)
    for client, neighbours in graph.items():
        assert len(neighbours) == min(degree, num_clients - 1)
        assert list(neighbours) == sorted(set(neighbours))
        assert client not in neighbours
        assert all(client in graph[other] for other in neighbours)


def test_the_order_in_which_a_roster_comes_does_not_matter() -> None:
    ids = names(30)
    assert neighbourhoods(ids, 4, seeded_bytes(7)) == neighbourhoods(ids[::-1], 4, seeded_bytes(7))
    assert neighbourhoods(ids, 4, seeded_bytes(7)) != neighbourhoods(ids, 4, seeded_bytes(8))


@pytest.mark.parametrize("degree", [9, 10, 99])
def test_a_small_roster_is_complete_and_needs_no_draw(degree: int) -> None:
    def no_bytes(_: int) -> bytes:
        message = "nothing is to be drawn"
        raise RuntimeError(message)

    graph = neighbourhoods(names(10), degree, no_bytes)
    assert all(set(neighbours) == set(names(10)) - {client} for client, neighbours in graph.items())
    assert neighbourhoods(["alice"], degree, no_bytes) == {"alice": ()}
    assert neighbourhoods([], degree, no_bytes) == {}


def test_rosters_and_degrees_without_a_graph_are_refused() -> None:
    with pytest.raises(ValueError, match="of 3 only 2"):
        neighbourhoods(["alice", "bob", "alice"], 2, seeded_bytes(1))
    for degree in (-2, 0, 1, 5):
        with pytest.raises(ValueError, match=f"even degree of at least 2, got {degree}"):
            neighbourhoods(names(10), degree, seeded_bytes(1))


def test_all_orders_are_equally_likely() -> None:
    """Pearson's statistic over the 120 orders of five: above 208 less than once in a million (chi-squared, 119)."""
    num_trials, random_bytes = 24_000, seeded_bytes(2024)
    counts: dict[str, int] = {}
    for _ in range(num_trials):
        order = "".join(_shuffled("abcde", random_bytes))
        counts[order] = counts.get(order, 0) + 1
    expected = num_trials / 120
    assert sum((counts.get("".join(order), 0) - expected) ** 2 for order in itertools.permutations("abcde")) < (
        208 * expected
    )


def test_numbers_that_would_favour_some_orders_are_drawn_again() -> None:
    def number(value: int) -> bytes:
        return value.to_bytes(8, "little")

    largest = number(2**64 - 1)  # 2**64 - 1 is a multiple of 3, so this one is over for a choice among three
    chunks = [largest + number(0) + number(1), number(1) + largest * 2]
    asked = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return chunks.pop(0)

    # Place 2 swaps with 0 (the first number is passed over): c b a; place 1 with 1, as 1 modulo 2 says.
    assert _shuffled("abc", random_bytes) == ["c", "b", "a"]
    assert asked == [24]


def test_more_bytes_are_asked_for_when_too_many_numbers_were_passed_over() -> None:
    largest, zero = (2**64 - 1).to_bytes(8, "little"), bytes(8)
    chunks = [largest * 3, largest + zero * 2]
    # Both choices are 0: a b c, then c b a, then b c a.
    assert _shuffled("abc", lambda _: chunks.pop(0)) == ["b", "c", "a"]
    assert chunks == []
