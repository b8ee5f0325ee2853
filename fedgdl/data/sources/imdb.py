"""The Large Movie Review Dataset v1.0: 50,000 film reviews from IMDb, half for training, half of each positive.

The archive `aclImdb_v1.tar.gz` holds `aclImdb/{train,test}/{pos,neg}/ID_RATING.txt` with the IDs 0
to 12499 in each folder, and ratings 7 to 10 in `pos`, 1 to 4 in `neg`. It is read strictly: a
missing or second review, a wrong rating, a text that is no UTF-8, a link, and any member that the
official archive does not have end in `DataCorrupt`, which names it. Its further members (reviews
without a label, bags of words, a list of words) are known and left alone.

The natural clients are the films. Which film a review is about is told by `urls_pos.txt` and
`urls_neg.txt`, one address a line in the order of the IDs. The official archive has them; where a
repacked one does not, they are looked for in `aclImdb_urls.tar.gz` beside it.

Some reviews are in the collection twice (96 texts of the training part, 199 of the test part), and
123 texts are in both parts. All are kept, as in published results.

Source:
    A. L. Maas, R. E. Daly, P. T. Pham, D. Huang, A. Y. Ng, C. Potts, "Learning Word Vectors for
    Sentiment Analysis", ACL 2011, section 4.1.

Example:
    >>> film_of_address("http://www.imdb.com/title/tt0453418/usercomments")
    453418
"""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from fedgdl.config import DataConfig
from fedgdl.data.reviews import PARTS, Review, ReviewSource, split_reviews
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split
from fedgdl.errors import DataCorrupt
from fedgdl.progress import watched

__all__ = ["PER_FOLDER", "SOURCE", "URLS_ARCHIVE", "film_of_address", "members", "read_parts"]

PER_FOLDER: Final = 12_500
"""The number of reviews of each part and class."""

URLS_ARCHIVE: Final = "aclImdb_urls.tar.gz"

_MAX_UNPACKED_BYTES: Final = 2**29  # the official archive unpacks to about 0.3 GB
_MAX_REVIEW_BYTES: Final = 2**20
_MAX_URLS_BYTES: Final = 2**23
_RATINGS: Final = {"pos": range(7, 11), "neg": range(1, 5)}
_STEPS: Final = 100  # of the progress bar

_review_name: Final = re.compile(r"aclImdb/(train|test)/(pos|neg)/(0|[1-9]\d{0,8})_(\d{1,2})\.txt").fullmatch
_urls_name: Final = re.compile(r"aclImdb/(train|test)/urls_(pos|neg)\.txt").fullmatch
_folder_name: Final = re.compile(r"aclImdb(/(train|test)(/(pos|neg|unsup))?)?").fullmatch
_unused_name: Final = re.compile(
    r"aclImdb/(README|imdb\.vocab|imdbEr\.txt|train/unsup/\d+_0\.txt|train/urls_unsup\.txt"
    r"|(train|test)/labeledBow\.feat|train/unsupBow\.feat)"
).fullmatch
_film_address: Final = re.compile(r"https?://(?:www\.)?imdb\.com/title/tt(\d{1,9})(?:/.*)?").fullmatch

_Folder: TypeAlias = tuple[str, str]
"""A part and a class: ("train", "pos"), say."""


def members(path: Path) -> list[tuple[str, bytes]]:
    """Returns (member name, bytes) of the 50,000 reviews: the part of the archive that every copy of it has.

    Raises:
        DataCorrupt: the archive is damaged or not complete, or has a member that it should not have.
    """
    reviews, _ = _read_archive(path, PER_FOLDER)
    return [(name, data) for folder in reviews.values() for name, data in folder.values()]


def read_parts(path: Path, per_folder: int = PER_FOLDER) -> dict[str, list[Review]]:
    """Returns the reviews of both parts in the book's order, with their films where these are known.

    The book's order is that of the file names, positive and negative in turn: `0_9.txt`, `0_3.txt`,
    `10000_8.txt`, `10000_4.txt`, `10001_10.txt`, ...

    Args:
        path: the archive; `aclImdb_urls.tar.gz` beside it is read when it does not say the films itself.
        per_folder: the number of reviews of each part and class that it must have.

    Raises:
        DataCorrupt: see `members`; or the list of films does not fit the reviews.
    """
    with blame(str(path), SOURCE.remedy):
        reviews, urls = _read_archive(path, per_folder)
        films = _films(urls, per_folder)
    beside = path.with_name(URLS_ARCHIVE)
    if not films and beside.is_file():
        with blame(str(beside), "Delete the file, or get it again; the reviews can be used without."):
            films = _films(_read_urls(beside), per_folder)
    return {part: _in_turn(part, reviews, films) for part in PARTS}


