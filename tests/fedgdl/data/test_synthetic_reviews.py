from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest

from fedgdl.config import DataConfig
from fedgdl.data.dataset import BagExamples
from fedgdl.data.sources.synthetic_review_words import LISTS, POLARITY, SENTENCES
from fedgdl.data.sources.synthetic_reviews import SOURCE, _language, generate
from fedgdl.data.split import Split
from fedgdl.data.text import distinct_tokens


@pytest.fixture(scope="module")
def split() -> Split:
    return SOURCE.split((), DataConfig("synthetic-reviews"), 1)


def bags(examples: object) -> BagExamples:
    assert isinstance(examples, BagExamples)
    return examples


def test_the_seed_decides_the_reviews() -> None:
    first, again, other = (generate(60, 20, seed) for seed in (1, 1, 2))
    assert first == again
    texts = [{review.text for part in parts.values() for review in part} for parts in (first, other)]
    assert len(texts[0] & texts[1]) == 0


@pytest.mark.parametrize("examples", [10, 11, 997])
def test_there_are_as_many_reviews_as_asked_for(examples: int) -> None:
    split = SOURCE.split((), DataConfig("synthetic-reviews", examples=examples), 3)
    assert split.counts["read"] == len(split.train_rows) + len(split.test_rows) == examples
    assert len(split.test_rows) == round(0.2 * examples)


def test_classes_alternate_and_no_film_is_in_both_parts() -> None:
    parts = generate(1_000, 200, 1)
    for reviews in parts.values():
        assert [review.label for review in reviews] == [1, 0] * (len(reviews) // 2)
    films = [{review.film for review in reviews} for reviews in parts.values()]
    assert not films[0] & films[1]


def test_films_are_liked_to_different_degrees(split: Split) -> None:
    """Were all films alike, the spread of the liked share would be that of coin tosses, sqrt(1 / 4n) a film."""
    assert split.groups is not None
    sizes = np.bincount(split.groups.of_row)
    liked = np.bincount(split.groups.of_row, split.examples.labels[split.train_rows]) / sizes
    by_chance = np.sqrt(0.25 / sizes)
    assert np.mean(((liked - 0.5) / by_chance) ** 2) > 2
    assert len(split.groups.names) > 200


def test_a_word_is_used_more_by_its_own_side_and_the_stronger_the_more() -> None:
    counts = {label: Counter() for label in (0, 1)}
    for review in generate(6_000, 2, 1)["train"]:
        counts[review.label].update(distinct_tokens(review.text))
    log_odds = {word: np.log(counts[1][word] / counts[0][word]) for word in POLARITY}
    assert all(np.sign(log_odds[word]) == np.sign(POLARITY[word]) for word in POLARITY)
    means = [np.mean([log_odds[word] for word in POLARITY if POLARITY[word] == grade]) for grade in (0.4, 0.7, 1.0)]
    assert means == sorted(means)


def test_invented_words_are_no_real_ones_and_fall_in_frequency() -> None:
    real = set(POLARITY) | {word for words in LISTS.values() for word in words.split()}
    real |= {word for patterns in SENTENCES.values() for pattern in patterns for word in distinct_tokens(pattern)}
    language = _language()
    assert not real & set(language)
    counts = Counter(word for review in generate(6_000, 2, 1)["train"] for word in distinct_tokens(review.text))
    assert counts[language[0]] > 5 * counts[language[50]] > 5 * counts[language[1_000]] > 0


def train(examples: BagExamples, num_words: int, seed: int) -> npt.NDArray[np.float64]:
    """Returns (words,) weights of logistic regression after four epochs of batches of 50."""
    rng = np.random.default_rng(seed)
    weights = np.zeros(num_words)
    for _ in range(4):
        shuffled = examples.take(rng.permutation(len(examples)))
        for start in range(0, len(shuffled), 50):
            batch = shuffled.slice(start, start + 50)
            error = 1 / (1 + np.exp(-scores(weights, batch))) - batch.labels
            np.subtract.at(weights, batch.token_ids, np.repeat(error / len(batch), np.diff(batch.offsets)))
    return weights


def scores(weights: npt.NDArray[np.float64], batch: BagExamples) -> npt.NDArray[np.float64]:
    row = np.repeat(np.arange(len(batch)), np.diff(batch.offsets))
    return np.bincount(row, weights[batch.token_ids], minlength=len(batch)).astype(np.float64)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_linear_model_is_right_for_about_nine_of_ten(seed: int) -> None:
    split = SOURCE.split((), DataConfig("synthetic-reviews"), seed)
    examples = bags(split.examples)
    weights = train(examples.take(split.train_rows), len(split.words["vocabulary"]), seed)
    test = examples.take(split.test_rows)
    assert 0.87 < np.mean((scores(weights, test) > 0) == test.labels) < 0.95


def test_word_vectors_of_a_trained_model_have_neighbours_of_their_own_polarity(split: Split) -> None:
    """The book's model of chapter 11 in a few lines: a review is the sum of its words' vectors."""
    rng = np.random.default_rng(1)
    ids = {word: index for index, word in enumerate(split.words["vocabulary"])}
    vectors, out = rng.uniform(-0.1, 0.1, (len(ids), 20)), rng.uniform(-0.1, 0.1, 20)
    training = bags(split.examples).take(split.train_rows)
    for _ in range(2):
        for row in range(len(training)):
            review = training.slice(row, row + 1)
            hidden = 1 / (1 + np.exp(-vectors[review.token_ids].sum(axis=0)))
            error = 1 / (1 + np.exp(-hidden @ out)) - review.labels[0]
            vectors[review.token_ids] -= 0.01 * error * out
            out = out - 0.01 * error * hidden
    polar = np.array([ids[word] for word in POLARITY])
    signs = np.sign(list(POLARITY.values()))
    distances = np.linalg.norm(vectors[polar][:, None] - vectors[polar], axis=2)
    nearest = np.argsort(distances, axis=1)[:, 1:11]
    assert np.mean(signs[nearest] == signs[:, None]) > 0.9
