"""The library's tasks and the shipped experiments, each as a whole federation."""

import msgspec
import numpy as np
import pytest
from tiny_task import TINY, parts

from experiments import load_config, simulate
from experiments.simulation import shipped_configs
from fedgdl.config import EngineConfig
from fedgdl.data import find_source
from fedgdl.federated.task import TASKS

NAMES = sorted(shipped_configs())
LEAST = [
    "rounds=1",
    "engine.kind=inline",
    "cohort_size=2",
    "training.epochs=1",
    "data.train_examples=600",
    "data.test_examples=50",
    "data.examples=1000",
]
"""Little enough for a second: two clients, few examples."""


@pytest.mark.parametrize("name", sorted(TASKS))
def test_two_workers_give_the_bits_of_one_process(name: str) -> None:
    inline = simulate(TINY[name])
    processes = simulate(msgspec.structs.replace(TINY[name], engine=EngineConfig("processes", workers=2)))
    assert [record.status for record in inline.rounds] == ["done", "done"]
    assert inline.model.sha256() == processes.model.sha256()
    assert [record.loss for record in inline.rounds] == [record.loss for record in processes.rounds]
    assert not np.array_equal(inline.model.vector, parts(TINY[name])[2].flatten().vector)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_experiment_runs_on_generated_data(name: str) -> None:
    config = load_config(name)
    source = config.data.fallback or "synthetic-mail"
    smallest = {"digits-cnn": ["model.hidden=[2, 2]"], "characters": ["model.hidden=[8]"]}.get(config.task, [])
    if name == "spam-book":  # whose batches of 500 are whole ones only
        smallest = ["training.drop_last=false"]
    if config.aggregation.kind == "paillier":
        smallest = ["aggregation.min_cohort=2", "aggregation.insecure_key_bits=256", "aggregation.key_bits=3072"]
    history = simulate(load_config(name, [f"data.source={source}", *LEAST, *smallest]))
    assert history.status == "done"
    assert history.is_synthetic
    (record,) = history.rounds
    assert record.status == "done"
    assert [client.status for client in record.clients] == ["done", "done"]


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_experiment_says_what_it_is_and_runs_offline(name: str) -> None:
    text = shipped_configs()[name]
    first = text.splitlines()[0]
    assert first.startswith("# ")
    assert len(first) < 120
    config = load_config(name)
    assert config.name == name
    assert config.task in TASKS
    if name == "spam-book":  # the book's numbers come from the book's mails alone
        assert config.data.fallback is None
        return
    source = find_source(config.data.source)
    assert config.data.fallback == source.counterpart
    assert find_source(config.data.fallback or "").is_synthetic


@pytest.mark.parametrize(
    ("name", "until", "clients"),
    [
        ("mcmahan-2nn-iid", 0.97, "iid"),
        ("mcmahan-2nn-shards", 0.97, "shards"),
        ("mcmahan-cnn-iid", 0.99, "iid"),
        ("mcmahan-cnn-shards", 0.99, "shards"),
    ],
)
def test_the_papers_settings(name: str, until: float, clients: str) -> None:
    config = load_config(name)
    assert config.until_accuracy == until
    partition = config.data.partition
    assert (partition.kind, partition.clients, partition.shards_per_client) == (clients, 100, 2)
    assert config.cohort_size == 10  # C = 0.1
    assert config.training.batch_size == 10
    assert config.training.epochs == (5 if name == "mcmahan-cnn-iid" else 1)
    size = parts(load_config(name, ["data.source=synthetic-digits"]))[2].flatten().layout.size
    assert size == (1_663_370 if "cnn" in name else 199_210)
