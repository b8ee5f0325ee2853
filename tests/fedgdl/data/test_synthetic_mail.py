from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from fedgdl.config import DataConfig
from fedgdl.data.dataset import BagExamples
from fedgdl.data.sources.synthetic_mail import MAILBOXES, SOURCE, _language, generate
from fedgdl.data.split import Split
from fedgdl.data.text import Vocabulary, distinct_tokens

CONFIG = DataConfig("synthetic-mail")


@pytest.fixture(scope="module")
def split() -> Split:
    return SOURCE.split((), CONFIG, 1)


def scores(weights: npt.NDArray[np.float64], batch: BagExamples) -> npt.NDArray[np.float64]:
    row = np.repeat(np.arange(len(batch)), np.diff(batch.offsets))
    return np.bincount(row, weights[batch.token_ids], minlength=len(batch)).astype(np.float64)


def train_filter(weights: npt.NDArray[np.float64], examples: BagExamples) -> npt.NDArray[np.float64]:
    """Returns the weights after one epoch of logistic regression."""
    weights = weights.copy()
    for start in range(0, len(examples), 50):
        batch = examples.slice(start, start + 50)
        error = 1 / (1 + np.exp(-scores(weights, batch))) - batch.labels
        np.subtract.at(weights, batch.token_ids, np.repeat(error / len(batch), np.diff(batch.offsets)))
    return weights


def test_the_seed_decides_the_mails() -> None:
    first, again, other = ([mail.text for mail in generate(200, seed)] for seed in (1, 1, 2))
    assert first == again
    assert len(set(first) & set(other)) == 0


@pytest.mark.parametrize("num_mails", [10, 11, 997])
def test_there_are_as_many_mails_as_asked_for(num_mails: int) -> None:
    mails = list(generate(num_mails, 3))
    assert len(mails) == num_mails
    assert {mail.owner for mail in mails} == set(MAILBOXES)


def test_mailboxes_differ_in_size_and_in_their_words() -> None:
    mails = list(generate(6_000, 1))
    sizes = Counter(mail.owner for mail in mails)
    assert sorted(sizes.values(), reverse=True) == [sizes[mailbox] for mailbox in MAILBOXES]
    assert sizes["mailbox-1"] > 3 * sizes["mailbox-6"]
    words = {
        owner: Counter(word for mail in mails if mail.owner == owner for word in distinct_tokens(mail.text))
        for owner in MAILBOXES
    }
    assert words["mailbox-1"]["pipeline"] > 20 > words["mailbox-2"]["pipeline"]


def test_the_vocabulary_is_that_of_a_small_language(split: Split) -> None:
    assert 2_000 < len(split.words["vocabulary"]) < 6_000
    for word in ("my", "computer", "password", "is", "pizza"):
        assert word in split.words["vocabulary"]


def test_invented_words_fall_in_frequency_as_those_of_a_natural_language(split: Split) -> None:
    counts = np.bincount(split.examples.token_ids)
    vocabulary = Vocabulary(split.words["vocabulary"])
    invented = sorted(counts[vocabulary.id_of(word)] for word in _language() if word in vocabulary)[::-1]
    slope = np.log(invented[500] / invented[20]) / np.log((500 + 2.7) / (20 + 2.7))
    assert slope == pytest.approx(-1, abs=0.15)


def test_the_words_of_the_books_demonstration_are_there_from_a_few_hundred_mails() -> None:
    for seed in range(5):
        vocabulary = SOURCE.split((), DataConfig("synthetic-mail", examples=400), seed).words["vocabulary"]
        assert all(word in vocabulary for word in ("my", "computer", "password", "is", "pizza"))


def test_a_linear_filter_learns_most_of_it_but_not_all(split: Split) -> None:
    rng = np.random.default_rng(1)
    training = split.examples.take(rng.permutation(split.train_rows))
    test = split.examples.take(split.test_rows)
    weights = np.zeros(len(split.words["vocabulary"]))
    accuracies = []
    for _ in range(12):
        weights = train_filter(weights, training)
        accuracies.append(float(np.mean((scores(weights, test) > 0) == test.labels)))
    assert 0.95 < accuracies[-1] < 0.995
    assert accuracies[-1] > accuracies[0] + 0.01
