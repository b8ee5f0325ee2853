"""The reader of the film reviews' archive, on small made-up ones under the official names."""

import gzip
import tarfile
from pathlib import Path

import pytest
from review_archives import (
    film_number,
    review_members,
    review_name,
    review_text,
    urls_members,
    write_archive,
)

from fedgdl.data.reviews import Review
from fedgdl.data.sources import imdb
from fedgdl.errors import DataCorrupt
from fedgdl.progress import watched_by

PER_FOLDER = 12


@pytest.fixture
def complete() -> dict[str, bytes]:
    return review_members(PER_FOLDER)


def read(path: Path) -> dict[str, list[Review]]:
    return imdb.read_parts(path, PER_FOLDER)


def test_the_order_is_that_of_the_file_names_positive_and_negative_in_turn(
    tmp_path: Path, complete: dict[str, bytes]
) -> None:
    parts = read(write_archive(tmp_path / "a.tar.gz", complete))
    ids = sorted(range(PER_FOLDER), key=lambda review_id: review_name("train", "pos", review_id))
    assert ids[:4] == [0, 10, 11, 1]  # "10_" and "11_" come before "1_"
    for part, reviews in parts.items():
        expected = [
            Review(review_text(part, sentiment, review_id), label, film_number(part, sentiment, review_id))
            for review_id in ids
            for label, sentiment in ((1, "pos"), (0, "neg"))
        ]
        assert reviews == expected


def test_films_come_from_the_archive_or_from_the_one_beside_it_or_are_not_known(tmp_path: Path) -> None:
    members = review_members(PER_FOLDER, with_urls=False)
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert all(review.film is None for review in read(path)["train"])
    write_archive(tmp_path / imdb.URLS_ARCHIVE, urls_members(PER_FOLDER))
    with_films = read(path)
    assert with_films == read(write_archive(tmp_path / "b" / "a.tar.gz", review_members(PER_FOLDER)))
    assert with_films["train"][0].film == film_number("train", "pos", 0)


def test_the_official_archives_further_members_are_known_and_left_alone(
    tmp_path: Path, complete: dict[str, bytes]
) -> None:
    further = {
        "aclImdb/imdb.vocab": b"the\n",
        "aclImdb/imdbEr.txt": b"0.1\n",
        "aclImdb/train/unsup/49999_0.txt": b"\xff\xfe no label, no matter",
        "aclImdb/train/urls_unsup.txt": b"x\n",
        "aclImdb/train/labeledBow.feat": b"9 0:9\n",
        "aclImdb/train/unsupBow.feat": b"0 0:8\n",
        "aclImdb/test/labeledBow.feat": b"9 0:9\n",
    }
    official = write_archive(tmp_path / "a.tar.gz", {**complete, **further})
    assert read(official) == read(write_archive(tmp_path / "b.tar.gz", complete))


def test_an_archive_that_was_unpacked_on_the_way_is_read_too(tmp_path: Path, complete: dict[str, bytes]) -> None:
    packed = write_archive(tmp_path / "a.tar.gz", complete)
    plain = tmp_path / "plain.tar.gz"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    assert read(plain) == read(packed)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("aclImdb/train/pos/12_7.txt", b"x", r"train/pos/12_7\.txt is not between 0 and 11"),
        ("aclImdb/train/pos/3_8.txt", b"x", r"holds the review 3 twice: as \S+train/pos/3_\S+ and as \S+train/pos/3_"),
        ("aclImdb/train/pos/03_8.txt", b"x", r"train/pos/03_8\.txt', which is no member of the official"),
        ("aclImdb/train/extra/1_8.txt", b"x", r"train/extra/1_8\.txt', which is no member"),
        ("aclImdb/test/neg/notes.txt", b"x", r"test/neg/notes\.txt', which is no member"),
        ("/etc/passwd", b"x", r"etc/passwd', which is no member"),
        ("aclImdb/../secret.txt", b"x", r"aclImdb/\.\./secret\.txt', which is no member"),
        ("aclImdb\\train\\pos\\1_8.txt", b"x", "which is no member"),
    ],
)
def test_a_strange_member_is_refused_and_named(
    tmp_path: Path, complete: dict[str, bytes], name: str, data: bytes, what: str
) -> None:
    with pytest.raises(DataCorrupt, match=rf"a\.tar\.gz: .*{what}.*`fedgdl data fetch imdb`"):
        read(write_archive(tmp_path / "a.tar.gz", {**complete, name: data}))


