"""All handwritten digits as arrays, in file order: `load_digits`.

For recipes that are no federation. Where MNIST is not on this machine and the caller allows it,
digits that this program draws take its place, and the result says so.

Not here: digits as a federation's clients (`fedgdl.data.prepared`), or scaled to [0, 1]: they are
grey levels of one byte, memory-mapped.

Example:
    >>> digits = load_digits(allow_synthetic=True)
    >>> digits.train_images.shape[1:], digits.train_images.dtype, digits.train_labels.dtype
    ((28, 28), dtype('uint8'), dtype('uint8'))
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.data.cache import Contents
from fedgdl.data.corpus import find_corpus, open_corpus

__all__ = ["Digits", "load_digits"]

_READER: Final = 1
"""To be raised with every change of what is read or drawn: earlier prepared digits are then left alone."""

_DRAWN: Final = 6_000
"""Training digits that are drawn where there are no real ones."""

_ARRAYS: Final = ("train_images", "train_labels", "train_writers", "test_images", "test_labels", "test_writers")


@dataclass(frozen=True, slots=True)
class Digits:
    """Training and test digits, each in the order of their files; read-only.

    Attributes:
        train_images: (n, 28, 28) uint8, 0 is paper and 255 ink.
        train_labels: (n,) uint8, 0 to 9.
        train_writers: (n,) int32, a number for each writer.
        test_images, test_labels, test_writers: the same of the test digits.
        is_synthetic: whether they were drawn by this program.
        description: one line for people.
        fingerprint: SHA-256 of all arrays.
    """

    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.uint8]
    train_writers: npt.NDArray[np.int32]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.uint8]
    test_writers: npt.NDArray[np.int32]
    is_synthetic: bool
    description: str
    fingerprint: str


def load_digits(root: str | None = None, *, allow_synthetic: bool = False, seed: int = 0) -> Digits:
    """Returns MNIST's 60,000 + 10,000 digits; or 6,000 + 1,000 drawn ones, by 60 + 10 imaginary writers.

    Args:
        root: a folder to look for MNIST in, before FEDGDL_DATA and the user's cache.
        allow_synthetic: whether digits may be drawn when MNIST is not on this machine.
        seed: of the drawn digits.

    Raises:
        DataMissing: MNIST is not on this machine, and nothing may stand in for it.
        DataCorrupt: one of its files is damaged.
    """
    source, files = find_corpus("mnist", root, allow_synthetic=allow_synthetic)
    settings = {"reader": _READER, "seed": seed if source.is_synthetic else None}
    entry = open_corpus(source, files, settings, lambda: _build(files, seed))
    arrays = entry.arrays
    num_train, num_test = len(arrays["train_labels"]), len(arrays["test_labels"])
    return Digits(
        **{name: arrays[name] for name in _ARRAYS},
        is_synthetic=source.is_synthetic,
        description=f"{source.heading}: {num_train:,} training and {num_test:,} test digits",
        fingerprint=entry.fingerprint,
    )


def _build(files: tuple[Path, ...], seed: int) -> Contents:
    if files:
        from fedgdl.data.sources.mnist import read_part  # only needed when digits are prepared

        train, test = read_part(*files[:3]), read_part(*files[3:])
    else:
        from fedgdl.data.sources.synthetic_digits import draw_parts

        train, test = draw_parts(_DRAWN, seed)
    arrays = (train.images, train.labels, train.writers, test.images, test.labels, test.writers)
    return Contents(dict(zip(_ARRAYS, arrays, strict=True)))
