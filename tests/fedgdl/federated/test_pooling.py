from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from federation import PointsData, make_data
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data import ArrayExamples, BagExamples, load_dataset
from fedgdl.errors import DataError
from fedgdl.federated import pool_examples


@dataclass(frozen=True)
class Shares:
    """Clients' examples of any kind."""

    shards: dict[str, Any]

    @property
    def client_ids(self) -> list[str]:
        return sorted(self.shards)

    def client(self, client_id: str) -> Any:
        return self.shards[client_id]


def pooled(shards: dict[str, Any]) -> Any:
    return pool_examples(Shares(shards))  # type: ignore[arg-type]


def test_arrays_come_together_in_the_order_of_the_clients() -> None:
    data = make_data({"ben": 3, "ann": 2})
    assert isinstance(data, PointsData)
    together: Any = pool_examples(data)
    for name in ("inputs", "targets"):
        expected = np.concatenate([getattr(data.shards[client_id], name) for client_id in ("ann", "ben")])
        np.testing.assert_array_equal(getattr(together, name), expected)


BAGS = st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.integers(0, 1)), min_size=1, max_size=5)


@given(st.lists(BAGS, min_size=2, max_size=4))
def test_bags_come_together_whatever_their_offsets_start_from(clients: list[list[tuple[list[int], int]]]) -> None:
    """Each client's bags are a part of a larger array, as those of a prepared data set are."""
    every = [pair for pairs in clients for pair in pairs]
    whole = BagExamples.of([bag for bag, _ in every], [label for _, label in every])
    shards, start = {}, 0
    for index, pairs in enumerate(clients):
        stop = start + len(pairs)
        shards[f"client-{index}"] = BagExamples(
            whole.token_ids, whole.offsets[start : stop + 1], whole.labels[start:stop]
        )
        start = stop
    together = pooled(shards)
    np.testing.assert_array_equal(together.token_ids, whole.token_ids)
    np.testing.assert_array_equal(together.offsets, whole.offsets)
    np.testing.assert_array_equal(together.labels, whole.labels)


def test_a_prepared_data_set_is_not_copied() -> None:
    config = DataConfig("synthetic-mail", examples=100, partition=PartitionConfig("iid", 3))
    data = load_dataset(config, seed=1)
    together: Any = pool_examples(data)
    assert len(together) == sum(len(data.client(client_id)) for client_id in data.client_ids)
    assert np.shares_memory(together.labels, data.client(data.client_ids[0]).labels)


def test_the_examples_of_an_only_client_are_taken_as_they_are() -> None:
    anything: Any = object()
    assert pooled({"ann": anything}) is anything


@pytest.mark.parametrize(
    ("shards", "what"),
    [
        ({}, r"\(none\) cannot be pooled"),
        ({"a": [1], "b": [2]}, r"\(list\) cannot be pooled.*attribute all_train"),
        ({"a": ArrayExamples(np.zeros(1), np.zeros(1, int)), "b": BagExamples.of([[1]], [1])}, "ArrayExamples, BagEx"),
        (
            {name: ArrayExamples(np.zeros((1, size)), np.zeros(1, int)) for name, size in (("a", 3), ("b", 2))},
            r"rows of inputs have the shapes \(2,\) and \(3,\)",
        ),
    ],
)
def test_what_cannot_be_pooled_is_named_with_what_to_do(shards: dict[str, Any], what: str) -> None:
    with pytest.raises(DataError, match=what):
        pooled(shards)
