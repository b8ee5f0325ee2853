import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import PartitionConfig
from fedgdl.data.partition import Groups, Rows, partition
from fedgdl.errors import DataError

NATURAL = PartitionConfig()
NAMES = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def assert_disjoint_and_complete(parts: dict[str, Rows], num_rows: int) -> None:
    assert list(parts) == sorted(parts)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(num_rows))
    for rows in parts.values():
        assert rows.dtype == np.int64
        assert np.all(np.diff(rows) > 0)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), st.integers(0, 2**63 - 1))
def test_natural_clients_get_their_own_rows(owners: list[str], seed: int) -> None:
    parts = partition(NATURAL, len(owners), Groups.of(owners), seed)
    assert_disjoint_and_complete(parts, len(owners))
    assert parts.keys() == set(owners)
    for client_id, rows in parts.items():
        assert {owners[row] for row in rows} == {client_id}


@given(st.integers(1, 40), st.integers(0, 200), st.integers(0, 2**63 - 1))
def test_iid_clients_are_equal_within_a_row(clients: int, more: int, seed: int) -> None:
    num_rows = clients + more
    parts = partition(PartitionConfig("iid", clients), num_rows, None, seed)
    assert_disjoint_and_complete(parts, num_rows)
    sizes = [len(rows) for rows in parts.values()]
    assert len(sizes) == clients
    assert max(sizes) - min(sizes) <= 1


@given(NAMES, st.data())
def test_shares_are_kept_within_a_row(names: list[str], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(1, 5), min_size=len(names), max_size=len(names)))
    shares = tuple(weight / sum(weights) for weight in weights)
    num_rows = 50 * len(names)
    parts = partition(PartitionConfig("shares", tuple(names), shares), num_rows, None, 1)
    assert_disjoint_and_complete(parts, num_rows)
    for name, share in zip(names, shares, strict=True):
        assert abs(len(parts[name]) - share * num_rows) <= 1


def test_numbered_clients_sort_by_number() -> None:
    assert list(partition(PartitionConfig("iid", 3), 9, None, 1)) == ["client-0001", "client-0002", "client-0003"]
    many = list(partition(PartitionConfig("iid", 10_000), 10_000, None, 1))
    assert many == sorted(many)
    assert (many[0], many[-1]) == ("client-00001", "client-10000")


def test_a_random_partition_depends_on_the_seed_and_only_on_it() -> None:
    config = PartitionConfig("iid", ("a", "b"))
    first, again, other = (partition(config, 1_000, None, seed) for seed in (1, 1, 2))
    assert np.array_equal(first["a"], again["a"])
    # Two random halves of 1,000 share 250 rows; the standard deviation is 8.
    assert abs(len(np.intersect1d(first["a"], other["a"])) - 250) < 5 * 8


def test_a_source_without_groups_says_what_to_use() -> None:
    with pytest.raises(DataError, match=r'does not say whose.*"iid".*"shares"'):
        partition(NATURAL, 10, None, 1)


@pytest.mark.parametrize(
    ("config", "groups", "what"),
    [
        (NATURAL, Groups.of(["ann"] * 3, ["ann", "zoe"]), r"client 'zoe' .* 3 .*data\.partition\.kind = \"iid\""),
        (PartitionConfig("iid", 4), None, r"client 'client-0001' .* 3 .*fewer clients in data\.partition\.clients"),
        (PartitionConfig("shares", ("a", "b"), (0.99, 0.01)), None, r"client 'b' .*raise its share"),
    ],
)
def test_an_empty_client_is_refused(config: PartitionConfig, groups: Groups | None, what: str) -> None:
    with pytest.raises(DataError, match=what):
        partition(config, 3, groups, 1)


@pytest.mark.parametrize("config", [PartitionConfig("iid"), PartitionConfig("shares", ("a", "b"), (1.0,))])
def test_an_incomplete_configuration_is_refused(config: PartitionConfig) -> None:
    with pytest.raises(DataError, match=r"data\.partition\.clients"):
        partition(config, 3, None, 1)
