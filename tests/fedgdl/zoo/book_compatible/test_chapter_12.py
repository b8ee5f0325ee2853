"""Chapter 12 as printed: what is wrong in its gradients, and its digits."""

from pathlib import Path

import numpy as np
import pytest
from tensors import dense_gradient
from zoo_recipes import met, missed, run_recipe

from fedgdl.autograd import softmax_cross_entropy
from fedgdl.zoo.book_compatible.chapter_12 import RECIPES, PrintedNetwork
from fedgdl.zoo.chapter_12_recurrent import ALPHA, TransitionNetwork


def both(sentence: list[int], *, is_identity: bool = False) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The gradients of the right network, and those that the printed one steps by, from the same values."""
    rng, ids = np.random.default_rng(1), np.array(sentence)
    words, decoder = rng.normal(size=(6, 3)), rng.normal(size=(3, 6))
    right, printed = TransitionNetwork(words.copy(), decoder.copy()), PrintedNetwork(words.copy(), decoder.copy())
    if not is_identity:
        right.recurrent.data[...] = rng.normal(size=(3, 3)) / 2
    printed.recurrent = right.recurrent.data.copy()
    loss = softmax_cross_entropy(right(ids[:-1]), ids, "sum")
    loss.backward()
    assert printed.step(ids) == pytest.approx(loss.item(), rel=1e-12)
    rate = ALPHA / ids.size
    steps = {
        "words": (words - printed.words) / rate,
        "recurrent": (right.recurrent.data - printed.recurrent) / rate,
        "start": -printed.start[np.newaxis] / rate,
        "decoder": (decoder - printed.decoder) / rate,
    }
    gradients = {
        name: np.zeros(parameter.shape) if parameter.grad is None else dense_gradient(parameter)
        for name, parameter in right.named_parameters()
    }
    return gradients, steps


def test_only_the_decoder_is_right() -> None:
    right, printed = both([4, 1, 2, 0, 1])
    np.testing.assert_allclose(printed["decoder"], right["decoder"], rtol=1e-7, atol=1e-9)
    for name in ("words", "recurrent", "start"):
        assert np.abs(printed[name] - right[name]).max() > 0.1 * np.abs(right[name]).max()


def test_the_start_is_right_as_long_as_the_matrix_is_the_identity() -> None:
    # Its error goes through the matrix once too often, and that changes nothing.
    right, printed = both([4, 1, 2, 0, 1], is_identity=True)
    np.testing.assert_allclose(printed["start"], right["start"], rtol=1e-7)


def test_a_word_is_blamed_for_the_guess_before_it() -> None:
    # No guess depends on the last word of a sentence, and of a sentence of one word on none: right is no change.
    right, printed = both([4])
    assert np.abs(right["words"]).max() == 0
    assert np.abs(printed["words"][4]).max() > 0
    assert np.abs(np.delete(printed["words"], 4, 0)).max() == 0


def test_goals_hold_on_generated_stories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(RECIPES[0])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == 1


@pytest.mark.parametrize("is_quick", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_digits_of_the_real_stories(real_data: Path, *, is_quick: bool) -> None:
    rows, outcome = run_recipe(RECIPES[0], data=real_data, is_quick=is_quick)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == sum(expected.is_quick or not is_quick for expected in RECIPES[0].expected)
