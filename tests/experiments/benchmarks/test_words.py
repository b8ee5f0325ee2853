import numpy as np

from experiments.benchmarks.words import draw_bags


def test_bags_are_distinct_words_and_common_ones_come_more_often() -> None:
    sizes = [5, 40, 1, 30]
    token_ids, offsets = draw_bags(np.random.default_rng(1), 60, sizes)
    assert token_ids.dtype == offsets.dtype == np.int64
    assert np.diff(offsets).tolist() == sizes
    for bag in np.split(token_ids, offsets[1:-1]):
        assert len(set(bag.tolist())) == len(bag)
    many, _ = draw_bags(np.random.default_rng(2), 1_000, [10] * 500)
    assert 0 <= many.min() <= many.max() < 1_000
    # By Zipf's law the first ten of 1,000 words are 39% of what is drawn; being distinct within a bag takes some away.
    assert 0.2 < np.mean(many < 10) < 0.39
