"""One long text as streams and windows: nothing lost, nothing twice, the state carried along."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.errors import DataError
from fedgdl.models import CharacterModel
from fedgdl.nn import CrossEntropyLoss
from fedgdl.optim import SGD, Adam
from fedgdl.zoo.character_training import pair_perplexity, perplexity, train_epoch, windows


@given(st.integers(0, 200), st.integers(1, 7), st.integers(1, 9))
def test_windows_read_each_stream_in_order(length: int, num_streams: int, num_steps: int) -> None:
    ids = np.arange(length)
    of_each = length // num_streams
    num_windows = (of_each - 1) // num_steps
    if num_windows < 1:
        with pytest.raises(DataError, match="too short"):
            windows(ids, num_streams, num_steps)
        return
    inputs, targets = windows(ids, num_streams, num_steps)
    assert inputs.shape == targets.shape == (num_windows, num_steps, num_streams)
    np.testing.assert_array_equal(targets, inputs + 1)  # of the numbers 0, 1, ... the next is the one that follows
    for stream in range(num_streams):
        begin = stream * of_each
        np.testing.assert_array_equal(inputs[:, :, stream].ravel(), np.arange(begin, begin + num_windows * num_steps))


def test_the_book_s_text_gives_the_book_s_windows() -> None:
    assert windows(np.zeros(99_993, np.uint8), 16, 25)[0].shape == (249, 25, 16)
    assert windows(np.zeros(99_993, np.uint8), 32, 16)[0].shape == (195, 16, 32)


def model_of(num_ids: int) -> CharacterModel:
    return CharacterModel(num_ids, 6, (8,), rng=np.random.default_rng(1), dtype="float64")


def test_a_text_is_read_in_pieces_as_at_once() -> None:
    model, ids = model_of(5), np.random.default_rng(2).integers(0, 5, 1_203)
    scores, _ = model(ids[:-1, np.newaxis])
    at_once = CrossEntropyLoss()(scores, ids[1:, np.newaxis]).item()
    assert perplexity(model, ids) == pytest.approx(math.exp(at_once), rel=1e-12)


def test_counting_pairs_by_hand() -> None:
    # After 0 came 1 twice and 0 once: 3/5 and 2/5, each counted once more than it came. After 1 only 0, twice: 3/4.
    train, test = np.array([0, 1, 0, 1, 0, 0]), np.array([0, 1, 0])
    assert pair_perplexity(train, test, 2) == pytest.approx(1 / math.sqrt(3 / 5 * 3 / 4))


def test_a_model_learns_to_foresee_a_text_that_repeats_itself() -> None:
    ids = np.tile([0, 1, 2, 0, 3], 200)
    inputs, targets = windows(ids, 4, 10)
    model = model_of(4)
    optimizer = Adam(model.parameters(), lr=0.02)
    found = [train_epoch(model, optimizer, inputs, targets, loss=CrossEntropyLoss(), max_norm=1.0) for _ in range(6)]
    assert found[-1] < found[0]
    # What follows 0 depends on what came before it: by pairs alone a third of the characters stay open.
    assert perplexity(model, ids) < 1.1 < pair_perplexity(ids, ids, 4)


def test_each_window_s_loss_is_told_before_its_step() -> None:
    ids = np.random.default_rng(3).integers(0, 4, 400)
    inputs, targets = windows(ids, 4, 10)
    model, told = model_of(4), list[float]()
    scores, _ = model(inputs[0])
    first = CrossEntropyLoss()(scores, targets[0]).item()
    found = train_epoch(
        model,
        SGD(model.parameters(), lr=0.01),
        inputs,
        targets,
        loss=CrossEntropyLoss("sum"),
        max_norm=40.0,
        after_window=told.append,
    )
    assert told[0] == pytest.approx(first, rel=1e-12)
    assert found == pytest.approx(math.exp(np.mean(told)), rel=1e-12)


def test_sum_and_mean_take_the_same_steps_when_the_rate_and_the_norm_fit() -> None:
    ids = np.random.default_rng(3).integers(0, 4, 400)
    inputs, targets = windows(ids, 4, 10)
    vectors = []
    for reduction, lr, max_norm in (("sum", 0.01, 40.0), ("mean", 0.4, 1.0)):
        model = model_of(4)
        vector = model.flatten().vector
        optimizer = SGD(model.parameters(), lr=lr)
        loss = CrossEntropyLoss(reduction)  # type: ignore[arg-type]
        train_epoch(model, optimizer, inputs, targets, loss=loss, max_norm=max_norm)
        vectors.append(vector)
    np.testing.assert_allclose(vectors[0], vectors[1], rtol=1e-9, atol=1e-12)
