"""Digits that this program draws, by imaginary writers: runs and tests without MNIST.

`data.examples` says how many training digits there are; a sixth as many, by other writers, are for
testing, as in MNIST. The natural clients are the 60 writers of the training digits. Each has habits
of their own (how digits are turned, slanted and stretched, and the pen), and writes more or fewer digits.

The digits vary in a few ways only: they are far easier than MNIST, and numbers reached on them say
nothing about it.

Example:
    >>> train, test = draw_parts(120, seed=1)
    >>> len(train.labels), len(test.labels), len(set(train.writers.tolist()) & set(test.writers.tolist()))
    (120, 20, 0)
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.drawn_digits import SIDE, Hand, draw_digits
from fedgdl.data.sources.mnist import Part, split_parts, writer_ids
from fedgdl.data.split import Split, SplitSource
from fedgdl.seeding import stream

__all__ = ["SOURCE", "TEST_WRITERS", "TRAIN_WRITERS", "draw_parts"]

TRAIN_WRITERS: Final = 60
TEST_WRITERS: Final = 10

_TRAIN_PER_TEST: Final = 6
_HABIT: Final = 0.25
"""How much of the whole range of a habit one writer's digits vary in."""
_DILIGENCE: Final = 0.5
"""Writers' numbers of digits vary by up to this share of their mean."""


def draw_parts(num_train: int, seed: int) -> tuple[Part, Part]:
    """Returns training and test digits, each part in random order.

    Args:
        num_train: how many training digits; a sixth as many test digits, but at least one.
        seed: of labels, habits and shapes.
    """
    num_test = max(1, num_train // _TRAIN_PER_TEST)
    writers = np.arange(TRAIN_WRITERS + TEST_WRITERS, dtype=np.int32)
    return (
        _draw_part(num_train, writers[:TRAIN_WRITERS], "train", seed),
        _draw_part(num_test, writers[TRAIN_WRITERS:], "test", seed),
    )


def _draw_part(num_digits: int, writers: npt.NDArray[np.int32], name: str, seed: int) -> Part:
    rng = stream(seed, f"synthetic-digits/{name}")
    writers = writers[:num_digits]  # nobody is asked to write nothing
    weights = rng.uniform(1 - _DILIGENCE, 1 + _DILIGENCE, len(writers))
    more = np.floor(np.cumsum(weights) / weights.sum() * (num_digits - len(writers)) + 0.5).astype(np.int64)
    sizes = 1 + np.diff(more, prepend=0)
    images = np.empty((num_digits, SIDE, SIDE), dtype=np.uint8)
    labels = np.empty(num_digits, dtype=np.uint8)
    start = 0
    for client_id, size in zip(writer_ids(writers), sizes.tolist(), strict=True):
        own = stream(seed, "synthetic-digits", client_id=client_id)
        ink, digits = draw_digits(size, own, Hand().narrowed(own, _HABIT))
        images[start : start + size] = np.rint(ink * 255)
        labels[start : start + size] = digits
        start += size
    order = rng.permutation(num_digits)
    return Part(images[order], labels[order], np.repeat(writers, sizes)[order])


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (generated: no files)
    return split_parts(*draw_parts(config.examples, seed))


SOURCE: Final = SplitSource(
    name="synthetic-digits",
    title="Drawn digits, 60 imaginary writers",
    licence="as this library",
    is_synthetic=True,
    split=_split,
    settings=("examples",),
    is_seeded=True,
    example_noun="digits",
)
