r"""Keeps every byte that reaches the coordinator, with its time and worker; and who was asked and answered when.

The frames go to a file, `received.bin`, in the order of arrival. All numbers in it are little-endian:

    offset  bytes  what
    0       8      the letters FGAUDIT and the format's version, 1
    8       8      float64: `time.time()` when the file was opened
    16      ...    entries, one behind the other

    an entry
    0       8      float64: seconds since the file was opened
    8       4      uint32: the worker's number; 4,294,967,295: the key holder
    12      4      uint32: how many bytes the frame has
    16      ...    the frame, as it came; `fedgdl.wire.Codec(ToCoordinator, ...)` reads it, and one of the key holder
                   `Codec(FromKeyHolder, ...)` with the union of `fedgdl.wire.paillier`

A file that ends in the middle of an entry is good up to there.

Not here: what the frames mean (`experiments.audit.traffic`) or tell (`experiments.audit.checks`).

Example:
    >>> import io
    >>> file = io.BytesIO(file_header(1_700_000_000.0) + entry_header(0.5, 3, 5) + b"frame" + b"cut short")
    >>> [(entry.seconds, entry.worker_id, read_frame(file, entry)) for entry in entries(file)]
    [(0.5, 3, b'frame')]
"""

import contextlib
import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy.typing as npt

from experiments.audit.traffic import Arrival, OpenedSum, Traffic
from fedgdl.errors import FedgdlError
from fedgdl.federated import CohortSums
from server.recorder import Recorder

__all__ = ["KEY_HOLDER", "AuditRecorder", "ReceivedEntry", "entries", "entry_header", "file_header", "read_frame"]

KEY_HOLDER: Final = 2**32 - 1
"""The number of the key holder, where it is a process of its own; workers count from 1."""

_ANNOUNCED: Final = "encrypted input"
_MARK: Final = b"FGAUDIT\x01"
_FILE_HEADER: Final = struct.Struct("<8sd")
_ENTRY_HEADER: Final = struct.Struct("<dII")
_BUFFER_BYTES: Final = 1 << 20


def file_header(opened_at: float) -> bytes:
    """Returns the first bytes of a file that was opened at a time, in seconds since 1970."""
    return _FILE_HEADER.pack(_MARK, opened_at)


def entry_header(seconds: float, worker_id: int, num_bytes: int) -> bytes:
    """Returns what stands before a frame."""
    return _ENTRY_HEADER.pack(seconds, worker_id, num_bytes)


@dataclass(frozen=True, slots=True)
class ReceivedEntry:
    """Where one frame is.

    Attributes:
        seconds: when it came, since the file was opened.
        worker_id: who sent it.
        offset: of the frame's first byte in the file.
        num_bytes: of the frame.
    """

    seconds: float
    worker_id: int
    offset: int
    num_bytes: int


