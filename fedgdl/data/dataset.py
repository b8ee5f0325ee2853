"""Examples, batches of them, and their split into clients: the shapes that training relies on.

A data set is whatever satisfies these protocols. The library's own sets are memory-mapped
arrays shared by all processes; a user's set may be arrays in memory, or a function from
client id to examples: a population is never asked for as a list of its clients' data.

Example:
    >>> import numpy as np
    >>> mails = BagExamples(np.array([4, 7, 7, 9]), np.array([0, 2, 2, 4]), np.array([1, 0, 1]))
    >>> len(mails), mails.take(np.array([2, 1])).offsets
    (3, array([0, 2, 2]))
    >>> images = ArrayExamples(np.zeros((5, 28, 28), dtype=np.uint8), np.array([3, 1, 4, 1, 5]))
    >>> images.slice(1, 3).labels
    array([1, 4])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fedgdl.errors import DataError

__all__ = ["ArrayExamples", "BagExamples", "Batch", "Examples", "FederatedDataset"]


class Batch(Protocol):
    """Some examples, ready for a model; what else it holds is between a task and its data."""

    def __len__(self) -> int:
        """Returns the number of examples."""
        ...


BatchT_co = TypeVar("BatchT_co", bound=Batch, covariant=True)


class Examples(Protocol[BatchT_co]):
    """The examples of one client, or of a test set, in a fixed order."""

    def __len__(self) -> int:
        """Returns the number of examples."""
        ...

    def slice(self, start: int, stop: int) -> BatchT_co:
        """Returns the examples start to stop - 1, without copying where that is possible."""
        ...

    def take(self, rows: npt.NDArray[np.int64]) -> BatchT_co:
        """Returns the examples of the given rows, in the given order."""
        ...


class FederatedDataset(Protocol[BatchT_co]):
    """A training set split into clients, and a test set that nobody trains on.

    Attributes:
        client_ids: the population, sorted.
        test: the test set.
        fingerprint: a digest of the prepared data's contents, equal for equal data.
        description: one line for people: the source, its size, and whether it is synthetic.
        is_synthetic: whether the examples were generated.
    """

    @property
    def client_ids(self) -> Sequence[str]: ...  # noqa: D102 (described in the class)
    @property
    def test(self) -> Examples[BatchT_co]: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def description(self) -> str: ...  # noqa: D102
    @property
    def is_synthetic(self) -> bool: ...  # noqa: D102

    def client(self, client_id: str) -> Examples[BatchT_co]:
        """Returns one client's own examples.

        Raises:
            DataError: there is no such client.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArrayExamples:
    """Examples that are rows of arrays: images, or texts of one length. Also a batch of them.

    Attributes:
        inputs: (examples, ...) of any dtype, what the model sees of each example.
        labels: (examples,) integers, a class each; or (examples, steps) integers, one for each step of a
            sequence, those below 0 being padding, which no loss counts.
    """

    inputs: npt.NDArray[Any]
    labels: npt.NDArray[np.integer]

    def __post_init__(self) -> None:
        """Refuses arrays that do not belong together; raises `DataError`."""
        if self.inputs.ndim < 1 or self.labels.ndim < 1 or len(self.inputs) != len(self.labels):
            message = f"inputs of shape {self.inputs.shape} do not go with labels of shape {self.labels.shape}"
            raise DataError(message)

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.labels)

    def slice(self, start: int, stop: int) -> "ArrayExamples":
        """Returns examples start to stop - 1: views, nothing is copied."""
        return ArrayExamples(self.inputs[start:stop], self.labels[start:stop])

    def take(self, rows: npt.NDArray[np.int64]) -> "ArrayExamples":
        """Returns copies of the examples of the given rows, in the given order."""
        return ArrayExamples(self.inputs[rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class BagExamples:
    """Examples that are bags of words: each a set of word ids, with a label. Also a batch of them.

    Attributes:
        token_ids: (tokens,) int64, the word ids of all examples one after another.
        offsets: (examples + 1,) int64; example i has `token_ids[offsets[i]:offsets[i + 1]]`. `offsets[0]` is 0
            for a batch; for a part of a larger array it may be any position, and is taken away by `slice`.
        labels: (examples,) integers, a class each: 1 for spam and 0 for ham, say.
    """

    token_ids: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.integer]

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.labels)

    def slice(self, start: int, stop: int) -> "BagExamples":
        """Returns examples start to stop - 1; words and labels are views, offsets start from 0."""
        first, last = self.offsets[start], self.offsets[min(stop, len(self))]
        offsets = self.offsets[start : stop + 1] - first
        return BagExamples(self.token_ids[first:last], offsets, self.labels[start:stop])

    def take(self, rows: npt.NDArray[np.int64]) -> "BagExamples":
        """Returns copies of the examples of the given rows, in the given order."""
        starts = self.offsets[rows]
        counts = self.offsets[rows + 1] - starts
        offsets = np.concatenate(([0], np.cumsum(counts)))
        where = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], counts)
        return BagExamples(self.token_ids[where], offsets, self.labels[rows])

    @classmethod
    def of(cls, bags: Sequence[Sequence[int]], labels: Sequence[int]) -> "BagExamples":
        """Returns the examples of some bags of word ids and their labels.

        Raises:
            DataError: there are not as many bags as labels.
        """
        if len(bags) != len(labels):
            message = f"there are {len(bags)} bags of words but {len(labels)} labels"
            raise DataError(message)
        return cls.of_arrays([np.array(bag, dtype=np.int64) for bag in bags], labels)

    @classmethod
    def of_arrays(cls, bags: Sequence[npt.NDArray[np.int64]], labels: Sequence[int]) -> "BagExamples":
        """Returns the examples of as many (tokens,) int64 arrays of word ids as there are labels."""
        offsets = np.concatenate(([0], np.cumsum([len(bag) for bag in bags], dtype=np.int64)))
        token_ids = np.concatenate(bags) if bags else np.zeros(0, dtype=np.int64)
        return cls(token_ids, offsets, np.array(labels, dtype=np.int64))
