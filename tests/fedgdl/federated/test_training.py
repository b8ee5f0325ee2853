import math
import sys
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from federation import POISON, LineTask, Points, RaisingTask, make_experiment, make_points, model_at, trained_by_hand
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.config import Experiment, TrainingConfig
from fedgdl.data import ArrayExamples
from fedgdl.errors import ConfigError, DataError, GraphError
from fedgdl.federated import ClientUpdate, Task, evaluate, num_visits, plan_of_round, train_client
from fedgdl.federated.training import batch_bounds, count_correct, count_targets
from fedgdl.nn import Dropout, Linear, Module, Sequential
from fedgdl.parameters import Parameters

START = np.array([0.5, -0.25, 0.125])
POINTS = make_points(11, np.random.default_rng(3))


def train(
    plan: TrainingConfig, points: Points = POINTS, start: npt.NDArray[np.float64] = START, seed: int = 1
) -> ClientUpdate:
    task = LineTask()
    model, parameters = model_at(task, make_experiment(), start)
    return train_client(task, model, parameters, points, plan, np.random.default_rng(seed))


class Sequences(Task[ArrayExamples]):
    """A task that takes all defaults; its models are made by the tests."""

    def load_data(self, experiment: Experiment) -> Any:
        raise NotImplementedError

    def build_model(self, data: object, experiment: Experiment, rng: np.random.Generator) -> Module:
        raise NotImplementedError


def epochs_in_file_order(plan: TrainingConfig) -> Iterator[npt.NDArray[np.int64]]:
    for _ in range(plan.epochs):
        yield np.arange(len(POINTS))


def test_one_epoch_of_one_whole_batch_is_one_gradient_step() -> None:
    plan = TrainingConfig(learning_rate=0.01, batch_size=len(POINTS), loss_reduction="sum", shuffle=False)
    errors = POINTS.inputs @ START[:2] + START[2] - POINTS.targets
    gradient = 2 * np.append(errors @ POINTS.inputs, errors.sum())
    np.testing.assert_allclose(train(plan).delta, -0.01 * gradient, rtol=1e-12)


@pytest.mark.parametrize("loss_reduction", ["sum", "mean"])
@pytest.mark.parametrize("drop_last", [False, True], ids=["ragged last batch", "last batch dropped"])
@pytest.mark.parametrize(("epochs", "batch_size"), [(1, 4), (3, 4), (2, 1), (5, 11)])
def test_training_is_the_slow_loop(
    epochs: int, batch_size: int, drop_last: bool, loss_reduction: Literal["sum", "mean"]
) -> None:
    plan = TrainingConfig(0.02, epochs, batch_size, loss_reduction, shuffle=False, drop_last=drop_last)
    expected = trained_by_hand(POINTS, START, plan, epochs_in_file_order(plan))
    np.testing.assert_allclose(START + train(plan).delta, expected, rtol=1e-12)


def test_a_shuffle_takes_a_new_order_from_the_stream_in_each_epoch() -> None:
    plan = TrainingConfig(learning_rate=0.02, epochs=3, batch_size=4, shuffle=True)
    rng = np.random.default_rng(5)
    expected = trained_by_hand(POINTS, START, plan, [rng.permutation(len(POINTS)) for _ in range(3)])
    np.testing.assert_allclose(START + train(plan, seed=5).delta, expected, rtol=1e-12)
    assert not np.array_equal(train(plan, seed=5).delta, train(plan, seed=6).delta)


def test_the_stream_is_left_alone_where_nothing_is_shuffled() -> None:
    plan = TrainingConfig(learning_rate=0.02, batch_size=4, shuffle=False)
    assert train(plan, seed=1).delta.tobytes() == train(plan, seed=2).delta.tobytes()


def test_delta_is_new_minus_old_and_the_model_holds_the_new() -> None:
    task, plan = LineTask(), TrainingConfig(learning_rate=0.02, batch_size=4)
    model, parameters = model_at(task, make_experiment(), START)
    update = train_client(task, model, parameters, POINTS, plan, np.random.default_rng(1))
    np.testing.assert_array_equal(update.delta, parameters.vector - START)
    assert np.abs(update.delta).min() > 0
    assert not np.shares_memory(update.delta, parameters.vector)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_delta_has_the_models_dtype(dtype: str) -> None:
    task = LineTask()
    model, parameters = model_at(task, make_experiment(dtype=dtype), START.astype(dtype))
    plan = TrainingConfig(learning_rate=0.02, batch_size=4)
    update = train_client(task, model, parameters, POINTS, plan, np.random.default_rng(1))
    assert update.delta.dtype == dtype
    assert parameters.vector.dtype == dtype


