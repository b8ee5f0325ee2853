"""Chapter 11's toy, and reviews as bags of words."""

import numpy as np
import pytest
from zoo_recipes import met, run_recipe

from fedgdl.data.reviews import Reviews, load_reviews
from fedgdl.data.text import Vocabulary
from fedgdl.zoo import chapter_11
from fedgdl.zoo.chapter_11_bags import ReviewBags, load_bags, words_of
from fedgdl.zoo.recipe import Setting


def bags_of(bags: list[list[int]], labels: list[float], num_words: int) -> ReviewBags:
    return ReviewBags(
        [np.array(bag) for bag in bags], np.array(labels), [f"w{i}" for i in range(num_words)], "", is_synthetic=True
    )


def test_the_toy_meets_its_expectation() -> None:
    rows, _ = run_recipe(chapter_11.RECIPES[0])
    assert met(rows) == 1


def test_empty_tokens_and_line_ends_are_no_words() -> None:
    vocabulary = Vocabulary(["", "\n", ".", "bad", "film"])
    reviews = Reviews(
        token_ids=np.array([4, 0, 3, 1, 0, 1, 3, 3, 2, 1], np.int32),
        offsets=np.array([0, 4, 6, 10]),
        labels=np.array([1, 0, 1], np.uint8),
        films=None,
        vocabulary=vocabulary,
        num_unknown=0,
        is_synthetic=False,
        description="",
    )
    assert [text.tolist() for text in words_of(reviews, 3)] == [[4, 3], [], [3, 3, 2]]
    assert [text.tolist() for text in words_of(reviews, 2)] == [[4, 3], []]


def test_words_are_the_tokens_in_reading_order() -> None:
    reviews = load_reviews("train", allow_synthetic=True)
    texts = words_of(reviews, 50)
    for index in (0, 7, 49):
        tokens = [reviews.vocabulary.word(int(token)) for token in reviews.tokens(index)]
        expected = [token for token in tokens if token not in {"", "\n"}]
        assert [reviews.vocabulary.word(int(word)) for word in texts[index]] == expected


def test_quick_bags_are_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    data = load_bags(Setting(is_quick=True, data_root="/nowhere"))
    assert data.is_synthetic
    assert (len(data.bags), data.num_left_out, data.num_train) == (5_000, 1_000, 4_000)
    assert data.labels[:4].tolist() == [1, 0, 1, 0]
    assert all((np.diff(bag) > 0).all() for bag in data.bags)


def test_few_reviews_leave_a_fifth_out() -> None:
    data = bags_of([[0]] * 25, [1.0, 0.0] * 12 + [1.0], 1)
    assert (data.num_left_out, data.num_train) == (5, 20)


def test_polarity_is_the_log_odds_of_training_labels_alone() -> None:
    data = bags_of([[0, 1], [1, 2], [0, 1], [1], [2]], [1, 0, 1, 0, 1], 4)
    positive, negative = data.counts(4)
    assert (positive.tolist(), negative.tolist()) == ([2, 2, 0, 0], [0, 2, 1, 0])
    polarity = data.polarity(4)
    # Of two positive and two negative reviews: word 0 is in all positive and no negative ones.
    assert polarity[0] == pytest.approx(np.log(2.5 / 0.5) - np.log(0.5 / 2.5))
    assert polarity[1] == pytest.approx(0)
    assert polarity[2] == pytest.approx(np.log(0.5 / 2.5) - np.log(1.5 / 1.5))
    assert polarity[3] == pytest.approx(0)


def test_ids_are_those_of_the_words_that_occur() -> None:
    assert bags_of([[0]], [1], 3).ids_of(["w2", "other", "w0"]).tolist() == [2, 0]
