"""Chapter 15: the spam filter in one place, and what an update of one e-mail says."""

from pathlib import Path

import numpy as np
import pytest
from recipe_runs import met, missed, run_recipe

from experiments import load_config
from fedgdl.config import DataConfig
from fedgdl.data import BagExamples, load_dataset
from fedgdl.zoo import book_mail
from fedgdl.zoo.chapter_15 import EMAIL, RECIPES
from fedgdl.zoo.recipe import Recipe

BY_NAME = {recipe.name: recipe for recipe in RECIPES}
OWN = [recipe.name for recipe in RECIPES if recipe.run]


@pytest.mark.parametrize("name", OWN)
def test_goals_hold_on_generated_mail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(BY_NAME[name])
    assert outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN)
def test_numbers_hold_on_the_book_s_mail(name: str, real_data: Path) -> None:
    rows, outcome = run_recipe(BY_NAME[name], data=real_data)
    assert not outcome.is_synthetic
    assert missed(rows) == []
    assert met(rows) == len(BY_NAME[name].expected)


def test_an_update_names_bob_s_words_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """From zero weights p = 1/2: a word moves by -0.01 * 2 (p - 0) p (1 - p) = -0.0025, a power of two of 0.01."""
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    _, outcome = run_recipe(BY_NAME["ch15-hacking"])
    assert outcome.measured["words whose weight moved"] == tuple(sorted(EMAIL))
    assert outcome.measured["their changes"] == (-0.01 / 4,) * 5


def test_the_book_s_order_is_bob_alice_sue() -> None:
    class Shuffled:
        """Three clients' e-mails in the order of their ids: each with their own word."""

        client_ids = ("alice", "bob", "sue")
        all_train = BagExamples.of([[0], [1], [1], [2]], labels=[0, 1, 1, 0])

        def client(self, client_id: str) -> BagExamples:
            start, stop = {"alice": (0, 1), "bob": (1, 3), "sue": (3, 4)}[client_id]
            return self.all_train.slice(start, stop)

    ordered = book_mail.in_book_order(Shuffled())  # type: ignore[arg-type]
    assert ordered.token_ids.tolist() == [1, 1, 0, 2]
    assert ordered.labels.tolist() == [1, 1, 0, 0]


def test_generated_mail_keeps_its_order() -> None:
    mail = load_dataset(DataConfig("synthetic-mail", examples=200), 1)
    ordered = book_mail.in_book_order(mail)
    assert isinstance(mail.all_train, BagExamples)
    np.testing.assert_array_equal(ordered.labels, mail.all_train.labels)


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.config], ids=lambda recipe: recipe.name)
def test_federated_recipes_name_shipped_configurations(recipe: Recipe) -> None:
    assert recipe.config is not None
    config = load_config(recipe.config)
    last = max(int(expected.what.split()[-1]) for expected in recipe.expected)
    assert last == config.rounds
    assert any(not expected.needs_real_data for expected in recipe.expected)
