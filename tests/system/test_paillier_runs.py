"""Whole runs under encrypted aggregation: the same model as in the clear, whoever holds the key.

Keys are so short here that they could be factored; nothing but time depends on that. Not here: what goes wrong on the
way (`test_paillier_faults.py`), and coordinators that lie (`test_paillier_lies.py`).
"""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from opened_sums import assert_opened_sums_are_exact
from program import fedgdl, fedgdl_json
from tiny_task import TINY

from experiments import Callback, RunHistory, load_config, simulate
from experiments.simulation import shipped_configs
from fedgdl.config import AggregationConfig, EngineConfig
from fedgdl.errors import ConfigError
from fedgdl.federated import make_strategy, make_update_encoding
from server.recorder import Recorder

EXACT = AggregationConfig(exact=True)
KEY_BITS = 256
SMALL = ["data.source=synthetic-mail", "data.examples=1000", "rounds=2", "engine.kind=inline"]
FOUR = [*SMALL, "data.partition={kind='iid', clients=4}"]
PAILLIER = ["aggregation.kind=paillier", f"aggregation.insecure_key_bits={KEY_BITS}"]
PLAIN = ["aggregation.kind=plain", "aggregation.exact=true"]
HOLDERS = {
    "process": [],
    "process, trusted": ["aggregation.sum_check=trusted"],
    "clients": ["aggregation.key_holder=clients"],
    "clients, trusted": ["aggregation.key_holder=clients", "aggregation.sum_check=trusted"],
    "threshold": ["aggregation.key_holder=threshold"],
    "threshold, trusted": ["aggregation.key_holder=threshold", "aggregation.sum_check=trusted"],
    "coordinator": ["aggregation.key_holder=coordinator", "aggregation.insecure=true"],
}


def losses(history: RunHistory) -> list[float | None]:
    return [record.loss for record in history.rounds]


def encrypted(**changes: Any) -> AggregationConfig:
    return AggregationConfig("paillier", insecure_key_bits=KEY_BITS, **changes)


# The same model


@pytest.fixture(scope="module")
def plain() -> RunHistory:
    """Returns four clients' run in whole numbers that everybody can read."""
    return simulate(load_config("spam", [*FOUR, *PLAIN]))


@pytest.mark.parametrize("holder", HOLDERS)
def test_whoever_holds_the_key_the_model_has_the_bits_of_the_exact_plain_run(holder: str, plain: RunHistory) -> None:
    history = simulate(load_config("spam", [*FOUR, *PAILLIER, *HOLDERS[holder]]))
    assert [record.status for record in history.rounds] == ["done", "done"]
    assert history.model.sha256() == plain.model.sha256()
    assert losses(history) == losses(plain)
    assert [record.cohort for record in history.rounds] == [
        pytest.approx(record.cohort, abs=1e-4) for record in plain.rounds
    ]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("holder", HOLDERS)
def test_and_so_it_has_in_processes(holder: str, workers: int, plain: RunHistory) -> None:
    config = load_config("spam", [*FOUR, *PAILLIER, *HOLDERS[holder]])
    history = simulate(replace(config, engine=EngineConfig(workers=workers)))
    assert [record.status for record in history.rounds] == ["done", "done"]
    assert history.model.sha256() == plain.model.sha256()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TINY))
def test_every_task_ends_with_the_bits_of_the_exact_plain_run_in_both_engines(name: str) -> None:
    plain = simulate(replace(TINY[name], aggregation=EXACT))
    inline = simulate(replace(TINY[name], aggregation=encrypted(key_holder="clients")))
    workers = simulate(replace(TINY[name], aggregation=encrypted(), engine=EngineConfig(workers=2)))
    assert [record.status for record in inline.rounds] == ["done", "done"]
    assert plain.model.sha256() == inline.model.sha256() == workers.model.sha256()
    assert losses(plain) == losses(inline) == losses(workers)


@pytest.mark.parametrize(
    "more",
    [
        ["aggregation.rounding=stochastic"],
        ["aggregation.ring_bits=64", "aggregation.bits=24"],
        ["strategy.weighting=equal", "aggregation.bits=8"],
        ["aggregation.clip=0.0625", "aggregation.max_weight=50"],
        ["dtype=float64", "cohort_size=3"],
        ["cohort_size=2", "aggregation.min_cohort=2"],
        ["aggregation.obfuscator_pool=background"],
        ["aggregation.obfuscator_pool=beforehand"],
    ],
)
def test_so_does_every_way_to_encode_and_to_get_ahead(more: list[str]) -> None:
    history, plain = (simulate(load_config("spam", [*FOUR, *way, *more, "rounds=1"])) for way in (PAILLIER, PLAIN))
    assert history.status == "done"
    assert history.model.sha256() == plain.model.sha256()


