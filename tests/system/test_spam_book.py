"""Chapter 15 on the book's own data: its numbers, digit for digit, and the same bits from every engine."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from program import fedgdl_json

ACCURACIES = [0.8405, 0.9225, 0.988]
"""Test accuracies after rounds 1 to 3: 1,681, 1,845 and 1,976 of 2,000 e-mails."""

LOSSES = {  # of each client's training in rounds 1 to 3, printed by the book's own code on the same data
    "bob": [0.21908166249699718, 0.06625367483630413, 0.030819682914453833],
    "alice": [0.2937106899184867, 0.09595374225556821, 0.03580324891736099],
    "sue": [0.033339966977175894, 0.020290247881140743, 0.015368461608470256],
}

ENGINES = {
    "inline": ["--engine", "inline"],
    "1 worker": ["--workers", "1"],
    "2 workers": ["--workers", "2"],
    "3 workers": ["--workers", "3"],
}


@pytest.fixture(scope="module")
def results(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def run(engine: str) -> dict[str, Any]:
        return fedgdl_json("run", "spam-book", *ENGINES[engine], cwd=tmp_path_factory.mktemp("run"), data=real_data)

    return run


@pytest.mark.parametrize("engine", ENGINES)
def test_accuracies_are_the_book_s_exactly(results: Any, engine: str) -> None:
    assert [record["accuracy"] for record in results(engine)["rounds"]] == ACCURACIES


@pytest.mark.parametrize("engine", ENGINES)
def test_client_losses_are_the_book_s_to_rounding(results: Any, engine: str) -> None:
    for index, record in enumerate(results(engine)["rounds"]):
        losses = {client["client_id"]: client["train_loss"] for client in record["clients"]}
        expected = {client_id: values[index] for client_id, values in LOSSES.items()}
        assert losses == pytest.approx(expected, rel=1e-12, abs=0)


def test_every_engine_ends_with_the_same_bits(results: Any) -> None:
    assert len({results(engine)["model_sha256"] for engine in ENGINES}) == 1


def test_the_first_batch_from_zero_weights_costs_a_quarter(results: Any) -> None:
    """With all weights zero each probability is 1/2, so each squared error is 1/4; Bob has two batches.

    His mean loss lies therefore between 1/8 (a perfect second batch) and 1/4 (a useless one).
    """
    bob = next(client for client in results("inline")["rounds"][0]["clients"] if client["client_id"] == "bob")
    assert 1 / 8 < bob["train_loss"] < 1 / 4


def test_the_population_is_the_book_s(results: Any) -> None:
    sizes = {client["client_id"]: client["num_examples"] for client in results("inline")["rounds"][0]["clients"]}
    assert sizes == {"bob": 1_000, "alice": 1_000, "sue": 39_908}
    assert not results("inline")["data_is_synthetic"]


def test_bytes_are_those_of_three_parameter_vectors_of_float64(results: Any) -> None:
    vectors = 3 * 50_635 * 8
    for engine in ENGINES:
        for record in results(engine)["rounds"]:
            assert vectors < record["bytes_down"] < vectors + 10_000
            assert vectors < record["bytes_up"] < vectors + 10_000
