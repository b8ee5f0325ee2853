"""Chapter 10 as printed."""

from pathlib import Path

import numpy as np
import pytest
from digit_runs import drawn_rows
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo.book_compatible.chapter_10 import windows
from fedgdl.zoo.registry import find_recipe

RECIPE = "ch10-convolution-as-printed"


def test_windows_lack_the_last_row_and_column() -> None:
    pixels = drawn_rows(2).pixels
    images, sections = pixels.reshape(2, 28, 28), windows(pixels)
    assert sections.shape == (2, 625, 9)
    for row, column in ((0, 0), (3, 17), (24, 24)):
        expected = images[1, row : row + 3, column : column + 3].reshape(9)
        assert np.array_equal(sections[1, row * 25 + column], expected)


def test_generated_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(find_recipe(RECIPE))
    assert missed(rows) == []
    assert outcome.measured["digits used in an epoch"] == 896


@pytest.mark.slow
def test_published_digits_of_the_first_epoch(real_data: Path) -> None:
    rows, _ = run_recipe(find_recipe(RECIPE), data=real_data)
    assert missed(rows) == []
    assert met(rows) == 4
