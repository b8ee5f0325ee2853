import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgdl.config import DataConfig
from fedgdl.data.dataset import BagExamples
from fedgdl.data.mail import Mail, clean_split
from fedgdl.data.split import Split
from fedgdl.errors import DataError

MAILS = st.lists(
    st.builds(
        Mail,
        st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5).map(" ".join),
        st.sampled_from([0, 1]),
        st.sampled_from(["ann", "zoe"]),
    ),
    min_size=1,
    max_size=40,
)


def words_of(split: Split, row: int) -> set[str]:
    assert isinstance(split.examples, BagExamples)
    bag = split.examples.slice(row, row + 1).token_ids
    return {split.words["vocabulary"][word_id] for word_id in bag.tolist()}


@given(MAILS, st.floats(0.05, 0.95), st.integers(0, 100))
@settings(deadline=None)
def test_each_mail_is_in_one_half_once_and_words_come_from_training(
    mails: list[Mail], test_fraction: float, seed: int
) -> None:
    firsts = {frozenset(mail.text.split()): mail for mail in reversed(mails)}  # the first of equals stays
    kept = [mail for mail in mails if firsts[frozenset(mail.text.split())] is mail]
    config = DataConfig("sms", test_fraction=test_fraction)
    if len(kept) < 2:
        with pytest.raises(DataError, match="cannot be split"):
            clean_split(mails, config, seed)
        return
    split = clean_split(mails, config, seed)
    rows = [*split.train_rows.tolist(), *split.test_rows.tolist()]
    assert sorted(rows) == list(range(len(kept)))
    assert split.examples.labels.tolist() == [mail.label for mail in kept]
    training_words = {word for row in split.train_rows for word in kept[row].text.split()}
    assert set(split.words["vocabulary"]) == training_words
    assert split.words["classes"] == ["ham", "spam"]
    for row, mail in enumerate(kept):
        assert words_of(split, row) == set(mail.text.split()) & training_words
    assert split.counts["read"] == len(mails)
    assert split.counts["duplicates"] == len(mails) - len(kept)
    unknown = sum(len(set(kept[row].text.split()) - training_words) for row in split.test_rows)
    assert split.counts["unknown_words_in_test"] == unknown
    assert split.groups is not None
    owners = [split.groups.names[position] for position in split.groups.of_row]
    assert owners == [kept[row].owner for row in split.train_rows]


def many_mails(count: int) -> list[Mail]:
    return [Mail(f"common word{number} {'rare' if number < 3 else ''}", number % 2) for number in range(count)]


def test_the_test_set_has_its_share_and_depends_on_the_seed() -> None:
    mails = many_mails(1_000)
    config = DataConfig("sms", test_fraction=0.3)
    first, again, other = (clean_split(mails, config, seed).test_rows for seed in (1, 1, 2))
    assert len(first) == 300
    assert np.array_equal(first, again)
    # Two random 300 of 1,000 share 90; the standard deviation is 7.9.
    assert abs(len(np.intersect1d(first, other)) - 90) < 5 * 7.9


def test_rare_words_are_left_out_and_long_mails_cut() -> None:
    mails = many_mails(50)
    assert clean_split(mails, DataConfig("sms", min_count=4), 1).words["vocabulary"] == ["common"]
    cut = clean_split(mails, DataConfig("sms", max_tokens=2), 1)
    assert "rare" not in cut.words["vocabulary"]
    assert np.diff(cut.examples.offsets).max() == 2
    only_first = clean_split([*mails, Mail("other x", 1)], DataConfig("sms", max_tokens=1, test_fraction=0.1), 1)
    assert only_first.counts["duplicates"] == 49  # cut to "common", all are the same e-mail


def test_a_mail_without_words_is_an_empty_bag() -> None:
    split = clean_split([*many_mails(9), Mail(" \n", 1), Mail("", 1)], DataConfig("sms"), 1)
    assert split.counts["duplicates"] == 1
    assert np.diff(split.examples.offsets).tolist()[-1] == 0


def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(DataError, match=r"no word is in data\.min_count = 41 of the 40 training e-mails"):
        clean_split(many_mails(50), DataConfig("sms", min_count=41), 1)


def test_mails_without_an_owner_have_no_groups() -> None:
    assert clean_split(many_mails(10), DataConfig("sms"), 1).groups is None


def test_an_owner_whose_mails_are_all_duplicates_or_tests_is_still_named() -> None:
    mails = [*(Mail(mail.text, mail.label, "ann") for mail in many_mails(10)), Mail("just one", 0, "zoe")]
    for seed in range(20):
        groups = clean_split(mails, DataConfig("enron", test_fraction=0.5), seed).groups
        assert groups is not None
        assert groups.names == ("ann", "zoe")
