"""One client's part of a round."""

import dataclasses
import math
import sys

import numpy as np
import pytest
from federation import Bench, LineTask, Points, PointsData, ThinnedLineTask, make_data, make_experiment, make_points

from clients.client import Client, Participation
from clients.faults import Faults
from clients.protection import PlainProtection
from fedgdl.config import FaultsConfig, TrainingConfig
from fedgdl.errors import ClientError
from fedgdl.federated import make_strategy, train_client
from fedgdl.seeding import stream
from fedgdl.wire import PlainUpdate, decode_struct

POINTS = make_points(7, np.random.default_rng(2))


def participation(dtype: str = "float64", training: TrainingConfig | None = None) -> tuple[Bench, Participation]:
    changes = {} if training is None else {"training": training}
    experiment = make_experiment(dtype=dtype, **changes)
    task = LineTask()
    model = task.build_model(task.data, experiment, np.random.default_rng(0))
    common = Participation(
        experiment=experiment,
        task=task,
        model=model,
        parameters=model.flatten(),
        strategy=make_strategy(experiment.strategy),
        protection=PlainProtection(),
        faults=Faults(FaultsConfig()),
    )
    return Bench(experiment, task), common


def test_the_payload_holds_the_terms_of_the_update_and_its_metrics() -> None:
    training = TrainingConfig(learning_rate=0.05, epochs=2, batch_size=3, shuffle=True)
    bench, common = participation(training=training)
    payload = decode_struct(Client("ann", POINTS).take_part(bench.task(["ann"], round_index=4), common), PlainUpdate)

    rng = stream(common.experiment.seed, "shuffle", round_index=4, client_id="ann")
    common.parameters.vector[:] = 0
    update = train_client(common.task, common.model, common.parameters, POINTS, training, rng)
    assert payload.terms["weighted_delta"] == (update.delta * 7).tobytes()
    assert payload.terms["weight"] == np.array([7.0]).tobytes()
    assert (payload.num_examples, payload.train_loss, payload.train_accuracy) == (
        7,
        update.train_loss,
        update.train_accuracy,
    )


@pytest.mark.parametrize(("round_index", "client_id"), [(2, "ann"), (1, "ben")])
def test_the_shuffle_is_one_of_round_and_client(round_index: int, client_id: str) -> None:
    bench, common = participation(training=TrainingConfig(learning_rate=0.05, batch_size=3, shuffle=True))
    here = Client("ann", POINTS).take_part(bench.task(["ann"], round_index=1), common)
    common.parameters.vector[:] = 0
    there = Client(client_id, POINTS).take_part(bench.task([client_id], round_index), common)
    assert here != there
    common.parameters.vector[:] = 0
    assert Client("ann", POINTS).take_part(bench.task(["ann"], round_index=1), common) == here


def test_dropout_is_one_of_round_and_client_and_apart_from_the_shuffle() -> None:
    """Oracle: the same training by hand, with both streams of their names."""
    training = TrainingConfig(learning_rate=0.05, epochs=2, batch_size=3)
    bench, common = participation(training=training)
    task = ThinnedLineTask()
    model = task.build_model(task.data, common.experiment, np.random.default_rng(0))
    common = dataclasses.replace(common, task=task, model=model, parameters=model.flatten())
    here = decode_struct(Client("ann", POINTS).take_part(bench.task(["ann"], round_index=4), common), PlainUpdate)
    common.parameters.vector[:] = 0
    shuffle, dropout = (
        stream(common.experiment.seed, purpose, round_index=4, client_id="ann") for purpose in ("shuffle", "dropout")
    )
    update = train_client(task, model, common.parameters, POINTS, training, shuffle, dropout_rng=dropout)
    assert here.terms["weighted_delta"] == (update.delta * 7).tobytes()
    common.parameters.vector[:] = 0
    there = decode_struct(Client("ann", POINTS).take_part(bench.task(["ann"], round_index=5), common), PlainUpdate)
    assert there.terms["weighted_delta"] != here.terms["weighted_delta"]


def test_a_client_without_examples_says_so() -> None:
    bench, common = participation()
    with pytest.raises(ClientError, match=r"client 'ann': has no examples to train on; check data\.partition"):
        Client("ann", POINTS.slice(0, 0)).take_part(bench.task(["ann"]), common)


def test_an_update_that_is_not_finite_names_the_parameter_and_what_may_help() -> None:
    """Each of 200 epochs multiplies the error by more than 1e5, and float64 ends at 1.8e308."""
    bench, common = participation(training=TrainingConfig(learning_rate=1e6, epochs=200, batch_size=7))
    with pytest.raises(
        ClientError, match=r"its update holds .* in weight; it is left out .*a lower training\.learning_rate"
    ):
        Client("ann", POINTS).take_part(bench.task(["ann"]), common)


def test_the_parameter_named_is_the_one_that_is_not_finite() -> None:
    """With inputs of zero the bias alone moves: each step multiplies its error by 1 - 2 lr, until one overflows."""
    rate = 1e6
    epochs = math.ceil(math.log(sys.float_info.max) / math.log(2 * rate - 1))
    bench, common = participation(training=TrainingConfig(learning_rate=rate, epochs=epochs, batch_size=7))
    points = Points(np.zeros((7, 2)), np.ones(7))
    with pytest.raises(ClientError, match=r"its update holds -?inf in bias; it is left out"):
        Client("ann", points).take_part(bench.task(["ann"]), common)


def test_a_term_that_overflows_is_refused_before_it_is_sent() -> None:
    """The delta, 2 * 0.5 * 1e38, is within float32's 3.4e38; weighted by 1,000 examples it is not."""
    training = TrainingConfig(learning_rate=0.5, batch_size=1_000, loss_reduction="mean", shuffle=False)
    bench, common = participation("float32", training)
    points = Points(np.zeros((1_000, 2)), np.full(1_000, 1e38))
    with pytest.raises(ClientError, match="too large for float32 in weighted_delta; it is left out of this round"):
        Client("ann", points).take_part(bench.task(["ann"]), common)


def test_one_model_serves_all_clients_of_a_worker() -> None:
    data = make_data({"ann": 4, "ben": 6})
    assert isinstance(data, PointsData)
    bench, common = participation()
    for client_id, points in data.shards.items():
        common.parameters.vector[:] = 0
        Client(client_id, points).take_part(bench.task([client_id]), common)
        assert common.parameters.vector.any()
