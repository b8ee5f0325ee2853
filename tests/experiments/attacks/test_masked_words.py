"""Against secure aggregation: one masked vector is noise, the sum tells somebody's words, colluders tell all."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments import load_config, simulate
from experiments.attacks.chance import compare_with_chance
from experiments.attacks.mailboxes import Email, OneEmailTask, draw_cohorts, draw_emails
from experiments.attacks.masked_words import (
    READINGS,
    MaskedView,
    attack_masked_emails,
    read_masked,
    signed_distance,
)
from experiments.attacks.words import attack_emails, one_round
from fedgdl.config import AggregationConfig, Experiment
from fedgdl.data import PreparedDataset, load_dataset
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.federated import ClientUpdate
from server.recorder import Recorder

SYNTHETIC = ["data.source=synthetic-mail", "data.examples=1000"]


def load(*overrides: str) -> tuple[Experiment, PreparedDataset]:
    experiment = load_config("spam", [*SYNTHETIC, *overrides])
    return experiment, load_dataset(experiment.data, experiment.seed)


def protected(experiment: Experiment, num_clients: int) -> Experiment:
    """Returns one protected round in which each client has one e-mail, all settled."""
    aggregation = AggregationConfig("secagg", max_weight=1, min_cohort=2)
    return msgspec.structs.replace(one_round(experiment), cohort_size=num_clients, aggregation=aggregation)


def view_of(emails: dict[str, Email]) -> tuple[MaskedView, Recorder]:
    experiment, mail = load()
    settled, recorder = protected(experiment, len(emails)), Recorder(keep=True)
    simulate(settled, task=OneEmailTask(mail, emails), recorder=recorder)
    return MaskedView(settled, recorder), recorder


def words_of_the_sum(cohort: list[Email]) -> set[int]:
    """Returns the words that the sum tells: from zero weights all words move equally far, up in spam, down in ham."""
    balance: Counter[int] = Counter()
    for email in cohort:
        balance.update({int(word): 1 if email.label else -1 for word in email.word_ids})
    return {word for word, difference in balance.items() if difference}


def test_a_masked_vector_is_read_as_by_blind_guessing_where_a_plain_update_is_read_whole() -> None:
    """8 tests, each with a false alarm rate of at most 1e-6 / 8: together at most one false alarm in a million runs."""
    experiment, mail = load()
    emails = draw_emails(mail, 25, seed=1)
    plain = attack_emails(experiment, mail, emails)
    masked = attack_masked_emails(experiment, mail, draw_cohorts(mail, emails, 5, seed=1))
    assert compare_with_chance(plain, mail.num_words).smallest_p_value < 1e-7
    assert all((finding.precision, finding.recall) == (1.0, 1.0) for finding in plain)
    for name in READINGS:
        found = compare_with_chance([finding.masked[name] for finding in masked], mail.num_words)
        assert found.smallest_p_value > 1e-6 / (2 * len(READINGS)), (name, found)
    for finding in masked:
        assert set(finding.masked) == set(READINGS)
        sizes = {name: len(found.reading.word_ids) for name, found in finding.masked.items()}
        # Read like an update, all words seem to have moved, but for the few whose slot is zero by chance.
        assert 0.99 * mail.num_words < sizes.pop("as_update") <= mail.num_words
        assert set(sizes.values()) == {len(finding.email.word_ids)}


@pytest.mark.slow
def test_real_e_mails_are_hidden_among_others_and_told_by_the_only_other(real_data: Path) -> None:
    """False alarms as above: one in a million runs at most."""
    experiment = load_config("spam-book", [f"data.root={real_data}"])
    mail = load_dataset(experiment.data, experiment.seed)
    cohorts = draw_cohorts(mail, draw_emails(mail, 10, seed=1), 5, seed=1)
    findings = attack_masked_emails(experiment, mail, cohorts)
    for name in READINGS:
        found = compare_with_chance([finding.masked[name] for finding in findings], mail.num_words)
        assert found.smallest_p_value > 1e-6 / (2 * len(READINGS)), name
    assert [(finding.colluding.precision, finding.colluding.recall) for finding in findings] == [(1.0, 1.0)] * 10
    for cohort, finding in zip(cohorts, findings, strict=True):
        assert set(finding.summed.reading.word_ids.tolist()) == words_of_the_sum(cohort)


def test_every_reading_would_see_a_vector_that_is_not_masked() -> None:
    """The same readings of the same round, with a vector that was only encoded, or has the own mask alone, in place."""
    email = Email(np.arange(3, 40, 4), 1)
    view, _ = view_of({"bob": email, "alice": Email(np.array([1, 2]), 0), "sue": Email(np.array([2, 5]), 1)})
    delta = np.zeros(view.num_words, np.float32)
    delta[email.word_ids] = 0.0025
    encoded = view.encoding.encode(ClientUpdate(delta, 1, 0.25, 0.0)).vector
    own_mask = view.own_mask("bob")
    in_the_clear = read_masked(view, encoded, len(email.word_ids))
    own_mask_alone = read_masked(view, encoded + own_mask, len(email.word_ids))
    for name in ("as_update", "largest", "unusual"):
        assert set(in_the_clear[name].word_ids.tolist()) == set(email.word_ids.tolist())
    assert set(own_mask_alone["own_mask_off"].word_ids.tolist()) == set(email.word_ids.tolist())
    assert in_the_clear["as_update"].label == own_mask_alone["own_mask_off"].label == 1


def test_the_own_mask_taken_off_is_the_one_the_client_added() -> None:
    """What all clients have in common cancels out: vectors less own masks add up to the sum that was opened."""
    emails = {
        name: Email(np.array([number, number + 5]), number % 2) for number, name in enumerate(["bob", "al", "sue"])
    }
    view, recorder = view_of(emails)
    total = sum(view.masked_vector(name) - view.own_mask(name) for name in emails)
    opened = view.encoding.decode(total.astype(view.encoding.dtype), num_clients=3)
    assert opened.means == recorder.sums[1].means
    for name, array in recorder.sums[1].sums.items():
        np.testing.assert_array_equal(opened.sums[name], array)


@pytest.mark.parametrize("num_clients", [3, 10])
def test_the_sum_tells_exactly_the_words_that_do_not_cancel_out(num_clients: int) -> None:
    experiment, mail = load()
    cohorts = draw_cohorts(mail, draw_emails(mail, 4, seed=2), num_clients, seed=2)
    for cohort, finding in zip(cohorts, attack_masked_emails(experiment, mail, cohorts), strict=True):
        told, bobs = words_of_the_sum(cohort), set(finding.email.word_ids.tolist())
        assert set(finding.summed.reading.word_ids.tolist()) == told
        assert finding.summed.precision == len(told & bobs) / len(told)
        assert finding.summed.recall == len(told & bobs) / len(bobs)
        assert finding.num_clients == num_clients
        assert finding.num_cohort_words == len({word for email in cohort for word in email.word_ids.tolist()})


def test_where_all_have_the_same_label_the_sum_tells_every_word_that_somebody_had() -> None:
    experiment, mail = load()
    cohorts = draw_cohorts(mail, draw_emails(mail, 3, seed=3), 6, seed=3)
    alike = [[Email(email.word_ids, 1) for email in cohort] for cohort in cohorts]
    for finding in attack_masked_emails(experiment, mail, alike):
        assert finding.summed.recall == 1.0
        assert len(finding.summed.reading.word_ids) == finding.num_cohort_words


some_emails = st.builds(
    lambda words, label: Email(np.array(sorted(words)), label),
    st.sets(st.integers(0, 30), min_size=1, max_size=12),
    st.integers(0, 1),
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(some_emails, min_size=3, max_size=6))
def test_sum_and_collusion_tell_what_the_e_mails_say_whatever_they_are(cohort: list[Email]) -> None:
    experiment, mail = load()
    (finding,) = attack_masked_emails(experiment, mail, [cohort])
    assert set(finding.summed.reading.word_ids.tolist()) == words_of_the_sum(cohort)
    assert set(finding.colluding.reading.word_ids.tolist()) == set(cohort[0].word_ids.tolist())
    assert finding.colluding.is_label_right


@pytest.mark.parametrize(
    "overrides",
    [
        ("aggregation.rounding=stochastic", "training.epochs=3"),
        ("dtype=float64", "strategy.weighting=equal", "aggregation.ring_bits=64", "aggregation.bits=24"),
        ("aggregation.max_weight=4", "training.epochs=3", "aggregation.min_cohort=4"),
        ("aggregation.consistency=false", "seed=9"),
    ],
)
def test_one_of_two_who_colludes_tells_all(overrides: tuple[str, ...]) -> None:
    experiment, mail = load(*overrides)
    cohorts = draw_cohorts(mail, draw_emails(mail, 4, seed=4), 4, seed=4)
    for finding in attack_masked_emails(experiment, mail, cohorts):
        assert (finding.colluding.precision, finding.colluding.recall) == (1.0, 1.0)
        assert finding.colluding.is_label_right


def test_a_cohort_below_what_may_be_asked_for_is_refused() -> None:
    experiment, mail = load()
    cohorts = draw_cohorts(mail, draw_emails(mail, 1, seed=1), 2, seed=1)
    with pytest.raises(ConfigError, match=r"a cohort of 2 .* too small for aggregation.min_cohort = 3"):
        attack_masked_emails(experiment, mail, cohorts)
    asked_for, _ = load("aggregation.min_cohort=2")
    (finding,) = attack_masked_emails(asked_for, mail, cohorts)
    assert (finding.num_clients, finding.colluding.precision) == (2, 1.0)


def test_a_round_that_opened_no_sum_is_no_defence() -> None:
    experiment, _ = load()
    with pytest.raises(RunFailed, match="opened no sum"):
        MaskedView(protected(experiment, 3), Recorder(keep=True))


@given(
    st.integers(1, 8).flatmap(
        lambda width: st.tuples(
            st.just(width), st.integers(0, 256**width - 1), st.integers(-(128 * 256 ** (width - 1)), 127)
        )
    )
)
def test_distances_go_the_shorter_way_around(case: tuple[int, int, int]) -> None:
    num_bytes, origin, distance = case
    code = np.array([(origin + distance) % 256**num_bytes], np.uint64)
    assert signed_distance(code, origin, num_bytes)[0] == float(distance)
