import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import DataConfig
from fedgdl.data import BagExamples
from fedgdl.data.own.collection import Collection, make_split
from fedgdl.data.text import distinct_tokens

WORDS = st.lists(st.sampled_from(["ash", "elm", "oak", "fir", "yew"]), min_size=1, max_size=6).map(" ".join)


def rows(texts: list[str]) -> Collection:
    return Collection(labels=["tree"] * len(texts), texts=texts, place=lambda row: f"row {row}")


@given(st.lists(WORDS, min_size=2, max_size=12), st.integers(0, 2**63 - 1), st.integers(1, 3))
def test_the_vocabulary_is_that_of_the_training_texts(texts: list[str], seed: int, max_tokens: int) -> None:
    split = make_split(rows(texts), None, DataConfig("own", test_fraction=0.4, max_tokens=max_tokens), seed)
    assert sorted([*split.train_rows.tolist(), *split.test_rows.tolist()]) == list(range(len(texts)))
    kept = [distinct_tokens(text)[:max_tokens] for text in texts]
    vocabulary = sorted({word for row in split.train_rows.tolist() for word in kept[row]})
    assert split.words["vocabulary"] == vocabulary
    assert isinstance(split.examples, BagExamples)
    unknown = 0
    for row, words in enumerate(kept):
        found = split.examples.slice(row, row + 1).token_ids.tolist()
        assert found == sorted(vocabulary.index(word) for word in words if word in vocabulary)
        unknown += len(words) - len(found)
    assert split.counts == {"read": len(texts), "unknown_words_in_test": unknown}


def test_a_single_label_is_warned_of_and_two_are_not(caplog: pytest.LogCaptureFixture) -> None:
    make_split(rows(["ash", "elm"]), rows(["ash"]), DataConfig("own"), seed=1)
    (warning,) = caplog.messages
    assert warning.startswith("all 2 training rows have the label 'tree': there are no classes to tell apart")
    caplog.clear()
    two = Collection(labels=["tree", "bush"], texts=["ash", "yew"], place=lambda row: f"row {row}")
    make_split(two, two, DataConfig("own"), seed=1)
    assert caplog.messages == []


def test_rare_words_are_left_out() -> None:
    texts = ["ash elm", "ash oak", "ash elm oak fir"]
    split = make_split(rows(texts), rows(texts), DataConfig("own", min_count=3), seed=1)
    assert split.words["vocabulary"] == ["ash"]


@given(st.integers(2, 200), st.floats(0.001, 0.999), st.integers(0, 2**63 - 1))
def test_the_test_set_is_a_fraction_but_neither_part_is_empty(num_rows: int, fraction: float, seed: int) -> None:
    collection = Collection(labels=[0] * num_rows, inputs=np.zeros((num_rows, 1)), place=str)
    split = make_split(collection, None, DataConfig("own", test_fraction=fraction), seed)
    assert abs(len(split.test_rows) - num_rows * fraction) <= 1
    assert 1 <= len(split.test_rows) <= num_rows - 1


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        ([10, 9, 1], ["1", "9", "10"]),
        (["10", "9", "one"], ["10", "9", "one"]),
        (["é", "z", "Z"], ["Z", "z", "é"]),
        ([-1, 1, 0], ["-1", "0", "1"]),
    ],
)
def test_classes_are_in_order(labels: list[str] | list[int], classes: list[str]) -> None:
    collection = Collection(labels=labels, inputs=np.zeros((3, 1)), place=str)
    split = make_split(collection, collection, DataConfig("own"), seed=1)
    assert split.words["classes"] == classes
    assert [classes[label] for label in split.examples.labels[:3]] == [str(label) for label in labels]