def film_of_address(address: str) -> int:
    """Returns the number of the film whose page an address is.

    Raises:
        DataCorrupt: it is no film's page.
    """
    match = _film_address(address)
    if match is None:
        message = f"{address[:80]!r} is not the address of a film's page"
        raise DataCorrupt(message)
    return int(match[1])


def _in_turn(
    part: str, reviews: dict[_Folder, dict[int, tuple[str, bytes]]], films: dict[_Folder, list[int]]
) -> list[Review]:
    """Returns the reviews of a part, positive and negative in turn, each in the order of the file names."""
    columns = []
    for label, sentiment in ((1, "pos"), (0, "neg")):
        folder = (part, sentiment)
        by_name = sorted((name, review_id, data) for review_id, (name, data) in reviews[folder].items())
        of_review = films.get(folder)
        columns.append(
            [
                Review(data.decode(), label, None if of_review is None else of_review[review_id])
                for _, review_id, data in by_name
            ]
        )
    return [review for pair in zip(*columns, strict=True) for review in pair]


def _read_archive(
    path: Path, per_folder: int
) -> tuple[dict[_Folder, dict[int, tuple[str, bytes]]], dict[_Folder, bytes]]:
    """Returns each folder's (name, bytes) by review ID, all of them there, and the lists of films that are there."""
    reviews: dict[_Folder, dict[int, tuple[str, bytes]]] = {
        (part, sentiment): {} for part in PARTS for sentiment in _RATINGS
    }
    urls: dict[_Folder, bytes] = {}
    used = _used_members(path)
    steps = watched(range(_STEPS), "reading the film reviews")
    for name, data in (member for _ in steps for member in islice(used, 4 * per_folder // _STEPS + 1)):
        match = _review_name(name)
        if match is None:
            _add_urls(urls, name, data)
        else:
            review_id = _check_review(match, data, per_folder)
            folder = reviews[match[1], match[2]]
            if review_id in folder:
                message = f"it holds the review {review_id} twice: as {folder[review_id][0]} and as {name}"
                raise DataCorrupt(message)
            folder[review_id] = (name, data)
    for name, _ in used:  # the reviews and lists are all read by now
        message = f"it holds more reviews than the data set has, {name} for one"
        raise DataCorrupt(message)
    _check_complete(reviews, per_folder)
    return reviews, urls


def _check_complete(reviews: dict[_Folder, dict[int, tuple[str, bytes]]], per_folder: int) -> None:
    for (part, sentiment), folder in reviews.items():
        if len(folder) < per_folder:
            first = next(review_id for review_id in range(per_folder) if review_id not in folder)
            message = (
                f"it has {len(folder):,} of the {per_folder:,} reviews of aclImdb/{part}/{sentiment}; "
                f"the first that is missing has the ID {first}"
            )
            raise DataCorrupt(message)


def _read_urls(path: Path) -> dict[_Folder, bytes]:
    urls: dict[_Folder, bytes] = {}
    for name, data in _used_members(path):
        if _urls_name(name) is None:
            message = f"it holds {name}, but only lists of addresses belong there"
            raise DataCorrupt(message)
        _add_urls(urls, name, data)
    return urls


def _add_urls(urls: dict[_Folder, bytes], name: str, data: bytes) -> None:
    match = _urls_name(name)
    if match is None or (match[1], match[2]) in urls:
        message = f"it holds {name} twice"
        raise DataCorrupt(message)
    urls[match[1], match[2]] = data


def _check_review(match: re.Match[str], data: bytes, per_folder: int) -> int:
    """Returns the ID of a review after checking its name, as taken apart by `_review_name`, and its bytes."""
    name, _, sentiment, review_id, rating = match.group(0, 1, 2, 3, 4)
    if int(review_id) >= per_folder:
        message = f"the ID of the review {name} is not between 0 and {per_folder - 1}"
        raise DataCorrupt(message)
    allowed = _RATINGS[sentiment]
    if int(rating) not in allowed:
        message = f"the review {name} is rated {rating}, but {sentiment} has ratings {allowed[0]} to {allowed[-1]} only"
        raise DataCorrupt(message)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        message = f"the review {name} is no UTF-8 text (byte {error.start})"
        raise DataCorrupt(message) from error
    if not text.strip() or "\0" in text:
        message = f"the review {name} is no text: it is empty or has NUL bytes"
        raise DataCorrupt(message)
    return int(review_id)


def _films(urls: dict[_Folder, bytes], per_folder: int) -> dict[_Folder, list[int]]:
    """Returns the film of each review by folder and ID; nothing when there are no lists at all."""
    films: dict[_Folder, list[int]] = {}
    for part in PARTS if urls else ():
        for sentiment in _RATINGS:
            name = f"aclImdb/{part}/urls_{sentiment}.txt"
            lines = urls.get((part, sentiment), b"").decode("latin-1").splitlines()
            if len(lines) != per_folder:
                message = f"{name} has {len(lines):,} lines instead of {per_folder:,}, one for each review"
                raise DataCorrupt(message)
            with blame(name, "It should have one address of a film's page a line"):
                films[part, sentiment] = [film_of_address(line.strip()) for line in lines]
    return films


def _used_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yields (name, bytes) of the reviews and lists of films, reading the archive as a stream: it is never in memory.

    Raises:
        DataCorrupt: it is damaged, unpacks to too much, or has a member that the official archive has not.
    """
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if is_packed else path.open("rb") as unpacked:
            limited = _Limited(unpacked)
            with tarfile.open(fileobj=limited, mode="r|") as archive:  # type: ignore[call-overload]  # reads only
                for member in archive:
                    name = _check_member(member)
                    if name is not None:
                        content = archive.extractfile(member)
                        data = b"" if content is None else content.read()
                        if len(data) != member.size:
                            message = f"it is cut short inside {name}"
                            raise DataCorrupt(message)
                        yield name, data
            while limited.read(2**20):  # to the end mark, where the checksum is
                pass
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, zlib.error) as error:
        message = f"it is no tar archive, or it is cut short or damaged ({error})"
        raise DataCorrupt(message) from error


class _Limited:
    """Reads from a file, and refuses to read too much: an archive may unpack to anything."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._left = _MAX_UNPACKED_BYTES

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            message = f"it unpacks to more than {_MAX_UNPACKED_BYTES:,} bytes, which the reviews do not"
            raise DataCorrupt(message)
        return data


def _check_member(member: tarfile.TarInfo) -> str | None:
    """Returns the name of a member that is to be read, or nothing for one that is known and not used."""
    name = member.name.removeprefix("./")
    if member.isdir() and (name in {".", ""} or _folder_name(name)):
        return None
    if not member.isfile():
        message = f"it holds {member.name!r}, which is neither a file nor one of its folders"
        raise DataCorrupt(message)
    if _unused_name(name):
        return None
    limit = _MAX_REVIEW_BYTES if _review_name(name) else _MAX_URLS_BYTES if _urls_name(name) else -1
    if limit < 0:
        message = f"it holds {member.name!r}, which is no member of the official archive"
        raise DataCorrupt(message)
    if member.size > limit:
        message = f"{name} has {member.size:,} bytes, more than the {limit:,} it may have"
        raise DataCorrupt(message)
    return name


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (its own split)
    return split_reviews(read_parts(paths[0]), config)


def _read(paths: tuple[Path, ...], seed: int) -> dict[str, list[Review]]:  # noqa: ARG001 (its own order)
    return read_parts(paths[0])


SOURCE: Final = ReviewSource(
    name="imdb",
    title="Large Movie Review Dataset v1.0 (IMDb)",
    licence="none stated; the texts belong to their authors on IMDb",
    citation=(
        "A. L. Maas, R. E. Daly, P. T. Pham, D. Huang, A. Y. Ng, C. Potts. "
        "Learning Word Vectors for Sentiment Analysis. ACL 2011."
    ),
    files=(
        SourceFile(
            path="imdb/aclImdb_v1.tar.gz",
            url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
            num_bytes=84_125_825,
            sha256="2f7a3d1aad2cf5ce9dd4699e85e7bb337637c618d2315e0585921ae932728c56",
            members=members,
            max_bytes=2**27,
        ),
    ),
    counterpart="synthetic-reviews",
    split=_split,
    read=_read,
    optional_files=(URLS_ARCHIVE,),
)
