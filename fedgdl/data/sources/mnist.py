"""MNIST: 60,000 + 10,000 handwritten digits of 28 x 28 grey levels, with the writer of each.

Four IDX files of images and labels, and two of QMNIST that say more of the same digits: row i of its
training labels describes image i of MNIST's training set, and the first 10,000 rows of its test labels
the test set. The natural clients are the 539 writers of the training digits; none of them wrote a
test digit.

A digit whose label and QMNIST class disagree is refused: one of the two files is not what it says.

Source:
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 86(11), 1998, section III.A.
    C. Yadav, L. Bottou, "Cold Case: The Lost MNIST Digits", NeurIPS 2019, section 2 (the writers).

Example:
    >>> [file.path for file in SOURCE.files[:2]]
    ['mnist/train-images-idx3-ubyte.gz', 'mnist/train-labels-idx1-ubyte.gz']
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.archives import read_gzip
from fedgdl.data.dataset import ArrayExamples
from fedgdl.data.idx import read_idx
from fedgdl.data.partition import Groups
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split, SplitSource
from fedgdl.errors import DataCorrupt

__all__ = ["SIDE", "SOURCE", "Part", "members", "read_part", "split_parts", "writer_ids"]

SIDE: Final = 28
"""Pixels along each side of an image."""

_CLASSES: Final = tuple("0123456789")
_QMNIST_COLUMNS: Final = 8
_CLASS_COLUMN: Final = 0
_WRITER_COLUMN: Final = 2


@dataclass(frozen=True, slots=True)
class Part:
    """The training or the test digits.

    Attributes:
        images: (n, 28, 28) uint8, 0 is paper and 255 ink.
        labels: (n,) uint8, 0 to 9.
        writers: (n,) int32, a number for each writer.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    writers: npt.NDArray[np.int32]


def members(name: str, path: Path) -> list[tuple[str, bytes]]:
    """Returns a file's one member as (its name, its unpacked bytes).

    Args:
        name: what the file holds, e.g. `"train-images-idx3-ubyte"`.
        path: the file, compressed with gzip or plain.

    Raises:
        DataCorrupt: it cannot be read, is damaged or cut short.
    """
    return [(name, read_gzip(path))]


def read_part(images_path: Path, labels_path: Path, writers_path: Path) -> Part:
    """Returns the digits of three files.

    Args:
        images_path: IDX, n x 28 x 28 bytes.
        labels_path: IDX, n bytes.
        writers_path: IDX, at least n x 8 32-bit integers; what comes after row n - 1 describes digits that
            MNIST does not have.

    Raises:
        DataCorrupt: a file is damaged, or they do not belong together; the message names the file and the row.
    """
    remedy = SOURCE.remedy
    with blame(str(images_path), remedy):
        images = read_idx(images_path, np.uint8, (None, SIDE, SIDE))
        if not len(images):
            message = "it holds no images"
            raise DataCorrupt(message)
    with blame(str(labels_path), remedy):
        labels = read_idx(labels_path, np.uint8, (None,))
        if len(labels) != len(images):
            message = (
                f"it has {len(labels)} labels, but {images_path.name} has {len(images)} images; "
                "one of the two is of other digits"
            )
            raise DataCorrupt(message)
        wrong = np.flatnonzero(labels >= len(_CLASSES))
        if len(wrong):
            message = f"row {wrong[0]} has the label {labels[wrong[0]]}, which is no digit"
            raise DataCorrupt(message)
    with blame(str(writers_path), remedy):
        writers = _read_writers(writers_path, labels, labels_path.name)
    return Part(images, labels, writers)


