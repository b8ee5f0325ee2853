"""Tries to read the words of an e-mail out of protected rounds, and shows where that works and where it does not.

The same client trains on the same one e-mail as in `words.py`; now others train too, on one e-mail each, and what they
send is masked (`masked_words.py`) or encrypted (`encrypted_words.py`). Both share what is here. These views are read,
each of a real round:

- the victim's own vector by itself: noise. It is read in several ways, which the protocols' modules say.
- the sum over the cohort, which the coordinator is meant to learn. It tells which words *somebody* had, not who: the
  victim's are among them, except for those that cancel out because as many spam as ham e-mails had them.
- a round of two, the other of whom works for the coordinator. It subtracts its own update from the sum; what is left
  is the victim's, as if nothing had protected it. Likewise in any cohort where all others do that: a sum hides a client
  among honest others, and from nobody where there are none.
- the victim's own vector again, by whoever has the secret that protects it and works with the coordinator, where there
  is one who has it: the key holder of an encrypted aggregation.

Threat model: as in `words.py`, an honest-but-curious coordinator that sees every payload of every stage, and the sum
that is opened; it knows the configuration, so how updates are encoded. In the round of two it also has an accomplice,
which knows its own e-mail and its own rounding; in the last view, the key holder. Nothing of the simulator's truth is
read; that only scores.

Not protected against, and so read: the sum. Not tried: a coordinator that lies.

Example:
    >>> masked = np.array([7, 250, 3], np.uint32)  # of slots of 8 bits in which 3 means that nothing moved
    >>> signed_distance(masked, 3, num_bits=8)
    array([ 4., -9.,  0.])
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from experiments.attacks.mailboxes import Email, OneEmailTask
from experiments.attacks.words import VICTIM, Finding, Reading, one_round, read_words, score, update_seen
from experiments.simulation import simulate
from fedgdl.config import AggregationConfig, Experiment
from fedgdl.crypto import FixedPoint
from fedgdl.data import PreparedDataset
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.federated import ClientUpdate, UpdateEncoding, make_strategy, make_update_encoding, rounding_stream
from fedgdl.parameters import Layout
from fedgdl.progress import watched
from server.recorder import Recorder

__all__ = [
    "ProtectedFinding",
    "ProtectedRound",
    "RoundRecorder",
    "WordsProtocol",
    "attack_protected_emails",
    "furthest",
    "run_round",
    "signed_distance",
]

_ACCOMPLICE: Final = "alice"


class RoundRecorder(Recorder):
    """Keeps all that the coordinator sees of a run, and what it tells all participants of a stage alike.

    Attributes:
        told: stage -> what its participants were told, of the last round.
    """

    def __init__(self) -> None:
        super().__init__(keep=True)
        self.told: dict[str, bytes] = {}

    def stage_began(self, round_index: int, stage: str, common: bytes) -> None:
        """Keeps what is told."""
        self.told[stage] = common


class ProtectedRound:
    """One protected round as its coordinator saw it.

    Args:
        experiment: the configuration of the round, its cohort and its largest weight settled.
        recorder: what reached the coordinator, kept.

    Attributes:
        encoding: how updates became whole numbers.
        words: which slots of a vector are the words'.
        unmoved: the code of a weight that did not move.
        told: stage -> what its participants were told.

    Raises:
        RunFailed: the round opened no sum.
    """

    def __init__(self, experiment: Experiment, recorder: RoundRecorder) -> None:
        if 1 not in recorder.sums:
            message = "the round opened no sum; there is nothing to read"
            raise RunFailed(message)
        strategy, config = make_strategy(experiment.strategy), experiment.aggregation
        self._recorder, self.told = recorder, recorder.told
        self._layout = Layout.of({"all": recorder.parameters[1].shape}, experiment.dtype)
        self.encoding: UpdateEncoding = make_update_encoding(experiment, strategy, self._layout)
        largest = config.clip * strategy.weight(config.max_weight or 1)
        fixed_point = FixedPoint(largest, config.bits, config.rounding, config.ring_bits)
        self.unmoved, self._step = fixed_point.offset, fixed_point.step
        self.words = _slots_of("weighted_delta", strategy.sum_shapes(self._layout))

    @property
    def num_words(self) -> int:
        """The number of words in the vocabulary."""
        return self._layout.size

    def opened_changes(self) -> npt.NDArray[np.float64]:
        """Returns by how many steps of the encoding each word's weight moved in the sum, (words,), whole numbers."""
        return np.rint(self._recorder.sums[1].sums["weighted_delta"] / self._step)

    def changes_in(self, vector: npt.NDArray[Any], num_bits: int | None = None) -> npt.NDArray[np.float64]:
        """Returns by how many steps each word's weight moved, (words,), taking a vector for a single client's.

        Args:
            vector: (size,) codes, of which the low `num_bits` bits count; none: as many as are on the wire.
            num_bits: up to 64.
        """
        return signed_distance(vector[self.words], self.unmoved, num_bits or 8 * self.encoding.bytes_per_slot)

    def payloads(self, stage: str) -> dict[str, bytes]:
        """Returns client id -> what it sent in a stage."""
        return {record.client_id: record.payload for record in self._recorder.payloads if record.stage == stage}

    def payload(self, stage: str, client_id: str) -> bytes:
        """Returns what a client sent in a stage.

        Raises:
            RunFailed: it sent nothing.
        """
        found = self.payloads(stage)
        if client_id not in found:
            message = f"{client_id} sent nothing in the stage {stage!r}; there is nothing to read"
            raise RunFailed(message)
        return found[client_id]


