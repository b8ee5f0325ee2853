"""E-mails to attack, and federations of clients that hold one e-mail each.

All of it is the simulator's truth: it sets a round up and scores what an attacker says afterwards. No attack reads it.

Not here: the attacks themselves (`words.py`, `masked_words.py`).

Example:
    >>> from experiments import load_config
    >>> from fedgdl.data import load_dataset
    >>> experiment = load_config("spam", ["data.source=synthetic-mail", "data.examples=1000"])
    >>> pool = EmailPool(load_dataset(experiment.data, experiment.seed))
    >>> len(pool), len(pool.draw(3, np.random.default_rng(1)))
    (800, 3)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedgdl.config import Experiment
from fedgdl.data import BagExamples, PreparedDataset
from fedgdl.errors import ConfigError
from fedgdl.federated.tasks.spam import SpamTask
from fedgdl.seeding import stream

__all__ = ["Email", "EmailPool", "OneEmailTask", "draw_cohorts", "draw_emails"]


@dataclass(frozen=True, slots=True, eq=False)
class Email:
    """One e-mail as its reader knows it.

    Attributes:
        word_ids: (n,) its distinct words, of those the vocabulary knows.
        label: 1 for spam, 0 for ham.
        row: where it stands in the training data; none for an e-mail that is not from there.
    """

    word_ids: npt.NDArray[np.int64]
    label: int
    row: int | None = None


class EmailPool:
    """The e-mails of all clients' training data that have a word in them; its length is their number.

    Args:
        mail: the data.

    Raises:
        ConfigError: it has no bags of words.
    """

    def __init__(self, mail: PreparedDataset) -> None:
        everything = [mail.client(client_id) for client_id in mail.client_ids]
        self._clients = [client for client in everything if isinstance(client, BagExamples)]
        if len(self._clients) < len(everything):
            message = f"the data set {mail.source.name!r} ({mail.source.title}) has no e-mails to draw from"
            raise ConfigError(message)
        self._rows = np.flatnonzero(np.concatenate([np.diff(client.offsets) for client in self._clients]))
        self._starts = np.cumsum([0, *(len(client) for client in self._clients)])

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._rows)

    def draw(self, count: int, rng: np.random.Generator, *, without: int | None = None) -> list[Email]:
        """Returns e-mails drawn at random, none of them twice.

        Args:
            count: how many; there must be so many.
            rng: decides which.
            without: the row of an e-mail that is not to be among them.
        """
        rows = self._rows if without is None else self._rows[self._rows != without]
        return [self._email(int(row)) for row in rng.choice(rows, size=count, replace=False)]

    def _email(self, row: int) -> Email:
        which = int(np.searchsorted(self._starts, row, side="right")) - 1
        start = int(row - self._starts[which])
        one = self._clients[which].slice(start, start + 1)
        return Email(np.array(one.token_ids), int(one.labels[0]), row)


def draw_emails(mail: PreparedDataset, count: int, seed: int) -> list[Email]:
    """Returns e-mails drawn from all clients' training data, without repetition; none without a word.

    Args:
        mail: the data.
        count: how many.
        seed: decides which.

    Raises:
        ConfigError: there are not so many, or the data has no bags of words.
    """
    pool = EmailPool(mail)
    if not 1 <= count <= len(pool):
        message = f"expected from 1 to {len(pool):,} e-mails, got {count:,}"
        raise ConfigError(message)
    return pool.draw(count, stream(seed, "attack words"))


def draw_cohorts(mail: PreparedDataset, victims: Sequence[Email], num_clients: int, seed: int) -> list[list[Email]]:
    """Returns for each victim the e-mails of a cohort, one for each client: the victim's first, then others.

    Args:
        mail: the data that the others' e-mails are drawn from.
        victims: the victim's e-mail in each round.
        num_clients: of a cohort, the victim included.
        seed: decides which e-mails the others have; a round's do not depend on how many rounds there are.

    Raises:
        ConfigError: there are not so many e-mails, or the cohort is none.
    """
    pool = EmailPool(mail)
    is_drawn = any(victim.row is not None for victim in victims)
    most = len(pool) + (0 if is_drawn else 1)
    if not 2 <= num_clients <= most:
        others = f"; there are {len(pool):,} e-mails in the training data" if num_clients > most else ""
        message = f"expected from 2 to {most:,} clients with one e-mail each, got {num_clients:,}{others}"
        raise ConfigError(message)
    cohorts = []
    for round_number, victim in enumerate(victims, start=1):
        rng = stream(seed, "attack words, the others", round_index=round_number)
        cohorts.append([victim, *pool.draw(num_clients - 1, rng, without=victim.row)])
    return cohorts


@dataclass(frozen=True, slots=True)
class _OneEmailEach:
    """A population in which each client has one e-mail."""

    mail: PreparedDataset
    emails: Mapping[str, BagExamples]
    fingerprint: str = "one e-mail each"

    @property
    def client_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self.emails))

    @property
    def description(self) -> str:
        return f"{len(self.emails)} clients with one e-mail each"

    @property
    def is_synthetic(self) -> bool:
        return self.mail.is_synthetic

    @property
    def num_words(self) -> int:
        return self.mail.num_words

    @property
    def test(self) -> BagExamples:
        return self.emails[self.client_ids[0]]

    def client(self, client_id: str) -> BagExamples:
        return self.emails[client_id]


class OneEmailTask(SpamTask):
    """The spam task where each client has one e-mail.

    Args:
        mail: the data that gives the vocabulary.
        emails: client id -> its e-mail.
    """

    def __init__(self, mail: PreparedDataset, emails: Mapping[str, Email]) -> None:
        bags = {
            client_id: BagExamples.of([email.word_ids.tolist()], [email.label]) for client_id, email in emails.items()
        }
        self._data = _OneEmailEach(mail, bags)

    def load_data(self, experiment: Experiment) -> _OneEmailEach:
        """Returns the population."""
        return self._data
