"""Chapter 8 as printed: the closed form of a hundred updates, and the published digits."""

from pathlib import Path

import numpy as np
import pytest
from digit_runs import drawn_rows
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo.book_compatible.chapter_08 import PrintedNet, train_on_batches, train_on_rows
from fedgdl.zoo.book_digits import book_stream
from fedgdl.zoo.registry import find_recipe

NAMES = ["ch08-overfitting-as-printed", "ch08-dropout-as-printed", "ch08-batches-as-printed"]


def test_a_hundred_updates_in_one() -> None:
    digits, stream, other = drawn_rows(200), book_stream(), book_stream()
    net, slow = PrintedNet.drawn(stream, 5), PrintedNet.drawn(other, 5)
    train_on_batches(net, digits, stream)
    for start in (0, 100):
        pixels, goals = digits.pixels[start : start + 100], digits.one_hot[start : start + 100]
        hidden = np.maximum(pixels @ slow.first, 0)
        mask = other.randint(2, size=hidden.shape)
        hidden = hidden * mask * 2
        delta = (goals - hidden @ slow.second) / 100
        for _ in range(100):
            hidden_delta = delta @ slow.second.T * (hidden >= 0) * mask
            slow.second = slow.second + 0.001 * hidden.T @ delta
            slow.first = slow.first + 0.001 * pixels.T @ hidden_delta
    np.testing.assert_allclose(net.first, slow.first, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(net.second, slow.second, rtol=1e-10, atol=1e-14)


def test_blank_pixels_may_be_left_out() -> None:
    digits, stream, other = drawn_rows(40), book_stream(), book_stream()
    net, whole = PrintedNet.drawn(stream, 20), PrintedNet.drawn(other, 20)
    trained = train_on_rows(net, digits, stream)
    error = 0.0
    for row, goal in zip(digits.pixels, digits.one_hot, strict=True):
        hidden = np.maximum(row @ whole.first, 0)
        mask = other.randint(2, size=20)
        hidden = hidden * mask * 2
        delta = goal - hidden @ whole.second
        hidden_delta = whole.second @ delta * (hidden >= 0) * mask
        whole.second = whole.second + 0.005 * np.outer(hidden, delta)
        whole.first = whole.first + 0.005 * np.outer(row, hidden_delta)
        error += (delta**2).sum()
    assert trained.error == pytest.approx(error / 40, rel=1e-12)
    np.testing.assert_allclose(net.first, whole.first, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(net.second, whole.second, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", [NAMES[0], NAMES[2]])
def test_generated_digits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(find_recipe(name))
    assert missed(rows) == []
    assert outcome.is_synthetic


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_published_digits_of_the_first_epochs(name: str, real_data: Path) -> None:
    rows, _ = run_recipe(find_recipe(name), data=real_data)
    assert missed(rows) == []
    assert met(rows) >= 12


@pytest.mark.slow
def test_published_digits_of_all_batches(real_data: Path) -> None:
    rows, _ = run_recipe(find_recipe(NAMES[2]), is_quick=False, data=real_data)
    assert missed(rows) == []
    assert {row.status for row in rows} == {"met"}