def test_metrics_are_those_of_the_last_epoch_while_the_weights_changed() -> None:
    """Two batches of the second epoch: each is measured before its own step."""
    points = POINTS.slice(0, 8)
    plan = TrainingConfig(learning_rate=0.05, epochs=2, batch_size=4, shuffle=False)
    one_epoch = TrainingConfig(learning_rate=0.05, batch_size=4, shuffle=False)
    halfway = trained_by_hand(points, START, one_epoch, [np.arange(8)])
    after_third_batch = trained_by_hand(points, halfway, one_epoch, [np.arange(4)])
    errors = [
        points.inputs[rows] @ vector[:2] + vector[2] - points.targets[rows]
        for rows, vector in ((slice(0, 4), halfway), (slice(4, 8), after_third_batch))
    ]
    update = train(plan, points)
    assert update.num_examples == 8
    assert update.train_loss == pytest.approx(np.mean(np.square(errors)), rel=1e-12)
    assert update.train_accuracy == np.mean(np.abs(errors) < 0.5)


def test_a_dropped_batch_counts_as_an_example_but_not_in_the_metrics() -> None:
    """Eleven points in batches of four: the last three are not seen; the first eight decide loss and accuracy."""
    plan = TrainingConfig(learning_rate=0.05, batch_size=4, shuffle=False, drop_last=True)
    update, seen = train(plan), train(plan, POINTS.slice(0, 8))
    assert (update.num_examples, seen.num_examples) == (11, 8)
    assert (update.train_loss, update.train_accuracy) == (seen.train_loss, seen.train_accuracy)
    assert update.delta.tobytes() == seen.delta.tobytes()


def test_no_examples_is_a_data_error_that_says_where_to_look() -> None:
    with pytest.raises(DataError, match=r"no examples to train on.*data\.partition"):
        train(TrainingConfig(learning_rate=0.1), POINTS.slice(0, 0))


def test_less_than_a_batch_is_a_data_error_only_where_it_would_be_dropped() -> None:
    few = POINTS.slice(0, 3)
    with pytest.raises(DataError, match=r"has 3 examples, less than one batch of 4.*training\.drop_last=false"):
        train(TrainingConfig(learning_rate=0.1, batch_size=4, drop_last=True), few)
    assert train(TrainingConfig(learning_rate=0.1, batch_size=3, drop_last=True), few).num_examples == 3
    assert train(TrainingConfig(learning_rate=0.1, batch_size=4), few).num_examples == 3


def test_gradients_of_a_client_whose_training_raised_do_not_reach_the_next_one() -> None:
    task, plan = RaisingTask(), TrainingConfig(learning_rate=0.02, batch_size=4)
    model, parameters = model_at(task, make_experiment(), START)
    poisoned = Points(POINTS.inputs, np.full(len(POINTS), POISON))
    with pytest.raises(ArithmeticError):
        train_client(task, model, parameters, poisoned, plan, np.random.default_rng(1))
    parameters.load(START)
    update = train_client(task, model, parameters, POINTS, plan, np.random.default_rng(1))
    assert update.delta.tobytes() == train(plan).delta.tobytes()


def gradient_at(vector: npt.NDArray[np.float64], points: Points) -> npt.NDArray[np.float64]:
    """Returns the gradient of the mean squared error, of two weights and a bias."""
    errors = points.inputs @ vector[:2] + vector[2] - points.targets
    return 2 * np.append(errors @ points.inputs, errors.sum()) / len(points)


@pytest.mark.parametrize(
    ("momentum", "weight_decay", "clip"),
    [(0.9, 0.0, None), (0.0, 0.5, None), (0.5, 0.25, None), (0.0, 0.0, 0.75), (0.9, 0.125, 0.5), (0.0, 0.0, 1e9)],
)
def test_momentum_weight_decay_and_clipping_are_the_slow_loop(
    momentum: float, weight_decay: float, clip: float | None
) -> None:
    """Clipped first, to the norm of the loss's gradient alone; then decay; then velocity, which lasts over epochs."""
    plan = TrainingConfig(0.05, 2, 4, shuffle=False, momentum=momentum, weight_decay=weight_decay, clip_grad_norm=clip)
    vector, velocity = START.copy(), np.zeros(3)
    for start in (0, 4, 8, 0, 4, 8):
        gradient = gradient_at(vector, POINTS.slice(start, min(start + 4, len(POINTS))))
        norm = math.sqrt(float(gradient @ gradient))
        if clip is not None and norm > clip:
            gradient = gradient * (clip / norm)
        velocity = momentum * velocity + gradient + weight_decay * vector
        vector = vector - 0.05 * velocity
    np.testing.assert_allclose(START + train(plan).delta, vector, rtol=1e-12)


