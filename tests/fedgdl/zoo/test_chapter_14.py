"""Chapter 14's gradients on their way back: against finite differences, and what is left of them on text."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.autograd import Tensor, no_grad, softmax_cross_entropy
from fedgdl.models import CharacterModel
from fedgdl.zoo.chapter_14 import RECIPES, START, state_gradient_norms, toy_slopes, toy_states, two_units

VANISHING, ON_TEXT = RECIPES


def test_every_number_of_the_toy_is_met() -> None:
    rows, outcome = run_recipe(VANISHING)
    assert missed(rows) == []
    assert met(rows) == len(VANISHING.expected) == 1 + 4 + 10 + 2 + 3
    assert set(outcome.pictures) == {"gradient-norms"}


def test_the_toy_s_slopes_are_differences_of_its_last_state() -> None:
    cell = two_units("sigmoid")
    states = toy_states(cell, START)
    slopes = toy_slopes(cell, [START, *states[:-1]])

    def last_sum(state: npt.NDArray[np.float64], num_steps: int) -> float:
        weights = np.array([[1.0, 4.0], [4.0, 1.0]])
        for _ in range(num_steps):
            state = 1 / (1 + np.exp(-(state @ weights)))
        return float(state.sum())

    for number, before in enumerate([*reversed(states[6:-1])], 1):  # further back, less than rounding is left
        for unit in range(2):
            step = 1e-5 * np.eye(2)[unit]
            difference = (last_sum(before + step, number) - last_sum(before - step, number)) / 2e-5
            assert slopes[number - 1][unit] == pytest.approx(difference, rel=1e-4, abs=1e-10)


def loss_from(model: CharacterModel, state: Any, rest: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> float:
    """The last step's loss of a model that goes on from a state."""
    hidden = state[0][0] if isinstance(state[0], tuple) else state[0]
    with no_grad():
        for step in rest[:, np.newaxis]:
            _, state = model(step, state)
            hidden = state[0][0] if isinstance(state[0], tuple) else state[0]
        return softmax_cross_entropy(model.out(hidden), targets).item()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_norms_over_steps_are_those_of_differences(cell: Any) -> None:
    rng = np.random.default_rng(4)
    model = CharacterModel(5, 3, (4,), cell=cell, rng=rng, dtype="float64")
    window, targets = rng.integers(0, 5, size=(6, 2)), np.array([1, 3])
    norms = state_gradient_norms(model, window, targets)
    assert len(norms) == 6
    states, state = [], None
    with no_grad():
        for step in window[:, np.newaxis]:
            _, state = model(step, state)
            states.append(state)
    for back, norm in enumerate(norms):
        position = len(window) - 1 - back
        parts = states[position][0] if cell == "lstm" else states[position]
        arrays = [part.data.copy() for part in parts]
        square = 0.0
        for array in arrays:
            for index in np.ndindex(array.shape):
                ends = []
                for sign in (1e-6, -1e-6):
                    array[index] += sign
                    tensors = tuple(Tensor(values.copy()) for values in arrays)
                    moved = (tensors,) if cell == "lstm" else tensors
                    ends.append(loss_from(model, moved, window[position + 1 :], targets))
                    array[index] -= sign
                square += ((ends[0] - ends[1]) / 2e-6) ** 2
        assert norm == pytest.approx(np.sqrt(square), rel=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_lstm_has_more_left_on_generated_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(ON_TEXT)
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == 2


@pytest.mark.slow
@pytest.mark.parametrize("is_quick", [True, False])
def test_an_lstm_has_a_thousand_times_more_left_on_the_book_s_text(*, is_quick: bool, real_data: Path) -> None:
    rows, _ = run_recipe(ON_TEXT, is_quick=is_quick, data=real_data)
    assert missed(rows) == []
    assert met(rows) == len(ON_TEXT.expected)
