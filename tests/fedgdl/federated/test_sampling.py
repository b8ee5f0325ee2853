import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import TrainingConfig
from fedgdl.errors import DataError, WireError
from fedgdl.federated import sample_cohort
from fedgdl.wire import ClientMessage, Codec, ParametersReference, ToWorker, TrainTask, encode

IDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, unique=True)
SEEDS = st.integers(0, 2**63 - 1)
ROUNDS = st.integers(1, 2**31 - 1)


@given(IDS, st.integers(1, 60), SEEDS, ROUNDS)
def test_a_cohort_is_distinct_members_of_the_population_sorted(
    ids: list[str], size: int, seed: int, round_index: int
) -> None:
    cohort = sample_cohort(ids, size, seed=seed, round_index=round_index)
    assert list(cohort) == sorted(set(cohort))
    assert len(cohort) == min(size, len(ids))
    assert set(cohort) <= set(ids)
    assert cohort == sample_cohort(ids, size, seed=seed, round_index=round_index)


@given(IDS, SEEDS, ROUNDS)
def test_without_a_size_all_take_part(ids: list[str], seed: int, round_index: int) -> None:
    assert sample_cohort(ids, None, seed=seed, round_index=round_index) == tuple(sorted(ids))


def test_seed_and_round_both_matter_and_earlier_rounds_do_not() -> None:
    ids = [f"client-{number:03}" for number in range(200)]
    cohorts = {
        (seed, index): sample_cohort(ids, 20, seed=seed, round_index=index) for seed in (1, 2) for index in (1, 2)
    }
    assert len(set(cohorts.values())) == 4
    assert sample_cohort(ids, 20, seed=1, round_index=2) == cohorts[1, 2]


def test_every_pair_of_six_clients_is_drawn_equally_often() -> None:
    """Chi-squared over the 15 pairs in 3,000 rounds, 14 degrees of freedom, fixed seed.

    By the upper tail bound of Laurent and Massart (2000), lemma 1, chi^2_k exceeds k + 2 sqrt(k x) + 2 x with
    probability under exp(-x); with k = 14 and x = 14 that is 14 + 28 + 28 = 70, with probability under 1 in a million.
    """
    ids = list("abcdef")
    rounds = 3_000
    seen = Counter(sample_cohort(ids, 2, seed=11, round_index=index) for index in range(1, rounds + 1))
    pairs = list(itertools.combinations(ids, 2))
    expected = rounds / len(pairs)
    assert sum((seen[pair] - expected) ** 2 / expected for pair in pairs) < 70


def test_a_population_may_be_a_function_of_its_positions() -> None:
    class Many(Sequence[str]):
        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, position: Any) -> Any:
            return f"client-{position:09}"

    cohort = sample_cohort(Many(), 3, seed=1, round_index=1)
    assert len(set(cohort)) == 3
    assert list(cohort) == sorted(cohort)


def test_nobody_to_train_is_a_data_error() -> None:
    with pytest.raises(DataError, match="no clients"):
        sample_cohort([], None, seed=1, round_index=1)


@pytest.mark.parametrize("size", [None, 3])
def test_two_clients_of_one_name_are_refused(size: int | None) -> None:
    with pytest.raises(DataError, match="same id 'bob'"):
        sample_cohort(["bob", "ann", "bob"], size, seed=1, round_index=1)


@pytest.mark.parametrize("wrong", ["", "x" * 201, "\ud800", 7, None, b"bob", np.str_("bob")], ids=repr)
def test_an_id_that_cannot_be_sent_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(DataError, match="client's id must be a str of 1 to 200 characters") as caught:
        sample_cohort(["ann", wrong], None, seed=1, round_index=1)
    assert type(wrong).__name__ in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.text(min_size=0, max_size=3) | st.integers(190, 210).map(lambda length: "é" * length))
def test_what_is_sampled_can_be_sent_and_what_is_refused_cannot(client_id: str) -> None:
    def travels() -> bool:
        reference = ParametersReference(0, 1, "0" * 64)
        try:
            frame = encode(TrainTask(1, reference, TrainingConfig(0.1), (ClientMessage(client_id),)))
            message = Codec[ToWorker](ToWorker, 10_000).decode(frame)
        except (UnicodeEncodeError, WireError):
            return False
        return isinstance(message, TrainTask) and message.clients == (ClientMessage(client_id),)

    try:
        sample_cohort([client_id], None, seed=1, round_index=1)
    except DataError:
        assert not travels()
    else:
        assert travels()
