"""Chapter 11, blanks and analogies: windows, drawn words, the loss and its gradients, and what comes of it."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import dense_gradient
from zoo_recipes import met, missed, run_recipe

from fedgdl.autograd import gradcheck
from fedgdl.errors import DataError
from fedgdl.zoo import chapter_11_analogies, chapter_11_fill_in
from fedgdl.zoo.chapter_11_analogies import solve
from fedgdl.zoo.chapter_11_fill_in import FillInNetwork, fill_in_loss, nearer, separation
from fedgdl.zoo.chapter_11_windows import Corpus

TEXTS = st.lists(st.lists(st.integers(0, 5), max_size=7), min_size=1, max_size=5).filter(
    lambda texts: len({word for text in texts for word in text}) > 1
)


def corpus_of(texts: list[list[int]]) -> Corpus:
    return Corpus([np.array(text, np.int64) for text in texts])


@given(texts=TEXTS, window=st.integers(1, 4))
def test_windows_are_equally_long_on_both_sides_and_stay_in_their_text(texts: list[list[int]], window: int) -> None:
    corpus = corpus_of(texts)
    expected = [
        [*text[max(0, index - window) : index], *text[index + 1 : index + 1 + window]]
        for text in texts
        for index in range(len(text))
        if len(text) > 1
    ]
    around, offsets = corpus.around(corpus.places, window)
    assert [around[a:b].tolist() for a, b in itertools.pairwise(offsets)] == expected
    assert all(expected)  # no place without a word around it, whose mean would be that of nothing
    assert corpus.ids[corpus.places].tolist() == [word for text in texts if len(text) > 1 for word in text]


@given(texts=TEXTS, count=st.integers(1, 6), seed=st.integers(0, 100))
def test_drawn_words_are_never_the_target(texts: list[list[int]], count: int, seed: int) -> None:
    corpus = corpus_of(texts)
    drawn = corpus.draw_others(corpus.ids, count, np.random.default_rng(seed))
    assert drawn.shape == (corpus.ids.size, count)
    assert (drawn != corpus.ids[:, np.newaxis]).all()
    assert set(drawn.ravel()) <= set(corpus.ids)


def test_words_are_drawn_as_often_as_they_occur() -> None:
    corpus = corpus_of([[0] * 60 + [1] * 30 + [2] * 10])
    drawn = corpus.draw_others(np.full(4_000, 2), 5, np.random.default_rng(1))
    # Without the target, 2 in 3 are the word 0; 20,000 draws have a standard deviation of 0.0033, five of them 0.017.
    assert np.mean(drawn == 0) == pytest.approx(2 / 3, abs=0.017)


@pytest.mark.parametrize("texts", [[], [[]], [[3, 3], [3]]])
def test_a_corpus_of_one_word_is_refused(texts: list[list[int]]) -> None:
    with pytest.raises(DataError, match="all the same"):
        corpus_of(texts)


def test_loss_without_context_is_the_entropy_of_candidates() -> None:
    # Two words, equally frequent: the other one is always drawn, so a candidate is the target once in 1 + count.
    corpus = corpus_of([[0, 1]] * 10)
    for count in (1, 5):
        share = 1 / (1 + count)
        entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
        assert corpus.loss_without_context(count) == pytest.approx((1 + count) * entropy)


def test_loss_without_context_is_what_the_best_constant_scores_reach() -> None:
    corpus, count = corpus_of([[0, 1, 2, 0, 3, 0, 1, 0]]), 2
    rng = np.random.default_rng(1)
    targets = np.tile(corpus.ids, 20_000)
    others = corpus.draw_others(targets, count, rng)
    accepted = np.bincount(targets, minlength=4) / (
        np.bincount(targets, minlength=4) + np.bincount(others.ravel(), minlength=4)
    )
    loss = -(np.log(accepted[targets]) + np.log(1 - accepted[others]).sum(1)).mean()
    # 160,000 places; a place's loss varies by less than 1, so five standard deviations are less than 0.0125.
    assert corpus.loss_without_context(count) == pytest.approx(loss, abs=0.0125)


def network_of(seed: int) -> FillInNetwork:
    rng = np.random.default_rng(seed)
    network = FillInNetwork(6, 3, rng, "float64")
    network.words.weight.data[...] = rng.normal(size=(6, 3))
    network.outputs.weight.data[...] = rng.normal(size=(6, 3))
    return network


AROUND, OFFSETS = np.array([1, 1, 4, 0, 5, 1]), np.array([0, 3, 4, 6])
CANDIDATES = np.array([[2, 5, 5, 1], [0, 3, 2, 2], [4, 1, 1, 1]])


def test_the_loss_is_the_sum_of_binary_cross_entropies() -> None:
    network = network_of(1)
    words, outputs = network.words.weight.data, network.outputs.weight.data
    expected = 0.0
    for row, candidates in enumerate(CANDIDATES):
        mean = words[AROUND[OFFSETS[row] : OFFSETS[row + 1]]].mean(0)
        for place, candidate in enumerate(candidates):
            probability = 1 / (1 + np.exp(-outputs[candidate] @ mean))
            expected -= np.log(probability if place == 0 else 1 - probability)
    assert fill_in_loss(network, AROUND, OFFSETS, CANDIDATES).item() == pytest.approx(expected, rel=1e-12)


def test_gradients_with_repeated_words_and_candidates() -> None:
    network = network_of(2)
    gradcheck(
        lambda *_: fill_in_loss(network, AROUND, OFFSETS, CANDIDATES),
        list(network.parameters()),
        np.random.default_rng(3),
    )


def test_repeated_words_add_up_and_a_mean_is_divided_by_its_number() -> None:
    network = network_of(1)
    fill_in_loss(network, np.array([2, 2, 3]), np.array([0, 3]), np.array([[1, 0]])).backward()
    gradient = dense_gradient(network.words.weight)
    np.testing.assert_allclose(gradient[2], 2 * gradient[3], rtol=1e-12)


def test_separation_is_one_for_clusters_and_a_half_for_equal_vectors() -> None:
    clusters = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    assert separation(clusters, [[0, 1], [2, 3]]) == 1
    assert separation(clusters, [[0, 2], [1, 3]]) < 0.5
    assert separation(np.ones((4, 2)), [[0, 1], [2, 3]]) == 0.5


def test_nearer_counts_pairs_and_ties_by_half() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.8, 0.6]])
    # To word 0: 1 is nearer than 3 and 4; 2 is nearer than 3 and as near as 4.
    assert nearer(vectors, 0, [1, 2], [3, 4]) == pytest.approx(3.5 / 4)


@given(seed=st.integers(0, 1000))
def test_answers_are_sorted_cosines_without_the_questions_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(12, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    answers = solve(vectors, plus=[0, 3], minus=[7], count=20)
    assert sorted(index for index, _ in answers) == [1, 2, 4, 5, 6, 8, 9, 10, 11]
    scores = [score for _, score in answers]
    assert scores == sorted(scores, reverse=True)
    question = vectors[0] + vectors[3] - vectors[7]
    for index, score in answers:
        assert score == pytest.approx(vectors[index] @ question / np.linalg.norm(question), abs=6e-4)


def test_a_question_that_cancels_out_has_no_direction() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert solve(vectors, plus=[0], minus=[1]) == [(2, 0.0)]


@pytest.mark.parametrize("module", [chapter_11_fill_in, chapter_11_analogies], ids=["fill-in", "analogies"])
def test_goals_hold_on_generated_reviews(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(module.RECIPES[0])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 2


@pytest.mark.slow
@pytest.mark.timeout(900)  # whoever comes first prepares IMDB
@pytest.mark.parametrize("module", [chapter_11_fill_in, chapter_11_analogies], ids=["fill-in", "analogies"])
@pytest.mark.parametrize("is_quick", [True, False])  # the outer one: both recipes look at one training
def test_goals_hold_on_imdb(module: object, real_data: Path, *, is_quick: bool) -> None:
    rows, _ = run_recipe(module.RECIPES[0], data=real_data, is_quick=is_quick)
    assert missed(rows) == []
    assert met(rows) == sum(expected.is_quick or not is_quick for expected in module.RECIPES[0].expected)
