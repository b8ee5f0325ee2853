"""All stories line by line: from the archive, or generated where that is allowed; and the book's sentences."""

from pathlib import Path

import pytest
from story_archives import PATH, write_stories

from fedgdl.data.sources.babi import NAMES
from fedgdl.data.sources.synthetic_stories import tell_tasks
from fedgdl.data.stories import book_sentences, load_stories
from fedgdl.errors import DataCorrupt, DataError, DataMissing


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


def test_the_archives_lines_come_as_they_are(tmp_path: Path) -> None:
    root = write_stories(tmp_path / "data", num_lines=30, seed=4)
    stories = load_stories(str(root))
    assert stories.lines == tell_tasks(30, seed=4)
    assert stories.names == NAMES
    assert not stories.is_synthetic
    assert stories.description == "bAbI tasks 1.1, English: 20 tasks, 600 training and 120 test lines"
    assert load_stories(str(root), allow_synthetic=True, seed=9).fingerprint == stories.fingerprint
    with pytest.raises(DataError, match="the book reads 1000 training lines of task 1, but there are 30"):
        book_sentences(stories)


def test_stories_are_generated_only_where_that_is_allowed() -> None:
    with pytest.raises(DataMissing, match=r"fedgdl data fetch babi.*data\.source=synthetic-stories"):
        load_stories()
    stories = load_stories(allow_synthetic=True)
    assert stories.is_synthetic
    assert "(synthetic): 20 tasks, 24,000 training and 4,800 test lines" in stories.description
    assert load_stories(allow_synthetic=True, seed=1).fingerprint != stories.fingerprint


def test_the_books_sentences_keep_stops_and_answers_glued() -> None:
    stories = load_stories(allow_synthetic=True)
    sentences = book_sentences(stories)
    assert len(sentences) == 1_000
    for line, sentence in zip(stories.lines[1]["train"], sentences, strict=False):
        assert " ".join(sentence) == line.lower().partition(" ")[2]
    questions = [sentence for sentence in sentences if sentence[0] == "where"]
    assert len(questions) == 333  # every third line
    assert all(sentence[2].endswith("?") and sentence[3].count("\t") == 2 for sentence in questions)
    assert all(sentence[-1].endswith(".") for sentence in sentences if sentence[0] != "where")


def test_a_damaged_archive_is_not_replaced_by_generated_stories(tmp_path: Path) -> None:
    root = write_stories(tmp_path / "data")
    path = root / PATH
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataCorrupt, match=r"v1-1\.tar\.gz: it is cut short.*`fedgdl data fetch babi`"):
        load_stories(str(root), allow_synthetic=True)
