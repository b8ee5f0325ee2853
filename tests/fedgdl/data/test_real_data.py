"""The real data sets, where they are on this machine: numbers only, never a text."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mail_archives import MAILBOXES, serve

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.digits import load_digits
from fedgdl.data.fetch import fetch
from fedgdl.data.prepared import load_dataset
from fedgdl.data.registry import find_source
from fedgdl.data.source import content_digest
from fedgdl.data.sources import enron, sms
from fedgdl.data.stories import book_sentences, load_stories

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
    data = load_dataset(DataConfig("enron-book", root=str(real_data)), 12345)
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
    data = load_dataset(DataConfig("enron-book", root=str(real_data)), 12345)
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
    data = load_dataset(DataConfig("enron", root=str(real_data)), 12345)
    assert data.client_ids == MAILBOXES
    assert data.counts["read"] == 33_716
    assert data.num_train + len(data.test) == data.counts["read"] - data.counts["duplicates"]
    assert len(data.test) == round(0.2 * (data.counts["read"] - data.counts["duplicates"]))


def test_the_messages_have_their_published_numbers(real_data: Path) -> None:
    config = DataConfig("sms", root=str(real_data), partition=PartitionConfig("iid", 10))
    data = load_dataset(config, 12345)
    assert data.counts["read"] == 5_574
    (file,) = sms.SOURCE.files
    ((_, content),) = file.members(real_data / file.path)
    assert sum(mail.label for mail in sms.read_messages(content)) == 747


@pytest.mark.parametrize(
    "name",
    [
        "babi",
        "enron-book",
        "mnist",
        "shakespear-book",
        "shakespeare",
        "sms",
        pytest.param("enron", marks=pytest.mark.slow),
        pytest.param("imdb", marks=pytest.mark.slow),
    ],
)
def test_the_real_files_can_be_fetched_from_a_mirror(real_data: Path, name: str) -> None:
    source = find_source(name)
    with serve(real_data) as mirror:
        for fetched, file in zip(fetch(source, base_url=mirror), source.files, strict=True):
            assert fetched.is_new
            assert fetched.path.read_bytes() == (real_data / file.path).read_bytes()


# Class counts: Y. LeCun and others, "The MNIST database of handwritten digits"; writers: QMNIST's columns.
TRAIN_CLASSES = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_CLASSES = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_has_its_published_numbers(real_data: Path) -> None:
    digits = load_digits(str(real_data))
    assert np.bincount(digits.train_labels).tolist() == TRAIN_CLASSES
    assert np.bincount(digits.test_labels).tolist() == TEST_CLASSES
    assert digits.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    train_writers, test_writers = map(np.unique, (digits.train_writers, digits.test_writers))
    assert (len(train_writers), len(test_writers)) == (539, 297)
    assert len(np.intersect1d(train_writers, test_writers)) == 0
    sizes = np.bincount(digits.train_writers)[train_writers]
    assert (sizes.min(), np.median(sizes), sizes.max()) == (19, 116, 131)
    for images, mean, deviation in ((digits.train_images, 0.1307, 0.3081), (digits.test_images, 0.1325, 0.3105)):
        assert images.mean() / 255 == pytest.approx(mean, abs=5e-5)
        assert images.std(dtype=np.float64) / 255 == pytest.approx(deviation, abs=5e-5)


def test_mnist_becomes_one_client_a_writer_or_shards(real_data: Path) -> None:
    data = load_dataset(DataConfig("mnist", root=str(real_data)), 1)
    assert len(data.client_ids) == 539
    assert (data.num_train, len(data.test), data.num_classes) == (60_000, 10_000, 10)
    config = DataConfig("mnist", root=str(real_data), partition=PartitionConfig("shards", 100))
    shards = load_dataset(config, 1)
    assert {len(shards.client(client_id)) for client_id in shards.client_ids} == {600}
    counts = [len(np.unique(shards.client(client_id).labels)) for client_id in shards.client_ids]
    assert max(counts) <= 4  # two shards, each across at most one border of labels
    assert np.mean(counts) < 2.1  # at most 9 of 200 shards lie across a border


def test_babi_has_its_published_numbers(real_data: Path) -> None:
    stories = load_stories(str(real_data))
    for task in stories.lines.values():
        for lines in task.values():
            assert sum("\t" in line for line in lines) == 1_000
    answers = [line.split("\t")[1] for line in stories.lines[1]["train"] if "\t" in line]
    expected = {"bathroom": 154, "bedroom": 155, "garden": 177, "hallway": 175, "kitchen": 173, "office": 166}
    assert Counter(answers) == expected
    sentences = book_sentences(stories)
    assert len({token for sentence in sentences for token in sentence}) == 82  # the book's vocabulary
    data = load_dataset(DataConfig("babi", root=str(real_data)), 1)
    assert len(data.client_ids) == 20
    assert data.num_train == sum(len(task["train"]) for task in stories.lines.values())