def test_velocity_starts_from_zero_in_each_round() -> None:
    plan = TrainingConfig(0.05, batch_size=11, shuffle=False, momentum=0.9)
    without = TrainingConfig(0.05, batch_size=11, shuffle=False)
    task = LineTask()
    model, parameters = model_at(task, make_experiment(), START)
    for _ in range(2):
        parameters.load(START)
        update = train_client(task, model, parameters, POINTS, plan, np.random.default_rng(1))
        np.testing.assert_allclose(update.delta, train(without).delta, rtol=1e-12)


def test_a_gradient_without_a_norm_is_left_to_the_check_of_the_update() -> None:
    points = Points(POINTS.inputs, np.full(len(POINTS), 1e300))
    with np.errstate(over="ignore", invalid="ignore"):
        update = train(TrainingConfig(1e9, epochs=3, batch_size=11, clip_grad_norm=1e9), points, seed=1)
        diverged = train(TrainingConfig(1e9, epochs=3, batch_size=11), points, seed=1)
    assert update.is_finite  # clipped to 1e9
    assert not diverged.is_finite
    infinite = Points(np.full((2, 2), 1e200), np.full(2, 1e300))
    with np.errstate(over="ignore", invalid="ignore"):
        assert not train(TrainingConfig(0.1, batch_size=2, clip_grad_norm=1.0), infinite).is_finite


def test_a_step_s_mean_is_over_targets_and_a_batch_without_any_takes_none() -> None:
    """Two epochs of three batches; the second batch is padding alone, the first has three targets of four."""
    labels = np.array([[0, 1], [2, -1], [-1, -1], [-1, -1], [1, 0]])
    examples = ArrayExamples(np.eye(5, 3, dtype=np.float64)[:, None].repeat(2, 1) + 1.0, labels)
    task = Sequences()
    model = Linear(3, 3, rng=np.random.default_rng(1), dtype="float64")
    parameters = model.flatten()
    begin = parameters.vector.copy()
    plan = TrainingConfig(0.5, epochs=2, batch_size=2, shuffle=False)
    update = train_client(task, model, parameters, examples, plan, np.random.default_rng(1))

    vector, loss, correct = begin.copy(), 0.0, 0
    layout = parameters.layout
    for _ in range(2):
        loss, correct = 0.0, 0
        for rows in ((0, 1), (4,)):
            named = Parameters(layout, vector.copy())
            weight, bias = named["weight"], named["bias"]
            places = [(row, step) for row in rows for step in (0, 1) if labels[row, step] >= 0]
            gradient = Parameters(layout)
            for row, step in places:
                scores = examples.inputs[row, step] @ weight + bias
                slope = np.exp(scores) / np.exp(scores).sum()
                loss -= math.log(slope[labels[row, step]])
                correct += int(scores.argmax()) == labels[row, step]
                slope = slope - np.eye(3)[labels[row, step]]
                gradient["weight"][...] += np.outer(examples.inputs[row, step], slope) / len(places)
                gradient["bias"][...] += slope / len(places)
            vector = vector - 0.5 * gradient.vector
    np.testing.assert_allclose(begin + update.delta, vector, rtol=1e-12)
    assert update.train_loss == pytest.approx(loss / 5, rel=1e-12)
    assert update.train_accuracy == correct / 5
    assert update.num_examples == 5


def test_a_client_whose_labels_are_all_padding_says_so() -> None:
    examples = ArrayExamples(np.zeros((4, 2, 3)), np.full((4, 2), -1))
    model = Linear(3, 3, rng=np.random.default_rng(1), dtype="float64")
    with pytest.raises(DataError, match="has 4 examples without a single target: all their labels are padding"):
        train_client(Sequences(), model, model.flatten(), examples, TrainingConfig(0.1), np.random.default_rng(1))


