"""The book's encrypted rounds, really encrypted, twice: one client's model is decrypted, as printed; then the sum.

The book adds the three encrypted models, and then decrypts the last one alone, Sue's, and divides it by 3. A division
by 3 keeps every sign, so what is tested is Sue's own model, which had 95 % of the e-mails; and whoever decrypts one
client's model has read it. What the book says it does, to decrypt the sum, gives the plain mean's accuracies.

Not here: the same without encryption, digit for digit (recipes `ch15-federated` and `ch15-encrypted-as-printed` of
`fedgdl.zoo`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, companion notebook.

Example:
    >>> from experiments.attacks.book_paillier import make_key
    >>> from fedgdl.config import DataConfig
    >>> from fedgdl.data import load_dataset
    >>> rounds = BookRounds(load_dataset(DataConfig("synthetic-mail", examples=3_000), 1), *make_key(64))
    >>> first = rounds.run(1).printed[0]
    >>> first.accuracy == first.own_accuracy, first.are_signs_kept
    (True, True)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.attacks.book_paillier import (
    FIXED_PRECISION,
    Ciphertexts,
    PrivateKey,
    PublicKey,
    Steps,
    add,
    decrypt,
    encrypt,
)
from fedgdl.config import TrainingConfig
from fedgdl.data import BagExamples, PreparedDataset
from fedgdl.errors import DataError
from fedgdl.federated import train_client
from fedgdl.federated.tasks.spam import SpamTask
from fedgdl.models import SpamModel
from fedgdl.seeding import stream
from fedgdl.zoo.book_mail import SEED, LocalTraining, book_clients
from fedgdl.zoo.chapter_15 import EMAIL

__all__ = ["PUBLISHED", "BookRounds", "PrintedRound", "RoundsFinding", "SentUpdate", "SummedRound", "one_email_update"]

_Weights = npt.NDArray[np.float64]

PUBLISHED: Final = {"printed": (0.9875, 0.9905, 0.9915), "sum": (0.8405, 0.9225, 0.988)}
"""The book's accuracies: of the encrypted section, and of the section before it, whose plain mean the sum gives."""


@dataclass(frozen=True, slots=True)
class PrintedRound:
    """One round as printed.

    Attributes:
        accuracy: of what was decrypted, divided by the number of clients.
        own_accuracy: of that client's model as it is.
        are_signs_kept: whether no weight has another sign after the division.
    """

    accuracy: float
    own_accuracy: float
    are_signs_kept: bool


@dataclass(frozen=True, slots=True)
class SummedRound:
    """One round in which the sum is decrypted.

    Attributes:
        accuracy: of the decrypted sum, divided by the number of clients.
        plain_accuracy: of the mean of the same models, never encrypted.
        largest_difference: between a weight of the one and of the other.
    """

    accuracy: float
    plain_accuracy: float
    largest_difference: float


@dataclass(frozen=True, slots=True, eq=False)
class SentUpdate:
    """What a client sent in the first round, in which its model is its update, all weights being zero before.

    Attributes:
        weights: (words,) the truth.
        ciphertexts: of floats, as the book sends them.
        on_one_scale: the same weights encrypted on one scale.
    """

    weights: _Weights = field(repr=False)
    ciphertexts: Ciphertexts = field(repr=False)
    on_one_scale: Ciphertexts = field(repr=False)


@dataclass(frozen=True, slots=True)
class RoundsFinding:
    """Both ways, round by round.

    Attributes:
        clients: whose models are added, in the book's order.
        printed: as printed; the last client's model is what is decrypted.
        summed: the sum decrypted.
        sent: client -> what it sent in the first round.
    """

    clients: tuple[str, ...]
    printed: tuple[PrintedRound, ...]
    summed: tuple[SummedRound, ...]
    sent: Mapping[str, SentUpdate]


