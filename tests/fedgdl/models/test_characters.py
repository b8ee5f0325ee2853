import math
from typing import Literal

import numpy as np
import pytest
from training import assert_stack_trains_as_alone, zeroed

from fedgdl.autograd import no_grad, softmax_cross_entropy
from fedgdl.errors import GraphError, ParameterError
from fedgdl.models import CharacterModel

RNG = np.random.default_rng(1)
WINDOW = RNG.integers(0, 6, (9, 4))


def lstm_size(inputs: int, units: int) -> int:
    """Four gates, each with weights of inputs and units, and a bias."""
    return 4 * units * (inputs + units + 1)


def test_sizes_follow_from_the_layers() -> None:
    size = CharacterModel(65, rng=RNG).flatten().layout.size
    assert size == 65 * 8 + lstm_size(8, 256) + lstm_size(256, 256) + (256 + 1) * 65 == 813_897
    small = CharacterModel(6, 3, (5,), cell="rnn", rng=RNG).flatten().layout.size
    assert small == 6 * 3 + 5 * (3 + 5 + 1) + (5 + 1) * 6


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_model_of_zeros_takes_every_character_for_equally_likely(cell: Literal["lstm", "rnn"]) -> None:
    scores, _ = zeroed(CharacterModel(6, 3, (5, 4), cell=cell, rng=RNG))(WINDOW)
    assert scores.shape == (9, 4, 6)
    assert float(softmax_cross_entropy(scores, WINDOW).data) == pytest.approx(math.log(6), rel=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize("hidden", [(5,), (5, 4, 3)])
def test_a_window_may_be_read_in_parts(cell: Literal["lstm", "rnn"], hidden: tuple[int, ...]) -> None:
    model = CharacterModel(6, 3, hidden, cell=cell, rng=RNG, dtype="float64").eval()
    with no_grad():
        whole, _ = model(WINDOW)
        first, state = model(WINDOW[:4])
        second, _ = model(WINDOW[4:], state)
    np.testing.assert_allclose(np.concatenate([first.data, second.data]), whole.data, rtol=1e-12, atol=1e-14)


def test_a_score_depends_on_no_character_after_its_own_and_on_no_other_text() -> None:
    model = CharacterModel(6, 3, (5, 4), rng=RNG).eval()
    changed = WINDOW.copy()
    changed[5:, 1] = (changed[5:, 1] + 1) % 6
    with no_grad():
        before, after = model(WINDOW)[0].data, model(changed)[0].data
    np.testing.assert_array_equal(before[:5], after[:5])
    np.testing.assert_array_equal(before[:, [0, 2, 3]], after[:, [0, 2, 3]])
    assert (before[5:, 1] != after[5:, 1]).any(axis=-1).all()


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_clients_trained_at_once_are_those_trained_alone(cell: Literal["lstm", "rnn"]) -> None:
    model = CharacterModel(6, 3, (5, 4), cell=cell, dropout=0.3, rng=RNG)
    assert_stack_trains_as_alone(model, RNG.integers(0, 6, (3, 2, 7, 2)), RNG.integers(0, 6, (3, 2, 7, 2)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one; got none"):
        CharacterModel(6, 3, (), rng=RNG)
    with pytest.raises(ParameterError, match="at least one word"):
        CharacterModel(0, rng=RNG)
    with pytest.raises(GraphError, match="0 to 5"):
        CharacterModel(6, 3, (5,), rng=RNG)(np.array([[6]]))