def entries(file: BinaryIO) -> Iterator[ReceivedEntry]:
    """Yields the entries of a `received.bin`, without reading the frames; ends before one that is cut short.

    Raises:
        FedgdlError: the file is of another kind.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = file.read(_FILE_HEADER.size)
    if len(header) < _FILE_HEADER.size or not header.startswith(_MARK):
        message = f"not a record of received frames: it begins with {header[:8]!r}, expected {_MARK!r}"
        raise FedgdlError(message)
    offset = _FILE_HEADER.size
    while offset + _ENTRY_HEADER.size <= size:
        file.seek(offset)
        seconds, worker_id, num_bytes = _ENTRY_HEADER.unpack(file.read(_ENTRY_HEADER.size))
        offset += _ENTRY_HEADER.size
        if offset + num_bytes > size:
            return
        yield ReceivedEntry(seconds, worker_id, offset, num_bytes)
        offset += num_bytes


def read_frame(file: BinaryIO, where: ReceivedEntry | Arrival) -> bytes:
    """Returns the frame of an entry."""
    file.seek(where.offset)
    return file.read(where.num_bytes)


class AuditRecorder(Recorder):
    """Writes every frame that arrives to a file, and notes what was asked of whom and what the sums were.

    A file that cannot be written, for want of room say, does not end the run: `problem` tells it.

    Attributes:
        announcements: round -> what all clients were told that were to encrypt their updates.
        bytes_received: of all frames, those of the key holder included.
        path: the file; none before `open`.
        problem: why frames are missing in the file, in words; empty where none are.
        traffic: who was asked and answered when.
    """

    def __init__(self) -> None:
        super().__init__()
        self.announcements: dict[int, bytes] = {}
        self.bytes_received = 0
        self.path: Path | None = None
        self.problem = ""
        self.traffic = Traffic()
        self._file: BinaryIO | None = None
        self._began = 0.0
        self._offset = 0
        self._last: ReceivedEntry | None = None

    def open(self, folder: Path) -> None:
        """Makes the folder and the file in it; to be called before the workers are started.

        Raises:
            OSError: that cannot be done.
        """
        folder.mkdir(parents=True)
        self.path = folder / "received.bin"
        self._file = self.path.open("xb", buffering=_BUFFER_BYTES)
        self._offset = self._file.write(file_header(time.time()))
        self._began = time.perf_counter()

    def close(self) -> None:
        """Writes what is still in memory and closes the file; may be called again."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as error:
                self._give_up(error)

    def frame_arrived(self, worker_id: int, frame: bytes) -> None:
        """Counts a frame and writes it to the file."""
        super().frame_arrived(worker_id, frame)
        self._last = self._write(worker_id, frame)
        self.traffic.frame_arrived(self._last.seconds, worker_id)

    def key_holder_frame_arrived(self, frame: bytes) -> None:
        """Writes a frame of the key holder to the file."""
        super().key_holder_frame_arrived(frame)
        self._write(KEY_HOLDER, frame)

    def stage_began(self, round_index: int, stage: str, common: bytes) -> None:
        """Notes what key updates are to be encrypted with, and for which round."""
        super().stage_began(round_index, stage, common)
        if stage == _ANNOUNCED:
            self.announcements[round_index] = common

    def task_sent(
        self, round_index: int, stage: str, client_ids: Sequence[str], num_bytes: int, parameter_bytes: int
    ) -> None:
        """Counts a task, and notes what was asked of whom."""
        super().task_sent(round_index, stage, client_ids, num_bytes, parameter_bytes)
        seconds = time.perf_counter() - self._began
        total = num_bytes + len(client_ids) * parameter_bytes
        self.traffic.task_sent(seconds, round_index, stage, client_ids, total)

    def payload_arrived(self, round_index: int, stage: str, client_id: str, payload: bytes) -> None:
        """Notes whose payload the last frame held."""
        super().payload_arrived(round_index, stage, client_id, payload)
        if self._last is not None:
            last = self._last
            arrival = Arrival(last.seconds, 0.0, last.worker_id, last.offset, last.num_bytes)
            self.traffic.payload_arrived(round_index, stage, client_id, arrival)

    def parameters_published(self, round_index: int, vector: npt.NDArray[Any]) -> None:
        """Notes that a round begins."""
        super().parameters_published(round_index, vector)
        self.traffic.round(round_index)

    def sum_opened(self, round_index: int, sums: CohortSums) -> None:
        """Notes what a round's sum told."""
        super().sum_opened(round_index, sums)
        self.traffic.round(round_index).opened = OpenedSum.of(sums)

    def _write(self, worker_id: int, frame: bytes) -> ReceivedEntry:
        """Writes a frame behind the others, and returns where it is."""
        if self.path is None:
            message = "an audit's recorder is opened before the run is started"
            raise RuntimeError(message)
        seconds = time.perf_counter() - self._began
        header = entry_header(seconds, worker_id, len(frame))
        entry = ReceivedEntry(seconds, worker_id, self._offset + len(header), len(frame))
        self._offset = entry.offset + len(frame)
        self.bytes_received += len(frame)
        if self._file is not None:
            try:
                self._file.write(header)
                self._file.write(frame)
            except OSError as error:
                self._give_up(error)
        return entry

    def _give_up(self, error: OSError) -> None:
        """Writes no more: what the file holds stays good."""
        self.problem = f"{self.path} is incomplete: {error.strerror or error}"
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # the same trouble again
                file.close()
