"""One client's part of a round: its training."""

import math
import sys

import numpy as np
import pytest
from federation import LineTask, Points, PointsData, ThinnedLineTask, make_data, make_experiment, make_points

from clients.client import Client, Workbench
from clients.faults import Faults
from fedgdl.config import FaultConfig, FaultsConfig, TrainingConfig
from fedgdl.errors import ClientError
from fedgdl.federated import ClientUpdate, train_client
from fedgdl.seeding import stream

POINTS = make_points(7, np.random.default_rng(2))
SHUFFLED = TrainingConfig(learning_rate=0.05, batch_size=3, shuffle=True)


def make_bench(training: TrainingConfig = SHUFFLED, task: LineTask | None = None, *faults: FaultConfig) -> Workbench:
    experiment = make_experiment(training=training)
    task = task if task is not None else LineTask()
    model = task.build_model(task.data, experiment, np.random.default_rng(0))
    return Workbench(experiment, task, model, model.flatten(), Faults(FaultsConfig(faults)))


def train(bench: Workbench, client_id: str = "ann", round_index: int = 1, points: Points = POINTS) -> ClientUpdate:
    """Returns a client's update, trained from zeros."""
    bench.parameters.vector[:] = 0
    return Client(client_id, points).train(round_index, bench.experiment.training, bench)


def test_the_update_is_that_of_training_with_the_clients_own_stream() -> None:
    training = TrainingConfig(learning_rate=0.05, epochs=2, batch_size=3, shuffle=True)
    bench = make_bench(training)
    found = train(bench, round_index=4)
    bench.parameters.vector[:] = 0
    rng = stream(bench.experiment.seed, "shuffle", round_index=4, client_id="ann")
    expected = train_client(bench.task, bench.model, bench.parameters, POINTS, training, rng)
    assert found.delta.tobytes() == expected.delta.tobytes()
    assert (found.num_examples, found.train_loss, found.train_accuracy) == (
        7,
        expected.train_loss,
        expected.train_accuracy,
    )


@pytest.mark.parametrize(("round_index", "client_id"), [(2, "ann"), (1, "ben")])
def test_the_shuffle_is_one_of_round_and_client(round_index: int, client_id: str) -> None:
    bench = make_bench()
    here = train(bench).delta.tobytes()
    assert train(bench, client_id, round_index).delta.tobytes() != here
    assert train(bench).delta.tobytes() == here


def test_dropout_is_one_of_round_and_client_and_apart_from_the_shuffle() -> None:
    """Oracle: the same training by hand, with both streams of their names."""
    training = TrainingConfig(learning_rate=0.05, epochs=2, batch_size=3)
    bench = make_bench(training, ThinnedLineTask())
    here = train(bench, round_index=4)
    bench.parameters.vector[:] = 0
    shuffle, dropout = (
        stream(bench.experiment.seed, purpose, round_index=4, client_id="ann") for purpose in ("shuffle", "dropout")
    )
    expected = train_client(bench.task, bench.model, bench.parameters, POINTS, training, shuffle, dropout_rng=dropout)
    assert here.delta.tobytes() == expected.delta.tobytes()
    assert train(bench, round_index=5).delta.tobytes() != here.delta.tobytes()


def test_a_client_without_examples_says_so() -> None:
    with pytest.raises(
        ClientError, match=r"client 'ann': has no examples to train on; check data\.partition"
    ) as caught:
        train(make_bench(), points=POINTS.slice(0, 0))
    assert caught.value.public_reason == "it has no usable examples"


def test_an_update_that_is_not_finite_names_the_parameter_and_what_may_help() -> None:
    """Each of 200 epochs multiplies the error by more than 1e5, and float64 ends at 1.8e308."""
    bench = make_bench(TrainingConfig(learning_rate=1e6, epochs=200, batch_size=7))
    with pytest.raises(
        ClientError, match=r"its update holds .* in weight; it is left out .*a lower training\.learning_rate"
    ) as caught:
        train(bench)
    assert caught.value.public_reason == "its update is not finite"


def test_the_parameter_named_is_the_one_that_is_not_finite() -> None:
    """With inputs of zero the bias alone moves: each step multiplies its error by 1 - 2 lr, until one overflows."""
    rate = 1e6
    epochs = math.ceil(math.log(sys.float_info.max) / math.log(2 * rate - 1))
    bench = make_bench(TrainingConfig(learning_rate=rate, epochs=epochs, batch_size=7))
    with pytest.raises(ClientError, match=r"its update holds -?inf in bias; it is left out"):
        train(bench, points=Points(np.zeros((7, 2)), np.ones(7)))


def test_a_loss_that_is_not_finite_is_refused_even_where_the_update_is() -> None:
    """The gradient 2e200 is finite, its point's squared error, 1e400, is not."""
    bench = make_bench(TrainingConfig(learning_rate=1e-3, batch_size=7))
    points = Points(np.zeros((7, 2)), np.full(7, 1e200))
    with pytest.raises(ClientError, match=r"its training ended with a loss of inf; it is left out") as caught:
        train(bench, points=points)
    assert caught.value.public_reason == "its update is not finite"


@pytest.mark.parametrize("kind", ["nan", "infinity"])
def test_a_spoilt_update_is_not_finite(kind: str) -> None:
    fault = FaultConfig(kind, "ann", round=1)  # type: ignore[arg-type]
    bench = make_bench(SHUFFLED, None, fault)
    with pytest.raises(ClientError, match=f"its update holds {kind[:3]} in weight"):
        train(bench)
    assert train(bench, round_index=2).is_finite


def test_one_model_serves_all_clients_of_a_worker() -> None:
    data = make_data({"ann": 4, "ben": 6})
    assert isinstance(data, PointsData)
    bench = make_bench()
    for client_id, points in data.shards.items():
        alone = train(make_bench(), client_id, points=points)
        assert train(bench, client_id, points=points).delta.tobytes() == alone.delta.tobytes()
