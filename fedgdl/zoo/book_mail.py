"""The e-mails of chapter 15, and how a client of the book trains on them: once through, in batches of 500.

The source `enron-book` has the book's data, repetitions included: every test e-mail is also a training e-mail. Where it
is not at hand, generated e-mails of other clients may stand in for it.

Not here: rounds and their means (`fedgdl.federated`), and the recipes (`chapter_15`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, companion notebook.

Example:
    >>> mail = load_dataset(DataConfig("synthetic-mail", examples=3_000), SEED)
    >>> local = LocalTraining(mail)
    >>> update = local.train(mail.client_ids[0], np.zeros(mail.num_words), round_index=1)
    >>> update.delta.shape == (mail.num_words,), 0 < update.train_loss < 1
    (True, True)
"""

from typing import Final, cast

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig, TrainingConfig
from fedgdl.data import BagExamples, PreparedDataset, load_dataset
from fedgdl.data.corpus import find_corpus
from fedgdl.federated import evaluate, train_client
from fedgdl.federated.tasks.spam import SpamTask
from fedgdl.federated.update import ClientUpdate
from fedgdl.models import SpamModel
from fedgdl.seeding import stream
from fedgdl.zoo.recipe import Setting

__all__ = ["PLAN", "SEED", "LocalTraining", "book_clients", "in_book_order", "load_book_mail"]

SEED: Final = 12345
"""The book's; nothing depends on it, as all weights start at zero and no order is shuffled."""

PLAN: Final = TrainingConfig(
    epochs=1, batch_size=500, learning_rate=0.01, loss_reduction="sum", shuffle=False, drop_last=True
)

_BOOK_ORDER: Final = ("bob", "alice", "sue")


def load_book_mail(setting: Setting) -> PreparedDataset:
    """Returns the book's e-mails, or generated ones where they are not here and that is allowed.

    Raises:
        DataMissing: they are not on this machine, and generated ones may not stand in for them.
    """
    source, _ = find_corpus("enron-book", setting.data_root, allow_synthetic=setting.allow_synthetic)
    return load_dataset(DataConfig(source.name, root=setting.data_root), SEED)


def book_clients(mail: PreparedDataset) -> tuple[str, ...]:
    """Returns Bob, Alice and Sue; of generated e-mails the clients that have a whole batch, by name."""
    if set(_BOOK_ORDER) <= set(mail.client_ids):
        return _BOOK_ORDER
    return tuple(name for name in mail.client_ids if len(mail.client(name)) >= PLAN.batch_size)


def in_book_order(mail: PreparedDataset) -> BagExamples:
    """Returns all training e-mails in the order of the book's file: Bob's, Alice's, Sue's; generated as they are."""
    order = _BOOK_ORDER if set(_BOOK_ORDER) <= set(mail.client_ids) else mail.client_ids
    ends = dict(zip(mail.client_ids, np.cumsum([len(mail.client(name)) for name in mail.client_ids]), strict=True))
    rows = [np.arange(ends[name] - len(mail.client(name)), ends[name]) for name in order]
    return cast("BagExamples", mail.all_train).take(np.concatenate(rows))  # e-mails are bags of words


class LocalTraining:
    """Trains one client after the other from given weights, and tests weights, in float64.

    Args:
        mail: their e-mails.
    """

    def __init__(self, mail: PreparedDataset) -> None:
        self._mail = mail
        self._task = SpamTask()
        self._model = SpamModel(mail.num_words, dtype="float64")
        self._parameters = self._model.flatten()

    def train(self, client_id: str, weights: npt.NDArray[np.float64], *, round_index: int) -> ClientUpdate:
        """Returns how far one client moves the weights of all words, (V,), in one epoch.

        Raises:
            DataError: the client has not a whole batch.
        """
        self._parameters.vector[...] = weights
        examples = cast("BagExamples", self._mail.client(client_id))
        rng = stream(SEED, "shuffle", round_index=round_index)  # takes part in nothing: the order is the file's
        return train_client(self._task, self._model, self._parameters, examples, PLAN, rng)

    def test(self, weights: npt.NDArray[np.float64]) -> float:
        """Returns the share of the test e-mails that weights (V,) get right."""
        self._parameters.vector[...] = weights
        return evaluate(self._task, self._model, cast("BagExamples", self._mail.test)).accuracy
