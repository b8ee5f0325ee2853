"""Chapter 13's recurrent layer on stories: as good as counting, on generated and on real ones."""

from pathlib import Path

import numpy as np
import pytest
from zoo_recipes import met, missed, run_recipe

from fedgdl.data.text import Vocabulary
from fedgdl.models import NextWordModel
from fedgdl.zoo import chapter_13_stories
from fedgdl.zoo.chapter_13_stories import RECIPES, share_by_counting, write_story
from fedgdl.zoo.recipe import Recipe

TRAIN = [["mary", "went", "home"], ["mary", "went", "home"], ["mary", "went", "away"], ["john", "slept"]]


def test_counting_guesses_what_followed_most_often() -> None:
    test = [["mary", "went", "home"], ["mary", "went", "away"], ["john", "went"], ["sue", "slept"]]
    # Right: went, home; went; nothing of john's (slept); nothing of sue, who was never seen. Six words in all.
    assert share_by_counting(TRAIN, test) == pytest.approx(3 / 6)


def test_windows_are_read_one_word_behind_and_never_ask_for_padding_or_unknown_words() -> None:
    vocabulary = Vocabulary.build(TRAIN)
    inputs, targets = chapter_13_stories._windows([*TRAIN, ["john", "danced", "home"]], vocabulary)
    assert inputs.shape == targets.shape == (2, 5)
    assert [vocabulary.word(word) for word in inputs[:, 0]] == ["mary", "went"]
    assert [vocabulary.word(word) for word in targets[:, 0]] == ["went", "home"]
    assert targets[:, 3].tolist() == [vocabulary.id_of("slept"), -1]
    assert targets[:, 4].tolist() == [-1, vocabulary.id_of("home")]


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("mary went to the garden . where", "mary went to the garden ."),
        ("where is mary ? garden . is", "where is mary ? garden"),
        ("where is ?", "where is ?"),
        ("mary mary mary", "mary mary mary"),
    ],
)
def test_a_sentence_ends_at_its_full_stop_or_with_its_answer(written: str, sentence: str) -> None:
    assert chapter_13_stories._sentence(written.split()) == sentence.split()


def test_an_untrained_model_writes_no_longer_than_a_training_sentence() -> None:
    train = [["mary", "went", "home", "."], ["where", "is", "mary", "?", "home"]]
    vocabulary = Vocabulary.build(train)
    model = NextWordModel(len(vocabulary), 4, 5, rng=np.random.default_rng(1))
    story, again = (write_story(model, train, vocabulary, np.random.default_rng(2)) for _ in range(2))
    assert story == again
    assert {line.split()[0] for line in story} == {"mary", "where"}
    assert max(len(line.split()) for line in story) <= 5


def test_unknown_words_count_as_wrong() -> None:
    vocabulary = Vocabulary.build(TRAIN)
    model = NextWordModel(len(vocabulary), 4, 4, rng=np.random.default_rng(1))
    model.out.weight.data[...] = 0
    assert model.out.bias is not None
    model.out.bias.data[...] = np.eye(len(vocabulary))[vocabulary.id_of("home")]  # says "home" whatever it reads
    assert chapter_13_stories._share_right(model, [["mary", "danced", "home", "far"]], vocabulary) == pytest.approx(
        1 / 3
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_goals_hold_on_generated_stories(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(recipe)
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_numbers_hold_on_the_real_stories(recipe: Recipe, real_data: Path) -> None:
    rows, outcome = run_recipe(recipe, data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(recipe.expected)
