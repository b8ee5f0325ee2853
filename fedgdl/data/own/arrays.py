"""A federation from arrays in memory.

Example:
    >>> from fedgdl.config import DataConfig
    >>> inputs, labels = np.eye(6), ["cat", "dog", "cat", "dog", "cat", "dog"]
    >>> data = from_arrays(inputs, labels, DataConfig("own"), seed=1, clients=["ann"] * 3 + ["ben"] * 3)
    >>> data.client_ids, data.classes, data.test.inputs.shape, str(data.test.inputs.dtype)
    (('ann', 'ben'), ('cat', 'dog'), (1, 6), 'float32')
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.dataset import ArrayExamples
from fedgdl.data.own.collection import Collection, Labels, make_split
from fedgdl.data.own.columns import Place, client_column, label_column, refuse_not_finite
from fedgdl.data.own.dataset import OwnDataset
from fedgdl.errors import DataError
from fedgdl.parameters import DType

__all__ = ["from_arrays"]

LabelsLike: TypeAlias = Sequence[str] | Sequence[int] | npt.NDArray[Any]


def from_arrays(
    inputs: npt.ArrayLike,
    labels: LabelsLike,
    config: DataConfig,
    seed: int,
    *,
    clients: Sequence[object] | npt.NDArray[Any] | None = None,
    test: tuple[npt.ArrayLike, LabelsLike] | None = None,
    dtype: DType = "float32",
) -> OwnDataset[ArrayExamples]:
    """Returns arrays as a federation.

    Args:
        inputs: (rows, ...) numbers. Whole numbers stay as they are, others become `dtype`.
        labels: (rows,) names or whole numbers, numbered anew in their order; or (rows, steps) whole numbers, one for
            each step of a sequence, taken as they are, those below 0 being padding.
        config: `partition`, `test_fraction`, `train_examples` and `test_examples` are used.
        seed: the experiment's seed: decides random test sets and partitions.
        clients: (rows,) whose each training row is, for the partition `"natural"`.
        test: inputs and labels to test on; none: a random `config.test_fraction` of the rows.
        dtype: what inputs become that are no whole numbers: the experiment's `dtype`.

    Raises:
        DataError: lengths differ, inputs are no finite numbers, labels are neither names nor whole numbers, a label of
            the test rows is in no training row, or the partition does not suit.
    """
    train = _collection("inputs", inputs, labels, clients, dtype)
    tested = None if test is None else _collection("test inputs", test[0], test[1], None, dtype)
    return OwnDataset("arrays", make_split(train, tested, config, seed), config, seed)


def _collection(
    what: str,
    inputs: npt.ArrayLike,
    labels: LabelsLike,
    clients: Sequence[object] | npt.NDArray[Any] | None,
    dtype: DType,
) -> Collection:
    def place(row: int) -> str:
        return f"row {row} of the {what}"

    array = np.asarray(inputs)
    if array.ndim < 2 or array.dtype.kind not in "biuf":
        message = f"{what} must be numbers of shape (rows, ...), got {array.dtype} of shape {array.shape}"
        raise DataError(message)
    if array.dtype.kind == "f":
        refuse_not_finite(array, place)
        array = array.astype(dtype, copy=False)
    for name, column in (("labels", labels), ("clients", clients)):
        if column is not None and len(column) != len(array):
            message = f"there are {len(array)} {what} but {len(column)} {name}"
            raise DataError(message)
    return Collection(
        labels=_labels(labels, place),
        place=place,
        inputs=array,
        clients=None if clients is None else client_column(clients, place),
    )


def _labels(labels: LabelsLike, place: Place) -> Labels:
    array = np.asarray(labels)
    if array.ndim == 2 and array.dtype.kind in "iu":
        return array
    return label_column(labels, place)
