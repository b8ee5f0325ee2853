"""The spam model against a loop in plain Python, and what its first step must do."""

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Bags, bag_lists

from fedgdl.autograd import gradcheck, no_grad, squared_error
from fedgdl.errors import GraphError, ParameterError
from fedgdl.models import SpamModel
from fedgdl.optim import SGD

NUM_WORDS = 30


def random_batches(rng: np.random.Generator) -> list[tuple[Bags, list[int]]]:
    """Three batches of bags of different sizes, empty ones and repeated words among them."""
    batches = []
    for _ in range(3):
        bags = tuple(tuple(rng.integers(0, NUM_WORDS, size=rng.integers(0, 9)).tolist()) for _ in range(20))
        batches.append((Bags((*bags, ())), rng.integers(0, 2, size=21).tolist()))
    return batches


def train_slowly(batches: list[tuple[Bags, list[int]]], lr: float) -> tuple[list[float], list[float]]:
    """The same training, one word at a time: weights and losses."""
    weights, losses = [0.0] * NUM_WORDS, []
    for bags, labels in batches:
        moves, loss = [0.0] * NUM_WORDS, 0.0
        for bag, label in zip(bags.lists, labels, strict=True):
            probability = 1 / (1 + math.exp(-sum(weights[word] for word in bag)))
            loss += (probability - label) ** 2
            slope = 2 * (probability - label) * probability * (1 - probability)
            for word in bag:
                moves[word] -= lr * slope
        weights = [weight + move for weight, move in zip(weights, moves, strict=True)]
        losses.append(loss)
    return weights, losses


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-6)])
def test_three_steps_are_those_of_the_loop(dtype: Literal["float32", "float64"], tolerance: float) -> None:
    batches = random_batches(np.random.default_rng(1))
    model = SpamModel(NUM_WORDS, dtype=dtype)
    parameters = model.flatten()
    optimizer = SGD(model.parameters(), lr=0.5)
    losses = []
    for bags, labels in batches:
        loss = squared_error(model(bags.token_ids, bags.offsets), np.array(labels, dtype))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    weights, expected_losses = train_slowly(batches, lr=0.5)
    np.testing.assert_allclose(parameters.vector, weights, rtol=10 * tolerance, atol=tolerance)
    np.testing.assert_allclose(losses, expected_losses, rtol=10 * tolerance)
    assert parameters.vector.dtype == dtype


@given(bag_lists(num_words=6, max_bags=8), st.data())
def test_the_first_batch_from_zero(bags: Bags, data: st.DataObject) -> None:
    """Every mail has probability 1/2: it costs 1/4, and its slope is 2 (1/2 - label) 1/2 (1 - 1/2), -1/4 or 1/4.

    So a word moves by lr times 1/4 for each time it is in a spam mail, less the same for each ham mail.
    """
    size, lr = len(bags.lists), 0.01
    labels = data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    model = SpamModel(6, dtype="float64")
    loss = squared_error(model(bags.token_ids, bags.offsets), np.array(labels, "float64"))
    assert loss.item() == 0.25 * size
    if size:
        loss.backward()
    SGD(model.parameters(), lr=lr).step()
    for word in range(6):
        surplus = sum(bag.count(word) * (1 if label else -1) for bag, label in zip(bags.lists, labels, strict=True))
        expected = lr * 2 * 0.25 * 0.5 * surplus
        np.testing.assert_allclose(model.words.weight.data[word, 0], expected, rtol=1e-12, atol=1e-16)


def test_the_gradient_of_the_whole_model() -> None:
    rng = np.random.default_rng(2)
    (bags, labels), *_ = random_batches(rng)
    model = SpamModel(NUM_WORDS, dtype="float64")
    model.flatten().load(rng.normal(size=NUM_WORDS))
    target = np.array(labels, "float64")
    gradcheck(lambda _: squared_error(model(bags.token_ids, bags.offsets), target), list(model.parameters()), rng)


def test_there_is_one_named_table_and_the_vector_is_it() -> None:
    model = SpamModel(4, dtype="float32")
    parameters = model.flatten()
    assert parameters.layout.entries == (("words.weight", (4, 1)),)
    assert np.shares_memory(model.words.weight.data, parameters.vector)
    np.testing.assert_array_equal(parameters.vector, np.zeros(4, "float32"))


def test_probabilities_have_one_axis_and_an_empty_mail_one_half() -> None:
    model = SpamModel(3, dtype="float64")
    model.flatten().load(np.array([1.0, -1.0, 2.0]))
    with no_grad():
        probabilities = model(np.array([0, 2, 0, 1]), np.array([0, 2, 2, 4]))
    assert not probabilities.requires_grad
    np.testing.assert_allclose(probabilities.data, [1 / (1 + math.exp(-3)), 0.5, 0.5])
    assert model(np.zeros(0, np.int64), np.array([0])).shape == (0,)


def test_a_word_out_of_the_vocabulary_is_told() -> None:
    with pytest.raises(GraphError, match="embedding_bag: ids must be 0 to 2"):
        SpamModel(3, dtype="float32")(np.array([3]), np.array([0, 1]))
    with pytest.raises(ParameterError, match="at least one word"):
        SpamModel(0, dtype="float32")
