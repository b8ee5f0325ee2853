"""Rounds of several stages with real worker processes: the same bits, killed workers, and long frames both ways."""

import logging
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
import staged
from federation import LineTask, make_data, make_experiment, make_federation
from staged import SIZES, STAGES, TRAINS, StagedAggregation, StagedScene, StagedSetup, expected_model

from clients.worker_process import WorkerSetup
from fedgdl.config import Experiment, FaultConfig, FaultsConfig, StrategyConfig
from fedgdl.runtime import SharedParameters
from server.coordinator import Coordinator
from server.engines import ProcessEngine
from server.recorder import Recorder

EQUAL = StrategyConfig(weighting="equal")


@contextmanager
def processes(
    num_workers: int,
    experiment: Experiment,
    padding: Mapping[str, int] | None = None,
    sizes: Mapping[str, int] = SIZES,
    recorder: Recorder | None = None,
) -> Iterator[StagedScene]:
    """Yields a scene whose workers are processes; its coordinator has started them."""
    task = LineTask(make_data(sizes))
    scene = StagedScene(1, task, recorder, strategy=EQUAL)
    layout = scene.federation.parameters.layout
    with SharedParameters(layout) as memory:
        setup = WorkerSetup(experiment, cloudpickle.dumps(task), memory.name, logging.CRITICAL)
        engine = ProcessEngine(num_workers, staged.main, StagedSetup(setup, dict(padding or {})))
        federation = make_federation(engine, experiment, task, scene.recorder)
        scene.aggregation = StagedAggregation(padding=dict(padding or {}))
        scene.federation = replace(federation, aggregation=scene.aggregation, slots=memory.slots)
        scene.experiment = experiment
        scene.coordinator = Coordinator(scene.federation)
        try:
            scene.coordinator.start()
            yield scene
        finally:
            engine.close(is_calm=False)


def test_all_engines_give_the_same_bits() -> None:
    inline = StagedScene(1).started()
    for round_index in (1, 2):
        assert inline.coordinator.run_round(round_index).failures == ()
    for num_workers in (1, 3):
        with processes(num_workers, make_experiment(strategy=EQUAL)) as scene:
            for round_index in (1, 2):
                record = scene.coordinator.run_round(round_index)
                assert (record.status, record.failures) == ("done", ())
            vector = scene.federation.parameters.vector
            assert vector.tobytes() == inline.federation.parameters.vector.tobytes()


@pytest.mark.slow
def test_a_worker_killed_at_any_moment_costs_its_clients_and_no_others() -> None:
    """Three workers host ann and ben, cat and dan, eve and fay; each round, that of cat and dan dies over dan.

    Asked to advertise, dan also ends the worker that it goes to next: a new one, which hosts nobody else.
    """
    moments = ["advertise", "share", "before_training", "after_training", "after_sending", "unmask"]
    faults = FaultsConfig(
        tuple(
            FaultConfig("kill", "dan", round=number, when=moment)  # type: ignore[arg-type]
            for number, moment in enumerate(moments, 1)
        )
    )
    gone_by_moment = [{"cat", "dan"}, {"cat", "dan"}, {"dan"}, {"dan"}, set[str](), set[str]()]
    with processes(3, make_experiment(strategy=EQUAL, faults=faults, rounds=7)) as scene:
        for round_index, (moment, gone) in enumerate(zip(moments, gone_by_moment, strict=True), 1):
            before = scene.federation.parameters.vector.copy()
            record = scene.coordinator.run_round(round_index)
            lost = {client.client_id for client in record.failures}
            assert all("SIGKILL" in client.reason for client in record.failures)
            assert (moment, lost, record.status) == (moment, gone, "done")
            after = scene.federation.parameters.vector.copy()
            scene.federation.parameters.load(before)
            expected = expected_model(scene, set(SIZES) - lost, round_index)
            assert after.tobytes() == expected.tobytes(), moment
            scene.federation.parameters.load(after)
            left = {stage.name: stage.num_answers for stage in record.stages}
            if moment == "after_sending":
                assert (left[TRAINS], left["unmask"]) == (6, 4)  # cat and dan are in the sum, and have left
        assert scene.coordinator.run_round(7).status == "done"


class Killer(Recorder):
    """Kills a ready worker when so many frames have come in a round; which one, and when, a seed says."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.scene: StagedScene | None = None
        self.rng = np.random.default_rng(seed)
        self.countdown = -1

    def frame_arrived(self, worker_id: int, frame: bytes) -> None:
        """Counts down."""
        super().frame_arrived(worker_id, frame)
        self.countdown -= 1
        if self.countdown == 0 and self.scene is not None:
            victim = int(self.rng.choice(sorted(self.scene.coordinator._pool.ready)))
            engine = self.scene.federation.engine
            assert isinstance(engine, ProcessEngine)
            os.kill(engine.process_ids[victim], signal.SIGKILL)


@pytest.mark.slow
def test_whenever_a_worker_is_killed_the_model_is_that_of_the_clients_that_are_done() -> None:
    recorder = Killer(seed=5)
    with processes(3, make_experiment(strategy=EQUAL, rounds=10), recorder=recorder) as scene:
        recorder.scene = scene
        statuses = set()
        for round_index in range(1, 11):
            before = scene.federation.parameters.vector.copy()
            recorder.countdown = int(
                recorder.rng.integers(1, 5 * len(SIZES))
            )  # training sends two frames for each client
            record = scene.coordinator.run_round(round_index)
            after = scene.federation.parameters.vector.copy()
            done = {client.client_id for client in record.clients if client.status == "done"}
            scene.federation.parameters.load(before)
            expected = before if record.status == "failed" else expected_model(scene, done, round_index)
            assert after.tobytes() == expected.tobytes()
            scene.federation.parameters.load(after)
            statuses.add(len(done))
        assert len(statuses) > 1  # some kills cost something, some nothing


def test_long_frames_both_ways_at_once_block_nobody() -> None:
    """A task of some 10 MB to each worker, and answers of 0.5 MB from each client, in each stage without training."""
    sizes = {f"client-{number:02}": 2 for number in range(40)}
    padding = dict.fromkeys(set(STAGES) - {TRAINS}, 500_000)
    with processes(2, make_experiment(strategy=EQUAL), padding, sizes) as scene:
        record = scene.coordinator.run_round(1)
        assert (record.status, record.failures) == ("done", ())
        assert record.bytes_up > 3 * 40 * 500_000
        assert scene.recorder.bytes_down > 3 * 40 * 500_000
        np.testing.assert_array_equal(scene.recorder.sums[1].sums["weight"], [40.0])
