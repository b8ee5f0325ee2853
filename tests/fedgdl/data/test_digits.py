"""All digits as arrays: from the files, or drawn where that is allowed."""

from pathlib import Path

import numpy as np
import pytest
from digit_files import paths_of, write_digits

from fedgdl.data.digits import load_digits
from fedgdl.data.sources.mnist import read_part
from fedgdl.errors import DataCorrupt, DataMissing


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


def test_the_files_come_in_their_order_as_mapped_arrays(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data")
    train, test = read_part(*paths_of(root)[:3]), read_part(*paths_of(root)[3:])
    for digits in (load_digits(str(root)), load_digits(str(root), allow_synthetic=True, seed=5)):
        np.testing.assert_array_equal(digits.train_images, train.images)
        np.testing.assert_array_equal(digits.train_labels, train.labels)
        np.testing.assert_array_equal(digits.train_writers, train.writers)
        np.testing.assert_array_equal(digits.test_images, test.images)
        np.testing.assert_array_equal(digits.test_labels, test.labels)
        np.testing.assert_array_equal(digits.test_writers, test.writers)
        assert not digits.train_images.flags.writeable
        assert not digits.is_synthetic
        assert digits.description == "MNIST, handwritten digits: 40 training and 10 test digits"
    assert len(list((tmp_path / "cache" / "corpora").iterdir())) == 1


def test_changed_files_are_read_again(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data")
    before = load_digits(str(root))
    write_digits(root, num_train=41)
    after = load_digits(str(root))
    assert (len(before.train_labels), len(after.train_labels)) == (40, 41)
    assert before.fingerprint != after.fingerprint


def test_digits_are_drawn_only_where_that_is_allowed() -> None:
    with pytest.raises(DataMissing, match=r"fedgdl data fetch mnist.*data\.source=synthetic-digits"):
        load_digits()
    digits = load_digits(allow_synthetic=True)
    assert digits.is_synthetic
    assert "(synthetic): 6,000 training and 1,000 test digits" in digits.description
    assert digits.train_images.shape == (6_000, 28, 28)
    assert len(np.unique(digits.train_writers)) == 60
    assert load_digits(allow_synthetic=True).fingerprint == digits.fingerprint


def test_damaged_files_are_not_replaced_by_drawn_ones(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data")
    paths_of(root)[4].write_bytes(b"damaged")
    with pytest.raises(DataCorrupt, match=r"t10k-labels-idx1-ubyte\.gz: it is no IDX file"):
        load_digits(str(root), allow_synthetic=True)
