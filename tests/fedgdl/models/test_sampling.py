"""What a model writes: drawn with the probabilities of its scores, and the same for the same seed."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.autograd import Tensor
from fedgdl.errors import ConfigError, DataError
from fedgdl.models import CharacterModel, NextWordModel
from fedgdl.models.sampling import choose, detach, write

SCORES = np.log([0.1, 0.2, 0.3, 0.4])


def shares(num_draws: int, **options: Any) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(5)
    drawn = [choose(SCORES, rng, **options) for _ in range(num_draws)]
    return np.bincount(drawn, minlength=4) / num_draws


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.2, 0.3, 0.4]),
        ({"temperature": 0.5}, [1 / 30, 4 / 30, 9 / 30, 16 / 30]),  # squares
        ({"top_k": 2}, [0, 0, 3 / 7, 4 / 7]),
        ({"top_k": 9}, [0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_ids_come_as_often_as_their_probability(options: dict[str, Any], expected: list[float]) -> None:
    # The deviation of a share of 5,000 draws is at most sqrt(0.25 / 5,000) = 0.0071; 5 of them are seldom passed.
    np.testing.assert_allclose(shares(5_000, **options), expected, rtol=0, atol=0.036)


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=20), st.floats(0.01, 10), st.integers(1, 25))
def test_an_id_is_always_one_of_the_best(scores: list[float], temperature: float, top_k: int) -> None:
    chosen = choose(np.array(scores), np.random.default_rng(1), temperature=temperature, top_k=top_k)
    assert scores[chosen] >= sorted(scores, reverse=True)[min(top_k, len(scores)) - 1]


def test_the_first_of_equal_scores_counts_as_the_best() -> None:
    assert choose(np.array([1.0, 2.0, 2.0]), np.random.default_rng(1), top_k=1) == 1


@pytest.mark.parametrize(
    "options", [{"temperature": 0.0}, {"temperature": np.nan}, {"temperature": -1.0}, {"top_k": 0}]
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        choose(SCORES, np.random.default_rng(1), **options)


@pytest.mark.parametrize("scores", [np.array([]), np.zeros((2, 2)), np.array([0.0, np.nan]), np.array([np.inf, 0.0])])
def test_scores_that_say_nothing_are_refused(scores: npt.NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match="scores"):
        choose(scores, np.random.default_rng(1))


def models() -> list[CharacterModel | NextWordModel]:
    rng = np.random.default_rng(3)
    return [
        CharacterModel(7, 4, (6, 5), rng=rng),
        CharacterModel(7, 4, (6,), cell="rnn", rng=rng),
        NextWordModel(7, 4, 6, rng=rng),
    ]


@pytest.mark.parametrize("model", models(), ids=["lstm", "rnn", "words"])
def test_writing_is_reading_everything_again_each_time(model: CharacterModel | NextWordModel) -> None:
    start = np.array([3, 1, 4])
    written = write(model, start, 12, np.random.default_rng(9), temperature=0.3, top_k=4)
    rng, read = np.random.default_rng(9), start.tolist()
    for _ in range(12):
        scores, _ = model(np.array(read)[:, np.newaxis])
        read.append(choose(scores.data[-1, 0], rng, temperature=0.3, top_k=4))
    np.testing.assert_array_equal(written, read[3:])


def test_the_same_seed_writes_the_same_and_another_does_not() -> None:
    model, start = models()[0], np.array([0])
    first, second, third = (write(model, start, 30, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()


def test_writing_leaves_no_graph_and_may_be_of_nothing() -> None:
    model = models()[0]
    assert write(model, np.array([0], np.int32), 0, np.random.default_rng(1)).shape == (0,)
    write(model, np.array([0]), 3, np.random.default_rng(1))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("start", "length", "error"), [([], 3, DataError), ([[1]], 3, DataError), ([1], -1, ConfigError)]
)
def test_nothing_to_begin_with_is_refused(start: list[Any], length: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        write(models()[0], np.array(start, np.int64), length, np.random.default_rng(1))


def test_a_state_is_cut_off_from_its_graph() -> None:
    x = Tensor([1.0], requires_grad=True)
    (first, (second,)), none = detach(((x * 2.0, (x * 3.0,)), None))
    assert (first.requires_grad, second.requires_grad, none) == (False, False, None)
    assert (first.item(), second.item()) == (2.0, 3.0)
