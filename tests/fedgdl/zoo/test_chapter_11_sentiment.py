"""Chapter 11, sentiment: the book's network with its slope, on the book's split and on the official one."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo_recipes import met, missed, run_recipe

from fedgdl.autograd import Parameter, gradcheck, sigmoid_cross_entropy
from fedgdl.zoo import chapter_11_official, chapter_11_sentiment
from fedgdl.zoo.chapter_11_official import Features, WeightedFeatures, pairs_of
from fedgdl.zoo.chapter_11_sentiment import ReviewNetwork

WORDS = np.array([1, 4, 2, 4])
OFFSETS = np.array([0, 3, 4])


def small_network() -> ReviewNetwork:
    """The network in float64, for checks of gradients."""
    network = ReviewNetwork(5)
    network.words, network.out = (Parameter(p.data.astype(np.float64)) for p in (network.words, network.out))
    return network


def test_a_score_is_the_weighted_sigmoid_of_the_words_sum() -> None:
    network = small_network()
    table, out = network.words.data, network.out.data
    sums = np.array([table[1] + table[4] + table[2], table[4]])
    np.testing.assert_allclose(network(WORDS, OFFSETS).data, 1 / (1 + np.exp(-sums)) @ out, rtol=1e-12)


def test_gradients_have_the_slope_of_the_hidden_sigmoid() -> None:
    network = small_network()
    targets = np.array([[1.0], [0.0]])

    def loss(*_: object) -> object:
        return sigmoid_cross_entropy(network(WORDS, OFFSETS), targets, "sum")

    gradcheck(loss, list(network.parameters()), np.random.default_rng(1))


def test_start_weights_are_drawn_as_the_book_draws_them() -> None:
    network = ReviewNetwork(5)
    # The first draw after seed 1 is 0.417022004702574.
    assert network.words.data[0, 0] == pytest.approx(0.2 * 0.417022004702574 - 0.1, rel=1e-6)
    assert network.words.shape == (5, 100)
    assert network.out.shape == (100, 1)
    assert max(np.abs(parameter.data).max() for parameter in network.parameters()) <= 0.1


@given(words=st.lists(st.integers(0, 8), max_size=12))
def test_pairs_are_the_neighbours_in_reading_order(words: list[int]) -> None:
    found = pairs_of(np.array(words, np.int64), 9)
    assert {(int(pair) // 9, int(pair) % 9) for pair in found} == set(itertools.pairwise(words))
    assert (np.diff(found) > 0).all()


def test_features_are_those_of_enough_training_reviews_and_others_are_left_out() -> None:
    train = [np.array([3, 10, 40]), np.array([3, 40]), np.array([7, 40])]
    features = Features(train, 2)
    assert len(features) == 2  # 3 and 40
    bags = features.bags_of([*train, np.array([1, 3, 99]), np.array([], np.int64), np.array([40])])
    assert [bag.tolist() for bag in bags] == [[0, 1], [0, 1], [1], [0], [], [1]]


def test_a_review_without_known_features_has_the_bias_as_its_score() -> None:
    model = WeightedFeatures(3)
    model.bias.data[...] = 0.25
    model.features.weight.data[:, 0] = [1, 2, 4]
    assert model([np.array([0, 2]), np.array([], np.int64), np.array([1])]).data.tolist() == [5.25, 0.25, 2.25]


@pytest.mark.parametrize("module", [chapter_11_sentiment, chapter_11_official], ids=["book", "official"])
def test_goals_hold_on_generated_reviews(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(module.RECIPES[0])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1
    assert outcome.parameters is not None


@pytest.mark.slow
@pytest.mark.timeout(900)  # whoever comes first prepares IMDB
@pytest.mark.parametrize("module", [chapter_11_sentiment, chapter_11_official], ids=["book", "official"])
def test_goals_hold_on_imdb(module: object, real_data: Path) -> None:
    rows, outcome = run_recipe(module.RECIPES[0], data=real_data, is_quick=False)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(rows)
