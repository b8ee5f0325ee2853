import itertools
import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from digit_files import paths_of, write_digits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_archives import MAILBOXES, write_enron, write_sms

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data import prepared
from fedgdl.data.dataset import ArrayExamples, BagExamples, FederatedDataset
from fedgdl.data.mail import clean_split
from fedgdl.data.prepared import PreparedDataset, load_dataset
from fedgdl.data.source import Source
from fedgdl.data.sources import enron
from fedgdl.data.sources.mnist import read_part
from fedgdl.errors import ConfigError, DataCorrupt, DataError, DataMissing

SMALL = DataConfig("synthetic-mail", examples=300)
FIVE = PartitionConfig("iid", 5)


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_sms(write_enron(tmp_path / "data"))


def rows_of(examples: BagExamples | ArrayExamples) -> list[tuple[tuple[int, ...], int]]:
    """Returns each e-mail's (word ids, label)."""
    assert isinstance(examples, BagExamples)
    return [
        (tuple(examples.slice(row, row + 1).token_ids.tolist()), int(examples.labels[row]))
        for row in range(len(examples))
    ]


def as_dataset(data: PreparedDataset) -> FederatedDataset[BagExamples | ArrayExamples]:
    """Returns its argument; the type checker proves that it is a data set."""
    return data


def test_clients_and_test_hold_the_splits_rows(root: Path) -> None:
    config = DataConfig("enron", root=str(root))
    data = load_dataset(config, 1)
    assert as_dataset(data) is data
    split = clean_split(enron._all_mails(tuple(root / file.path for file in enron.SOURCE.files)), config, 1)
    assert split.groups is not None
    assert data.client_ids == MAILBOXES
    everything = rows_of(split.examples)
    for position, client_id in enumerate(data.client_ids):
        expected = [everything[row] for row in split.train_rows[split.groups.of_row == position]]
        assert rows_of(data.client(client_id)) == expected
    assert rows_of(data.test) == [everything[row] for row in split.test_rows]


