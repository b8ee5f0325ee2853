import itertools
import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_archives import MAILBOXES, write_enron, write_sms

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data import prepared
from fedgdl.data.dataset import BagExamples, FederatedDataset
from fedgdl.data.mail import clean_split
from fedgdl.data.prepared import PreparedMail, load_mail
from fedgdl.data.source import Source
from fedgdl.data.sources import enron
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


def rows_of(examples: BagExamples) -> list[tuple[tuple[int, ...], int]]:
    """Returns each example's (word ids, label)."""
    return [
        (tuple(examples.slice(row, row + 1).token_ids.tolist()), int(examples.labels[row]))
        for row in range(len(examples))
    ]


def as_dataset(data: PreparedMail) -> FederatedDataset[BagExamples]:
    """Returns its argument; the type checker proves that it is a data set."""
    return data


def test_clients_and_test_hold_the_splits_rows(root: Path) -> None:
    config = DataConfig("enron", root=str(root))
    data = load_mail(config, 1)
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
    first, second = load_mail(config, seed), load_mail(config, seed)
    assert first.fingerprint == second.fingerprint
    assert first.client_ids == second.client_ids == tuple(sorted(first.client_ids))
    for client_id in first.client_ids:
        assert rows_of(first.client(client_id)) == rows_of(second.client(client_id))
    num_rows = sum(len(first.client(client_id)) for client_id in first.client_ids)
    assert (num_rows, len(first.test)) == (first.num_train, first.counts["test"])
    assert first.vocabulary.words == second.vocabulary.words
    assert first.num_words == len(first.vocabulary)


def test_a_client_is_a_view_of_the_mapped_arrays() -> None:
    data = load_mail(SMALL, 1)
    first, second = (data.client(client_id) for client_id in data.client_ids[:2])
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
    data = load_mail(SMALL, 1)
    (path,) = (tmp_path / "cache").rglob("vocabulary.json")
    path.write_bytes(b"[")
    num_words = data.num_words
    assert num_words > 100
    with pytest.raises(DataCorrupt, match=r"vocabulary\.json"):
        _ = data.vocabulary
    assert load_mail(SMALL, 1).num_words == num_words  # noticed by its size and built again


def test_whatever_the_data_depends_on_changes_the_entry(root: Path, tmp_path: Path) -> None:
    config = DataConfig("enron", root=str(root))
    variants = [
        (config, 1),
        (config, 2),
        (DataConfig("enron", root=str(root), test_fraction=0.4), 1),
        (DataConfig("enron", root=str(root), min_count=2), 1),
        (DataConfig("enron", root=str(root), max_tokens=3), 1),
        (DataConfig("enron", root=str(root), partition=FIVE), 1),
    ]
    fingerprints = [load_mail(variant, seed).fingerprint for variant, seed in variants]
    assert len(set(fingerprints)) == len(variants)
    for same in (DataConfig("enron", root=str(root), examples=77), DataConfig("enron", root=str(root), fallback="sms")):
        assert load_mail(same, 1).fingerprint == fingerprints[0]
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == len(variants)


def test_changed_files_are_prepared_again(root: Path) -> None:
    config = DataConfig("enron", root=str(root))
    before = load_mail(config, 1)
    write_enron(root, num_ham=13)
    assert load_mail(config, 1).counts["read"] == before.counts["read"] + 6


def test_the_fingerprint_does_not_depend_on_the_place(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_mail(DataConfig("enron", root=str(root)), 1)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "another"))
    monkeypatch.setenv("FEDGDL_DATA", str(write_enron(tmp_path / "copy")))
    assert load_mail(DataConfig("enron"), 1).fingerprint == first.fingerprint


def test_descriptions_say_what_the_data_is(root: Path) -> None:
    real = load_mail(DataConfig("sms", root=str(root), partition=FIVE), 1)
    assert real.description == (
        f"SMS Spam Collection v.1: {real.num_train} training and {len(real.test)} test messages, "
        f"5 clients, {real.num_words} words"
    )
    assert not real.is_synthetic
    generated = load_mail(SMALL, 1)
    assert generated.is_synthetic
    assert "(synthetic)" in generated.description
    assert generated.description in repr(generated)


