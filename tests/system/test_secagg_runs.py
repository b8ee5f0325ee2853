"""Whole runs under secure aggregation: the same model as in the clear, whatever goes wrong on the way.

Not here: who sees what of them (`test_secagg_view.py`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from federation import LineTask, make_data, make_experiment
from msgspec.structs import replace
from opened_sums import assert_opened_sums_are_exact
from program import fedgdl, fedgdl_json
from tiny_task import TINY

from experiments import Callback, RunHistory, load_config, simulate
from experiments.simulation import shipped_configs
from fedgdl.config import AggregationConfig, EngineConfig, Experiment, FaultConfig, FaultsConfig
from fedgdl.errors import ConfigError
from server.recorder import Recorder

EXACT = AggregationConfig(exact=True)
SECAGG = AggregationConfig("secagg")
SMALL = ["data.source=synthetic-mail", "data.examples=1000", "rounds=2", "engine.kind=inline"]
FOUR = [*SMALL, "data.partition={kind='iid', clients=4}"]
LEAST = [
    "rounds=1",
    "cohort_size=3",
    "training.epochs=1",
    "data.train_examples=600",
    "data.test_examples=50",
    "data.examples=1000",
]


def losses(history: RunHistory) -> list[float | None]:
    return [record.loss for record in history.rounds]


# The same model


@pytest.mark.parametrize("name", sorted(TINY))
def test_every_task_ends_with_the_bits_of_the_exact_plain_run_in_both_engines(name: str) -> None:
    plain = simulate(replace(TINY[name], aggregation=EXACT))
    masked = simulate(replace(TINY[name], aggregation=SECAGG))
    workers = simulate(replace(TINY[name], aggregation=SECAGG, engine=EngineConfig(workers=2)))
    assert [record.status for record in masked.rounds] == ["done", "done"]
    assert plain.model.sha256() == masked.model.sha256() == workers.model.sha256()
    assert losses(plain) == losses(masked) == losses(workers)


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_every_shipped_experiment_takes_secure_aggregation(name: str) -> None:
    config = load_config(name)
    source = config.data.fallback or "synthetic-mail"
    more = {"digits-cnn": ["model.hidden=[2, 2]"], "characters": ["model.hidden=[8]"]}.get(config.task, [])
    if name == "spam-book":  # whose batches of 500 are whole ones only
        more = ["training.drop_last=false"]
    overrides = [f"data.source={source}", "engine.kind=inline", *LEAST, *more]
    masked, plain = (
        simulate(load_config(name, [*overrides, *way]))
        for way in (["aggregation.kind=secagg"], ["aggregation.kind=plain", "aggregation.exact=true"])
    )
    assert masked.status == "done"
    assert masked.model.sha256() == plain.model.sha256()


@pytest.mark.parametrize(
    "more",
    [
        ["aggregation.rounding=stochastic"],
        ["aggregation.ring_bits=64", "aggregation.bits=24"],
        ["aggregation.consistency=false"],
        ["strategy.weighting=equal"],
        ["aggregation.clip=0.0625", "aggregation.max_weight=50"],
        ["dtype=float64", "cohort_size=3"],
        ["cohort_size=2", "aggregation.min_cohort=2"],
    ],
)
def test_so_does_every_way_to_encode(more: list[str]) -> None:
    masked, plain = (
        simulate(load_config("spam", [*FOUR, *more, way]))
        for way in ("aggregation.kind=secagg", "aggregation.exact=true")
    )
    assert masked.status == "done"
    assert masked.model.sha256() == plain.model.sha256()
    assert [record.cohort for record in masked.rounds] == [record.cohort for record in plain.rounds]


@pytest.mark.slow
@pytest.mark.parametrize("clients", [20, 101, 300])
def test_large_cohorts_too(clients: int) -> None:
    overrides = [*SMALL, "data.examples=4000", f"data.partition={{kind='iid', clients={clients}}}", "rounds=1"]
    masked, plain = (
        simulate(load_config("spam", [*overrides, way]))
        for way in ("aggregation.kind=secagg", "aggregation.exact=true")
    )
    assert masked.status == "done"
    assert masked.model.sha256() == plain.model.sha256()
    assert masked.protection is not None
    assert masked.protection["graph"] == ("complete" if clients <= 100 else "sparse")


def test_the_opened_sum_is_the_sum_of_the_vectors_before_they_were_masked(tmp_path: Path) -> None:
    assert_opened_sums_are_exact([*FOUR, "aggregation.kind=secagg"], "masked input", tmp_path)


# What is refused


@pytest.mark.slow
@pytest.mark.parametrize("more", [["cohort_size=2"], ["data.partition={kind='iid', clients=2}"]])
def test_two_clients_must_be_asked_for(more: Sequence[str], tmp_path: Path) -> None:
    arguments = [item for override in ["aggregation.kind=secagg", *SMALL, *more] for item in ("--set", override)]
    refused = fedgdl("run", "spam", *arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert "a cohort of 2" in refused.stderr
    assert "set aggregation.min_cohort=2 if you mean it: with two clients each learns the other's" in refused.stderr
    assert not (tmp_path / "runs").exists()
    taken = fedgdl_json("run", "spam", *arguments, "--set", "aggregation.min_cohort=2", cwd=tmp_path)
    assert taken["status"] == "done"


def test_a_population_that_only_the_data_tells_is_counted() -> None:
    owners = ["data.source=synthetic-mail", "data.examples=1000", "rounds=1", "aggregation.kind=secagg"]
    with pytest.raises(
        ConfigError, match=r"a cohort of 6 \(of a population of 6\) is too small for aggregation\.min_c"
    ):
        simulate(load_config("spam-owners", [*owners, "aggregation.min_cohort=7"]))


def test_sums_without_room_are_refused_before_anything_is_trained() -> None:
    class Never(Callback):
        def run_started(self, history: RunHistory) -> None:
            pytest.fail("the run has started")

    with pytest.raises(ConfigError, match=r"aggregation\.bits = 31 is too much for 4 clients"):
        simulate(load_config("spam", [*FOUR, "aggregation.kind=secagg", "aggregation.bits=31"]), [Never()])


# What goes wrong


@pytest.mark.parametrize("engine", [EngineConfig("inline"), EngineConfig(workers=2)], ids=["inline", "processes"])
def test_a_spoilt_update_is_named_and_four_clients_go_on_without_it(engine: EngineConfig) -> None:
    nan = 'faults.events=[{kind="nan", client="client-0002", round=1}]'
    config, plain = (
        replace(load_config("spam", [*FOUR, "rounds=1", nan, way]), engine=engine)
        for way in ("aggregation.kind=secagg", "aggregation.exact=true")
    )
    history = simulate(config)
    (record,) = history.rounds
    assert record.status == "done"
    (failed,) = record.failures
    assert failed.client_id == "client-0002"
    assert "nan in words.weight" in failed.reason
    assert history.model.sha256() == simulate(plain).model.sha256()


def test_with_three_clients_a_spoilt_update_ends_the_round_and_the_model_stays() -> None:
    nan = 'faults.events=[{kind="nan", client="bob", round=2}]'
    history = simulate(load_config("spam", [*SMALL, "aggregation.kind=secagg", nan, "rounds=3"]))
    first, second, third = history.rounds
    assert [record.status for record in history.rounds] == ["done", "failed", "done"]
    assert first.loss == second.loss
    assert third.loss is not None
    assert second.loss is not None
    assert third.loss < second.loss
    assert "3 are needed" in second.reason
    assert not second.cohort


def points(num_clients: int, *faults: FaultConfig, **changes: Any) -> Experiment:
    """Returns one round of lines through points in as many workers as clients."""
    return make_experiment(
        rounds=1, faults=FaultsConfig(faults), engine=EngineConfig(workers=num_clients), aggregation=SECAGG, **changes
    )


def crowd(num_clients: int) -> LineTask:
    return LineTask(make_data({f"c{number}": 4 + number for number in range(num_clients)}))


MOMENTS = {
    "advertise": False,
    "share": False,
    "before_training": False,
    "after_training": False,
    "consistency": True,
    "unmask": True,
}
"""When a client's worker is killed -> whether its update is in the sum."""