def one_email_update(mail: PreparedDataset) -> _Weights:
    """Returns how a step on Bob's one e-mail of the book moves the weights of all words, (words,), from zero.

    Words of it that the vocabulary does not know are left out: generated e-mails may lack some.
    """
    known = sorted(mail.vocabulary.id_of(word) for word in EMAIL if word in mail.vocabulary)
    model, plan = SpamModel(mail.num_words, dtype="float64"), TrainingConfig(0.01, loss_reduction="sum", shuffle=False)
    examples = BagExamples.of([known], labels=[0])
    return train_client(SpamTask(), model, model.flatten(), examples, plan, stream(SEED, "shuffle")).delta.copy()


class BookRounds:
    """Runs the book's rounds with a key of its kind.

    Args:
        mail: the clients' e-mails.
        public_key: all clients encrypt with it.
        private_key: decrypts.

    Raises:
        DataError: no client has a whole batch of e-mails.
    """

    def __init__(self, mail: PreparedDataset, public_key: PublicKey, private_key: PrivateKey) -> None:
        self._local, self._clients = LocalTraining(mail), book_clients(mail)
        self._num_words = mail.num_words
        self._public_key, self._private_key = public_key, private_key
        if not self._clients:
            message = f"no client of {mail.description} has enough e-mails for one of the book's batches"
            raise DataError(message)

    def run(self, num_rounds: int) -> RoundsFinding:
        """Returns what both ways give in so many rounds, at least one.

        Raises:
            CryptoError: the key is too short for a weight.
        """
        printed, floats = self._run_as_printed(num_rounds)
        summed, on_one_scale = self._run_with_sums(num_rounds)
        first_models = self._train(np.zeros(self._num_words), 1)
        sent = map(SentUpdate, first_models, floats, on_one_scale)
        return RoundsFinding(self._clients, printed, summed, dict(zip(self._clients, sent, strict=True)))

    def _run_as_printed(self, num_rounds: int) -> tuple[tuple[PrintedRound, ...], list[Ciphertexts]]:
        """Returns the rounds, and what the clients sent in the first."""
        weights: _Weights = np.zeros(self._num_words)
        rounds, first = list[PrintedRound](), list[Ciphertexts]()
        steps = Steps("as printed", num_rounds * (len(self._clients) + 1) * self._num_words)
        for index in range(1, num_rounds + 1):
            models = self._train(weights, index)
            encrypted = self._encrypt(models, None, steps)
            first = first or encrypted
            # The book adds all of them, too, and makes no use of what comes out.
            own = decrypt(self._private_key, encrypted[-1], steps)
            weights = own / len(models)
            kept = bool(np.array_equal(np.sign(weights), np.sign(own)))
            rounds.append(PrintedRound(self._local.test(weights), self._local.test(own), kept))
        return tuple(rounds), first

    def _run_with_sums(self, num_rounds: int) -> tuple[tuple[SummedRound, ...], list[Ciphertexts]]:
        """Returns the rounds, and what the clients sent in the first."""
        weights: _Weights = np.zeros(self._num_words)
        rounds, first = list[SummedRound](), list[Ciphertexts]()
        steps = Steps("with the sum", num_rounds * (len(self._clients) + 2) * self._num_words)
        for index in range(1, num_rounds + 1):
            models = self._train(weights, index)
            encrypted = self._encrypt(models, FIXED_PRECISION, steps)
            first = first or encrypted
            weights = decrypt(self._private_key, add(encrypted, steps), steps) / len(models)
            plain = np.mean(models, axis=0)
            difference = float(np.abs(weights - plain).max())
            rounds.append(SummedRound(self._local.test(weights), self._local.test(plain), difference))
        return tuple(rounds), first

    def _train(self, weights: _Weights, round_index: int) -> list[_Weights]:
        return [
            weights + self._local.train(name, weights, round_index=round_index).delta.astype(np.float64)
            for name in self._clients
        ]

    def _encrypt(self, models: Sequence[_Weights], precision: float | None, steps: Steps) -> list[Ciphertexts]:
        return [encrypt(self._public_key, model, precision, steps) for model in models]
