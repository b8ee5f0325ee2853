"""Goes through the record of a run once, vector by vector, and puts together all that the audit is about.

The only place that compares what was received with what only the simulator knows.

Not here: the words and pictures of it (`experiments.audit.document`, `experiments.audit.page`).

Example:
    >>> kind = Kind()
    >>> kind.add(num_bytes=100)
    >>> kind
    Kind(num_frames=1, num_bytes=100)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from experiments.audit.examiner import MAX_FRAME_BYTES, Examiner, Truth
from experiments.audit.recorder import KEY_HOLDER, AuditRecorder, entries, read_frame
from experiments.audit.tallies import Check, Correlation
from experiments.audit.traffic import OpenedSum, RoundTraffic
from experiments.audit.vectors import VectorExaminer
from experiments.run_history import RunHistory
from fedgdl.errors import AggregationError, WireError
from fedgdl.federated import RoundRecord
from fedgdl.federated.encoding import UpdateEncoding
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread
from fedgdl.wire import ClientFailed, Codec, ToCoordinator
from fedgdl.wire.paillier import FromKeyHolder

__all__ = ["Evidence", "Kind", "examine"]

_MAX_SMALL_FRAME: Final = 65_536
"""Only clients' answers are larger; one that was not expected is not read."""

_REPEATED: Final = "answers that came late or twice"

_KINDS: Final = {
    "WorkerReady": "a worker is ready",
    "WorkerFailed": "a worker gives up",
    "TrainStarted": "a client's training begins",
    "ClientFailed": "a client has no answer",
}

_KEY_HOLDER_KINDS: Final = {
    "KeyHolderReady": "the key holder is ready",
    "Added": "the key holder has looked at an update",
    "SumProgress": "the key holder tells how far it is",
    "SumOpened": "the key holder has opened a sum",
    "Refused": "the key holder opens no sum",
    "WorkerFailed": "the key holder gives up",
}

_SUM_NAME: Final = "the opened sum"
_SUM_QUESTION: Final = "Is the sum, to the bit, that of the true updates of the clients that stayed?"


@dataclass(slots=True)
class Kind:
    """How many messages of one kind came, and their bytes."""

    num_frames: int = 0
    num_bytes: int = 0

    def add(self, num_bytes: int) -> None:
        """Counts a message."""
        self.num_frames += 1
        self.num_bytes += num_bytes


@dataclass(slots=True)
class Evidence:
    """What a run's record shows.

    Attributes:
        checks: what each check saw.
        counts: (rows, 256) how often bytes had each value, as `byte_labels` says which.
        byte_labels: what each row of it is.
        correlations: of each received vector with the update beneath it, where that is known.
        kinds: message -> how many of it came.
        refusals: round -> (client, reason) as the clients told the coordinator.
        num_unreadable: answers of the training stage that hold no update of the right size.
    """

    checks: list[Check] = field(default_factory=list)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 256), np.int64))
    byte_labels: tuple[str, ...] = ()
    correlations: list[Correlation] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    refusals: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    num_unreadable: int = 0


def examine(recorder: AuditRecorder, history: RunHistory, truth: Truth) -> Evidence:
    """Returns what the record of a run that is over shows.

    Args:
        recorder: closed by now.
        history: the run's; its experiment is the resolved one.
        truth: what the clients really sent.

    Raises:
        OSError: the record cannot be read.
        FedgdlError: the record or a file of the truth is not what it should be.
    """
    evidence = Evidence()
    if recorder.path is None:
        message = "there is no record to be examined: it was never opened"
        raise RuntimeError(message)
    examiner = _make_examiner(recorder, history)
    with recorder.path.open("rb") as file, one_blas_thread():  # its threads cost more than they save on such vectors
        payloads = _count_kinds(recorder, file, evidence)
        _examine_updates(recorder, examiner, file, payloads, truth, evidence)
        found = examiner.results()
    evidence.checks = [*found, *_check_sums(history, recorder.traffic.rounds, examiner.encoding, truth)]
    evidence.counts, evidence.correlations = examiner.counts, examiner.correlations
    evidence.byte_labels = examiner.byte_labels
    return evidence


def _make_examiner(recorder: AuditRecorder, history: RunHistory) -> Examiner:
    if history.experiment.aggregation.kind == "paillier":
        from experiments.audit.encrypted import EncryptedExaminer  # lazily: other runs need no gmpy2

        return EncryptedExaminer(history.experiment, history.model.layout, recorder.announcements)
    return VectorExaminer(history.experiment, history.model.layout)


