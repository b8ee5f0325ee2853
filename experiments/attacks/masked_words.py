"""Tries to read the words of an e-mail out of a secure aggregation, and shows where that works and where it does not.

The same client trains on the same one e-mail as in `words.py`; now others train too, on one e-mail each, and the
updates are masked. Three views are read, each of a real round:

- the victim's masked vector by itself: noise. It is read in four ways (`READINGS`), the last of which first takes off
  the mask that the coordinator is told of at the end of every round. None is better than blind guessing.
- the sum over the cohort, which the coordinator is meant to learn. It tells which words *somebody* had, not who: the
  victim's are among them, except for those that cancel out because as many spam as ham e-mails had them.
- a round of two, the other of whom works for the coordinator. It subtracts its own update from the sum; what is left
  is the victim's, as if it had never been masked. Likewise in any cohort where all others do that: secure aggregation
  hides a client among honest others, and from nobody where there are none.

Threat model: as in `words.py`, an honest-but-curious coordinator that sees every payload of every stage, and the sum
that is opened; it knows the configuration, so how updates are encoded. In the round of two it also has an accomplice,
which knows its own e-mail and its own rounding. Nothing of the simulator's truth is read; that only scores.

Not protected against, and so read: the sum. Not tried: a coordinator that lies.

Example:
    >>> masked = np.array([7, 250, 3], np.uint32)  # of slots of one byte in which 3 means that nothing moved
    >>> signed_distance(masked, 3, num_bytes=1)
    array([ 4., -9.,  0.])
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from experiments.attacks.mailboxes import Email, OneEmailTask
from experiments.attacks.words import VICTIM, Finding, Reading, one_round, read_words, score, update_seen
from experiments.simulation import simulate
from fedgdl.config import AggregationConfig, Experiment
from fedgdl.crypto import FixedPoint
from fedgdl.crypto.masking import combine, mask
from fedgdl.data import PreparedDataset
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.federated import ClientUpdate, UpdateEncoding, make_strategy, make_update_encoding, rounding_stream
from fedgdl.parameters import Layout
from fedgdl.progress import watched
from fedgdl.wire import decode_struct
from fedgdl.wire.secagg import DealtShares, UnmaskShares
from server.recorder import Recorder

__all__ = ["READINGS", "MaskedFinding", "MaskedView", "attack_masked_emails", "read_masked", "signed_distance"]

_ACCOMPLICE: Final = "alice"

READINGS: Final[Mapping[str, str]] = {
    "as_update": "read like an update in the clear",
    "largest": "its largest slots",
    "unusual": "its slots furthest from the most frequent value",
    "own_mask_off": "its largest slots, its own mask taken off",
}
"""Ways to read one masked vector -> in words. All but the first are told how many words the e-mail has."""


@dataclass(frozen=True, slots=True)
class MaskedFinding:
    """How well one e-mail was read in a protected round.

    Attributes:
        email: the truth.
        num_clients: of the cohort, the victim included.
        num_cohort_words: distinct words of all e-mails of the cohort; the truth, too.
        masked: reading of the victim's masked vector -> how well it went, one for each of `READINGS`.
        summed: what the sum over the cohort tells.
        colluding: what the only other client of a round of two tells.
    """

    email: Email
    num_clients: int
    num_cohort_words: int
    masked: Mapping[str, Finding]
    summed: Finding
    colluding: Finding


class MaskedView:
    """One protected round as its coordinator saw it.

    Args:
        experiment: the configuration of the round, its cohort and its largest weight settled.
        recorder: what reached the coordinator, kept.

    Raises:
        RunFailed: the round opened no sum.
    """

    def __init__(self, experiment: Experiment, recorder: Recorder) -> None:
        if 1 not in recorder.sums:
            message = "the round opened no sum; there is nothing to read"
            raise RunFailed(message)
        strategy, config = make_strategy(experiment.strategy), experiment.aggregation
        self._recorder = recorder
        self._layout = Layout.of({"all": recorder.parameters[1].shape}, experiment.dtype)
        self.encoding: UpdateEncoding = make_update_encoding(experiment, strategy, self._layout)
        largest = config.clip * strategy.weight(config.max_weight or 1)
        self.fixed_point = FixedPoint(largest, config.bits, config.rounding, config.ring_bits)
        self.words = _slots_of("weighted_delta", strategy.sum_shapes(self._layout))

    @property
    def num_words(self) -> int:
        """The number of words in the vocabulary."""
        return self._layout.size

    def masked_vector(self, client_id: str) -> npt.NDArray[Any]:
        """Returns a client's masked vector, (size,) in the ring's dtype, as it reached the coordinator."""
        return self.encoding.unpack(self._payload("masked input", client_id))

    def own_mask(self, client_id: str) -> npt.NDArray[Any]:
        """Returns the mask that a client added for itself, put together from the shares of it that its peers gave.

        The protocol gives the coordinator no less of a client whose vector is in the sum; what is left on the vector
        are the masks that it has in common with others.
        """
        dealt = decode_struct(self._payload("share", client_id), DealtShares)
        places = {holder_id: x for x, holder_id in enumerate(sorted(dealt.commitments), start=1)}
        shares = {}
        for record in self._recorder.payloads:
            if record.stage == "unmask" and record.client_id in places:
                given = decode_struct(record.payload, UnmaskShares).own_masks
                if client_id in given:
                    shares[places[record.client_id]] = given[client_id]
        return mask(combine(shares), self.encoding.size, self.encoding.dtype)

    def opened_changes(self) -> npt.NDArray[np.float64]:
        """Returns by how many steps of the encoding each word's weight moved in the sum, (words,), whole numbers."""
        return np.rint(self._recorder.sums[1].sums["weighted_delta"] / self.fixed_point.step)

    def changes_in(self, vector: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Returns by how many steps each word's weight moved, (words,), taking a vector for a single client's."""
        return signed_distance(vector[self.words], self.fixed_point.offset, self.encoding.bytes_per_slot)

    def _payload(self, stage: str, client_id: str) -> bytes:
        for record in self._recorder.payloads:
            if (record.stage, record.client_id) == (stage, client_id):
                return record.payload
        message = f"{client_id} sent nothing in the stage {stage!r}; there is nothing to read"
        raise RunFailed(message)


def attack_masked_emails(
    experiment: Experiment, mail: PreparedDataset, cohorts: Sequence[Sequence[Email]]
) -> list[MaskedFinding]:
    """Runs real protected rounds for each cohort, and reads the victim's e-mail from what the coordinator received.

    Args:
        experiment: the configuration; its training gives the steps, its aggregation the encoding and the protocol.
        mail: its data, which gives the vocabulary.
        cohorts: the e-mails of each cohort, one for each client, the victim's first; all of the same size.

    Raises:
        ConfigError: the cohorts are smaller than what may be asked for, or too large for the encoding.
        RunFailed: a round opened no sum.
    """
    return [_attack(experiment, mail, cohort) for cohort in watched(cohorts, "attacking")]


def read_masked(view: MaskedView, masked: npt.NDArray[Any], num_words: int) -> dict[str, Reading]:
    """Returns what each of `READINGS` makes of the victim's masked vector.

    Args:
        view: the round.
        masked: (size,) the vector.
        num_words: how many words to name, where nothing but their order can be told.
    """
    words = masked[view.words]
    values, counts = np.unique(words, return_counts=True)
    most_frequent = int(values[counts.argmax()])
    return {
        "as_update": read_words(view.changes_in(masked)),
        "largest": _furthest(view.changes_in(masked), num_words),
        "unusual": _furthest(signed_distance(words, most_frequent, view.encoding.bytes_per_slot), num_words),
        "own_mask_off": _furthest(view.changes_in(masked - view.own_mask(VICTIM)), num_words),
    }


def signed_distance(codes: npt.NDArray[Any], origin: int, num_bytes: int) -> npt.NDArray[np.float64]:
    """Returns how far each code lies above or below the origin, the shorter way around the ring; float64.

    Args:
        codes: unsigned integers of which the low `num_bytes` bytes count.
        origin: a code.
        num_bytes: of a slot on the wire, up to 8; the ring has 256**num_bytes elements.
    """
    unused = np.uint64(64 - 8 * num_bytes)
    difference = codes.astype(np.uint64) - np.uint64(origin)  # wraps, as it should
    return ((difference << unused).view(np.int64) >> np.int64(unused)).astype(np.float64)


def _attack(experiment: Experiment, mail: PreparedDataset, cohort: Sequence[Email]) -> MaskedFinding:
    email, *others = cohort
    width = len(str(len(others)))
    names = [f"client-{number:0{width}d}" for number in range(1, len(others) + 1)]
    settled = _protected(experiment, len(cohort))
    view = _run(settled, mail, dict(zip([VICTIM, *names], cohort, strict=True)))
    return MaskedFinding(
        email,
        num_clients=len(cohort),
        num_cohort_words=len(set().union(*(one.word_ids.tolist() for one in cohort))),
        masked={
            name: score(email, reading)
            for name, reading in read_masked(view, view.masked_vector(VICTIM), len(email.word_ids)).items()
        },
        summed=score(email, read_words(view.opened_changes())),
        colluding=score(email, _read_with_accomplice(experiment, mail, email, others[0])),
    )


def _protected(experiment: Experiment, cohort_size: int, min_cohort: int | None = None) -> Experiment:
    """Returns the experiment as one protected round of clients with one example each, all that is open settled."""
    config = experiment.aggregation
    return replace(
        one_round(experiment),
        cohort_size=cohort_size,
        aggregation=replace(
            config,
            kind="secagg",
            exact=False,
            max_weight=config.max_weight or 1,
            min_cohort=config.min_cohort if min_cohort is None else min_cohort,
        ),
    )


def _run(experiment: Experiment, mail: PreparedDataset, emails: Mapping[str, Email]) -> MaskedView:
    recorder = Recorder(keep=True)
    simulate(experiment, task=OneEmailTask(mail, emails), recorder=recorder)
    return MaskedView(experiment, recorder)


def _furthest(changes: npt.NDArray[np.float64], num_words: int) -> Reading:
    """Returns the words that seem to have moved furthest, and the label by the sign of all changes."""
    reading = read_words(changes)
    return Reading(reading.word_ids[:num_words], reading.label)


def _read_with_accomplice(experiment: Experiment, mail: PreparedDataset, email: Email, own_email: Email) -> Reading:
    """Returns what is left of the sum of a round of two when the other client takes its own update away."""
    settled = _protected(experiment, 2, min_cohort=2)
    view = _run(settled, mail, {VICTIM: email, _ACCOMPLICE: own_email})
    own_update = _train_alone(experiment, mail, own_email)
    own_vector = view.encoding.encode(own_update, rounding_stream(experiment.seed, 1, _ACCOMPLICE)).vector
    return read_words(view.opened_changes() - view.changes_in(own_vector))


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