class WordsProtocol(Protocol):
    """What differs between protocols: how one vector is protected, and so how it may be read.

    Attributes:
        kind: of the aggregation.
        readings: ways to read one vector -> in words; those named in `read`.
    """

    kind: str
    readings: Mapping[str, str]

    def configure(self, config: AggregationConfig) -> AggregationConfig:
        """Returns the aggregation as it is to be attacked."""
        ...

    def read(self, a_round: ProtectedRound, client_id: str, num_words: int) -> dict[str, Reading]:
        """Returns what each of the readings makes of a client's vector.

        Args:
            a_round: the round.
            client_id: whose vector.
            num_words: how many words to name, where nothing but their order can be told.
        """
        ...

    def read_with_secret(self, a_round: ProtectedRound, client_id: str) -> Reading | None:
        """Returns what whoever has the secret reads of a client's vector; none where nobody has it."""
        ...


@dataclass(frozen=True, slots=True)
class ProtectedFinding:
    """How well one e-mail was read in a protected round.

    Attributes:
        email: the truth.
        num_clients: of the cohort, the victim included.
        num_cohort_words: distinct words of all e-mails of the cohort; the truth, too.
        vectors: reading of the victim's vector -> how well it went.
        summed: what the sum over the cohort tells.
        colluding: what the only other client of a round of two tells.
        with_secret: what whoever has the secret that protects the vector tells; none where nobody has it.
    """

    email: Email
    num_clients: int
    num_cohort_words: int
    vectors: Mapping[str, Finding]
    summed: Finding
    colluding: Finding
    with_secret: Finding | None


def attack_protected_emails(
    experiment: Experiment, mail: PreparedDataset, cohorts: Sequence[Sequence[Email]], protocol: WordsProtocol
) -> list[ProtectedFinding]:
    """Runs real protected rounds for each cohort, and reads the victim's e-mail from what the coordinator received.

    Args:
        experiment: the configuration; its training gives the steps, its aggregation the encoding and the protocol.
        mail: its data, which gives the vocabulary.
        cohorts: the e-mails of each cohort, one for each client, the victim's first; all of the same size.
        protocol: protects the rounds.

    Raises:
        ConfigError: the cohorts are smaller than what may be asked for, or too large for the encoding.
        RunFailed: a round opened no sum.
    """
    return [_attack(experiment, mail, cohort, protocol) for cohort in watched(cohorts, "attacking")]


