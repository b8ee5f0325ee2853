"""Reads the words of an e-mail out of the update of the client that trained on it.

A weight of the spam model moves only if its word was in the e-mail, and all weights move in the
direction of the label. So whoever sees one client's update reads off the words, and the label.

Threat model: an honest-but-curious coordinator (or whoever reads its traffic) that follows the protocol,
knows the model's layout and the vocabulary, and sees the parameters it sent out and the payload that
came back. It reads nothing else: no data, no metrics, nothing of the simulator's truth, which is used
afterwards to count how much of the e-mail was found.

Source: Andrew W. Trask, Grokking Deep Learning, 2019, chapter 15, "Hacking into federated learning".
In general: Melis, Song, De Cristofaro, Shmatikov, "Exploiting Unintended Feature Leakage in
Collaborative Learning", IEEE S&P 2019, section 4.1.

Example:
    >>> import numpy as np
    >>> found = read_words(np.array([0.0, -0.0025, 0.0, -0.0025]))
    >>> found.word_ids, found.label
    (array([1, 3]), 0)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from experiments.simulation import simulate
from fedgdl.config import EngineConfig, Experiment, FaultsConfig
from fedgdl.data import BagExamples, PreparedDataset
from fedgdl.errors import ConfigError
from fedgdl.federated import make_strategy
from fedgdl.federated.tasks.spam import SpamTask
from fedgdl.parameters import Layout
from fedgdl.progress import watched
from fedgdl.seeding import stream
from server.aggregation import read_plain_update
from server.recorder import Recorder

__all__ = ["Email", "Finding", "Reading", "attack_emails", "draw_emails", "read_words"]

VICTIM = "bob"


@dataclass(frozen=True, slots=True)
class Email:
    """The victim's one e-mail, the simulator's truth: its distinct word ids (n,) and its label, 1 for spam."""

    word_ids: npt.NDArray[np.int64]
    label: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What the attacker makes of an update.

    Attributes:
        word_ids: (n,) ids of the words whose weights moved, those that moved furthest first.
        label: 1 for spam, 0 for ham; none when nothing moved.
    """

    word_ids: npt.NDArray[np.int64]
    label: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """How well one e-mail was read.

    Attributes:
        email: the truth.
        reading: what the attacker says.
        precision: the share of the words read that are in the e-mail; 0 if none was read.
        recall: the share of the e-mail's words that were read, of those the model knows.
    """

    email: Email
    reading: Reading
    precision: float
    recall: float


def read_words(delta: npt.NDArray[Any]) -> Reading:
    """Returns the words and the label that an update of the spam model gives away.

    Args:
        delta: (vocabulary,) the client's weights minus the weights it was sent.
    """
    moved = np.flatnonzero(delta)
    by_distance = moved[np.argsort(-np.abs(delta[moved]), kind="stable")]
    total = float(delta[moved].sum())
    return Reading(by_distance, None if len(moved) == 0 else int(total > 0))


def attack_emails(
    experiment: Experiment,
    mail: PreparedDataset,
    emails: Sequence[Email],
    protocol: Literal["fedavg", "fedsgd"] = "fedavg",
) -> list[Finding]:
    """Runs one real federated round for each e-mail, and reads it from what the coordinator received.

    Args:
        experiment: the configuration; its training gives the steps.
        mail: its data, which gives the vocabulary.
        emails: the victim's e-mail in each round.
        protocol: `"fedsgd"`: one step from the parameters sent; `"fedavg"`: as many epochs as configured.
    """
    training = msgspec.structs.replace(experiment.training, drop_last=False)
    if protocol == "fedsgd":
        training = msgspec.structs.replace(training, epochs=1)
    experiment = msgspec.structs.replace(
        experiment,
        rounds=1,
        cohort_size=None,
        training=training,
        strategy=msgspec.structs.replace(experiment.strategy, min_updates=1),
        faults=FaultsConfig(),
        engine=EngineConfig(kind="inline"),
    )
    return [_attack(experiment, mail, email) for email in watched(emails, "attacking")]


def draw_emails(mail: PreparedDataset, count: int, seed: int) -> list[Email]:
    """Returns e-mails drawn from all clients' training data, without repetition; none without a word.

    Args:
        mail: the data.
        count: how many.
        seed: decides which.

    Raises:
        ConfigError: there are not so many, or the data has no bags of words.
    """
    everything = [mail.client(client_id) for client_id in mail.client_ids]
    clients = [client for client in everything if isinstance(client, BagExamples)]
    if len(clients) < len(everything):
        message = f"the data set {mail.source.name!r} ({mail.source.title}) has no e-mails to draw from"
        raise ConfigError(message)
    sizes = [np.diff(client.offsets) for client in clients]
    with_words = np.flatnonzero(np.concatenate(sizes))
    starts = np.cumsum([0, *(len(client) for client in clients)])
    if not 1 <= count <= len(with_words):
        message = f"expected from 1 to {len(with_words):,} e-mails, got {count:,}"
        raise ConfigError(message)
    rows = stream(seed, "attack words").choice(with_words, size=count, replace=False)
    emails = []
    for row in rows:
        which = int(np.searchsorted(starts, row, side="right")) - 1
        one = clients[which].slice(int(row - starts[which]), int(row - starts[which]) + 1)
        emails.append(Email(np.array(one.token_ids), int(one.labels[0])))
    return emails


def _attack(experiment: Experiment, mail: PreparedDataset, email: Email) -> Finding:
    recorder = Recorder(keep=True)
    simulate(experiment, task=_OneEmailTask(mail, email), recorder=recorder)
    delta = _delta_seen(recorder, experiment)
    reading = read_words(delta)
    found, truth = set(reading.word_ids.tolist()), set(email.word_ids.tolist())
    hits = len(found & truth)
    return Finding(
        email,
        reading,
        precision=hits / len(found) if found else 0.0,
        recall=hits / len(truth) if truth else 0.0,
    )


def _delta_seen(recorder: Recorder, experiment: Experiment) -> npt.NDArray[Any]:
    """Returns the victim's delta, from the coordinator's record alone."""
    sent = recorder.parameters[1]
    layout = Layout.of({"all": sent.shape}, experiment.dtype)
    shapes = make_strategy(experiment.strategy).sum_shapes(layout)
    payload = next(record.payload for record in recorder.payloads if record.client_id == VICTIM)
    _, terms = read_plain_update(payload, shapes, sent.dtype)
    delta: npt.NDArray[Any] = terms["weighted_delta"] / terms["weight"][0]
    return delta


@dataclass(frozen=True, slots=True)
class _OneEmailData:
    """A population of one client that has one e-mail."""

    mail: PreparedDataset
    emails: BagExamples
    client_ids: tuple[str, ...] = (VICTIM,)
    fingerprint: str = "one e-mail"
    description: str = "one e-mail of one client"

    @property
    def is_synthetic(self) -> bool:
        return self.mail.is_synthetic

    @property
    def num_words(self) -> int:
        return self.mail.num_words

    @property
    def test(self) -> BagExamples:
        return self.emails

    def client(self, client_id: str) -> BagExamples:
        return self.emails


class _OneEmailTask(SpamTask):
    """The spam task on a victim's one e-mail."""

    def __init__(self, mail: PreparedDataset, email: Email) -> None:
        self._data = _OneEmailData(mail, BagExamples.of([email.word_ids.tolist()], [email.label]))

    def load_data(self, experiment: Experiment) -> _OneEmailData:
        return self._data
