"""The book's e-mails: their order, and one client's training worked out here in NumPy."""

import numpy as np
import pytest

from fedgdl.config import DataConfig
from fedgdl.data import BagExamples, PreparedDataset, load_dataset
from fedgdl.errors import DataError
from fedgdl.zoo.book_mail import PLAN, LocalTraining, book_clients, in_book_order


@pytest.fixture(scope="module")
def mail() -> PreparedDataset:
    return load_dataset(DataConfig("synthetic-mail", examples=3_000), 1)


def test_the_book_s_order_is_bob_alice_sue() -> None:
    class Shuffled:
        """Three clients' e-mails in the order of their ids: each with their own word."""

        client_ids = ("alice", "bob", "sue")
        all_train = BagExamples.of([[0], [1], [1], [2]], labels=[0, 1, 1, 0])

        def client(self, client_id: str) -> BagExamples:
            start, stop = {"alice": (0, 1), "bob": (1, 3), "sue": (3, 4)}[client_id]
            return self.all_train.slice(start, stop)

    ordered = in_book_order(Shuffled())  # type: ignore[arg-type]
    assert ordered.token_ids.tolist() == [1, 1, 0, 2]
    assert ordered.labels.tolist() == [1, 1, 0, 0]
    assert book_clients(Shuffled()) == ("bob", "alice", "sue")  # type: ignore[arg-type]


def test_generated_mail_keeps_its_order(mail: PreparedDataset) -> None:
    assert isinstance(mail.all_train, BagExamples)
    np.testing.assert_array_equal(in_book_order(mail).labels, mail.all_train.labels)


def test_generated_clients_without_a_whole_batch_take_no_part(mail: PreparedDataset) -> None:
    chosen = book_clients(mail)
    assert chosen
    assert [name for name in mail.client_ids if len(mail.client(name)) >= 500] == list(chosen)


def test_a_client_s_training_against_numpy_alone(mail: PreparedDataset) -> None:
    name = book_clients(mail)[0]
    examples = mail.client(name)
    assert isinstance(examples, BagExamples)
    start = np.random.default_rng(1).normal(size=mail.num_words) / 10
    weights, losses = start.copy(), []
    for first in range(0, len(examples) - PLAN.batch_size + 1, PLAN.batch_size):
        batch = examples.slice(first, first + PLAN.batch_size)
        bags = [batch.token_ids[batch.offsets[row] : batch.offsets[row + 1]] for row in range(len(batch))]
        probabilities = np.array([1 / (1 + np.exp(-weights[bag].sum())) for bag in bags])
        errors = probabilities - batch.labels
        losses.append(float(np.mean(errors**2)))
        for bag, slope in zip(bags, 2 * errors * probabilities * (1 - probabilities), strict=True):
            weights[bag] -= 0.01 * slope  # a word is in a bag once
    update = LocalTraining(mail).train(name, start, round_index=1)
    np.testing.assert_allclose(start + update.delta, weights, rtol=1e-9, atol=1e-12)
    assert update.train_loss == pytest.approx(np.mean(losses), rel=1e-12)


def test_trainings_do_not_touch_one_another(mail: PreparedDataset) -> None:
    local, start = LocalTraining(mail), np.zeros(mail.num_words)
    first = local.train(book_clients(mail)[0], start, round_index=1).delta
    assert local.test(start + 1) == pytest.approx(np.mean(mail.test.labels))  # all spam
    np.testing.assert_array_equal(local.train(book_clients(mail)[0], start, round_index=1).delta, first)
    assert not start.any()


def test_a_client_without_a_whole_batch_is_refused() -> None:
    mail = load_dataset(DataConfig("synthetic-mail", examples=200), 1)
    with pytest.raises(DataError, match="batch"):
        LocalTraining(mail).train(mail.client_ids[0], np.zeros(mail.num_words), round_index=1)
