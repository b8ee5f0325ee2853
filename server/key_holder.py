"""The coordinator's end of the key holder: it asks, waits, and gets over the loss of the other end.

The key holder runs in an engine like a worker, usually in a process of its own. Whatever it sends is checked like what
comes from a worker: a frame that cannot be read, or was not asked for, costs it its place. A key holder that is lost is
replaced by the engine; its successor has a key and a session of its own. The round that was under way cannot be opened
then; the next one goes by the successor's certificate.

Not here: what the key holder lets be opened (`clients.key_holder`, which is never imported here), and how its answers
become a model's sums (`server.aggregation`).

Threat model: that of `server.aggregation.paillier`. The key holder is trusted to open what it should; that its frames
    are in order is not taken for granted.

Example:
    >>> from server.engines import InlineEngine
    >>> class Broken:
    ...     def ready(self): return b"I cannot write"
    >>> try:
    ...     RemoteKeyHolder(InlineEngine(Broken)).start(max_frame_bytes=100_000)
    ... except EngineError as error:
    ...     str(error)[:66]
    '3 key holders in a row were lost before they were ready; the last:'
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from fedgdl.errors import AggregationError, EngineError, WireError
from fedgdl.progress import report
from fedgdl.wire import FRAME_OVERHEAD_BYTES, Codec, WorkerFailed, encode
from fedgdl.wire.paillier import (
    Added,
    AddUpdate,
    EncryptedUpdate,
    FromKeyHolder,
    KeyCertificate,
    KeyHolderReady,
    OpenSum,
    PaillierHeader,
    Refused,
    RoundOpened,
    SignedUpdate,
    SumOpened,
    SumProgress,
)
from server.engines import Engine, EngineEvent, WorkerLost
from server.recorder import Recorder

__all__ = ["RemoteKeyHolder", "key_holder_frame_bytes"]

logger = logging.getLogger(__name__)

_MAX_FAILED_STARTS: Final = 3
"""After so many key holders in a row that were lost before they were ready, the run is given up."""

_WORK: Final = "decrypting"

_MAX_CERTIFICATE_BYTES: Final = 70_000
"""More than the longest frame without a sum in it: a certificate, or a reason."""


class RemoteKeyHolder:
    """A key holder that runs in an engine of one worker; it is the `SumOpener` of an aggregation.

    Args:
        engine: where it runs.
        patience_seconds: one that has said nothing for so long after it was asked, or has not read for so long what it
            is asked, is replaced; while it decrypts it tells twice a second how far it is. None: it is waited for as
            long as it lives.
        recorder: sees every frame that it sends.
    """

    def __init__(
        self, engine: Engine, *, patience_seconds: float | None = None, recorder: Recorder | None = None
    ) -> None:
        self._engine, self._patience, self._recorder = engine, patience_seconds, recorder
        self._codec: Codec[FromKeyHolder] = Codec(FromKeyHolder, 0)
        self._events: deque[EngineEvent] = deque()
        self._worker_id: int | None = None  # of the one that is ready
        self._dismissed: set[int] = set()
        self._failed_starts = 0
        self._certificate: KeyCertificate | None = None
        self._round_index = 0
        self._loss = "it was not started"  # why it cannot open the round; empty if it can

    def start(self, max_frame_bytes: int) -> None:
        """Starts the key holder and waits until it has its key.

        Args:
            max_frame_bytes: see `key_holder_frame_bytes`.

        Raises:
            EngineError: it cannot be started.
        """
        self._codec = Codec(FromKeyHolder, max_frame_bytes)
        self._engine.start(max_frame_bytes)
        self._wait_until_ready()

    @property
    def certificate(self) -> KeyCertificate:
        """The public key's certificate; if the key holder was lost, that of its successor, which is waited for.

        Raises:
            EngineError: there is none, and will be none.
        """
        self._look_for_losses()
        return self._wait_until_ready()

    def open_round(self, header: PaillierHeader) -> None:
        """Says that a round begins, and what it is about."""
        self._round_index = header.round_index
        certificate = self._wait_until_ready()
        self._loss = "" if header.session == certificate.session else "it was replaced before the round began"
        if not self._loss:
            self._send(RoundOpened(header))

    def add(self, client_id: str, update: EncryptedUpdate) -> str:
        """Has an update added to the round's sum; returns why it was refused, or nothing.

        Nothing, too, where the key holder has been lost: that is no client's fault, and told when the sum is opened.

        Raises:
            EngineError: it was lost, and cannot be replaced.
        """
        if self._loss:
            return ""
        self._send(AddUpdate(self._round_index, SignedUpdate(client_id, update)))
        answer = self._answer()
        if answer is None:
            return ""
        if not isinstance(answer, Added) or (answer.round_index, answer.client_id) != (self._round_index, client_id):
            self._dismiss(self._worker_id, "it answered something else than it was asked")
            return ""
        return answer.refusal

    def open(self, round_index: int, client_ids: Sequence[str], ciphertexts: bytes, num_bytes: int) -> bytes:
        """Returns the round's sum, as `UpdateEncoding.pack` writes it; reports meanwhile how far it is decrypted.

        Args:
            round_index: counted from 1.
            client_ids: whose updates are in it, in the order of ids.
            ciphertexts: the sum as the coordinator has formed it; empty where the key holder does.
            num_bytes: which the answer has.

        Raises:
            AggregationError: the key holder refuses, or has been lost since the round began.
            EngineError: it was lost, and cannot be replaced.
        """
        if not self._loss and round_index != self._round_index:
            message = f"the key holder knows of round {self._round_index}, not of round {round_index}"
            raise AggregationError(message)
        if not self._loss:
            self._send(OpenSum(round_index, tuple(client_ids), ciphertexts))
        num_done = num_total = 0
        while not self._loss:
            answer = self._answer()
            match answer:
                case SumProgress(of, done, total) if of == round_index and num_done < done <= total:
                    num_done, num_total = done, total
                    report(_WORK, num_done, num_total)
                case SumOpened(round_index=of) if of == round_index and len(answer.vector) == num_bytes:
                    if num_done < num_total:  # somebody watches, and has not been told of the end
                        report(_WORK, num_total, num_total)
                    return answer.vector
                case Refused(round_index=of) if of == round_index:
                    message = f"the key holder opens nothing: {answer.reason}"
                    raise AggregationError(message)
                case None:
                    pass  # it was lost
                case _:
                    self._dismiss(self._worker_id, "it answered something else than it was asked")
        message = f"the key holder was lost: {self._loss}"
        raise AggregationError(message)

    def close(self, *, is_calm: bool) -> None:
        """Ends the key holder; harmless when called again.

        Args:
            is_calm: whether it can be asked to end; if not, it is ended at once.
        """
        self._loss = self._loss or "it was shut down"
        self._engine.close(is_calm=is_calm and self._worker_id is not None)

    def _send(self, message: msgspec.Struct) -> None:
        """Tells the key holder something; one that does not read it, and so would never let go of us, is ended."""
        asked = self._worker_id
        if asked is None:
            return
        with contextlib.ExitStack() as endings:
            if self._patience is not None:
                reason = f"it read nothing for {self._patience:g} seconds"
                watchdog = threading.Timer(self._patience, self._engine.replace, (asked, reason))
                watchdog.daemon = True
                watchdog.start()
                endings.callback(watchdog.cancel)
            self._engine.send(asked, encode(message))

    def _answer(self) -> Added | SumProgress | SumOpened | Refused | None:
        """Returns what the key holder says next; none if it is lost, or takes too long and is replaced."""
        asked = self._worker_id
        deadline = None if self._patience is None else time.monotonic() + self._patience
        while not self._loss and self._worker_id == asked:
            answer = self._take_next(deadline)
            if answer is not None:
                return answer
            if deadline is not None and time.monotonic() >= deadline:
                self._dismiss(asked, f"it said nothing for {self._patience:g} seconds")
        return None

    def _wait_until_ready(self) -> KeyCertificate:
        """Returns the certificate of the key holder that is ready, as soon as one is.

        Raises:
            EngineError: it cannot be started.
        """
        while self._worker_id is None or self._certificate is None:
            self._take_next(None)
        return self._certificate

    def _look_for_losses(self) -> None:
        """Takes in what has happened while nobody asked anything."""
        try:
            self._events.extend(self._engine.poll(0))
        except EngineError:  # an inline engine has nothing to say unasked; others will say it again
            return
        while self._events:
            if self._take_next(None) is not None:
                self._dismiss(self._worker_id, "it spoke without being asked")

    def _take_next(self, deadline: float | None) -> Added | SumProgress | SumOpened | Refused | None:
        """Takes the next event in, waiting for one until the deadline; returns it if it is an answer."""
        if not self._events:
            seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
            self._events.extend(self._engine.poll(seconds))
        if not self._events:
            return None
        event = self._events.popleft()
        if isinstance(event, WorkerLost):
            self._lose(event.worker_id, event.reason)
            return None
        if self._recorder is not None:
            self._recorder.key_holder_frame_arrived(event.frame)
        if event.worker_id in self._dismissed:
            return None
        try:
            message = self._codec.decode(event.frame)
        except WireError as error:
            self._dismiss(event.worker_id, f"it sent a frame that cannot be read ({error})")
            return None
        return self._take(event.worker_id, message)

    def _take(self, worker_id: int, message: FromKeyHolder) -> Added | SumProgress | SumOpened | Refused | None:
        """Takes a message in; returns it if it is an answer of the key holder that is ready."""
        if isinstance(message, WorkerFailed):
            if worker_id != self._worker_id:
                problem = f"the key holder gave up: {message.reason}"
                raise EngineError(problem)
            logger.error("the key holder gave up: %s", message.reason)  # the engine is about to report its loss
            return None
        if isinstance(message, KeyHolderReady):
            if self._worker_id is None:
                self._worker_id, self._certificate, self._failed_starts = worker_id, message.certificate, 0
                logger.info("the key holder is ready")
            else:
                self._dismiss(worker_id, "it introduced itself twice")
            return None
        if worker_id != self._worker_id:
            self._dismiss(worker_id, "it spoke before it was ready")
            return None
        return message

    def _dismiss(self, worker_id: int | None, reason: str) -> None:
        """Has a key holder replaced; nothing that it may still say counts."""
        if worker_id is None or worker_id in self._dismissed:
            return
        logger.warning("the key holder is replaced: %s", reason)
        self._forget(worker_id, reason)
        self._dismissed.add(worker_id)
        self._engine.replace(worker_id, reason)

    def _lose(self, worker_id: int, reason: str) -> None:
        """Takes note that a key holder is gone."""
        if worker_id in self._dismissed:
            self._dismissed.remove(worker_id)
        else:
            self._forget(worker_id, reason)

    def _forget(self, worker_id: int, reason: str) -> None:
        """Gives a key holder up, and the round with it.

        Raises:
            EngineError: too many in a row were lost before they were ready.
        """
        if worker_id == self._worker_id:
            self._worker_id = self._certificate = None
            self._loss = self._loss or reason
            return
        self._failed_starts += 1
        if self._failed_starts >= _MAX_FAILED_STARTS:
            message = f"{self._failed_starts} key holders in a row were lost before they were ready; the last: {reason}"
            raise EngineError(message)


def key_holder_frame_bytes(num_bytes: int) -> int:
    """Returns the length that no frame of a key holder exceeds.

    Args:
        num_bytes: of an opened sum, as `UpdateEncoding` has it.
    """
    return num_bytes + _MAX_CERTIFICATE_BYTES + FRAME_OVERHEAD_BYTES