@pytest.mark.slow
@pytest.mark.parametrize("when", MOMENTS)
def test_a_worker_killed_at_any_stage_leaves_the_exact_sum_of_the_survivors(when: Any) -> None:
    """Five clients, one a worker, of whom 2 * 5 // 3 + 1 = 4 must stay."""
    history = simulate(points(5, FaultConfig("kill", "c2", 1, when)), task=crowd(5))
    (record,) = history.rounds
    if when == "advertise" and record.status == "failed":  # another worker took the client over, and was killed, too
        assert not history.model.vector.any()
        return
    assert record.status == "done"
    statuses = {client.client_id: client.status for client in record.clients}
    assert statuses == dict.fromkeys(("c0", "c1", "c2", "c3", "c4"), "done") | {
        "c2": "done" if MOMENTS[when] else "failed"
    }
    without = () if MOMENTS[when] else (FaultConfig("nan", "c2", 1),)
    inline = replace(points(5, *without), engine=EngineConfig("inline"), aggregation=EXACT)
    assert history.model.sha256() == simulate(inline, task=crowd(5)).model.sha256()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["share", "unmask"])
def test_below_the_threshold_nothing_is_opened_and_the_model_stays(when: Any) -> None:
    recorder = Recorder(keep=True)
    faults = [FaultConfig("kill", client, 1, when) for client in ("c1", "c3")]
    history = simulate(points(5, *faults), task=crowd(5), recorder=recorder)
    (record,) = history.rounds
    assert (record.status, history.status) == ("failed", "failed")
    assert "4 are needed" in record.reason
    assert not recorder.sums
    assert not history.model.vector.any()


