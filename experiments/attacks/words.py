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
from typing import Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from experiments.attacks.mailboxes import Email, OneEmailTask
from experiments.simulation import simulate
from fedgdl.config import EngineConfig, Experiment, FaultsConfig, PartitionConfig
from fedgdl.data import PreparedDataset
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.federated import make_strategy
from fedgdl.parameters import Layout
from fedgdl.progress import watched
from fedgdl.wire import PlainUpdate
from server.aggregation import read_plain_update
from server.recorder import Recorder

__all__ = [
    "VICTIM",
    "Finding",
    "Reading",
    "attack_emails",
    "one_round",
    "read_words",
    "score",
    "update_seen",
]

VICTIM: Final = "bob"


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
        hits: how many of the words read are in the e-mail.
    """

    email: Email
    reading: Reading
    hits: int

    @property
    def precision(self) -> float:
        """The share of the words read that are in the e-mail; 0 if none was read."""
        return self.hits / len(self.reading.word_ids) if len(self.reading.word_ids) else 0.0

    @property
    def recall(self) -> float:
        """The share of the e-mail's words that were read, of those the model knows."""
        return self.hits / len(self.email.word_ids) if len(self.email.word_ids) else 0.0

    @property
    def is_label_right(self) -> bool:
        """Whether spam was taken for spam, or ham for ham."""
        return self.reading.label == self.email.label


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

    Raises:
        ConfigError: the configuration protects updates, or encodes them.
        RunFailed: the victim sent no update.
    """
    if experiment.aggregation.is_encoded:
        message = (
            f"against {protocol}, updates are read as they are, in the clear: aggregation.exact and "
            'aggregation.kind = "secagg" or "paillier" do not go with it (see --against secagg, --against paillier)'
        )
        raise ConfigError(message)
    experiment = one_round(experiment)
    if protocol == "fedsgd":
        training = msgspec.structs.replace(experiment.training, epochs=1)
        experiment = msgspec.structs.replace(experiment, training=training)
    return [_attack(experiment, mail, email) for email in watched(emails, "attacking")]


def one_round(experiment: Experiment) -> Experiment:
    """Returns the experiment as a single round of all clients in this process, without faults.

    Who the clients are, an attack says itself: the partition of the data does not matter.
    """
    return msgspec.structs.replace(
        experiment,
        rounds=1,
        cohort_size=None,
        data=msgspec.structs.replace(experiment.data, partition=PartitionConfig()),
        training=msgspec.structs.replace(experiment.training, drop_last=False),
        strategy=msgspec.structs.replace(experiment.strategy, min_updates=1),
        faults=FaultsConfig(),
        engine=EngineConfig(kind="inline"),
    )


def update_seen(recorder: Recorder, experiment: Experiment, client_id: str) -> tuple[PlainUpdate, npt.NDArray[Any]]:
    """Returns a client's plain update and its delta, from the coordinator's record alone.

    Raises:
        RunFailed: the client sent none.
    """
    payload = next((record.payload for record in recorder.payloads if record.client_id == client_id), None)
    if payload is None:
        message = f"{client_id} sent no update; there is nothing to read"
        raise RunFailed(message)
    sent = recorder.parameters[1]
    layout = Layout.of({"all": sent.shape}, experiment.dtype)
    shapes = make_strategy(experiment.strategy).sum_shapes(layout)
    update, terms = read_plain_update(payload, shapes, sent.dtype)
    return update, terms["weighted_delta"] / terms["weight"][0]


def score(email: Email, reading: Reading) -> Finding:
    """Returns how well an e-mail was read."""
    return Finding(email, reading, hits=len(np.intersect1d(reading.word_ids, email.word_ids)))


def _attack(experiment: Experiment, mail: PreparedDataset, email: Email) -> Finding:
    recorder = Recorder(keep=True)
    simulate(experiment, task=OneEmailTask(mail, {VICTIM: email}), recorder=recorder)
    return score(email, read_words(update_seen(recorder, experiment, VICTIM)[1]))
