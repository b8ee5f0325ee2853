from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.data.text import Vocabulary, distinct_tokens
from fedgdl.errors import DataError

WORDS = st.text("abcde\xe9", min_size=1, max_size=3)
EXAMPLES = st.lists(st.lists(WORDS, max_size=8), max_size=12)


def test_tokens_are_lower_case_words_and_single_marks_in_order_of_appearance() -> None:
    text = "Re: Don't PAY $5.00 -- pay_now! caf\xe9 Re"
    expected = ["re", ":", "don", "'", "t", "pay", "$", "5", ".", "00", "-", "pay_now", "!", "caf\xe9"]
    assert distinct_tokens(text) == expected


@given(st.text(max_size=60))
def test_tokens_lose_nothing_but_white_space_and_repetition(text: str) -> None:
    tokens = distinct_tokens(text)
    assert len(tokens) == len(set(tokens))
    assert set("".join(tokens)) == {mark for mark in text.lower() if not mark.isspace()}


@given(EXAMPLES, st.integers(1, 4))
def test_a_vocabulary_has_the_words_of_enough_examples_in_code_point_order(
    examples: list[list[str]], min_count: int
) -> None:
    counts = Counter(word for example in examples for word in set(example))
    expected = sorted(word for word, count in counts.items() if count >= min_count)
    vocabulary = Vocabulary.build(examples, min_count=min_count)
    assert list(vocabulary.words) == expected
    assert [vocabulary.id_of(word) for word in expected] == list(range(len(expected)))
    assert vocabulary.words == Vocabulary.build(examples[::-1], min_count=min_count).words


@given(EXAMPLES, st.lists(WORDS, max_size=12))
def test_encoding_gives_sorted_distinct_ids_and_counts_the_unknown(examples: list[list[str]], mail: list[str]) -> None:
    vocabulary = Vocabulary.build(examples)
    ids, num_unknown = vocabulary.encode(mail)
    assert ids.dtype == np.int64
    assert np.all(np.diff(ids) > 0)
    assert {vocabulary.word(index) for index in ids.tolist()} == {word for word in mail if word in vocabulary}
    assert len(ids) + num_unknown == len(set(mail))


def test_reserved_entries_come_first_and_once() -> None:
    vocabulary = Vocabulary.build([["b", "<pad>", "a"]], reserved=("<pad>",))
    assert vocabulary.words == ("<pad>", "a", "b")


def test_what_is_not_there_is_refused_by_name() -> None:
    vocabulary = Vocabulary(["a", "b"])
    with pytest.raises(DataError, match="'c' is not in the vocabulary of 2 words"):
        vocabulary.id_of("c")
    for word_id in (-1, 2):
        with pytest.raises(DataError, match=f"word id {word_id} is not between 0 and 1"):
            vocabulary.word(word_id)
    with pytest.raises(DataError, match="'a' more than once"):
        Vocabulary(["a", "b", "a"])


def test_a_vocabulary_does_not_print_its_words() -> None:
    assert repr(Vocabulary(["private"])) == "Vocabulary(1 words)"
