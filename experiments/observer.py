r"""The simulator's truth in protected runs: what each client counted, which the coordinator never sees.

Workers write it to files (`clients.observer`); after each round it is put into the records that a person reads. No
coordinator and no attack may read these files: they show what a protected run hides.

Example:
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> line = '{"round_index": 1, "client_id": "bob", "status": "done", "num_examples": 7, "train_loss": 0.5}'
    >>> _ = (folder / "worker-1.jsonl").write_text(line + '\n{"round_index": 1, "client_')  # killed while it wrote
    >>> truth = ObserverFiles(folder)
    >>> truth.read_new()
    >>> truth.completed(ClientRecord("bob", "done"), round_index=1).num_examples
    7
"""

import dataclasses
import logging
from pathlib import Path

import msgspec

from fedgdl.federated import ClientRecord, RoundRecord

__all__ = ["ObservedClient", "ObserverFiles"]

logger = logging.getLogger(__name__)


class ObservedClient(msgspec.Struct, frozen=True):
    """What a worker wrote of one client in one round.

    Attributes:
        round_index, client_id: when and who.
        status: `"done"`, or `"failed"`: it made no update that could be sent.
        num_examples, train_loss, train_accuracy: as in `ClientUpdate`; none where there is no update.
        clipped_share: the share of its delta's elements that were clipped; none likewise.
        reason: why it failed, in full; empty otherwise.
    """

    round_index: int
    client_id: str
    status: str
    num_examples: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    clipped_share: float | None = None
    reason: str = ""


class ObserverFiles:
    """Reads the files of all workers as they grow.

    Args:
        folder: where the workers write them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_up_to: dict[Path, int] = {}
        self._seen: dict[tuple[int, str], ObservedClient] = {}

    def read_new(self) -> None:
        """Reads what has been added since the last time, as far as there are whole lines.

        A killed worker may leave half a line behind, which is never read. A file that cannot be read is told to the
        log: the run itself does not depend on it.
        """
        for path in sorted(self._folder.glob("worker-*.jsonl")):
            try:
                self._read(path)
            except OSError as error:
                logger.warning("%s cannot be read: %s", path, error.strerror or error)

    def completed(self, record: ClientRecord, *, round_index: int) -> ClientRecord:
        """Returns a coordinator's record of a client with what its worker knows beside it.

        Whether the update counted is the coordinator's to say: a client whose update came too late has failed, and
        keeps the coordinator's reason.
        """
        seen = self._seen.get((round_index, record.client_id))
        if seen is None:
            return record
        if record.status == "done":
            return ClientRecord(
                record.client_id, "done", seen.num_examples, seen.train_loss, seen.train_accuracy, record.reason
            )
        is_told = seen.status != "done" and seen.reason
        return ClientRecord(record.client_id, "failed", reason=seen.reason if is_told else record.reason)

    def completed_round(self, record: RoundRecord) -> RoundRecord:
        """Returns a round's record, each of its clients completed; what is read of earlier rounds is forgotten."""
        self.read_new()
        clients = tuple(self.completed(client, round_index=record.round_index) for client in record.clients)
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] > record.round_index}
        return dataclasses.replace(record, clients=clients)

    def _read(self, path: Path) -> None:
        """Reads the whole lines behind what was read before."""
        with path.open("rb") as file:
            file.seek(self._read_up_to.get(path, 0))
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_up_to[path] = self._read_up_to.get(path, 0) + len(whole)
        for line in whole.splitlines():
            try:
                seen = msgspec.json.decode(line, type=ObservedClient)
            except msgspec.ValidationError:
                continue  # the first line says what the file is; nothing else there has another form
            except msgspec.DecodeError as error:
                logger.warning("%s holds a line that cannot be read: %s", path, error)
                continue
            self._seen[seen.round_index, seen.client_id] = seen