@given(
    st.sampled_from([PartitionConfig(), FIVE, PartitionConfig("shares", ("b", "a"), (0.75, 0.25))]),
    st.integers(0, 3),
    st.sampled_from([0.1, 0.5]),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_second_load_gives_the_same_data(
    root: Path, partition: PartitionConfig, seed: int, test_fraction: float
) -> None:
    config = DataConfig("enron", root=str(root), partition=partition, test_fraction=test_fraction)
    first, second = load_dataset(config, seed), load_dataset(config, seed)
    assert first.fingerprint == second.fingerprint
    assert first.client_ids == second.client_ids == tuple(sorted(first.client_ids))
    for client_id in first.client_ids:
        assert rows_of(first.client(client_id)) == rows_of(second.client(client_id))
    num_rows = sum(len(first.client(client_id)) for client_id in first.client_ids)
    assert (num_rows, len(first.test)) == (first.num_train, first.counts["test"])
    assert first.vocabulary.words == second.vocabulary.words
    assert first.num_words == len(first.vocabulary)


def test_a_client_is_a_view_of_the_mapped_arrays() -> None:
    data = load_dataset(SMALL, 1)
    first, second = (data.client(client_id) for client_id in data.client_ids[:2])
    assert isinstance(first, BagExamples)
    assert isinstance(second, BagExamples)
    assert np.shares_memory(first.token_ids, second.token_ids)
    for array in (first.token_ids, first.offsets, first.labels):
        assert not array.flags.writeable
        assert not array.flags.owndata
    assert first.token_ids.dtype == first.offsets.dtype == np.int64
    batch = second.slice(0, 2)
    assert batch.offsets[0] == 0
    assert np.shares_memory(batch.token_ids, second.token_ids)
    assert rows_of(second.take(np.array([1, 0]))) == rows_of(second)[1::-1]


def test_the_vocabulary_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    data = load_dataset(SMALL, 1)
    (path,) = (tmp_path / "cache").rglob("vocabulary.json")
    path.write_bytes(b"[")
    num_words = data.num_words
    assert num_words > 100
    with pytest.raises(DataCorrupt, match=r"vocabulary\.json"):
        _ = data.vocabulary
    assert load_dataset(SMALL, 1).num_words == num_words  # noticed by its size and built again


def test_whatever_the_data_depends_on_changes_the_entry(root: Path, tmp_path: Path) -> None:
    config = DataConfig("enron", root=str(root))
    variants = [
        (config, 1),
        (config, 2),
        (DataConfig("enron", root=str(root), test_fraction=0.4), 1),
        (DataConfig("enron", root=str(root), min_count=2), 1),
        (DataConfig("enron", root=str(root), max_tokens=3), 1),
        (DataConfig("enron", root=str(root), partition=FIVE), 1),
        (DataConfig("enron", root=str(root), train_examples=50), 1),
        (DataConfig("enron", root=str(root), test_examples=5), 1),
    ]
    fingerprints = [load_dataset(variant, seed).fingerprint for variant, seed in variants]
    assert len(set(fingerprints)) == len(variants)
    for same in (DataConfig("enron", root=str(root), examples=77), DataConfig("enron", root=str(root), fallback="sms")):
        assert load_dataset(same, 1).fingerprint == fingerprints[0]
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == len(variants)


def test_changed_files_are_prepared_again(root: Path) -> None:
    config = DataConfig("enron", root=str(root))
    before = load_dataset(config, 1)
    write_enron(root, num_ham=13)
    assert load_dataset(config, 1).counts["read"] == before.counts["read"] + 6


def test_the_fingerprint_does_not_depend_on_the_place(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset(DataConfig("enron", root=str(root)), 1)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "another"))
    monkeypatch.setenv("FEDGDL_DATA", str(write_enron(tmp_path / "copy")))
    assert load_dataset(DataConfig("enron"), 1).fingerprint == first.fingerprint


def test_descriptions_say_what_the_data_is(root: Path) -> None:
    real = load_dataset(DataConfig("sms", root=str(root), partition=FIVE), 1)
    assert real.description == (
        f"SMS Spam Collection v.1: {real.num_train} training and {len(real.test)} test messages, "
        f"5 clients, {real.num_words} words"
    )
    assert not real.is_synthetic
    generated = load_dataset(SMALL, 1)
    assert generated.is_synthetic
    assert "(synthetic)" in generated.description
    assert generated.description in repr(generated)


def test_the_fallback_is_used_and_said(caplog: pytest.LogCaptureFixture) -> None:
    config = DataConfig("enron-book", fallback="synthetic-mail", examples=300)
    with caplog.at_level(logging.WARNING):
        data = load_dataset(config, 1)
    assert data.source.name == "synthetic-mail"
    assert data.description.endswith("used because enron-book is not on this machine")
    assert "using synthetic-mail instead: the data set 'enron-book'" in caplog.text
    assert data.fingerprint == load_dataset(SMALL, 1).fingerprint


def test_the_fallback_is_for_missing_data_not_for_damaged(root: Path) -> None:
    (root / "enron" / "enron1.tar.gz").write_bytes(b"damaged")
    with pytest.raises(DataCorrupt, match=r"enron1\.tar\.gz.*`fedgdl data fetch enron-book`"):
        load_dataset(DataConfig("enron-book", root=str(root), fallback="synthetic-mail"), 1)


def test_missing_data_without_a_fallback(root: Path) -> None:
    with pytest.raises(DataMissing, match="fedgdl data fetch enron"):
        load_dataset(DataConfig("enron"), 1)
    with pytest.raises(DataMissing, match="fedgdl data fetch sms"):
        load_dataset(DataConfig("enron", fallback="sms"), 1)
    with pytest.raises(ConfigError, match=r"did you mean synthetic-mail\?"):
        load_dataset(DataConfig("enron", root=str(root), fallback="syntetic-mail"), 1)
    with pytest.raises(ConfigError, match=r"did you mean enron\?"):
        load_dataset(DataConfig("enrn"), 1)


