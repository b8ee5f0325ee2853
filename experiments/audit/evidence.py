"""Goes through the record of a run once, vector by vector, and puts together all that the audit is about.

The only place that compares what was received with what only the simulator knows.

Not here: the words and pictures of it (`experiments.audit.document`, `experiments.audit.page`).

Example:
    >>> kind = Kind()
    >>> kind.add(num_bytes=100)
    >>> kind
    Kind(num_frames=1, num_bytes=100)
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from experiments.audit.checks import Check, Correlation, VectorChecks
from experiments.audit.recorder import AuditRecorder, entries, read_frame
from experiments.audit.traffic import OpenedSum, RoundTraffic
from experiments.audit.vectors import ReceivedVector, VectorReader
from experiments.run_history import RunHistory
from fedgdl.errors import AggregationError, WireError
from fedgdl.federated import RoundRecord
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread
from fedgdl.wire import ClientFailed, Codec, ToCoordinator

__all__ = ["Evidence", "Kind", "Truth", "examine"]

Truth: TypeAlias = Callable[[int, str], npt.NDArray[Any] | None]
"""(round, client id) -> the encoded update that the client sent, from the simulator's files; none where there is none.
"""

_MAX_SMALL_FRAME: Final = 65_536
"""Only clients' answers are larger; one that was not expected is not read."""

_REPEATED: Final = "answers that came late or twice"

_KINDS: Final = {
    "WorkerReady": "a worker is ready",
    "WorkerFailed": "a worker gives up",
    "TrainStarted": "a client's training begins",
    "ClientFailed": "a client has no answer",
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
        counts: (bytes of a word, 256) how often each byte had each value.
        correlations: of each received vector with the update beneath it, where that is known.
        kinds: message -> how many of it came.
        refusals: round -> (client, reason) as the clients told the coordinator.
        num_unreadable: answers of the training stage that hold no vector of the right size.
    """

    checks: list[Check] = field(default_factory=list)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 256), np.int64))
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
    is_private = history.experiment.aggregation.is_private
    reader = VectorReader(history.experiment, history.model.layout)
    with recorder.path.open("rb") as file, one_blas_thread():  # its threads cost more than they save on such vectors
        payloads = _count_kinds(recorder, file, evidence)
        checks = VectorChecks(reader.num_bytes)
        for round_index, client_id, vector in _vectors(recorder, reader, file, payloads, evidence):
            beneath = truth(round_index, client_id) if is_private else vector.unmasked
            fits = beneath is not None and beneath.shape == vector.words.shape
            checks.add(round_index, client_id, vector.words, beneath if fits else None, vector.values)
        found = checks.results()
    evidence.checks = [*found, *_check_sums(history, recorder.traffic.rounds, reader, truth)]
    evidence.counts, evidence.correlations = checks.counts, checks.correlations
    return evidence


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


def _vectors(
    recorder: AuditRecorder, reader: VectorReader, file: BinaryIO, payloads: set[int], evidence: Evidence
) -> Iterator[tuple[int, str, ReceivedVector]]:
    """Yields round, client and vector of each answer of the training stage, by round and client."""
    for round_index, traffic in watched(sorted(recorder.traffic.rounds.items()), "auditing rounds"):
        for stage in traffic.stages:
            for client_id, answer in sorted(stage.answers.items()) if stage.name == reader.stage else ():
                if answer.offset not in payloads:
                    continue  # the record is incomplete, and says so
                try:
                    yield round_index, client_id, reader.read(read_frame(file, answer))
                except WireError:
                    evidence.num_unreadable += 1


def _check_sums(
    history: RunHistory, rounds: Mapping[int, RoundTraffic], reader: VectorReader, truth: Truth
) -> list[Check]:
    """Returns the check of the opened sums against the truth; none where nothing is protected."""
    if reader.encoding is None or not history.experiment.aggregation.is_private:
        return []
    equal: list[int] = []
    different: list[int] = []
    unknown: list[int] = []
    for record in history.rounds:
        opened = rounds[record.round_index].opened if record.round_index in rounds else None
        if opened is not None:
            digest = _true_digest(record, reader, truth)
            verdicts = unknown if digest is None else equal if digest == opened.digest else different
            verdicts.append(record.round_index)
    found = f"equal in {len(equal):,} of {len(equal) + len(different) + len(unknown):,} rounds with a sum"
    if different:
        found += f"; not in round {', '.join(map(str, different[:10]))}"
    if unknown:
        found += f"; not known in {len(unknown):,}: updates are missing in the simulator's files"
    is_alarm = True if different else None if unknown or not equal else False
    return [Check(_SUM_NAME, _SUM_QUESTION, is_alarm, found, uses_truth=True)]


def _true_digest(record: RoundRecord, reader: VectorReader, truth: Truth) -> str | None:
    """Returns the digest of what the sum should be; none where an update is missing in the simulator's files."""
    encoding = reader.encoding
    survivors = [client.client_id for client in record.clients if client.status == "done"]
    if encoding is None or not survivors:
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