def _count_kinds(recorder: AuditRecorder, file: BinaryIO, evidence: Evidence) -> set[int]:
    """Counts the messages in the file by kind, and returns where those are that hold a client's answer."""
    names = {
        answer.offset: f"answers: {stage.name}"
        for traffic in recorder.traffic.rounds.values()
        for stage in traffic.stages
        for answer in stage.answers.values()
    }
    codec: Codec[ToCoordinator] = Codec(ToCoordinator, _MAX_SMALL_FRAME)
    found = set()
    for entry in entries(file):
        name = names.get(entry.offset)
        if name is not None:
            found.add(entry.offset)
        elif entry.worker_id == KEY_HOLDER:
            name = _key_holder_kind(read_frame(file, entry))
        elif entry.num_bytes > _MAX_SMALL_FRAME:
            name = _REPEATED
        else:
            name = _other_kind(codec, read_frame(file, entry), evidence)
        evidence.kinds.setdefault(name, Kind()).add(entry.num_bytes)
    return found


def _other_kind(codec: Codec[ToCoordinator], frame: bytes, evidence: Evidence) -> str:
    """Returns the kind of a message that is no answer; what a client said of its failure is kept."""
    try:
        message = codec.decode(frame)
    except WireError:
        return "cannot be read"
    if isinstance(message, ClientFailed):
        evidence.refusals.setdefault(message.round_index, []).append((message.client_id, message.reason))
    return _KINDS.get(type(message).__name__, _REPEATED)


def _key_holder_kind(frame: bytes) -> str:
    codec: Codec[FromKeyHolder] = Codec(FromKeyHolder, MAX_FRAME_BYTES)
    try:
        return _KEY_HOLDER_KINDS[type(codec.decode(frame)).__name__]
    except WireError:
        return "cannot be read"


def _examine_updates(
    recorder: AuditRecorder,
    examiner: Examiner,
    file: BinaryIO,
    payloads: set[int],
    truth: Truth,
    evidence: Evidence,
) -> None:
    """Has the update in each answer of the training stage examined, by round and client."""
    for round_index, traffic in watched(sorted(recorder.traffic.rounds.items()), "auditing rounds"):
        for stage in traffic.stages:
            for client_id, answer in sorted(stage.answers.items()) if stage.name == examiner.stage else ():
                if answer.offset not in payloads:
                    continue  # the record is incomplete, and says so
                try:
                    examiner.take(round_index, client_id, read_frame(file, answer), truth)
                except WireError:
                    evidence.num_unreadable += 1


def _check_sums(
    history: RunHistory, rounds: Mapping[int, RoundTraffic], encoding: UpdateEncoding | None, truth: Truth
) -> list[Check]:
    """Returns the check of the opened sums against the truth; none where nothing is protected."""
    if encoding is None or not history.experiment.aggregation.is_private:
        return []
    equal: list[int] = []
    different: list[int] = []
    unknown: list[int] = []
    for record in history.rounds:
        opened = rounds[record.round_index].opened if record.round_index in rounds else None
        if opened is not None:
            digest = _true_digest(record, encoding, truth)
            verdicts = unknown if digest is None else equal if digest == opened.digest else different
            verdicts.append(record.round_index)
    found = f"equal in {len(equal):,} of {len(equal) + len(different) + len(unknown):,} rounds with a sum"
    if different:
        found += f"; not in round {', '.join(map(str, different[:10]))}"
    if unknown:
        found += f"; not known in {len(unknown):,}: updates are missing in the simulator's files"
    is_alarm = True if different else None if unknown or not equal else False
    return [Check(_SUM_NAME, _SUM_QUESTION, is_alarm, found, uses_truth=True)]


def _true_digest(record: RoundRecord, encoding: UpdateEncoding, truth: Truth) -> str | None:
    """Returns the digest of what the sum should be; none where an update is missing in the simulator's files."""
    survivors = [client.client_id for client in record.clients if client.status == "done"]
    if not survivors:
        return None
    total = np.zeros(encoding.size, encoding.dtype)
    for client_id in survivors:
        vector = truth(record.round_index, client_id)
        if vector is None or vector.shape != total.shape:
            return None
        total += vector.astype(encoding.dtype)
    try:
        return OpenedSum.of(encoding.decode(total, len(survivors))).digest
    except AggregationError as error:
        return f"no sum: {error}"
