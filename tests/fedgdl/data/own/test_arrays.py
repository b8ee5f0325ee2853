from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data import ArrayExamples, FederatedDataset
from fedgdl.data.own import OwnDataset, from_arrays
from fedgdl.errors import DataError

IID = DataConfig("own", partition=PartitionConfig("iid", clients=("ann", "ben")))
NATURAL = DataConfig("own")


def all_rows(data: OwnDataset[ArrayExamples]) -> list[tuple[Any, ...]]:
    """Every row of clients and test set, as a tuple of its inputs and its label's name."""
    assert data.classes is not None
    parts = [*(data.client(client_id) for client_id in data.client_ids), data.test]
    return sorted(
        (*row.tolist(), data.classes[label])
        for part in parts
        for row, label in zip(part.inputs, part.labels.tolist(), strict=True)
    )


@given(
    st.lists(st.sampled_from(["oak", "ash", "elm"]), min_size=8, max_size=60),
    st.integers(0, 2**63 - 1),
    st.floats(0.05, 0.5),
)
def test_every_row_comes_once_with_its_own_label(labels: list[str], seed: int, test_fraction: float) -> None:
    labels = [*labels, "oak", "oak", "oak"]
    config = DataConfig("own", partition=IID.partition, test_fraction=test_fraction)
    inputs = np.arange(2 * len(labels)).reshape(-1, 2)
    try:
        data = from_arrays(inputs, labels, config, seed)
    except DataError as error:  # by chance a rare kind of tree is among the test rows alone
        assert "in no training row" in str(error)  # noqa: PT017 (which of the two it is, is drawn)
        return
    assert all_rows(data) == sorted((2 * row, 2 * row + 1, label) for row, label in enumerate(labels))
    assert len(data.test) == max(1, round(len(labels) * test_fraction))
    assert data.counts["train"] == len(data.all_train) == len(labels) - len(data.test)
    sizes = [len(data.client(client_id)) for client_id in data.client_ids]
    assert max(sizes) - min(sizes) <= 1


def as_dataset(data: OwnDataset[ArrayExamples]) -> FederatedDataset[ArrayExamples]:
    """What mypy checks: it is a data set for federations."""
    return data


def test_clients_and_a_test_set_may_be_given() -> None:
    inputs, labels = np.eye(4, dtype="float64"), np.array([7, 5, 7, 10])
    data = from_arrays(
        inputs, labels, NATURAL, seed=1, clients=[3, 1, 3, 1], test=(np.zeros((2, 4)), [10, 5]), dtype="float64"
    )
    assert as_dataset(data).client_ids == ("1", "3")
    assert data.classes == ("5", "7", "10")  # in the order of numbers, not of texts
    np.testing.assert_array_equal(data.client("3").inputs, inputs[[0, 2]])
    np.testing.assert_array_equal(data.client("1").labels, [0, 2])
    np.testing.assert_array_equal(data.test.labels, [2, 0])
    assert data.client("1").inputs.dtype == "float64"
    assert (data.num_classes, data.is_synthetic) == (3, False)
    assert data.description == "arrays: 4 training and 2 test examples, 2 clients"


def test_whole_numbers_stay_and_others_become_the_models_type() -> None:
    images = np.arange(10 * 4, dtype=np.uint8).reshape(10, 2, 2)
    assert from_arrays(images, [0, 1] * 5, IID, seed=1).test.inputs.dtype == np.uint8
    assert from_arrays(images / 2, [0, 1] * 5, IID, seed=1).test.inputs.dtype == np.float32


def test_labels_of_sequences_are_taken_as_they_are() -> None:
    ids, next_ids = np.arange(12).reshape(4, 3), np.array([[1, 2, -1]] * 4)
    data = from_arrays(ids, next_ids, IID, seed=1)
    assert data.classes is None
    np.testing.assert_array_equal(data.all_train.labels, next_ids[:3])
    with pytest.raises(DataError, match="arrays has no classes"):
        _ = data.num_classes
    with pytest.raises(DataError, match="arrays has no vocabulary"):
        _ = data.vocabulary


