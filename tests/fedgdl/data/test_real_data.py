"""The real data sets, where they are on this machine: numbers only, never a text."""

from pathlib import Path

import numpy as np
import pytest
from mail_archives import MAILBOXES, serve

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.fetch import fetch
from fedgdl.data.prepared import load_mail
from fedgdl.data.registry import find_source
from fedgdl.data.source import content_digest
from fedgdl.data.sources import enron, sms

# Each part's messages by class, from the table of the paper and the archives' own summaries.
COUNTS = {
    "enron1": (3672, 1500),
    "enron2": (4361, 1496),
    "enron3": (4012, 1500),
    "enron4": (1500, 4500),
    "enron5": (1500, 3675),
    "enron6": (1500, 4500),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_the_books_data_has_the_published_numbers(real_data: Path) -> None:
    data = load_mail(DataConfig("enron-book", root=str(real_data)), 12345)
    assert data.num_words == 50_635
    assert data.vocabulary.word(0) == "<pad>"
    assert (data.counts["spam"], data.counts["ham"]) == (6 * 1_460, 6 * 3_659)
    sizes = {client_id: len(data.client(client_id)) for client_id in data.client_ids}
    assert sizes == {"alice": 1_000, "bob": 1_000, "sue": 39_908}
    assert (data.num_train, len(data.test)) == (41_908, 2_000)
    for examples in (*map(data.client, data.client_ids), data.test):
        assert np.array_equal(examples.labels, np.tile([1, 0], len(examples) // 2))
    train = [data.client(client_id) for client_id in ("bob", "alice", "sue")]
    seen = {part.slice(row, row + 1).token_ids.tobytes() for part in train for row in range(len(part))}
    copies = sum(data.test.slice(row, row + 1).token_ids.tobytes() in seen for row in range(len(data.test)))
    assert copies == 2_000  # the book's test e-mails are all training e-mails
    assert data.test.token_ids.min() > 0  # nobody has the padding token


def test_the_books_federation_reaches_the_published_losses(real_data: Path) -> None:
    """The chapter's first round, computed here in a few lines: mean squared error of each batch of 500."""
    data = load_mail(DataConfig("enron-book", root=str(real_data)), 12345)
    published = {"bob": 0.21908166249699718, "alice": 0.2937106899184867, "sue": 0.033339966977175894}
    for client_id, expected in published.items():
        examples = data.client(client_id)
        weights = np.zeros(data.num_words)
        losses = []
        for start in range(0, len(examples) - 499, 500):
            batch = examples.slice(start, start + 500)
            score = np.add.reduceat(weights[batch.token_ids], batch.offsets[:-1])
            prediction = 1 / (1 + np.exp(-score))
            error = prediction - batch.labels
            losses.append(error @ error / 500)
            slope = 0.01 * 2 * error * prediction * (1 - prediction)
            np.subtract.at(weights, batch.token_ids, np.repeat(slope, np.diff(batch.offsets)))
        assert np.mean(losses) == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_every_part_has_its_messages_owner_and_digest(real_data: Path) -> None:
    for name, part in enron.PARTS.items():
        mails = list(enron.read_part(name, real_data / part.path))
        num_spam = sum(mail.label for mail in mails)
        assert (len(mails) - num_spam, num_spam) == COUNTS[name]
        assert len({mail.owner for mail in mails}) == 1
        assert content_digest(part.members(real_data / part.path)) == part.sha256


@pytest.mark.slow
def test_the_six_mailboxes_split_cleanly(real_data: Path) -> None:
    data = load_mail(DataConfig("enron", root=str(real_data)), 12345)
    assert data.client_ids == MAILBOXES
    assert data.counts["read"] == 33_716
    assert data.num_train + len(data.test) == data.counts["read"] - data.counts["duplicates"]
    assert len(data.test) == round(0.2 * (data.counts["read"] - data.counts["duplicates"]))


def test_the_messages_have_their_published_numbers(real_data: Path) -> None:
    config = DataConfig("sms", root=str(real_data), partition=PartitionConfig("iid", 10))
    data = load_mail(config, 12345)
    assert data.counts["read"] == 5_574
    (file,) = sms.SOURCE.files
    ((_, content),) = file.members(real_data / file.path)
    assert sum(mail.label for mail in sms.read_messages(content)) == 747


def test_the_real_files_can_be_fetched_from_a_mirror(real_data: Path) -> None:
    with serve(real_data) as mirror:
        for name in ("enron-book", "sms"):
            source = find_source(name)
            (fetched,) = fetch(source, base_url=mirror)
            assert fetched.path.read_bytes() == (real_data / source.files[0].path).read_bytes()
    assert load_mail(DataConfig("enron-book", root=None), 1).num_words == 50_635
