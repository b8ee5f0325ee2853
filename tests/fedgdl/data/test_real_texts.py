"""The real film reviews and plays, where they are on this machine."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.prepared import load_dataset
from fedgdl.data.reviews import Reviews, load_reviews
from fedgdl.data.source import content_digest
from fedgdl.data.sources import imdb, shakespear_book, shakespeare
from fedgdl.data.verse import load_verse, speeches

ARCHIVE = "imdb/aclImdb_v1.tar.gz"

# What notebooks on the book's `reviews.txt` print: how often a word is in all 25,000 lines, and in the positive ones.
WORD_COUNTS = {
    "the": (336_713, 173_324),
    ".": (327_192, 159_654),
    "and": (164_107, 89_722),
    "a": (163_009, 83_688),
    "of": (145_864, 76_855),
    "to": (135_720, 66_746),
    "is": (107_328, 57_245),
    "br": (101_872, 49_235),
    "it": (96_352, 48_025),
    "in": (93_968, 50_215),
    "i": (87_623, 40_743),
    "this": (76_000, 35_080),
    "that": (73_245, 35_630),
    "s": (65_361, 33_815),
    "movie": (44_039, 19_074),
    "film": (40_155, 20_937),
    "t": (34_081, 13_720),
}
EMPTY_COUNTS = (
    1_111_930 - 25_000,
    550_468 - 12_500,
)  # these notebooks cut the line feed off: one empty token more a line

# The first words of some lines as the same notebooks print them: they tell the order of the reviews.
LINES = {
    0: "bromwell high is a cartoon comedy . it ran at the same time",
    1: "story of a man who has unnatural feelings for a pig .",
    2: "homelessness  or houselessness as george carlin stated  has been an issue",
    3: "airport    starts as a brand new luxury    plane is",
    2_137: "this movie is terrible but it has some good effects .",
    4_998: "this schiffer guy is a real genius  the movie is of excellent quality",
    5_297: "if you haven  t seen this  it  s terrible . it is pure trash .",
    6_267: "comment this movie is impossible . is terrible  very improbable",
    12_816: "adrian pasdar is excellent is this film . he makes a fascinating woman .",
    21_934: "excellent episode movie ala pulp fiction .  days   suicides .",
}


@pytest.fixture(scope="module")
def train(real_data: Path) -> Reviews:
    return load_reviews("train", str(real_data))


@pytest.mark.slow
def test_the_books_first_review_has_its_94_tokens(train: Reviews) -> None:
    assert len(set(train.tokens(0).tolist())) == 94


@pytest.mark.slow
def test_the_reviews_are_in_the_books_order_word_for_word(train: Reviews) -> None:
    for row, line in LINES.items():
        words = line.split(" ")
        assert [train.vocabulary.word(int(token)) for token in train.tokens(row)[: len(words)]] == words
    assert np.array_equal(train.labels, np.tile([1, 0], 12_500))


@pytest.mark.slow
def test_the_books_vocabulary_and_its_words_counts_are_the_published_ones(train: Reviews) -> None:
    assert len(train.vocabulary) == 74_074 + 1  # the notebooks that print it cut the line feed off
    row = np.repeat(np.arange(len(train)), np.diff(train.offsets))
    everywhere = np.bincount(train.token_ids, minlength=len(train.vocabulary))
    positive = np.bincount(train.token_ids[train.labels[row] == 1], minlength=len(train.vocabulary))
    for word, counts in WORD_COUNTS.items():
        word_id = train.vocabulary.id_of(word)
        assert (everywhere[word_id], positive[word_id]) == counts
    assert everywhere[train.vocabulary.id_of("\n")] == 25_000
    empty = train.vocabulary.id_of("")
    assert (everywhere[empty], positive[empty]) == pytest.approx(EMPTY_COUNTS, rel=1e-3)  # see fedgdl.data.book_tokens
    assert train.num_unknown == 0


@pytest.mark.slow
def test_both_parts_have_their_films(train: Reviews, real_data: Path) -> None:
    test = load_reviews("test", str(real_data))
    films = []
    for part, num_films in ((train, 3_456), (test, 3_581)):
        assert (len(part), int(part.labels.sum())) == (25_000, 12_500)
        assert part.films is not None
        counts = Counter(part.films.tolist())
        assert len(counts) == num_films
        assert max(counts.values()) <= 30
        films.append(set(counts))
    assert len(films[0] & films[1]) == 1
    assert test.num_unknown > 0
    assert test.vocabulary.words == train.vocabulary.words


@pytest.mark.slow
def test_the_film_reviews_become_a_federation_of_films(real_data: Path) -> None:
    data = load_dataset(DataConfig("imdb", root=str(real_data), min_count=20, max_tokens=100), 1)
    assert (data.num_train, len(data.test), len(data.client_ids), data.num_classes) == (25_000, 25_000, 3_456, 2)
    assert all(client_id.startswith("film-tt") for client_id in data.client_ids)
    assert int(data.test.labels.sum()) == 12_500


@pytest.mark.slow
def test_the_reviews_have_their_digest_and_different_texts(real_data: Path) -> None:
    members = imdb.members(real_data / ARCHIVE)
    assert content_digest(members) == imdb.SOURCE.files[0].sha256
    texts = {part: {data for name, data in members if f"/{part}/" in name} for part in ("train", "test")}
    assert {part: len(different) for part, different in texts.items()} == {"train": 24_904, "test": 24_801}
    assert len(texts["train"] & texts["test"]) == 24_904 + 24_801 - 49_582
    ratings = Counter((name.split("/")[1], int(name.rpartition("_")[2].removesuffix(".txt"))) for name, _ in members)
    of_rating = {
        "train": (5_100, 2_284, 2_420, 2_696, 2_496, 3_009, 2_263, 4_732),
        "test": (5_022, 2_302, 2_541, 2_635, 2_307, 2_850, 2_344, 4_999),
    }
    for part, expected in of_rating.items():
        assert tuple(ratings[part, rating] for rating in (1, 2, 3, 4, 7, 8, 9, 10)) == expected


@pytest.mark.parametrize(
    ("name", "file", "num_characters", "num_different"),
    [
        ("shakespeare", "tinyshakespeare.txt", 1_115_394, 65),
        ("shakespear-book", "shakespear.txt", 99_993, 62),
    ],
)
def test_the_plays_have_their_characters(
    real_data: Path, name: str, file: str, num_characters: int, num_different: int
) -> None:
    verse = load_verse(name, str(real_data))
    assert (len(verse), len(verse.characters)) == (num_characters, num_different)
    assert verse.text == (real_data / "shakespeare" / file).read_text(encoding="utf-8")
    assert "".join(verse.characters[index] for index in verse.char_ids[:500]) == verse.text[:500]


def test_the_plays_have_their_digests(real_data: Path) -> None:
    for source in (shakespeare, shakespear_book):
        (file,) = source.SOURCE.files
        assert content_digest(source.members(real_data / file.path)) == file.sha256
        assert (real_data / file.path).stat().st_size == file.num_bytes


def test_299_speakers_say_something_and_141_of_them_a_thousand_characters(real_data: Path) -> None:
    said: Counter[str] = Counter()
    for speaker, speech in speeches(load_verse("shakespeare", str(real_data)).text):
        said[speaker] += len(speech)
    assert len(said) == 299
    assert sum(length >= 1_000 for length in said.values()) == 141
    data = load_dataset(DataConfig("shakespeare", root=str(real_data)), 1)
    assert data.client_ids == tuple(sorted(said))
    windows = {client_id: len(data.client(client_id)) for client_id in data.client_ids}
    assert min(windows.values()) == 1
    assert sum(windows.values()) + len(data.test) == data.num_train + len(data.test) > 12_000


def test_the_books_text_is_split_without_speakers(real_data: Path) -> None:
    config = DataConfig("shakespear-book", root=str(real_data), partition=PartitionConfig("iid", 5))
    data = load_dataset(config, 1)
    num_windows = -(-(99_993 - 1) // 80)
    assert (data.num_train, len(data.test)) == (num_windows - num_windows // 5, num_windows // 5)
    assert data.num_words == 62