# The command line


def test_the_program_says_what_protects_the_run_and_keeps_the_truth_apart(tmp_path: Path) -> None:
    arguments = [item for override in [*FOUR, "aggregation.kind=secagg"] for item in ("--set", override)]
    finished = fedgdl("run", "spam", *arguments, "--set", "aggregation.clip=0.1", "--out", "run", cwd=tmp_path)
    assert finished.returncode == 0
    assert finished.stderr.startswith("secure aggregation: complete graph of 4 clients, threshold 3: up to 1 may drop")
    assert finished.stderr.count("clipped at aggregation.clip = 0.1: raise it or accept the loss") == 1
    assert "the coordinator sees no single client's numbers" in " ".join(finished.stdout.split())
    assert "time by stage: advertise " in finished.stdout
    lines = [line for path in (tmp_path / "run" / "observer").iterdir() for line in path.read_text().splitlines()]
    assert json.loads(lines[0]) == {"observer": "the simulator's truth; the coordinator never sees it"}
    assert len(lines) == 1 + 2 * 4
    again = fedgdl_json("run", "run/config.toml", "--out", "again", cwd=tmp_path)
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    assert again["model_sha256"] == first["model_sha256"]
    assert again["config"] == first["config"]
    assert again["protection"] == first["protection"]
    assert (first["protection"]["threshold"], first["config"]["aggregation"]["max_weight"]) == (3, 256)


def test_a_round_with_too_few_survivors_is_explained(tmp_path: Path) -> None:
    arguments = [item for override in [*SMALL, "aggregation.kind=secagg"] for item in ("--set", override)]
    nan = 'faults.events=[{kind="nan", client="bob", round=1}]'
    finished = fedgdl("run", "spam", *arguments, "--set", nan, cwd=tmp_path)
    assert finished.returncode == 0
    assert "threshold 3: no drop-out is tolerable" in finished.stderr
    assert "round 1 failed: 2 updates came, 3 are needed" in finished.stdout
    assert "round 1: without bob: its update holds nan in words.weight" in finished.stdout
    assert "no update of bob: its update is not finite" in finished.stderr


BOOK = {
    "inline": ["--engine", "inline"],
    "1 worker": ["--workers", "1"],
    "2 workers": ["--workers", "2"],
    "3 workers": ["--workers", "3"],
}


@pytest.mark.slow
def test_the_book_s_numbers_come_out_of_masked_sums_with_the_bits_of_the_exact_plain_run(
    tmp_path: Path, real_data: Path
) -> None:
    models = set()
    for way in ("aggregation.exact=true", "aggregation.kind=secagg"):
        for engine in BOOK.values():
            result = fedgdl_json("run", "spam-book", "--set", way, *engine, cwd=tmp_path, data=real_data)
            assert [record["accuracy"] for record in result["rounds"]] == [0.8405, 0.9225, 0.988]
            assert not any(record["cohort"]["clipped_share"] for record in result["rounds"])
            models.add(result["model_sha256"])
    assert len(models) == 1
