import sys
from pathlib import Path

import numpy as np
import pytest
from federation import LineTask

from fedgdl.config import DataConfig, Experiment, TrainingConfig
from fedgdl.data import BagExamples
from fedgdl.errors import ConfigError
from fedgdl.federated import find_task
from fedgdl.federated.spam_task import SpamTask
from fedgdl.seeding import stream


def test_the_librarys_own_task_is_found_by_its_name() -> None:
    assert type(find_task("spam")) is SpamTask


def test_a_users_task_is_found_by_module_and_class() -> None:
    assert type(find_task("federation:LineTask")) is LineTask


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("spma", r'task = "spma" is not known; did you mean spam\?.*known: spam.*"module:Name"'),
        ("", r"is not known .*known: spam"),
        (":Name", "is not known"),
        ("spam:", "is not known"),
        (".federation:LineTask", "is not known"),
        ("federation:LineTask:more", "is not known"),
        ("no_such_module:Task", r"No module named 'no_such_module'; is the module in the folder where"),
        ("federation.deeper:Task", r"No module named 'federation\.deeper'"),
        ("federation:LineTsak", r"module 'federation' has no attribute 'LineTsak'"),
        ("federation:POISON", "POISON is not a class"),
        ("federation:make_data", "make_data is not a class"),
        ("federation:PointsData", r"cannot be made without arguments: .*'shards'"),
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


SPAM = Experiment(
    name="tiny", task="spam", data=DataConfig("synthetic-mail", examples=200), training=TrainingConfig(0.1)
)


def test_spam_is_a_weight_for_each_word_learned_from_zero() -> None:
    task = SpamTask()
    data = task.load_data(SPAM)
    model = task.build_model(data, SPAM, stream(1, "initialise"))
    vector = model.flatten().vector
    assert vector.shape == (data.num_words,)
    assert vector.dtype == SPAM.dtype
    assert not vector.any()
    batch = data.test.slice(0, len(data.test))
    prediction = task.predict(model, batch)
    assert prediction.data.tolist() == [0.5] * len(batch)
    assert float(task.loss(prediction, batch).data) == 0.25 * len(batch)
    ham = int(np.count_nonzero(batch.labels == 0))
    assert 0 < ham < len(batch)
    assert task.count_correct(prediction.data, batch) == ham


def test_the_loss_of_spam_is_the_sum_of_squares_and_its_gradient_moves_the_right_words() -> None:
    task = SpamTask()
    data = task.load_data(SPAM)
    model = task.build_model(data, SPAM, stream(1, "initialise"))
    model.flatten().vector[:] = np.linspace(-1, 1, data.num_words)
    batch = BagExamples.of([[0, 3], [3]], labels=[1, 0])
    weights = model.flatten().vector.astype("float64")
    probabilities = 1 / (1 + np.exp(-np.array([weights[0] + weights[3], weights[3]])))
    prediction = task.predict(model, batch)
    np.testing.assert_allclose(prediction.data, probabilities, rtol=1e-6)
    loss = task.loss(prediction, batch)
    np.testing.assert_allclose(loss.data, np.sum((probabilities - [1, 0]) ** 2), rtol=1e-5)


def test_exactly_one_half_counts_as_ham() -> None:
    batch = BagExamples.of([[0]] * 4, labels=[1, 0, 1, 0])
    assert SpamTask().count_correct(np.array([0.5, 0.5, 0.51, 0.51]), batch) == 2
