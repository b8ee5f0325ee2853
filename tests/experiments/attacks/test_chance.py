"""The bounds are bounds, against exact distributions; and they are not so wide that they see nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.attacks.chance import coin_bound, compare_with_chance, hits_bound
from experiments.attacks.mailboxes import Email
from experiments.attacks.words import Reading, score


def exact_two_sided(distribution: "stats.rv_frozen", observed: int) -> float:
    return min(1.0, 2 * float(min(distribution.cdf(observed), distribution.sf(observed - 1))))


@given(st.data())
def test_hits_are_never_said_to_be_rarer_than_they_are(data: st.DataObject) -> None:
    num_words = data.draw(st.integers(1, 5_000), "words")
    right = data.draw(st.integers(1, num_words), "right")
    named = data.draw(st.integers(1, num_words), "named")
    hits = data.draw(st.integers(max(0, right + named - num_words), min(right, named)), "hits")
    exact = exact_two_sided(stats.hypergeom(num_words, right, named), hits)
    assert hits_bound(hits, named * right / num_words) >= exact * (1 - 1e-6)


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_coin_s_luck_is_never_said_to_be_rarer_than_it_is(right: int, wrong: int) -> None:
    flips = right + wrong
    exact = exact_two_sided(stats.binom(flips, 0.5), right) if flips else 1.0
    assert coin_bound(right, flips) >= exact * (1 - 1e-9)
    assert coin_bound(right, flips) == pytest.approx(coin_bound(wrong, flips))


def test_where_chance_can_do_nothing_else_nothing_is_surprising() -> None:
    assert hits_bound(30, 30.0) == 1.0  # every word named
    assert hits_bound(0, 0.0) == 1.0  # none named
    assert hits_bound(1, 0.0) == 0.0  # a right one among none
    assert coin_bound(0, 0) == 1.0


def test_reading_half_of_each_e_mail_is_not_taken_for_luck() -> None:
    """20 e-mails of 40 words among 3,588, half of them read: h ln(h / m) - h + m, h = 400, m = 20 * 40**2 / 3588."""
    expected = 20 * 40 * 40 / 3588
    divergence = 400 * math.log(400 / expected) - 400 + expected
    assert hits_bound(400, expected) == pytest.approx(2 * math.exp(-divergence))
    assert hits_bound(400, expected) < 1e-300


def test_rounds_are_taken_together() -> None:
    emails = [Email(np.array([1, 2, 3]), 1), Email(np.array([5]), 0)]
    readings = [Reading(np.array([3, 4]), 1), Reading(np.array([], np.int64), None)]
    found = compare_with_chance(
        [score(email, reading) for email, reading in zip(emails, readings, strict=True)], num_words=10
    )
    assert (found.hits, found.expected_hits, found.labels_right) == (1, 2 * 3 / 10, 1)
    assert found.hits_p_value == hits_bound(1, 0.6)
    assert found.smallest_p_value == min(found.hits_p_value, coin_bound(1, 2))


def test_false_alarms_are_as_rare_as_said() -> None:
    """10,000 blind guesses: p-values below 0.05 come at most that often.

    Their number is at most binomial(10,000, 0.05) if the bound holds: 500 on average, above 640 in 1 of 10^9 runs; the
    seed is fixed.
    """
    hits = np.random.default_rng(1).hypergeometric(60, 3_000 - 60, 80, size=10_000)
    assert sum(hits_bound(int(hit), 80 * 60 / 3_000) < 0.05 for hit in hits) <= 640
