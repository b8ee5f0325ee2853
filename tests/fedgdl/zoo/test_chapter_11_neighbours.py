"""Chapter 11, neighbours: distances, the plane they are drawn on, and shares of polarity."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zoo_recipes import met, missed, run_recipe

from fedgdl.zoo.chapter_11_bags import ReviewBags
from fedgdl.zoo.chapter_11_neighbours import RECIPES, most_polar, nearest, plane


@given(seed=st.integers(0, 1000), count=st.integers(0, 12), word=st.integers(0, 8))
def test_nearest_words_are_those_of_the_smallest_distances(seed: int, count: int, word: int) -> None:
    rng = np.random.default_rng(seed)
    table, candidates = rng.normal(size=(9, 3)), np.array([0, 2, 3, 5, 6, 8])
    found = nearest(table, word, candidates, count)
    distances = {int(other): float(np.linalg.norm(table[other] - table[word])) for other in candidates if other != word}
    assert len(found) == min(count, len(distances))
    assert [other for other, _ in found] == sorted(distances, key=distances.__getitem__)[: len(found)]
    assert [score for _, score in found] == pytest.approx([-distances[other] for other, _ in found])


def test_the_plane_keeps_all_distances_of_points_on_a_plane() -> None:
    rng = np.random.default_rng(1)
    flat = rng.normal(size=(7, 2)) * [5, 1]
    axes = np.linalg.qr(rng.normal(size=(6, 2)))[0]
    points = plane(flat @ axes.T + rng.normal(size=6))
    before = np.linalg.norm(flat[:, None] - flat, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points[:, None] - points, axis=-1), before, atol=1e-12)
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-12)
    assert points[:, 0].var() > points[:, 1].var()


def test_the_plane_does_not_depend_on_the_sign_of_the_vectors_axes() -> None:
    vectors = np.random.default_rng(1).normal(size=(7, 4))
    np.testing.assert_allclose(plane(vectors), plane(vectors * [1, -1, 1, -1]), atol=1e-12)


def test_a_word_of_many_reviews_is_more_surely_polar_than_one_of_few() -> None:
    # Word 0: in 3 of 4 positive reviews and 1 of 4 negative ones, forty times over; word 1: in one positive review.
    bags = [[0, 1]] + [[0]] * 119 + [[]] * 40 + [[0, 2]] * 40 + [[2]] * 120
    labels = [1.0] * 160 + [0.0] * 160
    data = ReviewBags(
        [np.array(bag, np.int64) for bag in bags], np.array(labels), ["a", "b", "c", "d"], "", is_synthetic=True
    )
    assert most_polar(data, len(bags), 1).tolist() == [0, 2]


def test_goals_hold_on_generated_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(RECIPES[0])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1
    picture = outcome.pictures["neighbourhoods"]
    assert picture.points.shape == (len(picture.names), 2)
    assert len(picture.values) == len(picture.names) > 24


@pytest.mark.slow
@pytest.mark.timeout(900)  # whoever comes first prepares IMDB
@pytest.mark.parametrize("is_quick", [True, False])
def test_goals_hold_on_imdb(real_data: Path, *, is_quick: bool) -> None:
    rows, _ = run_recipe(RECIPES[0], data=real_data, is_quick=is_quick)
    assert missed(rows) == []
    assert met(rows) == sum(expected.is_quick or not is_quick for expected in RECIPES[0].expected)