def test_shards_of_one_label_and_the_first_examples() -> None:
    config = DataConfig(
        "own", partition=PartitionConfig("shards", clients=4, shards_per_client=1), train_examples=8, test_examples=1
    )
    labels = ["a", "b"] * 8
    data = from_arrays(np.eye(16), labels, config, seed=3, test=(np.eye(16), labels))
    assert [len(set(data.client(client_id).labels.tolist())) for client_id in data.client_ids] == [1, 1, 1, 1]
    assert (len(data.all_train), len(data.test)) == (8, 1)


def test_the_fingerprint_tells_contents_apart() -> None:
    inputs, labels = np.arange(20.0).reshape(10, 2), ["a", "b"] * 5
    first = from_arrays(inputs, labels, IID, seed=1).fingerprint
    assert from_arrays(inputs.tolist(), labels, IID, seed=1).fingerprint == first
    changed = inputs.copy()
    changed[3, 1] += 1
    others = [
        from_arrays(changed, labels, IID, seed=1),
        from_arrays(inputs, ["a", "c"] * 5, IID, seed=1),
        from_arrays(inputs, labels, IID, seed=2),
        from_arrays(inputs, labels, IID, seed=1, dtype="float64"),
        from_arrays(inputs, labels, DataConfig("own", partition=PartitionConfig("iid", clients=2)), seed=1),
    ]
    assert len({first, *(data.fingerprint for data in others)}) == 6


@pytest.mark.parametrize(
    ("inputs", "labels", "what"),
    [
        (np.zeros(3), [0, 1, 0], r"inputs must be numbers of shape \(rows, ...\), got float64 of shape \(3,\)"),
        (np.array([["x"]]), [0], "got <U1"),
        (np.zeros((2, 2)), [0], "there are 2 inputs but 1 labels"),
        (np.array([[0.0, 1], [np.nan, 1]]), [0, 1], "row 1 of the inputs: nan is no number that can be learned from"),
        (np.array([[0.0, np.inf], [0, 1]]), [0, 1], "row 0 of the inputs: inf is no number"),
        (np.zeros((2, 1)), [0, 1.5], "row 1 of the inputs: a label is a name or a whole number, not 1.5"),
        (np.zeros((2, 1)), [0, "one"], "row 1 of the inputs: the label 'one' is of another kind"),
        (np.zeros((2, 1)), ["", "one"], "row 0 of the inputs: a label is a name"),
        (np.zeros((2, 1)), np.array([0.5, 1]), "not np.float64"),
        (np.zeros((1, 1)), [0], "1 rows cannot be split into training and test"),
        (np.zeros((0, 1)), [], "0 rows cannot be split"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(inputs: Any, labels: Sequence[Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        from_arrays(inputs, labels, IID, seed=1)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({}, 'data.partition.kind = "natural", but this data set does not say whose'),
        ({"clients": ["ann"]}, "there are 4 inputs but 1 clients"),
        ({"clients": ["ann", "", "ann", "ann"]}, "row 1 of the inputs: a client's name has 1 to 200 characters"),
        ({"clients": ["ann", "b" * 201, "ann", "ann"]}, "this has 201"),
        ({"clients": [1, 2, 2.5, 3]}, "row 2 of the inputs: a client is a name or a whole number, not 2.5"),
        ({"clients": [1, 2, True, 3]}, "not True"),
        ({"clients": list("abab"), "test": (np.zeros((1, 3)), [0])}, r"differ in shape: \(2,\) and \(3,\)"),
        (
            {"clients": list("abab"), "test": (np.zeros((2, 2)), [1, 9])},
            r"row 1 of the test inputs: the label 9 of this test row is in no training row \(there: 0, 1\)",
        ),
        ({"clients": list("abab"), "test": (np.zeros((0, 2)), [])}, "there is no test row"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        from_arrays(np.zeros((4, 2)), [0, 1, 0, 1], NATURAL, seed=1, **arguments)


def test_an_unknown_client_is_told() -> None:
    with pytest.raises(DataError, match="there is no client 'eve'; there are 2: ann, ben"):
        from_arrays(np.eye(4), [0, 1, 0, 1], IID, seed=1, test=(np.eye(4), [0, 1, 0, 1])).client("eve")
