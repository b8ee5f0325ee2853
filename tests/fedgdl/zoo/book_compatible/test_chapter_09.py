"""Chapter 9 as printed."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import missed, run_recipe

from fedgdl.zoo.book_compatible.chapter_09 import printed_softmax
from fedgdl.zoo.registry import find_recipe

RECIPE = "ch09-softmax-mnist-as-printed"


def test_softmax_overflows_as_the_book_has_it() -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(printed_softmax(np.array([[1000.0, 0.0]]))[0, 0])
    assert printed_softmax(np.log([[1.0, 3.0]]))[0].tolist() == pytest.approx([0.25, 0.75])


def test_generated_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(find_recipe(RECIPE))
    assert missed(rows) == []
    assert outcome.is_synthetic


@pytest.mark.slow
def test_all_published_digits(real_data: Path) -> None:
    rows, _ = run_recipe(find_recipe(RECIPE), is_quick=False, data=real_data)
    assert missed(rows) == []
    assert {row.status for row in rows} == {"met"}
