"""A data set's examples, split into training and test rows, and the sources that make such splits.

A file in `fedgdl.data.sources` provides a `SplitSource`: a data set whose examples can become a
federation's clients and test set. What the split holds decides nothing about clients yet, except
for the groups that the data set has by nature.

Not here: who gets which row (`fedgdl.data.partition`), and where the result is kept
(`fedgdl.data.prepared`).

Example:
    >>> import numpy as np
    >>> examples = ArrayExamples(np.zeros((3, 2), dtype=np.uint8), np.array([0, 1, 1]))
    >>> split = Split(examples, np.array([0, 1]), np.array([2]), words={"classes": ["cat", "dog"]})
    >>> len(split.train_rows), split.groups
    (2, None)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fedgdl.config import DataConfig
from fedgdl.data.dataset import ArrayExamples, BagExamples
from fedgdl.data.partition import Groups, Rows
from fedgdl.data.source import Source

__all__ = ["Split", "SplitSource"]


@dataclass(frozen=True, slots=True)
class Split:
    """A collection of examples, ready to be partitioned.

    Attributes:
        examples: all of them.
        train_rows: (train,) int64, the rows of `examples` to train on, in file order; a row may come
            again where a recipe wants it so.
        test_rows: (test,) int64, the rows to test on.
        groups: whose each training row is; none where the collection does not say.
        counts: what was read, dropped and kept, for reports.
        words: lists of strings by name: `"vocabulary"`, what the word ids mean; `"classes"`, the labels'
            names. A list that the examples have no use for is left out.
    """

    examples: BagExamples | ArrayExamples
    train_rows: Rows
    test_rows: Rows
    groups: Groups | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSource(Source):
    """A source whose examples can be split into clients.

    Attributes:
        split: makes the split from (the files in the order of `files`, the configuration, the seed).
        settings: the fields of `DataConfig` that the split depends on.
        is_seeded: whether the split depends on the seed.
        example_noun: what people call several of its examples.
        word_noun: what people call several entries of its vocabulary.
    """

    split: Callable[[tuple[Path, ...], DataConfig, int], Split]
    settings: tuple[str, ...] = ()
    is_seeded: bool = False
    example_noun: str = "examples"
    word_noun: Literal["characters", "words"] = "words"
