import math

import numpy as np
import pytest
from training import assert_stack_trains_as_alone, zeroed

from fedgdl.autograd import no_grad, softmax_cross_entropy
from fedgdl.errors import GraphError, ParameterError
from fedgdl.models import NextWordModel

RNG = np.random.default_rng(1)
WINDOW = RNG.integers(0, 7, (6, 4))


def test_sizes_follow_from_the_layers() -> None:
    assert NextWordModel(7, 3, 5, rng=RNG).flatten().layout.size == 7 * 3 + 5 * (3 + 5 + 1) + (5 + 1) * 7


def test_a_model_of_zeros_takes_every_word_for_equally_likely() -> None:
    scores, state = zeroed(NextWordModel(7, 3, 5, rng=RNG))(WINDOW)
    assert (scores.shape, state.shape) == ((6, 4, 7), (4, 5))
    assert float(softmax_cross_entropy(scores, WINDOW).data) == pytest.approx(math.log(7), rel=1e-6)


def test_the_states_matrix_starts_as_a_turn() -> None:
    matrix = NextWordModel(7, 3, 5, rng=RNG, dtype="float64").reader.weight_hh.data
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(5), atol=1e-12)


def test_scores_are_those_of_the_loop() -> None:
    model = NextWordModel(7, 3, 5, rng=RNG, dtype="float64").eval()
    p = model.flatten()
    state = np.zeros((4, 5))
    with no_grad():
        scores = model(WINDOW)[0].data
    for step, ids in enumerate(WINDOW):
        pre = p["words.weight"][ids] @ p["reader.weight_ih"] + state @ p["reader.weight_hh"] + p["reader.bias"]
        state = np.tanh(pre)
        np.testing.assert_allclose(scores[step], state @ p["out.weight"] + p["out.bias"], rtol=1e-11, atol=1e-13)


def test_a_sentence_may_be_read_in_parts() -> None:
    model = NextWordModel(7, 3, 5, rng=RNG, dtype="float64").eval()
    with no_grad():
        whole, last = model(WINDOW)
        _, state = model(WINDOW[:2])
        rest, end = model(WINDOW[2:], state)
    np.testing.assert_allclose(rest.data, whole.data[2:], rtol=1e-12)
    np.testing.assert_allclose(end.data, last.data, rtol=1e-12)


def test_clients_trained_at_once_are_those_trained_alone() -> None:
    model = NextWordModel(7, 3, 5, dropout=0.3, rng=RNG)
    assert_stack_trains_as_alone(model, RNG.integers(0, 7, (3, 2, 6, 2)), RNG.integers(0, 7, (3, 2, 6, 2)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(GraphError, match="0 to 6"):
        NextWordModel(7, 3, 5, rng=RNG)(np.array([[7]]))
    with pytest.raises(ParameterError):
        NextWordModel(7, 3, 0, rng=RNG)