@pytest.mark.slow
@pytest.mark.parametrize("holder", ["process", "clients", "threshold"])
@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_every_shipped_experiment_takes_encrypted_aggregation(name: str, holder: str) -> None:
    config = load_config(name)
    source = config.data.fallback or "synthetic-mail"
    more = {"digits-cnn": ["model.hidden=[2, 2]"], "characters": ["model.hidden=[8]"]}.get(config.task, [])
    if name == "spam-book":  # whose batches of 500 are whole ones only
        more = ["training.drop_last=false"]
    if name == "imdb":  # too many clients to deal a key out to
        more = ["data.partition={kind='iid', clients=20}"]
    least = ["rounds=1", "cohort_size=3", "training.epochs=1", "data.train_examples=600", "data.test_examples=50"]
    overrides = [f"data.source={source}", "data.examples=1000", "engine.kind=inline", *least, *more]
    key = ["aggregation.kind=paillier", "aggregation.key_bits=3072", "aggregation.insecure_key_bits=512"]
    history = simulate(load_config(name, [*overrides, *key, f"aggregation.key_holder={holder}"]))
    plain = simulate(load_config(name, [*overrides, *PLAIN]))
    assert history.status == "done"
    assert history.model.sha256() == plain.model.sha256()


def test_the_opened_sum_is_the_sum_of_the_vectors_before_they_were_encrypted(tmp_path: Path) -> None:
    assert_opened_sums_are_exact([*FOUR, *PAILLIER], "encrypted input", tmp_path)


# What is known of a run


