"""MNIST's six files: read in order with the writers, and refused when they do not belong together."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from digit_files import idx_bytes, make_digits, paths_of, write_digits, write_gzip

from fedgdl.config import DataConfig
from fedgdl.data.sources.mnist import SOURCE, members, read_part, writer_ids
from fedgdl.errors import DataCorrupt

REMEDY = r"Delete the file and run `fedgdl data fetch mnist`"
IMAGES, LABELS, ROWS = make_digits(np.random.default_rng(2), 6, 2)


def write_part(folder: Path, images: bytes, labels: bytes, rows: bytes) -> tuple[Path, Path, Path]:
    return (
        write_gzip(folder / "images.gz", images),
        write_gzip(folder / "labels.gz", labels),
        write_gzip(folder / "writers.gz", rows),
    )


def test_a_part_is_read_in_file_order(tmp_path: Path) -> None:
    part = read_part(*write_part(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(ROWS)))
    np.testing.assert_array_equal(part.images, IMAGES)
    np.testing.assert_array_equal(part.labels, LABELS)
    np.testing.assert_array_equal(part.writers, [0, 1] * 3)
    assert (part.images.dtype, part.labels.dtype, part.writers.dtype) == (np.uint8, np.uint8, np.int32)


def test_rows_of_digits_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    more = np.concatenate([ROWS, np.full((3, 8), 9, np.int32)])
    part = read_part(*write_part(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(more)))
    assert len(part.writers) == 6


def change(array: np.ndarray, row: tuple[int, ...], value: int) -> np.ndarray:
    changed = array.copy()
    changed[row] = value
    return changed


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda: (idx_bytes(IMAGES)[:-1], idx_bytes(LABELS), idx_bytes(ROWS)), r"images\.gz: it is cut short"),
        (lambda: (idx_bytes(IMAGES) + b"\0", idx_bytes(LABELS), idx_bytes(ROWS)), r"images\.gz: it goes on after"),
        (lambda: (idx_bytes(IMAGES[:, :27]), idx_bytes(LABELS), idx_bytes(ROWS)), r"images\.gz: .*6 x 27 x 28"),
        (
            lambda: (idx_bytes(LABELS), idx_bytes(LABELS), idx_bytes(ROWS)),
            r"images\.gz: .*another file under this name\? (?=Delete)",
        ),
        (lambda: (idx_bytes(IMAGES[:0]), idx_bytes(LABELS[:0]), idx_bytes(ROWS[:0])), r"images\.gz: it holds no im"),
        (
            lambda: (idx_bytes(IMAGES), idx_bytes(LABELS[:5]), idx_bytes(ROWS)),
            r"labels\.gz: it has 5 labels, but images\.gz has 6 images; one of the two is of other digits\.",
        ),
        (
            lambda: (idx_bytes(IMAGES), idx_bytes(change(LABELS, (4,), 10)), idx_bytes(ROWS)),
            r"labels\.gz: row 4 has the label 10, which is no digit",
        ),
        (
            lambda: (idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(ROWS[:5])),
            r"writers\.gz: it describes 5 digits, but labels\.gz has 6",
        ),
        (
            lambda: (idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(change(ROWS, (3, 0), (ROWS[3, 0] + 1) % 10))),
            r"writers\.gz: mislabelled: .* row 3 is a \d, but labels\.gz says \d \(they differ in 1 rows of 6\)",
        ),
        (
            lambda: (idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(change(ROWS, (2, 2), -1))),
            r"writers\.gz: row 2 has the writer -1",
        ),
        (
            lambda: (idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(ROWS[:, :7])),
            r"writers\.gz: .*6 x 7, not of any x 8",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_refused_by_name(
    tmp_path: Path, damage: Callable[[], tuple[bytes, bytes, bytes]], what: str
) -> None:
    with pytest.raises(DataCorrupt, match=f"{what}.*{REMEDY}"):
        read_part(*write_part(tmp_path, *damage()))


def test_a_compressed_file_that_is_damaged_or_gone_is_refused_by_name(tmp_path: Path) -> None:
    paths = write_part(tmp_path, idx_bytes(IMAGES), idx_bytes(LABELS), idx_bytes(ROWS))
    whole = paths[0].read_bytes()
    paths[0].write_bytes(whole[:-20])
    with pytest.raises(DataCorrupt, match=rf"images\.gz: it is cut short.*{REMEDY}"):
        read_part(*paths)
    paths[0].unlink()
    with pytest.raises(DataCorrupt, match=rf"images\.gz: it cannot be read.*{REMEDY}"):
        read_part(*paths)


def test_the_split_keeps_the_official_test_set_and_groups_by_writer(tmp_path: Path) -> None:
    root = write_digits(tmp_path, num_train=40, num_test=10, num_writers=4)
    split = SOURCE.split(paths_of(root), DataConfig("mnist"), 1)
    train, test = read_part(*paths_of(root)[:3]), read_part(*paths_of(root)[3:])
    np.testing.assert_array_equal(split.examples.take(split.train_rows).inputs, train.images)
    np.testing.assert_array_equal(split.examples.take(split.test_rows).inputs, test.images)
    np.testing.assert_array_equal(split.examples.take(split.test_rows).labels, test.labels)
    assert split.groups is not None
    assert split.groups.names == ("writer-0000", "writer-0001", "writer-0002", "writer-0003")
    assert split.groups.of_row.tolist() == [0, 1, 2, 3] * 10
    assert split.words == {"classes": list("0123456789")}
    assert split.counts == {"read": 50, "train": 40, "test": 10, "writers": 4}


def test_members_are_what_a_file_holds_compressed_or_not(tmp_path: Path) -> None:
    packed = write_gzip(tmp_path / "a.gz", b"content")
    (tmp_path / "a").write_bytes(b"content")
    assert members("digits", packed) == members("digits", tmp_path / "a") == [("digits", b"content")]


def test_writers_sort_by_number() -> None:
    assert writer_ids(np.array([7, 2349], dtype=np.int32)) == ["writer-0007", "writer-2349"]
