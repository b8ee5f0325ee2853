"""The book's break-in: it works on unprotected updates, on every e-mail, by what the coordinator sees alone."""

from pathlib import Path

import numpy as np
import pytest

from experiments import load_config, simulate
from experiments.attacks.mailboxes import Email, OneEmailTask, draw_emails
from experiments.attacks.words import attack_emails, read_words, update_seen
from fedgdl.data import load_dataset
from fedgdl.errors import ConfigError, RunFailed
from server.recorder import Recorder

BOOK_WORDS = ["my", "computer", "password", "is", "pizza"]
SYNTHETIC = ["data.source=synthetic-mail", "data.examples=1000"]


@pytest.mark.parametrize("protocol", ["fedsgd", "fedavg"])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_book_s_e_mail_is_read_whole_with_its_label(protocol: str, label: int, dtype: str) -> None:
    experiment = load_config("spam", [*SYNTHETIC, f"dtype={dtype}", "training.epochs=5"])
    mail = load_dataset(experiment.data, experiment.seed)
    vocabulary = mail.vocabulary
    email = Email(vocabulary.encode(BOOK_WORDS)[0], label)
    (finding,) = attack_emails(experiment, mail, [email], protocol)  # type: ignore[arg-type]
    assert {vocabulary.word(word) for word in finding.reading.word_ids} == set(BOOK_WORDS)
    assert (finding.precision, finding.recall, finding.reading.label) == (1.0, 1.0, label)


def test_the_book_s_own_change_of_each_word_is_one_step_of_0_0025() -> None:
    """One ham e-mail, weights zero: p = 1/2, d(p - 0)^2/dw = 2 p p (1 - p) = 1/4, times the step size 0.01."""
    experiment = load_config("spam", [*SYNTHETIC, "rounds=1", "engine.kind=inline", "dtype=float64"])
    mail = load_dataset(experiment.data, experiment.seed)
    email = Email(mail.vocabulary.encode(BOOK_WORDS)[0], 0)
    recorder = Recorder(keep=True)
    simulate(experiment, task=OneEmailTask(mail, {"bob": email}), recorder=recorder)
    _, delta = update_seen(recorder, experiment, "bob")
    np.testing.assert_allclose(delta[email.word_ids], -0.0025, rtol=1e-15)
    assert np.count_nonzero(delta) == 5


def test_synthetic_e_mails_are_all_read_whole() -> None:
    experiment = load_config("spam", SYNTHETIC)
    mail = load_dataset(experiment.data, experiment.seed)
    emails = draw_emails(mail, 20, seed=1)
    findings = attack_emails(experiment, mail, emails)
    assert [(finding.precision, finding.recall) for finding in findings] == [(1.0, 1.0)] * 20
    assert [finding.reading.label for finding in findings] == [email.label for email in emails]
    assert {email.label for email in emails} == {0, 1}


def test_real_e_mails_are_all_read_whole(real_data: Path) -> None:
    experiment = load_config("spam-book", [f"data.root={real_data}"])
    mail = load_dataset(experiment.data, experiment.seed)
    findings = attack_emails(experiment, mail, draw_emails(mail, 20, seed=1))
    assert [(finding.precision, finding.recall) for finding in findings] == [(1.0, 1.0)] * 20
    assert all(finding.reading.label == finding.email.label for finding in findings)


@pytest.mark.parametrize("protection", ["kind=secagg", "kind=paillier", "exact=true"])
def test_updates_that_are_not_in_the_clear_are_not_read_as_if_they_were(protection: str) -> None:
    experiment = load_config("spam", [*SYNTHETIC, f"aggregation.{protection}"])
    mail = load_dataset(experiment.data, experiment.seed)
    with pytest.raises(ConfigError, match="--against secagg"):
        attack_emails(experiment, mail, draw_emails(mail, 1, seed=1))


def test_a_client_that_sent_nothing_cannot_be_read() -> None:
    with pytest.raises(RunFailed, match="bob sent no update"):
        update_seen(Recorder(keep=True), load_config("spam", SYNTHETIC), "bob")


def test_an_update_in_which_nothing_moved_gives_nothing_away() -> None:
    reading = read_words(np.zeros(4))
    assert len(reading.word_ids) == 0
    assert reading.label is None