def test_the_history_says_what_protects_the_run_with_what_key_and_at_what_cost() -> None:
    recorder = Recorder()
    history = simulate(load_config("spam", [*FOUR, *PAILLIER]), recorder=recorder)
    found = json.loads(json.dumps(history.to_dict()))["protection"]
    assert (found["kind"], found["key_bits"], found["scheme"]) == ("paillier", KEY_BITS, "djn")
    assert (found["key_holder"], found["sum_check"], found["min_clients"]) == ("process", "signed", 3)
    assert not found["is_key_secure"]
    assert len(found["key_id"]) == 16
    encoding = make_update_encoding(
        history.experiment, make_strategy(history.experiment.strategy), history.model.layout
    )
    assert found["slot_bits"] == encoding.sum_bits + 1
    assert found["slots_per_ciphertext"] == (KEY_BITS - 1) // found["slot_bits"]
    assert found["ciphertexts_per_update"] == -(-encoding.size // found["slots_per_ciphertext"])
    ciphertext_bytes = found["ciphertexts_per_update"] * 2 * KEY_BITS // 8
    assert found["bytes_per_weight"] == ciphertext_bytes / encoding.size
    assert ciphertext_bytes <= found["estimate"]["bytes_up_per_client"]
    sent = sum(record.bytes_up for record in history.rounds)
    assert 2 * 4 * ciphertext_bytes < sent < found["estimate"]["bytes_up"] * 1.1
    assert 0 < found["estimate"]["seconds"] < 60


@pytest.mark.parametrize(
    ("holder", "tolerance"), [("clients", 1.1), ("threshold", 1.1), ("threshold, trusted", 1.1), ("coordinator", 1.1)]
)
def test_bytes_are_estimated_as_they_are_sent(holder: str, tolerance: float) -> None:
    """A frame holds no more than a few hundred bytes besides ciphertexts; updates here have many thousands."""
    overrides = [*FOUR, *PAILLIER, *HOLDERS[holder], "aggregation.insecure_key_bits=512", "data.min_count=1"]
    history = simulate(load_config("spam", overrides))
    assert history.protection is not None
    sent = sum(record.bytes_up for record in history.rounds)
    assert history.protection["estimate"]["bytes_up"] / tolerance < sent < history.protection["estimate"]["bytes_up"]


def test_a_key_file_is_used_and_its_size_settled(tmp_path: Path, plain: RunHistory) -> None:
    path = tmp_path / "key.json"
    made = fedgdl("keys", "new", "--insecure-bits", "512", str(path), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    with_file = ["aggregation.kind=paillier", f"aggregation.key_file={path}"]
    with pytest.raises(ConfigError, match=r"has 512 bits, so few .* set aggregation\.insecure_key_bits=512"):
        simulate(load_config("spam", [*FOUR, *with_file]))
    with pytest.raises(ConfigError, match=r"has 512 bits"):
        simulate(load_config("spam", [*FOUR, *with_file, "aggregation.insecure_key_bits=1024"]))
    ids = set()
    for holder in ("process", "clients", "coordinator"):
        overrides = [*FOUR, *with_file, "aggregation.insecure_key_bits=512", *HOLDERS[holder]]
        history = simulate(load_config("spam", overrides))
        assert history.model.sha256() == plain.model.sha256()
        assert history.protection is not None
        ids.add(history.protection["key_id"])
    assert len(ids) == 1
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod"):
        simulate(load_config("spam", [*FOUR, *with_file, "aggregation.insecure_key_bits=512"]))


def test_no_two_runs_have_the_same_key() -> None:
    ids = {simulate(load_config("spam", [*FOUR, *PAILLIER, "rounds=1"])).protection["key_id"] for _ in range(2)}  # type: ignore[index]
    assert len(ids) == 2


# What is refused


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["data.partition={kind='iid', clients=201}", "cohort_size=3", *HOLDERS["threshold"]], "201 clients"),
        ([*HOLDERS["threshold"], "aggregation.threshold=5"], "threshold = 5"),
        (["aggregation.min_cohort=5"], "a cohort of 4"),
        (["aggregation.bits=31"], "aggregation.bits = 31 is too much for 4 clients"),
        (["aggregation.key_file=missing.json"], "missing.json"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(more: list[str], words: str) -> None:
    class Never(Callback):
        def run_started(self, history: RunHistory) -> None:
            pytest.fail("the run has started")

    with pytest.raises(ConfigError) as caught:
        simulate(load_config("spam", [*FOUR, *PAILLIER, *more]), [Never()])
    assert words in str(caught.value)


# The command line


def arguments(*overrides: str) -> list[str]:
    return [item for override in overrides for item in ("--set", override)]


def test_the_program_says_what_protects_the_run_and_what_it_costs_before_it_starts(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam", *arguments(*FOUR, *PAILLIER), "--out", "run", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stderr.splitlines()
    assert lines[0].startswith(
        'encrypted aggregation: a key holder in the coordinator\'s process (engine.kind = "inline") holds the key; it '
        "opens one sum a round over 3 or more of 4 clients and forms it itself of signed updates; key of 256 bits ("
    )
    assert lines[1] == "encrypted aggregation: a key of 256 bits can be factored: for teaching only"
    assert lines[2].startswith("estimate: encryption takes ")
    assert "encrypting" in lines[2]
    assert "up a client and round" in lines[3]
    assert lines[4].startswith("encoding: 16 bits within")
    again = fedgdl_json("run", "run/config.toml", "--out", "again", cwd=tmp_path)
    first = json.loads((tmp_path / "run" / "result.json").read_text())
    assert again["model_sha256"] == first["model_sha256"]
    assert again["config"] == first["config"]
    assert again["protection"]["key_id"] != first["protection"]["key_id"]


def test_what_takes_more_than_ten_minutes_has_to_be_asked_for(tmp_path: Path) -> None:
    """A hundred thousand rounds: a few milliseconds each at least."""
    forever = [*FOUR, *PAILLIER, "rounds=10000000"]
    refused = fedgdl("run", "spam", *arguments(*forever), "--out", "run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "estimate: encryption takes" in refused.stderr
    assert "more than 10 minutes need --yes" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    quick = ["until_accuracy=0.01", "evaluate_every=1"]
    taken = fedgdl("run", "spam", *arguments(*forever, *quick), "--yes", "--out", "run", cwd=tmp_path)
    assert taken.returncode == 0, taken.stderr
    assert (tmp_path / "run" / "result.json").is_file()


def test_a_library_call_is_not_asked_twice() -> None:
    history = simulate(load_config("spam", [*FOUR, *PAILLIER, "rounds=10000000", "until_accuracy=0.01"]))
    assert history.status == "done"
    assert history.protection is not None
    assert history.protection["estimate"]["seconds"] > 600


BOOK = {
    "inline": ["--engine", "inline"],
    "1 worker": ["--workers", "1"],
    "2 workers": ["--workers", "2"],
    "3 workers": ["--workers", "3"],
}


@pytest.fixture(scope="module")
def book_sha256(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns the hash of the book's model out of whole numbers that everybody can read."""
    overrides = ["--set", "aggregation.exact=true", "--engine", "inline"]
    result = fedgdl_json("run", "spam-book", *overrides, cwd=tmp_path_factory.mktemp("plain"), data=real_data)
    assert result["model_sha256"].startswith("1efe75ca")
    return str(result["model_sha256"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOOK)
@pytest.mark.parametrize("holder", HOLDERS)
def test_the_book_s_numbers_come_out_of_encrypted_sums_with_the_bits_of_the_exact_plain_run(
    holder: str, engine: str, tmp_path: Path, real_data: Path, book_sha256: str
) -> None:
    overrides = arguments(*PAILLIER, *HOLDERS[holder])
    result = fedgdl_json("run", "spam-book", *overrides, *BOOK[engine], cwd=tmp_path, data=real_data)
    assert [record["accuracy"] for record in result["rounds"]] == [0.8405, 0.9225, 0.988]
    assert result["config"]["dtype"] == "float64"
    assert result["model_sha256"] == book_sha256
