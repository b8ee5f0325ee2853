"""Whatever protects it, one vector is noise, the sum tells somebody's words, and colluders tell all."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments import load_config
from experiments.attacks.chance import compare_with_chance
from experiments.attacks.encrypted_words import EncryptedWords
from experiments.attacks.mailboxes import Email, draw_cohorts, draw_emails
from experiments.attacks.masked_words import MaskedWords
from experiments.attacks.protected_words import (
    ProtectedRound,
    RoundRecorder,
    WordsProtocol,
    attack_protected_emails,
    run_round,
    signed_distance,
)
from experiments.attacks.words import attack_emails
from fedgdl.config import Experiment
from fedgdl.data import PreparedDataset, load_dataset
from fedgdl.errors import ConfigError, RunFailed

SYNTHETIC = ["data.source=synthetic-mail", "data.examples=300"]
KEY_BITS = 256


def make_protocol(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WordsProtocol:
    if request.param == "secagg":
        return MaskedWords()
    return EncryptedWords(KEY_BITS, tmp_path_factory.mktemp("key"))


protocol = pytest.fixture(make_protocol, scope="module", params=["secagg", "paillier"])
# What does not depend on the protocol is tried with the other one now and then.
any_protocol = pytest.fixture(
    make_protocol, scope="module", params=["secagg", pytest.param("paillier", marks=pytest.mark.slow)]
)


def load(*overrides: str) -> tuple[Experiment, PreparedDataset]:
    experiment = load_config("spam", [*SYNTHETIC, *overrides])
    return experiment, load_dataset(experiment.data, experiment.seed)


def words_of_the_sum(cohort: list[Email]) -> set[int]:
    """Returns the words that the sum tells: from zero weights all words move equally far, up in spam, down in ham."""
    balance: Counter[int] = Counter()
    for email in cohort:
        balance.update({int(word): 1 if email.label else -1 for word in email.word_ids})
    return {word for word, difference in balance.items() if difference}


def require_noise(experiment: Experiment, mail: PreparedDataset, protocol: WordsProtocol, count: int) -> None:
    """Holds one vector of each of some rounds to blind guessing, with at most one false alarm in a million runs."""
    emails = draw_emails(mail, count, seed=1)
    findings = attack_protected_emails(experiment, mail, draw_cohorts(mail, emails, 5, seed=1), protocol)
    for name in protocol.readings:
        found = compare_with_chance([finding.vectors[name] for finding in findings], mail.num_words)
        assert found.smallest_p_value > 1e-6 / (2 * len(protocol.readings)), (name, found)
    for finding in findings:
        assert set(finding.vectors) == set(protocol.readings)
        sizes = {name: len(found.reading.word_ids) for name, found in finding.vectors.items()}
        # Read like an update, all words seem to have moved, but for the few whose slot is zero by chance.
        assert 0.99 * mail.num_words < sizes.pop("as_update") <= mail.num_words
        assert set(sizes.values()) == {len(finding.email.word_ids)}
        assert (finding.colluding.precision, finding.colluding.recall) == (1.0, 1.0)
        assert (finding.with_secret is None) == (protocol.kind == "secagg")
        if finding.with_secret is not None:
            assert (finding.with_secret.precision, finding.with_secret.recall) == (1.0, 1.0)


def test_one_vector_is_read_as_by_blind_guessing_where_a_plain_update_is_read_whole(protocol: WordsProtocol) -> None:
    """Plain updates of so few e-mails are already known from luck: below 1e-7."""
    experiment, mail = load()
    count = 20 if protocol.kind == "secagg" else 4
    plain = attack_emails(experiment, mail, draw_emails(mail, count, seed=1))
    assert all((finding.precision, finding.recall) == (1.0, 1.0) for finding in plain)
    assert compare_with_chance(plain, mail.num_words).smallest_p_value < 1e-7
    require_noise(experiment, mail, protocol, count)


@pytest.mark.slow
def test_many_vectors_are_read_as_by_blind_guessing(protocol: WordsProtocol) -> None:
    experiment, mail = load("data.examples=1000")
    require_noise(experiment, mail, protocol, 60)


@pytest.mark.slow
def test_real_e_mails_are_hidden_among_others_and_told_by_the_only_other(
    protocol: WordsProtocol, real_data: Path
) -> None:
    experiment = load_config("spam-book", [f"data.root={real_data}"])
    mail = load_dataset(experiment.data, experiment.seed)
    require_noise(experiment, mail, protocol, 8)
    cohorts = draw_cohorts(mail, draw_emails(mail, 2, seed=2), 5, seed=2)
    for cohort, finding in zip(cohorts, attack_protected_emails(experiment, mail, cohorts, protocol), strict=True):
        assert set(finding.summed.reading.word_ids.tolist()) == words_of_the_sum(cohort)


@pytest.mark.parametrize("num_clients", [3, 10])
def test_the_sum_tells_exactly_the_words_that_do_not_cancel_out(any_protocol: WordsProtocol, num_clients: int) -> None:
    experiment, mail = load()
    cohorts = draw_cohorts(mail, draw_emails(mail, 4, seed=2), num_clients, seed=2)
    for cohort, finding in zip(cohorts, attack_protected_emails(experiment, mail, cohorts, any_protocol), strict=True):
        told, bobs = words_of_the_sum(cohort), set(finding.email.word_ids.tolist())
        assert set(finding.summed.reading.word_ids.tolist()) == told
        assert finding.summed.precision == len(told & bobs) / len(told)
        assert finding.summed.recall == len(told & bobs) / len(bobs)
        assert finding.num_clients == num_clients
        assert finding.num_cohort_words == len({word for email in cohort for word in email.word_ids.tolist()})


def test_where_all_have_the_same_label_the_sum_tells_every_word_that_somebody_had(protocol: WordsProtocol) -> None:
    experiment, mail = load()
    (cohort,) = draw_cohorts(mail, draw_emails(mail, 1, seed=3), 6, seed=3)
    alike = [Email(email.word_ids, 1) for email in cohort]
    (finding,) = attack_protected_emails(experiment, mail, [alike], protocol)
    assert finding.summed.recall == 1.0
    assert set(finding.summed.reading.word_ids.tolist()) == words_of_the_sum(alike)
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
    (finding,) = attack_protected_emails(experiment, mail, [cohort], MaskedWords())
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
def test_one_of_two_who_colludes_tells_all(any_protocol: WordsProtocol, overrides: tuple[str, ...]) -> None:
    experiment, mail = load(*overrides)
    cohorts = draw_cohorts(mail, draw_emails(mail, 4, seed=4), 4, seed=4)
    for finding in attack_protected_emails(experiment, mail, cohorts, any_protocol):
        assert (finding.colluding.precision, finding.colluding.recall) == (1.0, 1.0)
        assert finding.colluding.is_label_right


def test_a_cohort_below_what_may_be_asked_for_is_refused(any_protocol: WordsProtocol) -> None:
    experiment, mail = load()
    cohorts = draw_cohorts(mail, draw_emails(mail, 1, seed=1), 2, seed=1)
    with pytest.raises(ConfigError, match=r"a cohort of 2 .* too small for aggregation.min_cohort = 3"):
        attack_protected_emails(experiment, mail, cohorts, any_protocol)
    asked_for, _ = load("aggregation.min_cohort=2")
    (finding,) = attack_protected_emails(asked_for, mail, cohorts, any_protocol)
    assert (finding.num_clients, finding.colluding.precision) == (2, 1.0)


def test_a_round_that_opened_no_sum_is_no_defence() -> None:
    experiment, _ = load()
    with pytest.raises(RunFailed, match="opened no sum"):
        ProtectedRound(experiment, RoundRecorder())


def test_what_a_client_did_not_send_cannot_be_read() -> None:
    experiment, mail = load("aggregation.min_cohort=2")
    emails = {"bob": Email(np.array([1]), 0), "al": Email(np.array([2]), 1)}
    a_round = run_round(experiment, mail, emails, MaskedWords())
    with pytest.raises(RunFailed, match="sue sent nothing in the stage 'unmask'"):
        a_round.payload("unmask", "sue")


@given(
    st.integers(1, 64).flatmap(
        lambda width: st.tuples(
            st.just(width), st.integers(0, 2**width - 1), st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1)
        )
    )
)
def test_distances_go_the_shorter_way_around(case: tuple[int, int, int]) -> None:
    num_bits, origin, distance = case
    code = np.array([(origin + distance) % 2**num_bits], np.uint64)
    assert signed_distance(code, origin, num_bits)[0] == float(distance)