def run_round(
    experiment: Experiment,
    mail: PreparedDataset,
    emails: Mapping[str, Email],
    protocol: WordsProtocol,
    min_cohort: int | None = None,
) -> ProtectedRound:
    """Returns one protected round in which each client has one e-mail.

    Args:
        experiment: the configuration.
        mail: gives the vocabulary.
        emails: client id -> its e-mail.
        protocol: protects the round.
        min_cohort: in place of the configured one.

    Raises:
        ConfigError: the cohort is smaller than what may be asked for, or too large for the encoding.
        RunFailed: the round opened no sum.
    """
    config = protocol.configure(experiment.aggregation)
    settled = replace(
        one_round(experiment),
        cohort_size=len(emails),
        aggregation=replace(
            config,
            exact=False,
            max_weight=config.max_weight or 1,
            min_cohort=config.min_cohort if min_cohort is None else min_cohort,
        ),
    )
    recorder = RoundRecorder()
    simulate(settled, task=OneEmailTask(mail, emails), recorder=recorder)
    return ProtectedRound(settled, recorder)


def signed_distance(codes: npt.NDArray[Any], origin: int, num_bits: int) -> npt.NDArray[np.float64]:
    """Returns how far each code lies above or below the origin, the shorter way around the ring; float64.

    Args:
        codes: unsigned integers of which the low `num_bits` bits count.
        origin: a code.
        num_bits: of a slot, up to 64; the ring has 2**num_bits elements.
    """
    unused = np.uint64(64 - num_bits)
    difference = codes.astype(np.uint64) - np.uint64(origin)  # wraps, as it should
    return ((difference << unused).view(np.int64) >> np.int64(unused)).astype(np.float64)


def furthest(changes: npt.NDArray[np.float64], num_words: int) -> Reading:
    """Returns the words that seem to have moved furthest, so many at most, and the label by the sign of all changes."""
    reading = read_words(changes)
    return Reading(reading.word_ids[:num_words], reading.label)


def _attack(
    experiment: Experiment, mail: PreparedDataset, cohort: Sequence[Email], protocol: WordsProtocol
) -> ProtectedFinding:
    email, *others = cohort
    width = len(str(len(others)))
    names = [f"client-{number:0{width}d}" for number in range(1, len(others) + 1)]
    a_round = run_round(experiment, mail, dict(zip([VICTIM, *names], cohort, strict=True)), protocol)
    readings = protocol.read(a_round, VICTIM, len(email.word_ids))
    with_secret = protocol.read_with_secret(a_round, VICTIM)
    return ProtectedFinding(
        email,
        num_clients=len(cohort),
        num_cohort_words=len(set().union(*(one.word_ids.tolist() for one in cohort))),
        vectors={name: score(email, reading) for name, reading in readings.items()},
        summed=score(email, read_words(a_round.opened_changes())),
        colluding=score(email, _read_with_accomplice(experiment, mail, email, others[0], protocol)),
        with_secret=None if with_secret is None else score(email, with_secret),
    )


def _read_with_accomplice(
    experiment: Experiment, mail: PreparedDataset, email: Email, own_email: Email, protocol: WordsProtocol
) -> Reading:
    """Returns what is left of the sum of a round of two when the other client takes its own update away."""
    a_round = run_round(experiment, mail, {VICTIM: email, _ACCOMPLICE: own_email}, protocol, min_cohort=2)
    own_update = _train_alone(experiment, mail, own_email)
    own_vector = a_round.encoding.encode(own_update, rounding_stream(experiment.seed, 1, _ACCOMPLICE)).vector
    return read_words(a_round.opened_changes() - a_round.changes_in(own_vector))


def _train_alone(experiment: Experiment, mail: PreparedDataset, email: Email) -> ClientUpdate:
    """Returns the update that the accomplice has computed: it knows its e-mail and was sent the parameters."""
    alone = replace(one_round(experiment), aggregation=AggregationConfig())
    recorder = Recorder(keep=True)
    simulate(alone, task=OneEmailTask(mail, {_ACCOMPLICE: email}), recorder=recorder)
    update, delta = update_seen(recorder, alone, _ACCOMPLICE)
    return ClientUpdate(delta, update.num_examples, update.train_loss, update.train_accuracy)


def _slots_of(name: str, sum_shapes: Mapping[str, tuple[int, ...]]) -> slice:
    """Returns where one of the strategy's sums lies in an encoded vector: they follow one another as declared."""
    start = 0
    for other, shape in sum_shapes.items():
        stop = start + int(np.prod(shape))
        if other == name:
            return slice(start, stop)
        start = stop
    message = f"the strategy forms no sum named {name}, which the attack reads"
    raise ConfigError(message)
