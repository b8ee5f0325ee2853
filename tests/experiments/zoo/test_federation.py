"""A recipe that names a configuration: its rounds are measured, with generated data where there are no files."""

from pathlib import Path

import pytest

from experiments.zoo.federation import last_round, run_federation
from experiments.zoo.runs import run_recipe
from fedgdl.errors import ConfigError, DataMissing
from fedgdl.zoo.recipe import Expected, Recipe, Setting, at_least, equal

CONFIG = """
name = "small"
task = "spam"
rounds = 3
seed = 1
[data]
source = "enron"
[data.partition]
kind = "shares"
clients = ["bob", "sue"]
shares = [0.3, 0.7]
[training]
batch_size = 100
learning_rate = 1.0
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return Recipe(
        name="own-small",
        chapter=15,
        section="Let's make it federated",
        summary="two clients",
        model="a weight a word",
        data="enron",
        settings={},
        config=str(path),
        expected=(
            Expected("accuracy after round 1", 0.5, at_least, "goal"),
            Expected("accuracy after round 3", 1.5, equal, "goal", is_quick=False, needs_real_data=True),
        ),
    )


def test_each_round_is_measured_on_generated_data(recipe: Recipe) -> None:
    outcome = run_federation(recipe, Setting())
    assert outcome.is_synthetic
    assert "synthetic" in outcome.data
    rounds = (1, 2, 3)
    assert set(outcome.measured) == {
        *(f"{what} after round {index}" for what in ("accuracy", "loss") for index in rounds),
        *(
            f"{what} of {who}, round {index}"
            for what in ("accuracy", "loss")
            for who in ("bob", "sue")
            for index in rounds
        ),
    }
    assert all(isinstance(value, float) for value in outcome.measured.values())
    assert outcome.parameters is not None


def test_a_quick_run_does_the_rounds_that_quick_rows_need(recipe: Recipe) -> None:
    result, outcome = run_recipe(recipe, Setting(is_quick=True))
    assert outcome is not None
    assert "accuracy after round 1" in outcome.measured
    assert "accuracy after round 2" not in outcome.measured
    assert [row.status for row in result.rows] == ["met", "skipped"]
    whole = run_federation(recipe, Setting())
    assert whole.measured["accuracy after round 1"] == outcome.measured["accuracy after round 1"]


def test_missing_data_is_told_where_nothing_may_stand_in(recipe: Recipe) -> None:
    with pytest.raises(DataMissing, match="fedgdl data fetch enron"):
        run_federation(recipe, Setting(allow_synthetic=False))


def test_data_is_looked_for_in_the_folder_given(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="elsewhere"):
        run_federation(recipe, Setting(allow_synthetic=False, data_root=str(tmp_path / "elsewhere")))


def test_an_unknown_configuration_is_a_failure_in_words() -> None:
    recipe = Recipe(
        name="x", chapter=15, section="", summary="", model="", data="", settings={}, expected=(), config="spam-bok"
    )
    result, _ = run_recipe(recipe, Setting())
    assert result.status == "failed"
    assert "did you mean spam-book?" in result.error


def test_a_recipe_needs_something_to_run() -> None:
    recipe = Recipe(name="x", chapter=15, section="", summary="", model="", data="", settings={}, expected=())
    with pytest.raises(ConfigError, match="no configuration"):
        run_federation(recipe, Setting())
    result, _ = run_recipe(recipe, Setting())
    assert "neither a function to run nor a configuration" in result.error


@pytest.mark.parametrize(
    ("keys", "last"),
    [([], None), (["accuracy"], None), (["accuracy after round 2", "loss of bob, round 12", "surrounded 99"], 12)],
)
def test_the_last_round_named(keys: list[str], last: int | None) -> None:
    assert last_round([Expected(what, 0.0, equal, "goal") for what in keys]) == last
