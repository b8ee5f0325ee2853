"""The book's digits and draws."""

from pathlib import Path

import numpy as np
import pytest
from digit_runs import drawn_rows

from fedgdl.errors import DataMissing
from fedgdl.zoo.book_digits import book_stream, dropout_factors, even, load_book_digits
from fedgdl.zoo.recipe import Setting


def test_rows_are_flat_scaled_and_one_hot() -> None:
    rows = drawn_rows(30)
    assert rows.pixels.shape == (30, 784)
    assert rows.pixels.dtype == np.float64
    assert (rows.pixels.min(), rows.pixels.max()) == (0.0, 1.0)
    assert np.array_equal(rows.one_hot.argmax(axis=1), rows.labels)
    assert np.array_equal(rows.one_hot.sum(axis=1), np.ones(30))


def test_a_part_of_the_rows_is_no_copy() -> None:
    rows = drawn_rows(10)
    part = rows[2:5]
    assert len(part) == 3
    assert np.shares_memory(part.pixels, rows.pixels)
    assert np.array_equal(part.labels, rows.labels[2:5])


def test_weights_and_masks_come_from_one_stream_in_order() -> None:
    stream, same = book_stream(), book_stream()
    weights, mask = even(stream, (3, 4), 0.01), dropout_factors(stream, (5, 2))
    assert np.array_equal(weights, 0.02 * same.random_sample((3, 4)) - 0.01)
    assert np.array_equal(mask, same.randint(2, size=(5, 2)) * 2)


def test_half_of_the_units_are_kept() -> None:
    # 100,000 fair coins: the share of heads is off by less than 5 deviations, 0.0079, but for once in a million.
    kept = dropout_factors(book_stream(), (100_000,)) == 2.0
    assert abs(kept.mean() - 0.5) < 0.0079


def test_generated_digits_only_where_they_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    with pytest.raises(DataMissing):
        load_book_digits(Setting(allow_synthetic=False))
    digits = load_book_digits(Setting())
    assert digits.is_synthetic
    assert [len(part) for part in (digits.train, digits.validation, digits.test)] == [1_000, 1_000, 1_000]


def test_the_real_ones_are_the_first_thousand(real_data: Path) -> None:
    digits = load_book_digits(Setting(data_root=str(real_data), allow_synthetic=False))
    assert np.bincount(digits.train.labels).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert len(digits.test) == 10_000
    assert not digits.is_synthetic
