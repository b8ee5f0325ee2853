import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from federation import LineTask, make_points

from fedgdl.autograd import Tensor
from fedgdl.config import DataConfig, Experiment, TrainingConfig
from fedgdl.data import ArrayExamples
from fedgdl.errors import ConfigError
from fedgdl.federated import Task, check_task, find_task
from fedgdl.federated.tasks.spam import SpamTask
from fedgdl.nn import Linear


def test_the_librarys_own_task_is_found_by_its_name() -> None:
    assert type(find_task("spam")) is SpamTask


def test_a_users_task_is_found_by_module_and_class() -> None:
    assert type(find_task("federation:LineTask")) is LineTask


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("spma", r'task = "spma" is not known; did you mean spam\?.*known: .*spam.*"module:Name"'),
        ("", r"is not known .*known: .*spam"),
        (":Name", "is not known"),
        ("spam:", "is not known"),
        (".federation:LineTask", "is not known"),
        ("federation:LineTask:more", "is not known"),
        ("no_such_module:Task", r"No module named 'no_such_module'; is the module in the folder where"),
        ("federation.deeper:Task", r"No module named 'federation\.deeper'"),
        ("federation:LineTsak", r"module 'federation' has no attribute 'LineTsak'"),
        ("federation:POISON", "POISON is not a class"),
        ("federation:make_data", "make_data is not a class"),
        ("federation:PointsData", r"PointsData has no load_data"),
        ("federation:NeedyTask", r"cannot be made without arguments: .*'number'"),
    ],
)
def test_what_cannot_be_a_task_is_a_config_error(name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        find_task(name)


def test_a_module_that_cannot_import_what_it_needs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy_task_module.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"needy_task_module:Task.*no_such_package"):
        find_task("needy_task_module:Task")
    assert "needy_task_module" not in sys.modules


class Digits(Task[ArrayExamples]):
    """A task that takes all defaults."""

    def load_data(self, experiment: Experiment) -> Any:
        raise NotImplementedError

    def build_model(self, data: object, experiment: Experiment, rng: np.random.Generator) -> Linear:
        return Linear(2, 3, rng=rng)


class Nothing:
    """No task at all."""


class HalfATask(Task[ArrayExamples]):
    """Has no model."""

    def load_data(self, experiment: Experiment) -> Any:
        raise NotImplementedError


def anything(*_: object) -> None:
    """Takes whatever comes."""


class DuckTask:
    """Has every method and derives from nothing; `dict` does not say what it takes."""

    load_data = dict
    build_model = predict = loss = count_correct = count_targets = metrics = anything


def scores_of(labels: npt.NDArray[np.integer], seed: int = 1) -> Tensor:
    """Returns random scores of three classes for each label."""
    return Tensor(np.random.default_rng(seed).normal(size=(*labels.shape, 3)), requires_grad=True)


def batch_of(labels: npt.NDArray[np.integer]) -> ArrayExamples:
    return ArrayExamples(np.zeros((len(labels), 2)), labels)


LABELS = [
    np.array([0, 2, 1, 1]),
    np.array([0, 2, 1, 1], np.uint8),
    np.array([[0, 1, 2], [2, -1, -1], [-1, -1, -1]], np.int32),
    np.array([[0, 1], [2, 2]]),
]


@pytest.mark.parametrize("labels", LABELS, ids=["plain", "unsigned", "padded", "no padding"])
def test_the_defaults_are_those_of_classification_and_leave_padding_out(labels: npt.NDArray[np.integer]) -> None:
    """Oracle: a loop over single targets, -log of the softmax at the label; and its gradient, softmax - one-hot."""
    scores, batch, task = scores_of(labels), batch_of(labels), Digits()
    loss, num_correct, gradient = 0.0, 0, np.zeros_like(scores.data)
    for place in np.ndindex(labels.shape):
        label, row = int(labels[place]), scores.data[place]
        if label >= 0:
            probabilities = np.exp(row) / np.exp(row).sum()
            loss -= math.log(probabilities[label])
            num_correct += int(row.argmax()) == label
            gradient[place] = probabilities - np.eye(3)[label]
    value = task.loss(scores, batch)
    assert float(value.data) == pytest.approx(loss, rel=1e-12)
    assert task.count_correct(scores.data, batch) == num_correct
    assert task.count_targets(batch) == int(np.count_nonzero(labels.astype(int) >= 0))
    assert task.metrics(scores.data, batch) == {}
    value.backward()
    np.testing.assert_allclose(scores.grad, gradient, rtol=1e-10, atol=1e-14)


