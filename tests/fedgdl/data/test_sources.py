"""The sources of real e-mails, read from small made-up archives under the official names; and the list of all."""

from pathlib import Path

import numpy as np
import pytest
from mail_archives import MAILBOXES, enron_members, make_text, sms_bytes, write_enron, write_sms, write_tar, write_zip

from fedgdl.config import DataConfig
from fedgdl.data.mail import Mail
from fedgdl.data.registry import SOURCES, find_source, list_sources
from fedgdl.data.sources import enron, enron_book, sms
from fedgdl.data.split import SplitSource
from fedgdl.errors import ConfigError, DataCorrupt

CONFIG = DataConfig("enron")


@pytest.fixture
def part() -> dict[str, bytes]:
    return enron_members(1, num_ham=6, num_spam=4)


def read(path: Path) -> list[Mail]:
    return list(enron.read_part("enron1", path))


def test_a_part_is_read_in_time_order_with_its_mailbox(tmp_path: Path, part: dict[str, bytes]) -> None:
    mails = read(write_tar(tmp_path / "enron1.tar.gz", dict(reversed(part.items()))))
    texts = {name: data for name, data in part.items() if name.count("/") == 2}
    by_number = sorted(texts.items(), key=lambda item: item[0].rpartition("/")[2])
    assert [mail.label for mail in mails] == ["/spam/" in name for name, _ in by_number]
    assert [mail.text for mail in mails] == [data.decode().removeprefix("Subject:") for _, data in by_number]
    assert {mail.owner for mail in mails} == {"farmer-d"}


def test_bytes_outside_ascii_are_latin_1(tmp_path: Path, part: dict[str, bytes]) -> None:
    part["enron1/ham/9999.2001-01-01.farmer.ham.txt"] = b"Subject: caf\xe9 \x00\r\n"
    assert "caf\xe9" in read(write_tar(tmp_path / "x.tar.gz", part))[-1].text


def test_all_parts_become_one_collection_with_six_owners(tmp_path: Path) -> None:
    root = write_enron(tmp_path)
    split = enron.SOURCE.split(tuple(root / file.path for file in enron.SOURCE.files), CONFIG, 1)
    assert split.counts["read"] == 6 * 20
    assert split.groups is not None
    assert split.groups.names == MAILBOXES
    assert "subject" not in split.words["vocabulary"]


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("enron1/ham/0099.2001-01-01.farmer.ham.txt", bytes(range(256)), "0099.* does not begin with 'Subject:'"),
        ("enron1/ham/0099.2001-01-01.farmer.ham.txt", b"Subject: " + bytes(20), "0099.* 20 of its 29 bytes"),
        ("enron1/ham/notes.txt", b"Subject: x", "notes.txt' is not of the form enron1/ham/NUMBER"),
        ("enron1/ham/0099.2001-01-01.GP.spam.txt", b"Subject: x", "is not of the form"),
        ("enron1/ham/0099.2001-01-01.beck.ham.txt", b"Subject: x", "two mailboxes, farmer and beck"),
        ("enron1/../0099.2001-01-01.beck.ham.txt", b"Subject: x", "unsafe name"),
    ],
)
def test_a_member_that_is_no_mail_is_named(
    tmp_path: Path, part: dict[str, bytes], name: str, data: bytes, what: str
) -> None:
    with pytest.raises(DataCorrupt, match=what):
        read(write_tar(tmp_path / "enron1.tar.gz", {**part, name: data}))


@pytest.mark.parametrize("kind", ["ham", "spam"])
def test_a_missing_folder_is_named(tmp_path: Path, part: dict[str, bytes], kind: str) -> None:
    rest = {name: data for name, data in part.items() if f"/{kind}/" not in name}
    with pytest.raises(DataCorrupt, match=f"no e-mails in the folder enron1/{kind}/"):
        read(write_tar(tmp_path / "enron1.tar.gz", rest))


def test_a_damaged_archive_is_named_with_its_remedy(tmp_path: Path) -> None:
    root = write_enron(tmp_path)
    third = root / "enron" / "enron3.tar.gz"
    third.write_bytes(third.read_bytes()[:-100])
    paths = tuple(root / file.path for file in enron.SOURCE.files)
    with pytest.raises(DataCorrupt, match=r"enron3\.tar\.gz: it is cut short.*`fedgdl data fetch enron`"):
        enron.SOURCE.split(paths, CONFIG, 1)
    write_tar(third, enron_members(2, 3, 3))
    with pytest.raises(DataCorrupt, match=r"enron3\.tar\.gz: it has no e-mails in .*it holds enron2 instead"):
        enron.SOURCE.split(paths, CONFIG, 1)


def book_members(num_ham: int, num_spam: int) -> dict[str, bytes]:
    ham = {f"enron1/ham/{n:04}.2001-01-01.farmer.ham.txt": make_text(n, is_spam=False) for n in range(num_ham)}
    spam = {f"enron1/spam/{n:04}.2001-01-01.GP.spam.txt": make_text(n, is_spam=True) for n in range(num_spam)}
    return {**spam, **ham}


