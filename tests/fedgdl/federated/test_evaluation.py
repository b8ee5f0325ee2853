import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from federation import LineTask, Points, make_experiment, model_at

from fedgdl.autograd import Tensor
from fedgdl.config import Experiment
from fedgdl.data import ArrayExamples
from fedgdl.errors import ConfigError, DataError
from fedgdl.federated import Metrics, Task, evaluate, is_evaluated
from fedgdl.federated.evaluation import _MAX_ELEMENTS, _MAX_EXAMPLES
from fedgdl.nn import Linear, Module

TASK = LineTask()


def points(num_points: int) -> Points:
    """Returns points whose errors under `model` are multiples of 1/4, so that every sum of squares is exact."""
    rng = np.random.default_rng(num_points)
    inputs = rng.integers(-4, 5, (num_points, 2)).astype("float64")
    return Points(inputs, inputs @ np.array([0.5, 1.0]) - 2 + rng.integers(-8, 9, num_points) / 4)


def evaluate_at(examples: Points, vector: tuple[float, float, float] = (0.5, 1.0, -2.0)) -> Metrics:
    model, _ = model_at(TASK, make_experiment(), np.array(vector))
    return evaluate(TASK, model, examples)


@pytest.mark.parametrize(
    "num_points", [1, 2, _MAX_EXAMPLES - 1, _MAX_EXAMPLES, _MAX_EXAMPLES + 1, 2 * _MAX_EXAMPLES + 7]
)
def test_metrics_do_not_depend_on_where_batches_end(num_points: int) -> None:
    examples = points(num_points)
    errors = examples.inputs @ np.array([0.5, 1.0]) - 2 - examples.targets
    metrics = evaluate_at(examples)
    assert metrics == Metrics(float(np.sum(errors**2)), int(np.sum(np.abs(errors) < 0.5)), num_points)
    assert metrics.loss == metrics.loss_sum / num_points
    assert metrics.accuracy == metrics.num_correct / num_points


def test_metrics_of_parts_add_up_to_those_of_the_whole() -> None:
    examples = points(2 * _MAX_EXAMPLES + 7)
    parts = [evaluate_at(examples.slice(start, start + 100)) for start in range(0, len(examples), 100)]
    whole = evaluate_at(examples)
    assert sum(part.num_correct for part in parts) == whole.num_correct
    assert sum(part.num_targets for part in parts) == whole.num_targets
    assert sum(part.loss_sum for part in parts) == whole.loss_sum


def test_the_model_keeps_its_parameters_and_gets_no_gradients() -> None:
    model, parameters = model_at(TASK, make_experiment(), np.array([1.0, 2.0, 3.0]))
    model.train()
    evaluate(TASK, model, points(5))
    np.testing.assert_array_equal(parameters.vector, [1.0, 2.0, 3.0])
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training


def test_an_empty_test_set_is_a_data_error() -> None:
    with pytest.raises(DataError, match="test set is empty"):
        evaluate_at(points(3).slice(0, 0))


def test_a_model_that_diverged_has_an_infinite_loss_and_no_warning() -> None:
    assert evaluate_at(points(3), (0.0, 1.7e308, 1.7e308)).loss == np.inf


class Sequences(Task[ArrayExamples]):
    """Predicts a bias for each class whatever comes in, and remembers how many examples it saw at once."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def load_data(self, experiment: Experiment) -> Any:
        raise NotImplementedError

    def build_model(self, data: object, experiment: Experiment, rng: np.random.Generator) -> Linear:
        return Linear(1, 3, rng=rng, dtype="float64")

    def predict(self, model: Module, batch: ArrayExamples) -> Tensor:
        self.sizes.append(len(batch))
        return super().predict(model, batch)

    def metrics(self, prediction: npt.NDArray[Any], batch: ArrayExamples) -> dict[str, float]:
        return {"label": float(np.maximum(batch.labels, 0).sum()), "five": 5.0}


def test_everything_is_counted_by_target_and_padding_is_none() -> None:
    task = Sequences()
    labels = np.array([[2, 1, -1], [1, -1, -1], [-1, -1, -1]])
    model = task.build_model(None, make_experiment(), np.random.default_rng(1))
    parameters = model.flatten()
    parameters["weight"][...] = 0
    parameters["bias"][...] = [0.0, 0.0, math.log(2)]  # probabilities of 1/4, 1/4 and 1/2
    metrics = evaluate(task, model, ArrayExamples(np.zeros((3, 3, 1)), labels))
    assert metrics.num_targets == 3
    assert metrics.loss == pytest.approx((math.log(2) + 2 * math.log(4)) / 3, rel=1e-12)
    assert metrics.accuracy == 1 / 3
    assert metrics.means == {"label": 4 / 3, "five": 5 / 3}


@pytest.mark.parametrize("found", [None, 0.5, ["label"], {"label": "many"}, {"label": np.zeros(2)}])
def test_metrics_that_are_no_sums_are_the_task_s_fault(found: Any) -> None:
    class Careless(Sequences):
        def metrics(self, prediction: object, batch: object) -> Any:
            return found

    task = Careless()
    model = task.build_model(None, make_experiment(), np.random.default_rng(1))
    with pytest.raises(ConfigError, match=r"the task's metrics gave .*expected name -> sum"):
        evaluate(task, model, ArrayExamples(np.zeros((2, 3, 1)), np.zeros((2, 3), np.int64)))


def test_metrics_of_numpy_become_floats_of_python() -> None:
    class Plain(Sequences):
        def metrics(self, prediction: object, batch: ArrayExamples) -> Any:
            return {"half": np.float32(len(batch) / 2)}

    task = Plain()
    model = task.build_model(None, make_experiment(), np.random.default_rng(1))
    means = evaluate(task, model, ArrayExamples(np.zeros((2, 1)), np.zeros(2, np.int64))).means
    assert means == {"half": 0.5}
    assert type(means["half"]) is float


def test_a_test_set_without_a_target_is_a_data_error() -> None:
    task = Sequences()
    model = task.build_model(None, make_experiment(), np.random.default_rng(1))
    with pytest.raises(DataError, match="the 2 test examples have not a single target"):
        evaluate(task, model, ArrayExamples(np.zeros((2, 3, 1)), np.full((2, 3), -1)))


@pytest.mark.parametrize("steps", [1, 50, 1_000, 40_000])
def test_large_examples_are_evaluated_few_at_a_time(steps: int) -> None:
    """An example has `steps` inputs and three scores for each of them: four elements a step."""
    task, count = Sequences(), 1_200
    model = task.build_model(None, make_experiment(), np.random.default_rng(1))
    inputs = np.broadcast_to(np.zeros(1), (count, steps, 1))
    labels = np.broadcast_to(np.zeros(1, np.int64), (count, steps))
    few = ArrayExamples(inputs, labels).slice(0, 3 if steps == 40_000 else count)
    assert evaluate(task, model, few).num_targets == len(few) * steps
    probe, *sizes = task.sizes
    assert probe == 1
    assert sum(sizes) == len(few)
    assert max(sizes) == min(len(few), _MAX_EXAMPLES, max(1, _MAX_ELEMENTS // (4 * steps)))


@pytest.mark.parametrize(
    ("every", "rounds", "evaluated"), [(1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (3, 6, [3, 6]), (10, 4, [4])]
)
def test_a_model_is_tested_every_so_many_rounds_and_after_the_last(
    every: int, rounds: int, evaluated: list[int]
) -> None:
    experiment = make_experiment(evaluate_every=every, rounds=rounds)
    assert [index for index in range(1, rounds + 1) if is_evaluated(experiment, index)] == evaluated