def test_a_model_that_draws_has_a_stream_of_its_own_and_is_refused_without() -> None:
    examples = ArrayExamples(np.ones((6, 3)), np.arange(6) % 3)
    model = Sequential(Dropout(0.5), Linear(3, 3, rng=np.random.default_rng(1), dtype="float64"))
    parameters = model.flatten()
    start, plan, task = parameters.vector.copy(), TrainingConfig(0.1, batch_size=2), Sequences()

    def delta(shuffle: int, dropout: int | None) -> bytes:
        parameters.load(start)
        rng = None if dropout is None else np.random.default_rng(dropout)
        update = train_client(task, model, parameters, examples, plan, np.random.default_rng(shuffle), dropout_rng=rng)
        return update.delta.tobytes()

    assert delta(1, 1) == delta(1, 1)
    assert len({delta(1, 1), delta(1, 2), delta(2, 1)}) == 3
    with pytest.raises(GraphError, match="no stream to draw from"):
        delta(1, None)


def test_the_learning_rate_decays_from_round_to_round_and_never_to_zero() -> None:
    training = TrainingConfig(0.5, learning_rate_decay=0.5, momentum=0.9)
    for round_index, rate in ((1, 0.5), (2, 0.25), (4, 0.0625)):
        assert plan_of_round(training, round_index) == msgspec.structs.replace(training, learning_rate=rate)
    assert plan_of_round(training, 1_000_000).learning_rate == sys.float_info.min
    constant = TrainingConfig(0.5)
    assert plan_of_round(constant, 7) is constant


@given(st.integers(0, 300), st.integers(1, 60), st.booleans(), st.integers(1, 3))
def test_visits_are_the_examples_of_all_batches(num_examples: int, size: int, drop_last: bool, epochs: int) -> None:
    plan = TrainingConfig(0.1, epochs, size, drop_last=drop_last)
    of_an_epoch = sum(stop - start for start, stop in batch_bounds(num_examples, plan))
    assert num_visits(num_examples, plan) == epochs * of_an_epoch


@given(st.integers(0, 300), st.integers(1, 60), st.booleans())
def test_batches_follow_each_other_and_are_full_but_for_the_last(num_examples: int, size: int, drop_last: bool) -> None:
    bounds = list(batch_bounds(num_examples, TrainingConfig(0.1, batch_size=size, drop_last=drop_last)))
    rows = [row for start, stop in bounds for row in range(start, stop)]
    assert rows == list(range(num_examples - num_examples % size if drop_last else num_examples))
    assert all(stop - start == size for start, stop in bounds[:-1])
    assert all(0 < stop - start <= size for start, stop in bounds[-1:])


class Counting(Sequences):
    """Counts whatever it was told to."""

    def __init__(self, count: Any) -> None:
        self.count = count

    def count_correct(self, prediction: object, batch: ArrayExamples) -> Any:
        return self.count

    def count_targets(self, batch: ArrayExamples) -> Any:
        return self.count


FIVE = ArrayExamples(np.ones((5, 3)), np.zeros(5, np.int64))


@pytest.mark.parametrize("count", [-1, 2.5, math.nan, math.inf, None, "4"])
def test_a_count_that_cannot_be_is_the_task_s_fault(count: object) -> None:
    with pytest.raises(ConfigError, match=rf"count_correct gave {count} for a batch of 5 targets"):
        count_correct(Counting(count), np.zeros((5, 3)), FIVE, 5)
    with pytest.raises(ConfigError, match=rf"count_targets gave {count} for a batch of 5 examples"):
        count_targets(Counting(count), FIVE)


def test_more_correct_predictions_than_targets_cannot_be() -> None:
    with pytest.raises(ConfigError, match="count_correct gave 6 for a batch of 5 targets"):
        count_correct(Counting(6), np.zeros((5, 3)), FIVE, 5)


def test_counts_of_numpy_are_counts_and_what_comes_of_them_are_floats_of_python() -> None:
    """Neither the wire nor JSON takes numbers of NumPy."""
    model = Linear(3, 3, rng=np.random.default_rng(1), dtype="float64")
    task = Counting(np.int64(5))
    update = train_client(task, model, model.flatten(), FIVE, TrainingConfig(0.1), np.random.default_rng(1))
    metrics = evaluate(task, model, FIVE)
    for value in (update.train_loss, update.train_accuracy, metrics.loss, metrics.accuracy):
        assert type(value) is float
    assert count_correct(Counting(np.float64(5)), np.zeros((5, 3)), FIVE, 5) == 5