def test_the_books_recipe(tmp_path: Path) -> None:
    members = book_members(num_ham=500, num_spam=350)
    long_words = " ".join(f"long{number}" for number in range(499))
    members["enron1/ham/0007.2001-01-01.farmer.ham.txt"] = f"Subject: {long_words}\r\n".encode()  # 500 with Subject:
    members["enron1/ham/0008.2001-01-01.farmer.ham.txt"] = b"Subject: \xe9t\xe9  two\r\nlines\r\n\r\n"
    split = enron_book.SOURCE.split((write_tar(tmp_path / "enron1.tar.gz", members),), CONFIG, 1)

    lines = {name: enron_book.tokens_of_line(data) for name, data in members.items()}
    assert lines["enron1/ham/0008.2001-01-01.farmer.ham.txt"] == ["Subject:", "t", "", "two", "lines"]
    words = sorted({word for tokens in lines.values() for word in tokens})
    assert split.words["vocabulary"] == [enron_book.PADDING, *words]
    assert "long7" in split.words["vocabulary"]

    kept = {kind: [lines[name] for name in sorted(lines) if f"/{kind}/" in name] for kind in ("spam", "ham")}
    kept["ham"].remove(lines["enron1/ham/0007.2001-01-01.farmer.ham.txt"])
    spam, ham = kept["spam"] * 6, kept["ham"] * 6
    expected_test = [row for pair in zip(spam[-1000:], ham[-1000:], strict=True) for row in pair]
    spam, ham = spam[:-1000], ham[:-1000]
    expected_train = [row for index in range(len(ham)) for row in (spam[index % len(spam)], ham[index])]
    for rows, expected in ((split.train_rows, expected_train), (split.test_rows, expected_test)):
        assert len(rows) == len(expected)
        batch = split.examples.take(rows)
        assert batch.labels.tolist() == [1, 0] * (len(rows) // 2)
        for index in range(0, len(rows), 97):
            ids = batch.slice(index, index + 1).token_ids.tolist()
            assert ids == sorted(split.words["vocabulary"].index(word) for word in expected[index])
    assert split.groups is not None
    owners = [split.groups.names[position] for position in split.groups.of_row]
    assert owners == ["bob"] * 1000 + ["alice"] * 1000 + ["sue"] * (len(expected_train) - 2000)


def test_too_few_mails_for_the_books_recipe(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "enron1.tar.gz", book_members(num_ham=500, num_spam=333))
    with pytest.raises(DataCorrupt, match=r"enron1\.tar\.gz: it has only 333 short spam and 500 short ham"):
        enron_book.SOURCE.split((path,), CONFIG, 1)


def test_messages_are_read_from_the_file_or_the_official_zip(tmp_path: Path) -> None:
    data = sms_bytes(8)
    plain = write_sms(tmp_path, 8) / "sms" / "SMSSpamCollection"
    packed = write_zip(tmp_path / "sms.zip", {"SMSSpamCollection": data, "readme": b"read me"})
    assert sms.members(plain) == sms.members(packed) == [("SMSSpamCollection", data)]
    mails = list(sms.read_messages(data))
    assert [mail.label for mail in mails] == [1, 0, 0, 0, 1, 0, 0, 0]
    assert all(mail.text.endswith("£") for mail in mails)
    split = sms.SOURCE.split((plain,), DataConfig("sms"), 1)
    assert (split.groups, len(split.train_rows) + len(split.test_rows)) == (None, 8)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"ham\tok\nspam without a tab\n", "line 2"),
        (b"label\ttext\n", "line 1"),
        (b"", "line 1"),
        (b"ham\t\xff\n", "no UTF-8 text"),
        (b"ham\tbinary \0\n", "line 1"),
        (b"PK\x03\x04 and no more", "no zip archive"),
    ],
)
def test_a_file_that_is_no_collection_of_messages_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "SMSSpamCollection"
    path.write_bytes(data)
    with pytest.raises(DataCorrupt, match=rf"SMSSpamCollection: .*{what}.*`fedgdl data fetch sms`"):
        sms.SOURCE.split((path,), DataConfig("sms"), 1)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "SMSSpamCollection", {"readme": b"read me"})
    with pytest.raises(DataCorrupt, match="does not hold one file SMSSpamCollection"):
        sms.members(path)


OFFICIAL = (
    "http://www2.aueb.gr/",
    "http://www.thespermwhale.com/jaseweston/babi/",
    "https://ai.stanford.edu/",
    "https://archive.ics.uci.edu/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://raw.githubusercontent.com/",
)


def test_every_registered_source_is_complete() -> None:
    for name in SOURCES:
        source = find_source(name)
        assert source.name == name
        assert source.title
        assert source.licence
        assert bool(source.files) is not source.is_synthetic
        assert isinstance(source, SplitSource)
        assert set(source.settings) <= set(DataConfig.__struct_fields__)
        if source.is_synthetic:
            assert source.counterpart is None
        else:
            assert source.counterpart is not None
            assert find_source(source.counterpart).is_synthetic
        for file in source.files:
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.url.startswith(OFFICIAL)
            assert file.num_bytes < file.max_bytes
    assert [report["name"] for report in list_sources()] == sorted(SOURCES)


def test_an_unknown_source_gives_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"no data set 'enrom'; did you mean enron\?"):
        find_source("enrom")


def test_the_books_source_ignores_the_seed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "enron1.tar.gz", book_members(num_ham=400, num_spam=350))
    first, second = (enron_book.SOURCE.split((path,), CONFIG, seed) for seed in (1, 2))
    assert np.array_equal(first.train_rows, second.train_rows)