@pytest.mark.parametrize(("sentiment", "rating"), [("pos", 6), ("pos", 4), ("neg", 5), ("neg", 7), ("neg", 0)])
def test_a_rating_that_its_folder_does_not_have_is_refused(
    tmp_path: Path, complete: dict[str, bytes], sentiment: str, rating: int
) -> None:
    data = complete.pop(review_name("test", sentiment, 5))
    complete[f"aclImdb/test/{sentiment}/5_{rating}.txt"] = data
    with pytest.raises(DataCorrupt, match=rf"test/{sentiment}/5_{rating}\.txt is rated {rating}, but {sentiment} has"):
        read(write_archive(tmp_path / "a.tar.gz", complete))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"caf\xe9", r"is no UTF-8 text \(byte 3\)"),
        (b"", "is empty or has NUL bytes"),
        (b" \n", "is empty or has NUL bytes"),
        (b"a\0b", "is empty or has NUL bytes"),
        (bytes(2**20 + 1), "has 1,048,577 bytes, more than"),
    ],
)
def test_a_review_that_is_no_text_is_refused_and_named(
    tmp_path: Path, complete: dict[str, bytes], data: bytes, what: str
) -> None:
    complete[review_name("train", "neg", 7)] = data
    with pytest.raises(DataCorrupt, match=rf"aclImdb/train/neg/7_4\.txt {what}".replace(" is empty", ".* is empty")):
        read(write_archive(tmp_path / "a.tar.gz", complete))


def test_missing_reviews_are_counted_and_the_first_one_is_named(tmp_path: Path, complete: dict[str, bytes]) -> None:
    for review_id in (9, 4):
        del complete[review_name("test", "pos", review_id)]
    message = "10 of the 12 reviews of aclImdb/test/pos; the first that is missing has the ID 4"
    with pytest.raises(DataCorrupt, match=message):
        read(write_archive(tmp_path / "a.tar.gz", complete))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, complete: dict[str, bytes], kind: bytes) -> None:
    link = tarfile.TarInfo("aclImdb/train/pos/13_8.txt")
    link.type, link.linkname = kind, "0_7.txt"
    with pytest.raises(DataCorrupt, match=r"pos/13_8\.txt', which is neither a file nor one of its folders"):
        read(write_archive(tmp_path / "a.tar.gz", complete, [link]))


def test_a_strange_folder_is_refused(tmp_path: Path, complete: dict[str, bytes]) -> None:
    folder = tarfile.TarInfo("elsewhere")
    folder.type = tarfile.DIRTYPE
    with pytest.raises(DataCorrupt, match="'elsewhere', which is neither a file nor one of its folders"):
        read(write_archive(tmp_path / "a.tar.gz", complete, [folder]))


def test_damage_anywhere_is_noticed(tmp_path: Path, complete: dict[str, bytes]) -> None:
    path = write_archive(tmp_path / "a.tar.gz", complete)
    sound = path.read_bytes()
    for data in (sound[:-4], sound[: len(sound) // 2], b"", b"no archive", sound[:-8] + bytes(8)):
        path.write_bytes(data)
        with pytest.raises(DataCorrupt, match=r"a\.tar\.gz: it (is no tar archive|has \d+ of the 12 reviews)"):
            read(path)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, complete: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(tmp_path / "a.tar.gz", complete)
    monkeypatch.setattr(imdb, "_MAX_UNPACKED_BYTES", 10_240)
    with pytest.raises(DataCorrupt, match="unpacks to more than 10,240 bytes"):
        read(path)


@pytest.mark.parametrize(
    ("name", "lines", "what"),
    [
        (
            "aclImdb/train/urls_pos.txt",
            ["http://www.imdb.com/title/tt1/"] * 11,
            "urls_pos.txt has 11 lines instead of 12",
        ),
        (
            "aclImdb/test/urls_neg.txt",
            ["http://example.org/title/tt1/"] * 12,
            "urls_neg.txt: .*example.org.* is not the",
        ),
    ],
)
def test_a_list_of_films_that_does_not_fit_is_refused(
    tmp_path: Path, complete: dict[str, bytes], name: str, lines: list[str], what: str
) -> None:
    complete[name] = "\n".join(lines).encode()
    with pytest.raises(DataCorrupt, match=what):
        read(write_archive(tmp_path / "a.tar.gz", complete))


def test_a_list_of_films_that_is_missing_is_named(tmp_path: Path, complete: dict[str, bytes]) -> None:
    del complete["aclImdb/train/urls_neg.txt"]
    with pytest.raises(DataCorrupt, match=r"train/urls_neg\.txt has 0 lines"):
        read(write_archive(tmp_path / "a.tar.gz", complete))


def test_the_archive_of_lists_may_hold_nothing_else(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar.gz", review_members(PER_FOLDER, with_urls=False))
    write_archive(tmp_path / imdb.URLS_ARCHIVE, {"aclImdb/train/pos/0_7.txt": b"x"})
    with pytest.raises(
        DataCorrupt, match=r"aclImdb_urls\.tar\.gz: it holds aclImdb/train/pos/0_7\.txt, but only lists"
    ):
        read(path)


def test_the_reading_can_be_watched(tmp_path: Path, complete: dict[str, bytes]) -> None:
    heard = []
    with watched_by(lambda what, done, total: heard.append((what, done, total))):
        read(write_archive(tmp_path / "a.tar.gz", complete))
    assert heard[0] == ("reading the film reviews", 0, 100)
    assert heard[-1] == ("reading the film reviews", 100, 100)


def test_the_archive_for_the_digest_is_the_complete_one(tmp_path: Path, complete: dict[str, bytes]) -> None:
    with pytest.raises(DataCorrupt, match="12 of the 12,500 reviews of aclImdb/train/pos"):
        imdb.members(write_archive(tmp_path / "a.tar.gz", complete))