def test_a_source_that_has_no_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    books = Source(name="books", title="all books", licence="none")
    monkeypatch.setattr(prepared, "find_source", lambda _: books)
    with pytest.raises(DataError, match=r"'books' \(all books\) cannot be split into clients"):
        load_dataset(DataConfig("books"), 1)


# Arrays


def test_images_come_back_by_writer_as_views_of_mapped_arrays(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data", num_train=40, num_test=10, num_writers=4)
    data = load_dataset(DataConfig("mnist", root=str(root)), 1)
    train, test = read_part(*paths_of(root)[:3]), read_part(*paths_of(root)[3:])
    assert data.client_ids == tuple(f"writer-{number:04}" for number in range(4))
    for number, client_id in enumerate(data.client_ids):
        own = data.client(client_id)
        assert isinstance(own, ArrayExamples)
        np.testing.assert_array_equal(own.inputs, train.images[number::4])
        np.testing.assert_array_equal(own.labels, train.labels[number::4])
        for array in (own.inputs, own.labels, own.slice(1, 3).inputs):
            assert array.dtype == np.uint8
            assert not array.flags.owndata
            assert not array.flags.writeable
    assert isinstance(data.test, ArrayExamples)
    np.testing.assert_array_equal(data.test.inputs, test.images)
    assert isinstance(data.all_train, ArrayExamples)
    np.testing.assert_array_equal(data.all_train.inputs, np.concatenate([train.images[n::4] for n in range(4)]))
    assert data.words("classes") == list("0123456789")
    assert data.num_classes == 10
    assert data.description == "MNIST, handwritten digits: 40 training and 10 test digits, 4 clients"


def test_a_list_that_is_not_there_is_said_so() -> None:
    data = load_dataset(DataConfig("synthetic-digits", examples=60), 1)
    for name in ("vocabulary", "films"):
        with pytest.raises(DataError, match=rf"'synthetic-digits' \(Drawn digits, .*\) has no {name}"):
            data.words(name)
    with pytest.raises(DataError, match="has no vocabulary"):
        _ = data.num_words
    with pytest.raises(DataError, match="has no vocabulary"):
        _ = data.vocabulary
    stories = load_dataset(DataConfig("synthetic-stories", examples=100), 1)
    assert stories.vocabulary.words[:2] == ("<padding>", "<unknown>")
    with pytest.raises(DataError, match="has no classes"):
        _ = stories.num_classes


def test_all_training_examples_are_those_of_the_clients_in_order() -> None:
    for config in (SMALL, DataConfig("synthetic-mail", examples=300, partition=FIVE)):
        data = load_dataset(config, 1)
        assert rows_of(data.all_train) == [row for name in data.client_ids for row in rows_of(data.client(name))]


def test_the_first_examples_are_used_when_fewer_are_wanted(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data", num_train=40, num_test=10, num_writers=4)
    train, test = read_part(*paths_of(root)[:3]), read_part(*paths_of(root)[3:])
    data = load_dataset(DataConfig("mnist", root=str(root), train_examples=7, test_examples=3), 1)
    assert [len(data.client(client_id)) for client_id in data.client_ids] == [2, 2, 2, 1]
    assert isinstance(data.all_train, ArrayExamples)
    np.testing.assert_array_equal(data.all_train.inputs, train.images[[0, 4, 1, 5, 2, 6, 3]])
    assert isinstance(data.test, ArrayExamples)
    np.testing.assert_array_equal(data.test.inputs, test.images[:3])
    assert (data.counts["train"], data.counts["test"]) == (7, 3)
    few = load_dataset(DataConfig("mnist", root=str(root), train_examples=2), 1)
    assert few.client_ids == ("writer-0000", "writer-0001")  # nobody is left out: the others have no part in it
    assert "clients_left_out" not in few.counts
    more = load_dataset(DataConfig("mnist", root=str(root), train_examples=99, test_examples=99), 1)
    assert (more.num_train, len(more.test)) == (40, 10)


def test_clients_with_too_few_examples_are_left_out_and_counted(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data", num_train=42, num_test=10, num_writers=4)
    config = DataConfig("mnist", root=str(root), partition=PartitionConfig(min_examples=11))
    data = load_dataset(config, 1)
    assert data.client_ids == ("writer-0000", "writer-0001")  # 11 digits each; the others have 10
    assert (data.num_train, data.counts["train"]) == (22, 22)
    assert (data.counts["clients_left_out"], data.counts["train_left_out"]) == (2, 20)
    assert data.description.endswith("2 clients; 2 clients with too few examples left out")
    assert len(data.test) == 10


def test_shards_give_each_client_few_labels(tmp_path: Path) -> None:
    root = write_digits(tmp_path / "data", num_train=400, num_test=10)
    data = load_dataset(DataConfig("mnist", root=str(root), partition=PartitionConfig("shards", 20)), 1)
    assert [len(data.client(client_id)) for client_id in data.client_ids] == [20] * 20
    assert isinstance(data.all_train, ArrayExamples)
    labels = read_part(*paths_of(root)[:3]).labels
    np.testing.assert_array_equal(np.sort(data.all_train.labels), np.sort(labels))
    # 40 shards of 10 and 9 borders between labels: two shards hold at most 4 labels, and all hold 40 + 9 at most.
    counts = [len(np.unique(data.client(client_id).labels)) for client_id in data.client_ids]
    assert max(counts) <= 4
    assert sum(counts) <= 49
    with pytest.raises(DataError, match='"shards" sorts by label'):
        load_dataset(DataConfig("synthetic-stories", examples=100, partition=PartitionConfig("shards", 2)), 1)


def test_messages_without_owners_need_another_partition(root: Path) -> None:
    with pytest.raises(DataError, match='"iid"'):
        load_dataset(DataConfig("sms", root=str(root)), 1)


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(DataError, match="no client 'bob'; there are 6: mailbox-1, mailbox-2"):
        load_dataset(SMALL, 1).client("bob")


_LOAD = """
import sys
from fedgdl.config import DataConfig
from fedgdl.data import load_dataset
data = load_dataset(DataConfig("synthetic-mail", examples=2000), 1)
print(data.fingerprint, sum(int(data.client(c).labels.sum()) for c in data.client_ids))
"""


def test_processes_that_prepare_at_once_end_with_equal_data(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _LOAD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert all(process.returncode == 0 for process in processes), answers
    data = load_dataset(DataConfig("synthetic-mail", examples=2000), 1)
    spam = sum(int(data.client(client_id).labels.sum()) for client_id in data.client_ids)
    assert [answer for answer, _ in answers] == [f"{data.fingerprint} {spam}\n"] * 3
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1


_OPEN = """
import sys, time
from fedgdl.config import DataConfig
from fedgdl.data import load_dataset
load_dataset(DataConfig("synthetic-mail", examples=300), 1)
print(*sorted({"pooch", "requests", "rich", "tarfile", "zipfile", "gzip", "urllib.request"} & set(sys.modules)))
"""


def test_opening_imports_nothing_that_only_preparing_needs() -> None:
    load_dataset(SMALL, 1)
    done = subprocess.run([sys.executable, "-c", _OPEN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_opening_reads_no_array() -> None:
    """The best of some openings is far below preparing, whatever else the machine is doing."""
    load_dataset(SMALL, 1)
    times = []
    for _ in itertools.repeat(None, 10):
        began = time.perf_counter()
        load_dataset(SMALL, 1)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.01
