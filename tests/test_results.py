"""The page of measured federations says what the kept results say, and these belong to the shipped experiments."""

import re
from typing import Any

import msgspec
import pytest
from checkout import find_checkout

from experiments import load_config
from experiments.report.summary import RunSummary, markdown, read_result
from fedgdl.config import Experiment

DOCS = find_checkout() / "docs"
PAGE = (DOCS / "federations.md").read_text(encoding="utf-8")
NAMES = sorted(path.stem for path in (DOCS / "results").glob("*.json"))
MCMAHAN = [name for name in NAMES if name.startswith("mcmahan-")]
WITH_BASELINE = ["babi", "imdb", "mnist", "mnist-cnn", "mnist-writers", "shakespeare"]


def kept(name: str) -> dict[str, Any]:
    return read_result(DOCS / "results" / f"{name}.json")


def test_every_federation_of_the_page_has_a_kept_result() -> None:
    assert [name for name in NAMES if name not in MCMAHAN] == WITH_BASELINE
    assert MCMAHAN == ["mcmahan-2nn-iid", "mcmahan-2nn-shards", "mcmahan-cnn-iid", "mcmahan-cnn-shards"]


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_result_is_of_the_shipped_experiment_on_real_data(name: str) -> None:
    """How updates are encoded makes no difference where they are not: it may have been settled later."""
    result = kept(name)
    then, now = msgspec.convert(result["config"], Experiment), load_config(name)
    assert not then.aggregation.is_encoded
    assert not now.aggregation.is_encoded
    assert msgspec.structs.replace(then, aggregation=now.aggregation) == now
    assert not result["data_is_synthetic"]
    assert result["status"] == "done"


def test_the_table_is_that_of_the_kept_results() -> None:
    assert markdown([RunSummary.of(kept(name)) for name in WITH_BASELINE]) in PAGE


@pytest.mark.parametrize("name", ["mnist", "mnist-cnn"])
def test_dealt_out_evenly_federated_is_within_a_point_of_central(name: str) -> None:
    gap = RunSummary.of(kept(name)).central_gap
    assert gap is not None
    assert gap <= 1.0


@pytest.mark.parametrize("name", MCMAHAN)
def test_the_rounds_beside_the_paper_are_those_of_the_kept_results(name: str) -> None:
    row = re.search(rf"^\| `{name}` \|(.*)\|$", PAGE, re.MULTILINE)
    assert row is not None
    target, rounds = (cell.strip() for cell in row[1].split("|")[-3:-1])
    summary = RunSummary.of(kept(name))
    assert summary.target is not None
    assert summary.rounds_to_target is not None
    assert (target, rounds) == (f"{summary.target:.0%}", f"{summary.rounds_to_target:.1f}")
