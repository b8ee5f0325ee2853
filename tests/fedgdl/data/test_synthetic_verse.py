from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from fedgdl.config import DataConfig
from fedgdl.data.sources.synthetic_verse import ROLES, SOURCE, generate
from fedgdl.data.verse import speeches


@pytest.fixture(scope="module")
def text() -> str:
    return generate(120_000, 1)


def test_the_seed_decides_the_play(text: str) -> None:
    assert generate(120_000, 1) == text
    other = generate(120_000, 2)
    first, second = ({speech for _, speech in speeches(play)} for play in (text, other))
    assert len(first & second) < 0.02 * len(first)


def test_a_play_is_as_long_as_asked_for_and_ends_with_a_whole_speech(text: str) -> None:
    assert 120_000 <= len(text) < 121_000
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert len(generate(10, 1)) >= 10


def test_all_roles_speak_some_more_than_others_and_nobody_answers_himself(text: str) -> None:
    speakers = [speaker for speaker, _ in speeches(text)]
    assert set(speakers) == set(ROLES)
    assert len(ROLES) >= 20
    counts = Counter(speakers)
    assert counts["KING"] > 3 * counts["CHORUS"]
    assert all(first != second for first, second in pairwise(speakers))


def test_roles_have_words_of_their_own(text: str) -> None:
    said = {role: Counter(" ".join(lines for who, lines in speeches(text) if who == role).split()) for role in ROLES}
    shares = {role: {word: n / sum(counts.values()) for word, n in counts.items()} for role, counts in said.items()}
    for role, other in pairwise(ROLES):
        distance = sum(abs(shares[role].get(w, 0) - shares[other].get(w, 0)) for w in shares[role] | shares[other])
        assert distance / 2 > 0.15  # total variation: 0 for equal ways of speaking, 1 for nothing in common


def test_the_next_character_can_be_guessed_from_the_last_four(text: str) -> None:
    """Perplexity of a table of counts on the last tenth; guessing at random has that of the alphabet, about 50."""
    cut, width = len(text) * 9 // 10, 4
    alphabet = len(set(text))
    counts: dict[str, Counter[str]] = {}
    for position in range(width, cut):
        counts.setdefault(text[position - width : position], Counter())[text[position]] += 1
    losses = []
    for position in range(cut, len(text)):
        seen = counts.get(text[position - width : position], Counter())
        losses.append(-np.log((seen[text[position]] + 0.01) / (seen.total() + 0.01 * alphabet)))
    assert np.exp(np.mean(losses)) < 4
    assert alphabet > 40


def test_a_federation_has_about_as_many_windows_as_asked_for() -> None:
    for examples in (400, 6_000):
        split = SOURCE.split((), DataConfig("synthetic-verse", examples=examples), 1)
        assert len(split.train_rows) + len(split.test_rows) == pytest.approx(examples, rel=0.1)
        assert split.groups is not None
        assert set(split.groups.names) == set(ROLES)
