"""What a run under secure aggregation shows, and to whom: to the coordinator no number of a single client."""

import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from federation import LineTask, make_data, make_experiment
from frames import Frames

from experiments import Callback, RunHistory, load_config, simulate
from fedgdl.config import AggregationConfig, TrainingConfig
from fedgdl.federated import RoundRecord
from server.coordinator import Coordinator

SECAGG = AggregationConfig("secagg")
FOUR = [
    "data.source=synthetic-mail",
    "data.examples=1000",
    "rounds=2",
    "engine.kind=inline",
    "data.partition={kind='iid', clients=4}",
]


def ways_to_write(number: float) -> Iterator[bytes]:
    """Yields a number as msgpack, as fixed-width bytes and as text; each is too long to be met by chance."""
    yield msgspec.msgpack.encode(number)
    yield from (struct.pack(order + "d", number) for order in "<>")
    yield b"\xca" + struct.pack(">f", number)
    if float(number).is_integer():
        yield from (struct.pack(order + "q", int(number)) for order in "<>")
        yield str(int(number)).encode()
    else:
        yield repr(number).encode()[:8]


def test_no_number_of_a_single_client_reaches_the_coordinator_and_in_the_clear_all_do() -> None:
    """More than 2**16 points each, whose losses and accuracies have 17 digits: none is met by accident."""
    sizes = {"ann": 70_001, "ben": 70_843, "cat": 71_503, "dan": 72_019}
    training = TrainingConfig(0.01, batch_size=100_000)
    found = {}
    for aggregation in (AggregationConfig(), SECAGG):
        frames = Frames()
        experiment = make_experiment(rounds=2, training=training, aggregation=aggregation)
        history = simulate(experiment, task=LineTask(make_data(sizes)), recorder=frames)
        assert [record.status for record in history.rounds] == ["done", "done"]
        clients = [client for record in history.rounds for client in record.clients]
        assert {client.client_id: client.num_examples for client in clients} == sizes
        numbers = {
            number
            for client in clients
            for number in (client.num_examples, client.train_loss, client.train_accuracy)
            if number is not None
        }
        assert len(numbers) == 4 + 8 + 8
        received = b"\n".join(frames.frames)
        found[aggregation.kind] = {
            number for number in numbers if any(way in received for way in ways_to_write(number))
        }
    assert len(found["plain"]) == 20
    assert found["secagg"] == set()


def test_why_a_client_failed_is_no_more_on_the_wire_than_that_it_did() -> None:
    """The fault makes one weight NaN; in the clear the coordinator hears which."""
    received = {}
    for way in ("aggregation.kind=plain", "aggregation.kind=secagg"):
        frames = Frames()
        nan = 'faults.events=[{kind="nan", client="client-0002", round=1}]'
        simulate(load_config("spam", [*FOUR, nan, "rounds=1", way]), recorder=frames)
        received[way] = b"\n".join(frames.frames)
    assert b"nan in words.weight" in received["aggregation.kind=plain"]
    assert b"words.weight" not in received["aggregation.kind=secagg"]
    assert b"client-0002" in received["aggregation.kind=secagg"]


def test_the_observer_s_truth_is_in_the_history_and_none_of_it_in_the_coordinator_s_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    coordinators: list[RoundRecord] = []
    run_round = Coordinator.run_round

    def noted(self: Coordinator, round_index: int) -> RoundRecord:
        coordinators.append(run_round(self, round_index))
        return coordinators[-1]

    monkeypatch.setattr(Coordinator, "run_round", noted)
    masked = simulate(load_config("spam", [*FOUR, "aggregation.kind=secagg"]))
    seen = [client for record in coordinators for client in record.clients]
    assert all(client == type(client)(client.client_id, "done") for client in seen)
    plain = simulate(load_config("spam", [*FOUR, "aggregation.exact=true"]))
    assert [record.clients for record in masked.rounds] == [record.clients for record in plain.rounds]
    document = masked.to_dict()
    assert document["clients_are_observed"] is True
    assert "clients_are_observed" not in plain.to_dict()
    json.dumps(document)


def test_the_cohort_s_means_are_those_of_its_clients() -> None:
    history = simulate(load_config("spam", [*FOUR, "aggregation.kind=secagg", "aggregation.clip=0.01"]))
    for record in history.rounds:
        for name in ("train_loss", "train_accuracy"):
            values = [getattr(client, name) for client in record.clients]
            assert record.cohort[name] == pytest.approx(np.mean(values), abs=16 / 2**20)
        assert 0 < record.cohort["clipped_share"] < 1
        names = [stage.name for stage in record.stages]
        assert names == ["advertise", "share", "masked input", "consistency", "unmask"]


def test_a_run_without_a_folder_leaves_nothing_of_the_observer_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Callback):
        def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
            (folder,) = tmp_path.glob("fedgdl-observer-*")
            assert len(list(folder.glob("worker-*.jsonl"))) == 1
            raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    simulate(load_config("spam", [*FOUR, "aggregation.kind=secagg"]))
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        simulate(load_config("spam", [*FOUR, "aggregation.kind=secagg"]), [Broken()])
    assert not list(tmp_path.iterdir())