def test_the_default_prediction_is_the_model_of_the_inputs() -> None:
    task = Digits()
    model = task.build_model(None, SPAM, np.random.default_rng(1)).eval()
    batch = ArrayExamples(np.ones((4, 2), np.float32), np.zeros(4, np.int64))
    np.testing.assert_array_equal(task.predict(model, batch).data, model(batch.inputs).data)


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("predict", "a batch of Bare has no inputs, which Task.predict reads; define predict in your own task"),
        ("loss", "a batch of Bare has no labels, which Task.loss reads; define loss in your own task"),
        ("count_correct", "a batch of Bare has no labels, which Task.count_correct reads"),
    ],
)
def test_a_batch_that_the_defaults_cannot_read_is_named_with_what_to_do(method: str, what: str) -> None:
    class Bare(list[int]):
        pass

    with pytest.raises(ConfigError, match=what):
        getattr(Digits(), method)(Linear(2, 3, rng=np.random.default_rng(1)), Bare())


@pytest.mark.parametrize("method", ["loss", "count_correct"])
def test_labels_that_are_no_whole_numbers_are_refused_rather_than_cut_off(method: str) -> None:
    batch = ArrayExamples(np.zeros((2, 2)), np.array([0.25, 1.75]))
    with pytest.raises(ConfigError, match=rf"labels that are float64.*define {method} in your own task"):
        getattr(Digits(), method)(scores_of(np.array([0, 1])), batch)
    assert Digits().count_targets(batch) == 2
    with pytest.raises(ConfigError, match="define count_targets"):
        Digits().count_targets(ArrayExamples(np.zeros((2, 2)), np.zeros((2, 3))))  # type: ignore[arg-type]


def test_a_batch_without_labels_has_a_target_for_each_example() -> None:
    assert LineTask().count_targets(make_points(5, np.random.default_rng(1))) == 5


@pytest.mark.parametrize(
    ("name", "missing", "remedy"),
    [
        ("test_task:Nothing", "load_data(self, experiment), build_model(self, data, experiment, rng), predict", "der"),
        ("test_task:HalfATask", "has no build_model(self, data, experiment, rng)", "; define build_model"),
    ],
)
def test_a_class_that_lacks_methods_is_refused_by_their_names(
    name: str, missing: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "test_task", sys.modules[__name__])
    with pytest.raises(ConfigError) as caught:
        find_task(name)
    assert str(caught.value).startswith(f'task = "{name}": the task {name.partition(":")[2]} has no ')
    assert missing in str(caught.value)
    assert remedy in str(caught.value)


def test_an_object_is_a_task_when_it_has_every_method() -> None:
    check_task(DuckTask())
    check_task(Digits())
    with pytest.raises(
        ConfigError, match=r"Old has no count_targets\(self, batch\), metrics\(.*; derive the class from"
    ):
        check_task(type("Old", (DuckTask,), {"count_targets": None, "metrics": None})())
    with pytest.raises(ConfigError, match=r"not the class DuckTask: pass DuckTask\(\)"):
        check_task(DuckTask)
    with pytest.raises(ConfigError, match=r"the task int has no load_data"):
        check_task(3)


class WithoutStream(Digits):
    """Its model takes no random stream."""

    def build_model(self, data: object, experiment: Experiment) -> Linear:  # type: ignore[override]
        return Linear(2, 3, rng=np.random.default_rng(experiment.seed))


class WithMore(Digits):
    """Its loss wants more than it is given."""

    def loss(self, prediction: Tensor, batch: ArrayExamples, weight: float) -> Tensor:  # type: ignore[override]
        return super().loss(prediction, batch) * weight


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (WithoutStream, r"WithoutStream\.build_model .*too many.*; define build_model\(self, data, experiment, rng\)"),
        (WithMore, r"WithMore\.loss .*missing.*'weight'; define loss\(self, prediction, batch\)"),
    ],
)
def test_a_method_that_takes_something_else_is_refused_before_the_run(
    kind: type[Digits], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=what):
        check_task(kind())
    monkeypatch.setitem(sys.modules, "test_task", sys.modules[__name__])
    with pytest.raises(ConfigError, match=rf'task = "test_task:{kind.__name__}": {what}'):
        find_task(f"test_task:{kind.__name__}")


SPAM = Experiment(name="tiny", task="spam", data=DataConfig("synthetic-mail"), training=TrainingConfig(0.1))
