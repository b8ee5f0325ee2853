"""Who is attacked, and among whom: drawn from the training data, seeded, nobody twice."""

import numpy as np
import pytest

from experiments import load_config, simulate
from experiments.attacks.mailboxes import Email, EmailPool, OneEmailTask, draw_cohorts, draw_emails
from fedgdl.data import BagExamples, PreparedDataset, load_dataset
from fedgdl.errors import ConfigError

SYNTHETIC = ["data.source=synthetic-mail", "data.examples=1000"]


@pytest.fixture(scope="module")
def mail() -> PreparedDataset:
    experiment = load_config("spam", SYNTHETIC)
    return load_dataset(experiment.data, experiment.seed)


def same(one: Email, other: Email) -> bool:
    return np.array_equal(one.word_ids, other.word_ids) and (one.label, one.row) == (other.label, other.row)


def test_drawn_e_mails_are_distinct_rows_of_the_training_data_and_seeded(mail: PreparedDataset) -> None:
    emails, again = draw_emails(mail, 50, seed=1), draw_emails(mail, 50, seed=1)
    assert len({email.row for email in emails}) == 50
    assert all(map(same, emails, again))
    assert not all(map(same, emails, draw_emails(mail, 50, seed=2)))
    with pytest.raises(ConfigError, match="from 1 to 800"):
        draw_emails(mail, 801, seed=1)


def test_a_row_is_the_e_mail_that_stands_there(mail: PreparedDataset) -> None:
    bags, labels = [], []
    for client_id in mail.client_ids:
        examples = mail.client(client_id)
        assert isinstance(examples, BagExamples)
        for start, stop, label in zip(examples.offsets, examples.offsets[1:], examples.labels, strict=False):
            bags.append(examples.token_ids[start:stop].tolist())
            labels.append(int(label))
    for email in draw_emails(mail, 100, seed=3):
        assert email.row is not None
        assert (email.word_ids.tolist(), email.label) == (bags[email.row], labels[email.row])


def test_all_may_be_drawn_and_one_may_be_left_out(mail: PreparedDataset) -> None:
    pool, rng = EmailPool(mail), np.random.default_rng(1)
    assert {email.row for email in pool.draw(len(pool), rng)} == set(range(800))
    assert {email.row for email in pool.draw(len(pool) - 1, rng, without=7)} == set(range(800)) - {7}


def test_a_cohort_is_the_victim_and_others_nobody_twice(mail: PreparedDataset) -> None:
    victims = draw_emails(mail, 5, seed=1)
    cohorts = draw_cohorts(mail, victims, 10, seed=1)
    assert all(same(cohort[0], victim) for cohort, victim in zip(cohorts, victims, strict=True))
    assert all(len({email.row for email in cohort}) == 10 for cohort in cohorts)
    assert len({email.row for cohort in cohorts for email in cohort[1:]}) > 30  # 45 draws of 800, few come twice


def test_a_round_s_others_do_not_depend_on_how_many_rounds_there_are(mail: PreparedDataset) -> None:
    victims = draw_emails(mail, 3, seed=1)
    few, many = draw_cohorts(mail, victims[:1], 4, seed=1), draw_cohorts(mail, victims, 4, seed=1)
    assert all(map(same, few[0], many[0]))


@pytest.mark.parametrize("is_own", [False, True])
def test_a_cohort_takes_no_more_e_mails_than_there_are(mail: PreparedDataset, is_own: bool) -> None:
    victims = [Email(np.array([1]), 0)] if is_own else draw_emails(mail, 1, seed=1)
    most = 801 if is_own else 800
    assert len(draw_cohorts(mail, victims, most, seed=1)[0]) == most
    with pytest.raises(ConfigError, match=rf"from 2 to {most} clients .* there are 800 e-mails"):
        draw_cohorts(mail, victims, most + 1, seed=1)
    with pytest.raises(ConfigError, match=rf"from 2 to {most} clients with one e-mail each, got 1$"):
        draw_cohorts(mail, victims, 1, seed=1)


def test_data_without_words_has_no_e_mails() -> None:
    experiment = load_config("mnist", ["data.source=synthetic-digits", "data.examples=200"])
    digits = load_dataset(experiment.data, experiment.seed)
    with pytest.raises(ConfigError, match="has no e-mails to draw from"):
        draw_emails(digits, 1, seed=1)


def test_each_client_trains_on_its_own_e_mail(mail: PreparedDataset) -> None:
    """One ham and one spam e-mail from zero weights: each moves its words by a quarter of the step, down or up."""
    experiment = load_config("spam", [*SYNTHETIC, "rounds=1", "engine.kind=inline", "dtype=float64"])
    emails = {"bob": Email(np.array([1, 2]), 0), "alice": Email(np.array([2, 3, 4]), 1)}
    history = simulate(experiment, task=OneEmailTask(mail, emails))
    assert [(record.client_id, record.num_examples) for record in history.rounds[0].clients] == [
        ("alice", 1),
        ("bob", 1),
    ]
    moved = history.model.vector
    expected = np.zeros(len(moved))
    expected[[1, 3, 4]] = [-0.00125, 0.00125, 0.00125]  # 0.01 / 4, half of it in the mean of two; word 2 cancels out
    np.testing.assert_allclose(moved, expected, atol=1e-18)