def test_the_fallback_is_used_and_said(caplog: pytest.LogCaptureFixture) -> None:
    config = DataConfig("enron-book", fallback="synthetic-mail", examples=300)
    with caplog.at_level(logging.WARNING):
        data = load_mail(config, 1)
    assert data.source.name == "synthetic-mail"
    assert data.description.endswith("used because enron-book is not on this machine")
    assert "using synthetic-mail instead: the data set 'enron-book'" in caplog.text
    assert data.fingerprint == load_mail(SMALL, 1).fingerprint


def test_the_fallback_is_for_missing_data_not_for_damaged(root: Path) -> None:
    (root / "enron" / "enron1.tar.gz").write_bytes(b"damaged")
    with pytest.raises(DataCorrupt, match=r"enron1\.tar\.gz.*`fedgdl data fetch enron-book`"):
        load_mail(DataConfig("enron-book", root=str(root), fallback="synthetic-mail"), 1)


def test_missing_data_without_a_fallback(root: Path) -> None:
    with pytest.raises(DataMissing, match="fedgdl data fetch enron"):
        load_mail(DataConfig("enron"), 1)
    with pytest.raises(DataMissing, match="fedgdl data fetch sms"):
        load_mail(DataConfig("enron", fallback="sms"), 1)
    with pytest.raises(ConfigError, match=r"did you mean synthetic-mail\?"):
        load_mail(DataConfig("enron", root=str(root), fallback="syntetic-mail"), 1)
    with pytest.raises(ConfigError, match=r"did you mean enron\?"):
        load_mail(DataConfig("enrn"), 1)


def test_a_source_of_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = Source(name="digits", title="handwritten digits", licence="none")
    monkeypatch.setattr(prepared, "find_source", lambda _: digits)
    with pytest.raises(DataError, match=r"'digits' \(handwritten digits\) has no e-mails"):
        load_mail(DataConfig("digits"), 1)


def test_messages_without_owners_need_another_partition(root: Path) -> None:
    with pytest.raises(DataError, match='"iid"'):
        load_mail(DataConfig("sms", root=str(root)), 1)


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(DataError, match="no client 'bob'; there are 6: mailbox-1, mailbox-2"):
        load_mail(SMALL, 1).client("bob")


_LOAD = """
import sys
from fedgdl.config import DataConfig
from fedgdl.data import load_mail
data = load_mail(DataConfig("synthetic-mail", examples=2000), 1)
print(data.fingerprint, sum(int(data.client(c).labels.sum()) for c in data.client_ids))
"""


def test_processes_that_prepare_at_once_end_with_equal_data(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _LOAD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60) for process in processes]
    assert all(process.returncode == 0 for process in processes), answers
    data = load_mail(DataConfig("synthetic-mail", examples=2000), 1)
    spam = sum(int(data.client(client_id).labels.sum()) for client_id in data.client_ids)
    assert [answer for answer, _ in answers] == [f"{data.fingerprint} {spam}\n"] * 3
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1


_OPEN = """
import sys, time
from fedgdl.config import DataConfig
from fedgdl.data import load_mail
load_mail(DataConfig("synthetic-mail", examples=300), 1)
print(*sorted({"pooch", "requests", "rich", "tarfile", "zipfile", "gzip", "urllib.request"} & set(sys.modules)))
"""


def test_opening_imports_nothing_that_only_preparing_needs() -> None:
    load_mail(SMALL, 1)
    done = subprocess.run([sys.executable, "-c", _OPEN], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_opening_reads_no_array() -> None:
    """The best of some openings is far below preparing, whatever else the machine is doing."""
    load_mail(SMALL, 1)
    times = []
    for _ in itertools.repeat(None, 10):
        began = time.perf_counter()
        load_mail(SMALL, 1)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.01
