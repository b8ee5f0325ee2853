from pathlib import Path

import numpy as np
import pytest
from review_archives import film_number, review_members, write_archive

from fedgdl.config import DataConfig, PartitionConfig
from fedgdl.data.book_tokens import book_tokens
from fedgdl.data.prepared import load_dataset
from fedgdl.data.reviews import Review, film_id, load_reviews, split_reviews
from fedgdl.data.sources import imdb
from fedgdl.data.sources.synthetic_reviews import generate
from fedgdl.data.text import distinct_tokens
from fedgdl.errors import DataError, DataMissing

CONFIG = DataConfig("imdb")
PARTS = {
    "train": [Review("Good, good film", 1, 3), Review("bad film!", 0, 5), Review("good bad", 1, 3)],
    "test": [Review("a GOOD film", 1, 9), Review("bad", 0, 9)],
}


@pytest.fixture(autouse=True)
def no_real_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


def test_a_split_has_bags_of_the_training_words() -> None:
    split = split_reviews(PARTS, CONFIG)
    words = sorted({word for review in PARTS["train"] for word in distinct_tokens(review.text)})
    assert split.words == {"vocabulary": words, "classes": ["negative", "positive"]}
    for row, review in enumerate([*PARTS["train"], *PARTS["test"]]):
        bag = split.examples.slice(row, row + 1)
        assert [words[token] for token in bag.token_ids] == sorted(set(distinct_tokens(review.text)) & set(words))
        assert bag.labels.tolist() == [review.label]
    assert split.train_rows.tolist() == [0, 1, 2]
    assert split.test_rows.tolist() == [3, 4]
    assert split.counts["unknown_words_in_test"] == 1  # "a"
    assert split.groups is not None
    assert [split.groups.names[position] for position in split.groups.of_row] == [film_id(3), film_id(5), film_id(3)]


def test_rare_words_and_late_words_are_left_out_where_the_configuration_says_so() -> None:
    assert split_reviews(PARTS, DataConfig("imdb", min_count=2)).words["vocabulary"] == ["bad", "film", "good"]
    assert split_reviews(PARTS, DataConfig("imdb", max_tokens=1)).words["vocabulary"] == ["bad", "good"]
    with pytest.raises(DataError, match=r"no word is in data\.min_count = 4 of the 3 training reviews"):
        split_reviews(PARTS, DataConfig("imdb", min_count=4))


def test_reviews_without_films_cannot_be_split_by_film() -> None:
    parts = {part: [Review(review.text, review.label) for review in reviews] for part, reviews in PARTS.items()}
    with pytest.raises(DataError, match=r"does not say which film .* put aclImdb_urls\.tar\.gz beside it"):
        split_reviews(parts, CONFIG)
    assert split_reviews(parts, DataConfig("imdb", partition=PartitionConfig("iid", 2))).groups is None


def test_a_split_needs_reviews_to_train_on() -> None:
    with pytest.raises(DataError, match="no film reviews to train on"):
        split_reviews({"train": [], "test": PARTS["test"]}, CONFIG)


def test_a_corpus_is_every_review_in_order_with_all_its_tokens() -> None:
    texts = generate(6_000, 1_200, seed=4)
    train, test = (load_reviews(part, "/nowhere", allow_synthetic=True, seed=4) for part in ("train", "test"))
    words = train.vocabulary.words
    assert words == tuple(sorted({token for review in texts["train"] for token in book_tokens(review.text)}))
    assert words[:3] == ("", "\n", ".")
    assert train.vocabulary.words == test.vocabulary.words
    unknown = 0
    for corpus, part in ((train, "train"), (test, "test")):
        assert len(corpus) == len(texts[part])
        assert corpus.is_synthetic
        assert corpus.films is not None
        for index in range(0, len(corpus), 7):
            review = texts[part][index]
            kept = [token for token in book_tokens(review.text) if token in train.vocabulary]
            assert [words[token] for token in corpus.tokens(index)] == kept
            assert (corpus.labels[index], corpus.films[index]) == (review.label, review.film)
        unknown += corpus.num_unknown
        total = sum(len(book_tokens(review.text)) for review in texts[part])
        assert corpus.num_unknown == total - len(corpus.token_ids)
    assert train.num_unknown == 0 < unknown
    assert train.token_ids.dtype == np.int32
    assert not train.token_ids.flags.writeable


def test_generated_reviews_are_not_taken_unasked() -> None:
    with pytest.raises(DataMissing, match="synthetic-reviews"):
        load_reviews("train", "/nowhere")
    with pytest.raises(DataError, match="the parts train and test, not 'dev'"):
        load_reviews("dev", allow_synthetic=True)  # type: ignore[arg-type]


def test_the_seed_decides_generated_reviews() -> None:
    first, again, other = (load_reviews("test", allow_synthetic=True, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.token_ids, again.token_ids)
    assert not np.array_equal(first.token_ids, other.token_ids)


def test_a_corpus_is_read_again_when_the_list_of_films_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_folder = 6
    monkeypatch.setattr(imdb.read_parts, "__defaults__", (per_folder,))  # a small archive counts as complete
    members = review_members(per_folder)
    urls = {name: data for name, data in members.items() if "urls_" in name}
    root = tmp_path / "data"
    write_archive(root / "imdb" / "aclImdb_v1.tar.gz", {name: members[name] for name in members if name not in urls})
    assert load_reviews("train", str(root)).films is None
    config = DataConfig("imdb", root=str(root))
    with pytest.raises(DataError, match="does not say which film"):
        load_dataset(config, 1)
    write_archive(root / "imdb" / imdb.URLS_ARCHIVE, urls)
    reviews = load_reviews("train", str(root))
    assert reviews.films is not None
    assert not reviews.is_synthetic
    assert reviews.films.tolist()[:2] == [film_number("train", "pos", 0), film_number("train", "neg", 0)]
    data = load_dataset(config, 1)
    assert list(data.client_ids) == [film_id(film) for film in (100, 101, 110, 111)]
    assert {client_id: len(data.client(client_id)) for client_id in data.client_ids} == dict.fromkeys(
        data.client_ids, 3
    )
    assert (len(data.test), data.num_classes) == (2 * per_folder, 2)
    others = {name: data.replace(b"title/tt00001", b"title/tt00003") for name, data in urls.items()}
    write_archive(root / "imdb" / imdb.URLS_ARCHIVE, others)  # prepared data is not taken for that of another list
    assert list(load_dataset(config, 1).client_ids) == [film_id(film) for film in (300, 301, 310, 311)]
