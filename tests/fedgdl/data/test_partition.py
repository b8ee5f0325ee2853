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
    ("config", "what"),
    [
        (PartitionConfig("iid", 4), r"client 'client-0001' .* 3 .*fewer clients in data\.partition\.clients"),
        (PartitionConfig("shares", ("a", "b"), (0.99, 0.01)), r"client 'b' .*raise its share"),
    ],
)
def test_an_empty_client_is_refused(config: PartitionConfig, what: str) -> None:
    with pytest.raises(DataError, match=what):
        partition(config, 3, None, 1)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), st.integers(1, 12))
def test_natural_clients_with_too_few_rows_are_left_out(owners: list[str], least: int) -> None:
    groups = Groups.of(owners, [*"abcdef", "nobody"])
    sizes = {name: owners.count(name) for name in groups.names}
    config = PartitionConfig(min_examples=least)
    if max(sizes.values()) < least:
        what = rf"data\.partition\.min_examples = {least} training examples; the largest has {max(sizes.values())}"
        with pytest.raises(DataError, match=what):
            partition(config, len(owners), groups, 1)
        return
    parts = partition(config, len(owners), groups, 1)
    assert {name: len(rows) for name, rows in parts.items()} == {n: size for n, size in sizes.items() if size >= least}
    for name, rows in parts.items():
        assert {owners[row] for row in rows} == {name}


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 300), st.integers(1, 10), st.integers(0, 2**63 - 1))
def test_shards_are_pieces_of_the_rows_in_order_of_label(
    clients: int, shards_per_client: int, more: int, num_labels: int, seed: int
) -> None:
    num_shards = clients * shards_per_client
    num_rows = num_shards + more
    labels = np.random.default_rng(seed % 1_000).integers(0, num_labels, num_rows)
    config = PartitionConfig("shards", clients, shards_per_client=shards_per_client)
    parts = partition(config, num_rows, None, seed, labels)
    assert_disjoint_and_complete(parts, num_rows)
    assert len(parts) == clients
    smallest = num_rows // num_shards
    place = np.empty(num_rows, np.int64)  # of each row in the order of labels, equal ones in file order
    place[sorted(range(num_rows), key=lambda row: labels[row])] = np.arange(num_rows)
    borders = {index * num_rows // num_shards for index in range(num_shards)}
    for rows in parts.values():
        assert smallest * shards_per_client <= len(rows) <= (smallest + 1) * shards_per_client
        places = np.sort(place[rows])
        starts = places[np.diff(places, prepend=-2) > 1]
        assert len(starts) <= shards_per_client
        assert set(starts.tolist()) <= borders


def test_a_client_of_shards_sees_few_labels() -> None:
    """The partition of McMahan et al.: 100 clients, 2 shards each. A shard holds two labels only across a border."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 600))
    parts = partition(PartitionConfig("shards", 100), 6_000, None, 5, labels)
    assert {len(rows) for rows in parts.values()} == {60}
    counts = [len(np.unique(labels[rows])) for rows in parts.values()]
    assert set(counts) == {1, 2}  # 200 shards of 30, so borders of labels are borders of shards
    other = partition(PartitionConfig("shards", 100), 6_000, None, 6, labels)
    assert any(not np.array_equal(parts[name], other[name]) for name in parts)


def test_shards_may_be_dealt_to_names() -> None:
    parts = partition(PartitionConfig("shards", ("b", "a"), shards_per_client=1), 4, None, 1, np.array([1, 0, 1, 0]))
    assert list(parts) == ["a", "b"]
    assert sorted(rows.tolist() for rows in parts.values()) == [[0, 2], [1, 3]]


def test_shards_that_cannot_be_cut_are_refused() -> None:
    config = PartitionConfig("shards", 3, shards_per_client=2)
    with pytest.raises(DataError, match=r"5 training examples cannot be cut into 3 x 2 shards; lower"):
        partition(config, 5, None, 1, np.zeros(5, np.int64))
    for labels in (None, np.zeros((9, 4), np.int64)):
        with pytest.raises(DataError, match=r'"shards" sorts by label, but the examples of this data set have none'):
            partition(config, 9, None, 1, labels)


@pytest.mark.parametrize(
    "config",
    [PartitionConfig("iid"), PartitionConfig("shards"), PartitionConfig("shares", ("a", "b"), (1.0,))],
)
def test_an_incomplete_configuration_is_refused(config: PartitionConfig) -> None:
    with pytest.raises(DataError, match=r"data\.partition\.clients"):
        partition(config, 3, None, 1, np.zeros(3, np.int64))
