"""Chapter 12's network of any length: its gradients, its digits, and what it says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo_recipes import met, missed, run_recipe

from fedgdl.autograd import gradcheck, no_grad, softmax_cross_entropy
from fedgdl.data.stories import load_stories
from fedgdl.optim import SGD
from fedgdl.zoo.chapter_12_recurrent import (
    ALPHA,
    RECIPES,
    BookSentences,
    TransitionNetwork,
    corpus_perplexity,
    start_weights,
)


def network_of(num_words: int, size: int, seed: int) -> TransitionNetwork:
    """A network whose parameters are all drawn, away from the zeros and ones they would start with."""
    rng = np.random.default_rng(seed)
    network = TransitionNetwork(rng.normal(size=(num_words, size)), rng.normal(size=(size, num_words)))
    for parameter in (network.recurrent, network.start):
        parameter.data[...] = rng.normal(size=parameter.shape) / 2
    return network


@given(sentence=st.lists(st.integers(0, 4), max_size=6), seed=st.integers(0, 100))
def test_states_are_what_the_formula_says(sentence: list[int], seed: int) -> None:
    network = network_of(5, 3, seed)
    state, expected = network.start.data[0], []
    for word in [*sentence, None]:
        expected.append(state @ network.decoder.data)
        if word is not None:
            state = state @ network.recurrent.data + network.words.data[word]
    np.testing.assert_allclose(network(np.array(sentence, np.int64)).data, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sentence", [[2], [0, 1], [3, 3, 1, 3, 0, 4]])
def test_gradients_of_all_four_parameters(sentence: list[int]) -> None:
    network, ids = network_of(5, 3, 1), np.array(sentence)

    def loss(*_: object) -> object:
        return softmax_cross_entropy(network(ids[:-1]), ids, "sum") / len(sentence)

    gradcheck(loss, list(network.parameters()), np.random.default_rng(2))


def test_scores_of_a_beginning_do_not_depend_on_what_follows() -> None:
    network = network_of(5, 3, 1)
    whole, part = network(np.array([1, 2, 3])).data, network(np.array([1, 4])).data
    assert np.array_equal(whole[:2], part[:2])
    assert not np.array_equal(whole[2], part[2])


def test_the_start_weights_are_the_books() -> None:
    words, decoder = start_weights(82)
    assert (words.shape, decoder.shape) == ((82, 10), (10, 82))
    # The first draw after seed 1 is 0.417022004702574, and the words are drawn before the decoder.
    assert words[0, 0] == pytest.approx((0.417022004702574 - 0.5) / 10, rel=1e-12)
    assert max(np.abs(words).max(), np.abs(decoder).max()) <= 0.05


def test_perplexity_is_that_of_a_guess_among_so_many_words() -> None:
    sentences = [np.array([0, 1, 2]), np.array([3])]
    assert corpus_perplexity(sentences, lambda sentence: len(sentence) * np.log(7)) == pytest.approx(7)


def test_sentences_lose_their_first_word_and_the_vocabulary_keeps_it() -> None:
    data = BookSentences(load_stories(allow_synthetic=True))
    assert len(data.sentences) == 1_000
    assert "mary" in data.vocabulary
    assert list(data.vocabulary.words) == sorted(data.vocabulary.words)
    assert data.ids_of(["moved", "to"]).tolist() == [data.vocabulary.id_of(word) for word in ("moved", "to")]
    # Guessing by frequency is better than guessing among all words alike, and no better than a single sure word.
    assert 1 < data.perplexity_by_frequency() < len(data.vocabulary)


def test_a_step_changes_all_four_parameters_by_alpha_times_the_gradient_over_the_length() -> None:
    network, ids = network_of(5, 3, 1), np.array([4, 1, 2])
    before = [parameter.data.copy() for parameter in network.parameters()]
    loss = softmax_cross_entropy(network(ids[:-1]), ids, "sum")
    loss.backward(1 / ids.size)
    SGD(network.parameters(), lr=ALPHA).step()
    with no_grad():
        after = softmax_cross_entropy(network(ids[:-1]), ids, "sum")
    change = [parameter.data - values for parameter, values in zip(network.parameters(), before, strict=True)]
    assert all(np.abs(values).max() > 0 for values in change)
    # Downhill by the squared length of the gradient: what was moved is -alpha times the gradient of loss / length.
    expected = -sum(np.square(values).sum() for values in change) * ids.size / ALPHA
    assert after.item() - loss.item() == pytest.approx(expected, rel=0.01)


def test_perplexities_of_the_real_stories_against_numpy_alone(real_data: Path) -> None:
    """2,001 steps of plain backpropagation through time, and of the recipe: the same sentences, the same numbers."""
    sentences = BookSentences(load_stories(str(real_data))).sentences
    words, decoder = start_weights(82)
    matrix, start, found = np.eye(10), np.zeros(10), list[float]()
    for step in range(2_001):
        sentence = sentences[step % len(sentences)].tolist()
        states, errors, loss = [start], [], 0.0
        for word in sentence:
            exps = np.exp(states[-1] @ decoder)
            errors.append(exps / exps.sum())
            loss -= np.log(errors[-1][word])
            errors[-1][word] -= 1
            states.append(states[-1] @ matrix + words[word])
        if step % 1_000 == 0:
            found.append(float(np.exp(loss / len(sentence))))
        by_matrix, by_words, carried = np.zeros((10, 10)), np.zeros_like(words), np.zeros(10)
        for place in reversed(range(len(sentence))):
            by_words[sentence[place]] += carried
            by_matrix += np.outer(states[place], carried)
            carried = carried @ matrix.T + decoder @ errors[place]
        rate = ALPHA / len(sentence)
        decoder = decoder - rate * np.array(states[:-1]).T @ np.array(errors)
        words, matrix, start = words - rate * by_words, matrix - rate * by_matrix, start - rate * carried
    _, outcome = run_recipe(RECIPES[0], data=real_data)
    assert [outcome.measured[f"perplexity at step {step}"] for step in ("0", "1,000", "2,000")] == pytest.approx(
        found, rel=1e-12
    )


def test_goals_hold_on_generated_stories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(RECIPES[0])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1


def test_digits_of_the_real_stories(real_data: Path) -> None:
    rows, outcome = run_recipe(RECIPES[0], data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == sum(expected.is_quick for expected in RECIPES[0].expected)


@pytest.mark.slow
def test_digits_to_the_end_and_what_it_says(real_data: Path) -> None:
    rows, outcome = run_recipe(RECIPES[0], data=real_data, is_quick=False)
    assert met(rows) == len(RECIPES[0].expected)
    assert "sandra moved to the" in outcome.pictures["next-words"].text