def _read_writers(path: Path, labels: npt.NDArray[np.uint8], labels_name: str) -> npt.NDArray[np.int32]:
    rows = read_idx(path, np.int32, (None, _QMNIST_COLUMNS))
    if len(rows) < len(labels):
        message = f"it describes {len(rows)} digits, but {labels_name} has {len(labels)}"
        raise DataCorrupt(message)
    rows = rows[: len(labels)]
    wrong = np.flatnonzero(rows[:, _CLASS_COLUMN] != labels)
    if len(wrong):
        row = wrong[0]
        message = (
            f"mislabelled: it says that row {row} is a {rows[row, _CLASS_COLUMN]}, but {labels_name} says "
            f"{labels[row]} (they differ in {len(wrong)} rows of {len(labels)}); one of the two is of other digits"
        )
        raise DataCorrupt(message)
    writers: npt.NDArray[np.int32] = np.ascontiguousarray(rows[:, _WRITER_COLUMN])
    wrong = np.flatnonzero(writers < 0)
    if len(wrong):
        message = f"row {wrong[0]} has the writer {writers[wrong[0]]}, which is no number of a writer"
        raise DataCorrupt(message)
    return writers


def writer_ids(writers: npt.NDArray[np.int32]) -> list[str]:
    """Returns the client id of each row's writer, e.g. `writer-0123`."""
    return [f"writer-{writer:04}" for writer in writers.tolist()]


def split_parts(train: Part, test: Part) -> Split:
    """Returns the split of digits that come in two parts, with the writers as groups."""
    num_train, num_test = len(train.labels), len(test.labels)
    rows = np.arange(num_train + num_test, dtype=np.int64)
    examples = ArrayExamples(np.concatenate([train.images, test.images]), np.concatenate([train.labels, test.labels]))
    groups = Groups.of(writer_ids(train.writers))
    counts = {"read": len(rows), "train": num_train, "test": num_test, "writers": len(groups.names)}
    return Split(examples, rows[:num_train], rows[num_train:], groups, counts, {"classes": list(_CLASSES)})


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (its own split)
    return split_parts(read_part(*paths[:3]), read_part(*paths[3:]))


_MNIST_URL: Final = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_QMNIST_URL: Final = "https://raw.githubusercontent.com/facebookresearch/qmnist/main/"


def _file(url: str, name: str, num_bytes: int, sha256: str) -> SourceFile:
    return SourceFile(
        path=f"mnist/{name}.gz",
        url=f"{url}{name}.gz",
        num_bytes=num_bytes,
        sha256=sha256,
        members=partial(members, name),
    )


SOURCE: Final = SplitSource(
    name="mnist",
    title="MNIST, handwritten digits",
    licence="usually given as CC BY-SA 3.0 (LeCun and Cortes); the writers' numbers (QMNIST): BSD 3-Clause",
    citation=(
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86(11), 1998. "
        "C. Yadav, L. Bottou. Cold Case: The Lost MNIST Digits. NeurIPS 2019."
    ),
    files=(
        _file(
            _MNIST_URL,
            "train-images-idx3-ubyte",
            9_912_422,
            "93d5cc5292ed53276ff3623a816fb808103640947641b8c061ea79cc620006bf",
        ),
        _file(
            _MNIST_URL,
            "train-labels-idx1-ubyte",
            28_881,
            "1bfbda0be48901952fe67716469756698a6b39f863ae8b1c56f4ce57138cdcc1",
        ),
        _file(
            _QMNIST_URL,
            "qmnist-train-labels-idx2-int",
            463_024,
            "681bd5145b932708fa263c8ae6fe8f61ea0724d9d4b690d02a78abc89d1188bb",
        ),
        _file(
            _MNIST_URL,
            "t10k-images-idx3-ubyte",
            1_648_877,
            "7823853b9fcda78e1872392acf1c5dccc9eabd26555d17111128a0de0c5248c8",
        ),
        _file(
            _MNIST_URL,
            "t10k-labels-idx1-ubyte",
            4_542,
            "2dbed8f2918a0812b80c1f8e440383822cec1fea97390496678e5250a51d48b6",
        ),
        _file(
            _QMNIST_URL,
            "qmnist-test-labels-idx2-int",
            526_800,
            "c32df3ad9a6ad5ba277eb92223f1d7d74e5bd513418632bf357714fee7108326",
        ),
    ),
    counterpart="synthetic-digits",
    split=_split,
    example_noun="digits",
)
