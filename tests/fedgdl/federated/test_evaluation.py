import numpy as np
import pytest
from federation import LineTask, Points, make_experiment, model_at

from fedgdl.errors import DataError
from fedgdl.federated import Metrics, evaluate
from fedgdl.federated.evaluation import _BATCH_SIZE

TASK = LineTask()


def points(num_points: int) -> Points:
    """Returns points whose errors under `model` are multiples of 1/4, so that every sum of squares is exact."""
    rng = np.random.default_rng(num_points)
    inputs = rng.integers(-4, 5, (num_points, 2)).astype("float64")
    return Points(inputs, inputs @ np.array([0.5, 1.0]) - 2 + rng.integers(-8, 9, num_points) / 4)


def evaluate_at(examples: Points, vector: tuple[float, float, float] = (0.5, 1.0, -2.0)) -> Metrics:
    model, _ = model_at(TASK, make_experiment(), np.array(vector))
    return evaluate(TASK, model, examples)


@pytest.mark.parametrize("num_points", [1, 2, _BATCH_SIZE - 1, _BATCH_SIZE, _BATCH_SIZE + 1, 2 * _BATCH_SIZE + 7])
def test_metrics_do_not_depend_on_where_batches_end(num_points: int) -> None:
    examples = points(num_points)
    errors = examples.inputs @ np.array([0.5, 1.0]) - 2 - examples.targets
    metrics = evaluate_at(examples)
    assert metrics == Metrics(float(np.sum(errors**2)), int(np.sum(np.abs(errors) < 0.5)), num_points)
    assert metrics.loss == metrics.loss_sum / num_points
    assert metrics.accuracy == metrics.num_correct / num_points


def test_metrics_of_parts_add_up_to_those_of_the_whole() -> None:
    examples = points(2 * _BATCH_SIZE + 7)
    parts = [evaluate_at(examples.slice(start, start + 100)) for start in range(0, len(examples), 100)]
    whole = evaluate_at(examples)
    assert sum(part.num_correct for part in parts) == whole.num_correct
    assert sum(part.num_examples for part in parts) == whole.num_examples
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
