"""Small files in the formats of MNIST and QMNIST, under the official names."""

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

NAMES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "qmnist-train-labels-idx2-int.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "qmnist-test-labels-idx2-int.gz"),
}


def idx_bytes(array: npt.NDArray[np.generic]) -> bytes:
    """Returns an IDX file of bytes or 32-bit integers."""
    element = 0x08 if array.dtype == np.uint8 else 0x0C
    header = bytes((0, 0, element, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_gzip(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0))
    return path


def write_digits(root: Path, num_train: int = 40, num_test: int = 10, num_writers: int = 4) -> Path:
    """Writes six files below a data root: random images, writers in turn; the test writers follow the others."""
    rng = np.random.default_rng(1)
    for part, count, first_writer in (("train", num_train, 0), ("test", num_test, num_writers)):
        images, labels, rows = make_digits(rng, count, num_writers, first_writer)
        if part == "test":  # as in QMNIST, whose test labels go on after MNIST's digits
            rows = np.concatenate([rows, np.full((5, 8), 7, np.int32)])
        for name, array in zip(NAMES[part], (images, labels, rows), strict=True):
            write_gzip(root / "mnist" / name, idx_bytes(array))
    return root


def make_digits(
    rng: np.random.Generator, count: int, num_writers: int, first_writer: int = 0
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Returns images (count, 28, 28), labels (count,) and QMNIST rows (count, 8)."""
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    rows = np.zeros((count, 8), np.int32)
    rows[:, 0] = labels
    rows[:, 2] = first_writer + np.arange(count) % num_writers
    return images, labels, rows


def paths_of(root: Path) -> tuple[Path, ...]:
    """Returns the paths of all six files, in the order of the source."""
    return tuple(root / "mnist" / name for part in ("train", "test") for name in NAMES[part])
