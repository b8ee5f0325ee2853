import numpy as np
from tiny_task import TINY, parts

from fedgdl.data import BagExamples
from fedgdl.federated import find_task
from fedgdl.federated.tasks.spam import SpamTask


def test_it_is_found_by_its_name() -> None:
    assert type(find_task("spam")) is SpamTask


def test_spam_is_a_weight_for_each_word_learned_from_zero() -> None:
    task, data, model = parts(TINY["spam"])
    vector = model.flatten().vector
    assert vector.shape == (data.num_words,)
    assert not vector.any()
    batch = data.test.slice(0, len(data.test))
    prediction = task.predict(model, batch)
    assert prediction.data.tolist() == [0.5] * len(batch)
    assert float(task.loss(prediction, batch).data) == 0.25 * len(batch)
    ham = int(np.count_nonzero(batch.labels == 0))
    assert 0 < ham < len(batch)
    assert task.count_correct(prediction.data, batch) == ham


def test_the_loss_is_the_sum_of_squares() -> None:
    task, data, model = parts(TINY["spam"])
    model.flatten().vector[:] = np.linspace(-1, 1, data.num_words)
    batch = BagExamples.of([[0, 3], [3]], labels=[1, 0])
    weights = model.flatten().vector.astype("float64")
    probabilities = 1 / (1 + np.exp(-np.array([weights[0] + weights[3], weights[3]])))
    prediction = task.predict(model, batch)
    np.testing.assert_allclose(prediction.data, probabilities, rtol=1e-6)
    np.testing.assert_allclose(task.loss(prediction, batch).data, np.sum((probabilities - [1, 0]) ** 2), rtol=1e-5)


def test_exactly_one_half_counts_as_ham() -> None:
    batch = BagExamples.of([[0]] * 4, labels=[1, 0, 1, 0])
    assert SpamTask().count_correct(np.array([0.5, 0.5, 0.51, 0.51]), batch) == 2
