import math
from typing import Literal

import numpy as np
import pytest
from training import zeroed

from fedgdl.autograd import softmax_cross_entropy
from fedgdl.errors import GraphError, ParameterError
from fedgdl.models import SentimentModel
from fedgdl.optim import SGD

RNG = np.random.default_rng(1)
IDS, OFFSETS = np.array([3, 0, 0, 4]), np.array([0, 1, 1, 4])  # one word, none, three with one twice


def test_there_is_a_vector_a_word_and_a_score_a_class() -> None:
    parameters = SentimentModel(7, 3, 5, rng=RNG).flatten()
    assert parameters.layout.entries == (
        ("words.weight", (7, 5)),
        ("classifier.weight", (5, 3)),
        ("classifier.bias", (3,)),
    )
    assert parameters.layout.size == 7 * 5 + 5 * 3 + 3


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_scores_are_those_of_the_loop(mode: Literal["sum", "mean"]) -> None:
    model = SentimentModel(7, 3, 5, mode, rng=RNG, dtype="float64")
    model.words.weight.data[...] = RNG.normal(size=(7, 5))
    words, weight = model.words.weight.data, model.classifier.weight.data
    assert model.classifier.bias is not None
    texts = [words[3], np.zeros(5), (2 * words[0] + words[4]) / (3 if mode == "mean" else 1)]
    expected = np.stack(texts) @ weight + model.classifier.bias.data
    np.testing.assert_allclose(model(IDS, OFFSETS).data, expected, rtol=1e-12)


def test_a_model_of_zeros_takes_every_class_for_equally_likely() -> None:
    scores = zeroed(SentimentModel(7, 3, 5, rng=RNG))(IDS, OFFSETS)
    assert float(softmax_cross_entropy(scores, np.array([0, 1, 2])).data) == pytest.approx(math.log(3), rel=1e-6)


def test_it_starts_near_even_odds() -> None:
    """Words within 0.5 / D of zero, D weights of at most 1 / sqrt(D): a score is within 0.5 / sqrt(D) of its bias."""
    model = SentimentModel(50, 2, 16, rng=RNG)
    scores = model(np.arange(50), np.arange(51)).data
    assert model.classifier.bias is not None
    assert np.abs(scores - model.classifier.bias.data).max() <= 0.5 / 4


def test_a_stack_trains_as_its_clients_alone() -> None:
    model = SentimentModel(7, 3, 5, dropout=0.4, rng=RNG)
    labels = np.array([[0, 1, 2], [2, 2, 0]])
    ids = [IDS, np.array([6, 5, 5, 1])]
    stack = model.stack(2).train([np.random.default_rng(0), np.random.default_rng(1)])
    optimizer = SGD(list(stack.parameters()), lr=0.5)
    for _ in range(2):
        scores = stack(np.concatenate(ids), np.concatenate([OFFSETS, OFFSETS[1:] + 4]))
        softmax_cross_entropy(scores, labels, "sum", per_client=True).backward(1.0)
        optimizer.step()
    for client in range(2):
        alone = model.stack(1).train([np.random.default_rng(client)])
        optimizer = SGD(list(alone.parameters()), lr=0.5)
        for _ in range(2):
            scores = alone(ids[client], OFFSETS)
            softmax_cross_entropy(scores, labels[client : client + 1], "sum", per_client=True).backward(1.0)
            optimizer.step()
        np.testing.assert_array_equal(stack.flatten().vector[client], alone.flatten().vector[0])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(GraphError, match="ids must be 0 to 6"):
        SentimentModel(7, 3, 5, rng=RNG)(np.array([7]), np.array([0, 1]))
    with pytest.raises(ParameterError, match="at least one word"):
        SentimentModel(0, 3, 5, rng=RNG)
    with pytest.raises(ParameterError, match="dropout"):
        SentimentModel(7, 3, 5, dropout=1.0, rng=RNG)
